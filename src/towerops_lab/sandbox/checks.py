"""Checks a body against the contract. Stricter than the contract's types: errors that a careless server would accept are refused.

Pure. Timestamps are RFC 3339, UTC, microseconds; counters have at most 64 bits.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from towerops_agent.api.wire.contract import Accepts, Heartbeat, Metric, Metrics, SensorReading
from towerops_agent.delivery.course.parcel import timestamp
from towerops_agent.text import counted
from towerops_agent.zstd import DamagedFrame, Frames
from towerops_lab.sandbox.kinds import kind_of, subject_of

MAX_INFLATION = 25
"""A compressed body may inflate to this many times the limit of a body (JSON of metrics shrinks 10 to 20 times)."""

FAR_AHEAD_US = 86_400_000_000
"""A reading that is later than the server's clock by more than this is refused: it would stay the newest one for long."""

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

Body = TypeVar("Body")


class Refused(Exception):
    """The request is refused with this status, for this reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def decompress(body: bytes, encoding: str, accepts: Accepts) -> bytes:
    """The body without its content encoding ("" for none). Raises Refused: 415, 413 or 400."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "zstd") or encoding not in accepts.content_encodings:
        raise Refused(415, f"Content-Encoding is {encoding!r}: expected one that the configuration's accepts lists")
    limit = MAX_INFLATION * accepts.max_body_bytes
    return _gunzipped(body, limit) if encoding == "gzip" else _unpacked(body, limit)


def _gunzipped(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, f"the body is not gzip: {error}") from None
    if len(inflated) > limit:
        raise Refused(413, f"the body inflates to more than {limit} octets")
    if not inflater.eof or inflater.unused_data:
        raise Refused(400, "the body is not gzip: expected one whole stream and nothing after it")
    return inflated


def _unpacked(body: bytes, limit: int) -> bytes:
    try:
        return Frames(1).unpack(body, limit)
    except DamagedFrame as error:
        raise Refused(400, f"the body is not zstd: {error}; expected one whole frame that states its size") from None


def decode_metrics(body: bytes, accepts: Accepts, now_us: int) -> Sequence[Metric]:
    """The metrics of a batch that arrives at `now_us`, since 1970.

    Raises Refused: 400 if it is not JSON, 422 for a bad metric, 413 for too many.
    """
    metrics = _decode(body, Metrics).metrics
    if len(metrics) > accepts.max_metrics:
        raise Refused(413, f"{counted(len(metrics), 'metric')}: expected at most {accepts.max_metrics}")
    latest = timestamp(now_us + FAR_AHEAD_US)
    for i, metric in enumerate(metrics):
        if isinstance(metric, SensorReading) and isinstance(metric.value, int) and not -(1 << 63) <= metric.value < 1 << 64:
            metrics[i] = _rounded(metric, i)
        for problem in _problems(metric, accepts, latest):
            raise Refused(422, f"metrics[{i}]: {problem}")
    return metrics


def _rounded(reading: SensorReading, i: int) -> SensorReading:
    """A reading that is an integer beyond 64 bits, as a float. Raises Refused if it is beyond that too."""
    try:
        return msgspec.structs.replace(reading, value=float(reading.value))
    except OverflowError:
        raise Refused(422, f"metrics[{i}]: value has {len(str(reading.value))} digits: expected a finite number") from None


def decode_heartbeat(body: bytes) -> Heartbeat:
    """The heartbeat. Raises Refused: 400 if it is not JSON, 422 if it is bad."""
    heartbeat = _decode(body, Heartbeat)
    if not 0 <= heartbeat.uptime_seconds < 1 << 63:
        raise Refused(422, f"uptime_seconds is {heartbeat.uptime_seconds}: expected 0 to {(1 << 63) - 1}")
    return heartbeat


def _decode(body: bytes, kind: type[Body]) -> Body:
    try:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError as error:
            return _decode_again(body, kind, error)
    except ValueError as error:  # msgspec.DecodeError, UnicodeDecodeError
        raise Refused(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Refused(400, "the body can't be read as JSON: it is nested too deep") from None


def _decode_again(body: bytes, kind: type[Body], refusal: msgspec.ValidationError) -> Body:
    """For JSON, 7.0 is an integer as well; the first decoding, which is quicker, does not know that."""
    try:
        return msgspec.convert(_with_integers(msgspec.json.decode(body)), kind)
    except msgspec.ValidationError:
        raise Refused(422, str(refusal)) from None


def _with_integers(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    match value:
        case float() if value.is_integer() and abs(value) < 1 << 64:
            return int(value)
        case list():
            return [_with_integers(each) for each in value]
        case dict():
            return {name: _with_integers(each) for name, each in value.items()}
    return value


def _problems(metric: Metric, accepts: Accepts, latest: str) -> Iterator[str]:
    kind = kind_of(metric)
    if kind.name not in accepts.metric_types:
        yield f"type is '{kind.name}': expected one of {', '.join(accepts.metric_types)}"
    if not subject_of(metric):
        yield "the id is empty"
    yield from kind.problems(metric)
    if not _is_timestamp(metric.timestamp):
        yield f"timestamp is {metric.timestamp!r}: expected UTC with microseconds, as 2026-01-09T19:22:15.123456Z"
    elif metric.timestamp > latest:
        yield f"timestamp is {metric.timestamp!r}, more than a day ahead: expected at most {latest!r}; look at the agent's clock"


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
