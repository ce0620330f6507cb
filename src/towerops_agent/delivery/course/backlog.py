"""How a backlog goes down: how much is left of it, how old that is, and how long it will take; and when to log it.

course.py and verdicts.py report what was delivered, courier.py and `status` show the Backlog.
Pure: both clocks are passed in. Seconds (`_s`) on the monotonic clock, microseconds since 1970 (`_us`).
"""

from dataclasses import dataclass

from towerops_agent.text import duration

REPORT_EVERY_S = 60.0
FIRST_ESTIMATE_AFTER_S = 5.0
LEAST_BEHIND_S = 60.0
"""A younger backlog is not worth a line: it is one late delivery."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog. `behind_s`: the age of its oldest value; `drained_in_s`: None while none of it is being delivered."""

    metrics: int
    behind_s: float
    drained_in_s: float | None = None

    def __str__(self) -> str:
        drained = "not being delivered" if self.drained_in_s is None else f"drained in about {duration(self.drained_in_s)}"
        return f"backlog {duration(self.behind_s)}, {drained}"


class CatchUp:
    """One backlog, from its split from the fresh values to its end."""

    def __init__(self) -> None:
        self.delivered = 0
        self._left = 0
        self._oldest_us: int | None = None
        self._began_s: float | None = None  # when the first delivery of it ended
        self._reports = 0
        self._reported_s = 0.0
        self._marks: list[tuple[float, int]] = []  # (time, metrics delivered until then): the last two reports

    def measured(self, metrics: int, oldest_us: int | None) -> None:
        """Note the size."""
        self._left, self._oldest_us = metrics, oldest_us

    def stopped(self) -> None:
        """Note that nothing can be delivered for now: the estimate is no longer valid."""
        self._marks = []

    def took(self, metrics: int, oldest_us: int | None, now_s: float) -> None:
        """Note that this many were delivered, the oldest of them from then."""
        self.delivered += metrics
        if self._began_s is None:
            self._began_s = now_s
        if not self._marks:
            self._marks = [(now_s, self.delivered)]
        self._left = max(0, self._left - metrics)
        self._oldest_us = oldest_us if oldest_us is not None else self._oldest_us

    def state(self, now_us: int, now_s: float) -> Backlog | None:
        """The current backlog; None if there is none."""
        if not self._left or self._oldest_us is None:
            return None
        return Backlog(self._left, max(0.0, (now_us - self._oldest_us) / 1e6), self._drained_in_s(now_s))

    def report(self, now_us: int, now_s: float) -> Backlog | None:
        """The state, when a log line is due: at the start, when there is an estimate, then each minute."""
        state = self.state(now_us, now_s)
        if state is None or not self._marks:
            return None
        if self._reports:
            if now_s < self._reported_s + (FIRST_ESTIMATE_AFTER_S if self._reports == 1 else REPORT_EVERY_S):
                return None
            self._marks = [*self._marks[-1:], (now_s, self.delivered)]
        elif state.behind_s < LEAST_BEHIND_S:
            return None
        self._reports += 1
        self._reported_s = now_s
        return state

    def took_s(self, now_s: float) -> float | None:
        """How long it has taken, for the log's line of its end; None if its start was not logged."""
        return None if not self._reports or self._began_s is None else now_s - self._began_s

    def _drained_in_s(self, now_s: float) -> float | None:
        if not self._marks:
            return None
        since_s, delivered = self._marks[0]
        if now_s <= since_s or self.delivered == delivered:
            return None
        return self._left * (now_s - since_s) / (self.delivered - delivered)
