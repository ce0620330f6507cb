"""Read one device once: the I/O around progress.py and identity.py, for the poller and for the doctor.

Device -> its address -> requests, one in flight -> Reading. It ends by itself, at its deadline at the latest; whatever went wrong
is in its result. What is learned of the device stays in its traits. I/O: names, SNMP, the wall clock. Times in seconds.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device, first_width
from towerops_agent.polling.course.identity import Identities, IdentityCheck
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.news import AnswersElsewhere, Back, Gone, Moved, News, Restarted
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import ATTEMPTS, AWAY
from towerops_agent.reasons import Reason
from towerops_agent.snmp.session import Asker, Session
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.oid import Oid

RESOLVE_AGAIN_S: Final = 300.0
RESOLVE_WITHIN_S: Final = 5.0

LOOK_AGAIN_POLLS: Final = 10
"""How many polls pass until an interface that is away is looked for again."""


class DeviceAsker(Asker, Protocol):
    """What a reading needs of SnmpClient."""

    async def resolve(self, host: str, port: int) -> Peer:
        """As SnmpClient.resolve."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a device once.

    `poll`: the readings; None if the device gave no answer at all. `silence`: then why: timeout, unreachable, unresolved, …
    `detail`: the system's words, if it has some. `missing`: why a value is missing, by its index in the poll's values.
    `rtt_s`: the round trip of its first answer. `news`: what was found out of the device, in order.
    `lost`: how many varbinds each request had that got no answer. `answered`: the OIDs that were answered.
    """

    poll: Poll | None
    missing: Mapping[int, str]
    silence: str = ""
    detail: str = ""
    rtt_s: float | None = None
    news: Sequence[News] = ()
    lost: Sequence[int] = ()
    progress: PollProgress | None = field(default=None, repr=False)

    @property
    def answered(self) -> list[Oid]:
        """The OIDs that were answered, in the order of the plan."""
        progress = self.progress
        return [] if progress is None else [name for name, tag in zip(progress.names, progress.tags, strict=True) if tag]

    @property
    def refusal(self) -> str:
        """What the device said instead of its sysUpTime, "" if it gave it."""
        return "" if self.progress is None else self.progress.failures.get(0, "")


class Reader:
    """Reads devices, any number at once."""

    def __init__(self, client: DeviceAsker, planner: Planner) -> None:
        self._client = client
        self._planner = planner

    async def read(self, device: Device, within_s: float, timeouts_s: Sequence[float] | None = None) -> Reading:
        """Read `device` once, for at most about `within_s` seconds once its name is resolved.

        A request under way then is still waited for. `timeouts_s`: how long attempts wait, in place of what was learned.
        """
        try:
            await self._resolve(device)
        except OSError as error:
            device.traits.answers = False
            missing = dict.fromkeys(range(len(device.plan.slots)), Reason.UNRESOLVED)
            return Reading(None, missing, silence=Reason.UNRESOLVED, detail=error.strerror or str(error))
        return await _Course(self._client, self._planner, device, timeouts_s).run(within_s)

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


class _Course:
    """One reading under way, of a device whose address is known."""

    def __init__(self, client: DeviceAsker, planner: Planner, device: Device, timeouts_s: Sequence[float] | None) -> None:
        assert device.peer is not None  # noqa: S101 - the Reader has set it
        self._planner = planner
        self._device = device
        self._timeouts_s = timeouts_s
        self._session = Session(
            client, device.peer, device.security, over_tcp=device.over_tcp, from_any=device.traits.any_address
        )
        self._news: list[News] = []
        self._lost: list[int] = []

    async def run(self, within_s: float) -> Reading:
        loop = asyncio.get_running_loop()
        started_at_us = time.time_ns() // 1000
        deadline = loop.time() + within_s
        device, traits = self._device, self._device.traits
        learned = (traits.widths, traits.max_varbinds)
        progress = PollProgress(device.plan, traits)
        identified = False
        detail, rtt_s = "", None
        while (ask := progress.next_ask()) is not None:
            if loop.time() >= deadline:
                progress.stop(Reason.DEADLINE if progress.heard else Reason.TIMEOUT)
                break
            answer = await self._ask(ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                detail = answer.detail
                self._lost.append(len(ask.columns))
            elif rtt_s is None:
                rtt_s = answer.rtt_s
            progress.take(ask, answer)
            if not identified and progress.has_uptime:
                identified = True
                plan = device.plan
                await self._identify(progress.uptime)
                if device.plan is not plan:
                    progress = PollProgress(device.plan, traits)  # what was asked so far may be another interface's
        progress.finish()
        if (traits.widths, traits.max_varbinds) != learned:
            self._plan(device.plan.if_indexes)
        withheld = _withheld(device) if progress.heard else None
        interpretation = interpret(progress, device.layout, started_at_us, withheld, traits.units)
        if interpretation.units != traits.units:
            traits.units = self._planner.names(interpretation.units)
        silence = "" if progress.heard else progress.failures.get(0, Reason.TIMEOUT)
        return Reading(
            interpretation.poll if progress.heard else None,
            interpretation.missing,
            silence,
            detail if silence else "",
            rtt_s,
            self._news,
            self._lost,
            progress,
        )

    async def _ask(self, request: Request, attempts: int = ATTEMPTS) -> Answer:
        traits, session = self._device.traits, self._session
        answer = await session.ask(request, self._timeouts_s or traits.timeouts_s(attempts))
        if session.answers_from is not None and not traits.any_address:
            traits.any_address = True
            self._news.append(AnswersElsewhere(session.answers_from[0]))
        return answer

    def _plan(self, if_indexes: tuple[int, ...]) -> None:
        device, traits = self._device, self._device.traits
        device.plan = self._planner.plan(device.plan.sensors, if_indexes, traits.widths, traits.max_varbinds)

    async def _identify(self, uptime: int | None) -> None:
        """Have the plan ask for the right interfaces; if it does not, the device has another one afterwards.

        Their names are compared at first sight, after a restart, and now and then while one is away.
        """
        device, traits = self._device, self._device.traits
        if uptime is not None and traits.observe_uptime(uptime, time.time_ns() // 1000):
            self._news.append(Restarted())
            traits.begin_anew(first_width(device.security.version))
            self._plan(device.plan.if_indexes)
        if AWAY in traits.marks:
            device.check_in -= 1
            traits.check |= device.check_in <= 0
        if not traits.check:
            return
        check = IdentityCheck(device.security.version, device.if_indexes, device.if_names, traits.marks)
        while (request := check.next_request()) is not None:
            check.take(request, await self._ask(request))
        found = check.result
        if found is None:
            return  # its names are not known in this poll: its interfaces are withheld
        self._compare(found)
        traits.check, traits.marks, device.check_in = False, found.marks, LOOK_AGAIN_POLLS
        if found.if_indexes != device.plan.if_indexes:
            self._plan(found.if_indexes)

    def _compare(self, found: Identities) -> None:
        """News of each interface that has moved, gone or come back."""
        device = self._device
        for i, name in enumerate(device.if_names):
            before, now = device.plan.if_indexes[i], found.if_indexes[i]
            mark, mark_before = found.marks[i], device.traits.marks[i]
            if mark == AWAY != mark_before:
                self._news.append(Gone(name, device.if_indexes[i]))
            elif now != before:
                self._news.append(Moved(name, before, now))
            elif mark_before == AWAY != mark:
                self._news.append(Back(name, now))


def _withheld(device: Device) -> dict[int, str]:
    """The interfaces whose counters do not count, and why: nobody knows yet, or any more, that they are theirs."""
    if device.traits.check:
        return {i: Reason.UNVERIFIED for i, name in enumerate(device.if_names) if name}
    if AWAY not in device.traits.marks:
        return {}
    return {i: Reason.INTERFACE_AWAY for i, mark in enumerate(device.traits.marks) if mark == AWAY}
