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
    """A time in which the file is not in use. `because`: why it is not; `still_because`: why not at the last try, or "".

    `devices`: those of which the file had layouts that could be read. Memory may have freed these since.
    """

    why: Away
    because: str
    still_because: str = ""
    devices: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Both reasons, for the operator: the disk may be full no longer, and the file read-only since."""
        return self.because if self.still_because in ("", self.because) else f"{self.because}; now: {self.still_because}"
