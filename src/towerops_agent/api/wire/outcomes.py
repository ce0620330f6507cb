"""The outcomes of requests to the API, as values; and what a series of them shows: whether the API works, and what to log of it.

client.py makes the outcomes, verdicts.py and config/sync.py decide on them without exceptions; each row of the answers' table in
docs/api.md is one class. A long outage does not flood the log: the first failure is logged, then each new reason, else one a
minute.
Pure: the clock is passed in. Seconds (`_s`), microseconds since 1970 (`_us`). Texts are printable and short, and never contain
the token.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from towerops_agent.repeats import LOG_EACH_US

MOST_RETRY_AFTER_S = 600.0
"""The longest wait that the agent obeys; a longer one is cut to it."""

MOST_SKEW_S = 30.0
"""Between this machine's clock and the server's: readings carry this clock's time, and a wrong one misplaces them all."""

SOON_S = 14 * 86_400.0
"""So long before a certificate ends the agent says so: programs renew theirs earlier, and whoever does it by hand has time."""

SOON_SHARE = 0.25
"""Of a shorter life so much: ACME clients, cert-manager and step renew what lives for days or hours with a third of it left."""

_MARKUP: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-z]", re.IGNORECASE)

Document_co = TypeVar("Document_co", covariant=True)
"""The configuration, in the form that the caller's intake returns."""


class Intake(Protocol[Document_co]):
    """Receives the configuration as it arrives. Both methods may raise InvalidConfig."""

    def write(self, chunk: bytes) -> None:
        """Receive the next octets."""

    def finish(self) -> Document_co:
        """The whole configuration."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """2xx: the server has it. `received`: how many metrics it says it received; None if it does not say."""

    status: int = 200
    reason: str = ""
    received: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigFetched(Generic[Document_co]):
    """The configuration. `etag`: to send with the next request. `ahead_s`: how far our clock is ahead of the server's.

    Each is None if the server did not send it.
    """

    config: Document_co
    etag: str | None = None
    ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: the configuration is still the one that the sent etag names. `ahead_s`: as in ConfigFetched."""

    ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401 or 403: the server refuses the token. `page`: the beginning of a web page that says so, which may be another's."""

    status: int
    page: str = ""

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        if self.page:
            who = "does a proxy or a firewall on the way answer, or is the token revoked?"
            return f"refused with a web page ({self.status}): {who} It says: {self.page}"
        return f"the token is refused ({self.status}): is it the agent's, and not revoked?"


@dataclass(frozen=True, slots=True)
class NotFound:
    """404: there is no such path."""

    path: str
    status: int = 404

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        return f"no {self.path} at this base URL (404): is TOWEROPS_API_URL right? It ends before /api/v1"


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: more than the server accepts in one request."""

    reason: str = "more than the server accepts in one request (413)"
    status: int = 413


@dataclass(frozen=True, slots=True)
class Rejected:
    """400 or 422: the server can't use what was sent. `reason`: the beginning of its answer."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """3xx: not followed, as the token goes to no other host. `target`: the Location, "" if there is none."""

    status: int
    target: str

    @property
    def reason(self) -> str:
        """What happened, and the next step."""
        return f"redirected to {self.target or 'nowhere'} ({self.status}), not followed: is TOWEROPS_API_URL right?"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No valid answer, but perhaps later: 408, 429, 5xx, no connection, no TLS, no JSON.

    `status`: None if there was no answer at all. `retry_after_s`: None if the server did not say. `timed_out`: the
    server was reached, but its answer did not arrive in time. `not_sent`: no connection was made, so that
    the server has nothing of the request. `cut_off`: a proxy answered, as its connection to the server ended after it
    had passed the request on; or a server of several, of which one did not.
    """

    reason: str
    status: int | None = None
    retry_after_s: float | None = None
    timed_out: bool = False
    not_sent: bool = False
    cut_off: bool = False


Failure = Unauthorized | NotFound | TooLarge | Rejected | Redirected | Unavailable
Outcome = Accepted | Failure
ConfigOutcome = ConfigFetched[Document_co] | NotModified | Failure


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server has it. `received`: how many metrics it says it received; None if it does not say."""

    received: int | None = None


def is_page(body: bytes) -> bool:
    """Whether the body of an answer begins as a web page does: a proxy, a login page or another server may have answered."""
    return _MARKUP.match(body) is not None


def acknowledgement(body: bytes) -> Acknowledgement | str:
    """The acknowledgement in the body of a 2xx answer; or what is wrong with it, to be continued by the beginning of the body.

    A captive portal answers 200 to everything, and so does many a proxy with a page of its own. The server's word is a JSON
    object that does not report an error, or no body at all.
    """
    if not body.strip():
        return Acknowledgement()
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "a body that is not JSON"
    if not isinstance(said, dict):
        return "a body that is not a JSON object"
    status = said.get("status")
    if isinstance(status, str) and status.lower() == "error":
        return "a body that reports an error"
    received = said.get("received")
    return Acknowledgement(received if isinstance(received, int) and not isinstance(received, bool) else None)


def http_date(value: str | None) -> datetime | None:
    """The moment in an HTTP date, with its time zone; None if `value` is not one."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError, IndexError):  # the parser's exceptions for garbage
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The seconds, 0 to 600, that a Retry-After asks for (RFC 9110 §10.2.3): a number, or a date relative to `now`.

    None if `value` is neither.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_RETRY_AFTER_S)
    moment = http_date(text)
    if moment is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), MOST_RETRY_AFTER_S)


def ahead_s(date: datetime | None, sent: datetime, received: datetime) -> float | None:
    """How far this clock is ahead of a server that wrote `date` between the two moments; None if it sent no date.

    0 if the two may agree: a date has whole seconds (RFC 9110 §5.6.7), and the moment between the two is not known.
    """
    if date is None:
        return None
    early, late = (sent - date).total_seconds() - 1, (received - date).total_seconds()
    if early > 0 and late > 0:
        return min(early, late)
    return late if late < 0 else 0.0


class Validity(NamedTuple):
    """From when until when a certificate is valid, in seconds since 1970."""

    since_s: float
    until_s: float

    @property
    def soon_s(self) -> float:
        """From when on it is said to end soon."""
        return self.until_s - min(SOON_S, SOON_SHARE * (self.until_s - self.since_s))


class Certificate(NamedTuple):
    """Until when a certificate in use is valid. `of`: the server's name for the operator; `is_own`: the agent's own, for it.

    `soon_s`: from when on it is said to end soon. Both are seconds since 1970.
    """

    of: str
    is_own: bool
    until_s: float
    soon_s: float

    @property
    def name(self) -> str:
        """No two have the same."""
        return f"{self.of} client" if self.is_own else self.of


class ClockSkew:
    """`ahead_s`: as last measured, None before. `is_wrong`: whether the clocks are more than 30 s apart."""

    def __init__(self) -> None:
        self.ahead_s: float | None = None
        self.is_wrong = False

    def measured(self, ahead_s: float | None) -> bool:
        """Note a measurement, which may be None: whether it changes `is_wrong`."""
        if ahead_s is None:
            return False
        self.ahead_s = ahead_s
        was_wrong, self.is_wrong = self.is_wrong, abs(ahead_s) > MOST_SKEW_S
        return was_wrong != self.is_wrong


@dataclass(slots=True)
class Availability:
    """Whether one of the agent's dealings with the API works, since when, and which of its failures deserve a log line.

    `works`: None before the first outcome; `since_us`: when it last changed. Times are None until they are known; they are on
    `steady_us`, a clock that goes on evenly and is never set, or without one on that of the calls.
    """

    steady_us: Callable[[], int] | None = None
    repeat_us: int | None = LOG_EACH_US  # None: the same failure is logged once
    works: bool | None = None
    since_us: int | None = None
    last_success_us: int | None = None
    last_failure: str = ""
    failures: int = 0  # since it last worked
    unlogged: int = 0  # failures since the last one that was logged
    on_change: Callable[[bool, str, int], None] | None = None
    """Called with each change of `works`: the new one, why it is not, when by the clock of the calls."""
    _logged_us: int = 0

    def succeeded(self, now_us: int) -> bool:
        """Note a success: whether it is a change of state."""
        changed, steady_us = self.works is not True, self._steady(now_us)
        if changed:
            self.works, self.since_us = True, steady_us
            if self.on_change is not None:
                self.on_change(True, "", now_us)
        self.last_success_us = steady_us
        return changed

    def failed(self, reason: str, now_us: int) -> bool:
        """Note a failure: whether to log it."""
        first = self.works is not False
        if first:
            self.works, self.since_us, self.failures, self.unlogged = False, self._steady(now_us), 0, 0
            if self.on_change is not None:
                self.on_change(False, reason, now_us)
        again = self.repeat_us is not None and abs(now_us - self._logged_us) >= self.repeat_us
        log = first or reason != self.last_failure or again
        self.last_failure = reason
        self.failures += 1
        if log:
            self._logged_us = now_us
        else:
            self.unlogged += 1
        return log

    def _steady(self, now_us: int) -> int:
        return now_us if self.steady_us is None else self.steady_us()

    def take_unlogged(self) -> int:
        """How many failures were not logged since the last line, for the next line."""
        unlogged, self.unlogged = self.unlogged, 0
        return unlogged
