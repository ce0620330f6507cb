"""What differs between two configurations of site files, device by device, for people.

ConfigText, ConfigText -> lines. Their secrets have been taken out, so a change of a secret is not seen.
Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from towerops_agent.config.document.text import ConfigText
from towerops_agent.text import address, counted

_ITEMS: Final = {"sensors": "sensor", "interfaces": "interface"}


def changes(before: ConfigText, after: ConfigText) -> Iterator[str]:
    """A line for each device that was added (+), removed (-) or changed (~), in the order of `after`."""
    old = {device["id"]: (octets, device) for octets, device in _devices(before)}
    for octets, device in _devices(after):
        known = old.pop(device["id"], None)
        if known is None:
            yield f"+ {_called(device)}: {', '.join(counted(len(device[key]), what) for key, what in _ITEMS.items())}"
        elif known[0] != octets:
            yield f"~ {_called(device)}: {'; '.join(_differences(known[1], device))}"
    for _, device in old.values():
        yield f"- {_called(device)}"


def _devices(config: ConfigText) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for octets in config.items():
        yield octets, msgspec.json.decode(octets)


def _called(device: dict[str, Any]) -> str:
    return f"{device['name']} ({address(device['ip_address'], device['snmp'].get('port', 161))})"


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterable[str]:
    for key in dict.fromkeys((*after, *before)):
        old, new = before.get(key), after.get(key)
        if key in _ITEMS:
            yield from _items(key, before[key], after[key])
        elif isinstance(old, dict) or isinstance(new, dict):
            yield from _members(key, old or {}, new or {})
        elif old != new:
            yield f"{key} {_text(old)} -> {_text(new)}"


def _members(key: str, before: dict[str, Any], after: dict[str, Any]) -> Iterable[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{key}.{name} {_text(before.get(name))} -> {_text(after.get(name))}"


def _items(key: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterable[str]:
    old, new = ({item["id"]: item for item in items} for items in (before, after))
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = sum(old[item] != new[item] for item in new.keys() & old.keys())
    counts = [f"{count} {how}" for count, how in ((added, "added"), (removed, "removed"), (changed, "changed")) if count]
    if counts:
        yield f"{key} {', '.join(counts)}"
    elif [*old] != [*new]:
        yield f"{key} in another order"


def _text(value: object) -> str:
    return "(none)" if value is None else str(value)
