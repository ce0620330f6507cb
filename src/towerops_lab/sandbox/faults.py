"""A script of the sandbox's faults: which requests meet which fault, and for how long.

    sandbox.faults.answer(503, times=2, path=METRICS_PATH)       # the next two deliveries
    outage = sandbox.faults.answer(503)                          # everything, until outage.clear()
    hung = sandbox.faults.hold(times=1)                          # the next request gets no answer until hung.clear()

A request meets the first active fault that fits its path. Faults of metrics are also checked one by one.
No I/O and no clock: app.py carries the faults out. Used on one event loop's thread.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from towerops_agent.api.wire.contract import METRICS_PATH, Metric
from towerops_lab.sandbox.changes import Changes


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this answer. `taken`: the request has its effect first, else no effect."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Do not answer until the fault is cleared. `taken`: the request has its effect first, else after the hold."""

    taken: bool


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer late. `taken` as in Hold."""

    delay_s: float
    taken: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection instead of an answer. `taken`: the request has had its effect."""

    taken: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """413 over this many metrics, or octets of body as sent."""

    max_metrics: int | None
    max_body_bytes: int | None


@dataclass(frozen=True, slots=True)
class RefuseMetrics:
    """Refuse each batch with a matching metric."""

    matches: Callable[[Metric], bool]
    reason: str
    status: int


Effect = Answer | Hold | Delay | Cut
MetricsEffect = Limit | RefuseMetrics


class Fault:
    """One line of the script. `hits`: how many requests have met it."""

    def __init__(self, effect: Effect | MetricsEffect, path: str | None, times: int | None) -> None:
        self.effect = effect
        self.path = path
        self.hits = 0
        self.cleared = asyncio.Event()
        self._times = times
        self._changes = Changes()

    def fits(self, path: str) -> bool:
        """Whether it is active, and for this path."""
        spent = self._times is not None and self.hits >= self._times
        return not spent and not self.cleared.is_set() and self.path in (None, path)

    def hit(self) -> None:
        """Note that a request has met it."""
        self.hits += 1
        self._changes.tell()

    def clear(self) -> None:
        """End it: no further request meets it, and held requests go on."""
        self.cleared.set()

    async def met(self, times: int = 1) -> None:
        """Return as soon as this many requests have met it."""
        await self._changes.until(lambda: self.hits >= times)


class Faults:
    """The script. Each method adds a line to it; `path` None means every path, `times` None until cleared."""

    def __init__(self) -> None:
        self._script: list[Fault] = []

    def answer(
        self,
        status: int,
        *,
        retry_after: int | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        taken: bool = False,
        path: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Send this answer. `retry_after`: seconds, or the header's text; `taken`: the request has its effect first, as with a
        server that stores a batch and then answers oddly.
        """
        retry = {} if retry_after is None else {"retry-after": str(retry_after)}
        return self._add(Answer(status, {**(headers or {}), **retry}, body, taken), path, times)

    def redirect(self, location: str, *, status: int = 307, path: str | None = None, times: int | None = None) -> Fault:
        """Redirect the client."""
        return self._add(Answer(status, {"location": location}), path, times)

    def garbage(
        self,
        body: bytes = b"<html>Please log in</html>",
        *,
        taken: bool = False,
        path: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Answer 200 with a body that is not JSON, as a captive portal does; `taken` as in answer()."""
        return self._add(Answer(200, {"content-type": "text/html"}, body, taken), path, times)

    def refuse_token(self, *, status: int = 401, path: str | None = None, times: int | None = None) -> Fault:
        """Refuse every token, also the right one. To change the right one, change Store.tokens."""
        return self._add(Answer(status, {"www-authenticate": "Bearer"}, b'{"error":"unknown token"}'), path, times)

    def hold(self, *, taken: bool = False, path: str | None = None, times: int | None = None) -> Fault:
        """Do not answer until the fault is cleared; `taken`: the request has its effect first, else after the hold."""
        return self._add(Hold(taken), path, times)

    def delay(self, delay_s: float, *, taken: bool = False, path: str | None = None, times: int | None = None) -> Fault:
        """Answer late; `taken` as in hold()."""
        return self._add(Delay(delay_s, taken), path, times)

    def cut(self, *, taken: bool, path: str | None = None, times: int | None = None) -> Fault:
        """End the connection instead of an answer; `taken`: after the request has had its effect."""
        return self._add(Cut(taken), path, times)

    def limit(self, *, max_metrics: int | None = None, max_body_bytes: int | None = None, times: int | None = None) -> Fault:
        """413 over this many metrics, or octets of body as sent, though the configuration promises more."""
        return self._add(Limit(max_metrics, max_body_bytes), METRICS_PATH, times)

    def refuse_metrics(
        self, matches: Callable[[Metric], bool], reason: str, *, status: int = 422, times: int | None = None
    ) -> Fault:
        """Refuse each batch with a matching metric, and store none of it."""
        return self._add(RefuseMetrics(matches, reason, status), METRICS_PATH, times)

    def clear(self) -> None:
        """End all faults; requests that are held go on."""
        for fault in self._script:
            fault.clear()
        self._script.clear()

    def meet(self, path: str) -> tuple[Fault, Effect] | None:
        """The fault that a request to this path meets, which counts as a hit."""
        for fault in self._script:
            if fault.fits(path) and isinstance(fault.effect, Effect):
                fault.hit()
                return fault, fault.effect
        return None

    def ahead(self, path: str) -> Effect | None:
        """The effect of the fault that the next request to this path would meet; that is not a hit."""
        return next((each.effect for each in self._script if each.fits(path) and isinstance(each.effect, Effect)), None)

    def for_metrics(self) -> Iterator[tuple[Fault, MetricsEffect]]:
        """The faults to check a batch against. A caller that refuses it for one calls that fault's hit()."""
        for fault in self._script:
            if fault.fits(METRICS_PATH) and isinstance(fault.effect, MetricsEffect):
                yield fault, fault.effect

    def _add(self, effect: Effect | MetricsEffect, path: str | None, times: int | None) -> Fault:
        fault = Fault(effect, path, times)
        self._script.append(fault)
        return fault
