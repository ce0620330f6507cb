"""How many metrics a batch has: the server's stated limit, or a smaller number that it accepted, or accepted quickly.

pace.py and course.py report the result of each batch. Pure.
"""

from towerops_agent.config.document.accepts import Accepts

DELIVERED_BEFORE_GROWTH = 100
"""After a batch that was too large: limits change, and to test one costs a request."""

QUICK_BEFORE_GROWTH = 10
"""After a batch that took long: links and servers recover, and a test costs nothing."""

LEAST_FOR_SLOWNESS = 100
"""Below this a request costs more than its metrics, and smaller batches are not quicker."""


class BatchSize:
    """Halved when a batch was too large or took long, and doubled again after a number of batches that were neither."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._delivered = 0
        self._delivered_before_growth = DELIVERED_BEFORE_GROWTH

    def within(self, accepts: Accepts) -> int:
        """The most metrics of the next batch."""
        return accepts.max_metrics if self._limit is None else min(self._limit, accepts.max_metrics)

    def too_large(self, metric_count: int) -> None:
        """Note that a batch of this many metrics was too large."""
        self._shrink(max(1, metric_count // 2), DELIVERED_BEFORE_GROWTH)

    def one_too_large(self) -> None:
        """Note that a single metric was too large, which shows nothing about the others: forget the learned size."""
        self._limit = None

    def slow(self, metric_count: int) -> None:
        """Note that a batch of this many metrics took long, or was never answered."""
        if metric_count > LEAST_FOR_SLOWNESS:
            self._shrink(max(LEAST_FOR_SLOWNESS, metric_count // 2), QUICK_BEFORE_GROWTH)

    def delivered(self) -> None:
        """Note that a batch was accepted."""
        if self._limit is None:
            return
        self._delivered += 1
        if self._delivered >= self._delivered_before_growth:
            self._limit *= 2
            self._delivered = 0

    def _shrink(self, limit: int, delivered_before_growth: int) -> None:
        """At most `limit`: of several requests under way, those sent before it was learned show less than is known."""
        if self._limit is None or limit < self._limit:
            self._limit, self._delivered_before_growth = limit, delivered_before_growth
        self._delivered = 0
