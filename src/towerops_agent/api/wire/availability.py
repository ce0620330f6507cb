"""Whether one of the agent's dealings with the API works, since when, and which of its failures deserve a log line.

Kept by config/sync.py, and by delivery's courier.py and heartbeat.py; read by the status. A long outage does not flood the log:
the first failure is logged, then each new reason, else one failure a minute.
Pure: the clock is passed in. Microseconds since 1970 (`_us`).
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Availability:
    """`works`: None before the first outcome; `since_us`: when it last changed. Times are None until they are known."""

    repeat_us: int | None = 60_000_000  # None: the same failure is logged once
    works: bool | None = None
    since_us: int | None = None
    last_success_us: int | None = None
    last_failure_us: int | None = None
    last_failure: str = ""
    failures: int = 0  # since it last worked
    unlogged: int = 0  # failures since the last one that was logged
    _logged_us: int = 0

    def succeeded(self, now_us: int) -> bool:
        """Note a success: whether it is a change of state."""
        changed = self.works is not True
        if changed:
            self.works, self.since_us = True, now_us
        self.last_success_us = now_us
        return changed

    def failed(self, reason: str, now_us: int) -> bool:
        """Note a failure: whether to log it."""
        first = self.works is not False
        if first:
            self.works, self.since_us, self.failures, self.unlogged = False, now_us, 0, 0
        again = self.repeat_us is not None and abs(now_us - self._logged_us) >= self.repeat_us
        log = first or reason != self.last_failure or again
        self.last_failure_us, self.last_failure = now_us, reason
        self.failures += 1
        if log:
            self._logged_us = now_us
        else:
            self.unlogged += 1
        return log

    def take_unlogged(self) -> int:
        """How many failures were not logged since the last line, for the next line."""
        unlogged, self.unlogged = self.unlogged, 0
        return unlogged
