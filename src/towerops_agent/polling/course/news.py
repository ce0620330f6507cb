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
    """An interface is no longer there. `if_index`: as configured."""

    if_name: str
    if_index: int


@dataclass(frozen=True, slots=True)
class Back:
    """An interface that was gone is there again, at this ifIndex."""

    if_name: str
    if_index: int


News = AnswersElsewhere | Restarted | Moved | Gone | Back
