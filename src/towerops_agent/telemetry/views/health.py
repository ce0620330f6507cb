"""Whether a running agent makes progress, for Docker's HEALTHCHECK and Kubernetes' probes.

Healthy: each loop has moved when it said it would. An API that cannot be reached, a disk that cannot be written, devices of which
none answers, a wrong clock and a configuration without devices are remarks, not failures: a restart would not help, and would
lose what is kept in memory.
Pure: both clocks are passed in.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.model import NOT_POLLED, State
from towerops_agent.telemetry.views.snapshot import SingleRun, Snapshot
from towerops_agent.text import counted, duration, printable

SLACK_S: Final = 60.0
"""How much later than its mark a loop may move: a loaded machine, a slow disk."""

SINGLE_RUN_WITHIN_S: Final = 90_000.0
"""How often it must be run to be healthy: each day, as what it could not deliver is kept for a day; with an hour of grace."""

BUGS_WITHIN_S: Final = 300.0
"""For how long a bug is a remark: a loop that fails each time that it starts again moves, and does nothing."""

IN_MEMORY: Final = "degraded: polls are kept in memory only: "
"""How the remark begins that says why."""

_FAILS: Final = re.compile(r"degraded: (.+?) fails: (.*)")

HEALTHY: Final = "healthy"
"""All that is said if there is neither a problem nor a remark."""

MOST_PROBLEMS: Final = 5
"""How many of a single run's are shown."""


@dataclass(frozen=True, slots=True)
class Health:
    """`problems`: why the agent is not healthy, a line each; or empty. `remarks`: failures that are not its fault."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the health of a running agent is judged by; all of it is in memory.

    `due_s`: its loops' marks, on the clock of marks.py. `failing`: why which dealing with the API fails. `devices`: how many are
    polled. `in_memory_because`: why polls are kept in memory only; "" if they are on disk. `salvaging`: how far the copying
    of a corrupt database is; "" if there is none. `group`: what is wrong with its group.
    `bugs`: how many were met in the last BUGS_WITHIN_S, by the part of the agent.
    `states`: how many of the devices that are polled here are in which state. `clock_off_s`: how far this machine's clock is
    ahead of the server's, if that is too much; else 0. `expiring`: what to say of certificates that end soon, or have.
    """

    due_s: Mapping[str, float]
    failing: Mapping[str, str]
    devices: int
    in_memory_because: str = ""
    salvaging: str = ""
    group: tuple[str, ...] = ()
    bugs: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    clock_off_s: float = 0.0
    expiring: tuple[str, ...] = ()


def judge(vitals: Vitals, boot_clock_s: float) -> Health:
    """The health of a running agent. A restart helps nothing but a loop that stands still, so nothing else is a problem."""
    problems = [
        f"the {loop} loop is stuck, {duration(late_s)} past its time"
        for loop, late_s in sorted(standing_still(vitals.due_s, boot_clock_s).items())
    ]
    remarks = [f"degraded: {name} fails: {reason}" for name, reason in vitals.failing.items()]
    if vitals.in_memory_because:
        remarks.append(f"{IN_MEMORY}{vitals.in_memory_because}")
    if vitals.salvaging:
        remarks.append(f"degraded: {vitals.salvaging}")
    remarks += [
        f"degraded: {part} met {counted(count, 'bug')} in the last {duration(BUGS_WITHIN_S)}: see the log, and please report it"
        for part, count in sorted(vitals.bugs.items())
    ]
    remarks += vitals.group
    remarks += [f"degraded: {line}" for line in vitals.expiring]
    if not vitals.devices:
        remarks.append("degraded: no device is polled, as there is no configuration, or none in it can be used")
    remarks += _of_devices(vitals.states)
    if vitals.clock_off_s:
        way = "ahead of" if vitals.clock_off_s > 0 else "behind"
        off = duration(abs(vitals.clock_off_s))
        remarks.append(f"degraded: this machine's clock is {off} {way} the server's: have NTP set it")
    return Health(tuple(problems), tuple(remarks))


def _of_devices(states: Mapping[str, int]) -> list[str]:
    """If none of the devices answers. Of one that is not polled yet nothing is known, as in the first seconds."""
    down = states.get(State.DOWN, 0)
    if not down or sum(states.values()) > down + states.get(NOT_POLLED, 0):
        return []
    return [f"degraded: no device answers: {counted(down, 'device')} down"]


def judge_left(snapshot: Snapshot | None, now_us: int) -> Health:
    """The health of an agent that does not answer, by what it left in its database; None: nothing."""
    if snapshot is None:
        return Health(("no agent has written to this database yet",))
    if snapshot.stopped_us is not None and snapshot.single_run is not None:
        return _of_single_run(snapshot.single_run, (now_us - snapshot.stopped_us) / 1e6)
    if snapshot.stopped_us is not None:
        return Health((f"the agent was stopped {duration((now_us - snapshot.stopped_us) / 1e6)} ago",))
    written = duration((now_us - snapshot.written_us) / 1e6)
    return Health((f"the agent does not run: killed, or a power cut; it last wrote its state {written} ago",))


def _of_single_run(run: SingleRun, ago_s: float) -> Health:
    ended = f"the last single run (run --once) ended {duration(ago_s)} ago"
    if run.problems:
        return Health((f"{ended}, with problems:", *run.problems[:MOST_PROBLEMS]))
    if ago_s > SINGLE_RUN_WITHIN_S:
        return Health((f"{ended}: expected one a day at least",))
    return Health((), (f"{ended}: {run.summary}",))


def health_text(health: Health) -> str:
    """A line for each problem and remark, or one that says that there is none."""
    return "".join(f"{printable(line)}\n" for line in (*health.problems, *health.remarks) or (HEALTHY,))


def failing_in(lines: Sequence[str]) -> dict[str, str]:
    """Why which dealing with the API, or destination, fails, as lines of `health_text` say."""
    return {found[1]: found[2] for line in lines if (found := _FAILS.fullmatch(line))}


def standing_still(due_s: Mapping[str, float], now_s: float) -> dict[str, float]:
    """The loops that are past their mark, and by how many seconds."""
    return {loop: now_s - due for loop, due in due_s.items() if now_s > due + SLACK_S}
