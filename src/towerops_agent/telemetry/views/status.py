"""A snapshot as text, for `towerops-agent status`: what a network engineer asks first, in that order.

Pure: the time is passed in. `_us`: microseconds since 1970.
"""

from collections.abc import Iterator
from typing import Final

from towerops_agent.telemetry.views.snapshot import Dealing, LimitedDevice, Snapshot
from towerops_agent.text import duration, moment, size

SHOWN_DEVICES: Final = 20
SHOWN_REFUSALS: Final = 10
SHOWN_PROBLEMS: Final = 10

_LOSSES: Final = ("polls_skipped", "metrics_refused", "metrics_expired", "metrics_evicted", "metrics_dropped", "bugs")
"""The counters of losses; shown if they are not zero."""


def render(snapshot: Snapshot, now_us: int, *, runs: bool = True) -> str:
    """The status, as lines of a label and what it is about. `runs`: whether the agent answered, or this is what it left."""
    lines = []
    for label, parts in _sections(snapshot, now_us, runs):
        for part in parts:
            lines.append(f"{label:<10} {part}".rstrip())
            label = ""  # noqa: PLW2901 - only the first line of a section has its label
    return "\n".join(lines)


def _sections(snapshot: Snapshot, now_us: int, runs: bool) -> Iterator[tuple[str, list[str]]]:
    yield "agent", [_agent(snapshot, now_us, runs), *_single_run(snapshot)]
    yield "API", _api(snapshot, now_us)
    yield "config", _config(snapshot, now_us)
    yield "devices", _devices(snapshot, now_us)
    yield "polling", _polling(snapshot)
    yield "backlog", [_backlog(snapshot, now_us)]
    losses = _losses(snapshot)
    if losses:
        yield "lost", losses
    if snapshot.slowest:
        yield (
            "slowest",
            [f"{slow.rtt_ms:>7.1f} ms  {slow.name} ({slow.address}), {slow.max_varbinds} at once" for slow in snapshot.slowest],
        )
    if snapshot.limited:
        yield "limits", [_limits(device) for device in snapshot.limited[:SHOWN_DEVICES]]
    if snapshot.clock_skew_s is not None and abs(snapshot.clock_skew_s) > 30:
        off = duration(abs(snapshot.clock_skew_s))
        yield "clock", [f"differs from the server's by {off}: set it, or readings get wrong times"]


def _agent(snapshot: Snapshot, now_us: int, runs: bool) -> str:
    who = f"{snapshot.version} on {snapshot.hostname}"
    if snapshot.stopped_us is not None:
        return f"{who}, stopped {_since(snapshot.stopped_us, now_us)} ago, at {moment(snapshot.stopped_us)}"
    if not runs:
        age = duration(abs(now_us - snapshot.written_us) / 1e6)
        return f"{who}, does not run: killed, or a power cut; what follows is {age} old"
    return f"{who}, running for {_since(snapshot.started_us, now_us)} (pid {snapshot.pid})"


def _single_run(snapshot: Snapshot) -> list[str]:
    run = snapshot.single_run
    if run is None:
        return []
    more = [f"  and {len(run.problems) - SHOWN_PROBLEMS} more"] if len(run.problems) > SHOWN_PROBLEMS else []
    return [
        f"a single run (run --once): {run.summary}{', with problems:' if run.problems else ''}",
        *(f"  {problem}" for problem in run.problems[:SHOWN_PROBLEMS]),
        *more,
    ]


def _api(snapshot: Snapshot, now_us: int) -> list[str]:
    return [f"{name}: {_dealing(dealing, now_us)}" for name, dealing in snapshot.dealings.items()]


def _dealing(dealing: Dealing, now_us: int) -> str:
    if dealing.works is None:
        return "not tried yet"
    since = _since(dealing.since_us or now_us, now_us)
    if dealing.works:
        last = _since(dealing.last_success_us or now_us, now_us)
        return f"works since {since}, last {last} ago"
    return f"fails since {since} ({dealing.failures} times): {dealing.last_failure}"


def _config(snapshot: Snapshot, now_us: int) -> list[str]:
    config = snapshot.configuration
    age = "kept from before" if config.fetched_us is None else f"fetched {_since(config.fetched_us, now_us)} ago"
    version = f"version {config.version}, " if config.version else ""
    lines = [f"{version}{config.devices} devices, {age}"]
    if config.refused:
        lines.append(f"{config.refused} refused:")
        lines += [
            f"  {refused.kind} {' '.join(filter(None, (refused.equipment, refused.item)))}: {refused.reason}"
            for refused in config.refusals[:SHOWN_REFUSALS]
        ]
    return lines


def _devices(snapshot: Snapshot, now_us: int) -> list[str]:
    states = snapshot.states
    unknown = f", {states['unknown']} not polled yet" if states.get("unknown") else ""
    lines = [f"{states['up']} up, {states['degraded']} degraded, {states['down']} down{unknown}"]
    shown = snapshot.troubled[:SHOWN_DEVICES]
    lines += [
        f"  {device.state:<8}  {device.name} ({device.address})  {device.reason}, for {_since(device.since_us, now_us)}"
        for device in shown
    ]
    more = states["degraded"] + states["down"] - len(shown)
    if more > 0:
        lines.append(f"  and {more} more (--json has {len(snapshot.troubled)} of them)")
    return lines


def _polling(snapshot: Snapshot) -> list[str]:
    rates = snapshot.a_minute
    polls, metrics = rates.get("polls", 0), rates.get("metrics", 0)
    lines = [f"{polls:.0f} polls, {metrics:.0f} metrics a minute; started at most {snapshot.latest_s:.1f} s late"]
    missing = snapshot.counters.get("readings_missing", {})
    if missing:
        lines.append("missing since the start: " + _by_reason(missing))
    return lines


def _limits(device: LimitedDevice) -> str:
    learned = [f"asked for {device.max_varbinds} at once"]
    if device.refused_at is not None:
        learned[0] += f", as it refuses {device.refused_at}"
    if device.mute:
        learned.append(f"{device.mute} OIDs are never answered")
    if device.answers_from_elsewhere:
        learned.append("answers from another address")
    return f"{device.name} ({device.address}): {'; '.join(learned)}"


def _since(time_us: int, now_us: int) -> str:
    return duration((now_us - time_us) / 1e6)


def _backlog(snapshot: Snapshot, now_us: int) -> str:
    backlog = snapshot.backlog
    database = f"database {size(backlog.database_octets)}"
    if not backlog.metrics:
        return f"nothing pending; {database}"
    age = f", the oldest {_since(backlog.oldest_us, now_us)} old" if backlog.oldest_us is not None else ""
    drained = f", drained in about {duration(backlog.drained_in_s)}" if backlog.drained_in_s is not None else ""
    return f"{backlog.metrics} metrics, polls: {backlog.polls}{age}{drained}; {database}"


def _losses(snapshot: Snapshot) -> list[str]:
    return [
        f"{name.replace('_', ' ')}: {_by_reason(snapshot.counters[name])}"
        for name in _LOSSES
        if any(snapshot.counters.get(name, {}).values())
    ]


def _by_reason(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}".rstrip() for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
