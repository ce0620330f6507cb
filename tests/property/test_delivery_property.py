"""What is sent is what was read; and every answer leads somewhere."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.api.wire.contract import InterfaceStat, Metrics, SensorReading
from towerops_agent.api.wire.outcomes import (
    Accepted,
    NotFound,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
    retry_after_s,
)
from towerops_agent.delivery.course.parcel import encode, metrics_in, metrics_of, timestamp
from towerops_agent.delivery.course.verdicts import Delivered, Halve, MetricRefused, RetryIn, decide
from towerops_agent.model import Layout, Poll

times_us = st.integers(0, 4_000_000_000_000_000)
counters = st.none() | st.integers(0, 2**64 - 1)
readings = st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e20, 1e20)
divisors = st.sampled_from([1, 10, 10.0, 100, 1000, 0.1, 2.5, -3, 1e-280, 1e300])
ids = st.text(min_size=1, max_size=12)


@st.composite
def polls(draw):
    sensors = draw(st.lists(st.tuples(ids, divisors), max_size=6))
    interfaces = draw(st.lists(ids, max_size=4))
    layout = Layout("e", tuple(sensors), tuple(interfaces))
    values = [draw(readings) for _ in sensors] + [draw(counters) for _ in range(6 * len(interfaces))]
    runs = []
    left = layout.item_count
    while left:
        count = draw(st.integers(1, left))
        runs.append((count, draw(st.integers(0, 10_000_000))))
        left -= count
    poll = Poll(1, draw(times_us), tuple(values), tuple(runs), 0)
    return layout, poll


def plainly(layout, poll):
    """The metrics of a poll, written down as the contract says it."""
    times = list(poll.item_times_us())
    metrics = []
    for (name, divisor), raw, time_us in zip(layout.sensors, poll.values, times, strict=False):
        if raw is not None:
            whole = isinstance(divisor, float) and divisor == int(divisor)
            value = raw if divisor == 1 else raw / (int(divisor) if whole else divisor)
            metrics.append(SensorReading(sensor_id=name, value=value, timestamp=timestamp(time_us)))
    for place, name in enumerate(layout.interfaces):
        begin = len(layout.sensors) + 6 * place
        six = poll.values[begin : begin + 6]
        if six[:2] != (None, None):
            metrics.append(
                InterfaceStat(
                    interface_id=name,
                    if_in_octets=six[0],
                    if_out_octets=six[1],
                    if_in_errors=six[2],
                    if_out_errors=six[3],
                    if_in_discards=six[4],
                    if_out_discards=six[5],
                    timestamp=timestamp(times[len(layout.sensors) + place]),
                )
            )
    return metrics


@given(st.lists(polls(), max_size=4), st.data())
def test_the_body_equals_the_structs_and_is_the_same_each_time(stored, data):
    parts = []
    expected = []
    for layout, poll in stored:
        metrics = plainly(layout, poll)
        first = data.draw(st.integers(0, len(metrics)))
        stop = data.draw(st.integers(first, len(metrics)))
        parts.append((layout, poll, first, stop))
        expected += metrics[first:stop]
    body = encode(metrics_in(parts))
    assert body == msgspec.json.encode(Metrics(metrics=expected))
    assert body == encode(metrics_in(iter(parts)))
    assert msgspec.json.decode(body, type=Metrics).metrics == expected
    json.loads(body, parse_constant=lambda constant: 1 / 0)


@given(polls())
def test_the_stretches_of_a_poll_make_the_whole(stored):
    layout, poll = stored
    whole = metrics_of(layout, poll)
    for cut in range(len(whole) + 1):
        assert metrics_of(layout, poll, 0, cut) + metrics_of(layout, poll, cut, len(whole)) == whole


@given(times_us)
def test_a_timestamp_reads_back_to_the_microsecond(time_us):
    moment = datetime.fromisoformat(timestamp(time_us))
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == time_us
    assert len(timestamp(time_us)) == 27


retry_afters = st.none() | st.floats(0, 600)
outcomes = st.one_of(
    st.builds(Accepted),
    st.builds(Unauthorized, st.sampled_from([401, 403])),
    st.builds(NotFound, st.text()),
    st.builds(TooLarge),
    st.builds(Rejected, st.sampled_from([400, 422]), st.text()),
    st.builds(Redirected, st.integers(300, 399), st.text()),
    st.builds(Unavailable, st.text(), st.none() | st.integers(100, 599), retry_afters),
)


@given(outcomes, st.integers(1, 10**6), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_every_answer_leads_to_a_decision_that_loses_nothing(outcome, attempt, metric_count, jitter):
    decision = decide(outcome, attempt, metric_count, jitter)
    assert isinstance(decision, Delivered | RetryIn | Halve | MetricRefused)
    assert isinstance(decision, Delivered) == isinstance(outcome, Accepted)
    if isinstance(decision, RetryIn):
        assert 1 <= decision.seconds <= (600 if getattr(outcome, "retry_after_s", None) else 60)
    if isinstance(decision, Halve):
        assert metric_count > 1
    if isinstance(decision, MetricRefused):
        assert metric_count == 1
        assert isinstance(outcome, TooLarge | Rejected)


@given(st.text() | st.integers().map(str) | st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT")))
def test_retry_after_is_within_10_minutes_or_nothing(value):
    seconds = retry_after_s(value, datetime(2026, 1, 9, tzinfo=UTC))
    assert seconds is None or 0 <= seconds <= 600
