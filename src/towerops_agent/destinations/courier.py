"""Delivers the buffer's metrics to a destination: in the order of time, one request at a time, the oldest first.

    buffer -> samples -> client -> outcome -> buffer

A strict Prometheus refuses a whole request for one sample that is older than what it has of that series, so nothing overtakes.
A receiver that accepts any order (`order: any`) gets what comes in beside the backlog. Over a slow link requests become smaller.
A batch keeps its members until it is acknowledged, over restarts too: at least once; doubt.py settles what was sent twice so.
I/O: the buffer, the client, the log. Seconds (`_s`), microseconds since 1970 (`_us`).
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from math import inf
from typing import Final, Protocol

import msgspec
import structlog

from towerops_agent import clocks
from towerops_agent.api.client import Expiries
from towerops_agent.api.wire.outcomes import Accepted, Availability, Certificate, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.pace import SLOW_S as TOOK_LONG_S
from towerops_agent.delivery.course.pace import BatchSize, took_long
from towerops_agent.delivery.course.parcel import metrics_of
from towerops_agent.delivery.course.verdicts import backoff_s
from towerops_agent.destinations.blame import Blame, Culprit
from towerops_agent.destinations.course.fit import Candidate
from towerops_agent.destinations.doubt import Doubt, settle
from towerops_agent.destinations.heads import Heads
from towerops_agent.destinations.kinds import KINDS, ReceiverKind
from towerops_agent.destinations.lateness import Lateness
from towerops_agent.destinations.losses import Losses
from towerops_agent.destinations.receiver import Receiver
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, WriteOutcome
from towerops_agent.destinations.wire.samples import Part
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import REMOTE_WRITE, Destination

EACH_S: Final = 10.0
"""How often what has come in is delivered; a backlog goes without a pause."""

SOON_S: Final = 1.0

LOOK_EACH_S: Final = 5.0
"""How often it looks whether there is a destination, or another one."""

SLOW_S: Final = 60.0
LEARN_WITHIN: Final = 60
"""For how many looks, a second apart, the labels of a new layout are waited for, while none are being learned."""

AHEAD_S: Final = 300.0
"""Prometheus accepts samples of the future, and then refuses those of other series: nothing of more than this is sent."""

CLOCK_SET_S: Final = 60.0
"""If this machine's clock has moved so much more or less than time has passed, it was set: what is known of it is void."""

log = structlog.get_logger()


class WriteClient(Protocol):
    """The part of DestinationClient that is needed."""

    ahead_s: float | None
    expiries: Expiries

    def reread_certificates(self) -> None: ...  # noqa: D102

    async def send(self, body: bytes) -> WriteOutcome: ...  # noqa: D102


class RemoteCourier:
    """Delivers to whatever `destination` returns now; None: to nobody, and what is read stays in the buffer for a day.

    `line`: its line in the buffer, the destination's name. `heads`: the labels. `now_us`: the wall clock. `time_us`: what polls
    get now, if that is another. `moved` is called at each step, as a backlog is delivered without a pause for hours.
    """

    def __init__(
        self,
        buffer: Buffer,
        heads: Heads,
        counters: Counters,
        *,
        line: str,
        destination: Callable[[], Destination | None],
        client: Callable[[Destination], AbstractAsyncContextManager[WriteClient]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        moved: Callable[[float], None] = lambda _again_within_s: None,
        jitter: Callable[[], float] = random.random,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = clocks.wall_us,
        time_us: Callable[[], int] | None = None,
    ) -> None:
        self._buffer = buffer
        self._heads = heads
        self._counters = counters
        self._name = line
        self._destination = destination
        self._new_client = client
        self._sleep = sleep
        self._moved = moved
        self._jitter = jitter
        self._monotonic_s = monotonic_s
        self._now_us = now_us
        self._time_us = time_us or now_us
        self.availability = Availability(steady_us=clocks.steady_us)
        self.in_flight = 0
        self._hurried = asyncio.Event()
        self._kind: ReceiverKind = KINDS[REMOTE_WRITE]
        self._opened: Destination | None = None  # the last one
        self._lateness = Lateness(self._kind)  # of that
        self._blame = Blame(buffer, heads)
        self._size = BatchSize()
        self._client: WriteClient | None = None  # of `run`
        self._asked_time_at: float | None = None  # `_clock_s` when its time was asked; None: not yet
        self._part = False  # whether what waits is to be split off as backlog
        self._fresh_s = -inf  # when what had come in was last asked for, before the backlog
        self._round_began_s = inf  # when it began to deliver what is pending; inf: all is delivered, or it fails
        self._round_from_us: int | None = None  # when the first poll was made that was sent since; None: none was
        self._reached_us = 0  # and the last one
        self._attempts = 0
        self._until_s = inf  # before then the next attempt of this run has to begin; -inf: there is none
        self._looks = 0  # for labels
        self._unlabelled: set[int] = set()  # by hash, layouts of a backlog whose labels did not come
        self._doubt = Doubt(buffer, line, counters)
        self._losses = Losses(line, counters, now_us)

    @property
    def is_behind(self) -> bool:
        """Whether what is pending takes long although the destination works: polls come faster than they are delivered.

        Not for the backlog of an outage, if that becomes shorter, or fresh values go before it.
        """
        now_s = self._monotonic_s()
        gone_s = now_s - self._round_began_s
        if self.availability.works is not True or self._opened is None or gone_s < EACH_S:
            return False
        if self._opened.fresh_first:
            return min(gone_s, now_s - self._fresh_s) >= 2 * EACH_S
        return self._round_from_us is None or self._reached_us - self._round_from_us <= gone_s * 1e6

    async def run(self) -> None:
        """Deliver, for good."""
        while True:
            try:
                await self._serve()
            except BufferFailure as error:
                log.error("buffer can't be read, delivery waits", error=str(error), retry_in_s=EACH_S, destination=self._name)
                await self._sleep(EACH_S)
            except SettingsError as error:
                self._fails(str(error), None, SLOW_S)
                await self._sleep(SLOW_S)

    def certificates(self, name: str) -> list[Certificate]:
        """Those in use, of the receiver with this name; none between two receivers."""
        return [] if self._client is None else self._client.expiries.of(name)

    def hurry(self) -> None:
        """Deliver soon, and not only at the next turn: a device's state has changed."""
        self._hurried.set()

    def reread_certificates(self) -> None:
        """Use the current certificate files from the next request on. Raises SettingsError: those in use stay then.

        Files of a destination that is another one by now, or gone, are not read: nothing more is sent to it.
        """
        if self._client is not None and self._destination() == self._opened:
            self._client.reread_certificates()

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:
        """Whether all that is pending was delivered; False once it has failed so many times in a row.

        No attempt starts after `within_s`; the caller cancels a request that is still under way then.
        """
        destination = self._destination()
        if destination is None:
            return True
        ends_s = self._monotonic_s() + within_s
        try:
            async with self._open(destination) as client:
                for attempt in range(attempts):
                    self._until_s = -inf if attempt == attempts - 1 else ends_s
                    wait_s = await self._round(client, destination)
                    if wait_s is None:
                        return True
                    if not self._may_wait(wait_s):
                        break
                    await self._sleep(wait_s)
        except SettingsError as error:
            self._until_s = -inf
            self._fails(str(error), None, SLOW_S)
        finally:
            self._until_s = inf
        return False

    def _may_wait(self, wait_s: float) -> bool:
        """Whether another attempt follows after so long."""
        return self._monotonic_s() + wait_s < self._until_s

    def _open(self, destination: Destination) -> AbstractAsyncContextManager[WriteClient]:
        self._kind = KINDS[destination.kind]
        self._asked_time_at = None
        if destination != self._opened:
            self._opened, self._lateness, self._size = destination, Lateness(self._kind), BatchSize()
            self._blame = Blame(self._buffer, self._heads)
        return self._new_client(destination)

    async def _serve(self) -> None:
        """Deliver to the destination of now, until it is another one."""
        destination = self._destination()
        if destination is None:
            await self._sleep(LOOK_EACH_S)
            return
        async with self._open(destination) as client:
            self._client = client
            try:
                while self._destination() == destination:
                    self._hurried.clear()  # what hurries from now on may come too late for this round
                    wait_s = await self._round(client, destination)
                    if wait_s is None:
                        await self._rest()
                    else:
                        await self._pause(wait_s, destination)
            finally:
                self._client = None

    async def _pause(self, seconds: float, destination: Destination) -> None:
        """Wait, if it is for more than SLOW_S only as long as the destination is this one."""
        while seconds > 0 and self._destination() == destination:
            await self._sleep(min(seconds, SLOW_S))
            seconds -= SLOW_S

    async def _rest(self) -> None:
        """Wait for the next turn; not for long before the first one, nor if a device's state changes."""
        if not self.availability.works:
            await self._sleep(SOON_S)
            return
        await rest(self._sleep(EACH_S), self._hurried)
        if self._hurried.is_set():
            await self._sleep(SOON_S)  # when a tower falls silent its devices do one after the other

    async def _round(self, client: WriteClient, destination: Destination) -> float | None:
        """Deliver what is pending: None if all is done, else the seconds to wait; 0 if the destination has become another one."""
        if self._round_began_s == inf:
            self._round_began_s, self._round_from_us = self._monotonic_s(), None
        self._part |= await self._doubt.begin()
        while self._destination() == destination:
            self._moved(0.0)
            if destination.fresh_first and self._part:
                await self._buffer.part_backlog(self._name)
            self._part = False
            batch = await self._next(destination)
            if batch is None:
                self._losses.report()
                self._unlabelled.clear()
                self._lateness.forget()  # the receiver's settings may become others
                self._round_began_s = inf
                return None
            wait_s = await self._deliver(client, batch, destination)
            if wait_s is not None:
                return wait_s
        return 0.0

    async def _next(self, destination: Destination) -> Batch | None:
        """The batch to send now: the oldest; or, if the order may be any, each 10 s all that came in, else the backlog."""
        lanes = [Lane.BACKLOG, Lane.FRESH]
        if destination.fresh_first and self._monotonic_s() >= self._fresh_s + EACH_S:
            lanes.reverse()
        most = self._most(destination)
        for lane in lanes:
            batch = await self._buffer.next_batch(most, lane, (), self._name)
            if lane is Lane.FRESH and (batch is None or batch.metric_count < most):
                self._fresh_s = self._monotonic_s()  # this is all; what comes in meanwhile waits, or the backlog would
            if batch is not None:
                return batch
        return None

    async def _deliver(self, client: WriteClient, batch: Batch, destination: Destination) -> float | None:
        """One step with the first batch: None if it is acknowledged or split, else the seconds until it is tried again."""
        polls, heads = await self._heads.read(batch, destination)
        if not polls:
            await self._buffer.close_empty(batch)
            return None
        metrics = sum(poll.stop_metric - poll.first_metric for poll in polls)
        if metrics > self._most(destination) + 1:  # it was cut before; of halves one may have one more
            await self._doubt.split_unanswered(batch)
            return None
        self._reached_us = polls[0].poll.started_at_us
        if self._round_from_us is None:
            self._round_from_us = self._reached_us
        if client.ahead_s is None if self._asked_time_at is None else abs(self._clock_s - self._asked_time_at) >= CLOCK_SET_S:
            clock_s = self._clock_s
            outcome = await self._send(client, self._kind.pack([]).body)
            if not isinstance(outcome, Accepted | Rejected):  # refused: for having no values, and it has said its time
                return self._wait(outcome)
            if isinstance(outcome, Rejected) and not self._kind.refuses_nothing:
                self._blame.distrust()
            self._asked_time_at = clock_s
        lacking = {hash(poll.layout) for poll in polls if poll.poll.layout not in heads}
        if lacking and self._heads.is_learning:
            return 1.0
        if lacking - self._unlabelled and self._looks < LEARN_WITHIN:
            self._looks += 1
            return 1.0
        self._looks = 0
        self._unlabelled |= lacking
        time_us = self._time_us()
        ahead_s = 0.0 if client.ahead_s is None else client.ahead_s + (time_us - self._now_us()) / 1e6
        latest_us = time_us + round((AHEAD_S - ahead_s) * 1e6)
        receiver = Receiver(destination, partial(self._send, client), latest_us, self._lateness.known.covers)
        fit, lost = receiver.fit(polls, heads)
        if lost.get(Loss.TIME_AHEAD) and ahead_s > AHEAD_S:
            self._asked_time_at = inf  # either clock may be right by then
            is_ours = (client.ahead_s or 0.0) > AHEAD_S
            whose = "this machine's clock is" if is_ours else "the API's clock, by which readings are dated, is"
            wrong = f"{whose} {ahead_s:.0f} s ahead of the destination's: set it"
            return self._fails(wrong, None, SLOW_S)
        if not fit:
            await self._buffer.acknowledge(batch)
            self._losses.add(lost)
            return None
        parts = [one.part for one in fit]
        packed = self._kind.pack(parts)
        doubtful = self._doubt.sends(batch)
        sent_s = self._monotonic_s()
        outcome = await receiver.send(packed.body)
        took_s = self._monotonic_s() - sent_s
        self._learn_size(metrics, outcome, took_s)
        suspected = self._blame.suspects(batch, outcome, took_s, self._attempts)
        if isinstance(outcome, TooLate) and not outcome.by_time and doubtful:
            behind = [await self._parts_now(receiver, one) async for one in self._doubt.behind(batch, self._most(destination))]
            outcome = await settle(receiver.send, self._kind, self._lateness, fit, [parts for parts in behind if parts], outcome)
        if packed.beyond and isinstance(outcome, Accepted | PartlyTaken):
            self._losses.add({Loss.OUT_OF_RANGE: packed.beyond})
        culprit = Culprit.RECEIVER
        if suspected:
            culprit = await self._blame.culprit(receiver, batch, fit)
        wait_s = None
        match culprit, outcome:
            case Culprit.BATCH, Unavailable():
                await self._doubt.split_blamed(batch, outcome, before=doubtful)
            case Culprit.METRIC, Unavailable():
                await self._keep_aside(batch, fit[0], outcome.status, outcome.reason)
            case Culprit.RECEIVER, _:
                wait_s = await self._follow(receiver, batch, fit, lost, outcome)
        self._doubt.answered(batch, outcome, before=doubtful)
        return wait_s

    def _most(self, destination: Destination) -> int:
        """Of a request, as far as is known: the most metrics."""
        return self._size.within(destination.max_metrics)

    def _learn_size(self, metrics: int, outcome: WriteOutcome, took_s: float) -> None:
        """How large batches may be, by what came of one of so many metrics."""
        match outcome:
            case Accepted() | PartlyTaken() if took_s >= TOOK_LONG_S:
                self._size.slow(metrics)
            case Accepted() | PartlyTaken():
                self._size.delivered()
            case TooLarge() if metrics > 1:
                self._size.too_large(metrics)
            case TooLarge():
                self._size.one_too_large()
            case Unavailable() if took_long(outcome, took_s):
                self._size.unanswered(metrics)

    async def _parts_now(self, receiver: Receiver, batch: Batch) -> list[Part]:
        """The samples of a batch that can be sent now."""
        fit, _ = receiver.fit(*await self._heads.read(batch, receiver.destination))
        return [one.part for one in fit]

    async def _follow(
        self, receiver: Receiver, batch: Batch, fit: Sequence[Candidate], lost: Counter[Loss], outcome: WriteOutcome
    ) -> float | None:
        """What follows from the outcome of a batch, of which the polls `fit` were sent."""
        match outcome:
            case Accepted() | PartlyTaken():
                await self._buffer.acknowledge(batch)
                sent = sum(one.metrics for one in fit)
                refused = self._losses.partly(sent, outcome) if isinstance(outcome, PartlyTaken) else 0
                self._counters.add(Count.METRICS_DELIVERED, self._name, sent - refused)
                self._counters.add(Count.BATCHES, "delivered")
                self._losses.add(lost)
                self._works()
                return None
            case TooLate():
                self._works()
                learned = await self._lateness.learn(receiver.send, batch.id, fit, outcome, self._now_us())
                if not isinstance(learned, bool):
                    return self._wait(learned)
                if not learned:
                    await self._doubt.split(batch)
                return None
            case TooLarge() | Rejected() if batch.metric_count > 1:
                await self._doubt.split(batch)
                return None
            case TooLarge() | Rejected() if await self._blame.may_keep_aside(receiver, batch, fit):
                await self._keep_aside(batch, fit[0], outcome.status, f"status {outcome.status}: {outcome.reason}")
                return None
        self._counters.add(Count.BATCHES, "retried")
        return self._wait(outcome)

    async def _keep_aside(self, batch: Batch, one: Candidate, status: int | None, reason: str) -> None:
        """The batch is a single metric, which the receiver does not take."""
        poll = one.poll
        (metric,) = metrics_of(poll.layout, poll.poll, poll.first_metric, poll.stop_metric) or (None,)
        await self._buffer.refuse(batch, msgspec.json.encode(metric), reason)
        self._losses.refused(status, reason)

    @property
    def _clock_s(self) -> float:
        """How far this machine's clock is ahead of the time since its start: the same until somebody sets it."""
        return self._now_us() / 1e6 - self._monotonic_s()

    async def _send(self, client: WriteClient, body: bytes) -> WriteOutcome:
        self._moved(0.0)
        self.in_flight = 1
        try:
            return await client.send(body)
        finally:
            self.in_flight = 0

    def _works(self) -> None:
        self._attempts = 0
        self._blame.accepted()
        failures = self.availability.failures
        if self.availability.succeeded(self._now_us()) and failures:
            self._part = True  # what has gathered goes beside what comes in
            self._lateness.forget()  # it may have been started again, with other settings
            log.info("destination accepts metrics again", destination=self._name, failures=failures)

    def _wait(self, outcome: WriteOutcome) -> float:
        """Note a failure: the seconds until the next attempt."""
        self._attempts += 1
        match outcome:
            case Unavailable() if outcome.retry_after_s is not None:
                wait_s = max(1.0, outcome.retry_after_s)
            case Misconfigured() | Rejected() | TooLate() | TooLarge():
                wait_s = SLOW_S
            case _:
                wait_s = backoff_s(self._attempts, self._jitter())
        return self._fails(outcome.reason, outcome.status, wait_s)

    def _fails(self, reason: str, status: int | None, wait_s: float) -> float:
        self._round_began_s = inf  # what gathers meanwhile is the backlog of an outage
        if self.availability.failed(reason, self._now_us()):
            about = log.bind(destination=self._name, reason=reason, status=status)
            if self._may_wait(wait_s):
                about.warning("destination does not accept metrics, will retry", retry_in_s=round(wait_s, 1))
            else:
                about.warning("destination does not accept metrics, kept for the next run")
        return wait_s


async def rest(pause: Awaitable[None], event: asyncio.Event) -> None:
    """Wait until the pause is over or the event is set."""
    turns = [asyncio.ensure_future(pause), asyncio.ensure_future(event.wait())]
    try:
        await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for turn in turns:
            turn.cancel()
