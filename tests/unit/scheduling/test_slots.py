"""How many polls may be under way at once, and that slow ones take no place of others."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.scheduling.slots import SLOW_S, Slots


def test_a_poll_that_lasts_gives_its_place_back():
    slots = Slots(1, 1)
    assert slots.take("a", 0.0)
    assert slots.is_full(SLOW_S - 0.1)
    assert slots.room_at == SLOW_S
    assert not slots.is_full(SLOW_S)
    assert "a" in slots


def test_a_device_that_was_slow_waits_for_others_like_it_and_for_no_healthy_one():
    slots = Slots(1, 1)
    for key in ("a", "b"):
        slots.take(key, 0.0)
        slots.is_full(SLOW_S)
        slots.release(key, SLOW_S)
    assert slots.take("a", 10.0)
    assert not slots.take("b", 10.0)
    assert not slots.is_full(10.0)
    assert slots.take("healthy", 10.0)


def test_a_device_that_is_quick_again_is_one_of_the_healthy():
    slots = Slots(1, 0)
    slots.take("a", 0.0)
    slots.is_full(SLOW_S)
    slots.release("a", SLOW_S)
    assert not slots.take("a", 10.0)
    slots = Slots(1, 1)
    slots.take("a", 0.0)
    slots.release("a", SLOW_S)
    slots.take("a", 10.0)
    slots.release("a", 10.1)
    slots.take("a", 20.0)
    assert slots.is_full(20.0)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 20)), max_size=60))
def test_a_place_is_never_lost_and_no_more_are_quick_than_may_be(steps):
    """Each device begins when it may, and ends at its next turn; at the end all places are free again."""
    slots, now, running = Slots(2, 2), 0.0, set()
    for key, pause_s in steps:
        now += pause_s
        if key in running:
            slots.release(key, now)
            running.discard(key)
        elif not slots.is_full(now) and slots.take(key, now):
            running.add(key)
        assert len(slots) == len(running)
        assert all(key in slots for key in running)
        if slots.is_full(now):
            assert slots.room_at is not None
            assert now < slots.room_at
    for key in running:
        slots.release(key, now)
    assert len(slots) == 0
    assert not slots.is_full(now)
