"""Polls and layouts as octets, with checksums, as SQLite keeps none: a flipped bit would be read back as a reading.

Poll -> (times, values) as msgpack, some 4 octets a value; what else a poll has is columns of its row. Layout -> msgpack.
A poll's octets end with a checksum of them and of those columns; other rows have theirs in a column. What is decoded is
validated all the same: polls stored before version 3 of the database have no checksum.

Polls of one layout -> a pack: their bodies side by side, zstd over them. Neighbouring polls differ little, and most of what they
share are whole runs of octets: counters of errors, the high octets of traffic, the ids of runs. Level 1 finds that at 0.01 µs a
value; differences, by row or column, save a tenth more space for two to eight times the CPU, and reading one poll would then cost
all those before it (docs/decisions/0009-packing.md has the figures).
Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from struct import Struct
from typing import Annotated, Literal
from zlib import crc32

import msgspec

from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, LayoutKind, Number, Poll
from towerops_agent.zstd import Frames

Column = int | float | str | bytes | None

PollRow = tuple[int, int, int, bytes]
"""A poll to store: layout id, started_at_us, metric_count, body."""

PollHead = tuple[int, int, int, int]
"""What a row of `polls` has: id, layout_id, started_at_us, metric_count."""

HEAD = "id, layout_id, started_at_us, metric_count"

_INT64 = 1 << 63

_PAIR = b"\x92"
_CHECKED_PAIR = 0xC1
"""In place of msgpack's mark of an array of two, as msgpack never uses it: a checksum of 4 octets follows the pair."""

DIGEST_OCTETS = 16

LEVEL = 1
PLAIN_OCTETS_MAX = 1 << 28
"""More than any pack has: what a damaged header may make us allocate."""

_CHECKSUM = Struct("<I")
_CHECKSUM_OCTETS = _CHECKSUM.size

_MOST_US = 1 << 57
"""The year 6536."""
_MOST_METRICS = 1 << 18
"""More than any poll makes."""

TAIL_HEAD_OCTETS = 20

_COLUMNS = Struct("<QQQ")  # layout, started_at_us, metric_count

_TAIL_HEAD = Struct("<QIII")  # the first poll's id, how many polls, how many metrics they make, a checksum of these
_TAIL_POLL = Struct("<QQII")  # layout, started_at_us, metric_count, octets of the body that follows

_Times = tuple[tuple[Annotated[int, msgspec.Meta(ge=1)], int], ...]
_poll_decoder = msgspec.msgpack.Decoder(tuple[_Times, tuple[int | float | None, ...]])
_layout_decoder = msgspec.msgpack.Decoder(
    tuple[str, tuple[tuple[str, float], ...], tuple[str, ...]] | str | dict[Literal["pings"], str]
)
_pack_decoder = msgspec.msgpack.Decoder(tuple[tuple[int, ...], tuple[bytes, ...]])
_encoder = msgspec.msgpack.Encoder()


def encode_poll(poll: Poll) -> PollRow:
    """The poll as a row. Raises ValueError or OverflowError on what a Poll must not hold: a NaN, an integer beyond 64 bits."""
    if not _all_finite(poll.values):
        raise ValueError("a poll holds a value that is not a finite number: expected None if nothing was read")
    if not (0 <= poll.started_at_us < _INT64 and 0 <= poll.layout < _INT64 and 0 <= poll.metric_count < _INT64):
        raise ValueError("a poll's layout, started_at_us or metric_count is not within 0..2^63-1")
    columns = poll.layout, poll.started_at_us, poll.metric_count
    body = bytearray()  # changed in place: each copy costs as much as the checksum
    _encoder.encode_into((poll.times, poll.values), body)
    checksum = _checksum(columns, body)
    body[0] = _CHECKED_PAIR
    body += checksum
    return *columns, bytes(body)


def decode_poll(row: PollRow, layout: Layout) -> Poll:
    """The poll of a row. Raises BufferFailure if the octets are damaged or don't fit `layout`."""
    layout_id, started_at_us, metric_count, body = row
    pair: bytes | bytearray = body
    is_checked = len(body) > _CHECKSUM_OCTETS and body[0] == _CHECKED_PAIR
    if is_checked:
        pair = bytearray(memoryview(body)[:-_CHECKSUM_OCTETS])
        pair[:1] = _PAIR
        if body[-_CHECKSUM_OCTETS:] != _checksum(row[:3], pair):
            raise BufferFailure("a stored poll does not match its checksum")
    try:
        times, values = _poll_decoder.decode(pair)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BufferFailure(f"a stored poll can't be decoded: {error}") from error
    if len(values) != layout.value_count or sum(count for count, _ in times) != layout.item_count:
        raise BufferFailure(
            f"a stored poll has {len(values)} values: expected {layout.value_count}, and times for {layout.item_count} items"
        )
    if not is_checked and not _all_finite(values):  # else encode_poll has looked
        raise BufferFailure("a stored poll holds a value that is not a finite number")
    return Poll(layout_id, started_at_us, values, times, metric_count)


@dataclass(frozen=True, slots=True)
class Tail:
    """The polls of the database's tail. `first`: the id of the first one. `rows`: None in place of one that is damaged.

    `metrics`: how many all of them make, the damaged ones too.
    """

    first: int
    rows: tuple[PollRow | None, ...]
    metrics: int


def encode_tail(rows: Iterable[PollRow]) -> bytes:
    """The polls as octets that can be put behind those of others: each body has a checksum of its own."""
    return b"".join(_TAIL_POLL.pack(*row[:3], len(row[3])) + row[3] for row in rows)


def encode_tail_head(first: int, polls: int, metrics: int) -> bytes:
    """TAIL_HEAD_OCTETS octets, which go before the polls."""
    head = _TAIL_HEAD.pack(first, polls, metrics, 0)
    return head[:-_CHECKSUM_OCTETS] + _CHECKSUM.pack(crc32(head))


def decode_tail(octets: bytes) -> Tail:
    """The tail of these octets. Raises BufferFailure if its head is damaged."""
    head = octets[:TAIL_HEAD_OCTETS]
    if len(head) < TAIL_HEAD_OCTETS or head != encode_tail_head(*(fields := _TAIL_HEAD.unpack(head)[:3])):
        raise BufferFailure("the head of the database's tail does not match its checksum")
    first, count, metrics = fields
    rows: list[PollRow | None] = []
    at = TAIL_HEAD_OCTETS
    while len(rows) < count and at + _TAIL_POLL.size <= len(octets):
        *columns, size = _TAIL_POLL.unpack_from(octets, at)
        body = octets[at + _TAIL_POLL.size : at + _TAIL_POLL.size + size]
        if is_head((first + len(rows), *columns)) and len(body) == size and _is_body_intact(columns, body):
            rows.append((*columns, body))
        elif size > len(octets):
            break  # nobody knows where the next one begins
        else:
            rows.append(None)
        at += _TAIL_POLL.size + size
    return Tail(first, (*rows, *(None,) * (count - len(rows))), metrics)


def is_head(columns: Sequence[object]) -> bool:
    """Whether these are what the row of a poll can have: id, layout id, started_at_us, metric_count."""
    poll, layout, started_at_us, metric_count = columns  # one by one: a loop takes a microsecond, twice a poll
    return (
        type(poll) is int
        and type(layout) is int
        and type(started_at_us) is int
        and type(metric_count) is int
        and 1 <= poll < _INT64 - 1
        and 1 <= layout < _INT64
        and 0 <= started_at_us < _MOST_US
        and 1 <= metric_count < _MOST_METRICS
    )


def encode_layout(layout: Layout) -> bytes:
    """The layout as octets; equal layouts give equal octets."""
    if layout.kind is LayoutKind.STATE:
        return _encoder.encode(layout.equipment_id)
    if layout.kind is LayoutKind.PINGS:
        return _encoder.encode({"pings": layout.equipment_id})
    sensors = [(sensor_id, float(divisor)) for sensor_id, divisor in layout.sensors]
    return _encoder.encode((layout.equipment_id, sensors, layout.interfaces))


def decode_layout(body: bytes) -> Layout:
    """The layout of the octets. Raises BufferFailure if they are damaged."""
    try:
        decoded = _layout_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BufferFailure(f"a stored layout can't be decoded: {error}") from error
    if isinstance(decoded, str):  # only the equipment's id: a layout of its state
        return Layout(decoded, kind=LayoutKind.STATE)
    if isinstance(decoded, dict):
        if len(decoded) != 1:
            raise BufferFailure("a stored layout is of nothing: expected one of pings")
        return Layout(decoded["pings"], kind=LayoutKind.PINGS)
    equipment_id, sensors, interfaces = decoded
    if not all(divisor and isfinite(divisor) for _, divisor in sensors):
        raise BufferFailure("a stored layout has a divisor that is 0 or no finite number")
    return Layout(equipment_id, sensors, interfaces)


def digest(layout_body: bytes) -> bytes:
    """The key of a layout: DIGEST_OCTETS octets."""
    return blake2b(layout_body, digest_size=DIGEST_OCTETS).digest()


def checksum(*columns: Column | bytearray) -> int:
    """The checksum of a row, -2^31..2^31-1, which takes 4 octets in SQLite: one damaged row in four billion passes.

    It is over the values that the row was written with, as msgpack, so a value that came back as another type does not match.
    """
    return crc32(_encoder.encode(columns)) - (1 << 31)


def is_intact(*row: Column) -> bool:
    """Whether the row's last column is the checksum of those before it."""
    try:
        return row[-1] == checksum(*row[:-1])
    except (UnicodeEncodeError, OverflowError):
        return False


class Packing:
    """Packs and unpacks. For one thread: zstd's contexts are kept and used again."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = Frames(LEVEL)

    def pack(self, polls: Sequence[tuple[int, bytes]]) -> bytes:
        """The pack of these polls: (id, body)."""
        return self._frames.pack(_encoder.encode(([poll for poll, _ in polls], [body for _, body in polls])))

    def unpack(self, pack: bytes) -> Mapping[int, bytes]:
        """The bodies in the pack, by the id of their poll. Raises BufferFailure if its octets are damaged."""
        try:
            ids, bodies = _pack_decoder.decode(self._frames.unpack(pack, PLAIN_OCTETS_MAX))
            return dict(zip(ids, bodies, strict=True))
        except (msgspec.MsgspecError, ValueError, MemoryError) as error:
            raise BufferFailure(f"a pack of polls can't be decoded: {error}") from error


def _checksum(columns: tuple[int, int, int], pair: bytes | bytearray) -> bytes:
    return _CHECKSUM.pack(crc32(pair, crc32(_COLUMNS.pack(*columns))))


def _is_body_intact(columns: Sequence[int], body: bytes) -> bool:
    if len(body) <= _CHECKSUM_OCTETS or body[0] != _CHECKED_PAIR:
        return False
    layout, started_at_us, metric_count = columns
    return body[-_CHECKSUM_OCTETS:] == _checksum((layout, started_at_us, metric_count), _PAIR + body[1:-_CHECKSUM_OCTETS])


def _sum(values: tuple[Number | None, ...]) -> Number:
    try:
        return sum(values)  # type: ignore[arg-type]
    except TypeError:  # some are missing
        return sum(filter(None, values))


def _all_finite(values: tuple[Number | None, ...]) -> bool:
    # One sum in C, 2 µs for 308 values, a fifth of a look at each: a NaN or an infinity stays in it. Finite values may
    # overflow it too, or be integers too large for a float; then each is looked at.
    try:
        if isfinite(_sum(values)):
            return True
    except OverflowError:
        pass
    return all(value is None or type(value) is int or isfinite(value) for value in values)
