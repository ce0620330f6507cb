"""Findings of a reading beside its values: for the poller's log, and for the doctor's report.

Pure values.
"""

from dataclasses import dataclass

from towerops_agent.snmp.wire.oddities import Oddity


@dataclass(frozen=True, slots=True)
class AnswersElsewhere:
    """The device answers from this address, which differs from the one that is asked."""

    address: str


@dataclass(frozen=True, slots=True)
class WorksAt:
    """Of the addresses of the device's name, this one works, and the one before it does not."""

    address: str


@dataclass(frozen=True, slots=True)
class OddReplies:
    """The device's replies were odd in this way twice, and are accepted from now on."""

    oddity: Oddity


@dataclass(frozen=True, slots=True)
class Paced:
    """The device answers one request in this time, in seconds, and drops the others. None: no longer."""

    gap_s: float | None


@dataclass(frozen=True, slots=True)
class ByNext:
    """The device gives these OIDs by GETNEXT and denies them by GET, so they are asked that way. `oids`: how many; 0: all."""

    oids: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The device has restarted since it was last read."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The device's counters began again, and its sysUpTime did before it was last read: it may be another."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An interface was found at another ifIndex, and is read there from now on."""

    if_name: str
    before: int
    now: int


@dataclass(frozen=True, slots=True)
class Gone:
    """No interface has this name (any more). `if_index`: as configured; `there`: the device's name at it."""

    if_name: str
    if_index: int
    there: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several interfaces of the device have this name, and none stands out; `if_indexes`: theirs."""

    if_name: str
    if_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """An interface that was gone is there again, at this ifIndex."""

    if_name: str
    if_index: int


News = AnswersElsewhere | WorksAt | OddReplies | Paced | ByNext | Restarted | Replaced | Moved | Gone | Ambiguous | Back
