"""Sends the API a heartbeat every minute.

I/O. Seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from towerops_agent import __version__, clocks
from towerops_agent.api.wire.contract import Heartbeat
from towerops_agent.api.wire.outcomes import Accepted, Availability, Outcome
from towerops_agent.counters import Count, Counters

INTERVAL_S = 60.0

log = structlog.get_logger()


class HeartbeatSink(Protocol):
    """The part of ApiClient that is needed."""

    async def post_heartbeat(self, heartbeat: Heartbeat) -> Outcome: ...  # noqa: D102  # as ApiClient's


class HeartbeatLoop:
    """Sends heartbeats. The uptime counts from the constructor: call it at the start."""

    def __init__(
        self,
        client: HeartbeatSink,
        counters: Counters,
        hostname: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._counters = counters
        self._hostname = hostname
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self.availability = Availability(repeat_us=None, steady_us=clocks.steady_us)
        self.is_wanted: Callable[[], bool] = lambda: True
        """Whether this agent is to send them: of a group, one does."""

    async def run(self) -> None:
        """Send one now and every minute, for good."""
        while True:
            if self.is_wanted():
                await self.send_once()
            await self._sleep(INTERVAL_S)

    async def send_once(self) -> Outcome:
        """The outcome of one heartbeat. A failure is logged when it begins and when its reason changes."""
        uptime_s = int(self._monotonic_s() - self._started_s)
        outcome = await self._client.post_heartbeat(
            Heartbeat(version=__version__, hostname=self._hostname, uptime_seconds=uptime_s)
        )
        if isinstance(outcome, Accepted):
            self._counters.add(Count.HEARTBEATS, "sent")
            failures = self.availability.failures
            if self.availability.succeeded(clocks.wall_us()) and failures:
                log.info("heartbeats are accepted again", failures_before=failures)
        else:
            self._counters.add(Count.HEARTBEATS, "failed")
            if self.availability.failed(outcome.reason, clocks.wall_us()):
                log.warning("heartbeat not accepted, will retry", status=outcome.status, reason=outcome.reason)
        return outcome
