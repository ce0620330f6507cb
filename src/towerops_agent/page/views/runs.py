"""What the events leave unsaid of the agent and its API: how it was before the first, and when a run ended that was killed.

Events are kept two days: of an agent that has run for longer none says that it runs, or that its API works. One that was killed,
or lost its power, has left no word of its end: it ran until it last wrote.
Events + snapshot + polls -> events, for strips.py. Pure. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Callable, Iterator, Sequence

from towerops_agent.buffer.format.event import FAILS, STARTED, STOPPED, WORKS, Event, EventKind
from towerops_agent.telemetry.views.snapshot import Snapshot


def completed(
    events: Sequence[Event],
    snapshot: Snapshot | None,
    last_poll_us: Callable[[int], int | None],
    *,
    silent_since_us: int | None,
    since_us: int,
) -> list[Event]:
    """The events, with those that are missing.

    `last_poll_us`: when the last poll before a time was started, None if there is none. `silent_since_us`: when the agent wrote
    last, if it does not run. `since_us`: from when on events are kept; 0: all that matter are.
    """
    left = snapshot if snapshot is not None and snapshot.single_run is None else None
    found = _with_stops(events, left, last_poll_us, silent_since_us)
    return [*_before(found, left, since_us), *found]


def _with_stops(
    events: Sequence[Event], left: Snapshot | None, last_poll_us: Callable[[int], int | None], silent_since_us: int | None
) -> list[Event]:
    """The events, with a stop of each run that ended without one. `left`: the snapshot, but not that of a single run."""
    found: list[Event] = []
    runs: bool | None = None  # not known
    for event in events:
        if event.kind is EventKind.AGENT:
            if event.what == STARTED and runs is not False:
                ended_us = max(found[-1].at_us if found else 0, last_poll_us(event.at_us) or 0)
                if ended_us:  # else it is the first run
                    found.append(_stopped(min(ended_us, event.at_us)))
            runs = event.what == STARTED
        found.append(event)
    if silent_since_us is not None and (runs or (runs is None and left is not None)):
        stopped_us = None if left is None else left.stopped_us
        found.append(_stopped(silent_since_us if runs or stopped_us is None else stopped_us))
    return found


def _before(events: Sequence[Event], left: Snapshot | None, since_us: int) -> Iterator[Event]:
    """How it was before the first of these events."""
    first = next((event for event in events if event.kind is EventKind.AGENT), None)
    if (first is not None and first.what == STARTED) or (first is None and left is None):
        return
    is_run_of_snapshot = left is not None and (first is None or left.started_us <= first.at_us)
    begun_us = left.started_us if left is not None and is_run_of_snapshot else since_us
    begun_us = min([begun_us, *(event.at_us for event in events[:1])])
    yield Event(begun_us, EventKind.AGENT, "", STARTED)
    changed: set[str] = set()
    for event in events:
        if event is first:
            break
        if event.kind is EventKind.API and event.subject not in changed:
            changed.add(event.subject)
            if event.what == FAILS:
                yield Event(begun_us, EventKind.API, event.subject, WORKS)
    if left is None or not is_run_of_snapshot:
        return
    for name, dealing in left.dealings.items():
        if name not in changed and dealing.works is not None:
            what, why = (WORKS, "") if dealing.works else (FAILS, dealing.last_failure)
            yield Event(begun_us, EventKind.API, name, what, why)


def _stopped(at_us: int) -> Event:
    return Event(at_us, EventKind.AGENT, "", STOPPED)
