"""Log lines: a constant message and its fields, as logfmt or as JSON, one line each.

structlog's lines and those of other libraries (the standard library's logging, from WARNING up) go the same way:
event -> fields in order -> secrets hidden -> one line -> stream. The clock is passed in; the only I/O is the stream's.

structlog's own LogfmtRenderer is not used: it passes control characters through, and a device's name could then forge a line
or control the terminal.
"""

import json
import logging
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog

from towerops_agent.model import Secret
from towerops_agent.settings import LogFormat
from towerops_agent.telemetry.log_queue import LogQueue

SHORTEST_HIDDEN = 6
"""Characters. A shorter secret is not searched for: it would match parts of ordinary words."""

_WELL_KNOWN = frozenset({"public", "private"})  # default communities: not secret, and ordinary words
_FIRST = ("time", "level", "msg")

MOST_CHARACTERS = 2_000
"""Of one field: a device may have a name of a megabyte."""

MOST_OF_TRACEBACK = 20_000

_hidden: list[
    str
] = []  # process-wide, as logging is; the longest first, so that no end of a secret is left when a shorter one is its beginning


def unhide() -> None:
    """Hide nothing any more: for a process that begins again, as each test does."""
    _hidden.clear()


def hide(*secrets: Secret) -> None:
    """Replace these texts by *** in every line from now on: a last resort, for texts that are no longer in a Secret.

    Each costs a search through each line: use it for the token and the communities, not for thousands of texts.
    """
    texts = {secret.reveal() for secret in secrets}
    fit = {text for text in texts if len(text) >= SHORTEST_HIDDEN and text not in _WELL_KNOWN}
    quoted = {repr(text)[1:-1] for text in fit}  # as tracebacks and messages quote it
    _hidden[:] = sorted({*_hidden, *fit, *quoted}, key=len, reverse=True)


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
    lines = _Lines(_json_line if log_format == "json" else _logfmt_line, now)
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
        error = _error_of(fields.pop("exc_info", None))
        moment = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": moment, "level": level, "msg": _plain(message)}
        line |= {f"{name}_" if name in _FIRST else _without_secrets(name): _plain(value) for name, value in fields.items()}
        if error is not None:
            line["exception"] = _cut(_without_secrets("".join(traceback.format_exception(error)).rstrip()), MOST_OF_TRACEBACK)
        return self._render(line)


def _error_of(exc_info: object) -> BaseException | None:
    """The exception meant by an `exc_info` argument: True, an exception or sys.exc_info()'s triple."""
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case _ if exc_info:
            return sys.exc_info()[1]
    return None


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
    for hidden in _hidden:
        if hidden in text:
            text = text.replace(hidden, "***")
    return text


def _json_line(line: Mapping[str, object]) -> str:
    return json.dumps(line)


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
