"""The Basic Encoding Rules as SNMP uses them: tags, lengths, integers, object identifiers, and the numbers within an Opaque.

An Oid is the contents of its encoding, without tag and length: parsed once, and compared as octets from then on, so that names
in a reply need no decoding. Order is the exception: encoded octets do not sort like the identifiers; `subidentifiers` do.

Pure. Each value is checked against the end of its container; one that does not fit raises MalformedMessage with its offset.
Source: RFC 3417 §8 (only definite lengths), X.690 §8; RFC 2578 §7.1 (application tags); RFC 3416 §4.1 (limits of an OID); of
numbers in an Opaque net-snmp's asn1.h (ASN_OPAQUE_TAG1, ASN_OPAQUE_TAG2) and draft-perkins-opaque.
"""

import re
import struct
from collections.abc import Iterable
from typing import Final

from towerops_agent.errors import InvalidOid, MalformedMessage

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
IP_ADDRESS: Final = 0x40
COUNTER32: Final = 0x41
GAUGE32: Final = 0x42
TIME_TICKS: Final = 0x43
OPAQUE: Final = 0x44
NSAP_ADDRESS: Final = 0x45  # RFC 1442's, obsolete; old firmware still answers with it
COUNTER64: Final = 0x46
UINTEGER32: Final = 0x47  # RFC 1442's, obsolete; the same octets as Gauge32
NO_SUCH_OBJECT: Final = 0x80
NO_SUCH_INSTANCE: Final = 0x81
END_OF_MIB_VIEW: Final = 0x82
ABSENT: Final = frozenset((NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))

_OPAQUE_TAG: Final = 0x9F
"""The first of the two octets of the tag that an Opaque contains; the second is the kind of number."""

_OPAQUE_FLOATS: Final = {0x78: ("Float", struct.Struct(">f")), 0x79: ("Double", struct.Struct(">d"))}
_OPAQUE_INTEGERS: Final = {0x76: "Counter64", 0x7A: "Int64", 0x7B: "UInt64"}
_MOST_OPAQUE_OCTETS: Final = 9
"""Of an integer: 64 bits, and the zero octet in front that makes an unsigned one positive."""

Oid = bytes

MAX_SUBIDENTIFIERS = 128
MAX_SUBIDENTIFIER = 0xFFFFFFFF

_TEXT = re.compile(r"\.?[0-9]{1,20}(\.[0-9]{1,20})+")  # int() has its own limit and its own exception


def encode_length(length: int) -> bytes:
    """The length octets of contents of `length` octets, in the shortest form."""
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def encode(tag: int, contents: bytes) -> bytes:
    """One tag-length-value."""
    return bytes((tag,)) + encode_length(len(contents)) + contents


def encode_integer(number: int, tag: int = INTEGER) -> bytes:
    """`number` in two's complement, in the fewest octets. Unsigned types get their leading zero octet that way (X.690 §8.3)."""
    magnitude = number if number >= 0 else ~number
    return encode(tag, number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def read_header(data: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """The tag-length-value at `offset`: its tag, and where its contents start and stop.

    Raises MalformedMessage if it does not end by `end`, is of indefinite length, or has a tag of several octets.
    """
    if offset + 2 > end:
        raise MalformedMessage("a value is cut short", offset)
    tag = data[offset]
    if tag & 0x1F == 0x1F:
        raise MalformedMessage(f"tag 0x{tag:02x} of several octets", offset)
    length = data[offset + 1]
    start = offset + 2
    if length >= 0x80:
        length, start = read_long_length(data, offset + 1, end)
    if start + length > end:
        raise MalformedMessage(f"a length of {length} octets, but {end - start} are left", offset + 1)
    return tag, start, start + length


def read_long_length(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """The length whose first octet, at `offset`, has its high bit set: the length, and where the contents start.

    Raises MalformedMessage.
    """
    size = data[offset] & 0x7F
    start = offset + 1 + size
    if not 1 <= size <= 8 or start > end:  # leading zeros occur in the field; 0x80 is the indefinite form
        raise MalformedMessage(f"length octet 0x{data[offset]:02x}", offset)
    return int.from_bytes(data[offset + 1 : start], "big"), start


def read_integer(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """The INTEGER at `offset`, and if it stops. At most 8 octets. Raises MalformedMessage if there is none."""
    tag, start, stop = read_header(data, offset, end)
    if tag != INTEGER or not 1 <= stop - start <= 8:
        raise MalformedMessage(f"tag 0x{tag:02x} of {stop - start} octets, expected an INTEGER", offset)
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def read_contents(data: bytes, offset: int, end: int, expected: int) -> tuple[int, int]:
    """Where the contents of the value at `offset` start and stop. Raises MalformedMessage if its tag is not `expected`."""
    tag, start, stop = read_header(data, offset, end)
    if tag != expected:
        raise MalformedMessage(f"tag 0x{tag:02x}, expected 0x{expected:02x}", offset)
    return start, stop


def opaque_number(octets: bytes) -> tuple[str, int | float] | None:
    """The number that an Opaque value wraps, and its type's name; None if it wraps none.

    `octets`: the Opaque's contents. A float may be infinite or NaN, as it was sent.
    """
    if len(octets) < 4 or octets[0] != _OPAQUE_TAG or octets[2] != len(octets) - 3:
        return None
    kind, contents = octets[1], octets[3:]
    if kind in _OPAQUE_FLOATS:
        name, form = _OPAQUE_FLOATS[kind]
        return (name, form.unpack(contents)[0]) if len(contents) == form.size else None
    if kind in _OPAQUE_INTEGERS and len(contents) <= _MOST_OPAQUE_OCTETS:
        return _OPAQUE_INTEGERS[kind], int.from_bytes(contents, "big", signed=kind == 0x7A)
    return None


def encode_subidentifier(number: int) -> bytes:
    """`number` in base 128, the high bit set on all octets but the last (X.690 §8.19.2)."""
    if number < 0x80:
        return bytes((number,))
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))


def parse_oid(text: str) -> Oid:
    """The OID in `text`, with or without a leading dot: "1.3.6.1.2.1.1.3.0".

    Raises InvalidOid if it is not valid: two sub-identifiers at least, 128 at most, of 32 bits each, and the first two as
    X.660 allows (0 to 2; under 40 below 0 and 1).
    """
    stripped = text.strip()
    if not _TEXT.fullmatch(stripped):
        raise InvalidOid(f"OID {text[:80]!r}: expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0")
    return encode_oid([int(part) for part in stripped.lstrip(".").split(".")])


def encode_oid(numbers: Iterable[int]) -> Oid:
    """The OID of these sub-identifiers. Raises InvalidOid if they are not valid."""
    parts = tuple(numbers)
    if not 2 <= len(parts) <= MAX_SUBIDENTIFIERS:
        raise InvalidOid(f"an OID of {len(parts)} sub-identifiers: expected 2 to {MAX_SUBIDENTIFIERS}")
    first, second, *rest = parts
    if not 0 <= first <= 2 or (first < 2 and second > 39):
        raise InvalidOid(f"an OID that begins with {first}.{second}: expected 0.0 to 0.39, 1.0 to 1.39 or 2.x")
    if min(parts) < 0 or max(parts) > MAX_SUBIDENTIFIER:
        raise InvalidOid(f"sub-identifiers from {min(parts)} to {max(parts)} in an OID: expected 0 to {MAX_SUBIDENTIFIER}")
    return encode_subidentifier(first * 40 + second) + b"".join(map(encode_subidentifier, rest))


def subidentifiers(oid: Oid) -> tuple[int, ...]:
    """The numbers of `oid`; these tuples sort as OIDs do.

    Raises InvalidOid if the octets are empty, or cut within a sub-identifier. Numbers past 32 bits are kept: old
    firmware sends them, and they can be ordered.
    """
    if not oid or oid[-1] & 0x80:
        raise InvalidOid(f"octets {oid[:32].hex(' ')!r} are not an OID")
    numbers = []
    number = 0
    for octet in oid:
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            numbers.append(number)
            number = 0
    head = numbers[0]
    first = min(head // 40, 2)
    return (first, head - 40 * first, *numbers[1:])


def format_oid(oid: Oid) -> str:
    """`oid` as text, without a leading dot."""
    return ".".join(map(str, subidentifiers(oid)))


def is_within(oid: Oid, subtree: Oid) -> bool:
    """Whether `oid` is below `subtree` (or is it): a prefix of octets that end a sub-identifier is a prefix of numbers."""
    return oid.startswith(subtree)


def child(parent: Oid, *numbers: int) -> Oid:
    """`parent` followed by these sub-identifiers."""
    return parent + b"".join(map(encode_subidentifier, numbers))
