"""Checks a device: does it answer, how fast, can all its configured readings be read, and if not, why.

Equipment -> one reading, as the agent reads it (polling/reading.py) -> Check. If something is odd, one more experiment: silence
is examined (silence.py), a lost large request is repeated with OIDs that the device answers, and if the device has no configured
OID, the doctor looks for any other. It only reads, one request at a time.
I/O: SNMP. Times in seconds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.fetch import Configured
from towerops_agent.doctor.findings.readings import Gaps, find_gaps, shown
from towerops_agent.doctor.ping import pinged, pinged_at, shown_tally
from towerops_agent.doctor.silence import Cause, explain_silence
from towerops_agent.model import Equipment
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.plan import SYS_UP_TIME, Planner
from towerops_agent.polling.reading import Reader, Reading
from towerops_agent.reasons import Reason, Unsent, reason_of
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_agent.snmp.wire.message import PduType, Request
from towerops_agent.text import counted

AT_ONCE: Final = 50

_PROBE: Final = Request((SYS_UP_TIME,))
_BEHIND_SYSTEM: Final = Request((parse_oid("1.3.6.1.2.1.2"),), PduType.GET_NEXT)
_NO_VIEW: Final = frozenset((Reason.AUTHORIZATION_ERROR, Reason.NO_ACCESS))


@dataclass(frozen=True, slots=True)
class Waits:
    """How long each attempt of an experiment waits, a device's readings, and all together.

    `reading_s`: how long each attempt of the reading waits; None: as long as the agent's own.
    """

    timeouts_s: tuple[float, ...] = (1.0, 2.0)
    read_s: float = 20.0
    all_s: float = 40.0
    reading_s: tuple[float, ...] | None = None


async def check_devices(
    client: SnmpClient,
    configured: Configured,
    waits: Waits,
    checked: Callable[[], None] = lambda: None,
    ping: PingClient | None = None,
) -> list[Check]:
    """A check of each device of `configured`, in their order, AT_ONCE at a time.

    `checked`: called after each. `ping`: None: without pings.
    """
    numbered = enumerate(configured.devices())  # consumed as tasks become free: they need not all be in memory
    planner = Planner()
    checks: dict[int, Check] = {}

    async def work() -> None:
        for number, equipment in numbered:
            check = await check_device(client, equipment, waits, planner, configured.units.get(equipment.id, ()), ping)
            if equipment.id in configured.undiscovered:
                check = _undiscovered(check)
            checks[number] = _with_refused(check, configured.refused.get(equipment.id, 0))
            checked()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return [checks[number] for number in sorted(checks)]


def _undiscovered(check: Check) -> Check:
    """`check` of a device with `profile: auto`, of which nothing was discovered: the agent polls only what the file has of it."""
    found = f"{check.found}; its profile is auto, and nothing that was discovered of it is in the database"
    if check.result is Result.FAILED:
        return Check(check.name, check.result, found, check.hint)
    hint = "a running agent discovers it: `towerops-agent status` shows how far that is, and what failed"
    return Check(check.name, Result.WARNING, found, hint)


def _with_refused(check: Check, refused: int) -> Check:
    """`check` of a device of whose configuration so many items are refused: then it is not all right."""
    if not refused:
        return check
    result = Result.WARNING if check.result is Result.OK else check.result
    found = f"{check.found}; {counted(refused, 'more item')} of its configuration refused, see config"
    return Check(check.name, result, found, check.hint)


async def check_device(
    client: SnmpClient,
    equipment: Equipment,
    waits: Waits,
    planner: Planner | None = None,
    units: tuple[str, ...] = (),
    ping: PingClient | None = None,
) -> Check:
    """The check of one device, within about `waits.all_s`. `units`: as the agent has first read the texts of its sensors."""
    if not equipment.has_snmp:
        return await _check_by_ping(client, equipment, ping)
    planner = planner or Planner()
    device = make_device(equipment, 0, b"", planner)
    device.traits.units = units

    def checked(result: Result, found: str, hint: str = "") -> Check:
        return Check(equipment.name, result, f"{device.address}{found}", hint)

    try:
        async with asyncio.timeout(waits.all_s):
            reading = await Reader(client, planner).read(device, waits.read_s, waits.reading_s)
            if reading.silence == Reason.UNRESOLVED:
                found = f" was not found: {reading.detail or 'no answer from DNS'}"
                return checked(Result.FAILED, found, "correct its name, or look at DNS")
            examination = _Examination(client, device, reading, waits)
            if reading.silence:
                cause = await examination.explain_silence(equipment, ping)
                word = (
                    ""
                    if cause.found == (reason_of(reading.silence) or Reason.OTHER).text
                    else f"; in log and status: {reading.silence}"
                )
                return checked(Result.FAILED, f": {cause.found}{word}", cause.hint)
            gaps = find_gaps(equipment, reading.missing)
            answers = f" answers in {(reading.rtt_s or 0.0) * 1000:.1f} ms over SNMPv{equipment.credentials.version}"
            answers += "".join(f", {text}" for text in shown(reading.news))
            if reading.refusal in _NO_VIEW and len(gaps.gaps) == gaps.total:
                hint = "give its community or user a view there, at the security level that is used"
                return checked(Result.FAILED, f"{answers}, and says {reading.refusal}: it has no view", hint)
            if gaps.all_hidden:
                cause = await examination.look_around(gaps)
                return checked(Result.FAILED, f"{answers}; {cause.found}", cause.hint)
            size = await examination.examine_size()
            no_ping = await examination.examine_ping(ping) if equipment.ping is not None and ping is not None else None
    except TimeoutError:
        hint = "it is slow, or loses much: look at the link to it; `towerops-agent snmp probe` measures it"
        return checked(Result.FAILED, f" was not fully examined within {waits.all_s:g} s", hint)
    more = [cause for cause in (size, no_ping) if cause is not None]
    result = Result.WARNING if gaps.result is Result.OK and (more or not gaps.total) else gaps.result
    found = "; ".join((gaps.found, *(cause.found for cause in more)))
    return checked(result, f"{answers}; {found}", "; ".join(filter(None, (*(cause.hint for cause in more), gaps.hint))))


async def _check_by_ping(client: SnmpClient, equipment: Equipment, ping: PingClient | None) -> Check:
    """The check of a device that is only pinged."""
    if ping is None:
        return Check(equipment.name, Result.SKIPPED, f"{equipment.host} has SNMP switched off, and is not pinged here")
    try:
        peers = await client.resolve(equipment.host, 0)
    except OSError as error:
        found = f"{equipment.host} was not found: {error.strerror or error}"
        return Check(equipment.name, Result.FAILED, found, Unsent.UNRESOLVED.hint)
    tally = await pinged_at(ping, peers)
    if isinstance(tally, NotSent):
        return Check(equipment.name, Result.SKIPPED, f"{equipment.host} can't be pinged: {tally.reason.text}", tally.reason.hint)
    found = f"{equipment.host} {shown_tally(tally)}; SNMP is switched off"
    if not tally.received:
        return Check(
            equipment.name, Result.FAILED, found, "its address, its link or its power; or a firewall on the way drops ICMP"
        )
    return Check(equipment.name, Result.OK if tally.received == tally.sent else Result.WARNING, found)


class _Examination:
    """One device that has been read, and further questions to it."""

    def __init__(self, client: SnmpClient, device: Device, reading: Reading, waits: Waits) -> None:
        assert device.peer is not None  # noqa: S101 - the reading has set it
        from_any = device.traits.any_address
        self._session = Session(
            client, device.peer, device.security, over_tcp=device.over_tcp, from_any=from_any, timeouts_s=waits.timeouts_s
        )
        self._client = client
        self._reading = reading
        self._waits = waits

    async def explain_silence(self, equipment: Equipment, ping: PingClient | None) -> Cause:
        """Why it did not answer at all."""
        silence = NoReply(reason_of(self._reading.silence) or Reason.TIMEOUT, 0, self._reading.detail)
        waits = self._waits
        return await explain_silence(self._client, equipment, self._session.peer, silence, waits.timeouts_s, ping)

    async def examine_size(self) -> Cause | None:
        """Whether the smallest unanswered request stays unanswered when it is made of OIDs that each get an answer."""
        lost = min((size for size in self._reading.lost if size > 1), default=0)
        answered = self._reading.answered
        if not lost or len(answered) < lost:
            return None
        if isinstance(await self._session.ask(Request(tuple(answered[:lost]))), Reply):
            return None  # then it was loss, or one OID that the device does not answer
        if isinstance(await self._session.ask(_PROBE), NoReply):
            return Cause("stopped answering while it was read", "it restarts, or its link comes and goes")
        return Cause(
            f"answers small requests, but not one of {lost} varbinds",
            "large packets are lost on the way (the MTU of a tunnel or a radio link, fragments dropped), or it is the device's "
            "limit; the agent requests less at once",
        )

    async def examine_ping(self, ping: PingClient) -> Cause | None:
        """Whether a device that answers SNMP, and is to be pinged, answers no ping at all."""
        tally = await pinged(ping, self._session.peer, until_first=True)
        if isinstance(tally, NotSent) or tally.received:
            return None
        return Cause("does not answer ping", "a firewall drops ICMP, or ping is off at the device: all its pings count as lost")

    async def look_around(self, gaps: Gaps) -> Cause:
        """Why it lacks all configured readings: a view, or another device than intended."""
        found = f"it lacks all {gaps.total} configured sensors and interfaces" if gaps.total > 1 else gaps.found
        answer = await self._session.ask(_BEHIND_SYSTEM)
        pdu = answer.pdu if isinstance(answer, Reply) else None
        if pdu is None or pdu.error_status or not pdu.names or pdu.tags[0] == ber.END_OF_MIB_VIEW:
            return Cause(
                f"{found}, and all else outside the system group: a view hides them",
                "give its community or user a view of the whole MIB at the device (on net-snmp: rocommunity without an OID)",
            )
        return Cause(
            f"{found}, but has others, such as {format_oid(pdu.names[0])}",
            "a view hides the OIDs, or the configuration is for another model: `towerops-agent snmp walk` shows what it has",
        )
