"""The machine's clocks."""

import time

from towerops_agent.clocks import steady_us, wall_us


def test_the_wall_clock_may_be_set_and_the_steady_one_goes_on(monkeypatch):
    wall, steady = wall_us(), steady_us()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    assert abs(wall_us() - wall + 3_600_000_000) < 600_000_000  # an hour back, but for what passes between two looks
    assert steady <= steady_us() < steady + 600_000_000


def test_the_steady_clock_is_that_of_the_machine_also_while_it_is_suspended():
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    now = steady_us()
    assert before // 1000 <= now <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
