"""Object identifiers as their encoded octets: parsed once, compared as octets from then on.

An Oid is the contents of the BER encoding (X.690 §8.19), without tag and length, so that a reply's names are compared with the
request's without decoding either. Order is the exception: encoded octets do not sort like the identifiers; `subidentifiers` do.
Pure. Source: X.690 §8.19; RFC 3416 §4.1 (at most 128 sub-identifiers of 32 bits).
"""

import re
from collections.abc import Iterable

from towerops_agent.errors import InvalidOid

Oid = bytes

MAX_SUBIDENTIFIERS = 128
MAX_SUBIDENTIFIER = 0xFFFFFFFF

_TEXT = re.compile(r"\.?[0-9]{1,20}(\.[0-9]{1,20})+")  # int() has its own limit and its own exception


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
