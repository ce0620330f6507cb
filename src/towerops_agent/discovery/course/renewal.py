"""When a device is discovered again, and what then becomes of what is polled.

Each 24 hours; after a restart; if its table of interfaces has changed; if another version of the agent found it, with other
profiles; if nobody answered, or not to the end, later and later.
What a discovery does not find any more is polled for seven days: a radio whose link is down has no stations, and a module is
pulled for a day.
Pure: times are seconds of the wall clock, passed in.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from towerops_agent.site.document.auto import SEEN_AT

EACH_S: Final = 86_400.0
SPREAD_S: Final = 3_600.0
"""Over how long the devices of one day are spread."""

KEPT_S: Final = 7 * 86_400.0
FIRST_RETRY_S: Final = 60.0
MOST_RETRY_S: Final = 3_600.0
MOST_PAUSE_S: Final = 6 * 3_600.0
"""The same for a device that answers at first: it is not polled while it is asked."""

SETTLED_S: Final = 30.0
"""How long after a change a device is left alone: it has just started."""

_SLACK_S: Final = 60.0

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signs:
    """What shows that a device may be another than it was: how often it was seen to have started again, when its interfaces
    changed.

    `starts`: since the agent has started, or since it polls the device. `interfaces`: None if that is not known.
    """

    starts: int = 0
    interfaces: int | None = None

    def differs_from(self, before: "Signs") -> bool:
        """Whether the device has restarted since, or its interfaces have changed."""
        restarted = self.starts > (before.starts if self.starts >= before.starts else 0)
        changed = self.interfaces is not None and before.interfaces is not None and self.interfaces != before.interfaces
        return restarted or changed

    def after(self, before: "Signs") -> "Signs":
        """These, and what was known before of those that are not known now."""
        return Signs(self.starts, before.interfaces if self.interfaces is None else self.interfaces)


@dataclass(slots=True)
class KeptDevice:
    """What is known of one device. `at_s`: when it was found, 0 if it never was.

    `by`: the version of the agent that found it. `gone`: since when an item, by its id, is not there. `what`: vendor and model;
    `left_out`: a text for each reason. `trouble`: why the last discovery failed, and `failures` how often.
    """

    at_s: float = 0.0
    what: str = ""
    sensors: list[Item] = field(default_factory=list)
    interfaces: list[Item] = field(default_factory=list)
    gone: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    trouble: str = ""
    failures: int = 0
    failed_at_s: float = 0.0
    by: str = ""


def is_due(device_id: str, kept: KeptDevice, changed_at_s: float | None, now_s: float, by: str = "") -> bool:
    """Whether the device is to be discovered now. `changed_at_s`, `by`: as for due_at_s.

    It is if it was discovered at a time that is yet to come: the clock was wrong then, and it may be years until it is due again.
    """
    is_ahead = max(kept.at_s, kept.failed_at_s) > now_s + _SLACK_S
    return is_ahead or due_at_s(device_id, kept, changed_at_s, by) <= now_s


def due_at_s(device_id: str, kept: KeptDevice, changed_at_s: float | None, by: str = "") -> float:
    """When the device is to be discovered next.

    `changed_at_s`: when it was seen to be another, if so since the last discovery. `by`: the version of the agent.
    """
    pause_s = FIRST_RETRY_S * (1 << min(max(kept.failures - 1, 0), 16))
    if kept.failures and kept.at_s != kept.failed_at_s:  # it was silent
        return kept.failed_at_s + min(pause_s, MOST_RETRY_S)
    if not kept.at_s or kept.by != by:
        return 0.0
    daily_s = EACH_S + crc32(device_id.encode()) % int(SPREAD_S) - SPREAD_S / 2
    due_s = kept.at_s + (min(pause_s, MOST_PAUSE_S) if kept.failures else daily_s)
    return due_s if changed_at_s is None else min(due_s, changed_at_s + SETTLED_S)


def renewed(
    before: KeptDevice,
    now_s: float,
    *,
    sensors: Sequence[Item],
    interfaces: Sequence[Item],
    what: str,
    left_out: list[str],
    broken: str,
    again: bool,
    by: str = "",
) -> KeptDevice:
    """What is known after a discovery, of which these items were made. `broken`: why it was cut short, "" if it was not.

    An item that it lacks stays for seven days, and for as long as discoveries are cut short; unless another one has its name,
    or stands at its index if that is all that it is known by.
    One that may say more another time (`again`) is repeated as if nobody had answered.
    """
    gone, is_broken = dict(before.gone), bool(broken)
    return KeptDevice(
        at_s=now_s,
        what=what,
        sensors=_with_gone(before.sensors, sensors, gone, now_s, broken=is_broken, names_of=_sensor_names),
        interfaces=_with_gone(before.interfaces, interfaces, gone, now_s, broken=is_broken, names_of=_interface_names),
        gone=gone,
        left_out=left_out,
        trouble=broken if again else "",
        failures=before.failures + 1 if again else 0,
        failed_at_s=now_s if again else 0.0,
        by=by,
    )


def failed(before: KeptDevice, why: str, now_s: float) -> KeptDevice:
    """What is known after a discovery without any answer: the same."""
    before.trouble, before.failures, before.failed_at_s = why, before.failures + 1, now_s
    return before


def _with_gone(
    before: Iterable[Item],
    now: Sequence[Item],
    gone: dict[str, float],
    now_s: float,
    *,
    broken: bool,
    names_of: Callable[[Item], tuple[object, ...]],
) -> list[Item]:
    ids, names = {item["id"] for item in now}, {each for item in now for each in names_of(item)}
    for item in now:
        gone.pop(item["id"], None)
    kept = list(now)
    for item in before:
        if item["id"] in ids:
            continue
        since_s = min(gone.get(item["id"], now_s), now_s)  # later than now by a clock that was wrong
        if names_of(item)[0] in names or (now_s - since_s >= KEPT_S and not broken):
            gone.pop(item["id"], None)
            continue
        if not broken:
            gone[item["id"]] = since_s
        kept.append(item)
    return kept


def _sensor_names(item: Item) -> tuple[object, ...]:
    return (item["metadata"]["descr"],)


def _interface_names(item: Item) -> tuple[object, ...]:
    """Its name, if it has one, and its index: one that was known by this index only would be read where it is."""
    return item.get("if_name") or item["if_index"], item.get(SEEN_AT)
