"""Polls become the wire's metrics: right values, right times, nothing made up."""

import msgspec
import pytest

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, SensorReading
from towerops_agent.delivery.course.parcel import encode, metrics_in, metrics_of, quotient, timestamp
from towerops_agent.model import STATES, Layout, LayoutKind, Poll
from towerops_agent.reasons import code_of

STARTED_US = 1_767_986_535_000_000
LAYOUT = Layout("e1", (("s1", 10), ("s2", 1), ("s3", 1)), ("i1", "i2", "i3"))
POLL = Poll(
    layout=1,
    started_at_us=STARTED_US,
    values=(62, None, 4.25, *(1, 2, 3, 4, 5, 6), *(None,) * 6, *(None, 7, None, 0, None, None)),
    times=((1, 123_456), (3, 200_000), (2, 1_300_000)),
    metric_count=4,
)
AT = ("2026-01-09T19:22:15.123456Z", "2026-01-09T19:22:15.200000Z", "2026-01-09T19:22:16.300000Z")
COLUMNS = ("if_in_octets", "if_out_octets", "if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards")


def interface(name, values, at):
    return InterfaceStat(interface_id=name, **dict(zip(COLUMNS, values, strict=True)), timestamp=at)


METRICS = [
    SensorReading(sensor_id="s1", value=6.2, timestamp=AT[0]),
    SensorReading(sensor_id="s3", value=4.25, timestamp=AT[1]),
    interface("i1", (1, 2, 3, 4, 5, 6), AT[1]),
    interface("i3", (None, 7, None, 0, None, None), AT[2]),
]


def test_what_was_not_read_makes_no_metric_and_a_missing_counter_is_null():
    assert metrics_of(LAYOUT, POLL) == METRICS


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("stop", range(5))
def test_a_batch_may_hold_a_stretch_of_a_poll(first, stop):
    assert metrics_of(LAYOUT, POLL, first, stop) == METRICS[first:stop]


def test_the_body_is_the_contracts():
    assert encode(metrics_in([(LAYOUT, POLL, 1, 3)])) == (
        b'{"metrics":[{"type":"sensor_reading","sensor_id":"s3","value":4.25,"status":"ok",'
        b'"timestamp":"2026-01-09T19:22:15.200000Z"},{"type":"interface_stat","interface_id":"i1","if_in_octets":1,'
        b'"if_out_octets":2,"if_in_errors":3,"if_out_errors":4,"if_in_discards":5,"if_out_discards":6,'
        b'"timestamp":"2026-01-09T19:22:15.200000Z"}]}'
    )
    assert encode(metrics_in([])) == b'{"metrics":[]}'


@pytest.mark.parametrize(
    ("raw", "divisor", "value"),
    [
        (62, 10, 6.2),
        (62, 10.0, 6.2),
        (415, 10, 41.5),
        (-5, 100, -0.05),
        (7, 1, 7),
        (7, 1.0, 7),
        (2**63 + 1, 10, (2**63 + 1) / 10),
        (9007199254740995, 10, 900719925474099.5),  # as a float first: 900719925474099.6
        (9007199254740995, 10.0, 900719925474099.5),  # the layout's divisors are floats
        (9007199254740993, -3.0, -3002399751580331.0),
        (11214260448956895878, 10, 1121426044895689587.8),
        (2**64 - 1, 1, 2**64 - 1),
        (3, 0.1, 30.0),
        (4.5, -2, -2.25),
        (0, 10, 0.0),
        (2**64 - 1, 1e-280, (2**64 - 1) / 1e-280),
        (1e300, 1e-100, None),
        (float("nan"), 1, None),
        (float("inf"), 10, None),
        (5, 1e300, 5e-300),
    ],
)
def test_a_value_is_the_raw_reading_over_the_divisor(raw, divisor, value):
    got = quotient(raw, divisor)
    assert got == value
    assert type(got) is type(value)


def test_a_value_that_is_not_a_finite_number_is_left_out_and_moves_no_other():
    layout = Layout("e1", (("a", 1), ("b", 1e-200), ("c", 1)))
    poll = Poll(1, 0, (1, 1e300, 3), ((3, 0),), 3)
    assert [metric.sensor_id for metric in metrics_of(layout, poll)] == ["a", "c"]
    assert [metric.sensor_id for metric in metrics_of(layout, poll, 2, 3)] == ["c"]
    assert metrics_of(layout, poll, 1, 2) == []


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (999_999, "1970-01-01T00:00:00.999999Z"),
        (STARTED_US, "2026-01-09T19:22:15.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_a_timestamp_has_its_microseconds_exactly(time_us, text):
    assert timestamp(time_us) == text


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("stop", [*range(6), None])
def test_a_part_of_a_poll_is_that_part_of_its_metrics(first, stop):
    assert metrics_of(LAYOUT, POLL, first, stop) == METRICS[first:stop]


STATE = Layout("e1", kind=LayoutKind.STATE)


@pytest.mark.parametrize(
    ("values", "state", "reason", "response_ms"),
    [
        ((STATES.index("up"), code_of(""), 1_500), "up", "", 1.5),
        ((STATES.index("degraded"), code_of("timeout"), 0), "degraded", "timeout", 0.0),
        ((STATES.index("down"), code_of("auth"), None), "down", "auth", None),
        ((len(STATES), 10_000, None), "down", "other", None),
        ((-1, code_of(""), None), "down", "", None),
        ((None, code_of(""), None), "down", "", None),
    ],
)
def test_a_state_is_one_metric_and_one_that_is_not_known_is_down(values, state, reason, response_ms):
    poll = Poll(1, STARTED_US, values, ((1, 250_000),), 1)
    status = EquipmentStatus(
        equipment_id="e1", state=state, reason=reason, response_time_ms=response_ms, timestamp="2026-01-09T19:22:15.250000Z"
    )
    assert metrics_of(STATE, poll) == metrics_of(STATE, poll, 0, 1) == [status]
    assert metrics_of(STATE, poll, 0, 0) == metrics_of(STATE, poll, 1) == metrics_of(STATE, poll, 1, 2) == []


PINGS = Layout("e1", kind=LayoutKind.PINGS)


@pytest.mark.parametrize(
    ("values", "metric"),
    [
        ((5, 4, 1_000, 2_345, 3_000, 250), {"sent": 5, "received": 4, "rtt_min_ms": 1.0, "rtt_avg_ms": 2.345, "jitter_ms": 0.25}),
        ((5, 1, 900, 900, 900, None), {"sent": 5, "received": 1, "rtt_min_ms": 0.9, "rtt_max_ms": 0.9, "jitter_ms": None}),
        ((3, 0, None, None, None, None), {"sent": 3, "received": 0, "rtt_avg_ms": None, "rtt_max_ms": None, "jitter_ms": None}),
    ],
)
def test_a_round_of_pings_is_one_metric_whose_times_are_milliseconds(values, metric):
    poll = Poll(1, STARTED_US, values, ((1, 250_000),), 1)
    (made,) = metrics_of(PINGS, poll)
    as_json = msgspec.json.decode(msgspec.json.encode(made))
    metric |= {"type": "reachability", "equipment_id": "e1", "timestamp": "2026-01-09T19:22:15.250000Z"}
    assert as_json | metric == as_json
    assert metrics_of(PINGS, poll, 0, 1) == [made]
    assert metrics_of(PINGS, poll, 0, 0) == metrics_of(PINGS, poll, 1) == []
