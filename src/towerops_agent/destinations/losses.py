"""What a destination does not get: counted at once, by reason, and logged once in a while.

I/O: the log. Microseconds since 1970 (`_us`).
"""

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.destinations.wire.answers import PartlyTaken
from towerops_agent.reasons import Loss
from towerops_agent.repeats import LOG_EACH_US, Repeats

log = structlog.get_logger()


class Losses:
    """Of one destination, whose name it is."""

    def __init__(self, name: str, counters: Counters, now_us: Callable[[], int]) -> None:
        self._name = name
        self._counters = counters
        self._now_us = now_us
        self._partly = Repeats()
        self._unlogged: Counter[Loss] = Counter()
        self._logged_us = 0

    def add(self, lost: Mapping[Loss, int]) -> None:
        """So many metrics are dropped, by reason."""
        for reason, metrics in lost.items():
            self._counters.add(Count.METRICS_DROPPED, reason, metrics)
            self._unlogged[reason] += metrics
        if abs(self._now_us() - self._logged_us) >= LOG_EACH_US:
            self.report()

    def report(self) -> None:
        """Log what was dropped since the last such line."""
        for reason, metrics in self._unlogged.items():
            log.warning("metrics can't be delivered, dropped", destination=self._name, reason=reason, metrics=metrics)
        if self._unlogged:
            self._unlogged.clear()
            self._logged_us = self._now_us()

    def partly(self, sent: int, outcome: PartlyTaken) -> int:
        """How many of the sent metrics the receiver did not take from a request that it took; which ones it does not say."""
        refused = min(outcome.refused, sent)
        self._counters.add(Count.METRICS_REFUSED, self._name, refused)
        unlogged = self._partly.due(self._now_us()) if refused else None
        if unlogged is not None:
            log.warning(
                "destination refused some metrics of a batch",
                destination=self._name,
                metrics=refused,
                status=outcome.status,
                reason=outcome.reason,
                unlogged=unlogged,
            )
        return refused

    def refused(self, status: int | None, reason: str) -> None:
        """A single metric, which is kept."""
        self._counters.add(Count.METRICS_REFUSED, self._name)
        self._counters.add(Count.BATCHES, "refused")
        log.warning("metric refused, kept aside", destination=self._name, status=status, reason=reason)
