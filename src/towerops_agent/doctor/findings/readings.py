"""What a device's answers come to: which of its sensors and interfaces can be read, and what the rest lacks.

Equipment + why values are missing -> Gaps -> what is said of the device. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from towerops_agent.doctor.findings.check import Result
from towerops_agent.model import Equipment, Interface
from towerops_agent.polling.course.news import AnswersElsewhere, ByNext, Gone, Moved, News, OddReplies, Paced, WorksAt
from towerops_agent.polling.course.plan import PER_INTERFACE
from towerops_agent.reasons import HIDDEN, Reason, reason_of
from towerops_agent.snmp.wire.ber import format_oid

MOST_SHOWN: Final = 3


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
        return 0 < self.total == len(self.gaps) and all(gap.reason in HIDDEN for gap in self.gaps)

    @property
    def result(self) -> Result:
        """How bad it is. It is not that a device says that there is nothing."""
        if not self._unread:
            return Result.OK
        return Result.FAILED if self._unread == self.total else Result.WARNING

    @property
    def _unread(self) -> int:
        """How many can't be read; those can at which there is nothing."""
        return sum(gap.reason != Reason.NOTHING_THERE for gap in self.gaps)

    @property
    def found(self) -> str:
        """How much can be read, and what can't: the first few of each reason."""
        if not self.total:
            return "no readings are configured"
        read = f"{self.total - self._unread} of {self.total} can be read"
        if not self._unread:
            read = f"all {self.total} can be read" if self.total > 1 else "the configured reading can be read"
        by_reason: dict[str, list[str]] = {}
        for gap in self.gaps:
            by_reason.setdefault(gap.reason, []).append(gap.item)
        parts = [f"{_text(reason)}: {_some(items)}" for reason, items in by_reason.items()]
        return "; ".join((read, *parts))

    @property
    def hint(self) -> str:
        """What to do about it."""
        if not self.total:
            return "only whether it answers is reported: add sensors or interfaces to its configuration"
        reasons = dict.fromkeys(reason_of(gap.reason) or Reason.OTHER for gap in self.gaps)
        return "; ".join(dict.fromkeys(reason.hint for reason in reasons if reason.hint))


def find_gaps(equipment: Equipment, missing: Mapping[int, str]) -> Gaps:
    """`missing`: why, by the value's index in a poll (interpret.py). An interface lacks what both its octets lack."""
    gaps = [
        Gap(f"sensor {sensor.id} ({format_oid(sensor.oid)})", missing[i])
        for i, sensor in enumerate(equipment.sensors)
        if i in missing
    ]
    first = len(equipment.sensors)
    for i, interface in enumerate(equipment.interfaces):
        octets_in = first + i * PER_INTERFACE
        if octets_in in missing and octets_in + 1 in missing:
            gaps.append(Gap(f"interface {_called(interface)}", missing[octets_in]))
    return Gaps(tuple(gaps), len(equipment.sensors) + len(equipment.interfaces))


def _called(interface: Interface) -> str:
    """Its index and its name, as far as it is configured with them."""
    if not interface.if_index:
        return interface.if_name
    return f"{interface.if_index} ({interface.if_name})" if interface.if_name else str(interface.if_index)


def shown(news: Iterable[News]) -> list[str]:
    """The news of a reading, in words."""
    news = list(news)
    texts = [f"from another address ({item.address})" for item in news if isinstance(item, AnswersElsewhere)]
    texts += [f"at {item.address}, not at an address of its name before it" for item in news if isinstance(item, WorksAt)]
    texts += [item.oddity.text for item in news if isinstance(item, OddReplies)]
    texts += [f"answers one request in {item.gap_s:.1f} s" for item in news if isinstance(item, Paced) and item.gap_s is not None]
    others = [f"{item.if_index} is {item.there}, not {item.if_name}" for item in news if isinstance(item, Gone) and item.there]
    if others:
        texts.append(f"has other interfaces at their indexes: {_some(others)}")
    texts += ["only to GETNEXT what it denies by GET" for item in news if isinstance(item, ByNext)]
    moved = [f"{item.if_name} at {item.now} instead of {item.before}" for item in news if isinstance(item, Moved)]
    if moved:
        texts.append(f"has moved interfaces: {_some(moved)}")
    return texts


def _text(word: str) -> str:
    reason = reason_of(word)
    return word if reason is None else reason.text


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:MOST_SHOWN])
    return f"{shown} and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else shown
