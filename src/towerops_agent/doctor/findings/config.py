"""The configuration's content, its unusable items with the reason, and its devices, one at a time, to be checked.

It is read twice, to count and for the devices, so that 10,000 of them are never in memory together.
Pure: the configuration is passed in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from towerops_agent.config.document.equipment import Refusal, read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.doctor.findings.check import Check, Mark, split_expected
from towerops_agent.model import Equipment
from towerops_agent.text import counted

NAME = "config"

MOST_REFUSALS = 20
"""Refused items that get a line each."""


@dataclass(slots=True)
class Configured:
    """The devices, read again at each call of `devices`; `total`: how many. `checks`: what is to be said of the configuration.

    `refused`: how many sensors and interfaces of a device are refused, by its id. `of_devices`: those of `checks` that are about
    the devices that are to be checked.
    """

    checks: list[Check]
    of_devices: list[Check] = field(default_factory=list)
    refused: Mapping[str, int] = field(default_factory=dict)
    devices: Callable[[], Iterable[Equipment]] = field(default=lambda: ())
    total: int = 0

    @property
    def is_there(self) -> bool:
        """Whether there is a configuration to find devices in."""
        return self.checks[0].mark not in (Mark.FAILED, Mark.SKIPPED)


def check_config(
    config: ConfigText, wanted: Callable[[Equipment], bool], wants_name: Callable[[str], bool] = lambda _: False
) -> Configured:
    """The configuration that the API sent. `wanted`: which devices are to be checked, by name if they could not be read."""
    read = read_config(config)
    devices = sensors = interfaces = total = seen = 0
    refused_of: dict[str, int] = {}
    names: set[str] = set()
    for _, equipment in read.equipment:
        devices += 1
        total += wanted(equipment)
        if wanted(equipment):
            names.add(equipment.name)
        own = _own(read.refusals[seen:])
        seen = len(read.refusals)
        if own:
            refused_of[equipment.id] = own
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
    theirs = [refusal for refusal in read.refusals if refusal.equipment in names or wants_name(refusal.equipment)]
    if refused > MOST_REFUSALS:
        checks.append(Check(NAME, Mark.WARNING, f"and {refused - MOST_REFUSALS} more refused"))

    def again() -> Iterator[Equipment]:
        return (equipment for _, equipment in read_config(config).equipment if wanted(equipment))

    return Configured(checks, [_refusal(refusal) for refusal in theirs[:MOST_REFUSALS]], refused_of, again, total)


def _own(refusals: Sequence[Refusal]) -> int:
    """How many items of the device that was read last: those since the last one that is refused itself."""
    whole = max((i for i, refusal in enumerate(refusals) if refusal.kind == "equipment"), default=-1)
    return sum(refusal.kind in ("sensor", "interface") for refusal in refusals[whole + 1 :])


def kept_config(devices: list[Equipment], wanted: Callable[[Equipment], bool]) -> Configured:
    """The configuration that the agent kept, in place of the API's."""
    counts = _counts(
        len(devices), sum(len(device.sensors) for device in devices), sum(len(device.interfaces) for device in devices)
    )
    chosen = [device for device in devices if wanted(device)]
    check = Check(NAME, Mark.WARNING, f"not fetched; the one kept in the database has {counts}", "the devices below are its")
    return Configured([check], [check], {}, lambda: chosen, len(chosen))


def _refusal(refusal: Refusal) -> Check:
    whose = " of ".join(filter(None, (refusal.item, refusal.equipment)))
    found, wanted = split_expected(refusal.reason)
    told = " ".join(filter(None, (refusal.kind, whose, f"refused: {found}")))
    return Check(NAME, Mark.WARNING, told, f"correct it in Towerops: expected {wanted}" if wanted else "correct it in Towerops")


def _counts(devices: int, sensors: int, interfaces: int) -> str:
    kinds = ((devices, "device"), (sensors, "sensor"), (interfaces, "interface"))
    return ", ".join(counted(count, kind) for count, kind in kinds)
