"""What the agent learns of a refused series, and when the server is asked about it."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.delivery.course.parcel import ASK_AGAIN_US, ASK_EACH_US, REFUSALS, Exclusions, series_of_json

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
