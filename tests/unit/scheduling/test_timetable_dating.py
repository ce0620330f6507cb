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

    def __init__(self, wrong_us=-NOW_US):
        self.true_us, self.wrong_us, self.ahead_us = NOW_US, wrong_us, None
        self.stored, self.counters, self.heard = [], Counters(), []
        self.dating = Dating(
            self.stored.append,
            self.counters,
            wall_us=lambda: self.true_us + self.wrong_us,
            steady_us=lambda: self.true_us - NOW_US + 77,
            ahead_us=lambda: self.ahead_us,
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
    bench.ahead_us = bench.wrong_us
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
                bench.ahead_us = bench.wrong_us
        if step != "date" and bench.ahead_us is not None:
            bench.ahead_us = bench.wrong_us  # as each fetch measures it again
    bench.dating.give_up()
    assert all(poll.started_at_us >= KNOWN_FROM_US for poll in bench.stored)
    assert len(bench.stored) * 2 + bench.counters.get(Count.METRICS_DROPPED, "clock_unset") == len(began) * 2
    assert {poll.started_at_us for poll in bench.stored} <= set(began)


def test_a_poll_that_began_while_a_known_clock_was_wrong_for_a_moment_is_of_its_end():
    bench = Bench(wrong_us=0)
    bench.dating.take(Poll(1, 5 * SECOND_US, (1,), ((1, 0),), 1))
    assert [poll.started_at_us for poll in bench.stored] == [bench.true_us]
    assert bench.heard == []
