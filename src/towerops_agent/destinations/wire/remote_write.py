"""Prometheus remote write 1.0: polls as the octets of a WriteRequest.

    message WriteRequest { repeated TimeSeries timeseries = 1; }
    message TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label        { string name = 1; string value = 2; }
    message Sample       { double value = 1; int64 timestamp = 2; }   // milliseconds

The labels of a series are encoded once, when they are learned (`encode_labels`); a sample then is a join of what is constant,
eight octets of value and the time. Protobuf's library took twenty times as long.
Pure. Source: the remote write 1.0 specification (prometheus.io/docs/specs/prw/remote_write_spec), protobuf's encoding.
"""

from collections.abc import Iterable, Mapping
from struct import unpack
from typing import Final

from towerops_agent.destinations.wire.protobuf import eights, field, varint
from towerops_agent.destinations.wire.samples import Part, Samples
from towerops_agent.destinations.wire.series import Item, Labels, in_order
from towerops_agent.model import Layout

STALE: Final[float] = unpack("<d", bytes.fromhex("020000000000f07f"))[0]
"""Prometheus' staleness marker: it stands for the absence of a value, and no query returns it."""

_TIME_OCTETS: Final = 6
"""Of a time in milliseconds from 1971 to 2109, as protobuf writes numbers."""

_SAMPLE_OCTETS: Final = 1 + 8 + 1 + _TIME_OCTETS
_SAMPLE: Final = b"\x12" + bytes([_SAMPLE_OCTETS]) + b"\x09"


def encode_labels(labels: Labels) -> bytes:
    """All of a TimeSeries with one sample up to the sample's value; b"" if there are no labels, and the value has no name."""
    if not labels:
        return b""
    fields = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels)
    return b"\x0a" + varint(len(fields) + len(_SAMPLE) - 1 + _SAMPLE_OCTETS) + fields + _SAMPLE


def heads_of(layout: Layout, found: Mapping[Item, list[Labels]]) -> list[bytes]:
    """What the sample of each value of the layout begins with."""
    return [encode_labels(labels) for labels in in_order(layout, found)]


def write_request(parts: Iterable[Part]) -> bytes:
    """The body, not compressed. A time is cut to milliseconds.

    Samples of series without labels are left out.
    """
    pieces: list[bytes] = []
    for heads, _, samples in parts:
        of_slots = samples.pick(heads)
        if not all(of_slots):
            samples = Samples.of(sample for sample, head in zip(samples, of_slots, strict=True) if head)  # noqa: PLW2901
            of_slots = [head for head in of_slots if head]
        tails = {time_us: b"\x10" + _time(time_us // 1000) for time_us in set(samples.times_us)}
        piece = [b""] * 3 * len(of_slots)
        piece[::3] = of_slots
        piece[1::3] = eights(f"{len(of_slots)}d", samples.values)
        piece[2::3] = [tails[time_us] for time_us in samples.times_us]
        pieces += piece
    return b"".join(pieces)


def is_writable(time_ms: int) -> bool:
    """Whether the time takes the octets that it is given here: it is in 1971 to 2109."""
    return 1 << 7 * (_TIME_OCTETS - 1) <= time_ms < 1 << 7 * _TIME_OCTETS


def _time(time_ms: int) -> bytes:
    if not is_writable(time_ms):
        raise ValueError(f"the time {time_ms} ms is not one from 1971 to 2109")
    return varint(time_ms)


_LITERAL_OCTETS: Final = 1 << 16


def plain_snappy(octets: bytes) -> bytes:
    """`octets` in snappy's format, as literals that are not compressed, for when no library is installed.

    Source: github.com/google/snappy/blob/main/format_description.txt, §1 and §2.1.
    """
    pieces = [varint(len(octets))]
    for start in range(0, len(octets), _LITERAL_OCTETS):
        piece = octets[start : start + _LITERAL_OCTETS]
        more = len(piece) - 1
        if more < 60:
            pieces += (bytes([more << 2]), piece)
        else:
            octets_of_length = 1 if more < 256 else 2
            pieces += (bytes([59 + octets_of_length << 2]), more.to_bytes(octets_of_length, "little"), piece)
    return b"".join(pieces)
