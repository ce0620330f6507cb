"""Metrics that the server refuses: kept with its reason, left out of batches, and asked about again.

    verdict -> courier.py -> here -> buffer, API

A series that the server refuses beside others that it accepts is learned, and remembered over restarts.
I/O: the buffer, the API, the log. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal, Protocol

import structlog

from towerops_agent.api.wire.outcomes import Accepted, Outcome, Rejected, TooLarge
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import RefusedMetric
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.course.parcel import Parcel, beginning_of, series_of, series_of_json
from towerops_agent.delivery.course.verdicts import Verdicts
from towerops_agent.repeats import Repeats

log = structlog.get_logger()

EXCLUSIONS_KEY = "refused_series"
"""The key of the learned exclusions: series that the server refuses."""

ALL_REFUSED = 1_000_000

MOST_REFUSED_AGAIN = 5
"""So many single metrics of a series refused again: the others are left for the operator to have tried.

Each costs some ten requests, and nothing else is sent meanwhile.
"""


class MetricsSink(Protocol):
    """The part of ApiClient that is needed."""

    async def post_metrics(self, body: bytes, key: str, encoding: Literal["gzip"] | None = None) -> Outcome: ...  # noqa: D102

    def reread_token(self) -> None: ...  # noqa: D102  # both as ApiClient's


class RefusedSeries:
    """What the server refuses, for the courier. `verdicts`: holds the exclusions. `moved`: as the courier's."""

    def __init__(
        self,
        buffer: Buffer,
        client: MetricsSink,
        counters: Counters,
        verdicts: Verdicts,
        *,
        now_us: Callable[[], int],
        moved: Callable[[float], None],
    ) -> None:
        self._moved = moved
        self._buffer = buffer
        self._client = client
        self._counters = counters
        self._verdicts = verdicts
        self._now_us = now_us
        self._singles = Repeats()

    async def _remember(self) -> None:
        await self._buffer.put_meta(EXCLUSIONS_KEY, self._verdicts.exclusions.encode())

    async def keep(self, parcel: Parcel, reason: str) -> None:
        """Keep the single metric of the batch with the reason. If its series is refused beside others, batches leave it out."""
        metric = parcel.metric
        await self._buffer.refuse(parcel.batch, metric, reason)
        self._counters.add(Count.BATCHES, "refused")
        self._counters.add(Count.METRICS_REFUSED)
        if parcel.single is not None and self._verdicts.learn(series_of(parcel.single), reason, self._now_us()):
            await self._remember()
        unlogged = self._singles.due(self._now_us())
        if unlogged is not None:
            log.warning(
                "metric refused, kept with the reason",
                metric=metric[:300].decode(errors="replace"),
                reason=reason,
                unlogged=unlogged,
            )

    async def leave_out(self, parcel: Parcel) -> None:
        """Settle a batch of which every metric is left out: there is nothing to send."""
        await self._buffer.acknowledge(parcel.batch, parcel.left_out)
        self._counters.add(Count.METRICS_REFUSED, n=len(parcel.left_out))

    async def want_all(self) -> int:
        """Have the server asked about all series of which refused metrics are kept, from the next turn on; how many they are."""
        kept = await self._buffer.refused(ALL_REFUSED)
        of_api = (metric for metric in kept if not metric.destination)
        series = {name: None for metric in of_api if (name := series_of_json(metric.metric)) is not None}
        self._verdicts.exclusions.want(series)
        return len(series)

    async def ask_about(self, series: str, most_metrics: int, now_s: float) -> None:
        """Send one refused metric of the series; if it is accepted, all of them.

        It is accepted again once the rest has been sent too: after a stop or a failure in between it is asked about again.
        """
        newest = await self._buffer.refused_of(beginning_of(series), 1)
        # None: removed by now, and none has been polled since: the next batch shows whether it is accepted.
        outcome = await self._send(newest) if newest else Accepted()
        if isinstance(outcome, Accepted):
            outcome = await self._send_rest(series, most_metrics)
        is_accepted = self._verdicts.asked(series, outcome, self._now_us(), now_s)
        await self._remember()
        if is_accepted:
            log.info("API accepts what it has refused", series=series)

    async def _send_rest(self, series: str, most: int) -> Outcome:
        """Accepted once all refused metrics of the series were sent, even if some are refused again; else what went wrong.

        At most so many metrics at once; what is refused is sent in halves, and single ones that are stay.
        """
        before: int | None = None
        refused, at_once = 0, most
        while refused < MOST_REFUSED_AGAIN and (rows := await self._buffer.refused_of(beginning_of(series), at_once, before)):
            outcome = await self._send(rows)
            match outcome:
                case Accepted():
                    at_once = min(2 * at_once, most)
                case Rejected() | TooLarge() if len(rows) > 1:
                    at_once = len(rows) // 2
                case Rejected() | TooLarge():
                    before, refused = rows[0][0], refused + 1
                case _:
                    return outcome
        return Accepted()

    async def _send(self, rows: Sequence[tuple[int, RefusedMetric]]) -> Outcome:
        """What came of sending these refused metrics: accepted, they are delivered. The same ones have the same key."""
        self._moved(0.0)  # each may take long, and there may be many
        body = b'{"metrics":[' + b",".join(row.metric for _, row in rows) + b"]}"
        outcome = await self._client.post_metrics(body, f"refused-{sha256(body).hexdigest()[:32]}")
        if isinstance(outcome, Accepted):
            await self._buffer.release([number for number, _ in rows])
            self._counters.add(Count.METRICS_DELIVERED, n=len(rows))
        return outcome
