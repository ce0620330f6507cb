"""The series of a device's polls: a metric's name and labels for each value of a layout.

A device of the compiled site files, as JSON -> the labels of each of its items, by id. No two series of a device have the
same labels, as names of sensors and interfaces are unique in it.
Pure. Names are neutral as to the width of a counter, which a stored poll does not say.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from towerops_agent.model import INTERFACE_COLUMNS, Layout
from towerops_agent.text import address

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, as remote write wants them; `__name__` is the metric's."""

SNMP_PORT: Final = 161

STATE_METRICS: Final = ("snmp_up", "snmp_response_seconds")

_INTERFACE_METRICS: Final = tuple(f"snmp_interface_{column.removeprefix('if_')}_total" for column in INTERFACE_COLUMNS)

_UNITS: Final = {
    "%": "percent",
    "a": "amperes",
    "bps": "bits_per_second",
    "bit/s": "bits_per_second",
    "c": "celsius",
    "°c": "celsius",
    "db": "decibels",
    "hz": "hertz",
    "s": "seconds",
    "v": "volts",
    "w": "watts",
}
"""Short units, as words."""


def series_of(device: Mapping[str, Any], external: Mapping[str, str]) -> dict[str, list[Labels]]:
    """The series of each item, by its id; under the device's own id those of its state. `external`: labels of the destination."""
    host, port = device["ip_address"], device["snmp"]["port"]
    instance = host if port == SNMP_PORT else address(host, port)
    own = {**external, **device["labels"], "device": device["name"], "instance": instance}
    found = {device["id"]: [_labels(name, own) for name in STATE_METRICS]}
    for sensor in device["sensors"]:
        labels = {**own, **sensor.get("labels", {}), "sensor": sensor["metadata"]["descr"]}
        found[sensor["id"]] = [_labels(sensor_metric(sensor.get("unit", "")), labels)]
    for interface in device["interfaces"]:
        labels = {**own, **interface.get("labels", {})}
        if name := interface.get("if_name"):
            labels["ifName"] = name
        if index := interface["if_index"]:
            labels["ifIndex"] = str(index)
        found[interface["id"]] = [_labels(name, labels) for name in _INTERFACE_METRICS]
    return found


def sensor_metric(unit: str) -> str:
    """The name of the metric of a sensor with this unit: `snmp_sensor_celsius`, `snmp_sensor` without one."""
    word = _UNITS.get(unit.strip().casefold(), unit)
    word = re.sub(r"[^a-z0-9]+", "_", word.casefold().replace("/", "_per_")).strip("_")
    return f"snmp_sensor_{word}" if word else "snmp_sensor"


def in_order(layout: Layout, found: Mapping[str, list[Labels]]) -> list[Labels]:
    """The series of the layout's values, in their order; one that `found` lacks is empty."""
    if layout.is_state:
        return found.get(layout.equipment_id, [(), ()])
    sensors = [labels for sensor, _ in layout.sensors for labels in found.get(sensor, [()])]
    nothing: list[Labels] = [()] * len(INTERFACE_COLUMNS)
    return sensors + [labels for interface in layout.interfaces for labels in found.get(interface, nothing)]


def _labels(metric: str, labels: Mapping[str, str]) -> Labels:
    return tuple(sorted({**labels, "__name__": metric}.items()))
