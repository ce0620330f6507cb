"""Batches that are not delivered: kept for another attempt, or sent in halves.

    Verdicts.take -> courier.py -> here -> buffer, log

I/O: the buffer, the log. Microseconds since 1970 (`_us`).
"""

from collections.abc import Callable

import structlog

from towerops_agent.api.wire.outcomes import Availability, NotFound, Outcome, Redirected, Unauthorized
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.parcel import Parcel
from towerops_agent.delivery.course.verdicts import Kept, Verdicts
from towerops_agent.repeats import Repeats

log = structlog.get_logger()


class Setbacks:
    """Carries out the verdicts on them, and counts and logs them. `availability`: whether the API accepts metrics."""

    def __init__(
        self, buffer: Buffer, counters: Counters, verdicts: Verdicts, availability: Availability, *, now_us: Callable[[], int]
    ) -> None:
        self._buffer = buffer
        self._verdicts = verdicts
        self._counters = counters
        self._availability = availability
        self._now_us = now_us
        self._halves = Repeats()

    def keep(self, parcel: Parcel, outcome: Outcome, kept: Kept) -> None:
        """Keep the batch for another attempt."""
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
        if not self._availability.failed(outcome.reason, self._now_us()):
            return
        unlogged = self._availability.take_unlogged()
        waits_for_operator = isinstance(outcome, Unauthorized | NotFound | Redirected)
        if kept.retry_in_s is None:
            (about.error if waits_for_operator else about.warning)(
                "batch not delivered, kept for the next run", unlogged=unlogged
            )
        else:
            (about.error if waits_for_operator else about.warning)(
                "batch not delivered, will retry", retry_in_s=round(kept.retry_in_s, 1), unlogged=unlogged
            )

    async def halve(self, parcel: Parcel, outcome: Outcome) -> None:
        """Make two batches of it."""
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
