"""The course of delivery: what to send next, and what follows from an answer.

    next -> SeePending, Part, CutBatch, Send, Wait, … -> courier.py does it -> saw, parted, cut, may_go, take, ended -> next …

Fresh values have a turn every 30 s and go before the backlog of an outage, which follows beside them without a pause, as many
requests at once as the API accepts (pace.py). While the API is down one batch is its probe (held.py), and what gathers meanwhile
becomes backlog, minute by minute. No batch is under way twice, and one that failed is held until it is delivered or gone.
Pure: both clocks and the jitter are passed in. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from towerops_agent.api.wire.outcomes import Accepted, Outcome, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.format.batch import Batch, Lane, Pending
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.held import Held, Refusals
from towerops_agent.delivery.course.pace import Backlog, CatchUp, Pace, Sent
from towerops_agent.delivery.course.parcel import Exclusions
from towerops_agent.delivery.course.retry import Delivered, Halve, RetryIn, SetAside, backoff_s, decide
from towerops_agent.delivery.course.steps import (
    CutBatch,
    Done,
    Drained,
    Kept,
    Part,
    Report,
    RereadToken,
    SeePending,
    Send,
    Step,
    TryRefused,
    Verdict,
    Wait,
)

INTERVAL_S = 30.0
"""Between two turns of the fresh values."""

PART_AFTER_S = 60.0
"""How long the API is down, or delivery behind, before what has gathered is backlog: what is fresh is never older by much."""


@dataclass(slots=True)
class _UnderWay:
    """A batch between `cut` or Send, and `ended`. `sent`: None before its request is sent.

    `stays`: the buffer still has what is in it, in this batch or in halves, to be cut once it is no longer under way.
    """

    batch: Batch
    sent: Sent | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class _Finish:
    """The end of a run. `attempts`: how often the API, or a batch, may fail; `until_s`: when the run is over at the latest."""

    attempts: int
    until_s: float


class Course:
    """One delivery, for as long as the agent runs: in turns, until `finish`.

    `parted_s`: when what was pending last became backlog. `exclusions`: what batches leave out.
    """

    def __init__(self, *, interval_s: float = INTERVAL_S, settle_s: float = 0.0) -> None:
        """`settle_s`: how long the very first turn waits for the polls that follow the first one."""
        self._interval_s = interval_s
        self._settle_s = settle_s
        self._pace = Pace()
        self._held = Held()
        self._refusals = Refusals()
        self._catch_up = CatchUp()
        self._under_way: dict[int, _UnderWay] = {}
        self._fresh_left: float = 0  # metrics of the fresh lane that this turn is to send
        self._has_backlog = False
        self._lags = False  # whether a turn came before the previous one was done
        self._is_idle = False  # whether nothing was pending at the last look
        self._turn_at_s = -inf
        self._settled_s: float | None = None  # None before the first split: values from an earlier run are backlog
        self._empty_lanes: set[Lane] = set()  # those found empty in the search for a probe
        self._wants_look = False
        self._wants_token = False
        self._finish: _Finish | None = None
        self._newest_batch = 0
        self.exclusions = Exclusions()
        self.parted_s = -inf

    # What is known of it

    @property
    def in_flight(self) -> int:
        """How many batches are under way."""
        return len(self._under_way)

    @property
    def most_in_flight(self) -> int:
        """How many requests the API accepts at once, as far as it is known."""
        return self._pace.in_flight

    def backlog(self, now_us: int, now_s: float) -> Backlog | None:
        """The backlog; None if there is none, or it is not known yet."""
        return self._catch_up.state(now_us, now_s)

    # What to do

    def next(self, accepts: Accepts, now_us: int, now_s: float) -> Step:
        """The next step. Ask again once it is done; a Wait may end early."""
        if self._finish is not None:
            return self._next_of_finish(self._finish, accepts, now_s)
        step = self._next_of_turns(accepts, now_us, now_s)
        if isinstance(step, Wait | Done) and (report := self._next_report(now_us, now_s)) is not None:
            return report
        if isinstance(step, Done):
            self._is_idle = False
        return step

    def finish(self, attempts: int, until_s: float, now_s: float) -> bool:
        """From now on: send everything pending until the API, or a batch, has failed this often; then Done.

        False if the server asked for a pause, so that there is nothing to do.
        """
        if not self._pace.may_try_at_once(now_s):
            return False
        self._held.forgive(attempts)
        self._empty_lanes.clear()
        self._fresh_left, self._has_backlog = inf, True
        self._finish = _Finish(attempts, until_s)
        return True

    def _next_of_turns(self, accepts: Accepts, now_us: int, now_s: float) -> Step:
        if self._settled_s is None:
            return Part()
        if now_s < self._settled_s:
            return Wait(self._settled_s)
        self._lags = self._fresh_left > 0 and now_s >= self._turn_at_s
        # Not just before a probe: if it is answered, the polls since the last one are fresh.
        if now_s >= self._part_at_s() and not (self._pace.is_down and now_s >= self._pace.opens_at_s):
            return Part()
        if self._is_idle:
            return Done(all_delivered=True)
        if self._wants_look or (not self._fresh_left and now_s >= self._turn_at_s):
            return SeePending()
        if (step := self._launch(accepts, now_s)) is not None:
            return step
        if not self._under_way and not self._pace.is_down and now_s >= self._pace.opens_at_s:
            series = self.exclusions.due(now_us)
            if series is not None:
                return TryRefused(series)
        return Wait(self._wake_at_s(accepts, self._turn_at_s, self._part_at_s(), now_s))

    def _next_of_finish(self, finish: _Finish, accepts: Accepts, now_s: float) -> Step:
        has_failed = self._pace.failures >= finish.attempts
        if not has_failed and (step := self._launch(accepts, now_s)) is not None:
            return step
        wake_at_s = inf if has_failed else self._wake_at_s(accepts, inf, inf, now_s)
        if self._under_way:
            return Wait(wake_at_s)
        if not has_failed and now_s >= self._pace.opens_at_s and not self._held.ids:
            return Done(all_delivered=True)
        return Done(all_delivered=False) if wake_at_s == inf or wake_at_s > finish.until_s else Wait(wake_at_s)

    def _launch(self, accepts: Accepts, now_s: float) -> RereadToken | CutBatch | Send | None:
        """The batch to send now, fresh values first; None if there is none, or the pace has no room."""
        if now_s < self._pace.opens_at_s or self.in_flight >= self._most_of_server(accepts):
            return None
        if self._wants_token:
            self._wants_token = False
            return RereadToken()
        if self._pace.is_down:
            return None if self._under_way else self._probe(accepts)
        if self._refusals.is_searching:
            part = self._refusals.next_part(self._under_way)
            return None if part is None else self._send(part)
        most = self._pace.in_flight
        if self._fresh_left and self._count(Lane.FRESH) < most:
            return self._cut(Lane.FRESH, accepts)
        if self.in_flight >= most:
            return None
        if (due := self._held.due(now_s, self._under_way)) is not None:
            return self._send(due)
        return self._cut(Lane.BACKLOG, accepts) if self._has_backlog else None

    def _probe(self, accepts: Accepts) -> CutBatch | Send | None:
        """The batch to probe the API with: one that failed, one that was not tried yet, or any; None if nothing is pending."""
        if not self._empty_lanes and (batch := self._held.probe()) is not None:
            return self._send(batch)
        for lane in Lane:
            if lane not in self._empty_lanes:
                return self._cut(lane, accepts)
        batch = self._held.any()
        return None if batch is None else self._send(batch)

    def _cut(self, lane: Lane, accepts: Accepts) -> CutBatch:
        return CutBatch(lane, self._pace.size.within(accepts), frozenset((*self._under_way, *self._held.ids)))

    def _send(self, batch: Batch) -> Send:
        self._begin(batch)
        return Send(batch)

    def _begin(self, batch: Batch) -> None:
        self._newest_batch = max(self._newest_batch, batch.id)
        self._under_way[batch.id] = _UnderWay(batch)
        self._empty_lanes.clear()

    def _count(self, lane: Lane) -> int:
        return sum(one.batch.lane is lane for one in self._under_way.values())

    def _most_of_server(self, accepts: Accepts) -> float:
        """One for a server without idempotency keys, so that after a kill it stores at most one batch twice.

        As many as the pace allows if the server has them, or if polls would else outrun the delivery.
        """
        return inf if accepts.is_stated or self._lags else 1

    def _part_at_s(self) -> float:
        """When pending metrics become backlog: the API is down, or slower than the polls."""
        if self._pace.down_since_s is not None:
            return max(self._pace.down_since_s, self.parted_s) + PART_AFTER_S
        return self._turn_at_s - self._interval_s + PART_AFTER_S if self._fresh_left else inf

    def _wake_at_s(self, accepts: Accepts, turn_at_s: float, part_at_s: float, now_s: float) -> float:
        """When there is a next step, if no request ends before."""
        opens_at_s = self._pace.opens_at_s
        if opens_at_s > now_s:
            return min(opens_at_s, part_at_s)
        if self._pace.is_down:
            return inf if self._under_way else turn_at_s  # the probe is under way, or there is nothing to try it with
        has_room = not self._refusals.is_searching and self.in_flight < min(self._pace.in_flight, self._most_of_server(accepts))
        return min(
            part_at_s if self._fresh_left else turn_at_s,
            self._held.next_due_s(self._under_way) if has_room else inf,
        )

    def _next_report(self, now_us: int, now_s: float) -> Report | Drained | None:
        """The log line that is due about the backlog."""
        if self._has_backlog or self._count(Lane.BACKLOG):
            state = self._catch_up.report(now_us, now_s)
            return None if state is None else Report(state)
        took_s, metrics = self._catch_up.took_s(now_s), self._catch_up.delivered
        self._catch_up = CatchUp()
        return None if took_s is None else Drained(metrics, took_s)

    # What was done

    def saw(self, pending: Pending, now_s: float) -> None:
        """Note the pending metrics: a turn of the fresh values begins."""
        self._fresh_left = pending.metrics - pending.backlog_metrics
        self._has_backlog = pending.backlog_metrics > 0
        self._empty_lanes.clear()
        self._turn_at_s = now_s + self._interval_s
        self._wants_look = False
        self._is_idle = not pending.metrics and not self._under_way

    def parted(self, pending: Pending, now_s: float) -> None:
        """Note that everything pending is backlog now."""
        self._held.part()
        self._refusals.part_backlog()
        for one in self._under_way.values():
            one.batch = replace(one.batch, lane=Lane.BACKLOG)
        self.parted_s = self._turn_at_s = now_s
        self._settled_s = now_s + self._settle_s if self._settled_s is None else self._settled_s
        self._fresh_left = 0
        self.measured(pending)

    def measured(self, pending: Pending) -> None:
        """Note the size of the backlog."""
        self._has_backlog = pending.backlog_metrics > 0
        self._catch_up.measured(pending.backlog_metrics, pending.backlog_oldest_started_at_us)

    def cut(self, lane: Lane, batch: Batch | None) -> None:
        """Note the batch that was cut from the lane, under way from now on; None: the lane is empty."""
        if lane is Lane.FRESH:
            self._fresh_left = 0 if batch is None else max(0, self._fresh_left - batch.metric_count)
        elif batch is None:
            self._has_backlog = False
        if batch is None:
            self._empty_lanes.add(lane)
        else:
            self._begin(batch)

    def may_go(self, batch: Batch, now_s: float) -> bool:
        """Whether the batch, ready to be sent, is to be sent now; False if another one has failed meanwhile."""
        one = self._under_way[batch.id]
        if now_s < self._pace.opens_at_s:
            one.stays = batch.id not in self._held.ids
            return False
        one.sent = self._pace.sent(now_s)
        return True

    def take(self, batch: Batch, outcome: Outcome, oldest_us: int, jitter: float, now_s: float) -> Verdict:
        """What follows from the answer to a batch that `may_go` let go. `oldest_us`: when its oldest poll began."""
        one = self._under_way[batch.id]
        batch, sent = one.batch, one.sent
        if sent is None:
            raise ValueError(f"batch {batch.id} was not sent: no answer can belong to it")
        round_ = self._pace.failures + self._pace.is_first_failure(sent)
        decision = decide(outcome, max(1, round_), batch.metric_count, jitter)
        if isinstance(decision, RetryIn):
            self._refusals.stop()
            return self._failed(batch, sent, outcome, decision, now_s)
        if isinstance(outcome, Accepted):
            self._refusals.taken()
        elif not self._refusals.refused(batch) and (verdict := self._doubt(batch, sent, outcome, jitter, now_s)) is not None:
            return verdict
        was_down = self._pace.is_down
        if was_down:
            self._held.settled(batch)  # it is not a candidate for the blame
            self._held.api_answers(now_s)
        self._pace.answered(sent, batch.metric_count, now_s)
        if isinstance(decision, Delivered):
            self._pace.size.delivered()
        if batch.lane is Lane.BACKLOG and not isinstance(decision, Halve):
            self._catch_up.took(batch.metric_count, oldest_us, now_s)
        self._leaves(batch, outcome, decision)
        self._wants_look = self._wants_look or was_down  # the polls in the meantime go first
        return decision

    def take_unsent(self, batch: Batch, outcome: TooLarge) -> Verdict:
        """The verdict on a batch that is larger than the server's stated limit."""
        batch = self._under_way[batch.id].batch
        decision = decide(outcome, 1, batch.metric_count, 0.0)
        if not isinstance(decision, RetryIn):
            self._leaves(batch, outcome, decision)
            return decision
        raise AssertionError("a batch that is too large is halved or kept")

    def split(self, batch: Batch, halves: tuple[Batch, Batch]) -> None:
        """Take in the halves that the batch was split into."""
        self._refusals.split(batch, halves)

    def learn(self, series: str, reason: str, now_us: int) -> bool:
        """Note that the server refuses the series beside others that it accepts; whether batches leave it out from now on."""
        return self.exclusions.learn(series, reason, self._newest_batch, now_us)

    def asked(self, series: str, outcome: Outcome, now_us: int, now_s: float) -> bool:
        """Take in the answer to an ask; whether the server accepts the series again."""
        match outcome:
            case Accepted():
                self._refusals.taken()
                self.exclusions.accepted(series, self._newest_batch, now_us)
                return True
            case Rejected() | TooLarge():
                self.exclusions.refused(series, now_us)
            case Unavailable(retry_after_s=float(wait_s)):
                self._pace.told(wait_s, now_s)
                self.exclusions.unanswered(series, now_us)
            case _:
                self.exclusions.unanswered(series, now_us)
        return False

    def emptied(self, batch: Batch) -> None:
        """Note that nothing of the batch is left to send: it has expired, or all of it is damaged."""
        self._held.settled(batch)
        self._refusals.forget(batch)

    def ended(self, batches: Iterable[Batch]) -> None:
        """Note that the verdicts on these batches are carried out: they are no longer under way."""
        self._empty_lanes.clear()  # a lane may have been empty but for what was under way
        for batch in batches:
            one = self._under_way.pop(batch.id)
            if not one.stays:
                continue
            if one.batch.lane is Lane.FRESH:
                self._fresh_left += one.batch.metric_count
            else:
                self._has_backlog = True
        if not self._under_way and not self._refusals.has_more:
            self._refusals.stop()  # what it waited for has gone without an answer

    def called_off(self) -> None:
        """Note that nothing is under way any more; open batches stay in the buffer."""
        self._under_way.clear()
        self._refusals.stop()

    def _doubt(self, batch: Batch, sent: Sent, outcome: Outcome, jitter: float, now_s: float) -> Halve | Kept | None:
        """What follows if the batch is refused and nothing was taken since: None: it is only too large.

        Down to single metrics the batch is searched for anything that is taken. If there is nothing, the server is failing, as
        with 5xx; each probe that it refuses then is halved, so that no bad metric in it keeps the others back for long.
        """
        if batch.metric_count > 1:
            if isinstance(outcome, TooLarge):
                return None
            if self._pace.is_down:
                self._pace.failed(sent, backoff_s(max(1, self._pace.failures + 1), jitter), now_s)
            elif not self._refusals.search(batch):
                self._held.hold(batch)
                return Kept(self._retry_in_s(batch, now_s, now_s), self._held.attempts(batch), is_search=True)
            decision = Halve(too_large=False, is_search=True)
            self._leaves(batch, outcome, decision)
            return decision
        if self._refusals.goes_on():
            self._held.hold(batch)
            return Kept(self._retry_in_s(batch, now_s, now_s), self._held.attempts(batch), is_search=True)
        self._held.failed(batch)
        self._refusals.stop()
        if isinstance(outcome, TooLarge):
            self._pace.size.one_too_large()
        self._pace.failed(sent, backoff_s(max(1, self._pace.failures + self._pace.is_first_failure(sent)), jitter), now_s)
        self._catch_up.stopped()
        return Kept(self._retry_in_s(batch, max(now_s, self._pace.opens_at_s), now_s), self._held.attempts(batch))

    def _retry_in_s(self, batch: Batch, again_s: float, now_s: float, failures: int | None = None) -> float | None:
        """How long until the batch is sent again; None if this run does not send it again."""
        if self._finish is None:
            return again_s - now_s
        has_failed = self._pace.failures if failures is None else failures
        is_last = again_s > self._finish.until_s or max(self._held.attempts(batch), has_failed) >= self._finish.attempts
        return None if is_last else again_s - now_s

    def _failed(self, batch: Batch, sent: Sent, outcome: Outcome, decision: RetryIn, now_s: float) -> Kept:
        if isinstance(outcome, Unavailable) and outcome.timed_out:
            self._pace.unanswered(sent, batch.metric_count, now_s)
        others_pass = _may_be_the_batch(outcome) and (self._held.is_blamed(batch) or self._pace.has_answered_since(sent))
        if others_pass:
            again_s = now_s + self._held.blame(batch, now_s)
        else:
            self._held.failed(batch)
            self._pace.failed(sent, decision.seconds, now_s)
            if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
                self._pace.told(decision.seconds, now_s)
            self._wants_token = self._wants_token or decision.reread_token
            again_s = max(now_s, self._pace.opens_at_s)
        if self._pace.is_down:
            self._catch_up.stopped()
        retry_in_s = self._retry_in_s(batch, again_s, now_s, 0 if others_pass else None)
        return Kept(retry_in_s, self._held.attempts(batch), others_pass)

    def _leaves(self, batch: Batch, outcome: Outcome, decision: Delivered | Halve | SetAside) -> None:
        """Note that the batch is gone: the server has it, or the rest of it is in other batches."""
        self._held.settled(batch)
        if not isinstance(decision, Halve):
            self._refusals.forget(batch)
        if isinstance(decision, Halve):
            if decision.too_large:
                self._pace.size.too_large(batch.metric_count)
            self._under_way[batch.id].stays = True
        elif isinstance(decision, SetAside) and isinstance(outcome, TooLarge):
            self._pace.size.one_too_large()


def _may_be_the_batch(outcome: Outcome) -> bool:
    """Whether the batch may be the cause of the failure: not if the server refuses everything, or asked for a pause."""
    return isinstance(outcome, Unavailable) and outcome.status not in (429, 503) and outcome.retry_after_s is None
