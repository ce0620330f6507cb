"""The values of one sensor or interface over time, for a chart: sorted by time, with rates from counters, and gaps.

Batches arrive out of order after an outage (the newest first), so a point is placed by its timestamp, and rates are computed
on request. Pure. Times in microseconds since 1970-01-01 UTC (`_us`); rates in bits per second.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

MAX_POINTS: Final = 2_000
"""The most points that a series keeps, the newest: nearly three hours at a poll each five seconds."""

WRAP: Final = 1 << 32
_PLAUSIBLE: Final = 3.0
"""A counter that fell has wrapped if the rate would be at most this many times the one before."""


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


def rates(points: Iterable[tuple[int, tuple[float | None, ...], bool]]) -> list[tuple[int, tuple[float | None, ...], bool]]:
    """The rates between neighbours' counters of octets, each at the later one's time; None if there is no rate.

    If a counter fell and another one of the same interface fell too, the device has restarted, and there is no rate. Else a
    counter of 32 bits with a plausible rate has wrapped.
    """
    found: list[tuple[int, tuple[float | None, ...], bool]] = []
    before: tuple[int, tuple[float | None, ...]] | None = None
    last: list[float | None] = []
    for time_us, counters, late in points:
        if before is not None:
            seconds = (time_us - before[0]) / 1e6
            last = last or [None] * len(counters)
            fell = _fallen(before[1], counters)
            now = tuple(_rate(b, n, seconds, fell, previous) for b, n, previous in zip(before[1], counters, last, strict=True))
            last = [rate if rate is not None else previous for rate, previous in zip(now, last, strict=True)]
            found.append((time_us, now, late))
        before = (time_us, counters)
    return found


def restarted_us(points: Iterable[tuple[int, tuple[float | None, ...], bool]]) -> int:
    """When the counters of an interface last began again: the time of the newest point at which several fell; 0 for never."""
    return max((after[0] for before, after in pairwise(points) if _fallen(before[1], after[1]) > 1), default=0)


def _fallen(before: tuple[float | None, ...], now: tuple[float | None, ...]) -> int:
    return sum(b is not None and n is not None and n < b for b, n in zip(before, now, strict=True))


def _rate(before: float | None, now: float | None, seconds: float, fell: int, previous: float | None) -> float | None:
    if before is None or now is None:
        return None
    if now >= before:
        return (now - before) * 8 / seconds
    if fell > 1 or before >= WRAP or previous is None:
        return None
    rate = (now + WRAP - before) * 8 / seconds
    return rate if rate <= _PLAUSIBLE * max(previous, 1e6) else None
