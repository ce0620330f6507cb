"""Delivers the buffer's metrics to the API, step by step as the course of delivery (course/course.py) decides.

    Course.next -> buffer -> parcel -> API -> Course.take -> settlement -> buffer

A batch keeps its members and its key until the server has it, over restarts too, so that the courier may be stopped at any
moment.
I/O: the buffer, the API, tasks, the log. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import sha256
from math import inf
from typing import Literal, Protocol, assert_never

import structlog

from towerops_agent.api.wire.outcomes import Accepted, Availability, Outcome, TooLarge
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, RefusedMetric
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count, Counters
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
from towerops_agent.delivery.course.pace import Backlog
from towerops_agent.delivery.course.parcel import Exclusions, pack, series_of_json
from towerops_agent.delivery.settlement import EXCLUSIONS_KEY, Settlement
from towerops_agent.errors import BufferFailure, SettingsError

CLEANUP_INTERVAL_S = 300.0

ALL_REFUSED = 1_000_000

log = structlog.get_logger()


async def clean_up(buffer: Buffer, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Clean the buffer up, for good: now and every 5 minutes."""
    while True:
        try:
            await buffer.clean_up()
        except BufferFailure as error:
            log.error("buffer can't be cleaned up, will retry", error=str(error), retry_in_s=CLEANUP_INTERVAL_S)
        await sleep(CLEANUP_INTERVAL_S)


class MetricsSink(Protocol):
    """The part of ApiClient that is needed."""

    async def post_metrics(self, body: bytes, key: str, encoding: Literal["gzip"] | None = None) -> Outcome: ...  # noqa: D102

    def reread_token(self) -> bool: ...  # noqa: D102  # both as ApiClient's


class Delivery(Protocol):
    """What the agent, its status and its metrics page need of a courier, whatever it delivers to."""

    @property
    def availability(self) -> Availability: ...  # noqa: D102  # as Courier's, all of them

    @property
    def delivers(self) -> bool: ...  # noqa: D102

    @property
    def in_flight(self) -> int: ...  # noqa: D102

    @property
    def backlog(self) -> Backlog | None: ...  # noqa: D102

    def hurry(self) -> None: ...  # noqa: D102

    async def run(self) -> None: ...  # noqa: D102

    async def run_cleanup(self) -> None: ...  # noqa: D102

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool: ...  # noqa: D102

    async def retry_refused(self) -> int: ...  # noqa: D102


class Courier:
    """Delivers fresh values every 30 s, and a backlog without a pause. `course`: the decisions, readable.

    `accepts`: returns what the server accepts, now. `settle_s`: how long the very first delivery waits for the polls after
    the first one, which would else wait for the second delivery.
    """

    def __init__(
        self,
        buffer: Buffer,
        client: MetricsSink,
        counters: Counters,
        *,
        accepts: Callable[[], Accepts],
        interval_s: float = INTERVAL_S,
        settle_s: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._buffer = buffer
        self._client = client
        self._counters = counters
        self._accepts = accepts
        self._interval_s = interval_s
        self._sleep = sleep
        self._jitter = jitter
        self._monotonic_s = monotonic_s
        self._now_us = now_us
        self._under_way = UnderWay(sleep, monotonic_s)
        self._has_exclusions = False
        self.course = Course(interval_s=interval_s, settle_s=settle_s)
        self._settlement = Settlement(buffer, counters, self.course.verdicts, now_us=now_us)

    @property
    def availability(self) -> Availability:
        """Whether the API accepts metrics."""
        return self._settlement.availability

    @property
    def delivers(self) -> bool:
        """Whether there is somewhere to deliver to: the API."""
        return True

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self.course.in_flight

    @property
    def backlog(self) -> Backlog | None:
        """The backlog; None if there is none, or it is not known yet."""
        return self.course.backlog(self._now_us(), self._monotonic_s())

    async def run(self) -> None:
        """Deliver, for good: as soon as anything is pending, then every 30 s.

        If it is cancelled, deliver_pending handles the requests under way.
        """
        while True:
            try:
                await self._buffer.wait_for_pending()
                await self._follow()
            except BufferFailure as error:
                await self._call_off()
                log.error("buffer can't be read, delivery waits", error=str(error), retry_in_s=self._interval_s)
                await self._sleep(self._interval_s)
            except Exception:
                await self._call_off()
                raise

    def hurry(self) -> None:
        """Deliver soon, and not only at the next turn: a device's state has changed."""
        self.course.hurry(self._monotonic_s())
        self._under_way.wake()

    async def run_cleanup(self) -> None:
        """Clean the buffer up, for good: now and every 5 minutes."""
        await clean_up(self._buffer, self._sleep)

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:
        """Whether all pending metrics are delivered; False once the API, or a batch, has failed `attempts` times in a row.

        For a single run and for the stop, after `run` was cancelled: it waits for the requests of `run`, so that a server without
        idempotency keys gets them once. No attempt starts after `within_s`; the caller cancels a request that is still
        under way, and a batch not acknowledged stays open. Raises BufferFailure if the buffer can't be read.
        """
        try:
            now_s = self._monotonic_s()
            return self.course.finish(attempts, now_s + within_s, now_s) and await self._follow()
        finally:
            await self._call_off()

    async def _follow(self) -> bool:
        """Do what the course says until it is done; whether all is delivered."""
        if not self._has_exclusions:
            self.course.verdicts.exclusions = Exclusions(await self._buffer.get_meta(EXCLUSIONS_KEY))
            self._has_exclusions = True
        while True:
            step = self.course.next(self._accepts(), self._now_us(), self._monotonic_s())
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
                batch = await self._buffer.next_batch(most_metrics, lane, exclude)
                self.course.cut(lane, batch)
                if batch is not None:
                    self._under_way.start(batch, self._attempt(batch))
            case Send(batch):
                self._under_way.start(batch, self._attempt(batch))
            case TryRefused(series):
                await self._ask_again(series)
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

    async def _attempt(self, batch: Batch) -> None:
        """Send the batch once, and do what follows from the answer."""
        polls = await self._buffer.read(batch)
        if not polls:  # all of it is damaged, which the buffer has counted; or it has expired
            await self._buffer.acknowledge(batch)
            self.course.verdicts.emptied(batch)
            return
        accepts = self._accepts()
        parcel = await asyncio.to_thread(pack, batch, polls, accepts, self.course.verdicts.exclusions.of(batch.id))
        if parcel.left_out and not parcel.metrics:
            await self._settlement.leave_out(parcel)
            self.course.verdicts.emptied(batch)
            return
        if parcel.plain_octets > accepts.max_body_octets:
            too_large = TooLarge(f"{parcel.plain_octets} octets: the server accepts {accepts.max_body_octets}")
            await self._settlement.settle_unsent(parcel, too_large, self.course.verdicts.take_unsent(batch, too_large))
            return
        if not self.course.verdicts.may_go(batch, self._monotonic_s()):
            return
        outcome = await self._client.post_metrics(parcel.body, batch.key, parcel.encoding)
        verdict = self.course.verdicts.take(batch, outcome, parcel.oldest_us, self._jitter(), self._monotonic_s())
        await self._settlement.settle(parcel, outcome, verdict)

    async def retry_refused(self) -> int:
        """Have the server asked about all series of which refused metrics are kept, from the next turn on; how many they are."""
        kept = await self._buffer.refused(ALL_REFUSED)
        series = {name: None for metric in kept if (name := series_of_json(metric.metric)) is not None}
        self.course.verdicts.exclusions.want(series)
        return len(series)

    async def _ask_again(self, series: str) -> None:
        """Send one refused metric of the series; if it is accepted, all of them."""
        series_id = series.split(" ", 1)[1]
        newest = await self._buffer.refused_of(series_id, 1)
        if not newest:  # removed by now, and none has been polled since: the next batch shows whether it is accepted
            outcome: Outcome = Accepted()
        else:
            outcome = await self._send_refused(newest)
        is_accepted = self.course.verdicts.asked(series, outcome, self._now_us(), self._monotonic_s())
        await self._buffer.put_meta(EXCLUSIONS_KEY, self.course.verdicts.exclusions.encode())
        if not is_accepted:
            return
        log.info("API accepts what it has refused", series=series)
        while rest := await self._buffer.refused_of(series_id, self._accepts().max_metrics):
            if not isinstance(await self._send_refused(rest), Accepted):
                break

    async def _send_refused(self, rows: Sequence[tuple[int, RefusedMetric]]) -> Outcome:
        """What came of sending these refused metrics: accepted, they are delivered. The same ones have the same key."""
        body = b'{"metrics":[' + b",".join(row.metric for _, row in rows) + b"]}"
        outcome = await self._client.post_metrics(body, f"refused-{sha256(body).hexdigest()[:32]}")
        if isinstance(outcome, Accepted):
            await self._buffer.release([number for number, _ in rows])
            self._counters.add(Count.METRICS_DELIVERED, n=len(rows))
        return outcome

    async def _call_off(self) -> None:
        await self._under_way.call_off()
        self.course.called_off()

    def _reread_token(self) -> None:
        try:
            if self._client.reread_token():
                log.info("token file holds a new token, in use from now on")
        except SettingsError as error:
            log.error("token file can't be used, the old token stays in use", error=str(error))


class UnderWay:
    """Requests under way. A batch stays among them until `rest` has seen the end of its task."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]], monotonic_s: Callable[[], float]) -> None:
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._tasks: dict[asyncio.Task[None], Batch] = {}
        self._timer: asyncio.Future[None] | None = None

    def start(self, batch: Batch, attempt: Coroutine[None, None, None]) -> None:
        """Begin one."""
        self._tasks[asyncio.create_task(attempt)] = batch

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
        ended = [self._tasks.pop(task) for task in done]
        for task in done:
            task.result()
        return ended

    def wake(self) -> None:
        """End the rest that is under way, if it rests."""
        if self._timer is not None:
            self._timer.cancel()

    async def call_off(self) -> None:
        """End them all; the batches stay open in the buffer."""
        tasks = [*self._tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
