"""Carries out what retry.py decides about a batch after an attempt: acknowledge it, hold it, halve it, set it aside.

courier.py sends and hands over the outcome; pace.py and held.py learn from it here, and the log and the counters hear of it.
I/O through the buffer. Seconds (`_s`), microseconds since 1970 (`_us`).
"""

from collections.abc import Callable

import structlog

from towerops_agent.api.wire.availability import Availability
from towerops_agent.api.wire.outcomes import NotFound, Outcome, Redirected, TooLarge, Unauthorized, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.held import Held
from towerops_agent.delivery.course.pace import Pace, Sent
from towerops_agent.delivery.course.parcel import Parcel
from towerops_agent.delivery.course.retry import Decision, Delivered, Halve, RetryIn, SetAside, decide

log = structlog.get_logger()


class Settlement:
    """Settles batches with the buffer. `wants_token`: the token's file is to be read again before the next attempt."""

    def __init__(
        self,
        buffer: Buffer,
        counters: Counters,
        pace: Pace,
        held: Held,
        *,
        jitter: Callable[[], float],
        monotonic_s: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        self._buffer = buffer
        self._counters = counters
        self._pace = pace
        self._held = held
        self._jitter = jitter
        self._monotonic_s = monotonic_s
        self._now_us = now_us
        self.availability = Availability()
        self.wants_token = False

    async def settle(self, parcel: Parcel, sent: Sent, outcome: Outcome) -> Decision:
        """What was decided on the outcome of a request, and done."""
        round_ = self._pace.failures + self._pace.is_first_failure(sent)
        decision = decide(outcome, max(1, round_), parcel.batch.metric_count, self._jitter())
        if isinstance(decision, RetryIn):
            self._put_off(parcel, sent, outcome, decision)
            return decision
        self._answered(parcel, sent)
        match decision:
            case Delivered():
                await self._acknowledge(parcel)
            case Halve(too_large):
                await self._halve(parcel, outcome, too_large)
            case SetAside(reason):
                await self._set_aside(parcel, outcome, reason)
        return decision

    async def split_unsent(self, parcel: Parcel, outcome: TooLarge) -> Decision:
        """What was decided about a batch that is too large to be sent at all, and done."""
        decision = decide(outcome, 1, parcel.batch.metric_count, 0.0)
        if isinstance(decision, SetAside):
            await self._set_aside(parcel, outcome, decision.reason)
        else:
            await self._halve(parcel, outcome, too_large=True)
        return decision

    async def _acknowledge(self, parcel: Parcel) -> None:
        batch = parcel.batch
        await self._buffer.acknowledge(batch)
        self._held.settled(batch)
        self._pace.size.delivered()
        self._counters.add(Count.BATCHES, "delivered")
        self._counters.add(Count.METRICS_DELIVERED, n=batch.metric_count)
        log.debug("batch delivered", batch=parcel.label, lane=batch.lane, metrics=batch.metric_count, octets=len(parcel.body))

    def _put_off(self, parcel: Parcel, sent: Sent, outcome: Outcome, decision: RetryIn) -> None:
        self._counters.add(Count.BATCHES, "retried")
        now_s, batch = self._monotonic_s(), parcel.batch
        if isinstance(outcome, Unavailable) and outcome.timed_out:
            self._pace.unanswered(sent, batch.metric_count, now_s)
        if _may_be_the_batch(outcome) and (self._held.is_blamed(batch) or self._pace.has_answered_since(sent)):
            log.warning(
                "batch not delivered, others are; will retry",
                batch=parcel.label,
                metrics=batch.metric_count,
                status=outcome.status,
                reason=outcome.reason,
                attempt=self._held.attempts(batch) + 1,
                retry_in_s=self._held.blame(batch, now_s),
            )
            return
        self._held.failed(batch)
        self._pace.failed(sent, decision.seconds, now_s)
        if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
            self._pace.told(decision.seconds, now_s)
        self.wants_token = self.wants_token or decision.reread_token
        if not self.availability.failed(outcome.reason, self._now_us()):
            return
        (log.error if isinstance(outcome, Unauthorized | NotFound | Redirected) else log.warning)(
            "batch not delivered, will retry",
            batch=parcel.label,
            metrics=batch.metric_count,
            status=outcome.status,
            reason=outcome.reason,
            attempt=self._held.attempts(batch),
            retry_in_s=round(decision.seconds, 1),
            unlogged=self.availability.take_unlogged(),
        )

    async def _halve(self, parcel: Parcel, outcome: Outcome, too_large: bool) -> None:
        await self._buffer.split(parcel.batch)
        self._held.settled(parcel.batch)
        self._counters.add(Count.BATCHES, "split")
        if too_large:
            self._pace.size.too_large(parcel.batch.metric_count)
        log.warning(
            "batch refused, sent in halves",
            batch=parcel.label,
            metrics=parcel.batch.metric_count,
            status=outcome.status,
            reason=outcome.reason,
        )

    async def _set_aside(self, parcel: Parcel, outcome: Outcome, reason: str) -> None:
        metric = parcel.metric
        await self._buffer.set_aside(parcel.batch, metric, reason)
        self._held.settled(parcel.batch)
        if isinstance(outcome, TooLarge):
            self._pace.size.one_too_large()
        self._counters.add(Count.BATCHES, "refused")
        self._counters.add(Count.METRICS_REFUSED)
        log.warning("metric refused, set aside", metric=metric[:300].decode(errors="replace"), reason=reason)

    def _answered(self, parcel: Parcel, sent: Sent) -> None:
        """Note that the API took or refused a batch on its merits: it works."""
        now_s = self._monotonic_s()
        if self._pace.is_down:
            self._held.settled(parcel.batch)  # it is not among those that are looked at for the blame
            self._held.api_answers(now_s)
        self._pace.answered(sent, parcel.batch.metric_count, now_s)
        failures = self.availability.failures
        if self.availability.succeeded(self._now_us()):
            log.info("API takes metrics", failures_before=failures)


def _may_be_the_batch(outcome: Outcome) -> bool:
    """Whether the failure may lie in what was sent: not where the server refuses all alike, or wants to be left alone."""
    return isinstance(outcome, Unavailable) and outcome.status not in (429, 503) and outcome.retry_after_s is None
