"""One poll of one device: the I/O around progress.py.

One request is in flight per device. A poll ends by itself, at its deadline at the latest; whatever went wrong is in its result.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.model import Poll
from towerops_agent.polling.device import Device
from towerops_agent.polling.interpret import interpret
from towerops_agent.polling.plan import Planner
from towerops_agent.polling.progress import PollProgress
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.exchange import Peer

RESOLVE_AGAIN_S: Final = 300.0
RESOLVE_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class PollResult:
    """What came of one poll.

    `poll`: the readings; None where the device gave no answer at all. `silence`: then why: timeout, unreachable, unresolved;
    `detail`: the system's words, where it has some. `missing`: why values are missing, and how many, by reason.
    """

    poll: Poll | None
    missing: Counter[str] = field(default_factory=Counter)
    silence: str = ""
    detail: str = ""


class Poller:
    """Polls devices, any number at once."""

    def __init__(self, client: SnmpClient, planner: Planner) -> None:
        self._client = client
        self._planner = planner

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Read `device` once, for at most about `within_s` seconds: a request under way then is still waited for."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        started_at_us = time.time_ns() // 1000
        try:
            peer = await self._peer(device)
        except OSError as error:
            device.traits.answers = False
            return PollResult(None, silence="unresolved", detail=error.strerror or str(error))
        traits = device.traits
        learned = (traits.widths, traits.max_varbinds)
        silent_before = not traits.answers
        progress = PollProgress(device.plan, traits)
        detail = ""
        while (ask := progress.next_ask()) is not None:
            if loop.time() >= deadline:
                progress.stop("deadline")
                break
            attempts = 1 if silent_before and not progress.heard else 3
            answer = await self._client.ask(peer, device.security, ask.request, traits.timeouts_s(attempts))
            detail = getattr(answer, "detail", "")
            progress.take(ask, answer)
        progress.finish()
        if (traits.widths, traits.max_varbinds) != learned:
            plan = device.plan
            device.plan = self._planner.plan(plan.sensors, plan.if_indexes, traits.widths, traits.max_varbinds)
        interpretation = interpret(progress, device.layout, started_at_us)
        missing = Counter(interpretation.missing.values())
        if not progress.heard:
            return PollResult(None, missing, silence=progress.failures.get(0, "timeout"), detail=detail)
        return PollResult(interpretation.poll, missing)

    async def _peer(self, device: Device) -> Peer:
        """The device's socket address; a name is resolved again after a while, or when the device is silent."""
        now = asyncio.get_running_loop().time()
        stale = now - device.resolved_at > RESOLVE_AGAIN_S or not device.traits.answers
        if device.peer is None or stale:
            try:
                async with asyncio.timeout(RESOLVE_WITHIN_S):
                    device.peer = await self._client.resolve(device.host, device.port)
            except OSError:  # TimeoutError is one
                if device.peer is None:
                    raise
            device.resolved_at = now
        return device.peer
