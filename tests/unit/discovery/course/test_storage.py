"""Memory and disks: what is used and of how much, in octets whatever the device counts in."""

import pytest

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import FoundSensor, NotTaken
from towerops_agent.discovery.course.sensors import Found
from towerops_agent.discovery.course.storage import COLUMNS, find_storage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, format_oid
from towerops_agent.snmp.wire.message import Value, Version

TABLE = "1.3.6.1.2.1.25.2.3.1"


def found(*rows: tuple[Value, Value, Value, Value]) -> list[Found]:
    """Of rows of description, units, size and what is used; None: absent."""
    questions = Questions(Version.V2C)
    for index, row in enumerate(rows, start=5):
        for column, value in zip(COLUMNS, row, strict=True):
            if value is not None:
                questions.columns[column][index,] = (ber.INTEGER if isinstance(value, int) else ber.OCTET_STRING, value)
    return list(find_storage(questions))


def test_a_row_is_two_sensors_that_are_divided_to_octets():
    assert [format_oid(column) for column in COLUMNS] == [f"{TABLE}.{part}" for part in (3, 4, 5, 6)]
    assert found((b"RAM", 4096, 1000, 250)) == [
        FoundSensor(child(COLUMNS[3], 5), "RAM used", "storage", "bytes", 1 / 4096, 250, "host-resources"),
        FoundSensor(child(COLUMNS[2], 5), "RAM size", "storage", "bytes", 1 / 4096, 1000, "host-resources"),
    ]


def test_what_is_used_may_be_absent_and_the_name_too():
    assert [each.name for each in found((None, 1, 1, None), (b"a", 1, 1, 0)) if isinstance(each, FoundSensor)] == [
        "storage 5 size",
        "a used",
        "a size",
    ]


@pytest.mark.parametrize(("units", "size"), [(0, 5), (-1, 5), (None, 5), (b"4", 5), (4, 0), (4, -5), (4, b"5")])
def test_a_row_without_a_size_is_left_out_and_costs_no_other(units, size):
    first, *others = found((b"bad", units, size, 1), (b"good", 1, 1, 1))
    assert first == NotTaken("bad", "without a size")
    assert len(others) == 2
