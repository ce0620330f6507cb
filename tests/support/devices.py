"""Devices under polling, made from a few words."""

from collections.abc import Iterable
from dataclasses import replace

from towerops_agent.model import Credentials, Equipment, Interface, PingPlan, Secret, Sensor, SnmpVersion
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.snmp.wire.ber import parse_oid

LAYOUT = 7


def equipment(
    *,
    equipment_id: str = "eq-1",
    host: str = "127.0.0.1",
    port: int = 161,
    version: str = "2c",
    sensors: Iterable[str] = (),
    interfaces: Iterable[int] = (),
    interval_s: int = 60,
    ping: PingPlan | None = None,
    has_snmp: bool = True,
) -> Equipment:
    """`sensors`: OIDs; `interfaces`: ifIndexes."""
    return Equipment(
        equipment_id,
        f"name of {equipment_id}",
        host,
        port,
        credentials=Credentials(SnmpVersion(version), Secret("public")),
        interval_s=interval_s,
        sensors=tuple(Sensor(f"s{i}", parse_oid(oid)) for i, oid in enumerate(sensors)),
        interfaces=tuple(Interface(f"i{if_index}", if_index) for if_index in interfaces),
        ping=ping,
        has_snmp=has_snmp,
    )


def device(planner: Planner | None = None, before: Device | None = None, **wanted: object) -> Device:
    """As `equipment` takes it. `before`: the device under its configuration before."""
    return make_device(equipment(**wanted), LAYOUT, b"digest", planner or Planner(), before)  # type: ignore[arg-type]


def device_of(host: str, interfaces: tuple[Interface, ...], port: int = 161) -> Device:
    """A device with these interfaces, and nothing else."""
    wanted = replace(equipment(host=host, port=port), interfaces=interfaces)
    return make_device(wanted, LAYOUT, b"digest", Planner())
