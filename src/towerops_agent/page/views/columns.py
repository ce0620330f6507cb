"""A series cut into columns of a chart: the least and the greatest value of each, so that a spike of one poll stays.

Pure. Times in microseconds since 1970 (`_us`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import le
from typing import Final

from towerops_agent.model import Number
from towerops_agent.telemetry.views.series import Series

COLUMNS: Final = 144
"""Of a chart: each is 10 minutes of 24 hours, two or three pixels wide."""

HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """What a chart shows: from `from_us` to `to_us`, exclusive, in `count` columns."""

    from_us: int
    to_us: int
    count: int = COLUMNS

    @property
    def edges_us(self) -> list[int]:
        """Where the columns begin, and where the last one ends."""
        return [self.from_us + (self.to_us - self.from_us) * i // self.count for i in range(self.count + 1)]


Extremes = tuple[list[Number | None], list[Number | None]]
"""The least value of each column, and the greatest; None if it has no value."""


def extremes(series: Series, edges_us: Sequence[int]) -> Extremes:
    """The least and the greatest value of each column."""
    readings = series.readings
    ends = _ends(tuple(series.times_us), tuple(edges_us))
    if ends is None:
        in_order = sorted(series.points, key=_time_of)
        readings = [reading for _, reading in in_order]
        ends = [bisect_left(in_order, edge_us, key=_time_of) for edge_us in edges_us]
    columns = [readings[first:end] for first, end in pairwise(ends)]
    known: list[Sequence[Number]] = [
        [reading for reading in column if reading is not None] if None in column else column  # type: ignore[misc]
        for column in columns
    ]
    return [min(column, default=None) for column in known], [max(column, default=None) for column in known]


@lru_cache(1)  # what is read by one reply has the same times
def _ends(times_us: tuple[int, ...], edges_us: tuple[int, ...]) -> Sequence[int] | None:
    """How many of the times are before each edge; None if they are not in their order: the clock was set back."""
    if not all(map(le, times_us, times_us[1:])):
        return None
    return [bisect_left(times_us, edge_us) for edge_us in edges_us]


def _time_of(point: tuple[int, Number | None]) -> int:
    return point[0]
