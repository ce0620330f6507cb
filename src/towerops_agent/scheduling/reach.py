"""Polls a device in each way that it has: by SNMP, by ping, or both; a device is down only if neither is answered.

Fleet -> here -> Poller (SNMP), Echoes (ping) -> PollResult. I/O: through these.
"""

import asyncio
from dataclasses import replace
from typing import Final, Protocol

from towerops_agent.ping.sockets import NotSent
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.reading import PollResult
from towerops_agent.reasons import Reason
from towerops_agent.scheduling.echoes import CHECK_WAIT_S, Echoes


class DevicePoller(Protocol):
    """What polls a device once: a Poller, a ReachPoller."""

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """As Poller.poll."""


_NO_SNMP: Final = PollResult(None)


class ReachPoller:
    """Polls devices, any number at once."""

    def __init__(self, poller: DevicePoller, echoes: Echoes) -> None:
        self._poller = poller
        self._echoes = echoes

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Poll `device` once. If it has no SNMP, or is silent over SNMP, and is to be pinged: does it answer ping?"""
        began_s = asyncio.get_running_loop().time()
        if not device.has_snmp:
            return await self._by_ping(device, began_s)
        result = await self._poller.poll(device, within_s)
        if device.ping is None or result.silence in ("", Reason.UNRESOLVED):
            return result
        answers = await self._echoes.answers(device, began_s)
        return result if isinstance(answers, NotSent) else replace(result, answers_ping=answers)

    async def _by_ping(self, device: Device, began_s: float) -> PollResult:
        gap_s = 0.0 if device.ping is None else min(device.ping.interval_s / device.ping.count, device.interval_s)
        answers = await self._echoes.answers(device, began_s - gap_s - CHECK_WAIT_S)
        if isinstance(answers, NotSent):
            return PollResult(None, silence=answers.reason, detail=answers.detail, is_known=False)
        return _NO_SNMP if answers else PollResult(None, silence=Reason.TIMEOUT)
