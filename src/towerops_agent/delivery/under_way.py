"""The requests that are under way: a task for each, with its batch.

courier.py starts them and waits for them. I/O: tasks of the event loop. Seconds (`_s`) on the monotonic clock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from math import inf

from towerops_agent.buffer.format.batch import Batch


class UnderWay:
    """Requests under way. A batch stays among them until `rest` has seen the end of its task."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]], monotonic_s: Callable[[], float]) -> None:
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._tasks: dict[asyncio.Task[None], Batch] = {}

    def start(self, batch: Batch, attempt: Coroutine[None, None, None]) -> None:
        """Begin one."""
        self._tasks[asyncio.create_task(attempt)] = batch

    async def rest(self, until_s: float) -> list[Batch]:
        """The ended ones, once there is one, or at that time. Raises what a task raised."""
        pause_s = max(0.0, until_s - self._monotonic_s())
        if not self._tasks:
            await self._sleep(pause_s)
            return []
        timer = None if until_s == inf else asyncio.ensure_future(self._sleep(pause_s))
        try:
            await asyncio.wait({*self._tasks, *([timer] if timer else ())}, return_when=asyncio.FIRST_COMPLETED)
            if timer is not None and timer.done():
                timer.result()
        finally:
            if timer is not None:
                timer.cancel()
        done = [task for task in self._tasks if task.done()]
        ended = [self._tasks.pop(task) for task in done]
        for task in done:
            task.result()
        return ended

    async def call_off(self) -> None:
        """End them all; the batches stay open in the buffer."""
        tasks = [*self._tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
