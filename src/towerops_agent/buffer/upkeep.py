"""Has the buffer cleaned up each 5 minutes: the agent's loop `cleanup`.

I/O: the buffer, the log. Seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.errors import BufferFailure

CLEANUP_INTERVAL_S: Final = 300.0

log = structlog.get_logger()


async def keep_clean(
    buffer: Buffer, moved: Callable[[float], None], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Clean the buffer up, for good: now and every 5 minutes.

    `moved` is called before each step and each pause, with the seconds until the next step at the latest.
    """
    while True:
        try:
            await buffer.clean_up(moved)
        except BufferFailure as error:
            log.error("buffer can't be cleaned up, will retry", error=str(error), retry_in_s=CLEANUP_INTERVAL_S)
        moved(CLEANUP_INTERVAL_S)
        await sleep(CLEANUP_INTERVAL_S)
