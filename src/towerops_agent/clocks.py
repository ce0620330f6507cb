"""The machine's clocks: the wall clock, which may be set at any time, and one that goes on evenly and that nobody sets.

A value has the wall clock's time; for how long something is so is counted by the other one, whatever was done to the first.
Whoever needs one is given it as `now_us` or `steady_us`; these are what they are given, and what they have without.
I/O: reads clocks. Source: clock_gettime(2).
"""

import time


def wall_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds since the machine was started, with those for which it was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
