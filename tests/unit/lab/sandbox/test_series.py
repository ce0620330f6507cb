"""Points go where their time says."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_lab.sandbox.series import MAX_POINTS, Series, restarted_us

SECOND = 1_000_000


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


def test_a_restart_is_the_newest_point_at_which_both_counters_fell():
    points = [(1, (10, 10), False), (2, (11, 5), False), (3, (2, 1), False), (4, (3, 2), False)]
    assert restarted_us(points) == 3
    assert restarted_us(points[:2]) == restarted_us([]) == 0
