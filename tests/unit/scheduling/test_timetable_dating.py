"""Polls of a machine that does not know the time yet get the time at which they were made, or are counted; none is of 1970."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.counters import Count, Counters
from towerops_agent.model import Poll
from towerops_agent.scheduling.timetable import KNOWN_FROM_US, MOST_HELD, Dating

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


class Bench:
    """True time goes on; the machine's wall clock shows `wrong_us` too much until it is set."""

    def __init__(self, wrong_us=-NOW_US, is_synced=None):
        self.true_us, self.wrong_us, self.is_synced = NOW_US, wrong_us, is_synced
        self.paused_us = 0
        self.stored, self.counters, self.heard = [], Counters(), []
        self.dating = Dating(
            self.stored.append,
            self.counters,
            wall_us=lambda: self.true_us + self.wrong_us,
            steady_us=lambda: self.true_us - NOW_US + 77 - self.paused_us,
            is_synced=lambda: self.is_synced,
            on_unset=lambda: self.heard.append("unset"),
            on_set=self.heard.append,
        )

    def poll(self, lasts_us=2 * SECOND_US, set_after_us=None):
        """A poll from now on, two values received at its end; when it truly began. `set_after_us`: the clock is set during it."""
        began_us, started_at_us = self.true_us, self.true_us + self.wrong_us
        if set_after_us is not None:
            self.true_us += set_after_us
            self.wrong_us = 0
            lasts_us -= set_after_us
        self.true_us += lasts_us
        received_us = self.true_us + self.wrong_us
        self.dating.take(Poll(1, started_at_us, (1, 2), ((2, received_us - started_at_us),), 2))
        return began_us


def test_a_clock_that_is_set_changes_nothing():
    bench = Bench(wrong_us=0)
    assert bench.poll() == bench.stored[0].started_at_us
    assert bench.heard == []


def test_what_was_read_before_the_first_step_is_dated_by_it():
    bench = Bench()
    began = [bench.poll() for _ in range(3)]
    assert bench.stored == []
    bench.wrong_us = 0
    began.append(bench.poll())
    assert [poll.started_at_us for poll in bench.stored] == began
    assert all(poll.times == ((2, 2 * SECOND_US),) for poll in bench.stored)
    assert bench.heard == ["unset", 3]


def test_the_date_of_the_api_will_do_though_the_clock_is_never_set():
    bench = Bench()
    began = [bench.poll()]
    bench.dating.heard(bench.wrong_us / SECOND_US)
    began += [bench.poll() for _ in range(3)]
    assert [poll.started_at_us for poll in bench.stored] == began


def test_a_step_in_the_middle_of_a_poll_misplaces_neither_its_start_nor_its_values():
    bench = Bench()
    began = bench.poll(lasts_us=5 * SECOND_US, set_after_us=3 * SECOND_US)
    (poll,) = bench.stored
    assert poll.started_at_us == began
    assert list(poll.item_times_us()) == [began + 5 * SECOND_US] * 2


def test_what_waits_is_bounded_and_what_is_lost_is_counted():
    bench = Bench()
    for _ in range(MOST_HELD + 5):
        bench.poll()
    assert bench.counters.get(Count.METRICS_DROPPED, "clock_unset") == 5 * 2
    bench.dating.give_up()
    assert bench.counters.get(Count.METRICS_DROPPED, "clock_unset") == (MOST_HELD + 5) * 2
    assert bench.stored == []


@given(st.lists(st.sampled_from(["poll", "set", "unset", "date"]), max_size=30))
def test_nothing_is_of_1970_nothing_is_lost_uncounted_and_no_time_is_off(steps):
    bench = Bench()
    began = []
    for step in steps:
        match step:
            case "poll":
                began.append(bench.poll())
            case "set":
                bench.wrong_us = 0
            case "unset":
                bench.wrong_us = -NOW_US
            case "date":
                bench.dating.heard(bench.wrong_us / SECOND_US)
    bench.dating.give_up()
    assert all(poll.started_at_us >= KNOWN_FROM_US for poll in bench.stored)
    assert len(bench.stored) * 2 + bench.counters.get(Count.METRICS_DROPPED, "clock_unset") == len(began) * 2
    assert {poll.started_at_us for poll in bench.stored} <= set(began)


def test_a_poll_that_began_while_a_known_clock_was_wrong_for_a_moment_is_of_its_end():
    bench = Bench(wrong_us=0)
    bench.dating.take(Poll(1, 5 * SECOND_US, (1,), ((1, 0),), 1))
    assert [poll.started_at_us for poll in bench.stored] == [bench.true_us]
    assert bench.heard == []


HOUR_US = 3600 * SECOND_US


def late(bench, polls):
    """The polls as they are once they were moved by what the dating says."""
    late_us = bench.dating.settle()
    return [poll.started_at_us + late_us for poll in polls]


def test_a_clock_that_ntp_keeps_right_is_sure_from_the_start_on():
    assert Bench(wrong_us=0, is_synced=True).dating.unsure_us is None
    assert Bench(wrong_us=-5 * HOUR_US).dating.unsure_us is None, "the kernel does not say, so nobody would ever know"


def test_polls_of_a_clock_that_is_hours_behind_are_moved_by_what_the_api_shows():
    bench = Bench(wrong_us=-5 * HOUR_US, is_synced=False)
    began = [bench.poll() for _ in range(3)]
    assert not bench.dating.can_settle
    bench.dating.heard(bench.wrong_us / SECOND_US)
    assert bench.dating.can_settle
    assert late(bench, bench.stored) == began
    began.append(bench.poll())
    assert len(bench.stored) == 3, "those that end while others are moved wait for it"
    bench.dating.settled()
    began.append(bench.poll())
    assert [poll.started_at_us for poll in bench.stored[3:]] == began[3:], "the clock is still behind"
    bench.wrong_us, bench.is_synced = 0, True
    began.append(bench.poll())
    assert bench.stored[-1].started_at_us == began[-1]


def test_ntp_s_step_moves_what_was_stored_before_it_and_a_poll_in_its_middle():
    bench = Bench(wrong_us=-5 * HOUR_US, is_synced=False)
    began = [bench.poll()]
    began.append(bench.poll(lasts_us=5 * SECOND_US, set_after_us=3 * SECOND_US))
    bench.is_synced = True
    assert bench.dating.can_settle
    assert late(bench, bench.stored) == began
    assert [list(poll.times) for poll in bench.stored] == [[(2, 2 * SECOND_US)], [(2, 5 * SECOND_US)]]


def test_a_clock_that_agrees_with_the_api_moves_nothing_though_no_ntp_keeps_it():
    bench = Bench(wrong_us=20 * SECOND_US, is_synced=False)
    bench.poll()
    bench.dating.heard(bench.wrong_us / SECOND_US)
    assert bench.dating.settle() == 0


def test_an_api_that_does_not_show_its_time_holds_up_nothing():
    bench = Bench(wrong_us=-5 * HOUR_US, is_synced=False)
    bench.dating.heard(None)
    assert bench.dating.can_settle
    assert bench.dating.settle() == 0


def test_the_api_s_wrong_time_moves_nothing_of_a_clock_that_ntp_keeps_right():
    bench = Bench(wrong_us=0, is_synced=True)
    bench.dating.heard((-5 * HOUR_US) / SECOND_US)
    assert bench.poll() == bench.stored[0].started_at_us


def test_the_whole_seconds_of_the_api_s_time_do_not_move_polls_to_and_fro():
    bench = Bench(wrong_us=-5 * HOUR_US, is_synced=False)
    bench.dating.heard(bench.wrong_us / SECOND_US)
    bench.dating.settle()
    bench.dating.settled()
    off = []
    for error_us in (0, 900_000, -700_000, 400_000):
        bench.dating.heard((bench.wrong_us + error_us) / SECOND_US)
        off.append(bench.poll() - bench.stored[-1].started_at_us)
    assert off == [0, 0, 0, 0]


@given(
    st.lists(st.sampled_from(["poll", "long", "by hand", "ntp", "slow", "answer"]), max_size=30),
    st.sampled_from([-30 * 24 * HOUR_US, -5 * HOUR_US, -40 * SECOND_US, 0, 2 * HOUR_US]),
)
def test_whatever_sets_the_clock_polls_have_their_time_once_it_is_known(steps, wrong_us):
    """As settling.py uses it: what is stored so far is moved at the first evidence, once; no poll is lost."""
    bench = Bench(wrong_us, is_synced=False)
    began, moved, has_evidence = [], 0, False
    for step in steps:
        match step:
            case "poll":
                began.append(bench.poll())
            case "long":
                began.append(bench.poll(lasts_us=20 * SECOND_US))
            case "by hand" if not has_evidence:
                bench.wrong_us = -7 * HOUR_US
            case "ntp":
                bench.wrong_us, bench.is_synced, has_evidence = 0, True, True
            case "slow":
                bench.true_us += 600 * SECOND_US
            case "answer":
                bench.dating.heard(bench.wrong_us / SECOND_US)
                has_evidence = True
        if has_evidence and bench.dating.unsure_us is not None:
            moved = late(bench, bench.stored)
            bench.dating.settled()
            bench.stored[: len(moved)] = [poll_at(one, at) for one, at in zip(bench.stored, moved, strict=True)]
    assert len(bench.stored) == len(began)
    if has_evidence:
        within_us = 30 * SECOND_US  # as far as clocks may differ before anything is done
        assert all(abs(poll.started_at_us - at) <= within_us for poll, at in zip(bench.stored, began, strict=True))


def poll_at(poll, started_at_us):
    """The poll as of another time."""
    return Poll(poll.layout, started_at_us, poll.values, poll.times, poll.metric_count)


def test_a_clock_that_is_set_is_believed_until_the_api_answers_again():
    """As that of a guest whose clocks its host had stand still for hours, and then set: what the API has shown is older."""
    bench = Bench(wrong_us=0, is_synced=False)
    bench.dating.heard(0.0)
    bench.dating.settle()
    bench.dating.settled()
    began = [bench.poll()]
    bench.true_us += 5 * HOUR_US
    bench.paused_us = 5 * HOUR_US
    began.append(bench.poll())
    bench.wrong_us = 2 * HOUR_US
    bench.dating.heard(bench.wrong_us / SECOND_US)
    began.append(bench.poll())
    assert [poll.started_at_us for poll in bench.stored] == began
