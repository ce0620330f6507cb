"""Whether a running agent makes progress, for Docker's HEALTHCHECK and Kubernetes' probes.

Healthy: each loop has moved when it said it would, and the database was written lately. An API that can't be reached is not a
failure: polling and keeping go on, and a restart would not help.
Pure: both clocks are passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towerops_agent.telemetry.views.snapshot import Snapshot
from towerops_agent.text import duration

WRITTEN_WITHIN_S: Final = 90.0

SLACK_S: Final = 60.0
"""How much later than its mark a loop may move: a loaded machine, a slow disk."""


@dataclass(frozen=True, slots=True)
class Health:
    """`problems`: why the agent is not healthy, a line each; or empty. `remarks`: failures that are not its fault."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def judge(snapshot: Snapshot | None, now_us: int, boot_clock_s: float) -> Health:
    """The health of the agent that wrote `snapshot`; None: there is none."""
    if snapshot is None:
        return Health(("no agent has written to this database yet",))
    if snapshot.stopped_us is not None:
        return Health((f"the agent was stopped {duration((now_us - snapshot.stopped_us) / 1e6)} ago",))
    problems = [
        f"the {loop} loop is stuck, {duration(late_s)} past its time"
        for loop, late_s in sorted(standing_still(snapshot.due_s, boot_clock_s).items())
    ]
    unwritten_s = boot_clock_s - snapshot.written_boot_s
    if not 0 <= unwritten_s < WRITTEN_WITHIN_S:
        what = (
            f"the database was not written for {duration(unwritten_s)}"
            if unwritten_s >= 0
            else "the machine has been restarted since"
        )
        problems = [what]
    remarks = [f"{name} fails: {dealing.last_failure}" for name, dealing in snapshot.dealings.items() if dealing.works is False]
    return Health(tuple(problems), tuple(remarks))


def standing_still(due_s: Mapping[str, float], now_s: float) -> dict[str, float]:
    """The loops that are past their mark, and by how many seconds."""
    return {loop: now_s - due for loop, due in due_s.items() if now_s > due + SLACK_S}
