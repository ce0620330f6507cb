"""Carries out the verdict on a batch: acknowledges it, keeps it, halves it, or keeps its single metric as refused.

    courier.py -> Course.take -> verdict -> here -> buffer, counters, log

I/O through the buffer. Microseconds since 1970 (`_us`).
"""

from collections.abc import Callable

import structlog

from towerops_agent.api.wire.outcomes import Accepted, Availability, NotFound, Outcome, Redirected, Repeats, Unauthorized
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.parcel import Parcel, series_of
from towerops_agent.delivery.course.verdicts import Delivered, Halve, Kept, MetricRefused, Verdict, Verdicts

log = structlog.get_logger()

EXCLUSIONS_KEY = "refused_series"
"""The key of the learned exclusions: series that the server refuses."""


class Settlement:
    """Settles batches with the buffer. `availability`: whether the API accepts metrics, as far as their outcomes say."""

    def __init__(self, buffer: Buffer, counters: Counters, verdicts: Verdicts, *, now_us: Callable[[], int]) -> None:
        self._buffer = buffer
        self._verdicts = verdicts
        self._counters = counters
        self._now_us = now_us
        self._has_said_short = False
        self._halves = Repeats()
        self._singles = Repeats()
        self.availability = Availability()

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
                await self._acknowledge(parcel, outcome)
            case Halve():
                await self._halve(parcel, outcome)
            case MetricRefused(reason):
                await self._refuse(parcel, reason)
            case Kept():
                self._keep(parcel, outcome, verdict)

    async def _acknowledge(self, parcel: Parcel, outcome: Outcome) -> None:
        batch = parcel.batch
        await self._buffer.acknowledge(batch, parcel.left_out)
        self._counters.add(Count.BATCHES, "delivered")
        self._counters.add(Count.METRICS_REFUSED, n=len(parcel.left_out))
        self._counters.add(Count.METRICS_DELIVERED, n=parcel.metrics)
        if isinstance(outcome, Accepted) and outcome.received is not None and outcome.received < parcel.metrics:
            self._confirm_short(parcel, max(0, outcome.received))
        log.debug("batch delivered", batch=parcel.label, lane=batch.lane, metrics=batch.metric_count, octets=len(parcel.body))

    def _confirm_short(self, parcel: Parcel, received: int) -> None:
        self._counters.add(Count.METRICS_UNCONFIRMED, n=parcel.metrics - received)
        if self._has_said_short:
            return
        self._has_said_short = True
        log.warning("API received fewer metrics than were sent", batch=parcel.label, metrics=parcel.metrics, received=received)

    def _keep(self, parcel: Parcel, outcome: Outcome, kept: Kept) -> None:
        self._counters.add(Count.BATCHES, "retried")
        if kept.is_search:
            log.debug("batch refused, kept until the API accepts another", batch=parcel.label, metrics=parcel.batch.metric_count)
            return
        about = log.bind(
            batch=parcel.label,
            metrics=parcel.batch.metric_count,
            status=outcome.status,
            reason=outcome.reason,
            attempt=kept.attempt,
        )
        if kept.others_pass:
            if kept.retry_in_s is None:
                about.warning("batch not delivered, others are; kept for the next run")
            else:
                about.warning("batch not delivered, others are; will retry", retry_in_s=round(kept.retry_in_s, 1))
            return
        if not self.availability.failed(outcome.reason, self._now_us()):
            return
        unlogged = self.availability.take_unlogged()
        waits_for_operator = isinstance(outcome, Unauthorized | NotFound | Redirected)
        if kept.retry_in_s is None:
            (about.error if waits_for_operator else about.warning)(
                "batch not delivered, kept for the next run", unlogged=unlogged
            )
        else:
            (about.error if waits_for_operator else about.warning)(
                "batch not delivered, will retry", retry_in_s=round(kept.retry_in_s, 1), unlogged=unlogged
            )

    async def _halve(self, parcel: Parcel, outcome: Outcome) -> None:
        self._verdicts.split(parcel.batch, await self._buffer.split(parcel.batch))
        self._counters.add(Count.BATCHES, "split")
        unlogged = self._halves.due(self._now_us())
        if unlogged is not None:
            log.warning(
                "batch refused, sent in halves",
                batch=parcel.label,
                metrics=parcel.batch.metric_count,
                status=outcome.status,
                reason=outcome.reason,
                unlogged=unlogged,
            )

    async def leave_out(self, parcel: Parcel) -> None:
        """Settle a batch of which every metric is left out: there is nothing to send."""
        await self._buffer.acknowledge(parcel.batch, parcel.left_out)
        self._counters.add(Count.METRICS_REFUSED, n=len(parcel.left_out))

    async def _refuse(self, parcel: Parcel, reason: str) -> None:
        metric = parcel.metric
        await self._buffer.refuse(parcel.batch, metric, reason)
        self._counters.add(Count.BATCHES, "refused")
        self._counters.add(Count.METRICS_REFUSED)
        if parcel.single is not None and self._verdicts.learn(series_of(parcel.single), reason, self._now_us()):
            await self._buffer.put_meta(EXCLUSIONS_KEY, self._verdicts.exclusions.encode())
        unlogged = self._singles.due(self._now_us())
        if unlogged is not None:
            log.warning(
                "metric refused, kept with the reason",
                metric=metric[:300].decode(errors="replace"),
                reason=reason,
                unlogged=unlogged,
            )
