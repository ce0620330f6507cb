"""Walk a subtree of a device's MIB: GETNEXT over SNMPv1, GETBULK over v2c if the device does it (wire/walking.py). I/O: SNMP."""

from collections.abc import AsyncIterator

from towerops_agent.errors import SnmpError
from towerops_agent.snmp.session import Session
from towerops_agent.snmp.wire.message import Varbind
from towerops_agent.snmp.wire.oid import Oid
from towerops_agent.snmp.wire.walking import WalkCourse, WalkEnd


class WalkEndedEarly(SnmpError):
    """The device stopped answering, refused, or looped; the varbinds until then are valid."""


async def walk(session: Session, subtree: Oid) -> AsyncIterator[Varbind]:
    """The varbinds below `subtree`, in the MIB's order. Raises WalkEndedEarly."""
    course = WalkCourse(subtree, session.security.version)
    while (request := course.next_request()) is not None:
        for varbind in course.take(await session.ask(request)):
            yield varbind
    if course.end is WalkEnd.BROKEN:
        raise WalkEndedEarly(course.why)
