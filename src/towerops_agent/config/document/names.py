"""What the configuration calls a device's sensors and interfaces: for people, and for nothing else.

ConfigText -> names of one device. The agent itself keeps none of them in memory; a command reads them when it needs them.
Pure. What is not of its type has no name: the configuration's other readers say what is wrong with it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from towerops_agent.config.document.fields import readable
from towerops_agent.config.document.text import ConfigText

_DESCRIPTIONS: Final = ("descr", "description", "name", "label")
"""Where `metadata` may say in words what a sensor reads; the first of them counts."""

SHORT_ID: Final = 8
"""How much of an id is shown, as of a commit."""


@dataclass(frozen=True, slots=True)
class Names:
    """By the id of a sensor, or of an interface, which may be the same. `sensors`: `temperature, board`; `interfaces`: `ether1`.

    All of the device are in them; one that the configuration does not name is called by its id.
    `units`: as configured, of sensors that have one. `words`: of sensors whose values stand for states, the word of each value.
    """

    sensors: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)


def names_of(config: ConfigText, equipment_id: str) -> Names:
    """The names in the configuration of the device with this id; none if it is not there."""
    for octets in config.items():
        if equipment_id.encode() in octets or b"\\" in octets:  # decoding each of 10,000 devices would take seconds
            equipment = readable(octets)
            if isinstance(equipment, dict) and equipment.get("id") == equipment_id:
                return _names(equipment)
    return Names()


def _names(equipment: dict[str, Any]) -> Names:
    names = Names()
    for sensor in objects(equipment.get("sensors")):
        label = ", ".join(filter(None, (text(sensor.get("type")), description(sensor.get("metadata")))))
        names.sensors[sensor["id"]] = label or text(sensor["id"])
        if unit := text(sensor.get("unit")):
            names.units[sensor["id"]] = unit
        if words := _words(sensor.get("metadata")):
            names.words[sensor["id"]] = words
    for interface in objects(equipment.get("interfaces")):
        if name := text(interface.get("if_name")):
            names.interfaces[interface["id"]] = name
        elif isinstance(interface.get("if_index"), int):
            names.interfaces[interface["id"]] = f"interface {interface['if_index']}"
        else:
            names.interfaces[interface["id"]] = text(interface["id"])
    every = [*names.sensors.items(), *names.interfaces.items()]
    return Names(_distinct(names.sensors, every), _distinct(names.interfaces, every), names.units, names.words)


def _distinct(labels: dict[str, str], every: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The labels, those that several have with the beginning of the id behind them, or the whole id if that is not enough.

    `every`: ids and labels of all of which there are.
    """
    shared = {label for label, count in Counter(label for _, label in every).items() if count > 1}
    short = Counter((label, item[:SHORT_ID]) for item, label in every if label in shared)
    return {
        item: label if label not in shared else f"{label} ({item[:SHORT_ID] if short[label, item[:SHORT_ID]] == 1 else item})"
        for item, label in labels.items()
    }


def objects(items: object) -> Iterable[dict[str, Any]]:
    """Those of `items` that are objects with an id."""
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict) and isinstance(item.get("id"), str))


def description(metadata: object) -> str:
    """What a sensor's `metadata` says in words that it reads; "" if it does not."""
    if not isinstance(metadata, dict):
        return ""
    return next(filter(None, (text(metadata.get(key)) for key in _DESCRIPTIONS)), "")


def _words(metadata: object) -> dict[str, str]:
    states = metadata.get("states") if isinstance(metadata, dict) else None
    if not isinstance(states, dict):
        return {}
    return {key: word for key, value in states.items() if (word := text(value))}


def text(value: object) -> str:
    """`value` in one line without control characters, if it is a text."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else ""
