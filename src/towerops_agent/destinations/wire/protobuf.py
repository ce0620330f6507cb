"""Protobuf's encoding, as much of it as destinations need: fields written, a message's fields read.

Pure. Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_FIXED: Final = {FIXED64: 8, FIXED32: 4}


def varint(number: int) -> bytes:
    """`number`, not negative, seven bits an octet, the lowest first."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def eights(kinds: str, numbers: Sequence[float]) -> tuple[bytes, ...]:
    """Each of the numbers as eight octets. `kinds`: `20d48q` for 20 of the type double, and then 48 of sfixed64.

    All in two calls: one for each takes three times as long.
    """
    every, each = _structs(kinds, len(numbers))
    octets: tuple[bytes, ...] = each.unpack(every.pack(*numbers))
    return octets


@lru_cache(8)
def _structs(kinds: str, count: int) -> tuple[Struct, Struct]:
    return Struct(f"<{kinds}"), Struct("8s" * count)


def field(number: int, octets: bytes) -> bytes:
    """A field of octets, a text or a message; its number is at most 15."""
    return bytes([number << 3 | LENGTH]) + varint(len(octets)) + octets


def fields_of(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields in order, by number: a varint as a number, all else as octets. Raises ValueError if it is not a message."""
    at = 0
    while at < len(message):
        key, at = _varint_at(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint_at(message, at)
            yield number, value
            continue
        if wire == LENGTH:
            size, at = _varint_at(message, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire} is not known")
        if at + size > len(message):
            raise ValueError("the message ends within a field")
        yield number, message[at : at + size]
        at += size


def _varint_at(octets: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(octets) or shift > 63:
            raise ValueError("the message ends within a number")
        octet = octets[at]
        at += 1
        number |= (octet & 0x7F) << shift
        if octet < 0x80:
            return number, at
        shift += 7
