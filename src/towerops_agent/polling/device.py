"""A device under polling: what of its Equipment stays in memory between polls.

Ids and names of its sensors and interfaces do not: they are in the buffer's Layout. So 10,000 devices of some kinds
take some megabytes, whatever they are asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from towerops_agent.model import Equipment, Layout, SnmpVersion
from towerops_agent.polling.plan import Plan, Planner
from towerops_agent.polling.traits import NARROW, UNKNOWN, Traits
from towerops_agent.snmp.exchange import Peer
from towerops_agent.snmp.message import Community, Version


@dataclass(slots=True, eq=False)
class Device:
    """One device. `layout`: the id of its layout in the buffer; `digest`: of the configuration that made it.

    `peer`, `resolved_at`: its socket address, and when (monotonic seconds) a name was resolved to it; None before the first poll.
    `problem`: why its last poll was not complete, "" where it was, None before the first.
    """

    id: str
    name: str
    host: str
    port: int
    security: Community
    interval_s: int
    layout: int
    digest: bytes
    plan: Plan
    traits: Traits = field(default_factory=Traits)
    peer: Peer | None = None
    resolved_at: float = 0.0
    problem: str | None = None

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def make_device(equipment: Equipment, layout: int, digest: bytes, planner: Planner, before: Device | None = None) -> Device:
    """The device that polls `equipment`, whose layout has this id in the buffer.

    `before`: the device that polled it under another configuration; what was learned of it is kept where it is the same machine.
    """
    credentials = equipment.credentials
    version = Version.V1 if credentials.version is SnmpVersion.V1 else Version.V2C
    if_indexes = [interface.if_index for interface in equipment.interfaces]
    traits = _traits(version, if_indexes)
    same = before is not None and (before.host, before.port, before.security.version) == (equipment.host, equipment.port, version)
    if before is not None and same:
        widths = _widths(before, if_indexes, traits.widths)
        traits = replace(before.traits, widths=widths)
    return Device(
        id=equipment.id,
        name=equipment.name,
        host=equipment.host,
        port=equipment.port,
        security=Community(version, credentials.community.reveal().encode()),
        interval_s=equipment.interval_s,
        layout=layout,
        digest=digest,
        plan=planner.plan([sensor.oid for sensor in equipment.sensors], if_indexes, traits.widths, traits.max_varbinds),
        traits=traits,
        peer=before.peer if before is not None and same else None,
        problem=before.problem if before is not None and same else None,
    )


def _traits(version: Version, if_indexes: Sequence[int]) -> Traits:
    """What is known of a device that was never asked: over SNMPv1 there is no Counter64 (RFC 2576 §4.1.2.1)."""
    return Traits(widths=bytes([NARROW if version is Version.V1 else UNKNOWN]) * (2 * len(if_indexes)))


def _widths(before: Device, if_indexes: Sequence[int], unknown: bytes) -> bytes:
    """The widths of these interfaces' counters, as learned before; as in `unknown` where they were not."""
    widths = bytearray(unknown)
    learned = {if_index: before.traits.widths[2 * i : 2 * i + 2] for i, if_index in enumerate(before.plan.if_indexes)}
    for i, if_index in enumerate(if_indexes):
        widths[2 * i : 2 * i + 2] = learned.get(if_index, unknown[2 * i : 2 * i + 2])
    return bytes(widths)


def layout_of(equipment: Equipment) -> Layout:
    """The layout of the polls of `equipment`."""
    return Layout(
        equipment.id,
        tuple((sensor.id, sensor.divisor) for sensor in equipment.sensors),
        tuple(interface.id for interface in equipment.interfaces),
    )
