"""The output of the course of delivery: the next step, and the verdict on a batch after an attempt.

course.py decides on them, courier.py and settlement.py carry them out. Pure. Seconds (`_s`).
"""

from dataclasses import dataclass

from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.delivery.course.pace import Backlog
from towerops_agent.delivery.course.retry import Delivered, Halve, SetAside


@dataclass(frozen=True, slots=True)
class SeePending:
    """Count what is pending, and report it to `saw`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Turn everything pending into backlog, count what is pending then, and report it to `parted`."""


@dataclass(frozen=True, slots=True)
class RereadToken:
    """Read the token's file again: a file that was replaced since the refusal counts for the next attempt."""


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Take the lane's next batch from the buffer, except those with an id in `exclude`; report it to `cut`, and send it."""

    lane: Lane
    most_metrics: int
    exclude: frozenset[int]


@dataclass(frozen=True, slots=True)
class Send:
    """Send this batch, which has failed before."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class TryRefused:
    """Send the newest refused metric of this series, by itself, to see if the server accepts it; report it to `asked`."""

    series: str


@dataclass(frozen=True, slots=True)
class Report:
    """Log the progress of the backlog, count what is pending, and report it to `measured`."""

    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Drained:
    """Log that the backlog is delivered."""

    metrics: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a request ends, or until then; infinite only while one is under way."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing to do. `all_delivered`: because nothing is pending any more."""

    all_delivered: bool


Step = SeePending | Part | RereadToken | CutBatch | Send | TryRefused | Report | Drained | Wait | Done


@dataclass(frozen=True, slots=True)
class Kept:
    """The batch stays in the buffer, to be sent again with the same key.

    `retry_in_s`: None if this run does not send it again. `attempt`: how often it has failed. `others_pass`: the API works, and
    only this batch fails. `is_search`: it was refused, and whether the server takes anything is still being searched for.
    """

    retry_in_s: float | None
    attempt: int
    others_pass: bool = False
    is_search: bool = False


Verdict = Delivered | Halve | SetAside | Kept
"""The verdict on a batch after an attempt."""
