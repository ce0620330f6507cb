"""What shows whether a receiver fails, or does not take some series only: others that wait, by themselves.

    a batch that is refused, or failed at -> pieces of its polls, or what is behind it -> blame.py sends them

Behind it that are other series of the device, and of each of some other devices the oldest poll: a receiver at its limit of
series refuses all of new devices, and nothing else. What is sent so goes once more with its batch: a receiver accepts a sample
again that equals its latest one, and each is the first one that waits of its series, so that none is too late by it.
Some devices are asked about at each attempt, then the next ones: however many are refused, the first one that is not is found, if
it is within MOST_PASSED batches.
I/O: the buffer. Microseconds since 1970 (`_us`).
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.heads import Heads
from towerops_agent.destinations.receiver import Receiver

MOST_DEVICES: Final = 10
"""So many at one attempt."""

MOST_PIECES: Final = 20
"""So many pieces of the batch's polls, and so many of what waits of the same device's other series, at one attempt."""

MOST_BATCHES: Final = 30
"""How many are looked through at one attempt. The halves of a batch of 10,000 metrics are fourteen."""

MOST_PASSED: Final = 1_000
"""How many are passed over at the next attempts: each is an open batch, and each look at the line reads all of them."""

WITHIN_US: Final = 1_800_000_000
"""A Prometheus has no place for what is older by an hour than what it has: what is later is sent if all before it is refused."""


@dataclass(slots=True)
class AskedInVain:
    """Devices, and the ids of batches that have polls of no others; `series`: those that these batches have, by labels."""

    devices: set[str] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)
    series: Counter[int] = field(default_factory=Counter)

    def forget(self) -> None:
        """Ask about all again."""
        self.devices.clear()
        self.batches.clear()
        self.series.clear()


def first_of_each(polls: Iterable[Candidate]) -> list[Candidate]:
    """The first poll of each device, in the order of time."""
    found: dict[str, Candidate] = {}
    for one in sorted(polls, key=lambda one: one.time_us):
        found.setdefault(one.device, one)
    return list(found.values())


def pieces(poll: Candidate) -> Iterator[Candidate]:
    """Its halves, then its quarters, if it has several metrics."""
    slots = poll.part[2].slots if poll.metrics > 1 else []
    sizes = {-(-len(slots) // count) for count in (2, 4)} - {len(slots)}
    for size in sorted(sizes, reverse=True):
        for at in range(0, len(slots), size):
            yield poll.only(sum(1 << slot for slot in slots[at : at + size]))


async def oldest_of_others(
    buffer: Buffer, heads: Heads, receiver: Receiver, batch: Batch, refused: Sequence[Candidate], asked: AskedInVain
) -> AsyncIterator[Candidate]:
    """What waits behind `batch`, whose polls, of one device, are `refused`; in the order of time.

    Of that device what is of other series, and pieces of it; of each of some other devices the first poll. `asked`: goes on from
    earlier attempts; the caller adds the other devices, and once none is left all is forgotten. Raises BufferFailure.
    """
    destination, device, ends_us = receiver.destination, refused[0].device, refused[0].time_us + WITHIN_US
    known = asked.devices - {device}
    waiting = Counter(asked.series)  # by labels, a bit each: of these series something earlier waits
    for one in refused:
        waiting[one.labels] |= one.slots
    found = looked = own = 0
    passed = {batch.id, *asked.batches}
    lanes = [batch.lane] if batch.lane is Lane.FRESH else [batch.lane, Lane.FRESH]  # what is fresh is later than any backlog
    while lanes and looked < MOST_BATCHES:
        behind = await buffer.next_batch(destination.max_metrics, lanes[0], passed, batch.destination)
        if behind is None:
            del lanes[0]
            continue
        looked += 1
        passed.add(behind.id)
        before = found + own
        polls = receiver.fit(*await heads.read(behind, destination))[0]
        for one in polls:
            others = one.slots & ~waiting[one.labels]
            waiting[one.labels] |= one.slots
            if not others or one.device in known:
                continue
            other = one.only(others)
            if one.device == device:
                for piece in (other, *pieces(other)) if one.time_us <= ends_us else ():
                    if own < MOST_PIECES:
                        own += 1
                        yield piece
                continue
            if found == MOST_DEVICES or (found and one.time_us > ends_us):
                return
            known.add(one.device)
            found += 1
            yield other
        if found + own == before:
            asked.batches.add(behind.id)
            for one in polls:
                asked.series[one.labels] |= one.slots
    if not found and (not lanes or len(asked.batches) > MOST_PASSED):
        asked.forget()
