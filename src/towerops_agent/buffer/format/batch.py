"""What delivery sees of the buffer: positions, batches, the polls of a batch; and if a batch is cut.

The metrics of all polls form a line: poll by poll in the order of their ids, within a poll in the order of its metrics. A
batch is a contiguous stretch of it. Each destination has a line of its own over the same polls, which are stored once.
Beside them the age clock, by which they grow old.
Pure. Times are microseconds since 1970-01-01 UTC (`_us`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from towerops_agent.model import Layout, Poll

OPEN_END = (1 << 63) - 1
"""The end, as a poll's id, of a range without an end."""

BELIEVED_STOP_US = 12 * 3600 * 1_000_000
"""The longest time between two runs that a single look at the wall clock is believed."""


class Lane(StrEnum):
    """The two queues of delivery: fresh polls, and those split off because they could not be delivered in time."""

    FRESH = "fresh"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the line of metrics: before the `metric`-th (from 0) of the metrics that the poll with id `poll` makes."""

    poll: int
    metric: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The metrics from `start` up to `stop`, exclusive, sent under one idempotency key to one destination.

    Neither the members nor the key ever change, over restarts too. `lane`: the one that it was in when it was read; an open batch
    may become backlog. `destination`: its line's name; "" is the API's.
    """

    id: int
    key: str
    start: Position
    stop: Position
    metric_count: int
    cut_at_us: int
    lane: Lane = field(default=Lane.FRESH, compare=False)
    destination: str = field(default="", compare=False)

    @property
    def last_poll(self) -> int:
        """The id of the last poll of which the batch may have a metric."""
        return self.stop.poll if self.stop.metric else self.stop.poll - 1


@dataclass(frozen=True, slots=True)
class StoredPoll:
    """A poll read back, and which of its metrics, [first_metric, stop_metric), belong to the batch it was read for."""

    id: int
    layout: Layout
    poll: Poll
    first_metric: int
    stop_metric: int


@dataclass(frozen=True, slots=True)
class Pending:
    """What is not delivered, cut into batches or not, in both lanes; `backlog_`: only in that lane.

    `oldest_started_at_us`: of the first of it in the order of arrival.
    """

    metrics: int
    polls: int
    oldest_started_at_us: int | None
    backlog_metrics: int = 0
    backlog_oldest_started_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedMetric:
    """A metric that the server refused, kept with its reason: what was sent, as JSON, and why the server refused it.

    `destination`: whose server; "" is the API's.
    """

    equipment_id: str
    metric: bytes
    reason: str
    at_us: int
    destination: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The `metric_index`-th metric of a poll, as JSON, which is not sent with its batch, as the server refuses its series."""

    poll: int
    metric_index: int
    equipment_id: str
    metric: bytes
    reason: str


Sent = tuple[Batch, Sequence[LeftOut]]
"""A batch that its destination has, and what it was not sent of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch cut off a line. `polls`: how many polls end in it."""

    start: Position
    stop: Position
    metrics: int
    polls: int


LONGEST_GAP: Final = 100_000
"""Ids that a batch may skip. Behind more of them it ends: polls from another file, or from memory, may get some of those yet."""


def cut(polls: Iterable[tuple[int, int]], first: Position, max_metrics: int) -> Cut | None:
    """The next at most `max_metrics` metrics from `first` on; None if there are none.

    `polls`: (id, how many metrics it makes, at least 1), ids rising, none before `first`; read no further than needed.
    """
    if max_metrics < 1:
        raise ValueError(f"max_metrics is {max_metrics}: expected at least 1")
    start = stop = None
    metrics = ended = 0
    for poll, metric_count in polls:
        if stop is not None and poll > stop.poll + LONGEST_GAP:
            break
        begin = first.metric if poll == first.poll else 0
        if begin >= metric_count:  # its row is damaged: it had more when the batch before was cut
            continue
        taken = min(metric_count - begin, max_metrics - metrics)
        start = start or Position(poll, begin)
        metrics += taken
        if begin + taken < metric_count:
            stop = Position(poll, begin + taken)
            break
        stop = Position(poll + 1, 0)
        ended += 1
        if metrics == max_metrics:
            break
    if start is None or stop is None:
        return None
    return Cut(start, stop, metrics, ended)


class AgeClock:
    """The time that has passed over the database's life: 0 when it was created, never set back.

    It goes on with the monotonic clock while the agent runs. Over a restart it goes on by what the wall clock says has passed,
    but never back, and by 12 h at most: a machine without a battery starts in 1970, and one bad reading must not make a day's
    polls look a year old. What was stored before a longer stop is kept that much longer.
    """

    __slots__ = ("_age_us", "_monotonic_us")

    def __init__(self, kept: tuple[int, int] | None, wall_us: int, monotonic_us: int) -> None:
        """`kept`: the (age_us, wall_us) that an earlier run left; None: this is the first."""
        age_us, kept_wall_us = kept or (0, wall_us)
        self._age_us = age_us + min(max(wall_us - kept_wall_us, 0), BELIEVED_STOP_US)
        self._monotonic_us = monotonic_us

    def age_us(self, monotonic_us: int) -> int:
        """The age when the monotonic clock shows `monotonic_us`."""
        return self._age_us + max(monotonic_us - self._monotonic_us, 0)
