"""What shows whether a receiver fails, or refuses some devices only: the oldest polls that wait of other devices, one of each.

    a batch that is refused, metric by metric -> polls of other devices behind it -> courier.py sends them by themselves

A receiver at its limit of series refuses all of new devices, and nothing else. What is sent so goes once more with its batch: a
receiver accepts a sample again that equals its latest one, and each is the first of its device, so that none is too late by it.
Some devices are asked about at each attempt, then the next ones: however many are refused, the first one that is not is found.
I/O: the buffer. Microseconds since 1970 (`_us`).
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, Lane, StoredPoll
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.heads import Heads
from towerops_agent.site.document.destination import Destination

MOST_DEVICES: Final = 10
"""So many at one attempt."""

MOST_BATCHES: Final = 30
"""How many are looked through. The halves of a batch of 10,000 metrics are fourteen."""

WITHIN_US: Final = 1_800_000_000
"""A Prometheus has no place for what is older by an hour than what it has: what is later is sent if all before it is refused."""

Fit = Callable[[list[StoredPoll], dict[int, list[bytes]]], Sequence[Candidate]]
"""Which of these polls can be sent, with the labels by layout."""


async def oldest_of_others(
    buffer: Buffer, heads: Heads, destination: Destination, batch: Batch, refused: Candidate, asked: Collection[str], fit: Fit
) -> AsyncIterator[Candidate]:
    """The first poll behind `batch`, to which `refused` belongs, of each of some other devices, in the order of time.

    `asked`: devices that were asked about in vain earlier. Raises BufferFailure.
    """
    known = {refused.device, *asked}
    found = 0
    passed = [batch.id]
    lanes = [batch.lane] if batch.lane is Lane.FRESH else [batch.lane, Lane.FRESH]  # what is fresh is later than any backlog
    while lanes and len(passed) <= MOST_BATCHES:
        behind = await buffer.next_batch(destination.max_metrics, lanes[0], passed, batch.destination)
        if behind is None:
            del lanes[0]
            continue
        passed.append(behind.id)
        for one in fit(*await heads.read(behind, destination)):
            if one.device in known:
                continue
            if found == MOST_DEVICES or (found and one.time_us > refused.time_us + WITHIN_US):
                return
            known.add(one.device)
            found += 1
            yield one
