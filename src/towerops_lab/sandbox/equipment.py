"""What the page shows of a configuration: its devices, as the agent itself reads them, by the names that people gave them.

octets -> the agent's reader -> ShownDevice (glance.py). So the page shows what the agent polls, and survives what the agent does.
Pure. Intervals in microseconds (`_us`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText, config_text
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Equipment
from towerops_agent.text import address

MAX_DEVICES: Final = 100
"""The page shows this many, the first ones; the API accepts any number."""

MAX_ITEMS: Final = 1_500
"""And no more sensors and interfaces than this."""


@dataclass(frozen=True, slots=True)
class ShownItem:
    """A sensor ("sensor", or "state" if its values are words), or an interface. `states`: the word for each value."""

    id: str
    kind: str
    label: str
    unit: str = ""
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShownDevice:
    """One device. `snmp`: its version, as "v2c"."""

    id: str
    name: str
    address: str
    snmp: str
    interval_us: int
    items: tuple[ShownItem, ...] = ()


def read_equipment(body: bytes) -> tuple[list[ShownDevice], int]:
    """The devices to show, and how many there are to poll; none if `body` is not a configuration."""
    try:
        text = config_text(body)
    except InvalidConfig:
        return [], 0
    read = read_config(text).equipment
    shown: list[ShownDevice] = []
    names = _names(text)
    count = items = 0
    for _, equipment in read:
        count += 1
        items += len(equipment.sensors) + len(equipment.interfaces)
        if count <= MAX_DEVICES and items <= MAX_ITEMS:
            shown.append(_device(equipment, names.get(equipment.id, {})))
    return shown, count


def _device(equipment: Equipment, names: Mapping[str, Mapping[str, Any]]) -> ShownDevice:
    items = [_sensor(sensor.id, names.get(sensor.id, {})) for sensor in equipment.sensors]
    items += [
        ShownItem(interface.id, "interface", interface.if_name or f"interface {interface.if_index}", "bit/s")
        for interface in equipment.interfaces
    ]
    return ShownDevice(
        equipment.id,
        equipment.name,
        address(equipment.host, equipment.port),
        f"v{equipment.credentials.version}",
        equipment.interval_s * 1_000_000,
        tuple({item.id: item for item in reversed(items)}.values())[::-1],
    )


def _sensor(sensor_id: str, named: Mapping[str, Any]) -> ShownItem:
    metadata = _object(named.get("metadata"))
    states = {key: word for key, word in _object(metadata.get("states")).items() if isinstance(word, str)}
    label = next((text for text in (metadata.get("descr"), named.get("type")) if isinstance(text, str) and text), sensor_id)
    unit = named.get("unit")
    return ShownItem(sensor_id, "state" if states else "sensor", label, unit if isinstance(unit, str) else "", states)


def _names(text: ConfigText) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The sensors' JSON by device and id, of as many devices as may be shown; what is not of its type is left out."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for octets in islice(text.items(), 2 * MAX_DEVICES):  # as many again may be refused, or switched off
        try:
            device = _object(msgspec.json.decode(octets))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            continue
        sensors = device.get("sensors")
        named = [_object(sensor) for sensor in sensors] if isinstance(sensors, list) else []
        found.setdefault(str(device.get("id")), {str(sensor.get("id")): sensor for sensor in reversed(named)})
    return found


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
