"""The octets are those that protobuf's own library makes, and each value is sent once, as it was read."""

import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strict import WriteRequest
from towerops_agent.api.wire.contract import SensorReading
from towerops_agent.delivery.course.parcel import metrics_of
from towerops_agent.destinations.course.fit import latest_of
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.wire.remote_write import (
    encode_labels,
    is_writable,
    plain_snappy,
    write_request,
)
from towerops_agent.destinations.wire.samples import Samples, samples_of
from towerops_agent.model import INTERFACE_COLUMNS, Layout, LayoutKind, Poll

NOW_US = 1_767_986_535_123_000


labels_of = st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=200), min_size=1, max_size=6).map(
    lambda labels: tuple(sorted(labels.items()))
)
values = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value != 0)  # proto3 leaves 0 out
times_ms = st.integers(1 << 35, (1 << 42) - 1)


@given(st.lists(st.tuples(labels_of, values, times_ms), max_size=6))
def test_the_octets_are_those_of_protobufs_own_library(series):
    body = write_request(
        [([encode_labels(labels)], LAYOUT, Samples.of([(0, value, time_ms * 1000 + 999)])) for labels, value, time_ms in series]
    )
    read = WriteRequest.FromString(body)
    found = [
        (tuple((label.name, label.value) for label in one.labels), one.samples[0].value, one.samples[0].timestamp)
        for one in read.timeseries
    ]
    assert found == [(labels, value, time_ms) for labels, value, time_ms in series]
    assert all(len(one.samples) == 1 for one in read.timeseries)
    assert read.SerializeToString(deterministic=True) == body


def test_zero_is_a_value():
    body = write_request([([encode_labels((("a", "b"),))], LAYOUT, Samples.of([(0, 0.0, NOW_US)]))])
    assert struct.pack("<d", 0.0) in body
    assert WriteRequest.FromString(body).timeseries[0].samples[0].value == 0.0


LAYOUT = Layout("e", (("s1", 10), ("s2", 1), ("s3", 1)), ("i1", "i2"))
POLL = Poll(
    7,
    NOW_US,
    (415, None, 2, *(1 << 40, 5, 0, None, 3, 4), *(None, None, 1, 1, 1, 1)),
    ((3, 1500), (2, 2999)),
    3,
)


def test_each_value_is_a_sample_at_the_time_of_its_reply_and_what_was_not_read_is_absent():
    assert list(samples_of(LAYOUT, POLL)) == [
        (0, 41.5, NOW_US + 1500),
        (2, 2.0, NOW_US + 1500),
        (3, 1 << 40, NOW_US + 2999),
        (4, 5, NOW_US + 2999),
        (5, 0, NOW_US + 2999),
        (7, 3, NOW_US + 2999),
        (8, 4, NOW_US + 2999),
    ]


@pytest.mark.parametrize(
    ("first", "stop", "slots"), [(0, 1, [0]), (1, 2, [2]), (2, 3, [3, 4, 5, 7, 8]), (3, 4, []), (1, None, [2, 3, 4, 5, 7, 8])]
)
def test_the_samples_of_a_part_of_a_poll_are_those_of_its_metrics(first, stop, slots):
    assert [slot for slot, _, _ in samples_of(LAYOUT, POLL, first, stop)] == slots


numbers = st.none() | st.integers(0, 1 << 40) | st.floats(-1e9, 1e9)


@st.composite
def layouts_and_polls(draw) -> tuple[Layout, Poll, int, int | None]:
    """Any poll, and which of its metrics are wanted."""
    sensors = tuple((f"s{n}", draw(st.sampled_from([1, 10, 0.5]))) for n in range(draw(st.integers(0, 4))))
    interfaces = tuple(f"i{n}" for n in range(draw(st.integers(0, 3))))
    layout = Layout("e", sensors, interfaces)
    counter = st.integers(0, 1 << 40)
    counters = draw(st.sampled_from([counter, st.none() | counter]))
    read = [draw(numbers) for _ in sensors] + [draw(counters) for _ in range(6 * len(interfaces))]
    times = tuple((1, draw(st.integers(0, 10_000_000))) for _ in range(layout.item_count))
    first = draw(st.integers(0, 4))
    stop = draw(st.none() | st.integers(first, 8))
    return layout, Poll(7, NOW_US + 999, tuple(read), times, 1), first, stop


@given(layouts_and_polls())
def test_the_samples_are_the_metrics_that_the_api_would_have(case):
    """Number for number, at the same times: what a batch counts as a metric is one for both."""
    layout, poll, first, stop = case
    wanted = []
    for metric in metrics_of(layout, poll, first, stop):
        at_us = round(datetime.fromisoformat(metric.timestamp).timestamp() * 1e6)
        if isinstance(metric, SensorReading):
            slot = [sensor for sensor, _ in layout.sensors].index(metric.sensor_id)
            wanted.append((slot, float(metric.value), at_us))
        else:
            begin = len(layout.sensors) + 6 * layout.interfaces.index(metric.interface_id)
            for column, name in enumerate(INTERFACE_COLUMNS):
                if (counter := getattr(metric, name)) is not None:
                    wanted.append((begin + column, counter, at_us))
    assert list(samples_of(layout, poll, first, stop)) == wanted


@pytest.mark.parametrize(("time_ms", "fit"), [((1 << 35) - 1, False), (1 << 35, True), ((1 << 42) - 1, True), (1 << 42, False)])
def test_times_that_take_six_octets_can_be_written(time_ms, fit):
    assert is_writable(time_ms) == fit


def test_a_state_is_up_or_not_and_how_long_it_took():
    layout = Layout("e", kind=LayoutKind.STATE)
    samples = [
        list(samples_of(layout, Poll(7, NOW_US, values, ((1, 0),), 1)))
        for values in ((0, 0, 2500), (1, 3, 5), (2, 1, None), (1, 2, None))
    ]
    assert samples == [
        [(0, 1, NOW_US), (1, 0.0025, NOW_US)],
        [(0, 1, NOW_US), (1, 0.000005, NOW_US)],
        [(0, 0, NOW_US)],
        [(0, 0, NOW_US)],  # it only answers pings
    ]


def test_pings_are_counts_and_seconds():
    layout = Layout("e", kind=LayoutKind.PINGS)
    assert list(samples_of(layout, Poll(7, NOW_US, (5, 4, 2100, 2200, 2500, 200), ((1, 0),), 1))) == [
        (slot, value, NOW_US) for slot, value in enumerate((5, 4, 0.0021, 0.0022, 0.0025, 0.0002))
    ]
    lost = Poll(7, NOW_US, (5, 0, None, None, None, None), ((1, 0),), 1)
    assert list(samples_of(layout, lost)) == [(0, 5, NOW_US), (1, 0, NOW_US)]
    assert list(samples_of(layout, lost, 1)) == list(samples_of(layout, lost, 0, 0)) == []


def test_a_series_without_labels_is_left_out_and_a_time_of_another_century_is_an_error():
    head = encode_labels((("a", "b"),))
    assert write_request([([b"", head], LAYOUT, Samples.of([(0, 1, NOW_US)]))]) == encode_labels(()) == b""
    with pytest.raises(ValueError, match="not one from 1971 to 2109"):
        write_request([([head], LAYOUT, Samples.of([(0, 1.0, 5000)]))])


def test_the_latest_sample_of_each_series_is_found():
    a, b = encode_labels((("a", "1"),)), encode_labels((("b", "2"),))
    parts = [
        ([a, b], LAYOUT, Samples.of([(0, 1.0, NOW_US), (1, 2.0, NOW_US)])),
        ([a], LAYOUT, Samples.of([(0, 3.0, NOW_US + 9)])),
    ]
    wanted = [([a, b], LAYOUT, Samples.of([(1, 2.0, NOW_US)])), ([a], LAYOUT, Samples.of([(0, 3.0, NOW_US + 9)]))]
    assert latest_of(KINDS["remote_write"].key_of, parts) == wanted


@given(st.binary(max_size=300) | st.integers(65_530, 140_000).map(bytes))
def test_snappy_without_a_library_is_snappy(octets):
    cramjam = pytest.importorskip("cramjam")
    assert bytes(cramjam.snappy.decompress_raw(plain_snappy(octets))) == octets
