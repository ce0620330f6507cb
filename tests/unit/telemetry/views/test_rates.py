"""Rates are shown if they can be known, and not made up if they can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.telemetry.views.rates import WRAP, longest_us, rates, rates_of_columns

SECOND = 1_000_000
EACH_S = 5


def told(*values, apart_s=EACH_S):
    """The rates of points so far apart."""
    points = [(i * apart_s * SECOND, value if isinstance(value, tuple) else (value,)) for i, value in enumerate(values)]
    return [rate for _, rate in rates(points, longest_us(EACH_S * SECOND))]


@pytest.mark.parametrize("interval_s", [5, 60, 3600])
def test_one_missing_poll_is_not_a_gap_and_two_are(interval_s):
    assert 2 * interval_s * SECOND < longest_us(interval_s * SECOND) < 3 * interval_s * SECOND


def test_there_is_no_rate_over_a_gap_nor_between_two_points_of_one_time():
    assert told(1000, 2000, apart_s=13) == told(1000, 2000, apart_s=0) == [(None,)]


def test_a_rate_is_the_difference_over_the_time():
    assert told(1000, 2000, 2000) == [(200.0,), (0.0,)]


def test_a_32_bit_counter_that_wraps_goes_on():
    assert told(WRAP - 2_000_000, WRAP - 1_000_000, 0, 1_000_000) == [(2e5,)] * 3


def test_a_counter_that_falls_without_a_rate_before_it_says_nothing():
    assert told(WRAP - 1000, 1000) == [(None,)]


def test_a_device_that_restarted_has_no_rate_across_it():
    both = [(3_000_000_000, 3_500_000_000), (3_001_000_000, 3_501_000_000), (1000, 2000), (1_001_000, 1_002_000)]
    assert told(*both) == [(2e5, 2e5), (None, None), (2e5, 2e5)]


def test_a_64_bit_counter_that_falls_has_not_wrapped():
    assert told(1 << 40, (1 << 40) + 1000, 5) == [(200.0,), (None,)]


def test_a_wrap_at_an_absurd_rate_is_a_restart():
    assert told(100_000, 200_000, 5) == [(20_000.0,), (None,)]


def test_a_64_bit_counter_in_place_of_a_32_bit_one_makes_no_spike():
    """As when the configuration says version 2c in place of 1: the next rates are those of the line again."""
    narrow, wide = 3_000_000_000, 5 << 32
    points = (narrow, narrow + 1_000_000, wide, wide + 1_000_000)
    assert told(*points) == [(2e5,), (None,), (2e5,)]
    times = [n * EACH_S * SECOND for n in range(4)]
    assert rates_of_columns(times, [points, (1, 2, 3, 4)], longest_us(EACH_S * SECOND)) == [[2e5, None, 2e5], [0.2, 0.2, 0.2]]


def test_a_line_that_becomes_busy_just_then_is_shown():
    assert told(WRAP - 2000, WRAP - 1000, WRAP + 2_000_000_000) == [(200.0,), (400_000_200.0,)]


@pytest.mark.parametrize("each", [100_000, 1 << 30, 10 << 30])
def test_a_64_bit_counter_that_grows_over_32_bits_goes_on(each):
    values = [WRAP - each // 2 + each * n for n in range(-1, 5)] if each < WRAP else [each * n for n in range(6)]
    expected = [(each / EACH_S,)] * 5
    if each > WRAP:
        expected[0] = (None,)  # it began with this step, and no rate is known before it
    assert told(*values) == expected


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_counter_that_was_not_given_leaves_its_rates_out(missing):
    values = [1000, 2000, 3000]
    values[missing] = None
    assert [rate[0] is None for rate in told(*values)] == [missing in (0, 1), missing in (1, 2)]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=8))
def test_no_rate_is_negative(values):
    assert all(rate is None or rate >= 0 for (rate,) in told(*values))


counters = st.none() | st.integers(0, 2**33) | st.integers(0, 3)
rows = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(st.integers(0, 30), st.tuples(*[counters] * width)), min_size=1, max_size=6)
)


@given(rows, st.booleans(), st.lists(st.integers(0, 30), min_size=5, max_size=5))
def test_rates_of_columns_are_those_of_rows(rows, rising, longest_s):
    """Of counters that fall, are missing, or rise as most do, by one longest distance and by that of each two neighbours."""
    width = len(rows[0][1])
    if rising:
        rows = [(at_s, tuple(i * (at_s + column) for column in range(width))) for i, (at_s, _) in enumerate(rows)]
        rows.sort()
    points = [(at_s * SECOND, row) for at_s, row in rows]
    times, columns = zip(*points, strict=True)
    for most_us in (longest_us(EACH_S * SECOND), [longest * SECOND for longest in longest_s[: len(rows) - 1]]):
        expected = [rate for _, rate in rates(points, most_us)]
        found = rates_of_columns(times, list(zip(*columns, strict=True)), most_us)
        assert found == [[row[column] for row in expected] for column in range(width)]


def test_the_bounds_of_a_gap_are_the_same_for_counters_in_columns():
    """A microsecond is a distance, and the longest one that is not a gap is not one."""
    most = longest_us(EACH_S * SECOND)
    for span_us, rate in [(0, None), (1, 3e6), (most, 3e6 / most), (most + 1, None), (-1, None)]:
        times = (100, 100 + span_us)
        assert [made for _, made in rates([(times[0], (5,)), (times[1], (8,))], most)] == [(rate,)]
        assert rates_of_columns(times, [(5, 8)], most) == [[rate]]
        assert rates_of_columns(times, [(5, 5)], most) == [[rate and 0.0]]


def test_of_two_counters_that_fell_together_none_has_wrapped():
    points = [(WRAP - 3_000_000, WRAP - 3_000_000, 5), (WRAP - 2_000_000, WRAP - 2_000_000, 5), (1000, 1000, 5)]
    assert told(*points) == [(2e5, 2e5, 0.0), (None, None, 0.0)]
