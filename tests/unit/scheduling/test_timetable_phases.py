"""Steps and times of one device, by numbers; tests/property/test_timetable.py has what holds of any."""

import pytest

from towerops_agent.scheduling.timetable import NEAREST_AFTER_SET, SHORTEST_STEP_S, Entry, step


@pytest.mark.parametrize(
    ("starts_a_second", "step_s"),
    [(0.1, 5.0), (1.6, 5.0), (1.61, 1.0), (23, 1.0), (23.1, 0.5), (46, 0.5), (46.1, 0.25), (92.1, 0.125), (1e9, SHORTEST_STEP_S)],
)
def test_the_step_is_the_longest_with_few_enough_starts(starts_a_second, step_s):
    assert step(starts_a_second) == step_s


@pytest.mark.parametrize(
    ("due_at", "now", "then"),
    [
        pytest.param(170.0, 100.0, 120.0, id="its next time comes sooner"),
        pytest.param(115.0, 100.0, 115.0, id="it waits for less than that"),
        pytest.param(118.0, 118.0, 118.0, id="it is due"),
        pytest.param(165.0, 118.0, 120.0, id="its next time comes at once, and its last poll is a while ago"),
        pytest.param(177.0, 118.0, 177.0, id="its next time comes at once, and it has just been polled"),
        pytest.param(190.0, 118.0, 180.0, id="the same, and it would wait for more than an interval"),
        pytest.param(169.9, 110.0, 120.0, id="it has just been polled, and its next time comes in a while"),
    ],
)
def test_a_device_whose_clock_is_set_is_polled_at_its_next_time_unless_that_is_twice_at_once(due_at, now, then):
    """Each 60 s, at 120, 180 and so on: no wait of more than an interval and a tenth."""
    entry = Entry("key", 60.0, 0.0, due_at)
    entry.hasten(now)
    assert entry.due_at == then
    assert entry.nearest == NEAREST_AFTER_SET
