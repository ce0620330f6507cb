"""The garbage collector leaves alone what a configuration has made, and works on what comes after it."""

import gc
import weakref

import pytest

from towerops_agent.telemetry.collector import left_alone


class Knot:
    def __init__(self):
        self.own = self


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_nothing_is_collected_within_and_what_was_made_is_left_out_afterwards():
    with left_alone():
        assert not gc.isenabled()
        made = [Knot() for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(made)
    assert not any(isinstance(thing, Knot) for thing in gc.get_objects())


def test_garbage_of_the_block_does_not_stay():
    with left_alone():
        gone = weakref.ref(Knot())
    assert gone() is None


def test_later_garbage_is_collected_and_what_was_left_out_goes_with_its_last_reference():
    with left_alone():
        kept = type("Kept", (), {})()
    later, kept_too = weakref.ref(Knot()), weakref.ref(kept)
    gc.collect()
    assert later() is None
    del kept
    assert kept_too() is None


def test_it_goes_on_after_a_failure():
    with pytest.raises(ValueError, match="bad"), left_alone():
        raise ValueError("bad")
    assert gc.isenabled()
