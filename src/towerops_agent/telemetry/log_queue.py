"""The queue that log lines leave by: bounded, and written by a thread.

logs.py makes the lines -> here -> a file descriptor, as a rule standard error. A log that blocks (a full pipe, a terminal stopped
by Ctrl-S, a log driver that hangs) or cannot be written costs only lines: no poll and no stop waits for it.
I/O: a thread and a descriptor. Sizes in octets, times in seconds.
"""

import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

MOST_OCTETS: Final = 1 << 20
"""The most that may wait to be written: thousands of lines."""

CLOSE_WITHIN_S: Final = 1.0
"""How long a stop waits for the last lines."""


class LogQueue:
    """A stream of text for one or more writers. Inert until the first line.

    `count` is called with the number of lines that were dropped, before the line that says so.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, most_octets: int = MOST_OCTETS) -> None:
        self._descriptor = descriptor
        self._most_octets = most_octets
        self._lines: deque[bytes] = deque()
        self._octets = 0
        self._dropped = 0
        self._closing = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self.count: Callable[[int], None] = lambda _lines: None

    def write(self, text: str) -> None:
        """Queue `text`, or drop it if too much waits already. Never blocks, never raises."""
        line = text.encode(self.encoding, "backslashreplace")
        with self._change:
            if self._octets + len(line) > self._most_octets:
                self._dropped += 1
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self.count(dropped)
            log.error("log could not be written in time, lines were dropped", lines=dropped)  # comes back here, ahead of `text`
        with self._change:
            self._lines.append(line)
            self._octets += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def flush(self) -> None:
        """Do nothing: the thread writes each line as soon as it can be written."""

    def drained(self, within_s: float) -> bool:
        """Whether all lines are written, within this time."""
        with self._change:
            return self._change.wait_for(lambda: not self._lines, within_s)

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Wait until all lines are written, at most this long. What is written afterwards may be lost."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._lines:
                    if self._closing:
                        return
                    self._change.wait()
                line = self._lines[0]
            self._put(line)
            with self._change:  # counted until it is out: a line that blocks takes its room
                self._lines.popleft()
                self._octets -= len(line)
                self._change.notify_all()

    def _put(self, line: bytes) -> None:
        """Write all of `line`, for as long as it takes; give it up if the descriptor cannot be written at all."""
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # somebody who shares the pipe has made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:  # a closed pipe, a full disk
                return
