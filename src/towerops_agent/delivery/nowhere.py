"""Delivery without a destination: values are kept for a day, for `history`, and then removed, counted as expired.

An agent with site files and no destination. I/O: the buffer, the log. Seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from towerops_agent.api.wire.outcomes import Availability
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.delivery.courier import clean_up
from towerops_agent.delivery.course.pace import Backlog


class Delivery(Protocol):
    """What the agent, its status and its metrics page need of a courier, whatever it delivers to."""

    @property
    def availability(self) -> Availability: ...  # noqa: D102  # as Courier's, all of them

    @property
    def in_flight(self) -> int: ...  # noqa: D102

    @property
    def backlog(self) -> Backlog | None: ...  # noqa: D102

    async def run(self) -> None: ...  # noqa: D102

    def hurry(self) -> None: ...  # noqa: D102

    async def run_cleanup(self) -> None: ...  # noqa: D102

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool: ...  # noqa: D102

    async def retry_refused(self) -> int: ...  # noqa: D102


class Nowhere:
    """Delivers nothing."""

    def __init__(self, buffer: Buffer, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._buffer = buffer
        self._sleep = sleep
        self.availability = Availability()
        self.in_flight = 0
        self.backlog: Backlog | None = None

    async def run(self) -> None:
        """Do nothing, for good."""
        await asyncio.Event().wait()

    def hurry(self) -> None:
        """Nothing is delivered any sooner."""

    async def run_cleanup(self) -> None:
        """Clean the buffer up, for good."""
        await clean_up(self._buffer, self._sleep)

    async def deliver_pending(self, attempts: int = 1, within_s: float = inf) -> bool:  # noqa: ARG002 - Delivery's
        """True: nothing is to be delivered."""
        return True

    async def retry_refused(self) -> int:
        """How many refused metrics were delivered after all: there are none."""
        return 0
