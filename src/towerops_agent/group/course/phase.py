"""A clock that the members share, so that a device keeps its time whoever polls it.

Each member counts from its own monotonic clock, and is off by `offset_s`. All follow the member with the lowest name: each beat
says what its clock showed, and how often it was set. A beat can only arrive late, so the highest of several samples is the best
one; those of before the clock was set say nothing of it.
Pure. Seconds; `now` is the monotonic clock of this machine.
"""

from collections import deque
from typing import Final

TOLERANCE_S: Final = 0.05
"""How far the clock may be off before it is set: beats take milliseconds, and polls' starts are rounded to more than that."""

SAMPLES: Final = 3
"""How many beats it takes to know a member's clock. To whoever polls nothing yet, one is better than none."""

LATEST: Final = 64
"""How many of a member's beats count: clocks drift, and that of a machine that stood still may be behind from then on."""


class PhaseClock:
    """`offset_s`: what to add to this machine's monotonic clock. It begins with the time of day: nearly common.

    `sets`: how often it was set.
    """

    def __init__(self, offset_s: float) -> None:
        self.offset_s = offset_s
        self.sets = 0
        self._samples: dict[str, tuple[int, deque[float]]] = {}  # member -> (how often its clock was set, its latest offsets)

    def read(self, now: float) -> float:
        """What the clock shows."""
        return now + self.offset_s

    def hear(self, member: str, clock_s: float, sets: int, now: float) -> None:
        """A beat of `member` said that its clock showed `clock_s`, and was set so often."""
        known = self._samples.get(member)
        if known is None or known[0] != sets:
            known = self._samples[member] = (sets, deque(maxlen=LATEST))
        known[1].append(clock_s - now)

    def has_heard(self, member: str) -> bool:
        """Whether anything is known of the clock of `member`."""
        return member in self._samples

    def forget(self, member: str) -> None:
        """`member` has gone or started again."""
        self._samples.pop(member, None)

    def follow(self, member: str, samples: int = SAMPLES) -> bool:
        """Whether the clock was set to that of `member`, known by so many samples, as it was off by more than the tolerance."""
        _, latest = self._samples.get(member, (0, ()))
        best = max(latest, default=self.offset_s)
        if len(latest) < samples or abs(best - self.offset_s) <= TOLERANCE_S:
            return False
        self.offset_s = best
        self.sets += 1
        return True
