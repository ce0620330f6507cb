"""Ask one device for an operator: GET and walks as net-snmp's commands do them, errors that say what to do next.

run.py, draft.py, probe.py -> here -> snmp/session.py. views/ makes the printed text.
I/O: SNMP. Times in seconds.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.counters import Count, Counters
from towerops_agent.errors import AgentError
from towerops_agent.model import SnmpVersion, Transport
from towerops_agent.polling.course.device import make_security
from towerops_agent.reasons import Reason
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.session import Session, WalkEndedEarly, walk
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Request, Varbind
from towerops_agent.snmptool.target import Target
from towerops_agent.snmptool.views.as_text import error_text

_LOOK_AT: Final = (
    "check the address, that SNMP is on and allows this machine, and the credentials (to a wrong community a device is silent)"
)


_LOOK_AT_V3: Final = "check the address, and that SNMPv3 is on and allows this machine"

_CHECK: Final = {  # the command line may be wrong: instead of the hint, which is about Towerops
    Reason.REFUSED: "check the port and the transport",
    Reason.UNKNOWN_USER: "check --user",
    Reason.WRONG_AUTH_PASSWORD: "check both",
    Reason.WRONG_PRIV: "check both",
    Reason.UNSUPPORTED_SECURITY_LEVEL: "check --level",
}


class AskFailed(AgentError):
    """The device could not be asked, or did not answer. The text says why, and what to do."""


@dataclass(slots=True)
class GetResult:
    """The result of a GET. `complaints`: the device's errors, each as net-snmp prints it on standard error."""

    varbinds: list[Varbind] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class TargetSession(Session):
    """A session with the operator's device. All attempts wait for the same time."""

    __slots__ = ("_counters", "target")

    def __init__(
        self, client: SnmpClient, counters: Counters, target: Target, peers: Sequence[Peer], timeouts_s: tuple[float, ...]
    ) -> None:
        over_tcp = target.transport is Transport.TCP
        security = make_security(target.credentials)
        super().__init__(client, peers[0], security, others=peers[1:], over_tcp=over_tcp, timeouts_s=timeouts_s)
        self._counters = counters
        self.target = target

    def silence(self, no_reply: NoReply) -> str:
        """Why there is no answer, for the operator, and what to check."""
        target = self.target
        reason = no_reply.reason
        if reason is Reason.UNREACHABLE:
            return f"{target.address} {reason.text}: {no_reply.detail}; {reason.hint}"
        if reason is not Reason.TIMEOUT:
            return f"{target.address} does not answer: {reason.text}; {_CHECK.get(reason, reason.hint)}"
        waited = f"{self.timeouts_s[0]:g} s" if no_reply.attempts == 1 else f"{no_reply.attempts} times {self.timeouts_s[0]:g} s"
        look_at = _LOOK_AT_V3 if target.credentials.version is SnmpVersion.V3 else _LOOK_AT
        text = f"no answer from {target.address} over SNMPv{target.credentials.version} (waited {waited}): {look_at}"
        discarded = self._counters.by_reason(Count.SNMP_DISCARDED)
        if discarded:
            reasons = ", ".join(f"{count} {reason}" for reason, count in discarded.items())
            text += f"; other datagrams came: {reasons}"
        return text


@asynccontextmanager
async def open_session(target: Target, timeouts_s: tuple[float, ...]) -> AsyncIterator[TargetSession]:
    """A session with `target`. Raises AskFailed if its name can't be resolved."""
    counters = Counters()
    async with SnmpClient(counters) as client:
        try:
            peers = await client.resolve(target.host, target.port)
        except OSError as error:
            raise AskFailed(
                f"{target.host} can't be resolved ({error.strerror or error}): expected an address, a name that DNS knows, "
                f"or the name or id of a configured device\n{target.doubt}".rstrip()
            ) from None
        yield TargetSession(client, counters, target, peers, timeouts_s)


async def get(session: TargetSession, names: Sequence[Oid]) -> GetResult:
    """The values of `names`, asked in one request. A name that the device refuses is left out, and the rest is asked again.

    Raises AskFailed if there is no answer.
    """
    asked = list(names)
    result = GetResult()
    while asked:
        pdu = _heard(session, await session.ask(Request(tuple(asked))))
        if pdu.error_status == ErrorStatus.noError:
            result.varbinds = _varbinds(pdu)
            break
        blamed = pdu.error_index if 1 <= pdu.error_index <= len(asked) else 0
        result.complaints.append(error_text(pdu.error_status, asked[blamed - 1] if blamed else None))
        if not blamed:
            break
        del asked[blamed - 1]
    return result


async def walk_as_net_snmp(session: TargetSession, root: Oid) -> AsyncIterator[Varbind]:
    """The varbinds below `root`; then, as in snmpwalk, endOfMibView if the MIB ends with them.

    Without any below it, the value of `root` itself. Raises AskFailed.
    """
    last = root
    try:
        async for varbind in walk(session, root):
            last = varbind.name
            yield varbind
    except WalkEndedEarly as error:
        step = (
            f"; {_LOOK_AT}" if last == root else "; what is printed stands: try a longer --timeout, or a smaller part of the MIB"
        )
        raise AskFailed(f"the walk of {session.target.address} ended early: {error}{step}") from None
    # session.walk does not distinguish the end of the subtree from that of the MIB: one more request does.
    pdu = _heard(session, await session.ask(Request((last,), PduType.GET_NEXT)))
    v1_end = pdu.error_status == ErrorStatus.noSuchName
    if v1_end or ber.END_OF_MIB_VIEW in pdu.tags:
        yield Varbind(last, ber.END_OF_MIB_VIEW, None)
    if last == root and (v1_end or ber.END_OF_MIB_VIEW not in pdu.tags):
        for varbind in (await get(session, [root])).varbinds:
            yield varbind


def _heard(session: TargetSession, answer: Answer) -> Pdu:
    if isinstance(answer, NoReply):
        raise AskFailed(session.silence(answer))
    return answer.pdu


def _varbinds(pdu: Pdu) -> list[Varbind]:
    return [Varbind(name, tag, value) for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True)]
