"""A batch ready to be sent: its metrics as JSON, compressed if the server accepts that.

courier.py packs in a thread, as a large batch takes some 10 ms. The same batch makes the same body each time, so it need not
be kept from one attempt to the next.
Pure. Octets.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from towerops_agent.api.wire.contract import Metric
from towerops_agent.buffer.format.batch import Batch, LeftOut, StoredPoll
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.delivery.course.exclusions import series_of
from towerops_agent.delivery.course.metrics import encode, metrics_in, metrics_of

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

GZIP_LEVEL = 1
"""1.1 µs a metric and a body of 22 %; level 6 takes 2.5 µs for 20 %."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch and its body, without the metrics that are left out of it.

    `plain_octets`: the body's before its encoding. `metrics`: how many it has. `oldest_us`: when the oldest poll of it began.
    """

    batch: Batch
    body: bytes
    encoding: Literal["gzip"] | None
    plain_octets: int
    metrics: int
    oldest_us: int
    left_out: tuple[LeftOut, ...] = ()
    single: Metric | None = None

    @property
    def label(self) -> str:
        """The batch's name in the log: its first and last poll."""
        return f"{self.batch.start.poll}-{self.batch.last_poll}"

    @property
    def metric(self) -> bytes:
        """The one metric of a batch of one, as JSON."""
        plain = gzip.decompress(self.body) if self.encoding else self.body
        return plain.removeprefix(b'{"metrics":[').removesuffix(b"]}")


def pack(batch: Batch, polls: Sequence[StoredPoll], accepts: Accepts, excluded: Mapping[str, str] = NOTHING) -> Parcel:
    """The batch to send, with these of its polls, at least one; others were damaged.

    `excluded`: the series to leave out, with the server's reasons.
    """
    batch = replace(batch, metric_count=sum(stored.stop_metric - stored.first_metric for stored in polls))
    metrics = metrics_in((stored.layout, stored.poll, stored.first_metric, stored.stop_metric) for stored in polls)
    left_out: tuple[LeftOut, ...] = ()
    if excluded and any(series_of(metric) in excluded for metric in metrics):
        metrics = [metric for metric in metrics if series_of(metric) not in excluded]
        left_out = tuple(one for stored in polls for one in _left_out(stored, excluded))
    plain = encode(metrics)
    zipped = "gzip" in accepts.content_encodings
    body = gzip.compress(plain, GZIP_LEVEL, mtime=0) if zipped else plain
    oldest_us = min(stored.poll.started_at_us for stored in polls)
    single = metrics[0] if len(metrics) == 1 else None
    return Parcel(batch, body, "gzip" if zipped else None, len(plain), len(metrics), oldest_us, left_out, single)


def _left_out(stored: StoredPoll, excluded: Mapping[str, str]) -> Iterator[LeftOut]:
    for index in range(stored.first_metric, stored.stop_metric):
        for metric in metrics_of(stored.layout, stored.poll, index, index + 1):
            reason = excluded.get(series_of(metric))
            if reason is not None:
                yield LeftOut(stored.id, index, stored.layout.equipment_id, msgspec.json.encode(metric), reason)
