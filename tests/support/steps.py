"""A poll taken step by step: its course, and the answers that a device may give."""

from collections.abc import Callable, Sequence

from towerops_agent.polling.course.plan import make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import Traits
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, parse_oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Value

SENSORS = [child(parse_oid("1.3.6.1.4.1.99999"), n) for n in range(1, 30)]
SILENCE = NoReply("timeout", 3)


def started(sensors: int = 5, interfaces: Sequence[int] = (), max_varbinds: int = 24) -> tuple[PollProgress, Traits]:
    """A poll of so many sensors, and what is known of the device."""
    traits = Traits(max_varbinds=max_varbinds, widths=bytes(2 * len(interfaces)))
    return PollProgress(make_plan(SENSORS[:sensors], interfaces, traits.widths, max_varbinds), traits), traits


def next_poll(progress: PollProgress, traits: Traits) -> PollProgress:
    """The poll after this one."""
    plan = progress.plan
    return PollProgress(make_plan(plan.sensors, plan.if_indexes, traits.widths, traits.max_varbinds), traits)


def held(name: Oid) -> int:
    """A value that is made of its OID."""
    return int.from_bytes(name[-2:], "big")


def reply(
    names: Sequence[Oid],
    values: Sequence[Value] | None = None,
    *,
    tags: bytes | None = None,
    status: int = 0,
    index: int = 0,
    received_us: int = 5,
) -> Reply:
    """A number for each of these, if nothing else is said."""
    values = [held(name) for name in names] if values is None else values
    tags = bytes([ber.GAUGE32]) * len(names) if tags is None else tags
    return Reply(Pdu(PduType.RESPONSE, 1, status, index, list(names), tags, list(values)), 0.01, received_us)


def refuse(names: Sequence[Oid], status: ErrorStatus, index: int = 0) -> Reply:
    """An error."""
    return reply(names, [None] * len(names), tags=bytes([ber.NULL]) * len(names), status=status, index=index)


def absent(names: Sequence[Oid], *there: Oid) -> Reply:
    """Only what is `there`: the rest is said to be absent."""
    values = [held(name) if name in there else None for name in names]
    return reply(names, values, tags=bytes(ber.GAUGE32 if name in there else ber.NO_SUCH_INSTANCE for name in names))


def finish(progress: PollProgress, answer: Callable[[Sequence[Oid]], Answer] = reply) -> list[list[Oid]]:
    """Answer all that is still asked by GET, and return it; nothing is there by GETNEXT."""
    asked = []
    while (ask := progress.next_ask()) is not None:
        if ask.by_next:
            progress.take(ask, reply(ask.request.names, [None] * len(ask.columns), tags=bytes([ber.NULL]) * len(ask.columns)))
            continue
        asked.append(list(ask.request.names))
        progress.take(ask, answer(ask.request.names))
    progress.finish()
    return asked
