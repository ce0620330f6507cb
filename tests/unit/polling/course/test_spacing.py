"""The least gap between requests, learned from devices that drop what comes sooner, and never from ones that lose at random."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from towerops_agent.polling.course.spacing import (
    LEAST_GAP_S,
    MOST_GAP_S,
    PRECISION,
    TRY_BELOW,
    TRY_EACH,
    Spacing,
    unanswered,
)

TIMEOUTS_S = (0.5, 1.0, 2.0)
RTT_S = 0.01


class Asking:
    """Requests to a device, one after another: what is known of its gap, and what it answers. Times are in seconds.

    `gap_s`: it drops what comes sooner after the last attempt that it answered. `loss`: how much is lost at random.
    """

    def __init__(self, gap_s=0.0, loss=0.0, seed=1):
        self.gap_s, self.loss, self.rng = gap_s, loss, random.Random(seed)
        self.now = 0.0
        self.last = -100.0
        self.spacing = None
        self.before = None
        self.vain = []
        self.waits = []

    def ask(self):
        """Ask once; whether it was answered."""
        wait_s, timeouts_s = (0.0, TIMEOUTS_S) if self.spacing is None else self.spacing.schedule(self.now, TIMEOUTS_S)
        began = self.now = self.now + wait_s
        same = not self.vain
        for timeout_s in timeouts_s:
            if self.now - self.last >= self.gap_s and self.rng.random() >= self.loss:
                self.last = sent = self.now
                self.now += RTT_S
                self.note(self.vain + unanswered(began, timeouts_s, sent), sent, same)
                return True
            self.now += timeout_s
        self.vain += unanswered(began, timeouts_s)
        return False

    def note(self, vain, sent, same):
        if self.spacing is not None:
            self.spacing = self.spacing if self.spacing.note(vain, sent, self.now, same=same) else None
        elif self.before is not None:
            self.spacing = Spacing.suspect(self.before, vain, sent, self.now, same=same)
        self.before, self.vain = (sent, self.now), []


@given(st.floats(0.6, 7.0))
def test_a_gap_is_found_and_becomes_certain(gap_s):
    """As exactly as is looked for; from then on nine tenths of what the device would answer is asked.

    Below a second less, as a repetition waits for half a second.
    """
    asking = Asking(gap_s)
    for _ in range(24):
        asking.ask()
    assert asking.spacing.is_certain
    assert gap_s <= asking.spacing.gap_s <= gap_s * (1 + PRECISION) + 3 * RTT_S
    began, answers = asking.now, 0
    for _ in range(100):
        answers += asking.ask()
    assert answers == 100
    assert answers * gap_s >= (0.9 if gap_s >= 1 else 0.8) * (asking.now - began)


@given(st.sampled_from([0.05, 0.3, 0.5]), st.integers(0, 1000))
def test_loss_is_never_taken_for_a_gap(loss, seed):
    asking = Asking(0.0, loss, seed)
    for _ in range(500):
        asking.ask()
        assert asking.spacing is None or not asking.spacing.is_certain


@given(st.floats(0.6, 5.0), st.floats(0.0, 0.1), st.integers(0, 1000))
def test_a_gap_is_found_through_loss_too(gap_s, loss, seed):
    asking = Asking(gap_s, loss, seed)
    for _ in range(200):
        asking.ask()
    assert asking.spacing.is_certain
    assert gap_s <= asking.spacing.gap_s <= 2 * gap_s


@given(st.floats(0.6, 5.0), st.floats(0.6, 5.0))
def test_a_gap_that_changes_is_followed(before_s, after_s):
    asking = Asking(before_s)
    for _ in range(30):
        asking.ask()
    asking.gap_s = after_s
    for _ in range(400):
        asking.ask()
    assert asking.spacing.gap_s >= after_s
    assert asking.spacing.gap_s <= max(after_s * (1 + 2 * PRECISION), after_s + 0.1)


def test_a_device_that_has_become_faster_is_asked_at_once_again():
    asking = Asking(2.0)
    for _ in range(30):
        asking.ask()
    asking.gap_s = 0.0
    asked = 0
    while asking.spacing is not None:
        asking.ask()
        asked += 1
    assert asked <= TRY_EACH
    began = asking.now
    for _ in range(10):
        asking.ask()
    assert asking.now - began < 1


def suspected(gap_s=2.0, **known):
    return Spacing(gap_s, sent_s=100.0, heard_s=100.01, **known)


def test_a_suspicion_delays_no_request_but_puts_its_repetition_on_the_gap():
    assert suspected().schedule(100.01, TIMEOUTS_S) == (0.0, pytest.approx((0.99, 1.0, 2.0)))
    assert suspected(floor_s=1.95).schedule(100.01, TIMEOUTS_S) == (0.0, pytest.approx((1.99, 2.0, 2.0)))
    assert suspected(0.3, floor_s=0.29).schedule(100.01, TIMEOUTS_S)[1] == pytest.approx((0.5, 1.0, 2.0))


def test_a_request_that_is_sent_once_waits_for_the_gap():
    """It would be lost for certain, and counted as one that is never answered."""
    assert suspected(floor_s=1.95, dropped=1).schedule(100.5, (1.0,)) == (pytest.approx(1.5), (1.0,))
    assert suspected(floor_s=1.95, is_certain=True).schedule(100.5, (1.0,)) == (pytest.approx(1.5), (1.0,))
    assert suspected(dropped=1).schedule(107.0, (1.0,)) == (0.0, (1.0,))


def test_a_request_that_is_sent_once_waits_for_no_gap_if_none_was_ever_asked_again_and_answered():
    """One that is never answered, with another behind it, looks like a gap; and each poll would wait for it."""
    assert suspected(floor_s=1.95).schedule(100.5, (1.0,)) == (0.0, (1.0,))


def test_a_certain_gap_is_kept_and_tried_now_and_then():
    spacing = suspected(floor_s=1.95, is_certain=True)
    for _ in range(TRY_EACH - 1):
        assert spacing.schedule(100.5, TIMEOUTS_S) == (pytest.approx(1.5), pytest.approx((0.5, 2.0, 2.0)))
    assert spacing.schedule(100.5, TIMEOUTS_S) == (0.0, pytest.approx((1.5, 2.0, 2.0)))
    assert spacing.floor_s == pytest.approx(1.95 * TRY_BELOW)


@given(
    st.floats(LEAST_GAP_S, MOST_GAP_S),
    st.floats(0, 1),
    st.booleans(),
    st.floats(0, 100),
    st.lists(st.floats(0.5, 5), min_size=1, max_size=4),
)
def test_no_attempt_is_repeated_before_its_answer_may_have_come(gap_s, below, certain, since_s, timeouts_s):
    """Nor is anything waited for that is over; as many attempts as were wanted."""
    spacing = suspected(gap_s, floor_s=gap_s * below, is_certain=certain)
    wait_s, waits_s = spacing.schedule(100.0 + since_s, timeouts_s)
    assert 0 <= wait_s <= gap_s + 1e-6
    assert len(waits_s) == len(timeouts_s)
    assert all(mine >= theirs for mine, theirs in zip(waits_s, timeouts_s, strict=True))
    assert waits_s[-1] == timeouts_s[-1]
    assert sum(waits_s) <= sum(timeouts_s) + len(timeouts_s) * gap_s + 1e-6


def test_only_a_request_that_was_lost_at_once_is_suspicious():
    before = (100.0, 100.01)
    assert Spacing.suspect(before, [], 102.0, 102.01, same=True) is None
    assert Spacing.suspect(before, [101.0], 102.0, 102.01, same=True) is None
    assert Spacing.suspect(before, [100.01], 100.2, 100.21, same=True) is None
    assert Spacing.suspect(before, [100.01], 100.0 + MOST_GAP_S + 1, 120.0, same=True) is None
    found = Spacing.suspect(before, [100.02, 100.5], 101.5, 101.51, same=True)
    assert (found.gap_s, found.floor_s, found.dropped) == (1.5, 0.5, 1)
    assert (found.sent_s, found.heard_s) == (101.5, 101.51)
    assert not found.is_likely


def test_a_smaller_request_that_is_answered_says_nothing_of_the_gap_of_a_larger_one():
    """The larger one may have been too large: it counts once it was answered itself."""
    found = Spacing.suspect((100.0, 100.01), [100.02, 100.5, 101.5], 103.5, 103.51, same=False)
    assert found.dropped == 0
    assert not found.is_likely


@given(st.floats(0.5, 3), st.floats(0.2, 20))
def test_attempts_are_unanswered_whose_time_had_passed_when_the_answered_one_was_sent(began, later):
    sent = unanswered(began, TIMEOUTS_S, began + later)
    assume(all(abs(later - edge - 0.0) > 0.2 for edge in (0.5, 1.5, 3.5)))
    assert sent == [began + at for at, over in ((0, 0.5), (0.5, 1.5), (1.5, 3.5)) if over < later]
    assert unanswered(began, TIMEOUTS_S) == [began, began + 0.5, began + 1.5]


@pytest.mark.parametrize(("late", "grown"), [(0, 0), (1, 1 / 6), (2, 1), (3, 3)])
def test_a_gap_grows_by_attempts_that_kept_it_and_were_lost_the_more_in_a_row_the_faster(late, grown):
    """One is likely loss."""
    spacing = suspected(is_certain=True)
    assert spacing.note([102.1 + n for n in range(late)], 110.0, 110.01, same=True)
    assert spacing.gap_s == pytest.approx(2.0 * (1 + PRECISION * grown))
    assert (spacing.heard, spacing.lost, spacing.sent_s, spacing.heard_s) == (1, late, 110.0, 110.01)


def test_no_gap_grows_past_the_longest():
    spacing = suspected(MOST_GAP_S - 0.1, is_certain=True)
    assert spacing.note([112.0, 113.0, 114.0], 120.0, 120.01, same=True)
    assert spacing.gap_s == MOST_GAP_S


def test_an_attempt_that_came_too_soon_and_was_lost_shows_a_gap_longer_than_that():
    spacing = suspected()
    assert spacing.note([101.0, 100.5], 102.5, 102.51, same=True)
    assert (spacing.floor_s, spacing.gap_s, spacing.heard, spacing.lost) == (1.0, 2.0, 1, 0)


def test_an_answer_to_an_attempt_that_came_sooner_shows_a_shorter_gap():
    """And what was thought too short may be none, if it is not shorter than that."""
    spacing = suspected(floor_s=1.0)
    assert spacing.note([], 101.5, 101.51, same=True)
    assert (spacing.gap_s, spacing.floor_s, spacing.heard) == (1.5, 1.0, 0)
    assert spacing.note([], 102.4, 102.41, same=True)
    assert (spacing.gap_s, spacing.floor_s) == (pytest.approx(0.9), 0.0)


def test_an_answer_at_once_refutes_a_gap():
    assert not suspected().note([], 100.05, 100.06, same=True)


def test_a_gap_below_the_least_is_not_one():
    assert not suspected(0.3).note([], 100.2, 100.21, same=True)


def test_only_the_same_request_lost_at_once_and_answered_later_counts_as_dropped():
    spacing = suspected()
    spacing.note([100.02], 102.5, 102.51, same=False)
    assert (spacing.dropped, spacing.is_likely) == (0, False)
    spacing.note([102.52], 105.0, 105.01, same=True)
    assert (spacing.dropped, spacing.is_likely) == (1, False)
    spacing.note([105.02], 107.5, 107.51, same=True)
    assert (spacing.dropped, spacing.is_likely, spacing.is_certain) == (2, True, False)


def test_a_gap_is_looked_for_between_what_was_too_short_and_what_was_answered():
    assert suspected(floor_s=1.0).target_s == 1.5
    assert suspected(floor_s=1.95).target_s == 2.0
    recalled = Spacing.recalled(2.0)
    assert (recalled.gap_s, recalled.floor_s, recalled.is_certain) == (2.0, 2.0 * TRY_BELOW, True)
