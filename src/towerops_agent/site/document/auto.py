"""Devices whose sensors and interfaces are found by the agent: `profile: auto`. What was found is added to what the file has.

What the file says comes first: a sensor with the same OID or the same name, and an interface with the same name or index, is the
file's. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from towerops_agent.polling.course.evidence import folded

AUTO: Final = "auto"

SEEN_AT: Final = "seen_at"
"""The key of the index at which an interface was found, if it is known by its name; not of the configuration."""

Item = dict[str, Any]


class Found(Protocol):
    """What was found of a device, as the contract's objects."""

    @property
    def sensors(self) -> Sequence[Item]: ...  # noqa: D102

    @property
    def interfaces(self) -> Sequence[Item]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class AutoDevice:
    """A device to be discovered, by its id; `host` and `port` as the file has them."""

    id: str
    name: str
    host: str
    port: int


def fill(wire: Item, found: Found) -> None:
    """Add what was found to the device."""
    wire["sensors"] = [*wire["sensors"], *_new_sensors(wire["sensors"], found.sensors)]
    wire["interfaces"] = [*wire["interfaces"], *_new_interfaces(wire["interfaces"], found.interfaces)]


def _new_sensors(given: Sequence[Item], found: Sequence[Item]) -> Iterator[Item]:
    ids = {sensor["id"] for sensor in given}  # made of the OID
    names = {sensor["metadata"]["descr"] for sensor in given}
    for sensor in found:
        if sensor["id"] not in ids and sensor["metadata"]["descr"] not in names:
            yield sensor


def _new_interfaces(given: Sequence[Item], found: Sequence[Item]) -> Iterator[Item]:
    names = {folded(name) for interface in given if (name := interface.get("if_name"))}
    indexes = {index for interface in given if (index := interface["if_index"])}
    for interface in found:
        name, index = folded(interface.get("if_name", "")), interface["if_index"] or interface.get(SEEN_AT)
        if not (name and name in names) and not (index and index in indexes):
            yield {key: value for key, value in interface.items() if key != SEEN_AT}


Additions = Mapping[str, Found]
"""What was found of each device, by its id."""
