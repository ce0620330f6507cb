"""Why the file is not in use, so that polls go on in memory (opening.py), and what follows from it once it can be opened.

Synchronous, for the writer's thread.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Away(Enum):
    """Why the file is not in use. This decides what memory has of it."""

    UNOPENED = auto()
    """It could not be opened at the start. Memory has nothing of it."""
    UNWRITABLE = auto()
    """It accepts no writes. Memory has its layouts; all else waits in it, until the disk has room for what comes from memory."""
    GONE = auto()
    """It is no longer at its path. Memory, or a file without a name, has all that it had."""
    CORRUPT = auto()
    """No new file could take its place. Memory has its layouts, and the polls of its tail."""


@dataclass
class Absence:
    """A time in which the file is not in use. `because`: why, for the operator.

    `not_stored_because`: why the file did not take what is in memory, when it could be opened; "": it was not tried.
    """

    why: Away
    because: str
    not_stored_because: str = ""
