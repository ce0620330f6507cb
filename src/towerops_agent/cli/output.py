"""Standard output of a command: what can't be written ends the command with the reason, not with a traceback.

I/O: writes to file descriptor 1.
"""

import errno
import io
import sys
from typing import TYPE_CHECKING

from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STANDARD_OUTPUT = 1


class OutputLost(AgentError):
    """Standard output can't be written. The text says why."""


class _Output(io.FileIO):
    """After the first failure what is written is dropped, so that the flush at the end of Python does not fail again."""

    def __init__(self) -> None:
        super().__init__(STANDARD_OUTPUT, "w", closefd=False)
        self._is_lost = False

    def write(self, octets: "ReadableBuffer") -> int:
        """How many octets were written. Raises OutputLost; BrokenPipeError if nobody reads any more."""
        if self._is_lost:
            return len(memoryview(octets))
        try:
            return super().write(octets)
        except OSError as error:
            self._is_lost = True
            if error.errno == errno.EPIPE:
                raise
            raise OutputLost(f"standard output can't be written: {error.strerror}; what was written is not complete") from error


def check_output() -> None:
    """From now on sys.stdout raises OutputLost."""
    before = sys.stdout
    if isinstance(before, io.TextIOWrapper):
        before.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Output()),
            before.encoding,
            before.errors,
            line_buffering=before.line_buffering or before.write_through,  # the latter: PYTHONUNBUFFERED
        )
