"""Brings what the buffer holds to the API: peek, send, acknowledge.

A batch keeps its members and its key until the server has it, over restarts too, so that the courier may be stopped at any
moment. One request at a time; retry.py decides what follows on an answer.
I/O. Seconds (`_s`), octets, microseconds since 1970 (`_us`).
"""

import asyncio
import gzip
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from towerops_agent.api.accepts import Accepts
from towerops_agent.api.outcomes import NotFound, Outcome, Redirected, TooLarge, Unauthorized
from towerops_agent.api.reachability import Reachability
from towerops_agent.buffer.batch import Batch
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.batch_size import BatchSize
from towerops_agent.delivery.metrics import encode_metrics
from towerops_agent.delivery.retry import Decision, Delivered, Halve, RetryIn, SetAside, decide
from towerops_agent.errors import BufferFailure, SettingsError

INTERVAL_S = 30.0
CLEANUP_INTERVAL_S = 300.0
GZIP_LEVEL = 1
"""1.1 µs a metric and a body of 22 %; level 6 takes 2.5 µs for 20 %."""

log = structlog.get_logger()


class Client(Protocol):
    """What is needed of ApiClient."""

    async def post_metrics(self, body: bytes, key: str, encoding: Literal["gzip"] | None = None) -> Outcome: ...  # noqa: D102

    def reread_token(self) -> bool: ...  # noqa: D102  # both as ApiClient's


@dataclass(slots=True)
class _Parcel:
    """A batch, ready to be sent: its `body` stays the same over all attempts."""

    batch: Batch
    plain_octets: int
    body: bytes
    encoding: Literal["gzip"] | None
    attempts: int = 0

    def __str__(self) -> str:
        return f"{self.batch.start.poll}-{self.batch.last_poll}"


class Courier:
    """Delivers every 30 s, and at once while there is more than one batch.

    `accepts`: gives what the server takes, now. `settle_s`: how long the very first delivery waits for the polls that follow the
    first one, which would else wait for the second delivery.
    """

    def __init__(
        self,
        buffer: Buffer,
        client: Client,
        counters: Counters,
        *,
        accepts: Callable[[], Accepts],
        interval_s: float = INTERVAL_S,
        settle_s: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._buffer = buffer
        self._client = client
        self._counters = counters
        self._accepts = accepts
        self._interval_s = interval_s
        self._settle_s = settle_s
        self._sleep = sleep
        self._jitter = jitter
        self._now_us = now_us
        self._size = BatchSize()
        self._parcel: _Parcel | None = None
        self._halves: set[int] = set()  # ids of the batches that came of a split and are still to be sent
        self.reachability = Reachability()

    async def run(self) -> None:
        """Deliver, for good: as soon as anything is pending, then every 30 s."""
        settle_s = self._settle_s
        while True:
            try:
                await self._buffer.wait_for_pending()
                if settle_s:
                    await self._sleep(settle_s)
                    settle_s = 0.0
                await self._deliver_backlog()
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
        """Whether all is delivered that was pending; False once a batch has failed `attempts` times in a row.

        For a single run and for the stop, not while `run` runs. May be cancelled: a batch not acknowledged stays open. Raises
        BufferFailure where the buffer can't be read.
        """
        while (decision := await self._send_next()) is not None:
            if isinstance(decision, RetryIn):
                if self._parcel is None or self._parcel.attempts >= attempts:
                    return False
                await self._wait(decision)
        return True

    async def _deliver_backlog(self) -> None:
        """Deliver until less than one batch is left, which can wait for the next turn."""
        while (decision := await self._send_next()) is not None:
            if isinstance(decision, RetryIn):
                await self._wait(decision)
            elif not self._halves and (await self._buffer.pending()).metrics < self._size.within(self._accepts()):
                return

    async def _send_next(self) -> Decision | None:
        """What was decided, and done, after one attempt at the batch whose turn it is; None where nothing is pending."""
        parcel = await self._next_parcel()
        if parcel is None:
            return None
        parcel.attempts += 1
        outcome = await self._post(parcel)
        decision = decide(outcome, parcel.attempts, parcel.batch.metric_count, self._jitter())
        match decision:
            case Delivered():
                await self._acknowledge(parcel)
            case RetryIn():
                self._put_off(parcel, outcome, decision)
            case Halve(too_large):
                await self._halve(parcel, outcome, too_large)
            case SetAside(reason):
                await self._set_aside(parcel, outcome, reason)
        return decision

    async def _next_parcel(self) -> _Parcel | None:
        """The batch whose turn it is; the buffer is asked before each attempt, as a batch may expire between two."""
        while (batch := await self._buffer.next_batch(self._size.within(self._accepts()))) is not None:
            if batch.id not in self._halves:
                self._halves.clear()
            if self._parcel is not None and self._parcel.batch == batch:
                return self._parcel
            polls = await self._buffer.read(batch)
            if polls:
                body = encode_metrics((poll.layout, poll.poll, poll.first_metric, poll.stop_metric) for poll in polls)
                self._parcel = _Parcel(batch, len(body), body, None)
                return self._parcel
            await self._buffer.acknowledge(batch)  # all of it is damaged, and counted so by the buffer
        return None

    async def _post(self, parcel: _Parcel) -> Outcome:
        accepts = self._accepts()
        if parcel.plain_octets > accepts.max_body_octets:
            return TooLarge(f"{parcel.plain_octets} octets, where the server takes {accepts.max_body_octets}")
        if parcel.attempts == 1 and "gzip" in accepts.content_encodings:
            parcel.body = await asyncio.to_thread(gzip.compress, parcel.body, GZIP_LEVEL, mtime=0)
            parcel.encoding = "gzip"
        return await self._client.post_metrics(parcel.body, parcel.batch.key, parcel.encoding)

    async def _acknowledge(self, parcel: _Parcel) -> None:
        await self._buffer.acknowledge(parcel.batch)
        self._parcel = None
        self._halves.discard(parcel.batch.id)
        self._size.delivered()
        self._counters.add(Count.BATCHES, "delivered")
        self._counters.add(Count.METRICS_DELIVERED, n=parcel.batch.metric_count)
        self._answered()
        log.debug("batch delivered", batch=str(parcel), metrics=parcel.batch.metric_count, octets=len(parcel.body))

    def _put_off(self, parcel: _Parcel, outcome: Outcome, decision: RetryIn) -> None:
        self._counters.add(Count.BATCHES, "retried")
        if not self.reachability.failed(outcome.reason, self._now_us()):
            return
        (log.error if isinstance(outcome, Unauthorized | NotFound | Redirected) else log.warning)(
            "batch not delivered, will retry",
            batch=str(parcel),
            metrics=parcel.batch.metric_count,
            status=outcome.status,
            reason=outcome.reason,
            attempt=parcel.attempts,
            retry_in_s=round(decision.seconds, 1),
            unlogged=self.reachability.take_unlogged(),
        )

    async def _wait(self, decision: RetryIn) -> None:
        await self._sleep(decision.seconds)
        if decision.reread_token:  # only now: a file that is replaced meanwhile is in time for the next attempt
            try:
                if self._client.reread_token():
                    log.info("token file holds another token, in use from now on")
            except SettingsError as error:
                log.error("token file can't be used, the token stays as it was", error=str(error))

    async def _halve(self, parcel: _Parcel, outcome: Outcome, too_large: bool) -> None:
        halves = await self._buffer.split(parcel.batch)
        self._parcel = None
        self._halves.discard(parcel.batch.id)
        self._halves.update(half.id for half in halves)
        self._counters.add(Count.BATCHES, "split")
        if too_large:
            self._size.too_large(parcel.batch.metric_count)
        self._answered()
        log.warning(
            "batch refused, sent in halves",
            batch=str(parcel),
            metrics=parcel.batch.metric_count,
            status=outcome.status,
            reason=outcome.reason,
        )

    async def _set_aside(self, parcel: _Parcel, outcome: Outcome, reason: str) -> None:
        body = gzip.decompress(parcel.body) if parcel.encoding else parcel.body
        metric = body.removeprefix(b'{"metrics":[').removesuffix(b"]}")
        await self._buffer.set_aside(parcel.batch, metric, reason)
        self._parcel = None
        self._halves.discard(parcel.batch.id)
        if isinstance(outcome, TooLarge):
            self._size.one_too_large()
        self._counters.add(Count.BATCHES, "refused")
        self._counters.add(Count.METRICS_REFUSED)
        self._answered()
        log.warning("metric refused, set aside", metric=metric[:300].decode(errors="replace"), reason=reason)

    def _answered(self) -> None:
        """Note that the API took or refused a batch on its merits: it works."""
        failures = self.reachability.failures
        if self.reachability.succeeded(self._now_us()):
            log.info("API takes metrics", failures_before=failures)
