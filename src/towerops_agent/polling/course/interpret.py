"""What the answers mean: varbinds -> readings.

A reading is a number that the device sent, or it is missing with a reason; never a substitute. The divisor is not applied here:
polls keep raw readings, and delivery divides (docs/decisions/0005-raw-readings.md). A sensor's text is read in the
unit in which it was first read, or it is missing, rather than wrong by a factor of a thousand; so is one with a unit or decimals
of a sensor that was an integer, which may have been tenths. A number by which a device says that there is nothing is not a
reading (docs/decisions/0029-nothing-there.md).
Pure. Sources: RFC 2578 §7.1 (types), RFC 2863 §6 (counters), snmp/wire/ber.py; FCMGMT-MIB (Fibre Channel switches: all
statistics of a port are OCTET STRING (SIZE (8)), most significant octet first); RFC 3433 §4 (EntitySensorValue); MIKROTIK-MIB,
LM-SENSORS-MIB and RFC 2790 §4.3 (types that do not fit their values); UBNT-AirMAX-MIB (ubntHostTemperature, in degrees).
"""

import math
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Final

from towerops_agent.model import Number, Poll
from towerops_agent.polling.course.numeral import Numeral, parse_numeral
from towerops_agent.polling.course.plan import PER_INTERFACE, Plan, at
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.units import BARE, conversion, find_unit, is_nothing
from towerops_agent.polling.course.widths import LARGEST_COUNT
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, is_within, parse_oid

_COUNTERS: Final = bytes((ber.COUNTER32, ber.COUNTER64, ber.GAUGE32, ber.TIME_TICKS, ber.UINTEGER32))
_INTEGERS: Final = _COUNTERS + bytes((ber.INTEGER,))

_MISSING: Final = {
    ber.NO_SUCH_OBJECT: Reason.NO_SUCH_OBJECT,
    ber.NO_SUCH_INSTANCE: Reason.NO_SUCH_INSTANCE,
    ber.END_OF_MIB_VIEW: Reason.END_OF_MIB_VIEW,
    ber.NULL: Reason.NULL,
}

LARGEST_FLOAT: Final = 1e28
"""A float past this is not a reading, and could not be divided by the smallest divisor."""

SMALLEST_INTEGER: Final = -(1 << 63)
LARGEST_INTEGER: Final = (1 << 64) - 1
"""The integers that a poll can keep."""

_SIGN_UNKNOWN: Final = range(1 << 31, 1 << 32)
"""An INTEGER has 32 bits and a sign (RFC 2578 §7.1.1). Firmware that sends one of these means an unsigned number, or a negative
one that lost its sign in five octets; it is not known which."""

_LARGEST: Final = (1 << 31) - 1
"""The largest INTEGER: with it, firmware says that there is nothing (a transceiver that measures nothing, a probe that is not
there), or that there is more than fits. Neither is a number."""

_LARGEST_OF_64: Final = (1 << 63) - 1
"""The same of firmware that has 64 bits for it."""

_ENDS: Final = frozenset((_LARGEST, (1 << 32) - 1, _LARGEST_OF_64, (1 << 64) - 1))
"""What firmware writes into a text then: the largest number with a sign, or -1 printed without one."""

_SMALL: Final = 1_000_000
"""So far below 0 is what devices send in a type that has no sign: in 32 bits it is as far below 2^32."""

_PLAIN: Final = range(-_SMALL, _LARGEST)
"""The integers that mean what they say, of whatever type."""

_GAUGES: Final = frozenset((ber.GAUGE32, ber.UINTEGER32))

_BELOW_0: Final = tuple(
    map(parse_oid, ("1.3.6.1.4.1.14988.1.1.3.100.1.3", "1.3.6.1.4.1.14988.1.1.19.1.1.6", "1.3.6.1.4.1.2021.13.16.2.1.3"))
)
"""mtxrGaugeValue, mtxrOpticalTemperature and lmTempSensorsValue: a Gauge32, by which RouterOS and net-snmp send degrees below 0
all the same."""

_NEVER_BELOW_0: Final = tuple(parse_oid(f"1.3.6.1.2.1.25.2.3.1.{column}") for column in (5, 6))
"""hrStorageSize and hrStorageUsed: an Integer32, in which Windows sends what has overflowed, nobody knows how often."""

_BEYOND: Final = frozenset((-1_000_000_000, 1_000_000_000))
_MEASURED: Final = (parse_oid("1.3.6.1.2.1.99.1.1.1.4"), parse_oid("1.3.6.1.4.1.9.9.91.1.1.1.1.4"))
"""entPhySensorValue, and Cisco's entSensorValue: of these two numbers they are errors, underflow and overflow."""

_TURNED: Final = frozenset(number for n in range(1, 128) for number in (n << 24, -n << 24, -n << 24 | 0xFFFFFF)) - {-1}
"""Small numbers of 32 bits whose octets have been turned around, or only the last one moved to the front. -1 stays itself."""
_MAY_BE_TURNED: Final = (parse_oid("1.3.6.1.4.1.41112.1.4.8.4"),)
"""ubntHostTemperature: of airOS 8.7.4 to 8.7.6 it is 335544320, which is 20 turned around, or 33.55 in ten-millionths."""

_UNUSUAL: Final = _BEYOND | _TURNED


Skips = tuple[tuple[int, frozenset[Number]], ...]
"""By the place of each sensor that has any: the numbers by which the device says that there is nothing (Sensor.skip)."""


INTEGRAL: Final = "#"
"""In place of a unit: the sensor was an integer of the device's, not a text. How much 1 is of it only the configuration knows."""

_NO_UNITS: Final = frozenset(("", INTEGRAL))


class Scales:
    """The unit in which each sensor's text was first read, and later readings converted to that unit.

    `units`: a word of units.py per sensor of the plan, or INTEGRAL, "" while none is known; () while none is known of any.
    Devices of a kind share them.
    """

    __slots__ = ("_sensors", "units")

    def __init__(self, sensors: int, units: tuple[str, ...] = ()) -> None:
        self._sensors = sensors
        self.units = units

    def read(self, place: int, value: Number, unit: str) -> Number | Reason:
        """A finite `value` in the unit `unit`, in the first unit of the sensor at `place`; or UNIT_CHANGED.

        A first unit is noted.
        """
        first = self.units[place] if self.units else ""
        if unit == first:
            return value
        if value == 0 and is_nothing(unit) and is_nothing(first):
            return value  # zero is zero in any unit, and shows nothing about the next reading's unit
        if not first:
            self._note(place, unit)
            return value
        if first == INTEGRAL:  # `28.0 C` after 280
            return value if unit == BARE and isinstance(value, int) else Reason.UNIT_CHANGED
        ratio = conversion(unit, first)
        if ratio is None:
            return Reason.UNIT_CHANGED
        return value if ratio == 1 else _scaled(value, ratio)

    def read_number(self, place: int, value: Number) -> Number | Reason:
        """A number that the device sent without a text; a float is read as a text without a unit would be."""
        if not isinstance(value, int) or value == 0:
            return self.read(place, value, BARE)
        first = self.units[place] if self.units else ""
        if not first:
            self._note(place, INTEGRAL)
        return value if first == BARE or find_unit(first) is None else Reason.UNIT_CHANGED  # 280 after `28.0 C`

    def note_integers(self, values: Sequence[int]) -> None:
        """Note that all sensors were integers. Those that are 0 may have any unit yet."""
        units = self.units
        if not units or "" in units:
            known = units or ("",) * len(values)
            noted = tuple([unit or (INTEGRAL if value else "") for unit, value in zip(known, values, strict=True)])
            if INTEGRAL in noted:
                self.units = noted

    def _note(self, place: int, unit: str) -> None:
        units = list(self.units or [""] * self._sensors)
        units[place] = unit
        self.units = tuple(units)


def _scaled(value: Number, ratio: Fraction) -> Number:
    """As exact as the text's decimals: 1.1 mV are 0.0011 V."""
    scaled = Fraction(repr(value)) * ratio
    return int(scaled) if isinstance(value, int) and scaled.denominator == 1 else float(scaled)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A poll, and why each value that it lacks is missing: by its index in the poll's values.

    `units`: in which unit each sensor's text was first read (see Scales), with what this poll has added.
    """

    poll: Poll
    missing: dict[int, str]
    units: tuple[str, ...] = ()


def interpret(
    progress: PollProgress,
    layout: int,
    started_at_us: int,
    withheld: Mapping[int, str] | None = None,
    units: tuple[str, ...] = (),
    skips: Skips = (),
) -> Interpretation:
    """The poll that `progress` has read, in the order of the layout with this id.

    `withheld`: the interfaces, by their place in the plan, whose counters can't be trusted, and why.
    `units`: from earlier polls. `skips`: of the plan's sensors.
    """
    missing: dict[int, str] = {}
    slots, plan = progress.slots, progress.plan
    scales = Scales(plan.sensor_count, units)
    values = _read_sensors(progress, scales, _nothing_at(progress, skips), missing)
    _read_counters(progress, values, missing)
    for interface, reason in (withheld or {}).items():
        for i in plan.interface_slots(interface):
            values[i], missing[i] = None, reason
    first = plan.sensor_count
    if not missing:  # the usual case
        received_us = [*at(progress.received_us, slots[:first]), *at(progress.received_us, slots[first::PER_INTERFACE])]
        metric_count = len(received_us)
    else:
        metric_count, received_us = _count(progress, values)
    runs = [(at_us, len(list(run))) for at_us, run in groupby(received_us)]
    began_us = min([started_at_us, *(at_us for at_us, _ in runs if at_us)])  # the clock may have been set back since
    times = tuple((items, max(at_us - began_us, 0)) for at_us, items in runs)
    return Interpretation(Poll(layout, began_us, tuple(values), times, metric_count), missing, scales.units)


def _count(progress: PollProgress, values: Sequence[Number | None]) -> tuple[int, list[int]]:
    """How many metrics there are, and when each sensor's value and each interface's octets arrived."""
    slots, count, received_us = progress.slots, 0, []
    for i in range(progress.plan.sensor_count):
        count += values[i] is not None
        received_us.append(progress.received_us[slots[i]])
    for first in range(progress.plan.sensor_count, len(values), PER_INTERFACE):
        has_in = values[first] is not None
        count += has_in or values[first + 1] is not None
        received_us.append(progress.received_us[slots[first if has_in else first + 1]])
    return count, received_us


def _nothing_at(progress: PollProgress, skips: Skips) -> Collection[int]:
    """The places of the sensors whose answers say that there is nothing."""
    if not skips:
        return ()  # the usual case
    names, tags, values, slots = progress.names, progress.tags, progress.values, progress.slots
    return {place for place, skip in skips if means_nothing(names[i := slots[place]], tags[i], values[i], skip)}


def means_nothing(name: Oid, tag: int, value: int | bytes | None, skip: Collection[Number]) -> bool:
    """Whether a varbind has one of these numbers, as it was sent: neither divided nor converted to another unit."""
    if tag != ber.OCTET_STRING or not isinstance(value, bytes):
        return value in skip or number(tag, value, name) in skip
    counter = _octet_number(name, value)
    if counter is not None:
        return counter in skip
    numeral = parse_numeral(value)
    return isinstance(numeral, Numeral) and numeral.value in skip


def _read_sensors(
    progress: PollProgress, scales: Scales, nothing: Collection[int], missing: dict[int, str]
) -> list[Number | None]:
    """The values; none at the places `nothing`, of which not even the unit counts: a bare -1 in place of `12.4 V` has another."""
    slots = progress.slots[: progress.plan.sensor_count]
    are_integers = not (nothing or bytes(at(progress.tags, slots)).translate(None, _INTEGERS))
    if are_integers and _NO_UNITS.issuperset(scales.units):  # the usual case
        numbers: list[int] = [*at(progress.values, slots)]  # type: ignore[list-item]  # of these tags
        if max(numbers, default=0) < _PLAIN.stop and min(numbers, default=0) >= _PLAIN.start and _UNUSUAL.isdisjoint(numbers):
            scales.note_integers(numbers)
            return [*numbers]
    values: list[Number | None] = []
    texts: list[tuple[int, Oid, bytes]] = []
    for i in range(progress.plan.sensor_count):
        column = progress.slots[i]
        tag, held = progress.tags[column], progress.values[column]
        if i in nothing:
            value: Number | Reason = Reason.NOTHING_THERE
        elif tag == ber.OCTET_STRING and isinstance(held, bytes):
            name = progress.names[column]
            counter = _octet_number(name, held)
            value = _number_in_text(held, i, scales) if counter is None else _unsigned(counter)
            if counter is None:
                texts.append((i, name, held))
        else:
            name = progress.names[column]
            value = Reason.OUT_OF_RANGE if is_beyond(name, held) else number(tag, held, name)
            value = value if isinstance(value, Reason) else scales.read_number(i, value)
        if isinstance(value, Reason):
            missing[i] = progress.failures.get(column, value)
            values.append(None)
        else:
            values.append(value)
    for i in _doubtful(texts):
        if values[i] is not None:
            values[i], missing[i] = None, Reason.AMBIGUOUS
    return values


def _read_counters(progress: PollProgress, values: list[Number | None], missing: dict[int, str]) -> None:
    """Append the interfaces' counters to `values`."""
    slots = progress.slots[len(values) :]
    if not bytes(at(progress.tags, slots)).translate(None, _COUNTERS):  # the usual case
        counters: Sequence[int] = at(progress.values, slots)  # type: ignore[arg-type]  # these tags have integers
        if sum(counters) <= LARGEST_COUNT or max(counters) <= LARGEST_COUNT:  # none is below 0, and a sum is made faster
            values.extend(counters)
            return
    for column in slots:
        tag = progress.tags[column]
        value: Number | bytes | None = progress.values[column]
        if tag == ber.OPAQUE and isinstance(value, bytes) and (wrapped := ber.opaque_number(value)) is not None:
            value = wrapped[1]  # a counter of 64 bits, from before there was Counter64
        if isinstance(value, int) and 0 <= value <= LARGEST_COUNT:
            values.append(value)
            continue
        if isinstance(value, int):
            reason = Reason.NEGATIVE_COUNTER if value < 0 else Reason.OUT_OF_RANGE
        else:
            reason = _MISSING.get(tag, Reason.NOT_A_COUNTER)
        missing[len(values)] = progress.failures.get(column, reason)
        values.append(None)


def number(tag: int, value: int | bytes | None, name: Oid = b"") -> Number | Reason:
    """The number in a varbind's value, or the reason why it is not a number. `name`: its OID, as a MIB may say what it means."""
    if isinstance(value, int):
        if value in _TURNED and _is_in(name, _MAY_BE_TURNED):
            return Reason.AMBIGUOUS
        return value if value in _PLAIN else _integer(tag, value, name)
    if isinstance(value, bytes):
        if tag == ber.OCTET_STRING:
            return _number_in_text(value, 0, Scales(1))
        if tag == ber.OPAQUE:
            return _number_in_opaque(value)
    return _MISSING.get(tag, Reason.NOT_A_NUMBER)


def _integer(tag: int, value: int, name: Oid) -> int | Reason:
    """An integer that may have lost its sign, have one that it should not have, or be at the end of its type."""
    if tag in _GAUGES:
        if _is_in(name, _BELOW_0):
            return value - (1 << 32) if value in _SIGN_UNKNOWN else value
        return Reason.AMBIGUOUS if value >= (1 << 32) - _SMALL else value
    if tag != ber.INTEGER:
        return _unsigned(value)
    if value in _SIGN_UNKNOWN or value in _ENDS:
        return Reason.AMBIGUOUS
    return Reason.AMBIGUOUS if value < 0 and _is_in(name, _NEVER_BELOW_0) else value


def _unsigned(value: int) -> int | Reason:
    """A number of 64 bits without a sign; it may have lost one, or be the largest with one."""
    return Reason.AMBIGUOUS if value > LARGEST_COUNT or value == _LARGEST_OF_64 else value


def is_beyond(name: Oid, value: int | bytes | None) -> bool:
    """Whether a varbind's value says, by its MIB, that there is more or less to measure than the sensor can."""
    return value in _BEYOND and _is_in(name, _MEASURED)


def _is_in(name: Oid, columns: Iterable[Oid]) -> bool:
    return any(is_within(name, column) for column in columns)


def _number_in_text(octets: bytes, place: int, scales: Scales) -> Number | Reason:
    numeral = parse_numeral(octets)
    if isinstance(numeral, Reason):
        return numeral
    if isinstance(numeral.value, int) and numeral.value in _ENDS:
        return Reason.AMBIGUOUS
    value = _checked(numeral.value)
    if isinstance(value, Reason):
        return value
    scaled = scales.read(place, value, numeral.unit)
    return scaled if isinstance(scaled, Reason) else _checked(scaled)


def _number_in_opaque(octets: bytes) -> Number | Reason:
    wrapped = ber.opaque_number(octets)
    if wrapped is None:
        return Reason.NOT_A_NUMBER
    value = wrapped[1]
    return _unsigned(value) if isinstance(value, int) and abs(value) <= LARGEST_INTEGER else _checked(value)


def _checked(value: Number) -> Number | Reason:
    if isinstance(value, int):
        return value if SMALLEST_INTEGER <= value <= LARGEST_INTEGER else _checked(float(value))
    if not math.isfinite(value):
        return Reason.NOT_FINITE
    return value if abs(value) <= LARGEST_FLOAT else Reason.OUT_OF_RANGE


# Eight octets of an OCTET STRING may be anything: a counter, a bridge's ID, a date, a text. Only a MIB, or the sensor's siblings,
# can decide.

_NUMBER_OCTETS: Final = 8
_TABLES_OF_NUMBERS: Final = (parse_oid("1.3.6.1.3.94.4.5.1"),)  # connUnitPortStatEntry
_TEXT_OCTETS: Final = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x100)) - {0x7F}


def _octet_number(name: Oid, octets: bytes) -> int | None:
    """The number in the string under this OID, if its MIB says that it is one; else None."""
    if len(octets) == _NUMBER_OCTETS and _is_in(name, _TABLES_OF_NUMBERS):
        return int.from_bytes(octets, "big")
    return None


def _doubtful(strings: Iterable[tuple[int, Oid, bytes]]) -> list[int]:
    """The places of those strings of eight octets that may not be texts, though each looks like one: a sibling is not a text.

    `strings`: each with its place and its OID. Siblings differ in the last sub-identifier only.
    """
    eights = [(place, _parent(name), octets) for place, name, octets in strings if len(octets) == _NUMBER_OCTETS]
    binary = {parent for _, parent, octets in eights if not _TEXT_OCTETS.issuperset(octets.rstrip(b"\0"))}
    return [place for place, parent, _ in eights if parent in binary]


def _parent(name: Oid) -> Oid:
    end = len(name) - 1
    while end > 0 and name[end - 1] & 0x80:
        end -= 1
    return name[:end]


def lacking_items(plan: Plan, missing: Mapping[int, str]) -> int:
    """The sensors that lack their value, and the interfaces that lack both octets, as bits in the layout's order.

    A sensor whose device says that there is nothing lacks none.
    """
    lacking, first = 0, plan.sensor_count
    for i, reason in missing.items():
        if i < first:
            lacking |= (reason != Reason.NOTHING_THERE) << i
        elif (i - first) % PER_INTERFACE == 0 and i + 1 in missing:
            lacking |= 1 << first + (i - first) // PER_INTERFACE
    return lacking


def carry_over(
    units: Sequence[str], before: Sequence[Oid], now: Sequence[Oid], rescaled: Container[Oid] = frozenset()
) -> tuple[str, ...]:
    """The units of the sensors `now`, of which some were there `before` with these units.

    `rescaled`: those that have another divisor. Somebody has looked at what the device sends: what was a whole number need not go
    on as one.
    """
    known = {oid: unit for oid, unit in zip(before, units, strict=False) if unit != INTEGRAL or oid not in rescaled}
    carried = tuple(known.get(oid, "") for oid in now)
    return carried if any(carried) else ()
