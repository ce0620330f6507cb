"""Checks this machine's clock: readings carry its time, and certificates are checked against it.

Pure: the clock is passed in. Seconds; ahead is positive.
"""

from datetime import UTC, datetime
from typing import Final

from towerops_agent.api.wire.clock_skew import MOST_S
from towerops_agent.doctor.findings.check import Check, Mark
from towerops_agent.text import duration

NAME = "clock"

EARLIEST: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""A time before the agent was written: only a machine that lost its time shows it."""

_SET_IT: Final = "set it by NTP (chrony, systemd-timesyncd); `timedatectl` shows its state"


def check_clock(now: datetime, ahead_s: float | None) -> Check:
    """`ahead_s`: how far this clock is ahead of the server's, None if the server's is not known."""
    told = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < EARLIEST:
        return Check(NAME, Mark.FAILED, f"{told}: this machine has lost its time (no battery-backed clock?)", _SET_IT)
    if ahead_s is None:
        return Check(NAME, Mark.OK, f"{told}; not compared, as no server sent its time")
    if abs(ahead_s) > MOST_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        return Check(NAME, Mark.FAILED, f"{told}, {duration(abs(ahead_s))} {way} the server's: readings get wrong times", _SET_IT)
    return Check(NAME, Mark.OK, f"{told}, within {max(abs(ahead_s), 1):.0f} s of the server's")
