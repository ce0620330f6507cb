"""How often the agent wakes to start polls: at rest that is what a poll costs most, as code and data have left the caches."""

from towerops_agent.scheduling.timetable import Timetable

INTERVAL_S = 60


def starts_a_minute(devices: int) -> tuple[int, int]:
    """How many polls are due in a minute, and at how many moments."""
    timetable = Timetable()
    for n in range(devices):
        timetable.add(f"device {n}", INTERVAL_S, 0.0, 0.0)
    timetable.align()
    polls, moments = 0, set()
    while (at := timetable.next_at()) is not None and at < 2 * INTERVAL_S:
        due = timetable.take_due(at)
        assert due is not None
        if at >= INTERVAL_S:
            polls += 1
            moments.add(at)
    return polls, len(moments)


def test_a_small_site_wakes_the_agent_twelve_times_a_minute():
    assert starts_a_minute(50) == (50, 12)


def test_a_larger_one_once_a_second():
    assert starts_a_minute(1000) == (1000, 60)
