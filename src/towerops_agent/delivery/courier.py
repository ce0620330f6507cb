"""Delivers the buffer's metrics to the API, step by step as the course of delivery (course/course.py) decides.

    Course.next -> buffer -> parcel -> API -> Verdicts.take -> Settlement -> buffer

A batch keeps its members and its key until the server has it, over restarts too, so that the courier may be stopped at any
moment.
I/O: the buffer, the API, tasks, the log. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final, assert_never

import structlog

from towerops_agent import clocks
from towerops_agent.api.wire.outcomes import (
    Accepted,
    Availability,
    Outcome,
    TooLarge,
)
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, LeftOut, StoredPoll
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.backlog import Backlog
from towerops_agent.delivery.course.course import (
    INTERVAL_S,
    Course,
    CutBatch,
    Done,
    Drained,
    Part,
    Report,
    RereadToken,
    SeePending,
    Send,
    Step,
    TryRefused,
    Wait,
)
from towerops_agent.delivery.course.parcel import Exclusions, Parcel, pack
from towerops_agent.delivery.course.verdicts import Delivered, Halve, Kept, MetricRefused, Verdict, Verdicts
from towerops_agent.delivery.refused import EXCLUSIONS_KEY, MetricsSink, RefusedSeries
from towerops_agent.delivery.setbacks import Setbacks
from towerops_agent.errors import BufferFailure, SettingsError

IDLE_S: Final = 60.0
"""The longest wait while nothing is pending: then it looks again, so that whatever it missed is not waited for for good."""

HANGS_AFTER_S: Final = 150.0
"""A request that takes longer than any answer may (api/client.py) hangs, and with it delivery, however often its loop turns."""

METRICS_AT_ONCE = 1_000
POLLS_AT_ONCE = 100
"""A batch of no more is packed on the loop, in a millisecond: a thread would hold the interpreter as long, and costs two wakeups.

Larger ones, and those to be compressed, go to a thread.
"""

log = structlog.get_logger()


class Courier:
    """Delivers fresh values every 30 s, and a backlog without a pause. `course`: the decisions, readable.

    `accepts`: returns what the server accepts, now. `known`: set once that is known; nothing is sent before, as a batch of an
    earlier run may be larger than most servers accept, or have metrics that few do. `dated`: set once polls have their time,
    before which nothing is sent either; `undated` waits for that, or returns why it can't be known now. `settle_s`: how long the
    very first delivery waits for the polls after the first one, which would else wait for the second delivery. `moved` is called
    at each step, with the seconds until the next one at the latest.
    """

    def __init__(
        self,
        buffer: Buffer,
        client: MetricsSink,
        counters: Counters,
        *,
        accepts: Callable[[], Accepts],
        known: asyncio.Event | None = None,
        dated: asyncio.Event | None = None,
        undated: Callable[[], Awaitable[Outcome | None]] | None = None,
        interval_s: float = INTERVAL_S,
        settle_s: float = 0.0,
        for_others: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        moved: Callable[[float], None] = lambda _again_within_s: None,
        jitter: Callable[[], float] = random.random,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = clocks.wall_us,
        steady_us: Callable[[], int] = clocks.steady_us,
    ) -> None:
        self._buffer = buffer
        self._client = client
        self._counters = counters
        self._accepts = accepts
        self._known = known or asyncio.Event()
        if known is None:
            self._known.set()
        self._dated = dated
        self._undated = undated
        self._interval_s = interval_s
        self._for_others = for_others
        self._sleep = sleep
        self._moved = moved
        self._jitter = jitter
        self._monotonic_s = monotonic_s
        self._now_us = now_us
        self._under_way = UnderWay(sleep, monotonic_s)
        self._has_wanted = asyncio.Event()
        self.course = Course(interval_s=interval_s, settle_s=settle_s)
        self._refused = RefusedSeries(buffer, client, counters, self.course.verdicts, now_us=now_us, moved=moved)
        self._settlement = Settlement(buffer, counters, self.course.verdicts, self._refused, now_us=now_us, steady_us=steady_us)

    @property
    def availability(self) -> Availability:
        """Whether the API accepts metrics."""
        return self._settlement.availability

    @property
    def delivers(self) -> bool:
        """Whether there is somewhere to deliver to: the API."""
        return True

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the buffer that are delivered."""
        return ("",)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self.course.in_flight

    @property
    def is_behind(self) -> bool:
        """Whether fresh values take long although the API works."""
        return self.course.is_behind(self._monotonic_s())

    @property
    def backlog(self) -> Backlog | None:
        """The backlog; None if there is none, or it is not known yet."""
        return self.course.backlog(self._now_us(), self._monotonic_s())

    async def recall(self) -> None:
        """Read what the server refused in an earlier run. Raises BufferFailure."""
        self.course.verdicts.exclusions = Exclusions(await self._buffer.get_meta(EXCLUSIONS_KEY))

    async def run(self) -> None:
        """Deliver, for good: as soon as anything is pending, then every 30 s.

        If it is cancelled, deliver_pending handles the requests under way.
        """
        await self._idle_until(self._known.wait)
        while True:
            try:
                await self._wait_for_work()
                await self._follow(self._mark)
            except BufferFailure as error:
                await self._under_way.finish()
                self.course.called_off()
                log.error("buffer can't be read, delivery waits", error=str(error), retry_in_s=self._interval_s)
                self._moved(self._interval_s)
                await self._sleep(self._interval_s)
            except Exception:
                await self._call_off()
                raise

    async def _wait_for_work(self) -> None:
        """Return once anything is pending, or is wanted of the refused series."""
        if not self._has_wanted.is_set():
            await self._idle_until(self._buffer.wait_for_pending, self._has_wanted.wait)
        self._has_wanted.clear()

    async def _idle_until(self, *waits: Callable[[], Awaitable[object]]) -> None:
        """Return once one of these has returned; begun again each minute, so that nothing missed is waited for for good."""
        ended: set[asyncio.Future[object]] = set()
        while not ended:
            self._moved(IDLE_S)
            waiting = [asyncio.ensure_future(wait()) for wait in waits]
            try:
                ended, _ = await asyncio.wait(waiting, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
                for one in ended:
                    one.result()
            finally:
                for one in waiting:
                    one.cancel()

    def hurry(self) -> None:
        """Deliver soon, and not only at the next turn: a device's state has changed."""
        self.course.hurry(self._monotonic_s())
        self._under_way.wake()

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:
        """Whether all pending metrics are delivered; False once the API, or a batch, has failed `attempts` times in a row.

        For a single run and for the stop, after `run` was cancelled: it waits for the requests of `run`, so that a server without
        idempotency keys gets them once. No attempt starts after `within_s`; the caller cancels a request that is still
        under way, and a batch not acknowledged stays open. Raises BufferFailure if the buffer can't be read.
        """
        if not self._known.is_set():
            return False
        try:
            now_s = self._monotonic_s()
            return self.course.finish(attempts, now_s + within_s, now_s) and await self._follow()
        finally:
            await self._call_off()

    def _mark(self, step: Step) -> None:
        """Leave a mark for this step, but while a request hangs: then nothing moves, however often the loop turns."""
        if self._under_way.longest_s < HANGS_AFTER_S:
            waits_s = step.until_s - self._monotonic_s() if isinstance(step, Wait) and step.until_s < inf else 0.0
            self._moved(max(waits_s, 0.0))

    async def _follow(self, mark: Callable[[Step], None] = lambda _step: None) -> bool:
        """Do what the course says until it is done; whether all is delivered. `mark` is called before each step."""
        while True:
            step = self.course.next(self._accepts(), self._now_us(), self._monotonic_s())
            mark(step)
            # A cut notes them by itself. The course counts the other three as done: a stop must not come between.
            if self._settlement.sent and not isinstance(step, CutBatch | Send | RereadToken | Drained):
                await self._settlement.note_sent()
                if isinstance(step, Wait):
                    continue  # it may be over sooner by now: `hurry` wakes only what rests already
            if isinstance(step, Done):
                return step.all_delivered
            await self._do(step)

    async def _do(self, step: Step) -> None:
        match step:
            case SeePending():
                self.course.saw(await self._buffer.pending(), self._monotonic_s())
            case Part():
                await self._buffer.part_backlog()
                self.course.parted(await self._buffer.pending(), self._monotonic_s())
            case RereadToken():
                self._reread_token()
            case CutBatch(lane, most_metrics, exclude):
                sent = self._settlement.sent
                taken = await self._buffer.take_batch(
                    most_metrics, lane, exclude, sent=[(one.batch, one.left_out) for one in sent]
                )
                self._settlement.noted(sent)
                self.course.cut(lane, None if taken is None else taken[0])
                if taken is not None:
                    self._under_way.start(taken[0], self._attempt(*taken))
            case Send(batch):
                self._under_way.start(batch, self._attempt(batch))
            case TryRefused(series):
                await self._refused.ask_about(series, self._accepts().max_metrics, self._monotonic_s())
            case Report(backlog):
                log.info(
                    "backlog being delivered",
                    metrics=backlog.metrics,
                    behind_s=round(backlog.behind_s),
                    drained_in_s=None if backlog.drained_in_s is None else round(backlog.drained_in_s),
                )
                self.course.measured(await self._buffer.pending())
            case Drained(metrics, took_s):
                log.info("backlog delivered", metrics=metrics, took_s=round(took_s, 1))
            case Wait(until_s):
                self.course.ended(await self._under_way.rest(until_s))
            case Done():
                pass
            case _:
                assert_never(step)

    async def _attempt(self, batch: Batch, polls: Sequence[StoredPoll] | None = None) -> None:
        """Send the batch once, and do what follows from the answer. `polls`: the batch's, if they have just been read."""
        undated = None
        if self._undated is not None and self._dated is not None and not self._dated.is_set():
            undated, polls = await self._undated(), None  # they may have been moved meanwhile
        if polls is None:
            polls = await self._buffer.read(batch)
        if not polls:  # all of it is damaged, which the buffer has counted; or it has expired, or is not copied yet
            await self._buffer.close_empty(batch)
            self.course.verdicts.emptied(batch)
            return
        accepts = self._accepts()
        parcel = await self._packed(batch, polls, accepts)
        if not parcel.metrics and (parcel.left_out or self._for_others):
            await self._refused.leave_out(parcel)
            self.course.verdicts.emptied(batch)
            return
        if parcel.plain_octets > accepts.max_body_octets:
            too_large = TooLarge(f"{parcel.plain_octets} octets: the server accepts {accepts.max_body_octets}")
            await self._settlement.settle_unsent(parcel, too_large, self.course.verdicts.take_unsent(batch, too_large))
            return
        if not self.course.verdicts.may_go(batch, self._monotonic_s()):
            return
        outcome = undated or await self._client.post_metrics(parcel.body, batch.key, parcel.encoding)
        verdict = self.course.verdicts.take(batch, outcome, parcel.oldest_us, self._jitter(), self._monotonic_s())
        await self._settlement.settle(parcel, outcome, verdict)

    async def _packed(self, batch: Batch, polls: Sequence[StoredPoll], accepts: Accepts) -> Parcel:
        packs = partial(pack, batch, polls, accepts, self.course.verdicts.exclusions.of(batch.id), for_others=self._for_others)
        is_small = batch.metric_count <= METRICS_AT_ONCE and len(polls) <= POLLS_AT_ONCE
        return packs() if is_small and not accepts.content_encodings else await asyncio.to_thread(packs)

    async def retry_refused(self) -> int:
        """Have the server asked about all series of which refused metrics are kept, from the next turn on; how many they are."""
        count = await self._refused.want_all()
        self._has_wanted.set()
        return count

    async def _call_off(self) -> None:
        await self._under_way.call_off()
        self.course.called_off()
        try:
            await self._settlement.note_sent()
        except BufferFailure as error:
            log.error("delivered batches can't be noted, the API may get them again", error=str(error))

    def _reread_token(self) -> None:
        try:
            self._client.reread_token()
        except SettingsError as error:
            log.error("token file can't be used, the old token stays in use", error=str(error))


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch that the server has. `left_out`: what it was not sent; `metrics`: how many it was."""

    batch: Batch
    left_out: Sequence[LeftOut]
    metrics: int


class Settlement:
    """Carries out verdicts on batches, but for one: that the server has a batch is noted with the next one, or by `note_sent`.

    Whoever takes the next batch passes on `sent` to the buffer, and then calls `noted`: one commit and one wakeup of two threads
    less. `availability`: whether the API accepts metrics, as far as their outcomes show.
    """

    def __init__(
        self,
        buffer: Buffer,
        counters: Counters,
        verdicts: Verdicts,
        refused: RefusedSeries,
        *,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
    ) -> None:
        self._buffer = buffer
        self._refused = refused
        self._counters = counters
        self._now_us = now_us
        self._has_said_short = False
        self._sent: dict[str, _Sent] = {}  # by key
        self.availability = Availability(steady_us=steady_us)
        self._setbacks = Setbacks(buffer, counters, verdicts, self.availability, now_us=now_us)

    async def settle(self, parcel: Parcel, outcome: Outcome, verdict: Verdict) -> None:
        """Carry out the verdict on the outcome of a request."""
        if not isinstance(verdict, Kept) and not (isinstance(verdict, Halve) and verdict.is_search):
            failures = self.availability.failures
            if self.availability.succeeded(self._now_us()):
                log.info("API accepts metrics", failures_before=failures)
        await self.settle_unsent(parcel, outcome, verdict)

    async def settle_unsent(self, parcel: Parcel, outcome: Outcome, verdict: Verdict) -> None:
        """Carry out the verdict on a batch that can't be sent at all."""
        match verdict:
            case Delivered():
                self._keep_sent(parcel, outcome)
            case Halve():
                await self._setbacks.halve(parcel, outcome)
            case MetricRefused(reason):
                await self._refused.keep(parcel, reason)
            case Kept():
                self._setbacks.keep(parcel, outcome, verdict)

    @property
    def sent(self) -> "list[_Sent]":
        """The batches that the server has, and the buffer does not know yet."""
        return [*self._sent.values()]

    async def note_sent(self) -> None:
        """Have the buffer know which batches the server has. Raises BufferFailure; it is then to be called again."""
        for one in self.sent:
            await self._buffer.acknowledge(one.batch, one.left_out)
            self.noted([one])

    def noted(self, sent: "Sequence[_Sent]") -> None:
        """Count these as delivered, as the buffer knows of them now."""
        for one in sent:
            if self._sent.pop(one.batch.key, None) is not None:
                self._counters.add(Count.BATCHES, "delivered")
                self._counters.add(Count.METRICS_REFUSED, n=len(one.left_out))
                self._counters.add(Count.METRICS_DELIVERED, n=one.metrics)

    def _keep_sent(self, parcel: Parcel, outcome: Outcome) -> None:
        batch = parcel.batch
        self._sent[batch.key] = _Sent(batch, parcel.left_out, parcel.metrics)
        if isinstance(outcome, Accepted) and outcome.received is not None and outcome.received < parcel.metrics:
            self._confirm_short(parcel, max(0, outcome.received))
        log.debug("batch delivered", batch=parcel.label, lane=batch.lane, metrics=batch.metric_count, octets=len(parcel.body))

    def _confirm_short(self, parcel: Parcel, received: int) -> None:
        self._counters.add(Count.METRICS_UNCONFIRMED, n=parcel.metrics - received)
        if self._has_said_short:
            return
        self._has_said_short = True
        log.warning("API received fewer metrics than were sent", batch=parcel.label, metrics=parcel.metrics, received=received)


class UnderWay:
    """Requests under way. A batch stays among them until `rest` has seen the end of its task."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]], monotonic_s: Callable[[], float]) -> None:
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._tasks: dict[asyncio.Task[None], tuple[Batch, float]] = {}  # when it began
        self._timer: asyncio.Future[None] | None = None

    def start(self, batch: Batch, attempt: Coroutine[None, None, None]) -> None:
        """Begin one."""
        self._tasks[asyncio.create_task(attempt)] = batch, self._monotonic_s()

    @property
    def longest_s(self) -> float:
        """How long the oldest one has been under way."""
        return max((self._monotonic_s() - began_s for _, began_s in self._tasks.values()), default=0.0)

    async def rest(self, until_s: float) -> list[Batch]:
        """The ended ones, once there is one, at that time, or once it is woken. Raises what a task raised."""
        pause_s = max(0.0, until_s - self._monotonic_s())
        timer = self._timer = None if until_s == inf else asyncio.ensure_future(self._sleep(pause_s))
        try:
            await asyncio.wait({*self._tasks, *([timer] if timer else ())}, return_when=asyncio.FIRST_COMPLETED)
            if timer is not None and timer.done() and not timer.cancelled():
                timer.result()
        finally:
            self._timer = None
            if timer is not None:
                timer.cancel()
        done = [task for task in self._tasks if task.done()]
        ended = [self._tasks.pop(task)[0] for task in done]
        for task in done:
            task.result()
        return ended

    def wake(self) -> None:
        """End the rest that is under way, if it rests."""
        if self._timer is not None:
            self._timer.cancel()

    async def finish(self) -> None:
        """Wait for them all: the server may have the batches. That the buffer fails is known; raises what else a task raised."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        ended = [*self._tasks]
        self._tasks.clear()
        for task in ended:
            if not isinstance(task.exception(), BufferFailure):
                task.result()

    async def call_off(self) -> None:
        """End them all; the batches stay open in the buffer."""
        tasks = [*self._tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
