"""The octets are those that opentelemetry-proto makes of what it reads in them, and each value is a point, as it was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.answers import PartlyTaken
from towerops_agent.destinations.wire.otlp import export_request, heads_of, key_of, partial_success
from towerops_agent.destinations.wire.protobuf import fields_of
from towerops_agent.destinations.wire.samples import Samples, samples_of
from towerops_agent.destinations.wire.series import Labels, in_order, series_of
from towerops_agent.model import Layout, LayoutKind, Poll

NOW_US = 1_767_986_535_123_456
LAYOUT = Layout("e", (("s1", 10), ("s2", 1)), ("i1", "i2"))
STATE = Layout("e", kind=LayoutKind.STATE)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)


def device_of(name: str = "north", sensor: str = "board", labels: dict[str, str] | None = None) -> dict:
    return {
        "id": "e",
        "name": name,
        "ip_address": "10.1.0.2",
        "labels": labels or {},
        "sensors": [{"id": "s1", "unit": "C", "metadata": {"descr": sensor}}, {"id": "s2", "metadata": {"descr": "count"}}],
        "interfaces": [{"id": "i1", "if_index": 3, "if_name": "ether1"}, {"id": "i2", "if_index": 4}],
    }


def points(body: bytes) -> list[tuple[Labels, int | float, int]]:
    """Each point with its labels, of which a name is `__name__`, as the independent decoder reads it."""
    found = []
    for resource_metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        resource = {one.key: one.value.string_value for one in resource_metrics.resource.attributes}
        assert resource.pop("service.name") == "towerops-agent"
        for metric in resource_metrics.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            (point,) = getattr(metric, kind).data_points
            if kind == "sum":
                assert metric.sum.is_monotonic
                assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
            assert (kind == "sum") == metric.name.startswith("snmp_interface_")
            labels = {one.key: one.value.string_value for one in point.attributes}
            labels |= {"instance": resource["service.instance.id"], "__name__": metric.name}
            value = getattr(point, point.WhichOneof("value"))
            found.append((tuple(sorted(labels.items())), value, point.time_unix_nano))
    return found


@given(
    st.tuples(texts, texts, st.dictionaries(st.from_regex("[a-z]{1,8}", fullmatch=True), texts, max_size=3)),
    st.lists(st.none() | st.integers(0, (1 << 63) - 1), min_size=14, max_size=14),
    st.tuples(st.integers(0, 2), st.none() | st.integers(0, 10_000_000)),
)
def test_the_octets_are_those_of_an_independent_encoder_and_hold_each_value_once(words, values, state):
    found = series_of(device_of(*words), {"agent": "a1"})
    polls = [
        (LAYOUT, Poll(1, NOW_US, tuple(values), ((2, 1500), (2, 2999)), 1)),
        (STATE, Poll(2, NOW_US + 7, (state[0], 0, state[1]), ((1, 0),), 1)),
    ]
    samples = [samples_of(layout, poll) for layout, poll in polls]
    body = export_request((heads_of(layout, found), layout, some) for (layout, _), some in zip(polls, samples, strict=True))
    assert ExportMetricsServiceRequest.FromString(body).SerializeToString(deterministic=True) == body
    wanted = [
        (in_order(layout, found)[slot], value, time_us * 1000)
        for (layout, _), some in zip(polls, samples, strict=True)
        for slot, value, time_us in some
    ]
    assert points(body) == wanted


def test_a_counter_of_2_to_the_63_and_more_is_a_double():
    found = series_of(device_of(), {})
    poll = Poll(1, NOW_US, (None, None, (1 << 63) - 1, 1 << 63, *([None] * 10)), ((4, 0),), 1)
    values = [value for _, value, _ in points(export_request([(heads_of(LAYOUT, found), LAYOUT, samples_of(LAYOUT, poll))]))]
    assert values == [(1 << 63) - 1, float(1 << 63)]
    assert [type(value) for value in values] == [int, float]


def test_what_has_no_labels_is_left_out():
    assert export_request([(heads_of(LAYOUT, {}), LAYOUT, Samples.of([(0, 1.0, NOW_US)]))]) == b""


def test_series_have_keys_of_their_own():
    heads = heads_of(LAYOUT, series_of(device_of(), {}))
    assert len({key_of(heads, slot) for slot in range(14)}) == 14


@pytest.mark.parametrize(("rejected", "reason"), [(0, ""), (7, "out of order"), (0, "a warning only"), (1 << 40, "ä")])
def test_a_partial_success_is_read(rejected, reason):
    answer = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=reason)
    ).SerializeToString()
    assert partial_success(answer) == (rejected, reason)
    outcome = KINDS["otlp"].outcome_of(200, answer, "", "", None)
    assert isinstance(outcome, PartlyTaken) == bool(rejected)


@given(st.binary(max_size=60))
def test_an_answer_of_any_octets_is_read_or_ignored(answer):
    rejected, reason = partial_success(answer)
    assert rejected >= 0
    assert isinstance(reason, str)


@pytest.mark.parametrize("octets", [b"\x0a\x05ab", b"\x08", b"\x08" + b"\xff" * 12, b"\x0b\x00", b"\x09\x00"])
def test_octets_that_are_not_a_message_are_an_error(octets):
    with pytest.raises(ValueError, match=r"wire type|ends within"):
        list(fields_of(octets))
