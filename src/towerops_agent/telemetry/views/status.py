"""A snapshot as text, for `towerops-agent status`: what a network engineer asks first, in that order.

Pure: the time is passed in. `_us`: microseconds since 1970.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.oddities import Oddity
from towerops_agent.telemetry.views.group import group_lines
from towerops_agent.telemetry.views.lines import Line, Tone, plain, section
from towerops_agent.telemetry.views.snapshot import Dealing, Destined, DeviceReport, DiscoverySummary, Late, Snapshot
from towerops_agent.text import counted, duration, moment, refused_lines, size

TONES: Final = {"up": Tone.GOOD, "degraded": Tone.WARNING, "down": Tone.BAD, "unknown": Tone.PLAIN}
"""How each state of a device is."""

BEHIND_S: Final = 60.0
"""A destination that is further behind is late."""

SHOWN_DEVICES: Final = 20
SHOWN_REFUSALS: Final = 10
SHOWN_PROBLEMS: Final = 10

_LOSSES: Final = (
    "polls_skipped",
    "pings_unsent",
    "metrics_refused",
    "metrics_expired",
    "metrics_evicted",
    "metrics_dropped",
    "bugs",
)
"""The counters of losses, and of what was never measured; shown if they are not zero."""

_ODDITIES: Final = frozenset(Oddity)


def status_lines(snapshot: Snapshot, now_us: int, *, runs: bool = True) -> list[Line]:
    """The status. `runs`: whether the agent answered, or this is what it left."""
    return [line for label, lines in _sections(snapshot, now_us, runs) for line in section(label, lines)]


def render(snapshot: Snapshot, now_us: int, *, runs: bool = True) -> str:
    """The status as text without colour, each line however long it is."""
    return plain(status_lines(snapshot, now_us, runs=runs))


def _sections(snapshot: Snapshot, now_us: int, runs: bool) -> Iterator[tuple[str, list[Line]]]:
    seen_us = now_us if runs else snapshot.written_us if snapshot.stopped_us is None else snapshot.stopped_us
    yield "agent", [_agent(snapshot, now_us, runs), *_single_run(snapshot)]
    yield "site" if "site files" in snapshot.dealings else "API", _dealings(snapshot, seen_us, now_us)
    expiring = [one for one in snapshot.certificates if one.is_expiring(seen_us)]
    if expiring:
        tones = {True: Tone.WARNING, False: Tone.BAD}
        yield "TLS", [Line(one.expires(seen_us), tones[one.until_us > seen_us]) for one in expiring]
    if snapshot.group is not None:
        yield "group", group_lines(snapshot.group, now_us)
    yield "config", _config(snapshot, now_us)
    yield "devices", _devices(snapshot, seen_us)
    yield "polling", _polling(snapshot, seen_us)
    own = [] if "metrics" in snapshot.dealings else [*snapshot.destinations]
    if len(own) < 2:
        yield "delivery", [_waiting(snapshot, runs)]
    if len(own) != 1 and snapshot.destinations:
        yield "destinations", [_destined(name, one, now_us) for name, one in snapshot.destinations.items()]
    if snapshot.backlog is not None:
        yield "backlog", [_backlog(snapshot.backlog, now_us)]
    database = [Line(size(snapshot.database_octets))]
    if snapshot.in_memory_because:
        database.append(Line(f"polls are in memory only: {snapshot.in_memory_because}", Tone.BAD))
    if snapshot.salvaging:
        database.append(Line(snapshot.salvaging, Tone.WARNING))
    yield "database", database
    losses = _losses(snapshot)
    if losses:
        yield "lost", losses
    if snapshot.slowest:
        slowest = ((slow.rtt_ms or 0, _named(slow), slow.max_varbinds) for slow in snapshot.slowest)
        yield "slowest", [Line(f"{rtt_ms:>7.1f} ms  {named}, {at_once} at once") for rtt_ms, named, at_once in slowest]
    if snapshot.limited:
        limited = snapshot.limited[:SHOWN_DEVICES]
        yield "limits", [Line(f"{_named(device)}: {limits(device)}") for device in limited]
    if snapshot.clock_skew_s is not None and abs(snapshot.clock_skew_s) > 30:
        off = duration(abs(snapshot.clock_skew_s))
        yield "clock", [Line(f"differs from the server's by {off}: have NTP set it", Tone.BAD)]


def _agent(snapshot: Snapshot, now_us: int, runs: bool) -> Line:
    who = f"{snapshot.version} on {snapshot.hostname}"
    if snapshot.stopped_us is not None:
        ago = _since(snapshot.stopped_us, now_us)
        tone = Tone.PLAIN if snapshot.single_run is not None else Tone.WARNING
        return Line(f"{who}, stopped {ago} ago, at {moment(snapshot.stopped_us)}", tone)
    if not runs:
        age = duration(abs(now_us - snapshot.written_us) / 1e6)
        return Line(f"{who}, does not run: killed, or a power cut; what follows is {age} old", Tone.BAD)
    return Line(f"{who}, running for {_since(snapshot.started_us, now_us)} (pid {snapshot.pid})", Tone.GOOD)


def _single_run(snapshot: Snapshot) -> list[Line]:
    run = snapshot.single_run
    if run is None:
        return []
    head = f"a single run (run --once): {run.summary}"
    if not run.problems:
        return [Line(head, Tone.GOOD)]
    more = [Line(f"and {len(run.problems) - SHOWN_PROBLEMS} more", indent=2)] if len(run.problems) > SHOWN_PROBLEMS else []
    problems = [Line(problem, Tone.BAD, indent=2) for problem in run.problems[:SHOWN_PROBLEMS]]
    return [Line(f"{head}, with problems:", Tone.WARNING), *problems, *more]


def _dealings(snapshot: Snapshot, seen_us: int, now_us: int) -> list[Line]:
    tones = {True: Tone.GOOD, False: Tone.BAD, None: Tone.PLAIN}
    named = snapshot.dealings.items()
    return [Line(f"{name}: {_dealing(dealing, seen_us, now_us)}", tones[dealing.works]) for name, dealing in named]


def _dealing(dealing: Dealing, seen_us: int, now_us: int) -> str:
    """`seen_us`: until when that was so: an agent that does not run sees nothing of what followed."""
    if dealing.works is None:
        return "not tried yet"
    since = _since(dealing.since_us or seen_us, seen_us)
    if dealing.works:
        last = _since(dealing.last_success_us or now_us, now_us)
        return f"works for {since}, last {last} ago"
    times = "once" if dealing.failures == 1 else f"{dealing.failures:,} times"
    return f"fails for {since} ({times}): {dealing.last_failure}"


def _config(snapshot: Snapshot, now_us: int) -> list[Line]:
    config = snapshot.configuration
    age = "kept from before" if config.fetched_us is None else f"fetched {_since(config.fetched_us, now_us)} ago"
    if config.fetched_us is None and not (config.devices or config.refused or config.version):
        age = "none applied yet"
    version = f"version {config.version}, " if config.version else ""
    lines = [Line(f"{version}{counted(config.devices, 'device')}, {age}")]
    if config.refused:
        lines.append(Line(f"{config.refused:,} refused:", Tone.WARNING))
        said = [
            (" ".join(filter(None, (refused.kind, refused.equipment, refused.item))), refused.reason)
            for refused in config.refusals
        ]
        lines += [Line(line, indent=2) for line in islice(refused_lines(said, config.refused), SHOWN_REFUSALS)]
    if snapshot.discovery is not None:
        lines += _discovered(snapshot.discovery, now_us)
    return lines


def _discovered(discovery: DiscoverySummary, now_us: int) -> Iterator[Line]:
    waiting = discovery.devices - discovery.found
    age = "" if discovery.oldest_us is None else f", the longest ago {_since(discovery.oldest_us, now_us)}"
    yield Line(
        f"{discovery.found} of {counted(discovery.devices, 'device')} discovered{age}", Tone.WARNING if waiting else Tone.PLAIN
    )
    if discovery.gone:
        yield Line(f"{counted(discovery.gone, 'item')} not there any more, polled for 7 days", indent=2)
    yield from (Line(trouble, Tone.WARNING, indent=2) for trouble in discovery.troubles[:SHOWN_REFUSALS])


def _devices(snapshot: Snapshot, seen_us: int) -> list[Line]:
    states = snapshot.states
    unknown = f", {states['unknown']} unknown" if states.get("unknown") else ""
    tone = Tone.BAD if states["down"] else Tone.WARNING if states["degraded"] else Tone.GOOD
    lines = [Line(f"{states['up']} up, {states['degraded']} degraded, {states['down']} down{unknown}", tone)]
    shown = snapshot.troubled[:SHOWN_DEVICES]
    lines += [
        Line(
            f"{device.state:<8}  {_named(device)}  {device.reason}, for {_since(device.since_us or seen_us, seen_us)}"
            f"{'; ' if device.detail else ''}{device.detail}",
            TONES[device.state],
            indent=2,
        )
        for device in shown
    ]
    more = states["degraded"] + states["down"] - len(shown)
    if more > 0:
        lines.append(Line(f"and {more} more: `towerops-agent devices` lists all", indent=2))
    return lines


def _polling(snapshot: Snapshot, seen_us: int) -> list[Line]:
    rates = snapshot.a_minute
    if rates:
        done = f"{counted(round(rates['polls']), 'poll')}, {counted(round(rates['metrics']), 'metric')} a minute"
    else:
        polls, metrics = (sum(snapshot.counters.get(name, {}).values()) for name in ("polls", "readings"))
        done = f"{counted(polls, 'poll')}, {counted(metrics, 'metric')} in the first {_since(snapshot.started_us, seen_us)}"
    lines = [Line(f"{done}; started at most {snapshot.latest_s:.1f} s late")]
    if snapshot.missing:
        where = f"{by_reason(snapshot.missing)}, of {counted(snapshot.lacking, 'device')}"
        tone = Tone.WARNING if snapshot.missing.keys() - {Reason.NOTHING_THERE} else Tone.PLAIN
        lines.append(Line(f"missing in the last polls: {where} (`towerops-agent devices --lacking`)", tone))
    return lines


def _named(device: DeviceReport) -> str:
    return f"{device.name} ({device.address})"


def limits(device: DeviceReport) -> str:
    """The learned limits of a device, in words."""
    learned = [f"asked for {device.max_varbinds} at once"]
    if device.refused_at is not None:
        learned[0] += f", as it refuses {device.refused_at}"
    if device.mute:
        learned.append(f"{counted(device.mute, 'OID')} {'is' if device.mute == 1 else 'are'} never answered")
    if device.answers_from_elsewhere:
        learned.append("answers from another address")
    learned += [Oddity(word).text for word in device.odd_replies if word in _ODDITIES]
    if device.gap_s is not None:
        learned.append(f"answers one request in {device.gap_s:.1f} s")
    if device.next_only:
        learned.append("answers GETNEXT only")
    elif device.by_next:
        learned.append(f"gives {counted(device.by_next, 'OID')} by GETNEXT only")
    return "; ".join(learned)


def _since(time_us: int, now_us: int) -> str:
    return duration((now_us - time_us) / 1e6)


def _waiting(snapshot: Snapshot, runs: bool) -> Line:
    if not snapshot.delivers:
        kept = counted(snapshot.pending.metrics, "metric")
        return Line(f"nothing is delivered, as there is no destination; {kept} of the last day kept for `history`", Tone.WARNING)
    waiting = snapshot.pending.metrics - (snapshot.backlog.metrics if snapshot.backlog else 0)
    if not waiting:
        return Line("nothing waits" if snapshot.backlog else "all is delivered")
    verb = "waits" if waiting == 1 else "wait"
    return Line(f"{counted(waiting, 'metric')} {verb} for the next {'batch' if runs else 'start'}")


def _destined(name: str, waiting: Destined, now_us: int) -> Line:
    if not waiting.metrics or waiting.oldest_us is None:
        return Line(f"{name}: all is delivered")
    behind_s = (now_us - waiting.oldest_us) / 1e6
    tone = Tone.WARNING if behind_s > BEHIND_S else Tone.PLAIN
    return Line(f"{name}: {counted(waiting.metrics, 'metric')} wait, the oldest {_since(waiting.oldest_us, now_us)} old", tone)


def _backlog(backlog: Late, now_us: int) -> Line:
    age = f", the oldest {_since(backlog.oldest_us, now_us)} old" if backlog.oldest_us is not None else ""
    drained = f", delivered in about {duration(backlog.drained_in_s)}" if backlog.drained_in_s is not None else ""
    return Line(f"{counted(backlog.metrics, 'metric')} late{age}{drained}", Tone.WARNING)


def _losses(snapshot: Snapshot) -> list[Line]:
    return [
        Line(f"{name.replace('_', ' ')} since the start: {by_reason(snapshot.counters[name])}", Tone.BAD)
        for name in _LOSSES
        if any(snapshot.counters.get(name, {}).values())
    ]


def by_reason(counts: Mapping[str, int]) -> str:
    """`3 timeout, 1 noSuchName`: the most first."""
    return ", ".join(f"{count} {reason}".rstrip() for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
