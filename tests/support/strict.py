"""Receivers of remote write, played: as strict as a Prometheus with its default settings, or storing what they can.

Bodies are decoded by protobuf's library.
"""

import gzip
import random

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from towerops_agent.api.wire.outcomes import Accepted
from towerops_agent.destinations.wire.answers import WriteOutcome, outcome_of

Labels = tuple[tuple[str, str], ...]

HOUR_MS = 3_600_000


def write_request_class():
    """WriteRequest by protobuf's library, from the specification's definition."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, (field_name, kind, repeated, of) in enumerate(fields, start=1):
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            made.field.add(name=field_name, number=number, type=kind, label=label, type_name=of and f".prometheus.{of}")

    message("Label", ("name", field.TYPE_STRING, False, None), ("value", field.TYPE_STRING, False, None))
    message("Sample", ("value", field.TYPE_DOUBLE, False, None), ("timestamp", field.TYPE_INT64, False, None))
    message("TimeSeries", ("labels", field.TYPE_MESSAGE, True, "Label"), ("samples", field.TYPE_MESSAGE, True, "Sample"))
    message("WriteRequest", ("timeseries", field.TYPE_MESSAGE, True, "TimeSeries"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = write_request_class()


class Receiver:
    """Answers as Prometheus does (tests/receivers compares). `stored`: by series, in the order of arrival.

    `bounded`: False: in agent mode, without a bound. `whole`: False: it stores what it can of a request, as Mimir and Thanos do;
    `partly`: the status and the text with which it says so, with `{}` for Prometheus' words. `names_all`: it says what is wrong
    of each sample, and not only of the first that is.
    """

    ahead_s = 0.0

    def __init__(
        self, bounded: bool = True, whole: bool = True, partly: tuple[int, str] = (400, "{} (err-mimir-sample-out-of-order)")
    ) -> None:
        self.bounded = bounded
        self.whole = whole
        self.partly = partly
        self.names_all = False
        self.stored: dict[Labels, list[tuple[int, float]]] = {}
        self.requests = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def send(self, body: bytes) -> WriteOutcome:
        self.requests += 1
        cramjam = pytest.importorskip("cramjam")
        request = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
        samples = [
            (tuple((label.name, label.value) for label in one.labels), sample.timestamp, sample.value)
            for one in request.timeseries
            for sample in one.samples
        ]
        newest_ms = max((time_ms for values in self.stored.values() for time_ms, _ in values), default=0)
        said = []
        fit = []
        for labels, time_ms, value in samples:
            wrong = self._wrong(labels, time_ms, value, newest_ms)
            if wrong:
                said.append(wrong)
            else:
                fit.append((labels, time_ms, value))
        if said and self.whole:
            return outcome_of(400, "; ".join(said) if self.names_all else said[0])
        for labels, time_ms, value in fit:  # one that is out of order within the request is dropped without a word
            values = self.stored.setdefault(labels, [])
            if not values or time_ms > values[-1][0]:
                values.append((time_ms, value))
        return outcome_of(self.partly[0], self.partly[1].format(said[0])) if said else Accepted()

    def _wrong(self, labels: Labels, time_ms: int, value: float, newest_ms: int) -> str:
        if self.bounded and newest_ms and time_ms < newest_ms - HOUR_MS:
            return "out of bounds"
        latest = self.stored.get(labels, [(0, 0.0)])[-1]
        if time_ms < latest[0]:
            return "out of order sample"
        return "duplicate sample for timestamp" if time_ms == latest[0] and value != latest[1] else ""


def translated(body: bytes, order: random.Random) -> bytes:
    """A request of OTLP as Prometheus reads it: by series, in an order of its own; the body of a request of remote write."""
    series: dict[Labels, list[tuple[int, float]]] = {}
    for one in ExportMetricsServiceRequest.FromString(gzip.decompress(body)).resource_metrics:
        resource = {
            each.key.replace("service.instance.id", "instance"): each.value.string_value for each in one.resource.attributes
        }
        for metric in one.scope_metrics[0].metrics:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                labels = {each.key: each.value.string_value for each in point.attributes}
                labels |= {"instance": resource["instance"], "__name__": metric.name}
                value = float(getattr(point, point.WhichOneof("value")))
                series.setdefault(tuple(sorted(labels.items())), []).append((point.time_unix_nano // 10**6, value))
    request = WriteRequest()
    for labels, samples in order.sample(list(series.items()), len(series)):
        made = request.timeseries.add()
        for name, text in labels:
            made.labels.add(name=name, value=text)
        for time_ms, value in samples:
            made.samples.add(timestamp=time_ms, value=value)
    return bytes(pytest.importorskip("cramjam").snappy.compress_raw(request.SerializeToString()))


class OtlpReceiver(Receiver):
    """A Prometheus that is sent OTLP (its storage/remote, otlpWriteHandler): as strict as for remote write."""

    def __init__(self, bounded: bool = True) -> None:
        super().__init__(bounded)
        self.order = random.Random(1)

    async def send(self, body: bytes) -> WriteOutcome:
        return await super().send(translated(body, self.order))
