"""Waiting for a condition over something that changes on this event loop, without polling it by the clock."""

import asyncio
from collections.abc import Callable


class Changes:
    """The writer announces a change; waiters then check again. Used on one event loop's thread."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    def mark(self) -> asyncio.Event:
        """An event that the first change after this call sets."""
        return self._next

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds. It is checked now and after each change."""
        while not condition():
            await self._next.wait()
