"""The machine's clocks: the wall clock, which may be set at any time, and one that goes on evenly and that nobody sets.

A value has the wall clock's time; for how long something is so is counted by the other one, whatever was done to the first.
Whoever needs one is given it as `now_us` or `steady_us`; these are what they are given, and what they have without.
I/O: reads clocks. Source: clock_gettime(2).
"""

import time
from typing import Final

UNSYNCED_US: Final = 16_000_000
"""The possible error of a clock that nothing keeps right, in the kernel's words (NTP_PHASE_LIMIT)."""


def wall_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds since the machine was started, with those for which it was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def is_synced() -> bool | None:
    """Whether NTP, PTP or the like keeps the wall clock right, as the kernel has it; None if the kernel does not say.

    The possible error grows to 16 s in nine hours without an answer of a time server, and is that from the boot on until the
    first one. The flag STA_UNSYNC does not count: chrony leaves it set, unless it is to keep the hardware's clock too. Source:
    adjtimex(2), which anybody may ask; systemd's ProtectClock and seccomp profiles may forbid it.
    """
    import ctypes  # noqa: PLC0415 -- no other part needs it

    timex = (ctypes.c_long * 64)()  # more than the structure has; the fourth word of it is maxerror, on 32 bits too
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else timex[3] < UNSYNCED_US
