"""Sensors that say themselves what they measure: RFC 3433's and Cisco's of the same shape."""

import pytest

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.entities import CISCO, ENTITY, columns_of, find_entity_sensors
from towerops_agent.discovery.course.findings import FoundSensor, NotTaken
from towerops_agent.discovery.course.sensors import Found
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, format_oid, parse_oid
from towerops_agent.snmp.wire.message import Version

NAME, DESCR = parse_oid("1.3.6.1.2.1.47.1.1.1.1.7"), parse_oid("1.3.6.1.2.1.47.1.1.1.1.2")


def found(*row: int | bytes | None, table: Oid = ENTITY, name: bytes = b"", descr: bytes = b"", index: int = 7) -> Found:
    """The one sensor of a row: type, scale, precision, value, status; None: absent."""
    questions = Questions(Version.V2C)
    for part, value in enumerate(row, start=1):
        if value is not None:
            tag = ber.INTEGER if isinstance(value, int) else ber.OCTET_STRING
            questions.columns[child(table, part)][index,] = (tag, value)
    for column, text in ((NAME, name), (DESCR, descr)):
        if text:
            questions.columns[column][index,] = (ber.OCTET_STRING, text)
    (one,) = find_entity_sensors(table, questions)
    return one


def test_only_the_columns_of_tables_that_are_there_are_needed():
    assert columns_of([]) == []
    needed = [NAME, DESCR, *(child(ENTITY, part) for part in range(1, 6)), *(child(CISCO, part) for part in range(1, 6))]
    assert columns_of([ENTITY, CISCO]) == needed


@pytest.mark.parametrize(("table", "source"), [(ENTITY, "entity-sensor"), (CISCO, "cisco-entity-sensor")])
def test_a_sensor_is_all_that_its_row_says(table, source):
    assert found(8, 8, 1, 415, 1, table=table, name=b"Board") == FoundSensor(
        parse_oid(f"{format_oid(table)}.4.7"), "Board temperature", "temperature", "celsius", 10_000.0, 415, source, None
    )


@pytest.mark.parametrize(
    ("kind", "unit", "called", "type"),
    [
        (3, "volts", "Rail voltage", "voltage"),
        (4, "volts", "Rail voltage", "voltage"),
        (5, "amperes", "Rail current", "current"),
        (6, "watts", "Rail power", "power"),
        (7, "hertz", "Rail frequency", "frequency"),
        (8, "celsius", "Rail temperature", "temperature"),
        (9, "percent", "Rail", "percent"),
        (10, "rpm", "Rail fan", "fanspeed"),
        (11, "cubic meters per minute", "Rail", "count"),
        (14, "dBm", "Rail", "dbm"),
        (1, "", "Rail", "count"),
        (99, "", "Rail", "count"),
    ],
)
def test_what_it_measures_is_its_unit_its_type_and_the_end_of_its_name(kind, unit, called, type):  # noqa: A002 - as a sensor has it
    one = found(kind, 9, 0, 1, 1, name=b"Rail")
    assert isinstance(one, FoundSensor)
    assert (one.unit, one.name, one.type, one.states) == (unit, called, type, None)


def test_a_name_that_has_the_quantity_already_stays_as_it_is():
    assert [getattr(found(8, 9, 0, 1, 1, name=name), "name", "") for name in (b"CPU TEMPERATURE 1", b"Temp")] == [
        "CPU TEMPERATURE 1",
        "Temp temperature",
    ]


def test_a_truth_value_is_a_state_in_words():
    one = found(12, 9, 0, 2, 1, name=b"Door")
    assert isinstance(one, FoundSensor)
    assert (one.name, one.type, one.states) == ("Door", "state", {1: "true", 2: "false"})


def test_a_sensor_is_called_by_its_name_else_its_description_else_its_index():
    """RFC 6933: entPhysicalName, entPhysicalDescr."""
    names = [found(9, 9, 0, 1, 1, **texts) for texts in ({"name": b"a", "descr": b"b"}, {"descr": b"b"}, {})]  # type: ignore[arg-type]
    assert [one.name for one in names if isinstance(one, FoundSensor)] == ["a", "b", "sensor 7"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((8, 9, 0, 41, 2), "the device says that the sensor is unavailable"),
        ((8, 9, 0, 41, 3), "the device says that the sensor is broken"),
        *(((8, 9, 3, error, 1), "the device says that it is beyond what the sensor can measure") for error in (-(10**9), 10**9)),
        ((None, None, None, 41, 3), "the device says that the sensor is broken"),
        *(
            (row, "the device does not say what it measures")
            for row in ((None, 9, 0, 41, 1), (8, None, 0, 41, 1), (8, 9, None, 41, 1), (b"8", 9, 0, 41, 1), (8, b"", 0, 41, 1))
        ),
        ((8, 9, b"0", 41, 1), "the device does not say what it measures"),
        ((8, 0, 0, 41, 1), "a scale of 0 and a precision of 0, which RFC 3433 does not have"),
        ((8, 18, 1, 41, 1), "a scale of 18 and a precision of 1, which RFC 3433 does not have"),
        ((8, 9, 10, 41, 1), "a scale of 9 and a precision of 10, which RFC 3433 does not have"),
        ((8, 9, -9, 41, 1), "a scale of 9 and a precision of -9, which RFC 3433 does not have"),
    ],
)
def test_what_can_not_be_polled_is_left_out_with_the_reason(row, why):
    assert found(*row, name=b"Board") == NotTaken("Board", why)


@pytest.mark.parametrize("status", [1, 4, 0, None, b"3"])
def test_a_status_that_does_not_say_that_it_is_broken_leaves_the_sensor(status):
    assert isinstance(found(8, 9, 0, 41, status), FoundSensor)
