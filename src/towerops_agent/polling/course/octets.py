"""The octet counters of a device's interfaces, from the previous poll.

A counter that has fallen, or is not there any more, has started again, or is another interface's. Sixteen octets an interface
stay in memory between polls: for each its octets in, then for each its octets out; 0 for one that was not there. Pure.
"""

from array import array
from collections.abc import Sequence
from operator import lt

from towerops_agent.polling.course.plan import PER_INTERFACE
from towerops_agent.polling.course.progress import PollProgress

_LARGEST = (1 << 64) - 1


def octets_of(progress: PollProgress, before: "array[int] | None" = None) -> "array[int]":
    """What a poll has read; of what was not answered, what the poll before had read, if there was one with the same plan."""
    columns = _columns(progress)
    values = [progress.values[column] for column in columns]
    now: array[int] = array("Q")
    try:
        now.extend(values)  # type: ignore[arg-type]  # the usual case: all are numbers
    except (TypeError, OverflowError):
        now = array("Q", [value if isinstance(value, int) and 0 <= value <= _LARGEST else 0 for value in values])
    if before is not None:
        for i, column in enumerate(columns):
            if not progress.tags[column]:
                now[i] = before[i]
    return now


def has_fallen(before: "array[int]", progress: PollProgress) -> bool:
    """Whether a counter is less than it was, or not there any more. One that was not answered is neither."""
    now = octets_of(progress)
    if not any(map(lt, now, before)):
        return False
    return any(map(lt, octets_of(progress, before), before))


def has_gone_on(before: "array[int]", progress: PollProgress) -> bool:
    """Whether a counter that had counted has gone on, or stands where it was."""
    return any(was and now >= was for was, now in zip(before, octets_of(progress), strict=True))


def _columns(progress: PollProgress) -> Sequence[int]:
    slots, first = progress.slots, progress.plan.sensor_count
    return (*slots[first::PER_INTERFACE], *slots[first + 1 :: PER_INTERFACE])
