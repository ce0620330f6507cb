"""One device of a report, however many addresses it answers at. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.model import Credentials


@dataclass(frozen=True, slots=True)
class Discovered:
    """`credentials`: what its set is called; `as_whom`: the set. `also_at`: other addresses of the same device."""

    host: str
    port: int
    credentials: str
    as_whom: Credentials
    found: Discovery
    also_at: tuple[str, ...] = ()


def once_each(entries: Iterable[Discovered]) -> list[Discovered]:
    """The devices, each at the first of its addresses: two with the same name and the same hardware addresses are one."""
    found: dict[object, Discovered] = {}
    for entry in entries:
        hardware = entry.found.hardware
        key: object = (entry.found.system.name, hardware) if hardware else entry.host
        first = found.setdefault(key, entry)
        if first is not entry:
            found[key] = replace(first, also_at=(*first.also_at, entry.host))
    return list(found.values())
