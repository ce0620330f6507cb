"""How many metrics a batch is cut with: what the server says it takes, or the less that it took.

courier.py tells it what came of each batch. Pure.
"""

from towerops_agent.api.accepts import Accepts

DELIVERED_BEFORE_GROWTH = 100


class BatchSize:
    """Halved when a batch was too large, and doubled again after 100 batches that were not: limits change."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._delivered = 0

    def within(self, accepts: Accepts) -> int:
        """The most metrics of the next batch."""
        return accepts.max_metrics if self._limit is None else min(self._limit, accepts.max_metrics)

    def too_large(self, metric_count: int) -> None:
        """Note that a batch of so many metrics was too large."""
        self._limit = max(1, metric_count // 2)
        self._delivered = 0

    def one_too_large(self) -> None:
        """Note that a single metric was too large, which tells nothing of the others: forget what was learned."""
        self._limit = None

    def delivered(self) -> None:
        """Note that a batch was taken."""
        if self._limit is None:
            return
        self._delivered += 1
        if self._delivered >= DELIVERED_BEFORE_GROWTH:
            self._limit *= 2
            self._delivered = 0
