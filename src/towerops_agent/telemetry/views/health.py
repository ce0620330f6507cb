"""Whether a running agent makes progress, for Docker's HEALTHCHECK and Kubernetes' probes.

Healthy: each loop has moved when it said it would, and the database was written lately. An API that can't be reached is no
ill health: polling and keeping go on, and a restart would not help.
Pure: both clocks are passed in.
"""

from dataclasses import dataclass
from typing import Final

from towerops_agent.telemetry.marks import standing_still
from towerops_agent.telemetry.views.snapshot import Snapshot
from towerops_agent.telemetry.views.spans import span

WRITTEN_WITHIN_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Health:
    """`problems`: why the agent is not well, a line each; empty where it is. `remarks`: what is amiss and not its fault."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def judge(snapshot: Snapshot | None, now_us: int, boot_clock_s: float) -> Health:
    """The health of the agent that wrote `snapshot`; None: there is none."""
    if snapshot is None:
        return Health(("no agent has written to this database yet",))
    if snapshot.stopped_us is not None:
        return Health((f"the agent was stopped {span((now_us - snapshot.stopped_us) / 1e6)} ago",))
    problems = [
        f"the {loop} loop stands still, {span(late_s)} past its time"
        for loop, late_s in sorted(standing_still(snapshot.due_s, boot_clock_s).items())
    ]
    unwritten_s = boot_clock_s - snapshot.written_boot_s
    if not 0 <= unwritten_s < WRITTEN_WITHIN_S:
        what = (
            f"the database was not written for {span(unwritten_s)}"
            if unwritten_s >= 0
            else "the machine has been restarted since"
        )
        problems = [what]
    remarks = [f"{name} fails: {dealing.last_failure}" for name, dealing in snapshot.dealings.items() if dealing.works is False]
    return Health(tuple(problems), tuple(remarks))
