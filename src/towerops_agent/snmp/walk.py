"""Walk a subtree of a device's MIB: GETNEXT over SNMPv1, GETBULK over v2c (RFC 3416 §4.2.2 and §4.2.3).

Each name must be greater than the one before, or the walk ends with an error: some firmware answers in circles.
"""

from collections.abc import AsyncIterator

from towerops_agent.errors import InvalidOid, SnmpError
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Request, Varbind, Version, error_name
from towerops_agent.snmp.wire.oid import Oid, format_oid, is_within, subidentifiers

MAX_REPETITIONS = 20
"""About what fits in an answer of 1,472 octets."""


class WalkEndedEarly(SnmpError):
    """The device stopped answering, refused, or answered in circles; what was read until then stands."""


async def walk(session: Session, subtree: Oid) -> AsyncIterator[Varbind]:
    """The varbinds below `subtree`, in the MIB's order. Raises WalkEndedEarly.

    A device that finds an answer too big is asked for less at once.
    """
    last = subtree
    repetitions = 1 if session.security.version is Version.V1 else MAX_REPETITIONS
    while True:
        bulk = repetitions > 1
        request = Request((last,), PduType.GET_BULK, 0, repetitions) if bulk else Request((last,), PduType.GET_NEXT)
        answer = await session.ask(request)
        if isinstance(answer, NoReply):
            raise WalkEndedEarly(f"no answer after {format_oid(last)}: {answer.reason} {answer.detail}".rstrip())
        pdu = answer.pdu
        if pdu.error_status == ErrorStatus.noSuchName:
            return  # SNMPv1's way to say that the MIB ends here (RFC 1157 §4.1.3)
        if pdu.error_status == ErrorStatus.tooBig and repetitions > 1:
            repetitions //= 2
            continue
        if pdu.error_status != ErrorStatus.noError:
            raise WalkEndedEarly(f"{error_name(pdu.error_status)} after {format_oid(last)}")
        if not pdu.names:
            raise WalkEndedEarly(f"an empty answer after {format_oid(last)}")
        for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            if tag == ber.END_OF_MIB_VIEW or not is_within(name, subtree):
                return
            try:
                grows = subidentifiers(name) > subidentifiers(last)
            except InvalidOid as error:
                raise WalkEndedEarly(f"after {format_oid(last)}: {error}") from error
            if not grows:
                raise WalkEndedEarly(f"{format_oid(name)} after {format_oid(last)}: the device's MIB does not grow")
            yield Varbind(name, tag, value)
            last = name
