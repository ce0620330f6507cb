"""The values of one sensor or interface over time, for a chart: sorted by time, with gaps.

Batches arrive out of order after an outage (the newest first), so a point is placed by its timestamp, and rates are computed
on request, by the agent's own rule (telemetry/views/rates.py). Pure. Times in microseconds since 1970-01-01 UTC (`_us`).
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from towerops_agent.telemetry.views.rates import fallen

MAX_POINTS: Final = 2_000
"""The most points that a series keeps, the newest: nearly three hours at a poll each five seconds."""


class Series:
    """Points by time: (time_us, values, late). `late`: it arrived long after it was read, as after an outage."""

    def __init__(self) -> None:
        self._points: list[tuple[int, tuple[float | None, ...], bool]] = []

    def __len__(self) -> int:
        return len(self._points)

    def add(self, time_us: int, values: tuple[float | None, ...], late: bool = False) -> None:
        """Place a point by its time; a second one with the same time is left out."""
        at = bisect_left(self._points, (time_us,))
        if at < len(self._points) and self._points[at][0] == time_us:
            return
        if at == len(self._points):
            self._points.append((time_us, values, late))
        else:
            insort(self._points, (time_us, values, late), key=lambda point: point[0])
        if len(self._points) > MAX_POINTS:
            del self._points[: len(self._points) - MAX_POINTS]

    @property
    def first_us(self) -> int:
        """The time of the oldest point; 0 if there is none."""
        return self._points[0][0] if self._points else 0

    @property
    def newest_us(self) -> int:
        """The time of the newest point; 0 if there is none."""
        return self._points[-1][0] if self._points else 0

    @property
    def newest(self) -> tuple[float | None, ...]:
        """The values of the newest point; nothing if there is none."""
        return self._points[-1][1] if self._points else ()

    def since(self, time_us: int) -> Sequence[tuple[int, tuple[float | None, ...], bool]]:
        """The points at this time and later."""
        return self._points[bisect_left(self._points, (time_us,)) :]

    def gaps(self, since_us: int, longest_us: int) -> int:
        """How many times two neighbours are further apart than `longest_us`."""
        times = [point[0] for point in self.since(since_us)]
        return sum(after - before > longest_us for before, after in pairwise(times))


def restarted_us(points: Iterable[tuple[int, tuple[float | None, ...], bool]]) -> int:
    """When the counters of an interface last began again: the time of the newest point at which several fell; 0 for never."""
    return max((after[0] for before, after in pairwise(points) if fallen(before[1], after[1]) > 1), default=0)
