"""What the agent learns of a refused series, and when the server is asked about it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Reachability, SensorReading
from towerops_agent.delivery.course import parcel
from towerops_agent.delivery.course.parcel import (
    ASK_AGAIN_US,
    ASK_EACH_US,
    KEPT_US,
    REFUSALS,
    Exclusions,
    beginning_of,
    series_of_json,
)

COLUMNS = ("if_in_octets", "if_out_octets", "if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards")
TIMES = ("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "jitter_ms")
REASON = "status 422: no such sensor"


def learned(newest_batch: int = 7) -> Exclusions:
    exclusions = Exclusions()
    new = [exclusions.learn("sensor_reading s", REASON, newest_batch, 0) for _ in range(REFUSALS)]
    assert new == [False] * (REFUSALS - 1) + [True]
    return exclusions


def test_batches_after_the_newest_one_leave_it_out_until_it_is_accepted_again():
    exclusions = learned(7)
    assert exclusions.of(7) == {}
    assert exclusions.of(8) == {"sensor_reading s": REASON}
    exclusions.accepted("sensor_reading s", 9, 1)
    assert [bool(exclusions.of(batch)) for batch in (7, 8, 9, 10)] == [False, True, True, False]
    assert len(exclusions) == 0


def test_refusals_that_are_hours_apart_teach_nothing():
    exclusions = Exclusions()
    for hour in range(20):
        assert not exclusions.learn("sensor_reading s", REASON, 7, hour * ASK_EACH_US)
    assert exclusions.of(100) == {}


def test_it_is_due_once_an_hour_and_a_minute_after_an_ask_without_an_answer():
    exclusions = learned()
    assert exclusions.due(ASK_EACH_US - 1) is None
    assert exclusions.due(ASK_EACH_US) == "sensor_reading s"
    exclusions.refused("sensor_reading s", ASK_EACH_US)
    assert exclusions.due(ASK_EACH_US) is None
    assert exclusions.due(2 * ASK_EACH_US) == "sensor_reading s"
    exclusions.unanswered("sensor_reading s", 2 * ASK_EACH_US)
    assert exclusions.due(2 * ASK_EACH_US + ASK_AGAIN_US - 1) is None
    assert exclusions.due(2 * ASK_EACH_US + ASK_AGAIN_US) == "sensor_reading s"


def test_what_an_operator_wants_tried_is_due_at_once_and_once():
    exclusions = learned()
    exclusions.want(["sensor_reading other"])
    assert exclusions.due(0) == "sensor_reading other"
    exclusions.unanswered("sensor_reading other", 0)
    assert exclusions.due(0) is None
    assert exclusions.due(ASK_AGAIN_US) == "sensor_reading other"
    exclusions.refused("sensor_reading other", ASK_AGAIN_US)
    assert exclusions.due(ASK_AGAIN_US) is None


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 200))
def test_what_a_batch_leaves_out_is_the_same_after_a_restart(learned_at, accepted_at, batch):
    """And whatever happened since it was cut: the body under a key never changes."""
    exclusions = learned(learned_at)
    before = exclusions.of(batch)
    again = Exclusions(exclusions.encode())
    assert again.of(batch) == before
    again.accepted("sensor_reading s", max(accepted_at, batch), 1)
    assert Exclusions(again.encode()).of(batch) == before


@given(st.binary(max_size=40))
def test_what_cannot_be_read_is_learned_again(kept):
    assert len(Exclusions(kept)) == 0
    assert series_of_json(kept) is None


def test_refusals_within_an_hour_either_way_of_the_clock_teach_and_a_full_hour_apart_do_not():
    for times_us, is_learned in (
        ((0, 1, ASK_EACH_US - 1), True),
        ((0, 1, ASK_EACH_US), False),
        ((ASK_EACH_US, 2, 1), True),
        ((ASK_EACH_US, ASK_EACH_US - 1, 0), False),
    ):
        exclusions = Exclusions()
        new = [exclusions.learn("sensor_reading s", REASON, 7, at_us) for at_us in times_us]
        assert new == [False, False, is_learned]
        assert len(exclusions) == is_learned


def test_what_is_left_out_already_is_not_new_and_after_it_was_accepted_it_is_learned_again():
    exclusions = learned(7)
    assert [exclusions.learn("sensor_reading s", "another", 9, 0) for _ in range(REFUSALS)] == [False] * REFUSALS
    assert exclusions.of(8) == {"sensor_reading s": REASON}
    exclusions.accepted("sensor_reading s", 9, 1)
    assert [exclusions.learn("sensor_reading s", "another", 12, 2) for _ in range(REFUSALS)] == [False] * (REFUSALS - 1) + [True]
    assert (exclusions.of(12), exclusions.of(13)) == ({}, {"sensor_reading s": "another"})


def test_no_more_series_are_learned_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(parcel, "MOST_SERIES", 2)
    exclusions = Exclusions()
    for _ in range(REFUSALS):
        for series in ("a", "b", "c"):
            exclusions.learn(series, REASON, 7, 0)
    assert exclusions.of(8) == {"a": REASON, "b": REASON}
    for _ in range(REFUSALS):
        exclusions.learn("d", REASON, 7, 0)
    assert exclusions.of(8) == {"a": REASON, "b": REASON}


def test_a_series_that_is_accepted_again_is_known_for_a_day_and_an_hour():
    """For the batches that were sent without it."""
    exclusions = Exclusions()
    for series in ("a", "b", "c"):
        for _ in range(REFUSALS):
            exclusions.learn(series, REASON, 7, 0)
    exclusions.accepted("a", 9, 1_000)
    exclusions.accepted("a", 99, 2_000)
    exclusions.accepted("unknown", 9, 3_000)
    assert set(exclusions.of(9)) == {"a", "b", "c"}
    assert set(exclusions.of(10)) == {"b", "c"}, "only the first time counts"
    exclusions.accepted("b", 9, 1_000 + KEPT_US - 1)
    assert set(exclusions.of(9)) == {"a", "b", "c"}
    exclusions.accepted("c", 9, 1_000 + KEPT_US)
    assert set(exclusions.of(9)) == {"b", "c"}
    assert len(exclusions) == 0


def test_of_several_the_one_that_was_not_asked_about_for_longest_is_due():
    exclusions = Exclusions()
    for series, at_us in (("b", 2), ("a", 1), ("c", 3)):
        for _ in range(REFUSALS):
            exclusions.learn(series, REASON, 7, at_us)
    assert exclusions.due(ASK_EACH_US) is None
    assert exclusions.due(ASK_EACH_US + 9) == "a"
    exclusions.refused("a", ASK_EACH_US + 9)
    assert exclusions.due(ASK_EACH_US + 9) == "b"
    assert exclusions.due(-ASK_EACH_US) in ("b", "c"), "a clock that was set back"


@pytest.mark.parametrize(
    ("metric", "series"),
    [
        (b'{"type":"sensor_reading","sensor_id":"s","value":1,"timestamp":"t"}', "sensor_reading s"),
        (msgspec.json.encode(InterfaceStat(interface_id="i", **dict.fromkeys(COLUMNS, 1), timestamp="t")), "interface_stat i"),
        (
            msgspec.json.encode(EquipmentStatus(equipment_id="e", state="up", reason="", response_time_ms=None, timestamp="t")),
            "equipment_status e",
        ),
        (
            msgspec.json.encode(Reachability(equipment_id="e", sent=5, received=0, **dict.fromkeys(TIMES), timestamp="t")),
            "reachability e",
        ),
        (b'{"type":"something","id":"x"}', None),
    ],
)
def test_a_series_is_the_kind_of_metric_and_the_id_of_what_it_was_read_of(metric, series):
    assert series_of_json(metric) == series
    assert series is None or metric.startswith(beginning_of(series))


@given(st.text(), st.text())
def test_a_metric_begins_as_its_series_and_as_no_other(one, other):
    """Whatever is in the ids. A server may count its sensors from 1, and its interfaces too."""
    sensor = msgspec.json.encode(SensorReading(sensor_id=one, value=1, timestamp="t"))
    interface = msgspec.json.encode(InterfaceStat(one, *[1] * len(COLUMNS), "t"))
    for metric in (sensor, interface):
        for series in (f"{kind} {an_id}" for kind in ("sensor_reading", "interface_stat") for an_id in (one, other)):
            assert metric.startswith(beginning_of(series)) == (series_of_json(metric) == series)


def test_in_how_many_seconds_something_that_an_operator_wants_is_due():
    exclusions = learned()
    assert exclusions.wanted_in_s(0) is None, "the learned ones are asked about by themselves"
    exclusions.want(["a", "b"])
    assert exclusions.wanted_in_s(-2_500_000) == 2.5
    assert exclusions.wanted_in_s(7_000_000) == 0.0
    exclusions.unanswered("a", 7_000_000)
    assert exclusions.wanted_in_s(7_000_000) == 0.0, "the other one"
    exclusions.refused("b", 7_000_000)
    assert exclusions.wanted_in_s(7_000_000) == ASK_AGAIN_US / 1e6
    assert exclusions.wanted_in_s(17_500_000) == ASK_AGAIN_US / 1e6 - 10.5
    exclusions.accepted("a", 9, 8_000_000)
    assert exclusions.wanted_in_s(8_000_000) is None


def test_a_series_that_was_accepted_has_to_be_refused_as_often_as_another():
    exclusions = Exclusions()
    for _ in range(REFUSALS - 1):
        assert not exclusions.learn("a", REASON, 7, 0)
    exclusions.accepted("a", 7, 0)
    assert [exclusions.learn("a", REASON, 7, 0) for _ in range(REFUSALS)] == [False] * (REFUSALS - 1) + [True]


def test_a_series_beyond_the_room_is_not_new(monkeypatch):
    monkeypatch.setattr(parcel, "MOST_SERIES", 1)
    exclusions = Exclusions()
    for series in ("a", "b"):
        new = [exclusions.learn(series, REASON, 7, 0) for _ in range(REFUSALS)]
        assert new[-1] is (series == "a")


def test_series_that_are_watched_are_no_more_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(parcel, "MOST_SERIES", 2)
    exclusions = Exclusions()
    for series in ("a", "b", "c"):
        exclusions.learn(series, REASON, 7, 0)
    exclusions.accepted("a", 7, 0)
    exclusions.accepted("b", 7, 0)
    assert [exclusions.learn("c", REASON, 7, 0) for _ in range(REFUSALS)][-1], "it was not watched, and is from now on"
    assert not Exclusions(exclusions.encode()).learn("c", REASON, 7, 0)
