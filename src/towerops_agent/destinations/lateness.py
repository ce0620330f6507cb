"""Asks a receiver which polls of a refused batch are too late for it.

    the courier's refused batch -> course/late.py's searches -> questions to the receiver -> what is too late

Prometheus stores a request as a whole or not at all, and says of what kind the first sample is that it does not accept. So a
question is a request that ends in a sample of 1971: it is always refused, nothing of it is stored, and the answer shows whether
what comes before that sample is out of order. Without it, later samples that are accepted would make earlier ones too late.
Other receivers store what they can of a request; they are not asked. A Prometheus in agent mode has no bound, and would accept
that sample: so before the first question of a search it is put before the refused batch, which is refused in any case. A
time at which nothing was read has a staleness marker in place of a value, which no query returns.
I/O: the receiver. Microseconds since 1970 (`_us`).
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Final, TypeVar

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.course.late import KnownLate, Question, ahead, every, newest
from towerops_agent.destinations.kinds import ReceiverKind
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, WriteOutcome
from towerops_agent.destinations.wire.remote_write import STALE
from towerops_agent.destinations.wire.samples import Part, Samples
from towerops_agent.model import Layout

PROBE: Final = "towerops_agent_backlog_probe"
"""The metric with which a receiver is asked how old a sample may be."""

ANCIENT_US: Final = 1000 << 35
"""In February 1971: older than what any receiver with a bound accepts."""

_LAYOUT: Final = Layout("", ((PROBE, 1.0),))

Send = Callable[[bytes], Awaitable[WriteOutcome]]
_Found = TypeVar("_Found")


class _NotAnsweredError(Exception):
    """The outcome of a question that is not an answer to it."""

    def __init__(self, outcome: WriteOutcome) -> None:
        self.outcome = outcome


class Lateness:
    """What is too late for one receiver, of this kind. `known`: what has been found out."""

    def __init__(self, kind: ReceiverKind) -> None:
        self.known = KnownLate()
        self._kind = kind
        self._answers: bool | None = None  # whether the receiver can be asked; None: not known
        self._last: tuple[int, Candidate] | None = None  # the batch last searched, and the newest poll of it that is too late

    @property
    def can_ask(self) -> bool:
        """Whether the receiver answers questions, as the last one has shown."""
        return self._answers is True

    def forget(self) -> None:
        """The receiver's settings may become others, or it may be another receiver."""
        self.known, self._last, self._answers = KnownLate(), None, None

    async def learn(
        self, send: Send, batch: int, polls: Sequence[Candidate], refused: TooLate, now_us: int
    ) -> bool | WriteOutcome:
        """Whether some of the batch's polls, which were not known to be too late, are now. `send`: to the receiver.

        False if the receiver can't be asked; an outcome if it does not answer.
        """
        try:
            if refused.by_time:
                await self._find_bound(send, polls)
            elif len(polls) == 1:
                self.known.note(polls[0])
            elif not refused.is_prometheus or not self._kind.keeps_order or not await self._can_be_asked(send, polls):
                return False
            else:
                await self._search(send, batch, polls, now_us)
        except _NotAnsweredError as error:
            self._answers = None
            outcome = error.outcome
            return False if isinstance(outcome, Accepted | PartlyTaken | Rejected | TooLarge) else outcome
        return any(self.known.covers(one) for one in polls)

    async def lacks(
        self, send: Send, latest: Sequence[Part], polls: Sequence[Candidate], refused: TooLate, *, again: bool = False
    ) -> bool | WriteOutcome:
        """Whether the receiver does not have one of the batch's latest samples, nor a later one, and so not the batch.

        False if it can't be asked, or has some; an outcome if it does not answer. Asked without their values: what has a sample
        at its time refuses another one. `polls`: those refused; `again`: it was asked about others of them just now.
        """
        if not refused.is_prometheus or not self._kind.keeps_order:
            return False
        if not again:
            self._answers = None  # it has been away, and may have been started again with other settings
        try:
            if not await self._can_be_asked(send, polls):
                return False
            outcome = await send(self._body([valueless(part) for part in latest]))
        except _NotAnsweredError as error:
            self._answers = None
            outcome = error.outcome
        if isinstance(outcome, Misconfigured | Unavailable):
            return outcome
        return isinstance(outcome, TooLate) and outcome.by_time

    async def _search(self, send: Send, batch: int, polls: Sequence[Candidate], now_us: int) -> None:
        if self._last is None or self._last[0] != batch:
            found = await self._run(send, newest(polls))
            self._last = batch, found[0]
        else:
            found = await self._run(send, every(polls, self._last[1]))
        for late in found:
            if self.known.note(late):  # some of these series were too late earlier: for as long as another writer goes on
                self.known.note(late, await self._run(send, ahead(late, now_us)))

    async def _can_be_asked(self, send: Send, refused: Sequence[Candidate]) -> bool:
        """Whether the sample of 1971 is refused as too old. `refused`: behind it, so that nothing is stored if it is not."""
        if self._answers is None:
            parts = [self._probe("none", ANCIENT_US, STALE), *(one.part for one in refused)]
            outcome = await send(self._kind.pack(parts).body)
            if not isinstance(outcome, TooLate):
                raise _NotAnsweredError(outcome)
            self._answers = outcome.by_time
        return self._answers

    async def _run(self, send: Send, search: Generator[Question, bool, _Found]) -> _Found:
        """What the search ends in. Raises _NotAnsweredError."""
        try:
            question = next(search)
            while True:
                outcome = await send(self._body([one.part for one in question]))
                if not isinstance(outcome, TooLate):
                    raise _NotAnsweredError(outcome)
                question = search.send(not outcome.by_time)
        except StopIteration as ended:
            found: _Found = ended.value
            return found

    def _body(self, parts: Sequence[Part]) -> bytes:
        """A question whether one of these samples or more is out of order."""
        return self._kind.pack([*parts, self._probe("none", ANCIENT_US, STALE)]).body

    def _probe(self, nth: str, time_us: int, value: float = 1.0) -> Part:
        heads = self._kind.heads_of(_LAYOUT, {("sensor", PROBE): [(("__name__", PROBE), ("nth", nth))]})
        return heads, _LAYOUT, Samples([0], [value], [time_us])

    async def _find_bound(self, send: Send, polls: Sequence[Candidate]) -> None:
        """Find the newest poll of a late batch that is too late, whatever its series: with it all before are.

        Asked with samples of series of its own, a new one each time: the device's would make its other polls late.
        """
        times_us = sorted(one.time_us for one in polls)
        late, fit = 0, len(times_us)
        guess = fit - 1
        while late < guess < fit:
            outcome = await send(self._kind.pack([self._probe(str(guess), times_us[guess])]).body)
            if isinstance(outcome, TooLate) and outcome.by_time:
                late = guess
            elif isinstance(outcome, Accepted | TooLate):
                fit = guess
            else:
                break
            guess = (late + fit) // 2
        self.known.until_us = max(self.known.until_us, times_us[late])


def valueless(part: Part) -> Part:
    """The same series at the same times, to ask about them: what has a sample at its time refuses another one."""
    heads, layout, samples = part
    return heads, layout, Samples(samples.slots, [STALE] * len(samples.slots), samples.times_us)
