"""The series of a device's polls: a metric's name and labels for each value of a layout.

A device of the configuration, as JSON -> the labels of each of its items, by kind and id: a server may count each kind from 1.
No two series have the same labels: items of a device whose labels would be the same have an `index`, and devices a `device_id`.
Only those of the API may need it. An empty label is left out.
Pure. Names are neutral as to the width of a counter, which a stored poll does not say.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

from towerops_agent.config.document.fields import host as normal_host
from towerops_agent.config.document.names import description, objects
from towerops_agent.config.document.names import text as _text
from towerops_agent.model import INTERFACE_COLUMNS, Layout, LayoutKind
from towerops_agent.text import address

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, as remote write wants them; `__name__` is the metric's."""

Item = tuple[Literal["state", "pings", "sensor", "interface"], str]
"""What has series: its kind, and its id; of the first two the device's."""

SNMP_PORT: Final = 161

SENSOR_METRIC: Final = "snmp_sensor"

STATE_METRICS: Final = ("snmp_up", "snmp_response_seconds")

PING_METRICS: Final = (
    *("ping_sent", "ping_received"),
    *("ping_rtt_min_seconds", "ping_rtt_avg_seconds", "ping_rtt_max_seconds", "ping_jitter_seconds"),
)
"""Of a round of pings, in the order of PING_VALUES."""

_INTERFACE_METRICS: Final = tuple(f"snmp_interface_{column.removeprefix('if_')}_total" for column in INTERFACE_COLUMNS)

_LABEL: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")

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


def labels_of(device: Mapping[str, Any]) -> dict[str, str]:
    """The labels that all series of a device have. `device`: as for series_of."""
    snmp = device.get("snmp")
    port = snmp.get("port") if isinstance(snmp, dict) else None
    host = normal_host("ip_address", device["ip_address"])
    instance = host if port in (SNMP_PORT, None) else address(host, port)
    return {**_labels_in(device), "device": _text(device.get("name")) or device["id"], "instance": instance}


def series_of(device: Mapping[str, Any], external: Mapping[str, str], *, alike: bool = False) -> dict[Item, list[Labels]]:
    """The series of each item. Of items of one kind that share an id the first one counts: the others are refused.

    `external`: labels of the destination. `device`: one of the configuration's that can be used; what is not of its type within
    it is left out. `alike`: another device of the configuration has the same labels, so that it has its id as well.
    """
    snmp = device.get("snmp")
    own = {**external, **labels_of(device), **({"device_id": device["id"]} if alike else {})}
    found: dict[Item, list[Labels]] = {("pings", device["id"]): [_labels(name, own) for name in PING_METRICS]}
    if not (isinstance(snmp, dict) and snmp.get("enabled") is False):  # then nothing is known of it by SNMP
        found["state", device["id"]] = [_labels(name, own) for name in STATE_METRICS]
    sensors = {item["id"]: item for item in reversed(list(objects(device.get("sensors"))))}
    interfaces = {item["id"]: item for item in reversed(list(objects(device.get("interfaces"))))}
    oids = Counter(_text(item.get("oid")) for item in sensors.values())
    labels: dict[Item, dict[str, str]] = {}
    for sensor, item in sensors.items():
        metric = sensor_metric(_text(item.get("unit")))
        labels["sensor", sensor] = {**own, **_labels_in(item), "sensor": _sensor_name(item), "__name__": metric}
    for interface, item in interfaces.items():
        labels["interface", interface] = {**own, **_labels_in(item), **_interface_labels(item)}
    for one in _alike(labels):
        oid = _text(sensors[one[1]].get("oid")) if one[0] == "sensor" else ""
        labels[one]["index"] = oid if oids[oid] == 1 else one[1]
    for one in _alike(labels):  # the operator's own index is another's OID
        labels[one]["index"] = one[1]
    for one, its in labels.items():
        names = (its["__name__"],) if one[0] == "sensor" else _INTERFACE_METRICS
        found[one] = [_labels(name, its) for name in names]
    return found


def _alike(labels: Mapping[Item, Mapping[str, str]]) -> list[Item]:
    """Those whose labels another one has too; an empty label does not count."""
    of_each = {item: frozenset(pair for pair in its.items() if pair[1]) for item, its in labels.items()}
    counts = Counter(of_each.values())
    return [item for item, its in of_each.items() if counts[its] > 1]


def sensor_metric(unit: str) -> str:
    """The name of the metric of a sensor with this unit: `snmp_sensor_celsius`, `snmp_sensor` without one."""
    word = _UNITS.get(unit.strip().casefold(), unit)
    word = re.sub(r"[^a-z0-9]+", "_", word.casefold().replace("/", "_per_")).strip("_")
    return f"{SENSOR_METRIC}_{word}" if word else SENSOR_METRIC


def in_order(layout: Layout, found: Mapping[Item, list[Labels]]) -> list[Labels]:
    """The series of the layout's values, in their order; one that `found` lacks is empty."""
    if layout.kind is LayoutKind.STATE:
        return found.get(("state", layout.equipment_id), [(), ()])
    if layout.kind is LayoutKind.PINGS:
        return found.get(("pings", layout.equipment_id), [()] * len(PING_METRICS))
    sensors = [labels for sensor, _ in layout.sensors for labels in found.get(("sensor", sensor), [()])]
    nothing: list[Labels] = [()] * len(INTERFACE_COLUMNS)
    return sensors + [labels for interface in layout.interfaces for labels in found.get(("interface", interface), nothing)]


def is_counter(metric: str) -> bool:
    """Whether the metric only grows, but for restarts of what counts."""
    return metric in _INTERFACE_METRICS


def _sensor_name(sensor: Mapping[str, Any]) -> str:
    """What the configuration calls it; if it does not, what it measures, or else its OID."""
    return description(sensor.get("metadata")) or _text(sensor.get("type")) or _text(sensor.get("oid"))


def _interface_labels(interface: Mapping[str, Any]) -> dict[str, str]:
    index = interface.get("if_index")
    return {"ifName": _text(interface.get("if_name")), "ifIndex": str(index) if index else ""}


def _labels_in(item: Mapping[str, Any]) -> Mapping[str, str]:
    """The operator's labels of a site file. The API does not send any: whatever has this name there is looked at."""
    labels = item.get("labels")
    if not isinstance(labels, dict):
        return {}
    return {name: value for name, value in labels.items() if _LABEL.fullmatch(name) and isinstance(value, str)}


def _labels(metric: str, labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in {**labels, "__name__": metric}.items() if value))
