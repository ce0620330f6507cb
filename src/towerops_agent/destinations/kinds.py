"""The kinds of destinations: for each, how values are packed for it, as whom it is asked, and what its answers mean.

    stored polls -> heads, samples -> ReceiverKind.pack -> body -> client.py -> ReceiverKind.outcome_of

The octets are made in wire/. What a kind can handle differs (see docs/destinations.md): `by_time`, whether it wants values in the
order of time unless the operator says otherwise.
Pure but for compressing.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.api.wire.outcomes import is_page
from towerops_agent.destinations.wire import influxdb, otlp, remote_write
from towerops_agent.destinations.wire.answers import PartlyTaken, WriteOutcome, outcome_of
from towerops_agent.destinations.wire.remote_write import plain_snappy
from towerops_agent.destinations.wire.samples import Part
from towerops_agent.destinations.wire.series import Item, Labels
from towerops_agent.model import Layout
from towerops_agent.site.document.destination import INFLUXDB, OTLP, REMOTE_WRITE

try:
    from cramjam import snappy as _snappy
except ImportError:
    _snappy = None  # type: ignore[assignment]  # the extra is not installed

Heads = Callable[[Layout, Mapping[Item, list[Labels]]], list[bytes]]

_GZIP_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Packed:
    """A body, ready to be sent. `beyond`: how many values are left out, as the kind has no number for them."""

    body: bytes
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class ReceiverKind:
    """One kind. `heads_of`: encodes what is constant of a layout's series; `encode`: all else. `lacking`: what a 404 means.

    `key_of`: the octets that only samples of one series have, from its heads and its place.
    """

    name: str
    title: str
    heads_of: Heads
    encode: Callable[[Iterable[Part]], tuple[bytes, int]]
    compress: Callable[[bytes], bytes]
    headers: Mapping[str, str]
    lacking: str
    key_of: Callable[[Sequence[bytes], int], bytes] = field(default=lambda heads, slot: heads[slot])
    refuses_nothing: bool = False
    """Whether a request without values is as a rule answered with 400, as it has nothing to read."""
    keeps_order: bool = False
    """Whether receivers look at values in the order in which a request has them."""
    says_partly: Callable[[bytes], tuple[int, str]] = field(default=lambda answer: (0, ""))  # noqa: ARG005

    def pack(self, parts: Iterable[Part]) -> Packed:
        """The body of a request with these samples; samples whose labels are not known are left out."""
        body, beyond = self.encode(parts)
        return Packed(self.compress(body), beyond)

    def outcome_of(self, status: int, answer: bytes, said: str, location: str, retry_after_s: float | None) -> WriteOutcome:
        """What an answer means; `said`: its octets as a text, in one line."""
        if 200 <= status < 300:
            refused, reason = self.says_partly(answer)
            if refused:
                return PartlyTaken(status, reason, refused)
        return outcome_of(status, said, location, retry_after_s, self.lacking, from_page=is_page(answer))


def snappy(body: bytes) -> bytes:
    """`body` in snappy's format; a tenth of its size if cramjam is installed (the extra `remote-write`)."""
    return plain_snappy(body) if _snappy is None else bytes(_snappy.compress_raw(body))


def gzipped(body: bytes) -> bytes:
    """`body` compressed with gzip, the same octets each time."""
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


KINDS: Final = {
    kind.name: kind
    for kind in (
        ReceiverKind(
            REMOTE_WRITE,
            "remote write",
            remote_write.heads_of,
            lambda parts: (remote_write.write_request(parts), 0),
            snappy,
            {
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
            "no remote write at this URL ({status}): is the URL right, and does it accept remote write? "
            "Prometheus: --web.enable-remote-write-receiver",
            keeps_order=True,
        ),
        ReceiverKind(
            INFLUXDB,
            "InfluxDB",
            influxdb.heads_of,
            influxdb.write_lines,
            gzipped,
            {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"},
            "nothing to write to ({status}): are the URL, and the database or bucket, right?",
            refuses_nothing=True,
        ),
        ReceiverKind(
            OTLP,
            "OTLP",
            otlp.heads_of,
            lambda parts: (otlp.export_request(parts), 0),
            gzipped,
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
            "no OTLP over HTTP at this URL ({status}): expected https://host:4318/v1/metrics",
            key_of=otlp.key_of,
            says_partly=otlp.partial_success,
        ),
    )
}
