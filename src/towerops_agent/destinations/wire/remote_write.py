"""Prometheus remote write 1.0: polls as the octets of a WriteRequest.

    message WriteRequest { repeated TimeSeries timeseries = 1; }
    message TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label        { string name = 1; string value = 2; }
    message Sample       { double value = 1; int64 timestamp = 2; }   // milliseconds

The labels of a series are encoded once, when they are learned (`encode_labels`); a sample then is a join of what is constant,
eight octets of value and the time. Protobuf's library took twenty times as long.
Pure. Source: the remote write 1.0 specification (prometheus.io/docs/specs/prw/remote_write_spec), protobuf's encoding.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final

from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.destinations.wire.series import Labels
from towerops_agent.model import INTERFACE_COLUMNS, STATES, Layout, Number, Poll

_DOUBLE: Final = Struct("<d").pack

_TIME_OCTETS: Final = 6
"""Of a time in milliseconds from 1971 to 2109, as protobuf writes numbers."""

_SAMPLE_OCTETS: Final = 1 + 8 + 1 + _TIME_OCTETS
_SAMPLE: Final = b"\x12" + bytes([_SAMPLE_OCTETS]) + b"\x09"

Sample = tuple[int, float, int]
"""Which value of the layout, its number, and its time in milliseconds."""


def encode_labels(labels: Labels) -> bytes:
    """All of a TimeSeries with one sample up to the sample's value; b"" if there are no labels, and the value has no name."""
    if not labels:
        return b""
    fields = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels)
    return b"\x0a" + _varint(len(fields) + len(_SAMPLE) - 1 + _SAMPLE_OCTETS) + fields + _SAMPLE


def samples_of(layout: Layout, poll: Poll, first: int = 0, stop: int | None = None) -> Iterator[Sample]:
    """The samples of the metrics [first, stop) of the poll: which metrics there are, delivery/course/parcel.py says.

    A quotient that is not a finite number, and a counter that the device did not give, make no sample.
    """
    times = poll.item_times_us()
    place = 0

    def is_wanted() -> bool:
        return place >= first and (stop is None or place < stop)

    if layout.is_state:
        time_ms = next(times) // 1000
        state, _, response_us = poll.values
        if is_wanted():
            yield 0, float(isinstance(state, int) and STATES[state] != "down"), time_ms
            if response_us is not None:
                yield 1, response_us / 1e6, time_ms
        return
    values = poll.values
    slot = 0
    for _, divisor in layout.sensors:
        time_us = next(times)
        raw = values[slot]
        if raw is not None:
            value = quotient(raw, divisor) if is_wanted() else None
            if value is not None:
                yield slot, float(value), time_us // 1000
            place += 1
        slot += 1
    for _ in layout.interfaces:
        time_us = next(times)
        counters: Sequence[Number | None] = values[slot : slot + len(INTERFACE_COLUMNS)]
        if counters[0] is not None or counters[1] is not None:
            if is_wanted():
                for column, counter in enumerate(counters):
                    if counter is not None:
                        yield slot + column, float(counter), time_us // 1000
            place += 1
        slot += len(INTERFACE_COLUMNS)


def write_request(parts: Iterable[tuple[Sequence[bytes], Iterable[Sample]]]) -> bytes:
    """The body, not compressed: for each part the octets of its series (encode_labels), and the samples.

    Samples of series without labels are left out.
    """
    pieces: list[bytes] = []
    tails: dict[int, bytes] = {}
    for series, samples in parts:
        for slot, value, time_ms in samples:
            head = series[slot]
            if head:
                tail = tails.get(time_ms)
                if tail is None:
                    tail = tails[time_ms] = b"\x10" + _time(time_ms)
                pieces += (head, _DOUBLE(value), tail)
    return b"".join(pieces)


def latest_of(parts: Sequence[tuple[Sequence[bytes], Sequence[Sample]]]) -> list[tuple[Sequence[bytes], list[Sample]]]:
    """The last sample of each series of the parts."""
    seen: set[bytes] = set()
    latest: list[tuple[Sequence[bytes], list[Sample]]] = []
    for heads, samples in reversed(parts):
        kept = [sample for sample in samples if heads[sample[0]] not in seen]
        seen.update(heads[sample[0]] for sample in kept)
        latest.append((heads, kept))
    return latest[::-1]


def is_writable(time_ms: int) -> bool:
    """Whether the time takes the octets that it is given here: it is in 1971 to 2109."""
    return 1 << 7 * (_TIME_OCTETS - 1) <= time_ms < 1 << 7 * _TIME_OCTETS


def _time(time_ms: int) -> bytes:
    if not is_writable(time_ms):
        raise ValueError(f"the time {time_ms} ms is not one from 1971 to 2109")
    return _varint(time_ms)


def _field(number: int, octets: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(octets)) + octets


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_LITERAL_OCTETS: Final = 1 << 16


def plain_snappy(octets: bytes) -> bytes:
    """`octets` in snappy's format, as literals that are not compressed, for when no library is installed.

    Source: github.com/google/snappy/blob/main/format_description.txt, §1 and §2.1.
    """
    pieces = [_varint(len(octets))]
    for start in range(0, len(octets), _LITERAL_OCTETS):
        piece = octets[start : start + _LITERAL_OCTETS]
        more = len(piece) - 1
        if more < 60:
            pieces += (bytes([more << 2]), piece)
        else:
            octets_of_length = 1 if more < 256 else 2
            pieces += (bytes([59 + octets_of_length << 2]), more.to_bytes(octets_of_length, "little"), piece)
    return b"".join(pieces)
