"""Who is on which port, as the device itself has heard: LLDP, CDP, and MikroTik's MNDP.

Pure. Sources: IEEE 802.1AB-2005 (LLDP-MIB: lldpRemTable, lldpLocPortTable), CISCO-CDP-MIB (cdpCacheTable), MIKROTIK-MIB
(mtxrNeighborTable).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from towerops_agent.discovery.course.asking import Index, Questions
from towerops_agent.discovery.course.findings import Neighbour
from towerops_agent.discovery.course.sensors import text_of
from towerops_agent.polling.course.evidence import shown
from towerops_agent.snmp.wire.ber import Oid, child, parse_oid

LLDP: Final = parse_oid("1.0.8802.1.1.2.1.4.1.1")
CDP: Final = parse_oid("1.3.6.1.4.1.9.9.23.1.2.1.1")
MNDP: Final = parse_oid("1.3.6.1.4.1.14988.1.1.11.1.1")

_LLDP_CHASSIS, _LLDP_PORT, _LLDP_PORT_DESCR, _LLDP_NAME, _LLDP_DESCR = (child(LLDP, part) for part in (5, 7, 8, 9, 10))
_LLDP_OURS: Final = (parse_oid("1.0.8802.1.1.2.1.3.7.1.4"), parse_oid("1.0.8802.1.1.2.1.3.7.1.3"))
_CDP_DEVICE, _CDP_PORT, _CDP_PLATFORM = (child(CDP, part) for part in (6, 7, 8))
_MNDP_MAC, _MNDP_PLATFORM, _MNDP_IDENTITY, _MNDP_PORT = (child(MNDP, part) for part in (3, 5, 6, 8))

TABLES: Final = (LLDP, CDP, MNDP)
_COLUMNS: Final = {
    LLDP: (_LLDP_CHASSIS, _LLDP_PORT, _LLDP_PORT_DESCR, _LLDP_NAME, _LLDP_DESCR, *_LLDP_OURS),
    CDP: (_CDP_DEVICE, _CDP_PORT, _CDP_PLATFORM),
    MNDP: (_MNDP_MAC, _MNDP_PLATFORM, _MNDP_IDENTITY, _MNDP_PORT),
}
_LLDP_INDEXES: Final = 3
_MAC_OCTETS: Final = 6


def columns_of(tables: list[Oid]) -> list[Oid]:
    """What is needed of these tables."""
    return [column for table in tables for column in _COLUMNS[table]]


def find_neighbours(tables: list[Oid], questions: Questions, ports: Mapping[int, str]) -> list[Neighbour]:
    """The neighbours, by port; each once a port. `ports`: names of interfaces, by ifIndex."""
    readers = {LLDP: _lldp, CDP: _cdp, MNDP: _mndp}
    found = [neighbour for table in tables for neighbour in readers[table](questions, ports)]
    return list({(each.port, each.name, each.their_port): each for each in found}.values())


def _lldp(questions: Questions, ports: Mapping[int, str]) -> Iterator[Neighbour]:
    for index in questions.columns[_LLDP_CHASSIS]:
        if len(index) != _LLDP_INDEXES:
            continue
        own = index[1]
        port = next((text for column in _LLDP_OURS if (text := _text(questions, column, (own,)))), "") or ports.get(
            own, f"port {own}"
        )
        name = _text(questions, _LLDP_NAME, index) or _text(questions, _LLDP_CHASSIS, index)
        their = _text(questions, _LLDP_PORT_DESCR, index) or _text(questions, _LLDP_PORT, index)
        yield Neighbour(port, name, their, _text(questions, _LLDP_DESCR, index), "LLDP")


def _cdp(questions: Questions, ports: Mapping[int, str]) -> Iterator[Neighbour]:
    for index in questions.columns[_CDP_DEVICE]:
        port = ports.get(index[0], f"interface {index[0]}")
        device, theirs, platform = (_text(questions, column, index) for column in _COLUMNS[CDP])
        yield Neighbour(port, device, theirs, platform, "CDP")


def _mndp(questions: Questions, ports: Mapping[int, str]) -> Iterator[Neighbour]:
    for index in questions.columns[_MNDP_MAC]:
        own = questions.columns[_MNDP_PORT].get(index, (0, None))[1]
        port = ports.get(own, f"interface {own}") if isinstance(own, int) else ""
        name = _text(questions, _MNDP_IDENTITY, index) or _text(questions, _MNDP_MAC, index)
        yield Neighbour(port, name, "", _text(questions, _MNDP_PLATFORM, index), "MNDP")


def _text(questions: Questions, column: Oid, index: Index) -> str:
    """The text at `index`, a MAC address in its usual form; "" if there is none."""
    _, value = questions.columns[column].get(index, (0, None))
    if isinstance(value, bytes) and len(value) == _MAC_OCTETS and not shown(value).isprintable():
        return value.hex(":")
    return text_of(value)
