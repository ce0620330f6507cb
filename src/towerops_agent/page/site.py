"""The site as the agent's database shows it at this moment: the overview, and a device's charts.

Database (read-only) + kept configuration -> views -> JSON. The configuration is unsealed again only if another one is kept; the
token is asked for then. No secret leaves this module: of the configuration only names, addresses, units and intervals do.
I/O: SQLite. Synchronous, for one thread at a time. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from towerops_agent.buffer.events import KEPT, KEPT_S
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.buffer.lookup import Newest
from towerops_agent.buffer.reader import DatabaseReader, KnownLayouts
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.names import Names, names_of
from towerops_agent.config.kept import CONFIG_KEY, open_kept, unseal
from towerops_agent.errors import AgentError
from towerops_agent.model import NOT_POLLED, PING_VALUES, Equipment, LayoutKind, Secret, State
from towerops_agent.page.views.charts import Chart, Thing, charts_of, things, unread
from towerops_agent.page.views.columns import HOUR_US, Window
from towerops_agent.page.views.overview import Known, Overview, happenings, line_of
from towerops_agent.page.views.runs import completed
from towerops_agent.page.views.standing import Standing, does_run, ending_us, standings
from towerops_agent.page.views.strips import Span, runs_over, states_over, works_over
from towerops_agent.page.views.tiles import tiles
from towerops_agent.telemetry.live_client import ask
from towerops_agent.telemetry.views.health import HEALTHY, IN_MEMORY, failing_in
from towerops_agent.telemetry.views.pace import longest_each_us, slowest_us
from towerops_agent.telemetry.views.rates import longest_us
from towerops_agent.telemetry.views.series import DeviceSeries
from towerops_agent.telemetry.views.snapshot import DEVICES_KEY, KEY, Snapshot, decode_devices, decode_snapshot
from towerops_agent.text import address

if TYPE_CHECKING:
    from towerops_agent.config.document.text import ConfigText

DAY_H: Final = 24
SPANS_H: Final = (1, 6, DAY_H)
"""The spans of the charts, in hours."""

_MINUTE_US: Final = 60_000_000

ASKED_WITHIN_S: Final = 1.0


class DeviceView(msgspec.Struct, frozen=True):
    """A device over some hours. `gap_us`: its polls further apart are not joined. `pending`: times of what is not delivered.

    `silent`: sensors and interfaces of the configuration of which there is no value in 24 hours.
    """

    device: str
    hours: int
    from_us: int
    to_us: int
    columns: int
    gap_us: int
    states: list[Span]
    pending: list[tuple[int, int]]
    restarts: list[int]
    charts: list[Chart]
    silent: list[str]


class _Look(NamedTuple):
    """What of a poll is kept until its device is shown. `has_answered`: it shows that the device is up."""

    id: int
    started_at_us: int
    has_answered: bool


class Site:
    """What the database at `path` shows. Inert; each method sees it as it is at the time."""

    def __init__(self, path: Path, token: Callable[[], Secret], now_us: Callable[[], int]) -> None:
        """`token`: raises AgentError if there is none."""
        self._path = path
        self._token = token
        self._now_us = now_us
        self._kept: bytes | None = None
        self._config: ConfigText | None = None
        self._known: dict[str, Known] = {}
        self._doubt = ""
        self._layouts: KnownLayouts = {}

    def overview(self) -> Overview:
        """The site at a glance. Raises NotReadable."""
        now_us = self._now_us()
        with DatabaseReader(self._path, self._layouts) as reader:
            snapshot, events, newest_us = self._look(reader, now_us)
            runs = does_run(snapshot, events, newest_us, now_us)
            as_of_us = ending_us(newest_us, now_us)
            told = _told(reader, snapshot, events, None if runs else newest_us, as_of_us)
            devices = self._devices(reader)
            pending = reader.pending()
        newest = {device.id: (device.newest_us, device.holds_us) for device in devices}
        standing = standings(newest, snapshot, events, newest, as_of_us, newest_us)
        names = {device.id: device.name for device in devices}
        since_us, health = as_of_us - DAY_H * HOUR_US, _health(self._path)
        latest = [event for event in events if event.at_us > as_of_us - KEPT_S * 1_000_000]  # a state that lasts may be older
        return Overview(
            now_us,
            as_of_us,
            title="The last 24 hours" if snapshot is None else f"{snapshot.hostname}: the last 24 hours",
            about="What this Towerops agent has read, from its own database.",
            runs=runs,
            notes=[note for note in (self._doubt, _not_on_disk(health), *_remarks(health)) if note],
            tiles=tiles(
                *(snapshot, events, list(standing.values()), pending, runs, newest_us, now_us),
                failing_now=failing_in(health) if health else None,
            ),
            devices=[line_of(device, standing[device.id]) for device in devices],
            agent=runs_over(told, since_us, as_of_us),
            api=works_over(told, since_us, as_of_us),
            events=happenings(latest, names),
        )

    def device(self, device_id: str, spans_h: Sequence[int] = (DAY_H,)) -> list[DeviceView]:
        """The device over these spans; none if neither the database nor the configuration has it. Raises NotReadable."""
        now_us = self._now_us()
        with DatabaseReader(self._path, self._layouts) as reader:
            snapshot, events, newest_us = self._look(reader, now_us)
            as_of_us = ending_us(newest_us, now_us)
            runs = does_run(snapshot, events, newest_us, now_us)
            told = _told(reader, snapshot, events, None if runs else newest_us, as_of_us)
            known = self._known_devices(reader).get(device_id)
            if known is None:
                return []
            interval_us = known.interval_s * 1_000_000
            day, polls = DeviceSeries(interval_us), []
            for stored in reader.polls(device_id, as_of_us - DAY_H * HOUR_US - max(known.holds_us, _MINUTE_US)):
                day.add(stored)
                polls.append(_Look(stored.id, stored.poll.started_at_us, _has_answered(stored, known)))
            undelivered = [] if snapshot is not None and not snapshot.delivers else reader.undelivered()
        names = Names() if self._config is None else names_of(self._config, device_id)
        about = [event for event in told if event.kind is EventKind.AGENT or event.subject == device_id]
        answered_us = sorted(poll.started_at_us for poll in polls if poll.has_answered)
        holds_us = longest_each_us(answered_us, interval_us)
        if answered_us:
            holds_us.append(known.holds_us or (holds_us[-1] if holds_us else longest_us(_MINUTE_US)))
        newest = {device_id: (answered_us[-1] if answered_us else 0, known.holds_us)}
        standing = standings([device_id], snapshot, events, newest, as_of_us, newest_us)[device_id]
        about, before = _history(about, standing)
        spans = [Window(as_of_us - hours * HOUR_US, as_of_us) for hours in spans_h]
        charts: list[list[Chart]] = [[] for _ in spans]
        read: set[Thing] = set()
        for alike in day.items():  # and dropped at once: all readings of a day may be more than the machine's memory
            read |= things(alike)
            for shown, span in zip(charts, spans, strict=True):
                shown.extend(charts_of(alike, names, span))
        silent = unread(read, names)
        return [
            _view(device_id, span, found, silent, polls, answered_us, holds_us, about, before, undelivered)
            for span, found in zip(spans, charts, strict=True)
        ]

    def _look(self, reader: DatabaseReader, now_us: int) -> tuple[Snapshot | None, list[Event], int]:
        """The last snapshot, the events, and when anything was written last.

        What was written while the clock was ahead says nothing of that, if anything was written since.
        """
        self._follow_config(reader)
        octets = reader.meta(KEY)
        snapshot = None if octets is None else decode_snapshot(octets)
        events = reader.events()
        written_us = [0 if snapshot is None else snapshot.written_us, events[-1].at_us if events else 0]
        written_us.append(reader.newest_poll_us() or 0)
        return snapshot, events, max([at_us for at_us in written_us if 0 < at_us <= now_us] or written_us)

    def _follow_config(self, reader: DatabaseReader) -> None:
        """Read the kept configuration, if another one is kept than before."""
        kept = reader.meta(CONFIG_KEY)
        if kept is not None and kept == self._kept and not self._doubt:
            return
        self._kept, self._config, self._known, self._doubt = kept, None, {}, ""
        if kept is None:
            self._doubt = "Devices are shown by their ids: the agent has kept no configuration yet."
            return
        try:
            self._config = open_kept(kept) or unseal(self._token(), kept)
        except AgentError as error:
            self._doubt = f"Devices, sensors and interfaces are shown by their ids: {error}."
            return
        for _, equipment in read_config(self._config).equipment:
            self._known[equipment.id] = _known(equipment)

    def _known_devices(self, reader: DatabaseReader) -> dict[str, Known]:
        """The devices of the configuration, by id; if it can't be read, those with polls."""
        if self._config is not None:
            return self._known
        octets = reader.meta(DEVICES_KEY)
        intervals = {report.id: report.interval_s for report in (decode_devices(octets) or [] if octets else [])}
        polled, pinged = reader.equipment(LayoutKind.READINGS), reader.equipment(LayoutKind.PINGS)
        return {
            device: Known(device, device, interval_s=intervals.get(device, 0), has_snmp=device in polled)
            for device in {**polled, **pinged}
        }

    def _devices(self, reader: DatabaseReader) -> list[Known]:
        """The devices, each with its newest poll, however long ago that was."""
        known = self._known_devices(reader).values()
        polled = reader.equipment(LayoutKind.READINGS)
        pinged = {} if all(device.has_snmp for device in known) else reader.equipment(LayoutKind.PINGS)
        layouts = {device.id: (polled if device.has_snmp else pinged).get(device.id, []) for device in known}
        unpaced = {device.id for device in known if not (device.holds_us or device.interval_s)}
        latest = reader.latest(layouts, unpaced)
        found = []
        for device in known:
            newest = latest.get(device.id, Newest(0, 0))
            distance_us = (newest.newest_us - newest.oldest_us) / max(newest.polls - 1, 1)
            holds_us = device.holds_us or longest_us(device.interval_s * 1_000_000 or distance_us)
            found.append(replace(device, newest_us=newest.newest_us, holds_us=holds_us))
        return found


def _health(path: Path) -> list[str]:
    """What a running agent says of itself, line by line; nothing if none answers."""
    try:
        _, _, health = (ask(str(path), b"health", ASKED_WITHIN_S) or b"").partition(b"\n")
    except (TimeoutError, AgentError):
        return []
    return health.decode(errors="replace").splitlines()


def _not_on_disk(health: Sequence[str]) -> str:
    """What to say if a running agent writes nothing: the database looks as if nothing were read any more, and all delivered."""
    said = (line.removeprefix(IN_MEMORY) for line in health if line.startswith(IN_MEMORY))
    why = next(said, "")
    return why and (
        f"The agent runs, and keeps what it reads in memory only: {why}. "
        "This page shows what is in the database, and nothing newer: for that, `towerops-agent status` and `devices`."
    )


def _remarks(health: Sequence[str]) -> list[str]:
    """What the agent says that neither a tile nor `_not_on_disk` does, such as a wrong clock."""
    shown = failing_in(health)
    return [
        f"The agent says: {line.removeprefix('degraded: ')}."
        for line in health
        if line != HEALTHY and not line.startswith((IN_MEMORY, *(f"degraded: {name} fails: " for name in shown)))
    ]


def _told(
    reader: DatabaseReader, snapshot: Snapshot | None, events: Sequence[Event], silent_since_us: int | None, as_of_us: int
) -> list[Event]:
    """The events up to `as_of_us`, with those that are missing. Later ones were noted while the clock was ahead.

    `silent_since_us`: when the agent wrote last, if it does not run.
    """
    since_us = events[0].at_us if len(events) >= KEPT else 0
    noted = [event for event in events if event.at_us <= as_of_us]
    return completed(noted, snapshot, reader.last_poll_us, silent_since_us=silent_since_us, since_us=since_us)


def _known(equipment: Equipment) -> Known:
    if not equipment.has_snmp:
        interval_s = equipment.interval_s if equipment.ping is None else equipment.ping.interval_s
        place, snmp = equipment.host, ""
    else:
        interval_s = equipment.interval_s
        place, snmp = address(equipment.host, equipment.port), f"v{equipment.credentials.version}"
    holds_us = longest_us(interval_s * 1_000_000)
    return Known(equipment.id, equipment.name, place, snmp, interval_s, holds_us, has_snmp=equipment.has_snmp)


def _has_answered(stored: StoredPoll, known: Known) -> bool:
    """Whether the poll shows that the device is up; if it is only pinged, that is a round of which any came back."""
    if known.has_snmp:
        return stored.layout.kind is LayoutKind.READINGS
    return stored.layout.kind is LayoutKind.PINGS and bool(stored.poll.values[PING_VALUES.index("received")])


def _view(
    device_id: str,
    window: Window,
    charts: list[Chart],
    silent: list[str],
    polls: Sequence[_Look],
    answered_us: Sequence[int],
    holds_us: Sequence[int],
    events: Sequence[Event],
    before: str,
    undelivered: Sequence[tuple[int, int]],
) -> DeviceView:
    gap_us = slowest_us(answered_us, holds_us, window.from_us) or longest_us(_MINUTE_US)
    return DeviceView(
        device_id,
        (window.to_us - window.from_us) // HOUR_US,
        window.from_us,
        window.to_us,
        window.count,
        gap_us,
        states_over(events, answered_us, holds_us, window.from_us, window.to_us, before),
        list(_pending(polls, undelivered, window, gap_us)),
        [event.at_us for event in events if event.kind is EventKind.RESTART and event.at_us >= window.from_us],
        charts,
        silent,
    )


def _history(events: list[Event], standing: Standing) -> tuple[list[Event], str]:
    """The events, and the state before the first: if none is a change of state, what the device's state now says of it.

    Single runs note no events: then the snapshot says since when a device is down.
    """
    if any(event.kind is EventKind.STATE for event in events):
        return events, NOT_POLLED
    since_us = standing.since_us
    if since_us is None or standing.state in (State.UP, NOT_POLLED):
        return events, standing.state
    change = Event(since_us, EventKind.STATE, what=standing.state, why=standing.reason)
    at = next((i for i, event in enumerate(events) if event.at_us > since_us), len(events))
    return [*events[:at], change, *events[at:]], NOT_POLLED


def _pending(
    polls: Sequence[_Look], undelivered: Sequence[tuple[int, int]], window: Window, gap_us: int
) -> Iterator[tuple[int, int]]:
    """From when to when the polls are that are not delivered, neighbours joined."""
    ends = list(accumulate((end for _, end in undelivered), max))
    at, begun_us, last_us = 0, 0, 0
    for stored in polls:
        while at < len(ends) and ends[at] <= stored.id:
            at += 1
        waits = at < len(ends) and undelivered[at][0] <= stored.id
        at_us = stored.started_at_us
        if begun_us and (not waits or at_us - last_us > gap_us):
            yield max(begun_us, window.from_us), last_us
            begun_us = 0
        if waits and at_us >= window.from_us:
            begun_us, last_us = begun_us or at_us, at_us
    if begun_us:
        yield begun_us, window.to_us if window.to_us - last_us <= gap_us else last_us
