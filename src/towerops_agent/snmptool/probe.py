"""Find out what a device is and what it supports: versions, round trips, sizes, 64-bit counters.

Target -> ProbeReport (shown by probe_report.py). Only reads, one request at a time, at most 64 varbinds in a GET.
I/O: SNMP. Times in seconds.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from itertools import cycle, islice
from typing import Final

from towerops_agent.model import SnmpVersion
from towerops_agent.polling.course.traits import Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.session import WalkEndedEarly, walk
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.snmp.wire.codec import encode_pdu
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import Community, ErrorStatus, PduType, Request, Value, Varbind, error_name
from towerops_agent.snmptool.target import Target
from towerops_agent.snmptool.tool import AskFailed, TargetSession, open_session
from towerops_agent.snmptool.views.as_json import text_of
from towerops_agent.snmptool.views.as_text import value_text
from towerops_agent.snmptool.views.probe_report import Bulk, Limit, ProbeReport

MOST_VARBINDS: Final = 64
RTT_ASKS: Final = 5
BULK_REPETITIONS: Final = (10, 50)

_MIB_2 = parse_oid("1.3.6.1.2.1")
_SYS_UP_TIME = parse_oid("1.3.6.1.2.1.1.3.0")
_SYSTEM: Final = {
    "sysDescr": parse_oid("1.3.6.1.2.1.1.1.0"),
    "sysObjectID": parse_oid("1.3.6.1.2.1.1.2.0"),
    "sysName": parse_oid("1.3.6.1.2.1.1.5.0"),
    "sysUpTime": _SYS_UP_TIME,
}
_INTERFACES = parse_oid("1.3.6.1.2.1.2")
_IF_NUMBER = parse_oid("1.3.6.1.2.1.2.1.0")
_IF_INDEX = parse_oid("1.3.6.1.2.1.2.2.1.1")
_IF_HC_IN_OCTETS = parse_oid("1.3.6.1.2.1.31.1.1.1.6")
_NUMBERS: Final = frozenset((ber.INTEGER, ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS, ber.COUNTER64))


async def probe(target: Target, timeouts_s: tuple[float, ...], *, pinned: bool = False) -> ProbeReport:
    """The report about `target`. `pinned`: try only its version; else, with a community, 2c and then 1.

    Raises AskFailed if the device answers none of them, and as open_session does.
    """
    report = ProbeReport(target.address, target.name)
    version = target.credentials.version
    tried = (version,) if pinned or version is SnmpVersion.V3 else (SnmpVersion.V2C, SnmpVersion.V1)
    silence = ""
    for candidate in tried:
        as_candidate = replace(target, credentials=replace(target.credentials, version=candidate))
        async with open_session(as_candidate, timeouts_s) as session:
            answer = await session.ask(Request((_SYS_UP_TIME,)))
            if isinstance(answer, NoReply):
                report.versions[candidate] = answer.detail or "is silent"
                silence = silence or session.silence(answer)
                continue
            report.versions[candidate] = "answers"
            if report.version is None:
                report.version = candidate
                await _Measurement(session, report, answer).run()
    if report.version is None:
        raise AskFailed(silence)
    return report


class _Measurement:
    """All questions over one version."""

    def __init__(self, session: TargetSession, report: ProbeReport, first: Reply) -> None:
        self._session = session
        self._report = report
        self._traits = Traits()
        self._traits.observe_rtt(first.rtt_s)
        self._names: list[Oid] = []

    async def run(self) -> None:
        """Fill in the report."""
        report = self._report
        for label, name in _SYSTEM.items():
            report.system[label] = _one_line(await self._value(name))
        await self._measure_rtt()
        number = await self._value(_IF_NUMBER)
        report.if_number = number.value if number is not None and isinstance(number.value, int) else None
        report.interfaces = await self._count(_IF_INDEX)
        if report.version != SnmpVersion.V1:
            report.wide_counters = await self._count(_IF_HC_IN_OCTETS)
        if await self._gather_names():
            report.get = await most_accepted(self._refusal_of)
        if report.version != SnmpVersion.V1:
            for repetitions in BULK_REPETITIONS:
                report.bulk.append(await self._bulk(repetitions))

    async def _ask(self, request: Request) -> Answer:
        """As the poller asks: the timeouts follow the round trips (polling/course/traits.py)."""
        answer = await self._session.ask(request, self._traits.timeouts_s(len(self._session.timeouts_s)))
        if isinstance(answer, Reply):
            self._traits.observe_rtt(answer.rtt_s)
            # In the shortest encoding; some devices use an octet or two more for lengths. Without SNMPv3's own headers.
            pdu, security = encode_pdu(answer.pdu), self._session.security
            octets = len(security.wrap(pdu)) if isinstance(security, Community) else len(pdu)
            self._report.largest_answer_octets = max(self._report.largest_answer_octets, octets)
        return answer

    async def _value(self, name: Oid) -> Varbind | None:
        """The value of `name`, None if the device does not have it."""
        answer = await self._ask(Request((name,)))
        if isinstance(answer, NoReply) or answer.pdu.error_status or not answer.pdu.names:
            return None
        tag, value = answer.pdu.tags[0], answer.pdu.values[0]
        return None if tag >= ber.NO_SUCH_OBJECT else Varbind(name, tag, value)

    async def _measure_rtt(self) -> None:
        for _ in range(RTT_ASKS):
            self._report.rtt_asks += 1
            answer = await self._ask(Request((_SYS_UP_TIME,)))
            if isinstance(answer, Reply):
                self._report.rtts_s.append(answer.rtt_s)

    async def _count(self, column: Oid) -> int | None:
        """How many varbinds are below `column`; None if the walk ended early."""
        try:
            return len([varbind async for varbind in walk(self._session, column)])
        except WalkEndedEarly:
            return None

    async def _gather_names(self) -> bool:
        """Find numeric OIDs of the device, to ask for many at once (repeated if fewer than 64); False if it has no such OID."""
        found: list[Oid] = []
        try:
            async with aclosing(walk(self._session, _INTERFACES)) as varbinds:  # type: ignore[type-var]  # it is a generator
                async for varbind in varbinds:
                    if varbind.tag in _NUMBERS:
                        found.append(varbind.name)
                    if len(found) == MOST_VARBINDS:
                        break
        except WalkEndedEarly:
            pass  # the ones found so far are enough
        if not found and await self._value(_SYS_UP_TIME) is not None:
            found.append(_SYS_UP_TIME)
        self._names = list(islice(cycle(found), MOST_VARBINDS)) if found else []
        return bool(found)

    async def _refusal_of(self, count: int) -> str:
        """Why a GET of this many varbinds is not answered in full, "" if it is."""
        answer = await self._ask(Request(tuple(self._names[:count])))
        if isinstance(answer, NoReply):
            alive = await self._ask(Request((_SYS_UP_TIME,)))
            return "silence" if isinstance(alive, Reply) else "gone"
        if answer.pdu.error_status != ErrorStatus.noError:
            return error_name(answer.pdu.error_status)
        return "" if len(answer.pdu.names) == count else Reason.OMITTED

    async def _bulk(self, repetitions: int) -> Bulk:
        answer = await self._ask(Request((_MIB_2,), PduType.GET_BULK, 0, repetitions))
        if isinstance(answer, NoReply):
            return Bulk(repetitions, 0, "silence")
        status = answer.pdu.error_status
        return Bulk(repetitions, len(answer.pdu.names), error_name(status) if status else "")


async def most_accepted(refusal: Callable[[int], Awaitable[str]], most: int = MOST_VARBINDS) -> Limit:
    """The most varbinds, up to `most`, that are answered: found by doubling, then by bisection.

    `refusal(count)`: why this many are not answered, "" if they are; "gone" ends the search.
    """
    accepted, count = 0, 1
    while not (reason := await refusal(count)):
        accepted = count
        if count == most:
            return Limit(accepted)
        count = min(2 * count, most)
    refused_at = count
    while refused_at - accepted > 1 and reason != "gone":
        middle = (accepted + refused_at) // 2
        why = await refusal(middle)
        if why:
            refused_at, reason = middle, why
        else:
            accepted = middle
    return Limit(accepted, refused_at, reason)


def _one_line(varbind: Varbind | None) -> str | None:
    """A value for people, in one line."""
    if varbind is None:
        return None
    value: Value = varbind.value
    if varbind.tag == ber.TIME_TICKS:
        return value_text(varbind.tag, value).partition(") ")[2]
    text = text_of(value) if varbind.tag == ber.OCTET_STRING and isinstance(value, bytes) else None
    if text is None:
        text = value_text(varbind.tag, value).removeprefix("OID: ")
    return " ".join(text.split())
