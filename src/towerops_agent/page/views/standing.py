"""The state of each device, and of the agent, as far as the database shows them: events, the last snapshot, and polls.

A change of state is an event; a device that answers from its first poll on makes no event. So after a start of the agent a
device is up as long as there are polls of it and no event says otherwise. One of which no poll is stored makes an event that says
so.
An agent that was killed leaves no word of it: it is taken for silent if it has written nothing for longer than it ever does not.
Pure. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from towerops_agent.buffer.format.event import STARTED, STOPPED, Event, EventKind
from towerops_agent.model import NOT_POLLED, State
from towerops_agent.telemetry.views.snapshot import DeviceReport, Snapshot


class Standing(msgspec.Struct, frozen=True):
    """`state`: as in State, or NOT_POLLED. `reason`: why it is not up. `since_us`: None if that is not known."""

    state: str
    reason: str = ""
    since_us: int | None = None


UNKNOWN: Final = Standing(NOT_POLLED)

QUIET_US: Final = 11 * 60_000_000
"""An agent that runs writes its snapshot each ten minutes, and a poll within seconds."""

UNWRITTEN_US: Final = 60_000_000
"""For so long at most a poll is in the agent's memory only (BUFFER_COMMIT_SECONDS)."""


def since_start(events: Sequence[Event]) -> Sequence[Event]:
    """The events from the last start of the agent on; all if there is none of a start."""
    starts = [i for i, event in enumerate(events) if event.kind is EventKind.AGENT and event.what == STARTED]
    return events[starts[-1] :] if starts else events


def standings(
    devices: Iterable[str],
    snapshot: Snapshot | None,
    events: Sequence[Event],
    newest: Mapping[str, tuple[int, int]],
    as_of_us: int,
    written_us: int = 0,
) -> dict[str, Standing]:
    """The state of each of these devices at `as_of_us`, by id.

    `newest`: when the newest poll that read something was started, and for how long such a poll says that the device is up.
    `written_us`: when the agent wrote last: until then a device is up that leaves no polls.
    """
    run = since_start(events)
    begun_us = run[0].at_us if run and run[0].kind is EventKind.AGENT else 0
    begun_us = 0 if begun_us > as_of_us else begun_us  # the clock was ahead at its start
    changes = {event.subject: event for event in run if event.kind is EventKind.STATE}
    is_of_run = snapshot is not None and snapshot.written_us >= begun_us
    troubled = {report.id: report for report in snapshot.troubled} if snapshot is not None and is_of_run else {}
    found = {}
    for device in devices:
        change, report = changes.get(device), troubled.get(device)
        if change is not None and snapshot is not None and change.at_us > snapshot.written_us:
            report = None  # what changed since then counts, also if nothing is known of it from then on
        standing = _stated(change, report)
        polled_us, holds_us = newest.get(device, (0, 0))
        if standing is None and polled_us >= begun_us and polled_us:
            standing = Standing(State.UP.value)
        if standing is None:
            standing = UNKNOWN
        elif standing.state == State.UP and as_of_us - polled_us <= holds_us + UNWRITTEN_US:
            standing = Standing(State.UP.value, "", standing.since_us)
        elif standing.state == State.UP and not (standing.reason and as_of_us - written_us <= QUIET_US):
            standing = Standing(NOT_POLLED, "nothing has been read lately", polled_us or None)
        found[device] = standing
    return found


def _stated(change: Event | None, report: DeviceReport | None) -> Standing | None:
    """What the last change in this run of the agent says of a device; without one what the snapshot does; None: neither."""
    if change is not None and change.what != NOT_POLLED:
        return Standing(change.what, change.why, change.at_us)
    if report is not None:
        return Standing(report.state, report.reason, report.since_us)
    return None


def ending_us(newest_us: int, now_us: int) -> int:
    """The end of the charts: now; if nothing was written for an hour, when something was."""
    return now_us if 0 <= now_us - newest_us <= 3_600_000_000 or not newest_us else newest_us + 1


def does_run(snapshot: Snapshot | None, events: Sequence[Event], newest_us: int, now_us: int) -> bool:
    """Whether the agent runs, as far as its database shows."""
    last = next((event for event in reversed(events) if event.kind is EventKind.AGENT), None)
    stopped_us = max(
        last.at_us if last is not None and last.what == STOPPED else 0, 0 if snapshot is None else snapshot.stopped_us or 0
    )
    started_us = last.at_us if last is not None and last.what == STARTED else 0
    return newest_us > 0 and max(started_us, newest_us) > stopped_us and abs(now_us - newest_us) <= QUIET_US
