"""A gap is what is one at the pace of its time, though the interval was another one before."""

from itertools import accumulate

import pytest

from towerops_agent.telemetry.views.pace import longest_each_us, slowest_us
from towerops_agent.telemetry.views.rates import longest_us

MINUTE_US = 60_000_000


def times(*minutes):
    """Times so far apart."""
    return [minute * MINUTE_US for minute in accumulate(minutes, initial=0)]


def gaps(*minutes, interval=0):
    """Which of these distances are gaps."""
    times_us = times(*minutes)
    longest = longest_each_us(times_us, interval * MINUTE_US)
    return [i for i, (minute, most_us) in enumerate(zip(minutes, longest, strict=True)) if minute * MINUTE_US > most_us]


def test_one_interval_has_gaps_where_two_polls_are_missing():
    assert gaps(1, 1, 1, 2, 1, 1, 3, 1, 1, 1, 30, 1, 1) == [6, 10]


@pytest.mark.parametrize("minutes", [(1,) * 90 + (5,) * 6, (5,) * 6 + (1,) * 90])
def test_an_interval_that_was_changed_makes_no_gap(minutes):
    assert gaps(*minutes) == []


def test_a_hole_at_each_of_two_intervals_is_one():
    assert gaps(*(1,) * 40, 5, *(1,) * 40, *(5,) * 4, 10, *(5,) * 4, 15, *(5,) * 4) == [40, 90]
    assert gaps(*(5,) * 20, 15, *(5,) * 4, *(1,) * 10, 5, *(1,) * 10) == [20, 35]


def test_the_present_interval_is_the_pace_of_the_latest_polls():
    assert gaps(*(1,) * 40, 60, 60) == [40, 41]
    assert gaps(*(1,) * 40, 60, 60, interval=60) == []
    assert gaps(*(60,) * 4, 1, 1, interval=1) == []


def test_what_has_no_pace_is_measured_by_the_usual_distance():
    assert gaps(1, 3, 1, 7, 1, 2, 1, 8, 1) == [1, 3, 7]


def test_polls_in_a_row_make_no_gap_of_what_follows():
    """As of an agent that was started again and again."""
    assert gaps(*(1,) * 20, 0.01, 0.01, 0.01, 1, 1) == []


def test_a_clock_that_was_set_back_makes_no_pace():
    assert longest_each_us(times(1, 1, 1, -60, 1, 1, 1)) == [longest_us(MINUTE_US)] * 7
    assert longest_each_us(times(1, 1, 1, -60, 1, 1, 9)) == [longest_us(MINUTE_US)] * 7
    assert longest_each_us([]) == longest_each_us([5]) == []
    assert longest_each_us([5, 5]) == [longest_us(0)]


def test_the_slowest_of_a_time_is_what_was_longest_then():
    times_us = times(5, 5, 1, 1)
    assert slowest_us(times_us, [50, 50, 10, 10], times_us[3]) == 10
    assert slowest_us(times_us, [50, 50, 10, 10], times_us[3] - 1) == 10
    assert slowest_us(times_us, [50, 50, 10, 10], times_us[2]) == 50
    assert slowest_us(times_us, [50, 50, 10, 10, 30], times_us[4]) == 30
    assert slowest_us([], [], 0) == 0
