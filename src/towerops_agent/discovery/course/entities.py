"""The sensors of ENTITY-SENSOR-MIB, and of Cisco's older one of the same shape.

A row says itself what it measures, with which scale and precision: they become the divisor. Pure. Source: RFC 3433 §4, RFC 6933
(entPhysicalName), CISCO-ENTITY-SENSOR-MIB.
"""

from collections.abc import Iterator
from typing import Final

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import NotTaken
from towerops_agent.discovery.course.profile import Column
from towerops_agent.discovery.course.sensors import Found, label_at, sensor_or_not
from towerops_agent.polling.course.interpret import is_beyond
from towerops_agent.snmp.wire.ber import Oid, child, is_within, parse_oid

ENTITY: Final = parse_oid("1.3.6.1.2.1.99.1.1.1")
CISCO: Final = parse_oid("1.3.6.1.4.1.9.9.91.1.1.1.1")
TABLES: Final = {ENTITY: "entity-sensor", CISCO: "cisco-entity-sensor"}

_TYPE, _SCALE, _PRECISION, _VALUE, _STATUS = range(1, 6)
_NAME: Final = parse_oid("1.3.6.1.2.1.47.1.1.1.1.7")
_DESCR: Final = parse_oid("1.3.6.1.2.1.47.1.1.1.1.2")

_UNITS: Final = {
    3: "volts",  # alternating
    4: "volts",
    5: "amperes",
    6: "watts",
    7: "hertz",
    8: "celsius",
    9: "percent",
    10: "rpm",
    11: "cubic meters per minute",
    14: "dBm",  # Cisco's
}
_TRUE_OR_FALSE: Final = {1: "true", 2: "false"}
_NAMES: Final = {
    "celsius": "temperature",
    "volts": "voltage",
    "amperes": "current",
    "watts": "power",
    "hertz": "frequency",
    "rpm": "fan",
}
_OK: Final = 1
_STATUSES: Final = {2: "the device says that the sensor is unavailable", 3: "the device says that the sensor is broken"}
_TWICE: Final = parse_oid("1.3.6.1.4.1.2509")
"""Aviat: its newer firmware says of 53,703 mV that they are millivolts, and have three decimals, which would be 54 mV."""

_YOCTO, _UNITS_SCALE, _YOTTA, _STEP = 1, 9, 17, 3


def columns_of(tables: list[Oid]) -> list[Oid]:
    """What is needed of these tables."""
    if not tables:
        return []
    parts = (_TYPE, _SCALE, _PRECISION, _VALUE, _STATUS)
    return [_NAME, _DESCR, *(child(table, part) for table in tables for part in parts)]


def find_entity_sensors(table: Oid, questions: Questions, object_id: Oid = b"") -> Iterator[Found]:
    """The sensors of this table. `object_id`: the device's sysObjectID."""
    types, scales, precisions, values, statuses = (questions.columns[child(table, part)] for part in range(_TYPE, _STATUS + 1))
    is_twice = is_within(object_id, _TWICE)
    for index, (tag, value) in values.items():
        name = label_at(questions.columns[_NAME], index) or label_at(questions.columns[_DESCR], index) or f"sensor {index[-1]}"
        kind, scale, precision = (column.get(index, (0, None))[1] for column in (types, scales, precisions))
        status = statuses.get(index, (0, _OK))[1]
        if isinstance(status, int) and status in _STATUSES:
            yield NotTaken(name, _STATUSES[status])
            continue
        if is_beyond(child(table, _VALUE, *index), value):
            yield NotTaken(name, "the device says that it is beyond what the sensor can measure")
            continue
        if not isinstance(kind, int) or not isinstance(scale, int) or not isinstance(precision, int):
            yield NotTaken(name, "the device does not say what it measures")
            continue
        if not (_YOCTO <= scale <= _YOTTA and -8 <= precision <= 9):
            yield NotTaken(name, f"a scale of {scale} and a precision of {precision}, which RFC 3433 does not have")
            continue
        unit = _UNITS.get(kind, "")
        quantity = _NAMES.get(unit, "")
        column = Column(
            child(table, _VALUE),
            name,
            unit=unit,
            divisor=_divisor(scale, 0 if is_twice and scale != _UNITS_SCALE else precision),
            states=_TRUE_OR_FALSE if kind == 12 else None,
        )
        called = name if not quantity or quantity in name.casefold() else f"{name} {quantity}"
        yield sensor_or_not(child(table, _VALUE, *index), tag, value, column, called, TABLES[table])


def _divisor(scale: int, precision: int) -> float:
    """What a raw value is divided by, to be in the unit: 1000 for millivolts, or for volts with 3 decimals."""
    # a negative precision is the number of digits that count, and changes nothing
    exponent = max(precision, 0) - _STEP * (scale - _UNITS_SCALE)
    return 10.0**exponent
