"""Numbers of 64 bits that are sent as the eight octets of an OCTET STRING, for there was no Counter64 in SNMPv1.

Eight octets may be anything: a counter, a bridge's ID, a date, a text. Only a MIB, or the sensor's siblings, can decide.
Pure. Source: FCMGMT-MIB (Fibre Channel switches): all statistics of a port are OCTET STRING (SIZE (8)), most significant first.
"""

from collections.abc import Iterable
from typing import Final

from towerops_agent.snmp.wire.oid import Oid, is_within, parse_oid

_OCTETS: Final = 8
_TABLES: Final = (parse_oid("1.3.6.1.3.94.4.5.1"),)  # connUnitPortStatEntry
_OF_TEXTS: Final = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x100)) - {0x7F}


def octet_number(name: Oid, octets: bytes) -> int | None:
    """The number in the string under this OID, if its MIB says that it is one; else None."""
    if len(octets) == _OCTETS and any(is_within(name, table) for table in _TABLES):
        return int.from_bytes(octets, "big")
    return None


def doubtful(strings: Iterable[tuple[int, Oid, bytes]]) -> list[int]:
    """The places of those strings of eight octets that may not be texts, though each looks like one: a sibling is not a text.

    `strings`: each with its place and its OID. Siblings differ in the last sub-identifier only.
    """
    eights = [(place, _parent(name), octets) for place, name, octets in strings if len(octets) == _OCTETS]
    binary = {parent for _, parent, octets in eights if not _OF_TEXTS.issuperset(octets.rstrip(b"\0"))}
    return [place for place, parent, _ in eights if parent in binary]


def _parent(name: Oid) -> Oid:
    end = len(name) - 1
    while end > 0 and name[end - 1] & 0x80:
        end -= 1
    return name[:end]
