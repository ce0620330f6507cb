"""A column has the least and the greatest value of its time: whatever happened in it is seen."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.page.views.columns import Window, extremes
from towerops_agent.telemetry.views.series import SENSOR, Series

series = st.lists(st.tuples(st.integers(0, 120), st.none() | st.integers(-50, 50)), max_size=40).map(
    lambda points: Series("s", SENSOR, [at for at, _ in points], [value for _, value in points])
)


@given(series, st.integers(0, 60), st.integers(1, 60), st.integers(1, 9))
def test_no_value_is_lost_and_none_is_made_up(made, begin, length, count):
    window = Window(begin, begin + length, count)
    edges = window.edges_us
    low, high = extremes(made, edges)
    assert len(low) == len(high) == count
    assert (edges[0], edges[-1]) == (begin, begin + length)
    for i in range(count):
        values = [value for at, value in made.points if edges[i] <= at < edges[i + 1] and value is not None]
        assert (low[i], high[i]) == (min(values, default=None), max(values, default=None))


def test_a_spike_of_one_poll_in_a_day_is_in_its_column():
    readings = [415] * 1440
    readings[700] = 950
    window = Window(0, 24 * 3_600_000_000)
    low, high = extremes(Series("s", SENSOR, [i * 60_000_000 for i in range(1440)], readings), window.edges_us)
    assert (low[70], high[70]) == (415, 950)
    assert {*low, *high[:70], *high[71:]} == {415}
