"""Whether a receiver fails, or only does not take what it was sent: then that is kept aside, and what is behind it goes on.

    a refusal, or a failure -> other polls by themselves (others.py) -> does it take one? -> Culprit

A receiver that takes nothing is failing, and nothing is kept aside. I/O: the buffer, the receiver.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import chain, islice
from typing import Final

from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch
from towerops_agent.delivery.course.pace import TRIES, took_long
from towerops_agent.delivery.course.verdicts import may_be_the_batch
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.heads import Heads
from towerops_agent.destinations.others import (
    MOST_DEVICES,
    MOST_PIECES,
    WITHIN_US,
    AskedInVain,
    first_of_each,
    oldest_of_others,
    pieces,
)
from towerops_agent.destinations.receiver import Receiver
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, WriteOutcome, is_about_itself

MOST_REFUSED: Final = 20
"""So many single metrics refused in a row, with nothing accepted between: the receiver is failing, unless it takes others."""

TAKEN_AGAIN: Final = {1: 1, 3: 2, 6: 3, 10: 4}
"""How often a receiver has to take once more what it took, by how often it has failed at a batch since it took that.

It may fail at that as often: one that fails by chance is blamed on less than one in a thousand metrics that stand by themselves,
which few do. Of up to thirteen servers that a proxy asks in turn, whichever of them fail at everything, one that works is sent
the batch then, or too many fail at what was taken.
"""

MOST_FAILED: Final = max(TAKEN_AGAIN)
"""So often a receiver fails at a single metric, while it takes what it took, until that is kept aside."""

MOST_SPARED: Final = 11
"""So many failures in a row are not looked into at most, if the receiver has failed at what it took as well."""


class Culprit(StrEnum):
    """At what a receiver fails.

    `RECEIVER`: at everything. `BATCH`: at something in the batch, which is to be halved. `METRIC`: at its only metric, which is
    to be kept aside. `UNSURE`: perhaps at the batch, which is to be sent again at once.
    """

    RECEIVER = "receiver"
    BATCH = "batch"
    METRIC = "metric"
    UNSURE = "unsure"


class Blame:
    """Of one destination: what it has refused and failed at since it accepted something."""

    def __init__(self, buffer: Buffer, heads: Heads) -> None:
        self._buffer = buffer
        self._heads = heads
        self._refused = 0  # single metrics, in a row
        self._stumbles = False  # whether the receiver has taken others while it failed at a batch
        self._blamed = 0  # the id of the last such batch
        self._failed = 0  # how often it has failed since, one time after the other
        self._taken: Candidate | None = None  # what the receiver took meanwhile
        self._wavered = 0  # how often in a row it failed at that too, and so at nothing for what it is
        self._spared = 0  # so many failures more are not looked into
        self._asked = AskedInVain()

    def accepted(self) -> None:
        """The receiver has taken something."""
        self._refused = 0

    def distrust(self) -> None:
        """The receiver may refuse everything: no refused metric is kept aside before it has taken something."""
        self._refused = MOST_REFUSED

    async def may_keep_aside(self, receiver: Receiver, batch: Batch, fit: Sequence[Candidate]) -> bool:
        """Whether a refused batch, of a single metric, is to be kept aside, which is counted; else the receiver is failing."""
        if self._refused >= MOST_REFUSED and await self._taken_of_others(receiver, batch, fit) is None:
            return False
        self._refused += 1
        return True

    def suspects(self, batch: Batch, outcome: WriteOutcome, took_s: float, attempts: int) -> bool:
        """Whether the receiver may have failed at the batch only: by what came of it after so long, and of earlier attempts."""
        may_be_it = may_be_what_was_sent(outcome) and not took_long(outcome, took_s)
        if may_be_it and (self._stumbles or attempts >= TRIES - 1):
            if not self._spared:
                return True
            self._spared -= 1
        if self._blamed == batch.id:
            self._blamed = 0
        return False

    async def culprit(self, receiver: Receiver, batch: Batch, fit: Sequence[Candidate]) -> Culprit:
        """At what the receiver fails, which may have failed at the batch only.

        It has if it goes on to fail at it, and to take the one other poll that it took. Else it may fail by chance, or at
        everything since, or be one of several servers behind a proxy: then some failures are not looked into, a different number
        each time, so that of servers that are asked in turn one that works is sent the batch.
        """
        if self._blamed != batch.id:
            self._blamed, self._failed = batch.id, 0
            self._taken = await self._taken_of_others(receiver, batch, fit)
            self._stumbles = self._taken is not None
        else:
            self._failed += 1
            self._stumbles = await self._takes_again(receiver, TAKEN_AGAIN.get(self._failed, 0))
            if not self._stumbles:
                self._wavered = self._spared = min(self._wavered + 1, MOST_SPARED)
        if not self._stumbles:
            self._blamed, self._taken = 0, None
            return Culprit.RECEIVER
        if self._failed == 0 or (batch.metric_count == 1 and self._failed < MOST_FAILED):
            return Culprit.UNSURE
        self._wavered = 0
        return Culprit.METRIC if batch.metric_count == 1 else Culprit.BATCH

    async def _takes_again(self, receiver: Receiver, times: int) -> bool:
        """Whether the receiver takes what it took, so often of twice as many times.

        Also if it says that this is too late, as it has it: one that fails does not say so.
        """
        left = 2 * times
        while 0 < times <= left and self._taken is not None:
            left -= 1
            outcome = await receiver.send_one(self._taken)
            if isinstance(outcome, Accepted | PartlyTaken | TooLate):
                times -= 1
            elif not may_be_what_was_sent(outcome):
                return False
        return times == 0

    async def _taken_of_others(self, receiver: Receiver, batch: Batch, fit: Sequence[Candidate]) -> Candidate | None:
        """A poll, or a part of one, that the receiver accepts by itself: what it does not accept is so for what it is.

        Of a batch of several polls the first one of each device, then pieces of these; if they are of one device, then what is
        behind the batch. Each attempt asks about devices that earlier ones have not asked about in vain, until none is
        left; then about all again.
        """
        firsts = first_of_each(fit)
        in_time = [one for one in firsts if one.time_us <= firsts[0].time_us + WITHIN_US]
        whole = in_time[:MOST_DEVICES] if len(fit) > 1 else []
        for one in (*whole, *islice(chain.from_iterable(map(pieces, in_time)), MOST_PIECES)):
            outcome = await receiver.send_one(one)
            if isinstance(outcome, Accepted):
                return one
            if isinstance(outcome, Misconfigured | Unavailable) and not may_be_what_was_sent(outcome):
                return None
        if len(firsts) > 1:  # what is behind the batch would make these devices' polls too late
            return None
        async for one in oldest_of_others(self._buffer, self._heads, receiver, batch, fit, self._asked):
            outcome = await receiver.send_one(one)
            if isinstance(outcome, Accepted):
                self._refused = 0
                return one
            if isinstance(outcome, Misconfigured | Unavailable) and not may_be_what_was_sent(outcome):
                return None
            if one.device != fit[0].device:
                self._asked.devices.add(one.device)
        return None


def may_be_what_was_sent(outcome: WriteOutcome) -> bool:
    """Whether a receiver may have failed at what it was sent, and would not at something else."""
    if not isinstance(outcome, Unavailable) or outcome.timed_out:
        return False
    return may_be_the_batch(outcome) and not is_about_itself(outcome)
