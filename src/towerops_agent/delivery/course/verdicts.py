"""The verdict on a batch after one attempt to send it: the table of answers in docs/api.md, row by row, and what an answer shows
of the API, of the batch and of the others under way.

course.py owns the Verdicts and sends by what they know, courier.py reports the answers and carries the verdicts out.
Pure: both clocks and the jitter are passed in. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import assert_never

from towerops_agent.api.wire.outcomes import (
    Accepted,
    NotFound,
    Outcome,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.delivery.course.backlog import CatchUp
from towerops_agent.delivery.course.pace import Held, Pace, Sent, took_long
from towerops_agent.delivery.course.parcel import Exclusions

LEAST_S = 1.0
MOST_S = 60.0
SLOW_S = 60.0
"""Between attempts that fail until the operator does something."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server has the batch: acknowledge it."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Send the same batch, with the same key, after `seconds`; read the token's file again before that if so stated."""

    seconds: float
    reread_token: bool = False


@dataclass(frozen=True, slots=True)
class Halve:
    """Send the batch in halves. `too_large`: because of its size, to be remembered, not because of its content.

    `is_search`: nothing has been taken since it was refused, so that the server may be failing.
    """

    too_large: bool
    is_search: bool = False


@dataclass(frozen=True, slots=True)
class MetricRefused:
    """Keep the batch's single metric in the database, with the server's reason, and go on."""

    reason: str


Decision = Delivered | RetryIn | Halve | MetricRefused


@dataclass(frozen=True, slots=True)
class Kept:
    """The batch stays in the buffer, to be sent again with the same key.

    `retry_in_s`: None if this run does not send it again. `attempt`: how often it has failed. `others_pass`: the API works, and
    only this batch fails. `is_search`: it was refused, and whether the server takes anything is still being searched for.
    """

    retry_in_s: float | None
    attempt: int
    others_pass: bool = False
    is_search: bool = False


Verdict = Delivered | Halve | MetricRefused | Kept
"""The verdict on a batch after an attempt."""


@dataclass(slots=True)
class Attempt:
    """A batch between `cut` or Send, and `ended`. `sent`: None before its request is sent.

    `stays`: the buffer still has what is in it, in this batch or in halves, to be cut once it is no longer under way.
    """

    batch: Batch
    sent: Sent | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run. `attempts`: how often the API, or a batch, may fail; `until_s`: when the run is over at the latest."""

    attempts: int
    until_s: float


class Verdicts:
    """Judges the answers. `exclusions`: what batches leave out. The rest is what the answers have shown, which the course reads.

    `finish`: the limits of a run that ends. `wants_look`: a turn of the fresh values is to begin at once.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self.held = Held()
        self.refusals = Refusals()
        self.catch_up = CatchUp()
        self.exclusions = Exclusions()
        self.under_way: dict[int, Attempt] = {}
        self.newest_batch = 0
        self.finish: Finish | None = None
        self.wants_look = False
        self.wants_token = False

    def begin(self, batch: Batch) -> None:
        """Note that the batch is under way from now on."""
        self.newest_batch = max(self.newest_batch, batch.id)
        self.under_way[batch.id] = Attempt(batch)

    def may_go(self, batch: Batch, now_s: float) -> bool:
        """Whether the batch, ready to be sent, is to be sent now; False if another one has failed meanwhile."""
        one = self.under_way[batch.id]
        if now_s < self.pace.opens_at_s:
            one.stays = batch.id not in self.held.ids
            return False
        one.sent = self.pace.sent(now_s)
        return True

    def take(self, batch: Batch, outcome: Outcome, oldest_us: int, jitter: float, now_s: float) -> Verdict:
        """What follows from the answer to a batch that `may_go` let go. `oldest_us`: when its oldest poll began."""
        one = self.under_way[batch.id]
        batch, sent = one.batch, one.sent
        if sent is None:
            raise ValueError(f"batch {batch.id} was not sent: no answer can belong to it")
        round_ = self.pace.failures + self.pace.is_first_failure(sent)
        decision = decide(outcome, max(1, round_), batch.metric_count, jitter)
        if isinstance(decision, RetryIn):
            self.refusals.stop()
            return self._failed(batch, sent, outcome, decision, now_s)
        if isinstance(outcome, Accepted):
            self.refusals.taken()
        elif not self.refusals.refused(batch) and (verdict := self._doubt(batch, sent, outcome, jitter, now_s)) is not None:
            return verdict
        was_down = self.pace.is_down
        if was_down:
            self.held.settled(batch)  # it is not a candidate for the blame
            self.held.api_answers(now_s)
        self.pace.answered(sent, batch.metric_count, now_s)
        if isinstance(decision, Delivered):
            self.pace.size.delivered()
        if batch.lane is Lane.BACKLOG and not isinstance(decision, Halve):
            self.catch_up.took(batch.metric_count, oldest_us, now_s)
        self._leaves(batch, outcome, decision)
        self.wants_look = self.wants_look or was_down  # the polls in the meantime go first
        return decision

    def take_unsent(self, batch: Batch, outcome: TooLarge) -> Verdict:
        """The verdict on a batch that is larger than the server's stated limit."""
        batch = self.under_way[batch.id].batch
        decision = decide(outcome, 1, batch.metric_count, 0.0)
        if not isinstance(decision, RetryIn):
            self._leaves(batch, outcome, decision)
            return decision
        raise AssertionError("a batch that is too large is halved or kept")

    def split(self, batch: Batch, halves: tuple[Batch, Batch]) -> None:
        """Take in the halves that the batch was split into."""
        self.refusals.split(batch, halves)

    def learn(self, series: str, reason: str, now_us: int) -> bool:
        """Note that the server refuses the series beside others that it accepts; whether batches leave it out from now on."""
        return self.exclusions.learn(series, reason, self.newest_batch, now_us)

    def asked(self, series: str, outcome: Outcome, now_us: int, now_s: float) -> bool:
        """Take in the answer to an ask; whether the server accepts the series again."""
        match outcome:
            case Accepted():
                self.refusals.taken()
                self.exclusions.accepted(series, self.newest_batch, now_us)
                return True
            case Rejected() | TooLarge():
                self.exclusions.refused(series, now_us)
            case Unavailable(retry_after_s=float(wait_s)):
                self.pace.told(wait_s, now_s)
                self.exclusions.unanswered(series, now_us)
            case _:
                self.exclusions.unanswered(series, now_us)
        return False

    def emptied(self, batch: Batch) -> None:
        """Note that nothing of the batch is left to send: it has expired, or all of it is damaged."""
        self.held.settled(batch)
        self.refusals.forget(batch)

    def _doubt(self, batch: Batch, sent: Sent, outcome: Outcome, jitter: float, now_s: float) -> Halve | Kept | None:
        """What follows if the batch is refused and nothing was taken since: None: it is only too large.

        Down to single metrics the batch is searched for anything that is taken. If there is nothing, the server is failing, as
        with 5xx; each probe that it refuses then is halved, so that no bad metric in it keeps the others back for long.
        """
        if batch.metric_count > 1:
            if isinstance(outcome, TooLarge):
                return None
            if self.pace.is_down:
                self.pace.failed(sent, backoff_s(max(1, self.pace.failures + 1), jitter), now_s)
            elif not self.refusals.search(batch):
                self.held.hold(batch)
                return Kept(self._retry_in_s(batch, now_s, now_s), self.held.attempts(batch), is_search=True)
            decision = Halve(too_large=False, is_search=True)
            self._leaves(batch, outcome, decision)
            return decision
        if self.refusals.goes_on():
            self.held.hold(batch)
            return Kept(self._retry_in_s(batch, now_s, now_s), self.held.attempts(batch), is_search=True)
        self.held.failed(batch)
        self.refusals.stop()
        if isinstance(outcome, TooLarge):
            self.pace.size.one_too_large()
        self.pace.failed(sent, backoff_s(max(1, self.pace.failures + self.pace.is_first_failure(sent)), jitter), now_s)
        self.catch_up.stopped()
        return Kept(self._retry_in_s(batch, max(now_s, self.pace.opens_at_s), now_s), self.held.attempts(batch))

    def _retry_in_s(self, batch: Batch, again_s: float, now_s: float) -> float | None:
        """How long until the batch is sent again; None if this run does not send it again."""
        if self.finish is None:
            return again_s - now_s
        is_last = again_s > self.finish.until_s or max(self.held.attempts(batch), self.pace.failures) >= self.finish.attempts
        return None if is_last else again_s - now_s

    def _failed(self, batch: Batch, sent: Sent, outcome: Outcome, decision: RetryIn, now_s: float) -> Kept:
        if took_long(outcome, now_s - sent.at_s):
            self.pace.unanswered(sent, batch.metric_count, now_s)
        others_pass = may_be_the_batch(outcome) and (self.held.is_blamed(batch) or self.pace.has_answered_since(sent))
        if others_pass:
            again_s = now_s + self.held.blame(batch, now_s)
        else:
            self.held.failed(batch)
            self.pace.failed(sent, decision.seconds, now_s)
            if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
                self.pace.told(decision.seconds, now_s)
            self.wants_token = self.wants_token or decision.reread_token
            again_s = max(now_s, self.pace.opens_at_s)
        if self.pace.is_down:
            self.catch_up.stopped()
        return Kept(self._retry_in_s(batch, again_s, now_s), self.held.attempts(batch), others_pass)

    def _leaves(self, batch: Batch, outcome: Outcome, decision: Delivered | Halve | MetricRefused) -> None:
        """Note that the batch is gone: the server has it, or the rest of it is in other batches."""
        self.held.settled(batch)
        if not isinstance(decision, Halve):
            self.refusals.forget(batch)
        if isinstance(decision, Halve):
            if decision.too_large:
                self.pace.size.too_large(batch.metric_count)
            self.under_way[batch.id].stays = True
        elif isinstance(decision, MetricRefused) and isinstance(outcome, TooLarge):
            self.pace.size.one_too_large()


def decide(outcome: Outcome, attempt: int, metric_count: int, jitter: float) -> Decision:
    """What to do after the `attempt`-th attempt, from 1, at a batch of `metric_count` metrics. `jitter`: from 0 up to 1."""
    match outcome:
        case Accepted():
            return Delivered()
        case Unauthorized():
            return RetryIn(SLOW_S, reread_token=True)
        case NotFound() | Redirected():
            return RetryIn(SLOW_S)
        case TooLarge():
            return Halve(too_large=True) if metric_count > 1 else MetricRefused(outcome.reason)
        case Rejected():
            return Halve(too_large=False) if metric_count > 1 else MetricRefused(f"status {outcome.status}: {outcome.reason}")
        case Unavailable():
            if outcome.retry_after_s is not None:
                return RetryIn(max(LEAST_S, outcome.retry_after_s))
            return RetryIn(backoff_s(attempt, jitter))
        case _:
            assert_never(outcome)


def backoff_s(attempt: int, jitter: float) -> float:
    """How long to wait after the `attempt`-th failure: 1 to 2 s, 2 to 4 s, and so on up to 30 to 60 s."""
    ceiling = min(LEAST_S * (1 << min(max(attempt, 1), 6)), MOST_S)
    return ceiling / 2 * (1 + jitter)


def may_be_the_batch(outcome: object) -> bool:
    """Whether the batch may be the cause of the failure: not if the server refuses everything, asked for a pause, or is away."""
    if not isinstance(outcome, Unavailable) or outcome.not_sent:
        return False
    return outcome.status not in (429, 503) and outcome.retry_after_s is None


class Refusals:
    """What has been refused since the server last took anything, and the search for what it takes.

    A refused metric is only known to be bad if the server has accepted something since the batch that it came in was first
    refused: a bad deployment answers 400 to everything. As long as it has not, the batch is searched: one half is sent as it is,
    the other one is halved further, down to the first metric, and then, from the right half of the whole, to the last one. So
    some 40 requests show whether the server accepts anything of 1,000 metrics; a device that it does not know has a stretch of
    them, at one end or within.
    """

    def __init__(self) -> None:
        self._events = 0  # answers so far: the order of what was refused and what was taken
        self._taken_at = 0
        self._first_at: dict[int, int] = {}  # by batch id: when it, or the batch that it is a part of, was first refused
        self._is_searching = False
        self._to_send: list[Batch] = []
        self._target_id: int | None = None  # the part that is halved next
        self._is_at_end = False  # whether the last metric is what it is halved down to
        self._right_of_all: Batch | None = None  # where the way to the last metric begins
        self._asked_id: int | None = None  # the part that was sent last
        self._halved_id: int | None = None

    @property
    def is_searching(self) -> bool:
        """Whether a batch is being searched for anything that the server takes: nothing else is sent meanwhile."""
        return self._is_searching

    def taken(self) -> None:
        """Note that the server has taken something: the search has found what it looked for."""
        self._events += 1
        self._taken_at = self._events
        self.stop()

    def refused(self, batch: Batch) -> bool:
        """Note that the batch was refused; whether something else was taken since it first was, whole or in a part of it."""
        self._events += 1
        return self._taken_at > self._first_at.setdefault(batch.id, self._events)

    def search(self, batch: Batch) -> bool:
        """Whether the batch, refused without anything taken, is to be halved for the search, which begins if there is none."""
        if self._is_searching and batch.id != self._target_id:
            return False
        self._is_searching, self._halved_id = True, batch.id
        return True

    def split(self, batch: Batch, halves: tuple[Batch, Batch]) -> None:
        """Take in the halves of a batch: its history is theirs, and the search goes on with them, the right one first."""
        left, right = halves
        first_at = self._first_at.pop(batch.id, None)
        if first_at is not None:
            self._first_at[left.id] = self._first_at[right.id] = first_at
        if self._is_right_of_all(batch):  # it was too large to be sent as it was
            self._right_of_all = right
        if self._is_searching and batch.id == self._halved_id:
            if self._target_id is None:
                self._right_of_all = right
            self._to_send = [right, left] if self._is_at_end else [left, right]
            self._target_id = self._to_send[0].id

    def next_part(self, under_way: Collection[int]) -> Batch | None:
        """The part to send next, one at a time; None: the search waits for an answer, or has nothing more to send."""
        if not self._to_send or self._asked_id in under_way:
            return None
        part = self._to_send.pop()
        self._asked_id = part.id
        return part

    def part_backlog(self) -> None:
        """Note that all that is pending is backlog now."""
        self._to_send = [replace(part, lane=Lane.BACKLOG) for part in self._to_send]
        if self._right_of_all is not None:
            self._right_of_all = replace(self._right_of_all, lane=Lane.BACKLOG)

    @property
    def has_more(self) -> bool:
        """Whether the search has a part that was not sent yet."""
        return bool(self._to_send)

    def goes_on(self) -> bool:
        """Whether the search has more to send, now that a single metric was refused: if need be, on the way to the last one."""
        if not self._to_send and self._right_of_all is not None:
            self._to_send, self._target_id, self._is_at_end = [self._right_of_all], self._right_of_all.id, True
            self._right_of_all = None
        return self.has_more

    def stop(self) -> None:
        """End the search."""
        self._is_searching, self._to_send = False, []
        self._target_id = self._asked_id = self._halved_id = self._right_of_all = None
        self._is_at_end = False

    def forget(self, batch: Batch) -> None:
        """Take in that the batch is no more."""
        self._first_at.pop(batch.id, None)
        if self._is_right_of_all(batch):
            self._right_of_all = None

    def _is_right_of_all(self, batch: Batch) -> bool:
        return self._right_of_all is not None and self._right_of_all.id == batch.id
