"""What was learned of a device: how much it bears in one request, how fast it answers, which counters it has.

Pure values, changed by polling.progress and polling.poller alone; one per device, so slotted and small.
"""

from dataclasses import dataclass
from typing import Final

STARTING_VARBINDS: Final = 24
"""Varbinds in a first request: an answer of some 700 octets, which nearly all devices bear."""

MINIMUM_TIMEOUT_S: Final = 0.5
FIRST_TIMEOUT_S: Final = 1.0  # RFC 6298 §2.1
MAXIMUM_TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3

UNKNOWN: Final = 0
NARROW: Final = 32
WIDE: Final = 64
"""How wide an interface's octet counters are, in bits; UNKNOWN until the device has answered for the wide ones."""


@dataclass(slots=True)
class Traits:
    """What was learned of one device.

    `max_varbinds`: how many are asked at once. `borne`: the most that were answered at once. `refused_at`: the fewest that the
    device is known to refuse, None where no such number is known.
    `srtt_s`, `rttvar_s`: the smoothed round trip and its variation (RFC 6298 §2); None before the first reply.
    `widths`: two octets per interface of the plan, for its octets in and out: UNKNOWN, NARROW or WIDE.
    `answers`: whether the last poll got any answer; a silent device is probed before it is polled.
    """

    max_varbinds: int = STARTING_VARBINDS
    borne: int = 0
    refused_at: int | None = None
    srtt_s: float | None = None
    rttvar_s: float = 0.0
    widths: bytes = b""
    answers: bool = True

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
        return tuple(min(first * 2**attempt, MAXIMUM_TIMEOUT_S) for attempt in range(attempts))

    def bore(self, varbinds: int) -> None:
        """The device answered a request of so many varbinds."""
        self.borne = max(self.borne, varbinds)

    def refused(self, varbinds: int) -> None:
        """The device found the answer to so many varbinds too big. It is asked for half, or for the most that it bore."""
        self.refused_at = min(varbinds, self.refused_at or varbinds)
        self.borne = min(self.borne, self.refused_at - 1)
        self.max_varbinds = max(varbinds // 2, self.borne, 1)

    def fell_silent(self, varbinds: int) -> None:
        """The device did not answer so many varbinds, and answers fewer: size or loss, nobody knows. Ask for half for now."""
        self.max_varbinds = max(min(self.max_varbinds, varbinds // 2), 1)

    def grow(self) -> None:
        """A poll went through at this size: ask one more next time, short of what is known to be refused."""
        limit = STARTING_VARBINDS if self.refused_at is None else min(STARTING_VARBINDS, self.refused_at - 1)
        self.max_varbinds = max(min(self.max_varbinds + 1, limit), 1)
