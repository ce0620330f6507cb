"""A series cut into columns of a chart: the least and the greatest value of each, so that a spike of one poll stays.

Pure. Times in microseconds since 1970 (`_us`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
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
    def column_us(self) -> float:
        """The time that a column covers."""
        return (self.to_us - self.from_us) / self.count

    @property
    def edges_us(self) -> list[int]:
        """Where the columns begin, and where the last one ends."""
        return [self.from_us + (self.to_us - self.from_us) * i // self.count for i in range(self.count + 1)]

    def column_of(self, at_us: int) -> int:
        """The column that this moment is in; one beyond the ends if it is before or after them."""
        return max(-1, min(self.count, (at_us - self.from_us) * self.count // (self.to_us - self.from_us)))


Extremes = tuple[list[Number | None], list[Number | None]]
"""The least value of each column, and the greatest; None if it has no value."""


def extremes(series: Series, edges_us: Sequence[int]) -> Extremes:
    """The least and the greatest value of each column."""
    times, readings = series.times_us, series.readings
    if not all(map(le, times, times[1:])):  # the clock was set back
        in_order = sorted(series.points, key=_time_of)
        times, readings = [at_us for at_us, _ in in_order], [reading for _, reading in in_order]
    ends = [bisect_left(times, edge_us) for edge_us in edges_us]
    columns = [readings[first:end] for first, end in pairwise(ends)]
    known: list[Sequence[Number]] = [
        [reading for reading in column if reading is not None] if None in column else column  # type: ignore[misc]
        for column in columns
    ]
    return [min(column, default=None) for column in known], [max(column, default=None) for column in known]


def _time_of(point: tuple[int, Number | None]) -> int:
    return point[0]
