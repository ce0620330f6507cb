"""The configuration's content, its unusable items with the reason, and its devices, one at a time, to be checked.

It is read twice, to count and for the devices, so that 10,000 of them are never in memory together.
Pure: the configuration is passed in.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from towerops_agent.config.document.equipment import Refusal, read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.doctor.findings.check import Check, Mark
from towerops_agent.model import Equipment
from towerops_agent.text import counted

NAME = "config"

MOST_REFUSALS = 20
"""Refused items that get a line each."""


@dataclass(slots=True)
class Configured:
    """The devices, read again at each call of `devices`; `total`: how many. `checks`: what is to be said of the configuration."""

    checks: list[Check]
    devices: Callable[[], Iterable[Equipment]] = field(default=lambda: ())
    total: int = 0


def check_config(config: ConfigText, wanted: Callable[[Equipment], bool]) -> Configured:
    """The configuration that the API sent. `wanted`: which devices are to be checked."""
    read = read_config(config)
    devices = sensors = interfaces = total = 0
    for _, equipment in read.equipment:
        devices += 1
        total += wanted(equipment)
        sensors += len(equipment.sensors)
        interfaces += len(equipment.interfaces)
    refused = read.refused.total()
    found = f"{f'version {read.version}: ' if read.version else ''}{_counts(devices, sensors, interfaces)}"
    if read.disabled:
        found += f"; {read.disabled} more with SNMP switched off"
    if refused:
        found += f"; {refused} refused"
    mark, hint = Mark.WARNING if refused else Mark.OK, ""
    if not devices:
        mark, hint = Mark.WARNING, "assign devices to this agent in Towerops"
    checks = [Check(NAME, mark, found, hint), *map(_refusal, read.refusals[:MOST_REFUSALS])]
    if refused > MOST_REFUSALS:
        checks.append(Check(NAME, Mark.WARNING, f"and {refused - MOST_REFUSALS} more refused"))

    def again() -> Iterator[Equipment]:
        return (equipment for _, equipment in read_config(config).equipment if wanted(equipment))

    return Configured(checks, again, total)


def kept_config(devices: list[Equipment], wanted: Callable[[Equipment], bool]) -> Configured:
    """The configuration that the agent kept, in place of the API's."""
    counts = _counts(
        len(devices), sum(len(device.sensors) for device in devices), sum(len(device.interfaces) for device in devices)
    )
    chosen = [device for device in devices if wanted(device)]
    check = Check(NAME, Mark.WARNING, f"not fetched; the one kept in the database has {counts}", "the devices below are its")
    return Configured([check], lambda: chosen, len(chosen))


def _refusal(refusal: Refusal) -> Check:
    whose = " of ".join(filter(None, (refusal.item, refusal.equipment)))
    found, _, wanted = refusal.reason.rpartition(": expected ")
    told = " ".join(filter(None, (refusal.kind, whose, "refused: ")))
    if not found:
        return Check(NAME, Mark.WARNING, told + refusal.reason, "correct it in Towerops")
    return Check(NAME, Mark.WARNING, told + found, f"correct it in Towerops: expected {wanted}")


def _counts(devices: int, sensors: int, interfaces: int) -> str:
    kinds = ((devices, "device"), (sensors, "sensor"), (interfaces, "interface"))
    return ", ".join(counted(count, kind) for count, kind in kinds)
