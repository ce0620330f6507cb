"""The page's tiles: devices, agent, API, backlog, configuration, each as a figure with a note.

Snapshot + events + states -> Tile. Pure. Times in microseconds since 1970 (`_us`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from towerops_agent.buffer.format.batch import Pending
from towerops_agent.buffer.format.event import GONE, WORKS, Event, EventKind
from towerops_agent.model import NOT_POLLED
from towerops_agent.page.views.standing import Standing, since_start
from towerops_agent.telemetry.views.snapshot import Snapshot
from towerops_agent.text import counted, duration, size

BAD, WARN, STALE, PLAIN = "bad", "warn", "stale", ""
NOTHING: Final = "–"  # noqa: RUF001 -- as the page has it


class Tile(msgspec.Struct, frozen=True):
    """`kind`: "", "bad", "warn" or "stale"."""

    figure: str
    kind: str = PLAIN
    note: str = ""


def tiles(
    snapshot: Snapshot | None,
    events: Sequence[Event],
    standings: Sequence[Standing],
    pending: Pending,
    runs: bool,
    newest_us: int,
    now_us: int,
    *,
    failing_now: Mapping[str, str] | None = None,
) -> dict[str, Tile]:
    """The tiles, by name. `runs`: whether the agent does; `newest_us`: when it wrote last.

    `failing_now`: why which dealing with the API fails, as the agent itself says; None if it does not answer. The database has
    the reason with which that began, and while the disk is full not even that.
    """
    return {
        "devices": _devices(standings, runs),
        "agent": _agent(snapshot, runs, newest_us, now_us),
        "api": _api(snapshot, events, runs, now_us if runs else newest_us, failing_now),
        "backlog": _backlog(snapshot, pending, now_us),
        "config": _config(snapshot, events, now_us),
    }


def _devices(standings: Sequence[Standing], runs: bool) -> Tile:
    states = Counter(standing.state for standing in standings)
    if not standings:
        return Tile("None yet", note="no configuration has listed any")
    others = [f"{states[state]} {word}" for state, word in (("down", "down"), ("degraded", "degraded")) if states[state]]
    if states[NOT_POLLED]:
        others.append(f"{states[NOT_POLLED]} unknown")
    silent = any(standing.state == NOT_POLLED and standing.reason for standing in standings)  # it should have been read by now
    kind = BAD if states["down"] else WARN if states["degraded"] or silent else PLAIN
    note = ", ".join(others) or "each answers as it should"
    return Tile(
        f"{states['up']:,} of {len(standings):,} up", kind if runs else STALE, note if runs else f"when last seen; {note}"
    )


def _agent(snapshot: Snapshot | None, runs: bool, newest_us: int, now_us: int) -> Tile:
    if snapshot is None and not newest_us:
        return Tile("Not seen yet", note="it has written nothing into this database")
    who = "" if snapshot is None else f"version {snapshot.version} on {snapshot.hostname}"
    if runs:
        since = "" if snapshot is None else f", for {_ago(snapshot.started_us, now_us)}"
        return Tile("Running", note=f"{who}{since}")
    if snapshot is not None and snapshot.stopped_us is not None:
        return Tile("Stopped", WARN, f"{_ago(snapshot.stopped_us, now_us)} ago; {who}")
    return Tile("Silent", BAD, "; ".join(filter(None, (f"it has written nothing for {_ago(newest_us, now_us)}", who))))


def _api(
    snapshot: Snapshot | None, events: Sequence[Event], runs: bool, seen_us: int, failing_now: Mapping[str, str] | None
) -> Tile:
    """Each of the dealings as the last event says, or the snapshot if it is newer. `seen_us`: until when that is known."""
    when = "" if runs else "when last seen; "
    works: dict[str, tuple[bool | None, str, int]] = {}
    if snapshot is not None:
        for name, dealing in snapshot.dealings.items():
            works[name] = (dealing.works, dealing.last_failure, dealing.since_us or 0)
    written_us = 0 if snapshot is None else snapshot.written_us
    for event in since_start(events):
        if event.kind is EventKind.API and event.at_us >= written_us and event.what == GONE:
            works.pop(event.subject, None)
        elif event.kind is EventKind.API and event.at_us >= written_us:
            works[event.subject] = (event.what == WORKS, event.why, event.at_us)
    fresh = frozenset[str]()  # of which only the agent knows, and since when it does not say
    if failing_now is not None:
        fresh = frozenset(name for name, (well, *_) in works.items() if (name in failing_now) is not (well is False))
        works |= {name: (False, why, works[name][2]) for name, why in failing_now.items() if name in works}
        works |= dict.fromkeys(fresh - failing_now.keys(), (True, "", 0))
    failing = {name: (why, since_us) for name, (well, why, since_us) in works.items() if well is False}
    if failing:
        name, (why, since_us) = next(iter(failing.items()))
        lasting = "" if name in fresh else f", for {_ago(since_us, seen_us)}"
        return Tile("Fails", BAD if runs else STALE, f"{when}{name}{lasting}: {why}")
    working = {name: since_us for name, (well, _, since_us) in works.items() if well}
    if working:
        untried = [name for name in works if name not in working]
        lasting = "" if fresh else f", for {_ago(max(working.values()), seen_us)}"
        named = f"{when}{'' if untried else 'all of '}{', '.join(working)}{lasting}"
        return Tile("Works", PLAIN if runs else STALE, "; ".join([named, *(f"{name} not tried yet" for name in untried)]))
    return Tile(NOTHING, note="not asked yet")


def _backlog(snapshot: Snapshot | None, pending: Pending, now_us: int) -> Tile:
    if snapshot is not None and not snapshot.delivers:
        return Tile("Kept here", note="there is no destination: values stay in this database for a day")
    where = "" if snapshot is None or not snapshot.in_memory_because else "; newer ones are in the agent's memory only"
    if snapshot is not None and snapshot.salvaging:
        where += "; what a corrupt database had is still being copied"
    if pending.backlog_metrics:
        oldest_us = pending.backlog_oldest_started_at_us
        age = "" if oldest_us is None else f", the oldest {_ago(oldest_us, now_us)} old"
        return Tile(counted(pending.backlog_metrics, "value"), WARN, f"kept until they can be delivered{age}{where}")
    waiting = f"{counted(pending.metrics, 'value')} for the next batch" if pending.metrics else "all is delivered"
    return Tile("None", WARN if where else PLAIN, waiting + where)


def _config(snapshot: Snapshot | None, events: Sequence[Event], now_us: int) -> Tile:
    """As the snapshot has it, which may be ten minutes old, or as it was applied since."""
    if snapshot is None:
        return Tile(NOTHING, note="the agent has not written about it yet")
    since = [event for event in since_start(events) if event.at_us > snapshot.written_us]
    applied = next((event for event in reversed(since) if event.kind is EventKind.CONFIG), None)
    if applied is not None:
        version, _, devices = applied.what.rpartition(", ")
        note = f"{f'{version}, ' if version else ''}applied {_ago(applied.at_us, now_us)} ago"
        return Tile(devices, note=f"{note}; database {size(snapshot.database_octets)}")
    config = snapshot.configuration
    if config.fetched_us is None and not (config.devices or config.refused or config.version):
        return Tile(NOTHING, note="none applied yet")
    kept = "kept from before" if config.fetched_us is None else _fetched(config.fetched_us, snapshot, since, now_us)
    refused = f"; {counted(config.refused, 'item')} refused" if config.refused else ""
    version = f"version {config.version}, " if config.version else ""
    note = f"{version}{kept}{refused}; database {size(snapshot.database_octets)}"
    return Tile(counted(config.devices, "device"), WARN if config.refused else PLAIN, note)


def _fetched(then_us: int, snapshot: Snapshot, since: Sequence[Event], now_us: int) -> str:
    """When it was last fetched. While that works the agent has done it again since its snapshot, and has not written so."""
    fails = any(dealing.works is False and dealing.last_success_us == then_us for dealing in snapshot.dealings.values())
    if snapshot.stopped_us is not None or (fails and not any(event.kind is EventKind.API for event in since)):
        return f"fetched {_ago(then_us, now_us)} ago"
    return f"fetched in the last {_ago(then_us, now_us)}"


def _ago(then_us: int, now_us: int) -> str:
    return duration((now_us - then_us) / 1_000_000)
