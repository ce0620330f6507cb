"""Brings what the buffer holds to the API: fresh values every 30 s, and beside them the backlog of an outage.

    buffer -> next batch of a lane -> parcel -> API -> settlement -> buffer

A batch keeps its members and its key until the server has it, over restarts too, so that the courier may be stopped at any
moment. Several requests are under way at once, as many as the API bears (pace.py); fresh values have the first call on them.
While the API is down one batch is its probe (held.py), and what gathers meanwhile is parted off as backlog, minute by minute.
I/O. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Literal, Protocol

import structlog

from towerops_agent.api.wire.availability import Availability
from towerops_agent.api.wire.outcomes import Outcome, TooLarge
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Counters
from towerops_agent.delivery.course.catch_up import Backlog, CatchUp
from towerops_agent.delivery.course.held import Held
from towerops_agent.delivery.course.pace import Pace
from towerops_agent.delivery.course.parcel import Parcel, pack
from towerops_agent.delivery.course.retry import Decision, Halve, RetryIn
from towerops_agent.delivery.settlement import Settlement
from towerops_agent.delivery.under_way import UnderWay
from towerops_agent.errors import BufferFailure, SettingsError

INTERVAL_S = 30.0
CLEANUP_INTERVAL_S = 300.0

PART_AFTER_S = 60.0
"""How long the API is down, or delivery behind, before what has gathered is backlog: what is fresh is never older by much."""

log = structlog.get_logger()


class MetricsSink(Protocol):
    """What is needed of ApiClient."""

    async def post_metrics(self, body: bytes, key: str, encoding: Literal["gzip"] | None = None) -> Outcome: ...  # noqa: D102

    def reread_token(self) -> bool: ...  # noqa: D102  # both as ApiClient's


class Courier:
    """Delivers fresh values every 30 s, and a backlog without a pause.

    `accepts`: gives what the server takes, now. `settle_s`: how long the very first delivery waits for the polls that follow the
    first one, which would else wait for the second delivery.
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
        self._accepts = accepts
        self._interval_s = interval_s
        self._settle_s = settle_s
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._now_us = now_us
        self._held = Held()
        self._catch_up = CatchUp()
        self._under_way = UnderWay(sleep, monotonic_s)
        self._fresh_left: float = 0  # metrics of the fresh lane that this turn is to send
        self._has_backlog = False
        self._is_first = True
        self._lags = False  # whether a turn came before the one before it was through
        self._turn_at_s = -inf
        self._parted_s = -inf
        self.pace = Pace()
        self._settlement = Settlement(
            buffer, counters, self.pace, self._held, jitter=jitter, monotonic_s=monotonic_s, now_us=now_us
        )

    @property
    def availability(self) -> Availability:
        """Whether the API takes metrics."""
        return self._settlement.availability

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    @property
    def backlog(self) -> Backlog | None:
        """What is behind; None where nothing is, or it was not looked at yet."""
        return self._catch_up.state(self._now_us(), self._monotonic_s())

    async def run(self) -> None:
        """Deliver, for good: as soon as anything is pending, then every 30 s."""
        while True:
            try:
                await self._buffer.wait_for_pending()
                if self._is_first:
                    await self._part_backlog()  # what an earlier run has left
                    self._is_first = False
                    if self._settle_s:
                        await self._sleep(self._settle_s)
                await self._deliver()
            except BufferFailure as error:
                log.error("buffer can't be read, delivery waits", error=str(error), retry_in_s=self._interval_s)
                await self._sleep(self._interval_s)

    async def run_cleanup(self) -> None:
        """Clean the buffer up, for good: now and every 5 minutes."""
        while True:
            try:
                await self._buffer.clean_up()
            except BufferFailure as error:
                log.error("buffer can't be cleaned up, will retry", error=str(error), retry_in_s=CLEANUP_INTERVAL_S)
            await self._sleep(CLEANUP_INTERVAL_S)

    async def deliver_pending(self, attempts: int = 1) -> bool:
        """Whether all is delivered that was pending; False once the API, or a batch, has failed `attempts` times in a row.

        For a single run and for the stop, after `run` was cancelled: what that had sent is waited for, so that a server which
        knows no idempotency key gets it once. May be cancelled: a batch not acknowledged stays open. Raises BufferFailure where
        the buffer can't be read.
        """
        try:
            if not self.pace.may_try_at_once(self._monotonic_s()):
                return False
            self._held.forgive()
            self._fresh_left, self._has_backlog = inf, True
            while self.pace.failures < attempts:
                await self._launch()
                if not self._under_way and self._monotonic_s() >= self.pace.opens_at_s:
                    if not self._held.ids:
                        return True
                    if self._held.most_attempts >= attempts:
                        return False
                await self._under_way.rest(self._wake_at_s(inf, inf))
            while self._under_way:
                await self._under_way.rest(inf)
        finally:
            await self._under_way.call_off()
        return False

    async def _deliver(self) -> None:
        """Deliver until nothing is pending when a turn comes. Cancelled, it leaves what is under way to deliver_pending."""
        try:
            while await self._take_turn():
                await self._launch()
                await self._report()
                await self._under_way.rest(self._wake_at_s(self._turn_at_s, self._part_at_s()))
            await self._report()
        except Exception:
            await self._under_way.call_off()
            raise

    # Turns and lanes

    async def _take_turn(self) -> bool:
        """Begin the fresh lane's next turn where it is due: False where nothing is pending then."""
        now_s = self._monotonic_s()
        self._lags = self._fresh_left > 0 and now_s >= self._turn_at_s
        # Not just before a probe: if it is answered, what was polled since the last one is fresh.
        if now_s >= self._part_at_s() and not (self.pace.is_down and now_s >= self.pace.opens_at_s):
            await self._part_backlog()
        if self._fresh_left or now_s < self._turn_at_s:
            return True
        pending = await self._buffer.pending()
        self._fresh_left = pending.metrics - pending.backlog_metrics
        self._has_backlog = pending.backlog_metrics > 0
        self._turn_at_s = now_s + self._interval_s
        return pending.metrics > 0 or bool(self._under_way)

    def _part_at_s(self) -> float:
        """When what is pending becomes backlog, as things stand: the API is down, or slower than the polls."""
        if self.pace.down_since_s is not None:
            return max(self.pace.down_since_s, self._parted_s) + PART_AFTER_S
        return self._turn_at_s - self._interval_s + PART_AFTER_S if self._fresh_left else inf

    async def _part_backlog(self) -> None:
        """Make backlog of what is pending."""
        await self._buffer.part_backlog()
        self._held.part()
        self._parted_s = self._turn_at_s = self._monotonic_s()
        self._fresh_left = 0
        await self._measure()

    async def _measure(self) -> None:
        pending = await self._buffer.pending()
        self._has_backlog = pending.backlog_metrics > 0
        self._catch_up.measured(pending.backlog_metrics, pending.backlog_oldest_started_at_us)

    async def _report(self) -> None:
        """Tell how far the backlog is, where that is due."""
        now_us, now_s = self._now_us(), self._monotonic_s()
        if self._has_backlog or self._under_way.count(Lane.BACKLOG):
            state = self._catch_up.report(now_us, now_s)
            if state is not None:
                log.info(
                    "backlog being delivered",
                    metrics=state.metrics,
                    behind_s=round(state.behind_s),
                    drained_in_s=None if state.drained_in_s is None else round(state.drained_in_s),
                )
                await self._measure()
            return
        took_s = self._catch_up.took_s(now_s)
        if took_s is not None:
            log.info("backlog delivered", metrics=self._catch_up.delivered, took_s=round(took_s, 1))
        self._catch_up = CatchUp()

    # Requests

    async def _launch(self) -> None:
        """Send as many batches on their way as the pace allows."""
        while (batch := await self._next_batch()) is not None:
            self._under_way.start(batch, self._attempt(batch))

    async def _next_batch(self) -> Batch | None:
        """The batch to send now, fresh ones first; None where there is none, or the pace has no room for it."""
        now_s = self._monotonic_s()
        if now_s < self.pace.opens_at_s or self.in_flight >= self._most_in_flight():
            return None
        self._reread_token()
        if self.pace.is_down:
            if self._under_way:
                return None
            return self._held.probe() or await self._cut(Lane.FRESH) or await self._cut(Lane.BACKLOG) or self._held.any()
        most = self.pace.in_flight
        if self._fresh_left and self._under_way.count(Lane.FRESH) < most and (batch := await self._cut(Lane.FRESH)) is not None:
            return batch
        if self.in_flight >= most:
            return None
        return self._held.due(now_s, self._under_way.ids) or (await self._cut(Lane.BACKLOG) if self._has_backlog else None)

    def _most_in_flight(self) -> float:
        """One to a server that knows no idempotency key, so that a kill makes it take one batch twice at most.

        As many as the pace allows where the server knows it, or where the polls would else outrun the delivery.
        """
        return inf if self._accepts().is_stated or self._lags else 1

    async def _cut(self, lane: Lane) -> Batch | None:
        """The next batch of the lane that is neither under way nor held."""
        size = self.pace.size.within(self._accepts())
        batch = await self._buffer.next_batch(size, lane, {*self._under_way.ids, *self._held.ids})
        if lane is Lane.FRESH:
            self._fresh_left = 0 if batch is None else max(0, self._fresh_left - batch.metric_count)
        elif batch is None:
            self._has_backlog = False
        return batch

    async def _attempt(self, batch: Batch) -> None:
        """Send the batch once, and do what follows on the answer."""
        polls = await self._buffer.read(batch)
        if not polls:  # all of it is damaged, and counted so by the buffer; or it has expired
            await self._buffer.acknowledge(batch)
            self._held.settled(batch)
            return
        accepts = self._accepts()
        parcel = await asyncio.to_thread(pack, batch, polls, accepts)
        if parcel.plain_octets > accepts.max_body_octets:
            too_large = TooLarge(f"{parcel.plain_octets} octets, where the server takes {accepts.max_body_octets}")
            self._go_on(parcel, await self._settlement.split_unsent(parcel, too_large))
            return
        now_s = self._monotonic_s()
        if now_s < self.pace.opens_at_s:  # another one has failed meanwhile
            self._is_left(batch)
            return
        was_down, sent = self.pace.is_down, self.pace.sent(now_s)
        outcome = await self._client.post_metrics(parcel.body, batch.key, parcel.encoding)
        self._go_on(parcel, await self._settlement.settle(parcel, sent, outcome))
        if self.pace.is_down:
            self._catch_up.stopped()
        elif was_down:  # fresh values first
            self._fresh_left, self._turn_at_s = (self._fresh_left if self._fresh_left == inf else 0), self._monotonic_s()

    def _go_on(self, parcel: Parcel, decision: Decision) -> None:
        if isinstance(decision, Halve):
            self._is_left(parcel.batch)
        elif parcel.batch.lane is Lane.BACKLOG and not isinstance(decision, RetryIn):
            self._catch_up.took(parcel.batch.metric_count, parcel.oldest_us, self._monotonic_s())

    def _is_left(self, batch: Batch) -> None:
        """Note that the lane holds what is in the batch, still or again."""
        if batch.lane is Lane.FRESH:
            self._fresh_left += batch.metric_count
        else:
            self._has_backlog = True

    def _reread_token(self) -> None:
        """Only now, as the next attempt begins: a file that was replaced meanwhile is in time for it."""
        if not self._settlement.wants_token:
            return
        self._settlement.wants_token = False
        try:
            if self._client.reread_token():
                log.info("token file holds another token, in use from now on")
        except SettingsError as error:
            log.error("token file can't be used, the token stays as it was", error=str(error))

    # Waiting

    def _wake_at_s(self, turn_at_s: float, part_at_s: float) -> float:
        """When there is something to do again, if no request ends before."""
        opens_at_s = self.pace.opens_at_s
        if opens_at_s > self._monotonic_s():
            return min(opens_at_s, part_at_s)
        if self.pace.is_down:
            return inf if self._under_way else turn_at_s  # the probe is under way, or there is nothing to try it with
        room = self.in_flight < min(self.pace.in_flight, self._most_in_flight())
        return min(
            part_at_s if self._fresh_left else turn_at_s,
            self._held.next_due_s(self._under_way.ids) if room else inf,
        )
