"""One line a minute, which counts those that were not written."""

from towerops_agent.repeats import LOG_EACH_US, Repeats


def test_the_first_is_logged_and_then_one_a_minute_with_the_count_of_the_rest():
    repeats = Repeats()
    assert repeats.due(0) == 0
    assert [repeats.due(second * 1_000_000) for second in range(1, 60)] == [None] * 59
    assert repeats.due(LOG_EACH_US) == 59
    assert repeats.due(LOG_EACH_US + 1) is None
    assert repeats.due(10 * LOG_EACH_US) == 1


def test_a_clock_that_is_set_back_silences_nothing():
    repeats = Repeats()
    repeats.due(100 * LOG_EACH_US)
    assert repeats.due(0) == 0
