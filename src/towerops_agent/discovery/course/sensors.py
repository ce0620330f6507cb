"""The sensors that a profile describes, in what a device has sent.

Profile and rows -> sensors, and what is left out: a value that says that there is nothing, a text that is not a number.
Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from towerops_agent.discovery.course.asking import Index, Questions, Rows
from towerops_agent.discovery.course.findings import FoundSensor, NotTaken
from towerops_agent.discovery.course.profile import Column, Profile, is_scalar
from towerops_agent.polling.course.evidence import shown
from towerops_agent.polling.course.interpret import means_nothing, number
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.ber import MAX_SUBIDENTIFIER, MAX_SUBIDENTIFIERS, Oid, child, subidentifiers
from towerops_agent.snmp.wire.message import Value

_TYPES: Final = {
    "celsius": "temperature",
    "fahrenheit": "temperature",
    "volts": "voltage",
    "amperes": "current",
    "watts": "power",
    "hertz": "frequency",
    "dbm": "dbm",
    "percent": "percent",
    "rpm": "fanspeed",
    "seconds": "runtime",
    "minutes": "runtime",
}
"""What a sensor is called by the contract, by its unit."""

_MAC_OCTETS: Final = 6

Found = FoundSensor | NotTaken


def values_of(profile: Profile) -> list[Oid]:
    """The single values that the profile's sensors need. A condition may be one, unless it is known to be a column."""
    rows = {column.oid for column in profile.columns if not column.is_scalar}
    conditions = [column.when[0] for column in profile.columns if column.when and column.when[0] not in rows]
    return [*conditions, *(column.oid for column in profile.columns if column.is_scalar)]


def columns_of(profile: Profile) -> list[Oid]:
    """The columns that they need."""
    needed: list[Oid] = []
    for column in profile.columns:
        if not column.is_scalar:
            needed += [column.oid, *([column.label] if column.label else []), *([column.where[0]] if column.where else [])]
    return [*needed, *(column.when[0] for column in profile.columns if column.when and not is_scalar(column.when[0]))]


def find_sensors(profile: Profile, questions: Questions, ports: dict[int, str]) -> Iterator[Found]:
    """The sensors, in the profile's order. `ports`: names of interfaces, by ifIndex."""
    # Of these it is not known how the device counts: the next column of the same OID may have another divisor.
    unknown = {column.oid: column for column in profile.columns if column.when and not _is_known(column.when[0], questions)}
    found = [
        (column, sensor_or_not(oid, tag, value, column, name, profile.name))
        for column in profile.columns
        if column.oid not in unknown and _applies(column, questions)
        for oid, name, tag, value in _rows(column, questions, ports)
    ]
    there = {each.oid for _, each in found if isinstance(each, FoundSensor)}
    for column, each in found:
        if column.unless and isinstance(each, FoundSensor) and column.unless + each.oid[len(column.oid) :] in there:
            yield NotTaken(each.name, "another value of the device says the same better")
        else:
            yield each
    for column in unknown.values():
        for _, name, _, _ in _rows(column, questions, ports):
            yield NotTaken(name, "what says how the device counts it could not be read")


def _is_known(condition: Oid, questions: Questions) -> bool:
    """Whether it is known what stands at, and below, this OID: some devices say noSuchName over SNMPv2c too."""
    why = questions.unread.get(condition, Reason.NO_SUCH_NAME)
    return condition in questions.read and (is_scalar(condition) or why == Reason.NO_SUCH_NAME)


def _applies(column: Column, questions: Questions) -> bool:
    if column.when is None:
        return True
    oid, pattern = column.when
    values = [questions.values.get(oid, (0, None)), *questions.columns.get(oid, {}).values()]
    return any(pattern.search(text_of(value)) for _, value in values)


def _rows(column: Column, questions: Questions, ports: dict[int, str]) -> Iterator[tuple[Oid, str, int, Value]]:
    if column.is_scalar:
        if column.oid in questions.values:
            yield (column.oid, column.name, *questions.values[column.oid])
        return
    labels = questions.columns[column.label] if column.label else {}
    where, wanted = (questions.columns[column.where[0]], column.where[1]) if column.where else ({}, frozenset())
    for index, (tag, value) in questions.columns[column.oid].items():
        if column.where is None or where.get(index, (0, None))[1] in wanted:
            yield child(column.oid, *index), f"{column.name} {_row_name(column, index, labels, ports)}", tag, value


def _row_name(column: Column, index: Index, labels: Rows, ports: dict[int, str]) -> str:
    return label_at(labels, index, is_mac=column.index == "mac") or _INDEX_NAMES.get(column.index, _dotted)(index, ports)


def label_at(labels: Rows, index: Index, *, is_mac: bool = False) -> str:
    """The text of the row, or of the row that this one belongs to: its index begins with that one's. "" if there is none.

    `is_mac`: six octets that are not ASCII are an address.
    """
    for length in range(len(index), 0, -1):
        tag_value = labels.get(index[:length])
        if tag_value is not None:
            return (is_mac and _address(tag_value[1])) or text_of(tag_value[1])
    return ""


def _address(value: Value) -> str:
    if not isinstance(value, bytes) or len(value) != _MAC_OCTETS or (value.isascii() and value.decode().isprintable()):
        return ""
    return value.hex(":")


def text_of(value: Value) -> str:
    """A value in one line; "" if it is not printable."""
    text = str(value) if isinstance(value, int) else " ".join(shown(value).split())
    return text if text.isprintable() else ""


def _dotted(index: Index, _: dict[int, str]) -> str:
    return ".".join(map(str, index))


def _port(index: Index, ports: dict[int, str]) -> str:
    return ports.get(index[-1], "") or _dotted(index, ports)


def _mac(index: Index, ports: dict[int, str]) -> str:
    start = 1 if len(index) == 1 + _MAC_OCTETS and index[0] == _MAC_OCTETS else 0  # with its length, or with a number behind it
    octets, rest = index[start : start + _MAC_OCTETS], index[start + _MAC_OCTETS :]
    if len(octets) < _MAC_OCTETS or max(octets) > 0xFF:
        return _dotted(index, ports)
    return " ".join((bytes(octets).hex(":"), *map(str, rest)))


def _text(index: Index, ports: dict[int, str]) -> str:
    octets = index[1:] if index and index[0] == len(index) - 1 else index
    text = text_of(bytes(octets)) if octets and max(octets) <= 0xFF else ""
    return text or _dotted(index, ports)


_INDEX_NAMES: Final = {"port": _port, "mac": _mac, "text": _text}


def sensor_or_not(oid: Oid, tag: int, value: Value, column: Column, name: str, source: str) -> Found:
    """The sensor, or why it is not one."""
    if max(subidentifiers(oid)) > MAX_SUBIDENTIFIER:
        return NotTaken(name, "its index is over 32 bits, which no OID may have")
    meant = column.away | column.skip | column.unused  # the profile says what these mean
    raw = value if isinstance(value, int) and value in meant else number(tag, value, oid)
    if isinstance(raw, Reason):
        return NotTaken(name, f"{raw.text}")
    if means_nothing(oid, tag, value, column.skip):
        return NotTaken(name, f"{raw} means that there is nothing")
    if raw in column.unused:
        return NotTaken(name, f"{raw} means that it is not in use")
    if column.states and isinstance(value, bytes) and raw not in column.states:
        return NotTaken(name, f"the text '{text_of(value)}', which is not a state that the profile knows")
    kind = column.type or ("state" if column.states else _TYPES.get(column.unit.casefold(), "count"))
    return FoundSensor(oid, name, kind, column.unit, column.divisor, raw, source, column.states, column.skip | column.away)


def apart(sensors: Iterable[FoundSensor]) -> list[FoundSensor]:
    """The sensors, of each OID the first, with names that differ."""
    first: dict[Oid, FoundSensor] = {}
    for sensor in sensors:
        first.setdefault(sensor.oid, sensor)
    groups: dict[str, list[FoundSensor]] = {}
    for sensor in first.values():
        groups.setdefault(sensor.name, []).append(sensor)
    found: list[FoundSensor] = []
    for group in groups.values():
        found += group if len(group) == 1 else _numbered(group, groups)
    return found


def _numbered(group: list[FoundSensor], taken: Iterable[str]) -> list[FoundSensor]:
    """Sensors of one name, with as much of the end of their OIDs behind it as it takes."""
    oids = [subidentifiers(sensor.oid) for sensor in group]
    for length in range(1, MAX_SUBIDENTIFIERS):
        names = [f"{sensor.name} {'.'.join(map(str, oid[-length:]))}" for sensor, oid in zip(group, oids, strict=True)]
        if len(set(names)) == len(names) and not set(names) & set(taken):
            break
    return [replace(sensor, name=name) for sensor, name in zip(group, names, strict=True)]
