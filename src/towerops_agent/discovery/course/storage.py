"""Memory and disks of HOST-RESOURCES-MIB: used and size, in octets. Pure. Source: RFC 2790 §4.2 (hrStorageTable)."""

from collections.abc import Iterator
from typing import Final

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import NotTaken
from towerops_agent.discovery.course.profile import Column
from towerops_agent.discovery.course.sensors import Found, label_at, sensor_or_not
from towerops_agent.snmp.wire.ber import Oid, child, parse_oid

HR_STORAGE: Final = parse_oid("1.3.6.1.2.1.25.2.3.1")
SOURCE: Final = "host-resources"

_DESCR, _UNITS, _SIZE, _USED = (child(HR_STORAGE, part) for part in (3, 4, 5, 6))
COLUMNS: Final[tuple[Oid, ...]] = (_DESCR, _UNITS, _SIZE, _USED)


def find_storage(questions: Questions) -> Iterator[Found]:
    """Two sensors a row: what is used, and of how much."""
    columns = questions.columns
    for index in columns[_SIZE]:
        name = label_at(columns[_DESCR], index) or f"storage {index[-1]}"
        units = columns[_UNITS].get(index, (0, None))[1]
        size = columns[_SIZE][index][1]
        if not isinstance(units, int) or units <= 0 or not isinstance(size, int) or size <= 0:
            yield NotTaken(name, "without a size")
            continue
        for column, what in ((_USED, "used"), (_SIZE, "size")):
            if index in columns[column]:
                tag, value = columns[column][index]
                described = Column(column, name, type="storage", unit="bytes", divisor=1 / units)
                yield sensor_or_not(child(column, *index), tag, value, described, f"{name} {what}", SOURCE)
