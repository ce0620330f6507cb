"""A device under polling: what of its Equipment stays in memory between polls.

Ids and names of its sensors and interfaces do not: they are in the buffer's Layout. So 10,000 devices of some kinds
take some megabytes, whatever they are asked.
"""

from dataclasses import dataclass, field

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


def make_device(equipment: Equipment, layout: int, digest: bytes, planner: Planner) -> Device:
    """The device that polls `equipment`, whose layout has this id in the buffer."""
    credentials = equipment.credentials
    version = Version.V1 if credentials.version is SnmpVersion.V1 else Version.V2C
    # SNMPv1 has no Counter64 (RFC 2576 §4.1.2.1), so there is nothing to learn.
    width = NARROW if version is Version.V1 else UNKNOWN
    traits = Traits(widths=bytes([width]) * (2 * len(equipment.interfaces)))
    return Device(
        id=equipment.id,
        name=equipment.name,
        host=equipment.host,
        port=equipment.port,
        security=Community(version, credentials.community.reveal().encode()),
        interval_s=equipment.interval_s,
        layout=layout,
        digest=digest,
        plan=planner.plan(
            [sensor.oid for sensor in equipment.sensors],
            [interface.if_index for interface in equipment.interfaces],
            traits.widths,
            traits.max_varbinds,
        ),
        traits=traits,
    )


def layout_of(equipment: Equipment) -> Layout:
    """The layout of the polls of `equipment`."""
    return Layout(
        equipment.id,
        tuple((sensor.id, sensor.divisor) for sensor in equipment.sensors),
        tuple(interface.id for interface in equipment.interfaces),
    )
