"""What the echoes of a round came to."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.ping.wire.tally import Tally, tally

TRIPS = st.lists(st.none() | st.integers(0, 60_000_000), max_size=20)


def test_the_times_are_those_of_the_echoes_that_came_back():
    assert tally([3000, None, 1000, 2000]) == Tally(4, 3, 1000, 2000, 3000, 1500)


def test_jitter_is_the_mean_difference_of_neighbours_in_either_direction():
    assert tally([10, 20, 10, 20]).jitter_us == 10
    assert tally([10, 10, 40, 40]).jitter_us == 10


def test_a_round_without_replies_has_no_times_and_one_with_a_single_reply_no_jitter():
    assert tally([None, None]) == Tally(2, 0)
    assert tally([None, 5]) == Tally(2, 1, 5, 5, 5, None)
    assert tally([]) == Tally(0, 0)


@given(TRIPS)
def test_the_least_is_at_most_the_mean_and_that_at_most_the_greatest(trips):
    came = tally(trips)
    assert came.sent == len(trips)
    assert came.received == sum(trip is not None for trip in trips)
    if came.received:
        assert 0 <= came.rtt_min_us <= came.rtt_avg_us <= came.rtt_max_us
        assert (came.jitter_us is None) == (came.received == 1)
        assert (came.jitter_us or 0) <= came.rtt_max_us - came.rtt_min_us
