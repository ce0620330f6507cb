"""One poll of one device: the I/O around progress.py.

One request is in flight per device. A poll ends by itself, at its deadline at the latest; whatever went wrong is in its result.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import structlog

from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device, first_width
from towerops_agent.polling.course.identity import Identities, IdentityCheck
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import ATTEMPTS, AWAY
from towerops_agent.reasons import Reason
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Request

log = structlog.get_logger()

RESOLVE_AGAIN_S: Final = 300.0
RESOLVE_WITHIN_S: Final = 5.0

LOOK_AGAIN_POLLS: Final = 10
"""How many polls pass until an interface that is away is looked for again."""


@dataclass(frozen=True, slots=True)
class PollResult:
    """What came of one poll.

    `poll`: the readings; None where the device gave no answer at all. `silence`: then why: timeout, unreachable, unresolved, …
    `detail`: the system's words, where it has some. `missing`: why values are missing, and how many, by reason.
    `rtt_s`: the round trip of its first answer.
    """

    poll: Poll | None
    missing: Counter[str] = field(default_factory=Counter)
    silence: str = ""
    detail: str = ""
    rtt_s: float | None = None


class Poller:
    """Polls devices, any number at once."""

    def __init__(self, client: SnmpClient, planner: Planner) -> None:
        self._client = client
        self._planner = planner

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Read `device` once, for at most about `within_s` seconds once its name is resolved.

        A request under way then is still waited for.
        """
        loop = asyncio.get_running_loop()
        started_at_us = time.time_ns() // 1000
        try:
            await self._resolve(device)
        except OSError as error:
            device.traits.answers = False
            missing = Counter({str(Reason.UNRESOLVED): len(device.plan.slots)})
            return PollResult(None, missing, silence=Reason.UNRESOLVED, detail=error.strerror or str(error))
        deadline = loop.time() + within_s
        traits = device.traits
        learned = (traits.widths, traits.max_varbinds)
        progress = PollProgress(device.plan, traits)
        identified = False
        detail, rtt_s = "", None
        while (ask := progress.next_ask()) is not None:
            if loop.time() >= deadline:
                progress.stop(Reason.DEADLINE if progress.heard else Reason.TIMEOUT)
                break
            answer = await self._ask(device, ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                detail = answer.detail
            elif rtt_s is None:
                rtt_s = answer.rtt_s
            progress.take(ask, answer)
            if not identified and progress.has_uptime:
                identified = True
                plan = device.plan
                await self._identify(device, progress.uptime)
                if device.plan is not plan:
                    progress = PollProgress(device.plan, traits)  # what was asked so far may be another interface's
        progress.finish()
        if (traits.widths, traits.max_varbinds) != learned:
            self._plan(device, device.plan.if_indexes)
        withheld = _withheld(device) if progress.heard else None
        interpretation = interpret(progress, device.layout, started_at_us, withheld)
        missing = Counter(interpretation.missing.values())
        if not progress.heard:
            return PollResult(None, missing, silence=progress.failures.get(0, Reason.TIMEOUT), detail=detail)
        return PollResult(interpretation.poll, missing, rtt_s=rtt_s)

    async def _ask(self, device: Device, request: Request, attempts: int = ATTEMPTS) -> Answer:
        assert device.peer is not None  # noqa: S101 - _resolve has set it
        traits, timeouts_s = device.traits, device.traits.timeouts_s(attempts)
        answer = await self._client.ask(
            device.peer, device.security, request, timeouts_s, over_tcp=device.over_tcp, from_any=traits.any_address
        )
        if isinstance(answer, NoReply) and answer.answered_from is not None and not traits.any_address:
            traits.any_address = True
            log.warning(
                "device answers from another address than it is asked at, accepted from now on",
                device=device.name,
                address=device.address,
                answers_from=answer.answered_from[0],
            )
            answer = await self._client.ask(
                device.peer, device.security, request, timeouts_s, over_tcp=device.over_tcp, from_any=True
            )
        return answer

    def _plan(self, device: Device, if_indexes: tuple[int, ...]) -> None:
        traits = device.traits
        device.plan = self._planner.plan(device.plan.sensors, if_indexes, traits.widths, traits.max_varbinds)

    async def _identify(self, device: Device, uptime: int | None) -> None:
        """See to it that the plan asks for the right interfaces; where it does not, the device has another one afterwards.

        Their names are compared at first sight, after a reboot, and now and then while one is away.
        """
        traits = device.traits
        if uptime is not None and traits.observe_uptime(uptime, time.time_ns() // 1000):
            log.info("device has restarted, its interfaces are looked up again", device=device.name, address=device.address)
            traits.begin_anew(first_width(device.security.version))
            self._plan(device, device.plan.if_indexes)
        if AWAY in traits.marks:
            device.check_in -= 1
            traits.check |= device.check_in <= 0
        if not traits.check:
            return
        check = IdentityCheck(device.security.version, device.if_indexes, device.if_names, traits.marks)
        while (request := check.next_request()) is not None:
            check.take(request, await self._ask(device, request))
        found = check.result
        if found is None:
            return  # its names are not known in this poll: its interfaces are withheld
        self._tell(device, found)
        traits.check, traits.marks, device.check_in = False, found.marks, LOOK_AGAIN_POLLS
        if found.if_indexes != device.plan.if_indexes:
            self._plan(device, found.if_indexes)

    def _tell(self, device: Device, found: Identities) -> None:
        """A line for each interface that has moved, gone or come back."""
        tell = log.bind(device=device.name, address=device.address)
        for i, name in enumerate(device.if_names):
            before, now = device.plan.if_indexes[i], found.if_indexes[i]
            mark, mark_before = found.marks[i], device.traits.marks[i]
            if mark == AWAY != mark_before:
                tell.warning("interface is gone, left out until it is back", if_name=name, if_index=device.if_indexes[i])
            elif now != before:
                tell.warning("interface has moved, read at its new index", if_name=name, if_index_before=before, if_index=now)
            elif mark_before == AWAY != mark:
                tell.info("interface is back", if_name=name, if_index=now)

    async def _resolve(self, device: Device) -> None:
        """Have the device's socket address in `peer`; a name is resolved again after a while, or when the device is silent."""
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


def _withheld(device: Device) -> dict[int, Reason]:
    """The interfaces whose counters do not count, and why: nobody knows yet, or any more, that they are theirs."""
    if device.traits.check:
        return {i: Reason.UNVERIFIED for i, name in enumerate(device.if_names) if name}
    if AWAY not in device.traits.marks:
        return {}
    return {i: Reason.INTERFACE_AWAY for i, mark in enumerate(device.traits.marks) if mark == AWAY}
