"""The agent inside the test's own process: its loops run, and a test may look into its parts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from support.agent import TOKEN
from support.hang import HANG_S
from towerops_agent.agent import Agent
from towerops_agent.model import Secret
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.reading import Poller, PollResult
from towerops_agent.settings import Settings


@asynccontextmanager
async def running(url: str, folder: Path, destinations: Path | None = None) -> AsyncIterator[Agent]:
    """An agent in this process, which fetches its configuration when it is asked to. Its stop submits all that is pending."""
    settings = Settings(
        api_url=url,
        token=Secret(TOKEN),
        database_path=folder / "agent.db",
        config_refresh_s=86_400,
        destinations=destinations,
    )
    agent = Agent(settings)
    stop = asyncio.Event()
    with patch("towerops_agent.agent.STOP_WITHIN_S", HANG_S):
        task = asyncio.create_task(agent.run(stop))
        try:
            yield agent
        finally:
            stop.set()
            await task


async def polls_of(agent: Agent, key: str, more: int) -> None:
    """Return when the device has been polled so many times more."""
    seen = 0
    enough = asyncio.Event()
    poll = Poller.poll

    async def counted(poller: Poller, device: Device, within_s: float) -> PollResult:
        nonlocal seen
        result = await poll(poller, device, within_s)
        seen += device.id == key
        if seen >= more:
            enough.set()  # who waits goes on once the fleet has passed on the result, which it does at once
        return result

    with patch.object(Poller, "poll", counted):
        await enough.wait()
