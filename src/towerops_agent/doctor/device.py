"""Does a device answer, how fast, and can all be read of it that is configured; if not, why.

Equipment -> small question -> its whole poll, as the agent would read it (polling.progress) -> Check. Where something is odd, one
experiment more: a silence is examined (silence.py), a large request that got lost is repeated with OIDs that are answered,
and where no OID is there it is looked whether anything is. Reads alone, one request at a time.
I/O: SNMP. Times in seconds.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from towerops_agent.doctor.findings.check import Check, Mark
from towerops_agent.doctor.findings.readings import Gaps, find_gaps
from towerops_agent.doctor.silence import Cause, explain_silence
from towerops_agent.model import Equipment
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.identity import IdentityCheck
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import SYS_UP_TIME, Planner
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.reasons import Reason
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Request, error_name
from towerops_agent.snmp.wire.oid import format_oid, parse_oid

AT_ONCE: Final = 50

_PROBE: Final = Request((SYS_UP_TIME,))
_BEHIND_SYSTEM: Final = Request((parse_oid("1.3.6.1.2.1.2"),), PduType.GET_NEXT)
_NO_VIEW: Final = frozenset((ErrorStatus.authorizationError, ErrorStatus.noAccess))


@dataclass(frozen=True, slots=True)
class Waits:
    """How long each attempt at a device waits, for ICMP errors, for a name, for its readings, and for all together.

    `icmp_s`: the kernel gives ARP three seconds before it says that there is no such host.
    """

    timeouts_s: tuple[float, ...] = (1.0, 2.0)
    icmp_s: float = 3.5
    name_s: float = 5.0
    read_s: float = 20.0
    all_s: float = 40.0


async def check_devices(
    client: SnmpClient, devices: Iterable[Equipment], waits: Waits, checked: Callable[[], None] = lambda: None
) -> list[Check]:
    """A check of each, in their order, AT_ONCE at a time. `checked`: called after each."""
    numbered = enumerate(devices)  # taken from as tasks get free: they need not all be in memory
    planner = Planner()
    checks: dict[int, Check] = {}

    async def work() -> None:
        for number, equipment in numbered:
            checks[number] = await check_device(client, equipment, waits, planner)
            checked()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return [checks[number] for number in sorted(checks)]


async def check_device(client: SnmpClient, equipment: Equipment, waits: Waits, planner: Planner | None = None) -> Check:
    """What is found of one device, within about `waits.all_s`."""
    device = make_device(equipment, 0, b"", planner or Planner())

    def result(mark: Mark, found: str, hint: str = "") -> Check:
        return Check(equipment.name, mark, f"{device.address}{found}", hint)

    try:
        async with asyncio.timeout(waits.name_s):
            peer = await client.resolve(device.host, device.port)
    except OSError as error:  # TimeoutError is one
        return result(
            Mark.FAILED, f" was not found: {error.strerror or 'no answer from DNS'}", "correct its name, or look at DNS"
        )
    examination = _Examination(client, device, peer, waits)
    try:
        async with asyncio.timeout(waits.all_s):
            first = await examination.ask(_PROBE)
            if isinstance(first, NoReply):
                cause = await explain_silence(client, equipment, peer, first, waits.timeouts_s, waits.icmp_s)
                return result(Mark.FAILED, f": {cause.found}", cause.hint)
            answers = f" answers in {first.rtt_s * 1000:.3g} ms over SNMPv{equipment.credentials.version}"
            if first.pdu.error_status in _NO_VIEW:
                hint = "give its community or user a view there, at the security level that is used"
                return result(Mark.FAILED, f"{answers}, and says {error_name(first.pdu.error_status)}: it has no view", hint)
            gaps, size = await examination.read(equipment)
            if gaps.all_hidden:
                cause = await examination.look_around(gaps)
                return result(Mark.FAILED, f"{answers}; {cause.found}", cause.hint)
    except TimeoutError:
        hint = "it is slow, or loses much: look at the link to it; `towerops-agent snmp probe` measures it"
        return result(Mark.FAILED, f" was not examined to the end within {waits.all_s:g} s", hint)
    mark = Mark.WARNING if gaps.mark is Mark.OK and (size or not gaps.total) else gaps.mark
    if size is None:
        return result(mark, f"{answers}; {gaps.found}", gaps.hint)
    return result(mark, f"{answers}; {gaps.found}; {size.found}", "; ".join(filter(None, (size.hint, gaps.hint))))


class _Examination:
    """One device that answers."""

    def __init__(self, client: SnmpClient, device: Device, peer: Peer, waits: Waits) -> None:
        self._client = client
        self._device = device
        self._peer = peer
        self._timeouts_s = waits.timeouts_s
        self._read_s = waits.read_s

    async def ask(self, request: Request) -> Answer:
        device = self._device
        return await self._client.ask(self._peer, device.security, request, self._timeouts_s, over_tcp=device.over_tcp)

    async def read(self, equipment: Equipment) -> tuple[Gaps, Cause | None]:
        """What can't be read, and whether large requests are lost."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._read_s
        await self._place_interfaces()
        progress = PollProgress(self._device.plan, self._device.traits)
        lost: list[int] = []  # varbinds of the requests that were met with silence
        while (ask := progress.next_ask()) is not None:
            if loop.time() >= deadline:
                progress.stop(Reason.DEADLINE)
                break
            answer = await self.ask(ask.request)
            if isinstance(answer, NoReply):
                lost.append(len(ask.request.names))
            progress.take(ask, answer)
        progress.finish()
        gaps = find_gaps(equipment, interpret(progress, 0, 0).missing)
        answered = [name for name, tag in zip(progress.names, progress.tags, strict=True) if tag]
        return gaps, await self._examine_size(min((size for size in lost if size > 1), default=0), answered)

    async def _place_interfaces(self) -> None:
        """As the agent does: an interface is read where its name is."""
        device = self._device
        if not any(device.if_names):
            return
        identity = IdentityCheck(device.security.version, device.if_indexes, device.if_names, device.traits.marks)
        while (request := identity.next_request()) is not None:
            identity.take(request, await self.ask(request))
        if identity.result is not None and identity.result.if_indexes != device.plan.if_indexes:
            traits = device.traits
            device.plan = Planner().plan(device.plan.sensors, identity.result.if_indexes, traits.widths, traits.max_varbinds)

    async def _examine_size(self, lost: int, answered: list[bytes]) -> Cause | None:
        """Whether a request of `lost` varbinds, which got no answer, gets none again, made of OIDs that are each answered."""
        if not lost or len(answered) < lost:
            return None
        if isinstance(await self.ask(Request(tuple(answered[:lost]))), Reply):
            return None  # then it was loss, or one OID that the device does not answer
        if isinstance(await self.ask(_PROBE), NoReply):
            return Cause("fell silent while it was read", "it restarts, or its link comes and goes")
        return Cause(
            f"answers small requests, and is silent to one of {lost} varbinds",
            "large packets are lost on the way (the MTU of a tunnel or a radio link, fragments dropped), or it is the device's "
            "limit; the agent asks it for less at once",
        )

    async def look_around(self, gaps: Gaps) -> Cause:
        """Why it has none of what is configured: a view, or another device than was meant."""
        found = f"it has none of the {gaps.total} sensors and interfaces configured" if gaps.total > 1 else gaps.found
        answer = await self.ask(_BEHIND_SYSTEM)
        pdu = answer.pdu if isinstance(answer, Reply) else None
        if pdu is None or pdu.error_status or not pdu.names or pdu.tags[0] == ber.END_OF_MIB_VIEW:
            return Cause(
                f"{found}, nor anything behind the system group: a view hides it",
                "give its community or user a view of the whole MIB at the device (on net-snmp: rocommunity without an OID)",
            )
        return Cause(
            f"{found}, but others, such as {format_oid(pdu.names[0])}",
            "a view hides the OIDs, or the configuration is for another model: `towerops-agent snmp walk` shows what it has",
        )
