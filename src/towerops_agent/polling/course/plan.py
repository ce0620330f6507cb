"""Plan the SNMP requests of one poll.

The OIDs to read + learned traits -> Plan -> requests (sent by reading.py, in the order of progress.py).
A plan holds OIDs and no ids, so that all devices of a kind share one: memory follows kinds of devices, not readings.
Pure. Sizes in octets; a request and the answer that is expected to it stay within 1,472 (RFC 3417 §3.2: 1,500 less the IP and UDP
headers). Columns of ifTable and ifXTable: RFC 2863 §6.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.polling.course.traits import ATTEMPTS, BY_DESCR, BY_NAME, NARROW, TOGETHER, UNVERIFIABLE
from towerops_agent.snmp.wire.ber import Oid, child, is_within, parse_oid
from towerops_agent.snmp.wire.message import Request

T = TypeVar("T")

SYS_UP_TIME: Final = parse_oid("1.3.6.1.2.1.1.3.0")
"""First in each poll: it shows a reboot, and it is the smallest question."""

_IF_ENTRY: Final = parse_oid("1.3.6.1.2.1.2.2.1")
_IF_X_ENTRY: Final = parse_oid("1.3.6.1.2.1.31.1.1.1")

NARROW_OCTETS: Final = (child(_IF_ENTRY, 10), child(_IF_ENTRY, 16))
"""ifInOctets, ifOutOctets: Counter32."""

WIDE_OCTETS: Final = (child(_IF_X_ENTRY, 6), child(_IF_X_ENTRY, 10))
"""ifHCInOctets, ifHCOutOctets: Counter64."""

IF_NAME: Final = child(_IF_X_ENTRY, 1)
IF_DESCR: Final = child(_IF_ENTRY, 2)

IF_TABLE_LAST_CHANGE: Final = parse_oid("1.3.6.1.2.1.31.1.5.0")
"""sysUpTime when an interface last came or went."""

RIDING_AT_MOST: Final = 12
"""The names of so few interfaces are asked in the requests of their counters, though it may cost a request more."""

_OTHERS: Final = (child(_IF_ENTRY, 14), child(_IF_ENTRY, 20), child(_IF_ENTRY, 13), child(_IF_ENTRY, 19))
"""ifInErrors, ifOutErrors, ifInDiscards, ifOutDiscards: as INTERFACE_COLUMNS goes on."""

PER_INTERFACE: Final = len(INTERFACE_COLUMNS)

MAX_OCTETS: Final = 1472
USM_OCTETS: Final = 104
"""How much more SNMPv3 needs than a community: engine, user, digest, salt and padding."""

_MESSAGE_OCTETS: Final = 64 + 32 + USM_OCTETS
"""The size of a message without its varbinds: headers, and a community of up to 64 octets."""

_VALUE_OCTETS: Final = 11
"""The expected size of a value in the answer: a Counter64 with all its octets, or a short text."""

_COUNTER32_OCTETS: Final = 7
"""The size of the largest Counter32: five octets behind a header of two."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a poll, and the column of each of its varbinds.

    `runs`: the columns of a planned request as slices, in its order; () of any other.
    `again`: it was asked before, and lost. `attempts`: how often it is sent before it counts as unanswered. `by_next`: it is sent
    as a GETNEXT. `proves`: it has names of interfaces whose counters are in requests before it; all columns below this one are to
    be answered by then. 0: it has no such name.
    """

    request: Request
    columns: Sequence[int]
    again: bool = False
    attempts: int = ATTEMPTS
    by_next: bool = False
    proves: int = 0
    runs: tuple[slice, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Plan:
    """The requests that read one kind of device.

    `columns`: each OID that is asked, once; the first is sysUpTime, the last are the names of interfaces.
    `slots`: for each value of a Poll, in the layout's order, the column that it is in.
    `names`: for each interface, the column of its name, which is asked in the request of its counters or after all of them; 0 for
    none. Empty if none is asked.
    `last_change`: the column of ifTableLastChange, 0 if it is not asked.
    `asks`: together they ask all columns; those of each are in order.
    """

    columns: tuple[Oid, ...]
    slots: Sequence[int]
    sensor_count: int
    if_indexes: tuple[int, ...]
    asks: tuple[Ask, ...]
    names: Sequence[int] = ()
    last_change: int = 0

    @property
    def sensors(self) -> list[Oid]:
        """The OID of each sensor, in the layout's order."""
        return [self.columns[self.slots[i]] for i in range(self.sensor_count)]

    @property
    def values(self) -> list[Oid]:
        """The OID of each value of a Poll, in the layout's order."""
        return [self.columns[slot] for slot in self.slots]

    def interface_slots(self, interface: int) -> range:
        """Which values, by their index in a Poll, belong to the n-th interface."""
        first = self.sensor_count + interface * PER_INTERFACE
        return range(first, first + PER_INTERFACE)


@dataclass(frozen=True, slots=True)
class Watch:
    """What is asked beside the values, to see in each poll that interfaces have not moved.

    `names`: an octet per interface: BY_NAME or BY_DESCR for one whose ifName or ifDescr was compared, UNVERIFIABLE for one that
    lacks a name, else 0. `name_octets`: how long the longest is, with its header. `riding`: each is asked in the request of its
    counters, whatever it takes. `last_change`: ifTableLastChange.
    """

    names: bytes = b""
    name_octets: int = 0
    riding: bool = False
    last_change: bool = False


NO_WATCH: Final = Watch()


def make_plan(
    sensors: Sequence[Oid],
    if_indexes: Sequence[int],
    widths: bytes,
    max_varbinds: int,
    max_octets: int = MAX_OCTETS,
    watch: Watch = NO_WATCH,
) -> Plan:
    """The plan that reads these sensors and interfaces with at most `max_varbinds` a request.

    `widths`: two octets per interface (see Traits.widths); a counter of UNKNOWN width is asked as the wide one.
    An interface's columns share a request if they fit, so that they have one time. Its name shares it too if there are few, if
    that costs no request, or if `watch` requires it; else the names follow the counters, in requests of their own unless that
    costs one: all of them, or those of the first interfaces if the device then answers in fewer turns (see turns).
    """

    def lay_out_from(riding_from: int) -> Plan:
        return lay_out(sensors, if_indexes, widths, max_varbinds, max_octets, watch, riding_from)

    plan = lay_out_from(0)
    if not any(watch.names) or watch.riding or len(if_indexes) <= RIDING_AT_MOST:
        return plan
    behind = lay_out_from(len(if_indexes))
    if len(behind.asks) >= len(plan.asks):
        return plan
    before_last = (len(behind.asks) - 1) // TOGETHER * TOGETHER  # so many requests are in the turns before the last
    if turns(behind) <= before_last // TOGETHER + 1:
        return behind
    read = behind.asks[before_last].columns[0] if before_last else 0
    ahead = sum(max(behind.slots[slot] for slot in behind.interface_slots(i)) < read for i in range(len(if_indexes)))
    mixed = lay_out_from(ahead)
    return min(behind, mixed, key=lambda plan: (len(plan.asks), turns(plan)))


def turns(plan: Plan) -> int:
    """How often a device answers that has TOGETHER requests under way: each turn is a wakeup, and a round trip."""
    count = held = first = 0
    for ask in plan.asks:
        if held in (0, TOGETHER) or ask.proves > first:
            count, held, first = count + 1, 0, ask.columns[0]
        held += 1
    return count


def lay_out(
    sensors: Sequence[Oid],
    if_indexes: Sequence[int],
    widths: bytes,
    max_varbinds: int,
    max_octets: int,
    watch: Watch,
    riding_from: int,
) -> Plan:
    """The same with names that share the requests of their counters, from this interface on; those of the others follow all."""
    position: dict[Oid, int] = {SYS_UP_TIME: 0}
    if watch.last_change:
        position[IF_TABLE_LAST_CHANGE] = 1
    slots: list[int] = []
    groups: list[list[Oid]] = [list(position)]
    value_octets: dict[Oid, int] = {}  # of what is not expected to take _VALUE_OCTETS
    others: set[int] = set()  # the columns of errors and discards, which are 0 mostly
    names = [
        child(_NAME_COLUMNS[standing], if_index) if standing in _NAME_COLUMNS else b""
        for if_index, standing in zip(if_indexes, watch.names, strict=False)
    ]

    def place(oids: Iterable[Oid]) -> list[Oid]:
        """Those of these that have no column yet, which they now have."""
        fresh = [oid for oid in dict.fromkeys(oids) if oid not in position]
        for oid in fresh:
            position[oid] = len(position)
        return fresh

    for oid in sensors:
        groups.append(place([oid]))
        slots.append(position[oid])
    for i, if_index in enumerate(if_indexes):
        oids = interface_columns(if_index, widths[2 * i], widths[2 * i + 1])
        groups.append(place(oids))
        value_octets.update((oid, _COUNTER32_OCTETS) for oid in oids if is_within(oid, _IF_ENTRY))
        slots += [position[oid] for oid in oids]
        others.update(slots[-len(_OTHERS) :])
    first_name, behind = len(position), []
    for i, name in enumerate(names):
        if name and place([name]):
            if i < riding_from:
                behind.append([name])
            else:
                groups[1 + len(sensors) + i].append(name)
    read_before = {name: slots[len(sensors) + i * PER_INTERFACE :][:PER_INTERFACE] for i, name in enumerate(names) if name}

    def packed(groups: list[list[Oid]]) -> list[list[Oid]]:
        return list(_pack([group for group in groups if group], max_varbinds, max_octets, value_octets))

    def ask_for(oids: list[Oid]) -> Ask:
        columns = sorted(position[oid] for oid in oids)
        request = Request(
            tuple(all_columns[column] for column in columns),
            steady_from=bisect_left(columns, first_name),
            idle=tuple(_runs([i for i, column in enumerate(columns) if column in others])),
        )
        proven = {column for oid in oids for column in read_before.get(oid, ())}
        return Ask(
            request,
            _in_order(columns),
            proves=max(proven.difference(columns), default=-1) + 1,
            runs=tuple(_runs(columns)),
        )

    all_columns = tuple(position)
    value_octets.update(dict.fromkeys(names, watch.name_octets))
    apart, together = packed(groups) + packed(behind), packed(groups + behind)
    return Plan(
        all_columns,
        _in_order(slots),
        len(sensors),
        tuple(if_indexes),
        tuple(map(ask_for, apart if len(apart) <= len(together) else together)),
        _in_order([position.get(name, 0) for name in names]) if any(names) else (),
        int(watch.last_change),
    )


def _in_order(columns: list[int]) -> Sequence[int]:
    """As a range if it is one: it is smaller, and a slice of what was read."""
    run = range(columns[0], columns[0] + len(columns)) if columns else range(0)
    return run if columns == list(run) else tuple(columns)


def _runs(columns: list[int]) -> Iterator[slice]:
    """Ascending numbers as slices."""
    first = 0
    for i in range(1, 1 + len(columns)):
        if i == len(columns) or columns[i] != columns[i - 1] + 1:
            yield slice(columns[first], columns[i - 1] + 1)
            first = i


def at(read: Sequence[T], columns: Sequence[int]) -> Sequence[T]:
    """What was read in these columns, in their order."""
    if isinstance(columns, range):
        return read[columns.start : columns.stop : columns.step]
    return [read[column] for column in columns]


_NAME_COLUMNS: Final = {BY_NAME: IF_NAME, BY_DESCR: IF_DESCR, UNVERIFIABLE: IF_DESCR}


def interface_columns(if_index: int, in_width: int, out_width: int) -> list[Oid]:
    """The OIDs of one interface's columns, in INTERFACE_COLUMNS' order."""
    octets = [(NARROW_OCTETS if width == NARROW else WIDE_OCTETS)[i] for i, width in enumerate((in_width, out_width))]
    return [child(column, if_index) for column in (*octets, *_OTHERS)]


def _pack(groups: list[list[Oid]], max_varbinds: int, max_octets: int, value_octets: Mapping[Oid, int]) -> Iterator[list[Oid]]:
    """Requests of whole groups if they fit, else of parts of them. `value_octets`: the size of unusual values."""

    def octets_of(oids: Iterable[Oid]) -> int:
        return sum(_varbind_octets(oid, value_octets.get(oid, _VALUE_OCTETS)) for oid in oids)

    names: list[Oid] = []
    octets = _MESSAGE_OCTETS
    for group in groups:
        whole = len(group) <= max_varbinds and _MESSAGE_OCTETS + octets_of(group) <= max_octets
        for part in [group] if whole else [[name] for name in group]:
            size = octets_of(part)
            if names and (len(names) + len(part) > max_varbinds or octets + size > max_octets):
                yield names
                names, octets = [], _MESSAGE_OCTETS
            names = names + part
            octets += size
    if names:
        yield names


def _varbind_octets(name: Oid, value_octets: int) -> int:
    """The size of a varbind with this name in an answer: two headers (of two octets; four from 128 on), name and value."""
    return (4 if len(name) + value_octets < 0x7B else 8) + len(name) + value_octets


LATEST_PLANS: Final = 16
"""How many plans stay in memory though no device has them: one that asks names is needed for a moment, by each device in turn."""


class Planner:
    """Makes plans. Devices that need the same requests share one."""

    def __init__(self) -> None:
        self._plans: WeakValueDictionary[tuple[tuple[Oid, ...], tuple[int, ...], bytes, int, Watch], Plan] = WeakValueDictionary()
        self._latest: deque[Plan] = deque(maxlen=LATEST_PLANS)  # so that they stay until the next device of the kind needs them
        self._shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def plan(
        self,
        sensors: Sequence[Oid],
        if_indexes: Sequence[int],
        widths: bytes,
        max_varbinds: int,
        watch: Watch = NO_WATCH,
    ) -> Plan:
        """As make_plan."""
        key = (tuple(sensors), tuple(if_indexes), widths, max_varbinds, watch)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = make_plan(*key[:4], watch=watch)
            self._latest.append(plan)
        return plan

    def shared(self, items: Iterable[T]) -> tuple[T, ...]:
        """These, in one tuple for all devices that have the same: two switches of a kind have ports of the same names."""
        fresh = tuple(items)
        return self._shared.setdefault(fresh, fresh)

    def shared_units(self, units: tuple[str, ...]) -> tuple[str, ...]:
        """These, in one tuple for all devices that have the same, once all are known: until then each device has its own ones."""
        return units if "" in units else self.shared(units)
