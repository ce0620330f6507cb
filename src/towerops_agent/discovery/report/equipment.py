"""What was discovered, as the contract's JSON: a device with its sensors and interfaces.

Ids are those that the same device has in a site file, so that values go on if one becomes the other. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from towerops_agent.discovery.course.findings import Discovery, FoundPort, FoundSensor
from towerops_agent.discovery.report.credentials import wire_of
from towerops_agent.discovery.report.entry import Discovered
from towerops_agent.site.document.device import interface_id, sensor_id, site_id
from towerops_agent.site.document.meanings import states_member
from towerops_agent.snmp.wire.ber import format_oid


def document(entries: Sequence[Discovered], interval_s: int, *, reveal: bool) -> dict[str, Any]:
    """The contract's document. `reveal`: with secrets."""
    equipment = []
    for entry in entries:
        wire = equipment_of(entry.found, entry.host, entry.port, wire_of(entry.as_whom, entry.port, reveal=reveal), interval_s)
        equipment.append(wire | {"metadata": _metadata(entry)})
    return {"version": "discovered", "poll_interval_seconds": interval_s, "equipment": equipment}


def _metadata(entry: Discovered) -> dict[str, Any]:
    """What the contract does not interpret."""
    found = entry.found
    metadata: dict[str, Any] = {
        "vendor": found.vendor,
        "model": found.model,
        "descr": found.system.descr,
        "profiles": found.profiles,
        "requests": found.requests,
        "left_out": [{"what": left.what, "why": left.why} for left in found.left_out],
        "neighbours": [
            {"port": one.port, "name": one.name, "their_port": one.their_port, "platform": one.platform, "protocol": one.protocol}
            for one in found.neighbours
        ],
    }
    if entry.also_at:
        metadata["also_at"] = entry.also_at
    if found.broken:
        metadata["broken"] = found.broken
    return metadata


def equipment_of(found: Discovery, host: str, port: int, snmp: Mapping[str, Any], interval_s: int) -> dict[str, Any]:
    """The device at `host`. `snmp`: the contract's object, with or without secrets."""
    return {
        "id": site_id(host, port),
        "name": found.system.name or host,
        "ip_address": host,
        "snmp": dict(snmp),
        "poll_interval_seconds": interval_s,
        "sensors": [_of_contract(sensor_object(sensor, host, port)) for sensor in found.sensors],
        "interfaces": [port_object(each, host, port) for each in found.ports],
    }


def sensor_object(sensor: FoundSensor, host: str, port: int) -> dict[str, Any]:
    """One sensor, as the configuration of a site file has it. The words of its states are in `metadata.states`."""
    oid = format_oid(sensor.oid)
    metadata = {"descr": sensor.name, "source": sensor.source, **states_member(sensor.states or {})}
    made = {"id": sensor_id(host, port, oid), "type": sensor.type, "oid": oid, "divisor": sensor.divisor, "metadata": metadata}
    return made | ({"unit": sensor.unit} if sensor.unit else {}) | ({"skip": sorted(sensor.skip)} if sensor.skip else {})


def _of_contract(sensor: dict[str, Any]) -> dict[str, Any]:
    """The same without a field that the contract does not have: `skip` is metadata there, kept and not interpreted."""
    skip = sensor.pop("skip", None)
    return sensor if skip is None else sensor | {"metadata": sensor["metadata"] | {"skip": skip}}


def port_object(found: FoundPort, host: str, port: int) -> dict[str, Any]:
    """One interface; without a name if another one has the same."""
    made: dict[str, Any] = {"id": interface_id(host, port, found.name or found.if_index), "if_index": found.if_index}
    if found.name:
        made["if_name"] = found.name
    metadata = {"alias": found.alias} if found.alias else {}
    return made | ({"metadata": metadata} if metadata else {})
