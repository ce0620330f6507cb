"""What was learned of a device: how much it bears in one request, how fast it answers, which counters it has.

Pure values, changed only by progress.py and reading.py; one per device, so slotted and small.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from towerops_agent.snmp.wire.oid import Oid

STARTING_VARBINDS: Final = 24
"""Varbinds in a first request: an answer of some 700 octets, which nearly all devices bear."""

LARGEST_VARBINDS: Final = 48
"""The most in one request: eight interfaces. By plan.py's estimate more does not fit into one datagram."""

GROWTH: Final = 6
"""By how many a request grows past STARTING_VARBINDS: one interface more. Fewer would not make fewer requests."""

MINIMUM_TIMEOUT_S: Final = 0.5
FIRST_TIMEOUT_S: Final = 1.0  # RFC 6298 §2.1
MAXIMUM_TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3

UNKNOWN: Final = 0
NARROW: Final = 32
WIDE: Final = 64
"""How wide an interface's octet counters are, in bits; UNKNOWN until the device has answered for the wide ones."""

UNCHECKED: Final = 0
CONFIRMED: Final = 1
UNVERIFIABLE: Final = 2
AWAY: Final = 3
"""What is known of an interface's name: nothing yet, or there is none to compare; the device has it; the device never had it; the
device had it once, and has it no more."""

CLOCK_SLACK_US: Final = 60_000_000
"""How far a device's start may seem to move without a reboot: clocks drift, and ours may be set."""


_TIMEOUTS_A_SECOND: Final = 64
"""They are rounded up to a part of a second, so that few of them differ: each is worked out once."""


@lru_cache(maxsize=1024)
def _timeouts_s(first: int, attempts: int) -> tuple[float, ...]:
    return tuple(min(first / _TIMEOUTS_A_SECOND * 2**attempt, MAXIMUM_TIMEOUT_S) for attempt in range(attempts))


@dataclass(slots=True)
class Traits:
    """What was learned of one device.

    `max_varbinds`: how many are asked at once. `borne`: the most that were answered at once. `refused_at`: the fewest that the
    device is known to refuse; `suspect_at`: the fewest that it was silent to once, while it answered fewer. None: not known.
    `srtt_s`, `rttvar_s`: the smoothed round trip and its variation (RFC 6298 §2); None before the first reply.
    `widths`: two octets per interface of the plan, for its octets in and out: UNKNOWN, NARROW or WIDE.
    `marks`: one octet per interface, what is known of its name: UNCHECKED, CONFIRMED, UNVERIFIABLE or AWAY.
    `check`: the interfaces' names are to be compared before a counter of theirs counts: at first sight, and after a reboot.
    `booted_at_us`: when the device started, by our wall clock. `uptime`: its last sysUpTime, in hundredths of a second.
    `mute`: OIDs that the device does not answer at all, even alone: asked last, once, so that they cost little.
    `any_address`: it answers from another address than it is asked at.
    `units`: in which unit each sensor's text was first read; see scales.py.
    `answers`: whether the last poll got any answer; a silent device is probed before it is polled.
    """

    max_varbinds: int = STARTING_VARBINDS
    borne: int = 0
    refused_at: int | None = None
    suspect_at: int | None = None
    srtt_s: float | None = None
    rttvar_s: float = 0.0
    widths: bytes = b""
    marks: bytes = b""
    check: bool = True
    booted_at_us: int | None = None
    uptime: int | None = None
    mute: frozenset[Oid] = frozenset()
    any_address: bool = False
    answers: bool = True
    units: tuple[str, ...] = ()

    def observe_rtt(self, rtt_s: float) -> None:
        """Take in one round trip (RFC 6298 §2.2 and §2.3)."""
        if self.srtt_s is None:
            self.srtt_s, self.rttvar_s = rtt_s, rtt_s / 2
        else:
            self.rttvar_s += (abs(self.srtt_s - rtt_s) - self.rttvar_s) / 4
            self.srtt_s += (rtt_s - self.srtt_s) / 8

    def timeouts_s(self, attempts: int = ATTEMPTS) -> tuple[float, ...]:
        """How long to wait after each attempt, in seconds: from the round trips, doubled each time, 0.5 to 5 s."""
        first = FIRST_TIMEOUT_S if self.srtt_s is None else max(self.srtt_s + 4 * self.rttvar_s, MINIMUM_TIMEOUT_S)
        return _timeouts_s(math.ceil(first * _TIMEOUTS_A_SECOND), attempts)

    def bore(self, varbinds: int) -> None:
        """The device answered a request of so many varbinds."""
        self.borne = max(self.borne, varbinds)
        if self.suspect_at is not None and varbinds >= self.suspect_at:
            self.suspect_at = None  # so that silence was loss

    def refused(self, varbinds: int) -> None:
        """The device found the answer to so many varbinds too big. It is asked for half, or for the most that it bore."""
        self.refused_at = min(varbinds, self.refused_at or varbinds)
        self.borne = min(self.borne, self.refused_at - 1)
        self.max_varbinds = max(varbinds // 2, self.borne, 1)

    def fell_silent(self, varbinds: int) -> None:
        """The device did not answer so many varbinds, and answers fewer.

        The first time nobody knows whether that is size or loss: it is asked for half for now. When it happens again before so
        many have been answered, it is the size.
        """
        if varbinds == 1:
            return  # that is not a matter of size
        if self.suspect_at is not None and varbinds >= self.suspect_at:
            self.refused(self.suspect_at)
            self.suspect_at = None
        else:
            self.suspect_at = varbinds
        self.max_varbinds = max(min(self.max_varbinds, varbinds // 2), 1)

    def grow(self) -> None:
        """A poll went through at this size: ask more next time, short of what is known to be refused.

        One more where the device fell short before, so that its limit is found; else an interface more, past where it started.
        """
        fell_short = self.refused_at is not None or self.suspect_at is not None or self.max_varbinds < STARTING_VARBINDS
        limit = LARGEST_VARBINDS if self.refused_at is None else min(LARGEST_VARBINDS, self.refused_at - 1)
        self.max_varbinds = max(min(self.max_varbinds + (1 if fell_short else GROWTH), limit), 1)

    def observe_uptime(self, uptime: int, now_us: int) -> bool:
        """Take in a sysUpTime, read now; whether the device has started anew since the one before.

        That is when sysUpTime fell, or when the device's start has moved forward: it may have rebooted long ago, unseen.
        After 497 days sysUpTime wraps, which looks the same and does no harm.
        """
        booted_at_us = now_us - uptime * 10_000
        fell = self.uptime is not None and uptime < self.uptime
        moved = self.booted_at_us is not None and booted_at_us > self.booted_at_us + CLOCK_SLACK_US
        self.uptime, self.booted_at_us = uptime, booted_at_us
        return fell or moved

    def begin_anew(self, width: int) -> None:
        """The device has started anew, perhaps as another one: forget its sizes and the widths of its counters.

        `width`: what is known of the counters of a device that was never asked.
        """
        self.check = True
        self.widths = bytes([width]) * len(self.widths)
        self.max_varbinds, self.borne, self.refused_at, self.suspect_at = STARTING_VARBINDS, 0, None, None
        self.mute = frozenset()
