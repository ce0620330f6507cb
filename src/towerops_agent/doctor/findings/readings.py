"""What a device's answers come to: which of its sensors and interfaces can be read, and what the rest lacks.

Equipment + why values are missing -> Gaps -> what is said of the device. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towerops_agent.doctor.findings.check import Mark
from towerops_agent.model import Equipment
from towerops_agent.polling.course.plan import PER_INTERFACE
from towerops_agent.polling.course.state import ABSENT_REASONS
from towerops_agent.snmp.wire.oid import format_oid

HIDING_REASONS: Final = frozenset(
    ("noSuchObject", "noSuchInstance", "endOfMibView", "noSuchName", "authorizationError", "noAccess")
)
"""As a device says that there is no such OID; and so it does of what a view hides (RFC 3415 §3.2, RFC 3416 §4.2.1)."""

MOST_SHOWN: Final = 3

_WORDS: Final = {
    "timeout": "met with silence",
    "deadline": "not asked for lack of time",
    "not_a_number": "no number",
    "not_a_counter": "no counter",
    "negative_counter": "a negative counter",
    "null": "empty",
    "omitted": "left out of the answer",
    "unreadable": "encoded wrong",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """A sensor or interface that gave nothing. `item`: which, for people."""

    item: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gaps:
    """All that gave nothing, of `total` sensors and interfaces."""

    gaps: tuple[Gap, ...]
    total: int

    @property
    def all_hidden(self) -> bool:
        """Whether there are some, and the device says of each that there is no such OID, or that it may not be seen."""
        return 0 < self.total == len(self.gaps) and all(gap.reason in HIDING_REASONS for gap in self.gaps)

    @property
    def mark(self) -> Mark:
        """How bad it is."""
        if not self.gaps:
            return Mark.OK
        return Mark.FAILED if len(self.gaps) == self.total else Mark.WARNING

    @property
    def found(self) -> str:
        """How much can be read, and what not: the first few of each reason."""
        read = self.total - len(self.gaps)
        if not self.total:
            return "nothing is configured to be read"
        if not self.gaps:
            return f"all {self.total} can be read" if self.total > 1 else "what is configured can be read"
        by_reason: dict[str, list[str]] = {}
        for gap in self.gaps:
            by_reason.setdefault(gap.reason, []).append(gap.item)
        parts = [f"{_words(reason)}: {_some(items)}" for reason, items in by_reason.items()]
        return f"{read} of {self.total} can be read; {'; '.join(parts)}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        reasons = {gap.reason for gap in self.gaps}
        if reasons & HIDING_REASONS:
            return (
                "such sensors or interfaces do not exist on this device (another model or firmware, a part not fitted), or a "
                "view hides them: correct them in Towerops"
            )
        if reasons & ABSENT_REASONS:
            return "correct the sensors in Towerops: a reading is a number"
        return "the device's own fault: look for newer firmware" if reasons else ""


def find_gaps(equipment: Equipment, missing: Mapping[int, str]) -> Gaps:
    """`missing`: why, by the value's index in a poll (see polling.interpret). An interface lacks what both its octets lack."""
    gaps = [
        Gap(f"sensor {sensor.id} ({format_oid(sensor.oid)})", missing[i])
        for i, sensor in enumerate(equipment.sensors)
        if i in missing
    ]
    first = len(equipment.sensors)
    for i, interface in enumerate(equipment.interfaces):
        octets_in = first + i * PER_INTERFACE
        if octets_in in missing and octets_in + 1 in missing:
            called = f" ({interface.if_name})" if interface.if_name else ""
            gaps.append(Gap(f"interface {interface.if_index}{called}", missing[octets_in]))
    return Gaps(tuple(gaps), len(equipment.sensors) + len(equipment.interfaces))


def _words(reason: str) -> str:
    if reason in HIDING_REASONS:
        return f"not there ({reason})"
    return _WORDS.get(reason, reason)


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:MOST_SHOWN])
    return f"{shown} and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else shown
