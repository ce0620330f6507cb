"""Points go where their time says; rates are told where they can be, and not made up where they can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_lab.sandbox.series import MAX_POINTS, WRAP, Series, rates

SECOND = 1_000_000


def counters(*values):
    """Points five seconds apart."""
    return [(i * 5 * SECOND, value if isinstance(value, tuple) else (value,), False) for i, value in enumerate(values)]


def told(*values):
    return [rate for _, rate, _ in rates(counters(*values))]


@given(st.permutations(range(20)))
def test_whatever_order_points_come_in_they_are_kept_by_time(order):
    series = Series()
    for i in order:
        series.add(i, (float(i),))
    assert [point[0] for point in series.since(0)] == list(range(20))
    assert (series.first_us, series.newest_us, series.newest) == (0, 19, (19.0,))


def test_a_point_that_comes_twice_is_kept_once():
    series = Series()
    series.add(1, (1.0,))
    series.add(1, (2.0,))
    assert [point[1] for point in series.since(0)] == [(1.0,)]


def test_an_empty_series_has_nothing_to_say():
    assert (Series().first_us, Series().newest_us, Series().newest, len(Series())) == (0, 0, (), 0)


def test_the_oldest_points_go_first():
    series = Series()
    for i in range(MAX_POINTS + 5):
        series.add(i, (0.0,))
    assert (len(series), series.first_us) == (MAX_POINTS, 5)


def test_gaps_are_neighbours_that_are_too_far_apart_and_a_late_point_closes_one():
    series = Series()
    for second in (0, 5, 20, 25, 40):
        series.add(second * SECOND, (0.0,))
    assert series.gaps(0, 6 * SECOND) == 2
    assert series.gaps(20 * SECOND, 6 * SECOND) == 1
    for second in (10, 15):
        series.add(second * SECOND, (0.0,), late=True)
    assert series.gaps(0, 6 * SECOND) == 1


def test_a_rate_is_the_difference_over_the_time_in_bits():
    assert told(1000, 2000, 2000) == [(1600.0,), (0.0,)]


def test_a_32_bit_counter_that_wraps_goes_on():
    assert told(WRAP - 2_000_000, WRAP - 1_000_000, 0, 1_000_000) == [(1.6e6,)] * 3


def test_a_counter_that_falls_without_a_rate_before_it_tells_nothing():
    assert told(WRAP - 1000, 1000) == [(None,)]


def test_a_device_that_restarted_has_no_rate_across_it():
    both = [(3_000_000_000, 3_500_000_000), (3_001_000_000, 3_501_000_000), (1000, 2000), (1_001_000, 1_002_000)]
    assert told(*both) == [(1.6e6, 1.6e6), (None, None), (1.6e6, 1.6e6)]


def test_a_64_bit_counter_that_falls_has_not_wrapped():
    assert told(1 << 40, (1 << 40) + 1000, 5) == [(1600.0,), (None,)]


def test_a_wrap_at_an_absurd_rate_is_a_restart():
    assert told(100_000, 200_000, 5) == [(160_000.0,), (None,)]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_counter_that_was_not_given_leaves_its_rates_out(missing):
    values = [1000, 2000, 3000]
    values[missing] = None
    assert [rate[0] is None for rate in told(*values)] == [missing in (0, 1), missing in (1, 2)]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=8))
def test_no_rate_is_negative(values):
    assert all(rate is None or rate >= 0 for (rate,) in told(*values))
