"""The clock by which it is known when devices have started: the machine's, which nobody sets (CLOCK_BOOTTIME).

interfaces.py reads it at each poll; who keeps learned traits, or sends them to another machine, keeps them with its `boot_clock`.
I/O: clocks, and the kernel's word for this boot. Times in microseconds.
"""

import time
from pathlib import Path

from towerops_agent.polling.course.traits import BootClock

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def steady_us() -> int:
    """The time since the machine was started; it goes on while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_clock() -> BootClock:
    """What this clock is now, compared with others."""
    return BootClock(_boot(), time.time_ns() // 1000 - steady_us())


def _boot() -> bytes:
    try:
        return bytes.fromhex(BOOT_ID.read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):  # hidden from the service, as by systemd's ProcSubset=pid
        return b""
