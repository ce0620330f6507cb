"""Log lines: a constant message and its fields, as logfmt or as JSON, one line each.

structlog's lines and those of other libraries (the standard library's logging, from WARNING up) go the same way:
event -> fields in order -> secrets hidden -> one line -> LogQueue -> a file descriptor, as a rule standard error. A log that
blocks (a full pipe, a terminal stopped by Ctrl-S, a log driver that hangs) or cannot be written costs only lines: no poll and no
stop waits for it. The clock is passed in. I/O: a thread and a descriptor. Sizes in octets, times in seconds.

structlog's own LogfmtRenderer is not used: it passes control characters through, and a device's name could then forge a line
or control the terminal.
"""

import json
import logging
import math
import os
import re
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO, cast

import structlog

from towerops_agent.masking import masked
from towerops_agent.model import Secret
from towerops_agent.setting import LogFormat

log = structlog.get_logger()

MOST_OCTETS: Final = 1 << 20
"""The most that may wait to be written: thousands of lines."""

CLOSE_WITHIN_S: Final = 1.0
"""How long a stop waits for the last lines."""


class LogQueue:
    """A stream of text for one or more writers. Inert until the first line.

    `count` is called with the number of lines that were dropped; one that could not be written (a full disk) is, too. Once all
    that waits is written, the log says how many.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, most_octets: int = MOST_OCTETS) -> None:
        self._descriptor = descriptor
        self._most_octets = most_octets
        self._lines: deque[bytes] = deque()
        self._octets = 0
        self._dropped = 0  # since `count` was called
        self._unsaid = 0  # and since that was logged
        self._is_cut = False  # whether the descriptor has the beginning of a line, and not the rest
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
                self._unsaid += 1
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self.count(dropped)
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
            fails = not self._put(line)
            with self._change:
                self._dropped += fails
                self._unsaid += fails
                unsaid = 0 if fails or len(self._lines) > 1 else self._unsaid
                self._unsaid -= unsaid
            if unsaid:  # comes to `write`, from this thread: whoever has called it holds structlog's lock of this stream
                log.error("log could not be written, lines were dropped", lines=unsaid)
            with self._change:  # counted until it is out: a line that blocks takes its room
                self._lines.popleft()
                self._octets -= len(line)
                self._change.notify_all()

    def _put(self, line: bytes) -> bool:
        """Write all of `line`, for as long as it takes; False: it is given up, as the descriptor cannot be written at all."""
        left = memoryview(b"\n" + line if self._is_cut else line)
        while left:
            try:
                written = os.write(self._descriptor, left)
                left = left[written:]
                self._is_cut = bool(left)
            except BlockingIOError:  # somebody who shares the pipe has made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:  # a closed pipe, a full disk
                return False
        return True


SHORTEST_HIDDEN = 6
"""Characters. A shorter secret is not searched for: it would match parts of ordinary words."""

MOST_OF_ONE_PLACE = 5
"""Secrets that replace each other: the one in use, and some before it, which a request under way may have."""

_WELL_KNOWN = frozenset({"public", "private"})  # default communities: not secret, and ordinary words
_FIRST = ("time", "level", "msg")
_traceback = structlog.processors.format_exc_info

MOST_CHARACTERS = 2_000
"""Of one field: a device may have a name of a megabyte."""

MOST_OF_TRACEBACK = 20_000

_hidden: set[str] = set()  # process-wide, as logging is


def unhide() -> None:
    """Hide nothing any more: for a process that begins again, as each test does."""
    _hidden.clear()


def hide(*secrets: Secret) -> None:
    """Replace these texts by *** in every line from now on: a last resort, for texts that are no longer in a Secret.

    However they are written there (masking.py). Each costs a search through each line, for good: use it for a few.
    """
    texts = {secret.reveal() for secret in secrets}
    _hidden.update(text for text in texts if len(text) >= SHORTEST_HIDDEN and text not in _WELL_KNOWN)


def hider() -> Callable[[Secret], None]:
    """How what comes from one place one after the other, the tokens of a file, is hidden: the latest MOST_OF_ONE_PLACE of them.

    Nobody holds the earlier ones any more. With a token each hour, lines would cost more and more.
    """
    latest: dict[str, None] = {}

    def hide_next(secret: Secret) -> None:
        text = secret.reveal()
        latest.pop(text, None)
        latest[text] = None
        hide(secret)
        if len(latest) > MOST_OF_ONE_PLACE:
            earliest = next(iter(latest))
            del latest[earliest]
            _hidden.discard(earliest)

    return hide_next


def configure(
    level: str,
    log_format: LogFormat,
    stream: TextIO | LogQueue,
    *,
    secrets: Iterable[Secret] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Send all log lines from `level` up (debug, info, warning, error) to `stream`; may be called again."""
    hide(*secrets)
    least = logging.getLevelNamesMapping()[level.upper()]
    lines = _Lines(json.dumps if log_format == "json" else _logfmt_line, now)
    steady = cast(TextIO, stream if isinstance(stream, LogQueue) else _SteadyStream(stream))
    structlog.configure(
        processors=[lines.from_structlog],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(steady),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, _Lines)]:
        root.removeHandler(old)
    handler = logging.StreamHandler(steady)
    handler.setFormatter(lines)
    handler.setLevel(max(least, logging.WARNING))
    root.addHandler(handler)
    root.setLevel(max(least, logging.WARNING))


class _SteadyStream:
    """A stream that fails silently: a log that can't be written (a closed pipe, a full disk) never costs a poll."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except UnicodeEncodeError:  # a character that the stream's encoding lacks
            self.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        except (OSError, ValueError):  # ValueError: closed
            pass

    def flush(self) -> None:
        """Nothing: each write flushes."""


class _Lines(logging.Formatter):
    """Makes one line of one event, of structlog or of the standard library."""

    def __init__(self, render: Callable[[Mapping[str, object]], str], now: Callable[[], datetime]) -> None:
        super().__init__()
        self._render = render
        self._now = now

    def from_structlog(self, _logger: object, method: str, event: structlog.typing.EventDict) -> str:
        """structlog's last processor."""
        message = event.pop("event", "")
        return self._line("error" if method == "exception" else method, message, event)

    def format(self, record: logging.LogRecord) -> str:
        """The line of a LogRecord, which logging.Handler asks for."""
        return self._line(record.levelname.lower(), record.getMessage(), {"logger": record.name, "exc_info": record.exc_info})

    def _line(self, level: str, message: object, fields: structlog.typing.EventDict) -> str:
        trace = str(_traceback(None, level, fields).pop("exception", ""))
        moment = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": moment, "level": level, "msg": _plain(message)}
        line |= {f"{name}_" if name in _FIRST else _without_secrets(name): _plain(value) for name, value in fields.items()}
        if trace:
            line["exception"] = _cut(_without_secrets(trace), MOST_OF_TRACEBACK)
        return self._render(line)


def _plain(value: object) -> object:
    """The value as JSON can write it, without secrets."""
    match value:
        case Secret():
            return "***"
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {_without_secrets(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in cast(Sequence[object], value)]
        case _:
            return _cut(_without_secrets(str(value)), MOST_CHARACTERS)


def _cut(text: str, most: int) -> str:
    """`text`, without its middle if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]}[… {len(text) - most} characters …]{text[len(text) - most // 2 :]}"


def _without_secrets(text: str) -> str:
    return masked(text, _hidden) if _hidden else text


def _logfmt_line(line: Mapping[str, object]) -> str:
    return " ".join(f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}={_logfmt_value(value)}" for name, value in line.items())


def _logfmt_value(value: object) -> str:
    """Bare if that is unambiguous, else quoted as in JSON; true, false, nothing for None, "" for the empty text."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    if text and text.isprintable() and not any(c in ' "=\\' for c in text):
        return text
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else json.dumps(c)[1:-1] for c in text) + '"'
