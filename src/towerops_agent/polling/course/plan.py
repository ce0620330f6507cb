"""Plan the SNMP requests of one poll.

What to read + what was learned -> Plan -> requests (sent by poller.py, in the order that progress.py gives).
A plan holds OIDs and no ids, so that all devices of a kind share one: memory follows kinds of devices, not readings.
Pure. Sizes in octets; a request and the answer that is expected to it stay within 1,472 (RFC 3417 §3.2: 1,500 less the IP and UDP
headers). Columns of ifTable and ifXTable: RFC 2863 §6.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.polling.course.traits import ATTEMPTS, NARROW
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.oid import Oid, child, parse_oid

SYS_UP_TIME: Final = parse_oid("1.3.6.1.2.1.1.3.0")
"""Rides along in each poll, first: it tells a reboot, and it is the smallest question there is."""

_IF_ENTRY: Final = parse_oid("1.3.6.1.2.1.2.2.1")
_IF_X_ENTRY: Final = parse_oid("1.3.6.1.2.1.31.1.1.1")

NARROW_OCTETS: Final = (child(_IF_ENTRY, 10), child(_IF_ENTRY, 16))
"""ifInOctets, ifOutOctets: Counter32."""

WIDE_OCTETS: Final = (child(_IF_X_ENTRY, 6), child(_IF_X_ENTRY, 10))
"""ifHCInOctets, ifHCOutOctets: Counter64."""

_OTHERS: Final = (child(_IF_ENTRY, 14), child(_IF_ENTRY, 20), child(_IF_ENTRY, 13), child(_IF_ENTRY, 19))
"""ifInErrors, ifOutErrors, ifInDiscards, ifOutDiscards: as INTERFACE_COLUMNS goes on."""

PER_INTERFACE: Final = len(INTERFACE_COLUMNS)

MAX_OCTETS: Final = 1472
USM_OCTETS: Final = 104
"""What SNMPv3 takes more than a community: engine, user, digest, salt and padding."""

_MESSAGE_OCTETS: Final = 64 + 32 + USM_OCTETS
"""What a message takes beside its varbinds: headers, and a community of up to 64 octets."""

_VALUE_OCTETS: Final = 11
"""What a value is expected to take in the answer: a Counter64 with all its octets, or a short text."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a poll, and the column of each of its varbinds.

    `again`: it was asked before, and lost. `attempts`: how often it is sent before it counts as unanswered.
    """

    request: Request
    columns: Sequence[int]
    again: bool = False
    attempts: int = ATTEMPTS


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Plan:
    """The requests that read one kind of device.

    `columns`: each OID that is asked, once; the first is sysUpTime.
    `slots`: for each value of a Poll, in the layout's order, the column that it is in.
    `asks`: together they ask all columns, in order; the columns of each are a range.
    """

    columns: tuple[Oid, ...]
    slots: Sequence[int]
    sensor_count: int
    if_indexes: tuple[int, ...]
    asks: tuple[Ask, ...]

    @property
    def sensors(self) -> list[Oid]:
        """The OID of each sensor, in the layout's order."""
        return [self.columns[self.slots[i]] for i in range(self.sensor_count)]

    def interface_slots(self, interface: int) -> range:
        """Which values, by their index in a Poll, belong to the n-th interface."""
        first = self.sensor_count + interface * PER_INTERFACE
        return range(first, first + PER_INTERFACE)


def make_plan(
    sensors: Sequence[Oid], if_indexes: Sequence[int], widths: bytes, max_varbinds: int, max_octets: int = MAX_OCTETS
) -> Plan:
    """The plan that reads these sensors and interfaces with at most `max_varbinds` a request.

    `widths`: two octets per interface (see Traits.widths); a counter of UNKNOWN width is asked as the wide one.
    An interface's columns share a request where they fit, so that they are of one moment.
    """
    position: dict[Oid, int] = {SYS_UP_TIME: 0}
    slots: list[int] = []
    groups: list[list[Oid]] = [[SYS_UP_TIME]]
    wanted = [[oid] for oid in sensors] + [
        interface_columns(if_index, widths[2 * i], widths[2 * i + 1]) for i, if_index in enumerate(if_indexes)
    ]
    for names in wanted:
        fresh = []
        for name in names:
            if name not in position:
                position[name] = len(position)
                fresh.append(name)
            slots.append(position[name])
        if fresh:
            groups.append(fresh)
    columns = tuple(position)
    asks = []
    first = 0
    for names in _pack(groups, max_varbinds, max_octets):
        asks.append(Ask(Request(tuple(names)), range(first, first + len(names))))
        first += len(names)
    in_order = slots == list(range(1, 1 + len(slots)))
    return Plan(columns, range(1, 1 + len(slots)) if in_order else tuple(slots), len(sensors), tuple(if_indexes), tuple(asks))


def interface_columns(if_index: int, in_width: int, out_width: int) -> list[Oid]:
    """The OIDs of one interface's columns, in INTERFACE_COLUMNS' order."""
    octets = [(NARROW_OCTETS if width == NARROW else WIDE_OCTETS)[i] for i, width in enumerate((in_width, out_width))]
    return [child(column, if_index) for column in (*octets, *_OTHERS)]


def _pack(groups: list[list[Oid]], max_varbinds: int, max_octets: int) -> Iterator[list[Oid]]:
    """Requests of whole groups where they fit, else of parts of them."""
    names: list[Oid] = []
    octets = _MESSAGE_OCTETS
    for group in groups:
        whole = len(group) <= max_varbinds and _MESSAGE_OCTETS + sum(map(_varbind_octets, group)) <= max_octets
        for part in [group] if whole else [[name] for name in group]:
            size = sum(map(_varbind_octets, part))
            if names and (len(names) + len(part) > max_varbinds or octets + size > max_octets):
                yield names
                names, octets = [], _MESSAGE_OCTETS
            names = names + part
            octets += size
    if names:
        yield names


def _varbind_octets(name: Oid) -> int:
    """What a varbind with this name takes in an answer: two headers (of two octets; four from 128 on), name and value."""
    return (4 if len(name) < 0x70 else 8) + len(name) + _VALUE_OCTETS


class Planner:
    """Makes plans, one for all devices that need the same."""

    def __init__(self) -> None:
        self._plans: WeakValueDictionary[tuple[tuple[Oid, ...], tuple[int, ...], bytes, int], Plan] = WeakValueDictionary()
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def plan(self, sensors: Sequence[Oid], if_indexes: Sequence[int], widths: bytes, max_varbinds: int) -> Plan:
        """As make_plan."""
        key = (tuple(sensors), tuple(if_indexes), widths, max_varbinds)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = make_plan(*key)
        return plan

    def names(self, names: Iterable[str]) -> tuple[str, ...]:
        """These names, in one tuple for all devices that have the same: two switches of a kind name their ports alike."""
        fresh = tuple(names)
        return self._names.setdefault(fresh, fresh)
