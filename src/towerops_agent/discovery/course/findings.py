"""What a discovery ends in: the device, what to poll of it, and what is left out.

Pure. A sensor's value over its divisor is in its unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from towerops_agent.model import Number
from towerops_agent.snmp.wire.ber import Oid


@dataclass(frozen=True, slots=True)
class System:
    """What a device says of itself; "" for what it does not say."""

    name: str = ""
    descr: str = ""
    object_id: Oid = b""
    location: str = ""
    uptime: int | None = None


@dataclass(frozen=True, slots=True)
class FoundSensor:
    """One value that can be polled. `value`: as it was read, not divided. `source`: the profile or the MIB that it is of.

    `skip`: the numbers by which the device says that there is nothing.
    """

    oid: Oid
    name: str
    type: str
    unit: str
    divisor: float
    value: Number
    source: str
    states: Mapping[int, str] | None = None
    skip: frozenset[Number] = frozenset()


@dataclass(frozen=True, slots=True)
class FoundPort:
    """One interface that can be polled. `name`: "" if another one has the same, so that its index has to do."""

    if_index: int
    name: str
    label: str
    alias: str = ""
    type: int = 0


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something that was found, and is not polled."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who is on which port. `protocol`: LLDP, CDP or MNDP."""

    port: str
    name: str
    their_port: str
    platform: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """One device. `profiles`: those that are used, its own first. `requests`: how many it was asked.
    `hardware`: the addresses of its interfaces, of six octets.

    `broken`: why it was not read to the end, "" if it was; what is found until then is right.
    `again`: another time it may say more.
    """

    system: System
    vendor: str = ""
    model: str = ""
    profiles: tuple[str, ...] = ()
    sensors: tuple[FoundSensor, ...] = ()
    ports: tuple[FoundPort, ...] = ()
    left_out: tuple[NotTaken, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    hardware: frozenset[bytes] = frozenset()
    requests: int = 0
    broken: str = ""
    again: bool = False
