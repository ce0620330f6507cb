"""What a receiver's answer means: among others, samples that are too late, which no retry makes earlier, or some refused.

Status and text -> an outcome. Receivers say it with 400, 409, 422 and 500, so their words decide.
Pure. Sources: Prometheus 2.42 (storage/remote/write_handler.go), Mimir's errors catalogue, Thanos 0.28 (pkg/receive/handler.go),
VictoriaMetrics 1.79, InfluxDB 1.6 (services/httpd/handler.go, tsdb/store.go) and 2.7, the OTLP specification 1.x.
"""

import re
from dataclasses import dataclass
from typing import Final

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable


@dataclass(frozen=True, slots=True)
class TooLate:
    """The receiver has later samples: of whatever series (`by_time`: out of bounds), or of one in the request (out of order)."""

    status: int
    reason: str
    by_time: bool

    @property
    def is_prometheus(self) -> bool:
        """Whether the words are Prometheus' own: it has stored nothing of the request then, where others store the rest."""
        return self.status == 400 and _PROMETHEUS.match(self.reason) is not None

    @property
    def is_doubled(self) -> bool:
        """Whether it has another value of a series at the very time of one that was sent."""
        return _DOUBLED.search(self.reason) is not None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Not about what was sent: credentials or URL are wrong. `reason`: what happened, and the next step."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class PartlyTaken:
    """The receiver has the request but for `refused` of its values, in its own count. `reason`: its words."""

    status: int
    reason: str
    refused: int


WriteOutcome = Accepted | PartlyTaken | TooLate | TooLarge | Rejected | Misconfigured | Unavailable

_BY_TIME: Final = re.compile(r"(?<!index )out of bounds(?! for length)|too old|too-old|too far in the past", re.IGNORECASE)
"""But not a receiver's own fault with an index, in the words of Java (Elasticsearch) or Rust."""

_AHEAD: Final = re.compile(r"too far in (the )?future", re.IGNORECASE)
"""A newer Prometheus says "out of bounds" of that too (write_handler.go, timeLimitAppender). Nothing is late by it."""

_OF_SERIES: Final = re.compile(r"out[ -]of[ -]order|duplicate sample|sample-duplicate|duplicate-timestamp", re.IGNORECASE)
_CONFLICT: Final = re.compile(r"(.*: )?conflict\b", re.IGNORECASE)
"""All that a Thanos such as 0.28 says, with 409, of samples that are out of order or doubled."""

_OF_PARTS: Final = re.compile(r"\d+ errors: .*(not available|not ready|unavailable|deadline ?exceeded|connection)", re.IGNORECASE)
"""A Thanos of several, each of which has a part of the series, says so of all of them: 409 too if one has later samples and
another one is away, or has not answered (pkg/receive/handler.go, determineWriteErrorCause)."""

_PROMETHEUS: Final = re.compile("out of order sample(; | out| dup|…|$)|duplicate sample for timestamp")
"""For OTLP a newer one says so of each sample in turn (otlptranslator, FromMetrics), and may be cut short."""

_DOUBLED: Final = re.compile("duplicate sample for timestamp")
_OF_DATA: Final = re.compile(r"label name .* is not unique|invalid (label|metric|sample)|duplicate label", re.IGNORECASE)

_PARTIAL: Final = "partial write: "
_DROPPED: Final = re.compile(r".* dropped=(\d+)")
_UNPARSABLE: Final = "unable to parse '"

_REFUSALS: Final = frozenset({400, 409, 422})
_DATA_STATUSES: Final = _REFUSALS | {500}

_NOT_TLS: Final = re.compile("HTTP request (was sent )?to (an )?HTTPS|plain HTTP to an SSL", re.IGNORECASE)
"""What Go's servers, nginx and Apache answer with 400 to whatever is sent without TLS to a port that expects it."""

_CUT_OFF: Final = "reset before headers"
"""In Envoy's 503, as in a service mesh, if its connection to the receiver ended after it had passed the request on."""

_PAGE: Final = "with a web page: is the URL right, or does a login page or a proxy answer? It says: "

_OF_ITSELF: Final = re.compile(
    r"not available|not ready|unavailable|deadline ?exceeded|connection|live replicas|unhealthy|shutting down|no space left"
    r"|read-?only|overload|rate limit|too many (outstanding )?requests|queue is full|out of memory|memory (usage|limit)"
    r"|max(-|imum )memory[- ]size|in-?flight|ingestion rate|context cancell?ed|stopping|hinted handoff",
    re.IGNORECASE,
)
"""Words for a state of the receiver, or of a part of it, such as that it is overloaded. A Mimir or a Cortex that lacks some of
its parts says with 500 "at least 2 live replicas required" of a request with any series of these, and accepts others (dskit,
ring/replication_strategy.go)."""

_STATES: Final = frozenset({507, 529})
"""No room; overloaded, as a Mimir says if it is set up to, of what is above a rate."""


def is_about_itself(outcome: Unavailable) -> bool:
    """Whether a receiver speaks of its own state, which passes, and not of what was sent."""
    return outcome.status is not None and (outcome.status in _STATES or _OF_ITSELF.search(outcome.reason) is not None)


def outcome_of(
    status: int,
    said: str,
    location: str = "",
    retry_after_s: float | None = None,
    lacking: str = "nothing at this URL ({status})",
    *,
    from_page: bool = False,
) -> WriteOutcome:
    """The outcome of an answer. `said`: its text in one line, all of it, as what counts may stand at its end.

    `lacking`: what to correct if there is no such path. `from_page`: whether it is a web page's, with which no receiver says that
    it has something, or refuses it: one that is "out of order" is about no sample.
    """
    if status == 400 and _NOT_TLS.search(said):
        return Misconfigured(status, f"it expects TLS ({status}): is the URL right? It begins with http://")
    if from_page and (200 <= status < 300 or status in _REFUSALS):
        return Unavailable(f"status {status} {_PAGE}{said}", status, retry_after_s)
    if 200 <= status < 300:
        return Accepted(status)
    if status == 409 and not from_page and _OF_PARTS.match(said):
        return Unavailable(f"status {status}: {said}", status, retry_after_s, cut_off=True)
    if status in _DATA_STATUSES and not from_page:
        if _PARTIAL in said:  # InfluxDB counts none of the lines that it can't read
            dropped = _DROPPED.match(said)
            return PartlyTaken(status, said, (int(dropped[1]) if dropped else 0) or said.count(_UNPARSABLE) or 1)
        if _BY_TIME.search(said) and not _AHEAD.search(said):
            return TooLate(status, said, by_time=True)
        if _OF_SERIES.search(said) or (status == 409 and _CONFLICT.match(said)):
            return TooLate(status, said, by_time=False)
        if status != 500 or _OF_DATA.search(said):
            return Rejected(status, said or "no reason given")
    match status:
        case 401 | 403 if from_page:
            return Misconfigured(status, f"refused ({status}) {_PAGE}{said}")
        case 401 | 403:
            return Misconfigured(status, f"the credentials are refused ({status}): are they right, and may they write?")
        case 404 | 405:
            return Misconfigured(status, f"{lacking.format(status=status)}{f' (it says: {said})' if said else ''}")
        case 413:
            return TooLarge()
        case 415:
            what = "does not take this kind of data: is the URL right, and that of this kind of destination?"
            return Misconfigured(status, f"it {what} ({status}){f' (it says: {said})' if said else ''}")
        case _ if 300 <= status < 400:
            return Misconfigured(status, f"redirected to {location or 'nowhere'} ({status}), not followed: is the URL right?")
    return Unavailable(f"status {status}: {said or 'an empty body'}", status, retry_after_s, cut_off=_CUT_OFF in said)
