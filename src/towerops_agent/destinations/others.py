"""What shows whether a receiver fails, or refuses some devices only: the oldest polls that wait of other devices, one of each.

    a batch that is refused, metric by metric -> polls of other devices behind it -> blame.py sends them by themselves

A receiver at its limit of series refuses all of new devices, and nothing else. What is sent so goes once more with its batch: a
receiver accepts a sample again that equals its latest one, and each is the first of its device, so that none is too late by it.
Some devices are asked about at each attempt, then the next ones: however many are refused, the first one that is not is found, if
it is within MOST_PASSED batches.
I/O: the buffer. Microseconds since 1970 (`_us`).
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.heads import Heads
from towerops_agent.destinations.receiver import Receiver

MOST_DEVICES: Final = 10
"""So many at one attempt."""

MOST_BATCHES: Final = 30
"""How many are looked through at one attempt. The halves of a batch of 10,000 metrics are fourteen."""

MOST_PASSED: Final = 1_000
"""How many are passed over at the next attempts: each is an open batch, and each look at the line reads all of them."""

WITHIN_US: Final = 1_800_000_000
"""A Prometheus has no place for what is older by an hour than what it has: what is later is sent if all before it is refused."""


@dataclass(slots=True)
class AskedInVain:
    """Devices, and the ids of batches that have polls of no others."""

    devices: set[str] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)

    def forget(self) -> None:
        """Ask about all again."""
        self.devices.clear()
        self.batches.clear()


def first_of_each(polls: Iterable[Candidate]) -> list[Candidate]:
    """The first poll of each device, in the order of time."""
    found: dict[str, Candidate] = {}
    for one in sorted(polls, key=lambda one: one.time_us):
        found.setdefault(one.device, one)
    return list(found.values())


async def oldest_of_others(
    buffer: Buffer, heads: Heads, receiver: Receiver, batch: Batch, refused: Candidate, asked: AskedInVain
) -> AsyncIterator[Candidate]:
    """The first poll behind `batch`, to which `refused` belongs, of each of some other devices, in the order of time.

    `asked`: goes on from earlier attempts; the caller adds the devices, and once none is left all is forgotten. Raises
    BufferFailure.
    """
    destination = receiver.destination
    known = {refused.device, *asked.devices}
    found = looked = 0
    passed = {batch.id, *asked.batches}
    lanes = [batch.lane] if batch.lane is Lane.FRESH else [batch.lane, Lane.FRESH]  # what is fresh is later than any backlog
    while lanes and looked < MOST_BATCHES:
        behind = await buffer.next_batch(destination.max_metrics, lanes[0], passed, batch.destination)
        if behind is None:
            del lanes[0]
            continue
        looked += 1
        passed.add(behind.id)
        before = found
        for one in receiver.fit(*await heads.read(behind, destination))[0]:
            if one.device in known:
                continue
            if found == MOST_DEVICES or (found and one.time_us > refused.time_us + WITHIN_US):
                return
            known.add(one.device)
            found += 1
            yield one
        if found == before:
            asked.batches.add(behind.id)
    if not found and (not lanes or len(asked.batches) > MOST_PASSED):
        asked.forget()
