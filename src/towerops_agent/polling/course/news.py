"""What a reading of a device found out beside its values: for the poller's log, and for the doctor's report.

Pure values.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswersElsewhere:
    """The device answers from this address, which is another one than it is asked at."""

    address: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The device has restarted since it was last read."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An interface was found at another ifIndex, where it is read from now on."""

    if_name: str
    before: int
    now: int


@dataclass(frozen=True, slots=True)
class Gone:
    """No interface has this name, or has it any more. `if_index`: as configured; `there`: the name that the device has for it."""

    if_name: str
    if_index: int
    there: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several interfaces of the device have this name, and none of them stands out; `if_indexes`: theirs."""

    if_name: str
    if_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """An interface that was gone is there again, at this ifIndex."""

    if_name: str
    if_index: int


News = AnswersElsewhere | Restarted | Moved | Gone | Ambiguous | Back
