"""A delivery, as the parts see it that start it and report on it: to the API, to destinations, or to both.

No I/O here: courier.py delivers to the API, destinations/ elsewhere.
"""

from collections.abc import Sequence
from math import inf
from typing import Protocol

from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.delivery.course.backlog import Backlog


class Delivery(Protocol):
    """What the agent, its status and its metrics page need of a courier, whatever it delivers to."""

    @property
    def availability(self) -> Availability: ...  # noqa: D102  # as Courier's, all of them

    @property
    def delivers(self) -> bool: ...  # noqa: D102

    @property
    def lines(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def in_flight(self) -> int: ...  # noqa: D102

    @property
    def is_behind(self) -> bool: ...  # noqa: D102

    @property
    def backlog(self) -> Backlog | None: ...  # noqa: D102

    def hurry(self) -> None: ...  # noqa: D102

    async def run(self) -> None: ...  # noqa: D102

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool: ...  # noqa: D102

    async def retry_refused(self) -> int: ...  # noqa: D102
