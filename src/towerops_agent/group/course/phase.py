"""A clock that the members share, so that a device keeps its time whoever polls it.

Each member counts from its own monotonic clock, and is off by `offset_s`. All follow the member with the lowest name: each beat
says what its clock showed. A beat can only arrive late, so the highest of several samples is the best one.
Pure. Seconds; `now` is the monotonic clock of this machine.
"""

from typing import Final

TOLERANCE_S: Final = 0.05
"""How far the clock may be off before it is set: beats take milliseconds, and polls' starts are rounded to more than that."""

SAMPLES: Final = 3
"""How many beats it takes to know a member's clock."""

FORGIVEN_S: Final = 0.001
"""How much a sample loses with each beat after it: clocks drift by less, and a member's clock may be set back."""


class PhaseClock:
    """`offset_s`: what to add to this machine's monotonic clock. It begins with the time of day: nearly common."""

    def __init__(self, offset_s: float) -> None:
        self.offset_s = offset_s
        self._samples: dict[str, tuple[int, float]] = {}  # member -> (how many, its best offset)

    def read(self, now: float) -> float:
        """What the clock shows."""
        return now + self.offset_s

    def hear(self, member: str, clock_s: float, now: float) -> None:
        """A beat of `member` said that its clock showed `clock_s`."""
        count, best = self._samples.get(member, (0, float("-inf")))
        self._samples[member] = (count + 1, max(best - FORGIVEN_S, clock_s - now))

    def forget(self, member: str) -> None:
        """`member` has gone or started again."""
        self._samples.pop(member, None)

    def follow(self, member: str) -> bool:
        """Whether the clock was set to that of `member`, as it was off by more than the tolerance."""
        count, best = self._samples.get(member, (0, self.offset_s))
        if count < SAMPLES or abs(best - self.offset_s) <= TOLERANCE_S:
            return False
        self.offset_s = best
        return True
