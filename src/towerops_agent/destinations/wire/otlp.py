"""OTLP metrics: polls as the octets of an ExportMetricsServiceRequest.

    ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
    ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }     // one for each poll
    ScopeMetrics    { InstrumentationScope scope = 1; repeated Metric metrics = 2; }
    Metric          { string name = 1; Gauge gauge = 5; Sum sum = 7; }                      // with one point
    NumberDataPoint { fixed64 time_unix_nano = 3; double as_double = 4; sfixed64 as_int = 6; repeated KeyValue attributes = 7; }

A counter is a monotonic, cumulative sum, whose start is not known; all else is a gauge. The resource says which device
(`service.instance.id`: a receiver that writes to Prometheus makes `instance` of it); the other labels are attributes of each
point, as resource attributes do not become labels everywhere.
What surrounds time and value is encoded once, when the labels are learned: protobuf's library takes ten times as long.
Pure. Nanoseconds since 1970. Source: opentelemetry-proto 1.x, opentelemetry/proto/metrics/v1/metrics.proto.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Final

from towerops_agent import __version__
from towerops_agent.destinations.wire.protobuf import eights, field, fields_of, varint
from towerops_agent.destinations.wire.samples import Part, Samples
from towerops_agent.destinations.wire.series import Item, Labels, in_order, is_counter
from towerops_agent.model import Layout, LayoutKind

SERVICE: Final = "towerops-agent"

_KEYS: Final = Struct("<BQB").pack
_POINT_OCTETS: Final = 1 + 8 + 1 + 8  # time and value, with their keys
_TIME, _AS_DOUBLE, _AS_INT = 3 << 3 | 1, 4 << 3 | 1, 6 << 3 | 1
_END: Final = 1 << 63

_CUMULATIVE_MONOTONIC: Final = bytes((2 << 3, 2, 3 << 3, 1))


def heads_of(layout: Layout, found: Mapping[Item, list[Labels]]) -> list[bytes]:
    """The resource and the scope, and for each value what goes before its time, and what goes behind its value.

    Those of a value are b"" if its labels are not known.
    """
    series = in_order(layout, found)
    instance = next((dict(labels).get("instance", "") for labels in series if labels), "")
    attributes = [("service.name", SERVICE), ("service.instance.id", instance)]
    resource = field(1, b"".join(field(1, _key_value(*one)) for one in attributes if one[1]))
    scope = field(1, field(1, SERVICE.encode()) + field(2, __version__.encode()))
    heads = [resource, scope]
    for labels in series:
        heads += _around(labels) if labels else (b"", b"")
    return heads


def export_request(parts: Iterable[Part]) -> bytes:
    """The body, not compressed. A counter of 2^63 or more, which is not an integer of protobuf's, is a double."""
    request: list[bytes] = []
    for heads, layout, samples in parts:
        resource, scope = heads[0], heads[1]
        points = samples.pick(heads[2::2])
        if not all(points):
            samples = Samples.of(sample for sample, before in zip(samples, points, strict=True) if before)  # noqa: PLW2901
            points = samples.pick(heads[2::2])
        if points:
            pieces = [b""] * 4 * len(points)
            pieces[::4] = points
            pieces[1::4], pieces[2::4] = _values(layout, samples)
            pieces[3::4] = samples.pick(heads[3::2])
            metrics = scope + b"".join(pieces)
            size = varint(len(metrics))
            request += (b"\x0a", varint(len(resource) + 1 + len(size) + len(metrics)), resource, b"\x12", size, metrics)
    return b"".join(request)


def _values(layout: Layout, samples: Samples) -> tuple[list[bytes], tuple[bytes, ...]]:
    """For each sample its time, with the key of its number, and its number."""
    values, times_us = samples.values, samples.times_us
    doubles, integers = (
        {time_us: _KEYS(_TIME, time_us * 1000, key) for time_us in set(times_us)} for key in (_AS_DOUBLE, _AS_INT)
    )
    first = bisect_left(samples.slots, len(layout.sensors))  # of the counters, which are integers as sensors are not
    if layout.kind is LayoutKind.READINGS and max(values[first:], default=0) < _END:
        keys = [doubles[time_us] for time_us in times_us[:first]] + [integers[time_us] for time_us in times_us[first:]]
        return keys, eights(f"{first}d{len(values) - first}q", values)
    are_whole = [isinstance(value, int) and value < _END for value in values]
    keys = [(integers if is_whole else doubles)[time_us] for time_us, is_whole in zip(times_us, are_whole, strict=True)]
    return keys, eights("".join(["q" if is_whole else "d" for is_whole in are_whole]), values)


def key_of(heads: Sequence[bytes], slot: int) -> bytes:
    """The octets that only samples of the same series have."""
    return b"".join((heads[0], heads[2 + 2 * slot], heads[3 + 2 * slot]))


def partial_success(answer: bytes) -> tuple[int, str]:
    """How many points the receiver rejected, and why, by its answer's octets; 0 and "" if it says nothing of the kind."""
    rejected, reason = 0, ""
    try:
        for number, value in fields_of(answer):
            if number == 1 and isinstance(value, bytes):
                for inner, said in fields_of(value):
                    if inner == 1 and isinstance(said, int):
                        rejected = said
                    elif inner == 2 and isinstance(said, bytes):
                        reason = said.decode(errors="replace")
    except ValueError:
        return 0, ""
    return rejected, reason


def _around(labels: Labels) -> tuple[bytes, bytes]:
    """All of a Metric but its point's time and value: what goes before them, and behind."""
    name = dict(labels)["__name__"]
    attributes = b"".join(field(7, _key_value(*one)) for one in labels if one[0] not in ("__name__", "instance"))
    point = b"\x0a" + varint(_POINT_OCTETS + len(attributes))
    counts = is_counter(name)
    behind = attributes + (_CUMULATIVE_MONOTONIC if counts else b"")
    data = bytes([(7 if counts else 5) << 3 | 2]) + varint(len(point) + _POINT_OCTETS + len(behind)) + point
    start = field(1, name.encode()) + data
    return b"\x12" + varint(len(start) + _POINT_OCTETS + len(behind)) + start, behind


def _key_value(key: str, value: str) -> bytes:
    return field(1, key.encode()) + field(2, field(1, value.encode()))
