"""How far apart a device wants its requests: some answer one a second, or one in five, and drop what comes sooner.

Attempts, answered or not, by the time since the last answered one -> the least gap, when to send the next request, and whether it
is certain. Loss looks alike at first, so a suspicion costs nothing: each request is still sent at once, and only its repetition
falls on the gap. One that is answered at once refutes it. It is certain, and requests wait, when loss does not explain it: at the
rate at which attempts that kept the gap were lost, so many that did not would hardly ever have been lost in a row.
Pure: times are seconds on a monotonic clock, passed in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

LEAST_GAP_S: Final = 0.25
"""A device that answers after so short a time is not asked at a pace: a repetition comes later anyway."""

MOST_GAP_S: Final = 10.0

PROMPT_S: Final = 0.1
"""A request sent within this time of the last answer was sent at once."""

CHANCE: Final = 1e-12
"""How unlikely it has to be that all was loss."""

PRECISION: Final = 0.06
"""How exactly the gap is looked for, as a share of it."""

TRY_EACH: Final = 32
"""One of so many requests is sent at once, to see whether the device still drops it."""

TRY_BELOW: Final = 0.7
"""How far below the known gap a shorter one is looked for then, as a share of what was too short."""


@dataclass(slots=True)
class Spacing:
    """What is known of the gap.

    `gap_s`: the shortest after which an answer came; `floor_s`: the longest below it after which none did.
    `heard`, `lost`: attempts that kept the gap, answered or not. `dropped`: requests in a row that were lost when sent at once,
    and answered later. `sent_s`, `heard_s`: when the last answered attempt was sent, and when its answer arrived.
    `asked`: requests since it became certain.
    """

    gap_s: float
    floor_s: float = 0.0
    heard: int = 0
    lost: int = 0
    dropped: int = 0
    is_certain: bool = False
    sent_s: float = -math.inf
    heard_s: float = -math.inf
    asked: int = 0

    @classmethod
    def suspect(
        cls, before: tuple[float, float], vain: Sequence[float], sent_s: float, heard_s: float, *, same: bool
    ) -> Self | None:
        """From the first attempts that may have come too soon. `before`: as `sent_s` and `heard_s` of the answer before them."""
        gap_s = sent_s - before[0]
        if not vain or vain[0] - before[1] > PROMPT_S or not LEAST_GAP_S <= gap_s <= MOST_GAP_S:
            return None
        spacing = cls(gap_s, sent_s=before[0], heard_s=before[1])
        return spacing if spacing.note(vain, sent_s, heard_s, same=same) else None

    @classmethod
    def recalled(cls, gap_s: float) -> Self:
        """Of a gap that was certain before a restart of the agent."""
        return cls(gap_s, floor_s=gap_s * TRY_BELOW, is_certain=True)

    @property
    def target_s(self) -> float:
        """The gap to keep next: the known one, or a shorter one that is not known to be too short."""
        if self.gap_s - self.floor_s <= PRECISION * self.gap_s:
            return self.gap_s
        return (self.floor_s + self.gap_s) / 2

    @property
    def is_likely(self) -> bool:
        """Whether requests were answered only after the gap more than once: silence is not a question of their size."""
        return self.is_certain or self.dropped > 1

    def schedule(self, now_s: float, timeouts_s: Sequence[float]) -> tuple[float, tuple[float, ...]]:
        """How long to wait before a request, and after each of its attempts; as many as there are `timeouts_s`."""
        due_s, kept_s = self.sent_s + self.target_s, self.sent_s + self.gap_s
        self.asked += self.is_certain
        tries = self.asked % TRY_EACH == 0
        if self.is_certain and tries:
            self.floor_s *= TRY_BELOW  # it may have been loss, and the device may have become faster
        supposed = self.is_certain or self.dropped  # else the silence may have been about one OID, as a single attempt may be
        at_once = tries and (len(timeouts_s) > 1 or not supposed)
        wait_s = 0.0 if at_once else max(due_s - now_s, 0.0)
        at_s, waits_s = now_s + wait_s, []
        wanted_s = [due_s, kept_s] if at_once and due_s < kept_s else [kept_s]
        for timeout_s in timeouts_s[:-1]:
            wait_for_s = wanted_s.pop(0) if wanted_s else at_s + self.gap_s
            waits_s.append(max(wait_for_s - at_s, timeout_s))
            at_s += waits_s[-1]
        return wait_s, (*waits_s, timeouts_s[-1])

    def note(self, vain: Sequence[float], sent_s: float, heard_s: float, *, same: bool) -> bool:
        """Note that the attempts sent at `vain` were not answered, and the one sent at `sent_s` was; False: there is no such gap.

        `same`: whether they were for the same request.
        """
        gap_s = sent_s - self.sent_s
        if sent_s - self.heard_s <= PROMPT_S:
            return False
        late = 0
        for at_s in vain:
            if at_s - self.heard_s <= PROMPT_S:
                self.dropped += same
            elif at_s - self.sent_s < self.gap_s * (1 - PRECISION / 4):
                self.floor_s = max(self.floor_s, at_s - self.sent_s)
            else:
                late += 1
        if gap_s < self.gap_s:
            self.gap_s = gap_s
            self.floor_s = self.floor_s if self.floor_s < gap_s else 0.0
        else:
            self.heard += 1
        self.lost += late
        if late:  # the gap has grown, or it was loss: the more in a row, the less likely
            self.gap_s = min(self.gap_s * (1 + PRECISION * max(late * (late - 1) / 2, 1 / 6)), MOST_GAP_S)
        self.sent_s, self.heard_s = sent_s, heard_s
        loss = (self.lost + 1) / (self.heard + self.lost + 2)
        self.is_certain = self.is_certain or loss**self.dropped < CHANCE
        return self.gap_s >= LEAST_GAP_S


def unanswered(began_s: float, timeouts_s: Sequence[float], answered_s: float = math.inf) -> list[float]:
    """When the attempts were sent that had no answer until the answered one was sent."""
    sent_s = []
    for timeout_s in timeouts_s:
        if began_s + timeout_s > answered_s + PROMPT_S:
            break
        sent_s.append(began_s)
        began_s += timeout_s
    return sent_s
