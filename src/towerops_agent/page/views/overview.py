"""The site at a glance: the agent, its API, what waits, and each device in a line.

Snapshot + events + the newest polls + the configuration's names -> Overview, as the page's JavaScript draws it.
Names are shown without what controls a line: U+202E would turn around all that follows.
Pure. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.config.document.names import text as in_line
from towerops_agent.model import State
from towerops_agent.page.views.standing import Standing
from towerops_agent.page.views.strips import Span
from towerops_agent.page.views.tiles import Tile
from towerops_agent.reasons import reason_of
from towerops_agent.text import duration

MOST_EVENTS: Final = 200
"""How many events are listed, the latest ones."""

_WORDS: Final = {State.UP.value: "up", State.DEGRADED.value: "degraded", State.DOWN.value: "down"}


@dataclass(frozen=True, slots=True)
class Known:
    """A device of the configuration, or one that is known only by its id. `holds_us`: for how long a poll says that it is up.

    `has_snmp`: False if it is only pinged: then rounds of pings say so, and `interval_s` is theirs.
    """

    id: str
    name: str
    address: str = ""
    snmp: str = ""
    interval_s: int = 0
    holds_us: int = 0
    newest_us: int = 0
    has_snmp: bool = True


class DeviceLine(msgspec.Struct, frozen=True):
    """One device. `reason`: in words. `newest_us`: when the newest poll that read something was started, 0 for never."""

    id: str
    name: str
    address: str
    meta: str
    state: str
    reason: str
    since_us: int | None
    newest_us: int


class Happening(msgspec.Struct, frozen=True):
    """An event in words. `device`: the id of the device that it is about, "" for none."""

    at_us: int
    text: str
    kind: str
    device: str


class Overview(msgspec.Struct, frozen=True):
    """`as_of_us`: the end of all charts. `runs`: whether the agent runs, as far as its database shows. `notes`: what to know.

    `agent`, `api`: whether the one ran and the other worked, over the last 24 hours.
    """

    now_us: int
    as_of_us: int
    title: str
    about: str
    runs: bool
    notes: list[str]
    tiles: dict[str, Tile]
    devices: list[DeviceLine]
    agent: list[Span]
    api: list[Span]
    events: list[Happening]


def line_of(device: Known, standing: Standing) -> DeviceLine:
    """The device in a line."""
    asked = [f"SNMP {device.snmp}"] if device.snmp else []
    if device.interval_s:
        asked.append(f"{'polled' if device.has_snmp else 'only pinged,'} every {duration(device.interval_s)}")
    return DeviceLine(
        *(device.id, in_line(device.name) or device.id, device.address, ", ".join(asked)),
        *(standing.state, in_words(standing.reason), standing.since_us, device.newest_us),
    )


def happenings(events: Sequence[Event], names: Mapping[str, str]) -> list[Happening]:
    """The latest events in words, the newest first. `names`: of the devices, by id."""
    return [_happening(event, names) for event in reversed(events[-MOST_EVENTS:])]


def in_words(reason: str) -> str:
    """A reason as people read it."""
    known = reason_of(reason)
    return reason if known is None else known.text


def _happening(event: Event, names: Mapping[str, str]) -> Happening:
    name = names.get(event.subject, event.subject)
    device = ""
    match event.kind:
        case EventKind.AGENT:
            text = f"The agent {event.what}{f': {event.why}' if event.why else ''}"
        case EventKind.STATE:
            device = event.subject
            reason = f": {in_words(event.why)}" if event.why else ""
            text = f"{name} is {_WORDS.get(event.what, event.what)}{reason}"
        case EventKind.RESTART:
            device = event.subject
            text = f"{name} has restarted"
        case EventKind.CONFIG:
            text = f"Configuration applied: {event.what}"
        case EventKind.API:
            text = f"{event.subject.capitalize()}: {event.what}{f', {event.why}' if event.why else ''}"
    kind = event.what if event.kind is EventKind.STATE else event.kind.value
    return Happening(event.at_us, in_line(text), kind, device)
