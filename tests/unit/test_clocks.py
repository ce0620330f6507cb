"""The machine's clocks."""

import ctypes
import time

import pytest

from towerops_agent.clocks import is_synced, steady_us, wall_us


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


class Libc:
    """A C library whose kernel answers so."""

    def __init__(self, state, maxerror_us):
        self.state, self.maxerror_us = state, maxerror_us

    def adjtimex(self, timex):
        assert timex[0] == 0, "nothing is to be changed"
        timex[3] = self.maxerror_us
        return self.state


@pytest.mark.parametrize(
    ("state", "maxerror_us", "synced"),
    [(0, 175_500, True), (5, 175_500, True), (5, 16_000_000, False), (5, 20_000_000, False), (-1, 0, None)],
    ids=["NTP", "chrony without rtcsync", "since the boot", "long ago", "forbidden"],
)
def test_the_kernel_says_whether_something_keeps_the_clock_right(monkeypatch, state, maxerror_us, synced):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Libc(state, maxerror_us))
    assert is_synced() is synced


def test_this_machine_s_kernel_can_be_asked():
    """By anybody; the answer is the machine's own, which timedatectl shows too."""
    timex = (ctypes.c_long * 64)()
    state = ctypes.CDLL(None).adjtimex(timex)
    assert is_synced() == (None if state < 0 else timex[3] < 16_000_000)
