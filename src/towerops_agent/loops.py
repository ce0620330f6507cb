"""Runs a loop for good: a bug in it is logged and counted, and the loop starts again.

I/O: the log. Seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.errors import is_out_of_memory

BEGIN_AGAIN_S: Final = 5.0
"""How long a loop that met a bug waits before it starts again."""

log = structlog.get_logger()


async def go_on(name: str, run: Callable[[], Awaitable[None]], counters: Counters) -> None:
    """Run a loop until it is cancelled. `name`: for the operator."""
    task = asyncio.current_task()
    while True:
        try:
            await run()
        except Exception as error:
            if is_out_of_memory(error):  # nothing that is begun again would have more
                raise
            counters.add(Count.BUGS, name)
            log.exception("loop failed because of a bug, starts again; please report it", loop=name, in_s=BEGIN_AGAIN_S)
            if task is not None and task.cancelling():  # the bug took the place of the cancellation, as in a TaskGroup
                raise asyncio.CancelledError from None
        await asyncio.sleep(BEGIN_AGAIN_S)
