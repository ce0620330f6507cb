"""Batches that a receiver may have, although it has not said so: sent, and not answered. And what shows whether it has one.

    a request without an answer -> the batch is in doubt -> it is sent again, and refused as too late -> settle asks -> outcome

A receiver that stored a batch, and whose answer was lost, refuses it the second time; the latest sample of each series then shows
that it has them all. What is sent again in halves, since it took too long, was stored as one: of an older half the receiver has
later samples, of the newer one. So the halves of a batch in doubt know what is behind them.
I/O: the buffer, the receiver.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import Final

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch
from towerops_agent.buffer.lanes import open_batches
from towerops_agent.counters import Count, Counters
from towerops_agent.destinations.course.fit import Candidate, latest_of
from towerops_agent.destinations.kinds import ReceiverKind
from towerops_agent.destinations.lateness import Lateness, Send, valueless
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, WriteOutcome
from towerops_agent.destinations.wire.samples import Part

NO_ANSWER: Final = frozenset({None, 408, 502, 504, 520, 524, *range(200, 300)})
"""Not the receiver's own answer, if there was one at all, as of a page with 200: it may have stored the request.

520 and 524 are Cloudflare's: what the receiver said was not HTTP, or it said nothing within 100 s.
"""

MOST_QUESTIONS: Final = 3
"""A Prometheus that goes through values in an order of its own names one fault of two: asked so often, hardly the same."""

MOST_FIRST: Final = 10
"""Of so many devices it is looked whether another writer has made them all too late: of a Prometheus in agent mode."""


class Doubt:
    """Which batches of one line are in doubt, by id; those that an earlier run left open are. Splits batches, and counts it."""

    def __init__(self, buffer: Buffer, line: str, counters: Counters) -> None:
        self._buffer = buffer
        self._line = line
        self._counters = counters
        self._batches: set[int] | None = None  # None: those that are open now
        self._behind: dict[int, Batch] = {}  # by a batch in doubt the one behind it, if both were sent as one

    async def begin(self) -> bool:
        """Look which batches are open, before the first one is sent; whether it was done now. Raises BufferFailure.

        Two that adjoin may be halves of one that an earlier run sent.
        """
        if self._batches is not None:
            return False
        open_now = await self._buffer.ask(lambda store: open_batches(store.connection, self._line))
        self._batches = {batch.id for batch in open_now}
        starts = {(batch.lane, batch.start): batch for batch in open_now}
        following = ((batch.id, starts.get((batch.lane, batch.stop))) for batch in open_now)
        self._behind = {key: behind for key, behind in following if behind is not None}
        return True

    def __contains__(self, batch: Batch) -> bool:
        """Whether the receiver may have it."""
        return batch.id in self._known()

    def sends(self, batch: Batch) -> bool:
        """Note that it is sent now: in doubt until `answered`, as a stop may come first. Whether it was so before."""
        before = batch in self
        self._known().add(batch.id)
        return before

    def answered(self, batch: Batch, outcome: WriteOutcome, *, before: bool) -> None:
        """Note what came of it, once the buffer has that too. `before`: whether it was in doubt before it was sent."""
        if not _leaves_in_doubt(outcome, before=before):
            self._known().discard(batch.id)
            self._behind.pop(batch.id, None)

    async def split(self, batch: Batch) -> Batch:
        """The older half, which is not in doubt, nor is the newer one: the receiver has refused the batch."""
        older, _ = await self._halves(batch)
        self._behind.pop(batch.id, None)
        return older

    async def split_unanswered(self, batch: Batch) -> Batch:
        """The older half; both are in doubt if the batch is, and the newer one is behind the older one."""
        if batch not in self:
            return await self.split(batch)
        older, newer = await self._halves(batch)
        self._known().discard(batch.id)
        self._known().update((older.id, newer.id))
        self._behind[older.id] = newer
        if (behind := self._behind.pop(batch.id, None)) is not None:
            self._behind[newer.id] = behind
        return older

    async def split_blamed(self, batch: Batch, outcome: Unavailable, *, before: bool) -> None:
        """As the receiver fails at it, and takes others; `before` as in `answered`."""
        if _leaves_in_doubt(outcome, before=before):
            await self.split_unanswered(batch)
        else:
            await self.split(batch)

    async def behind(self, batch: Batch, most_metrics: int) -> AsyncIterator[Batch]:
        """The batches behind it that were sent as one with it, in their order; made so small first, or a question would take as
        long again as what timed out. Of halves one may have one metric more."""
        before = batch
        while (behind := self._behind.get(before.id)) is not None:
            if behind.metric_count > most_metrics + 1:
                self._behind[before.id] = await self.split_unanswered(behind)
                continue
            yield behind
            before = behind

    async def _halves(self, batch: Batch) -> tuple[Batch, Batch]:
        self._counters.add(Count.BATCHES, "split")
        return await self._buffer.split(batch)

    def _known(self) -> set[int]:
        if self._batches is None:
            raise RuntimeError("it is not known which batches are open: call `begin` first")
        return self._batches


async def settle(
    send: Send,
    kind: ReceiverKind,
    lateness: Lateness,
    refused: Sequence[Candidate],
    behind: Sequence[Sequence[Part]],
    late: TooLate,
) -> WriteOutcome:
    """The outcome of a batch in doubt that is refused, and may be so because the receiver has it: Accepted if it has.

    Or because it has all of a larger one that the batch was a part of: then it has what is `behind` it too. `refused`: the polls
    of the batch that were sent; `late`: with what they were refused. `late` again: what is too late is to be found out.
    """
    own = [one.part for one in refused]
    if late.is_prometheus and not kind.keeps_order:
        return await _settle_by_the_first(send, kind, refused, [*behind[::-1], own], late)
    if late.is_prometheus:
        for place, parts in enumerate([*behind[::-1], own]):
            latest = latest_of(kind.key_of, parts)
            lacks = await lateness.lacks(send, latest, refused, late, again=place > 0)
            if not isinstance(lacks, bool):
                return lacks
            if lacks or (parts is not own and not lateness.can_ask):
                continue
            if not lateness.can_ask and (said := await _send_the_first(send, kind, refused, MOST_FIRST)) is not None:
                return said if isinstance(said, Misconfigured | Unavailable) else late
            confirmed = await send(kind.pack(latest).body)
            if not isinstance(confirmed, TooLate):
                return confirmed
        return late
    for parts in (own, *behind):
        if parts is not own:  # the receiver has stored what it can of those before, and may be offered the next ones
            offered = await send(kind.pack(parts).body)
            if not isinstance(offered, TooLate):
                return late if isinstance(offered, Accepted | PartlyTaken) else offered
        confirmed = await send(kind.pack(latest_of(kind.key_of, parts)).body)
        if not isinstance(confirmed, TooLate):
            return confirmed
    return late


async def _settle_by_the_first(
    send: Send, kind: ReceiverKind, refused: Sequence[Candidate], parts: Sequence[Sequence[Part]], late: TooLate
) -> WriteOutcome:
    """As `settle`, for a Prometheus that looks at values in an order of its own, and so can't be asked what it lacks.

    The first poll of a series that the batch has more of is refused if it has the batch; if it is accepted all else of the batch
    is still to be sent. Beside it, which makes it refuse the whole request, the latest samples are sent without their values:
    what has them says so of one of them, or of that poll. `parts`: where to look for them, the last ones first.
    """
    if (said := await _send_the_first(send, kind, refused, 1)) is not None:
        return said if isinstance(said, Misconfigured | Unavailable) else late
    first = next(_first_of_several(refused), None)
    if first is None:  # each is the latest of its series, and one is refused
        return late
    for some in parts:
        question = kind.pack([*(valueless(part) for part in latest_of(kind.key_of, some)), first.part]).body
        for _ in range(MOST_QUESTIONS):
            outcome = await send(question)
            if not isinstance(outcome, TooLate):
                return late if isinstance(outcome, Accepted | PartlyTaken) else outcome
            if outcome.is_doubled:
                return Accepted()
    return late


async def _send_the_first(
    send: Send, kind: ReceiverKind, refused: Sequence[Candidate], most: int
) -> Accepted | PartlyTaken | TooLarge | Rejected | Misconfigured | Unavailable | None:
    """What the receiver says of the first poll of at most so many devices, sent by itself; None: it is too late, as is each.

    If one is not, the receiver does not have the batch, of which it would have a later poll of the device.
    """
    for first in islice(_first_of_several(refused), most):
        outcome = await send(kind.pack([first.part]).body)
        if not isinstance(outcome, TooLate):
            return outcome
    return None


def _first_of_several(polls: Sequence[Candidate]) -> Iterator[Candidate]:
    """The earliest poll of each device of which a later one has some of the series; the earliest of these first."""
    later: dict[int, int] = {}
    found: dict[int, Candidate] = {}
    for one in sorted(polls, key=lambda one: one.time_us, reverse=True):
        slots = later.get(one.labels, 0)
        if slots & one.slots:
            found[one.labels] = one
        later[one.labels] = slots | one.slots
    yield from sorted(found.values(), key=lambda one: one.time_us)


def _leaves_in_doubt(outcome: WriteOutcome, *, before: bool) -> bool:
    match outcome:
        case Unavailable():
            answered = outcome.status not in NO_ANSWER and not outcome.cut_off
            return before or not (answered or outcome.not_sent)
        case Misconfigured():
            return before
    return False
