"""The course of delivery: what to send next.

    next -> SeePending, Part, CutBatch, Send, Wait, … -> courier.py does it -> saw, parted, cut, verdicts, ended -> next …

Fresh values have a turn every 30 s and go before the backlog of an outage, which follows beside them without a pause, as many
requests at once as the API accepts (pace.py). While the API is down one batch is its probe, and what gathers meanwhile becomes
backlog, minute by minute. No batch is under way twice, and one that failed is held until it is delivered or gone.
What follows from an answer is in verdicts.py.
Pure: both clocks are passed in. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from towerops_agent.buffer.format.batch import Batch, Lane, Pending
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.backlog import Backlog, CatchUp
from towerops_agent.delivery.course.verdicts import Finish, Verdicts

INTERVAL_S = 30.0
"""Between two turns of the fresh values."""

HURRY_GATHERS_S = 0.5
"""How long what can't wait for a turn waits for more of its kind and for the buffer's commit: devices often go down together."""

HURRY_EACH_S = 5.0
"""Between a turn and the next one that something hurries: devices that go up and down make no flood of requests."""

PART_AFTER_S = 60.0
"""How long the API is down, or delivery behind, before what has gathered is backlog: what is fresh is never older by much."""

BEHIND_AFTER_S = 5.0
TURN_MAY_LAST = 0.9
"""A turn of fresh values that began 5 s ago should be on its way to an end within this part of the time until the next one."""


@dataclass(frozen=True, slots=True)
class SeePending:
    """Count what is pending, and report it to `saw`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Turn everything pending into backlog, count what is pending then, and report it to `parted`."""


@dataclass(frozen=True, slots=True)
class RereadToken:
    """Read the token's file again: a file that was replaced since the refusal counts for the next attempt."""


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Take the lane's next batch from the buffer, except those with an id in `exclude`; report it to `cut`, and send it."""

    lane: Lane
    most_metrics: int
    exclude: frozenset[int]


@dataclass(frozen=True, slots=True)
class Send:
    """Send this batch, which has failed before."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class TryRefused:
    """Send the newest refused metric of this series, by itself, to see if the server accepts it; report it to `asked`."""

    series: str


@dataclass(frozen=True, slots=True)
class Report:
    """Log the progress of the backlog, count what is pending, and report it to `measured`."""

    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Drained:
    """Log that the backlog is delivered."""

    metrics: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a request ends, or until then; infinite only while one is under way."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing to do. `all_delivered`: because nothing is pending any more."""

    all_delivered: bool


Step = SeePending | Part | RereadToken | CutBatch | Send | TryRefused | Report | Drained | Wait | Done


class Course:
    """One delivery, for as long as the agent runs: in turns, until `finish`.

    `verdicts`: judges the answers. `parted_s`: when what was pending last became backlog.
    """

    def __init__(self, *, interval_s: float = INTERVAL_S, settle_s: float = 0.0) -> None:
        """`settle_s`: how long the very first turn waits for the polls that follow the first one."""
        self._interval_s = interval_s
        self._settle_s = settle_s
        self.verdicts = Verdicts()
        self._pace, self._held, self._refusals = self.verdicts.pace, self.verdicts.held, self.verdicts.refusals
        self._under_way = self.verdicts.under_way
        self._fresh_left: float = 0  # metrics of the fresh lane that this turn is to send
        self._fresh_of_turn: float = 0  # and how many they were at its begin
        self._has_backlog = False
        self._lags = False  # whether a turn came before the previous one was done
        self._is_outrun = False  # whether the backlog is there because polls outran the delivery
        self._is_idle = False  # whether nothing was pending at the last look
        self._turn_at_s = -inf
        self._turned_s = -inf
        self._hurry_at_s = inf
        self._is_hurried = False  # whether something has hurried since the last look began, and so may not be in it
        self._settled_s: float | None = None  # None before the first split: values from an earlier run are backlog
        self._empty_lanes: set[Lane] = set()  # those found empty in the search for a probe
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

    def is_behind(self, now_s: float) -> bool:
        """Whether this turn of fresh values takes so long that it will hardly end before the next one, while the API works.

        Or that is how the backlog came about.
        """
        gone_s = now_s - self._turned_s
        if self._pace.is_down or now_s < self._pace.opens_at_s:
            return False
        if self._is_outrun and self._has_backlog:
            return True
        if not self._fresh_left or gone_s < BEHIND_AFTER_S:
            return False
        return self._fresh_left > self._fresh_of_turn * (1 - gone_s / (self._interval_s * TURN_MAY_LAST))

    def backlog(self, now_us: int, now_s: float) -> Backlog | None:
        """The backlog; None if there is none, or it is not known yet."""
        return self.verdicts.catch_up.state(now_us, now_s)

    # What to do

    def next(self, accepts: Accepts, now_us: int, now_s: float) -> Step:
        """The next step. Ask again once it is done; a Wait may end early."""
        if self.verdicts.finish is not None:
            return self._next_of_finish(self.verdicts.finish, accepts, now_s)
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
        self.verdicts.finish = Finish(attempts, until_s)
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
            return self._next_of_idle(now_us, now_s)
        if self.verdicts.wants_look or (not self._fresh_left and now_s >= self._next_turn_s):
            self._is_hurried = False
            return SeePending()
        if (step := self._launch(accepts, now_s)) is not None:
            return step
        if not self._under_way and not self._pace.is_down and now_s >= self._pace.opens_at_s:
            series = self.verdicts.exclusions.due(now_us)
            if series is not None:
                return TryRefused(series)
        return Wait(self._wake_at_s(accepts, self._next_turn_s, self._part_at_s(), now_s))

    def _next_of_idle(self, now_us: int, now_s: float) -> TryRefused | Wait | Done:
        """Nothing is pending; what the operator wants tried is tried all the same."""
        wanted_in_s = self.verdicts.exclusions.wanted_in_s(now_us)
        if wanted_in_s is None:
            return Done(all_delivered=True)
        at_s = max(now_s + wanted_in_s, self._pace.opens_at_s)
        if at_s > now_s:
            self._is_idle = False  # look again at the next turn
            return Wait(min(at_s, self._next_turn_s))
        return TryRefused(self.verdicts.exclusions.due(now_us) or "")

    @property
    def _next_turn_s(self) -> float:
        return min(self._turn_at_s, self._hurry_at_s)

    def _next_of_finish(self, finish: Finish, accepts: Accepts, now_s: float) -> Step:
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
        if self.verdicts.wants_token:
            self.verdicts.wants_token = False
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
        return CutBatch(lane, self._pace.size.within(accepts.max_metrics), frozenset((*self._under_way, *self._held.ids)))

    def _send(self, batch: Batch) -> Send:
        self._begin(batch)
        return Send(batch)

    def _begin(self, batch: Batch) -> None:
        self.verdicts.begin(batch)
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
            state = self.verdicts.catch_up.report(now_us, now_s)
            return None if state is None else Report(state)
        took_s, metrics = self.verdicts.catch_up.took_s(now_s), self.verdicts.catch_up.delivered
        self.verdicts.catch_up = CatchUp()
        return None if took_s is None else Drained(metrics, took_s)

    # What was done

    def hurry(self, now_s: float) -> None:
        """Note that something was stored that must not wait for the next turn: a device's change of state."""
        self._is_hurried = True
        self._hurry_at_s = min(self._hurry_at_s, max(now_s + HURRY_GATHERS_S, self._turned_s + HURRY_EACH_S))

    def saw(self, pending: Pending, now_s: float) -> None:
        """Note the pending metrics: a turn of the fresh values begins."""
        self._fresh_left = self._fresh_of_turn = pending.metrics - pending.backlog_metrics
        self._has_backlog = pending.backlog_metrics > 0
        self._empty_lanes.clear()
        self._turned_s, self._turn_at_s = now_s, now_s + self._interval_s
        self._hurry_at_s = now_s + HURRY_EACH_S if self._is_hurried else inf
        self.verdicts.wants_look = False
        self._is_idle = not pending.metrics and not self._under_way

    def parted(self, pending: Pending, now_s: float) -> None:
        """Note that everything pending is backlog now."""
        self._is_outrun = self._settled_s is not None and not self._pace.is_down
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
        self.verdicts.catch_up.measured(pending.backlog_metrics, pending.backlog_oldest_started_at_us)

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
