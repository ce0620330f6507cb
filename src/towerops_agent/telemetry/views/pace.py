"""What is a gap between neighbours: of polls at one interval, and of those whose interval was changed meanwhile.

A device that was polled each minute until noon, and each five minutes since, has no gap in the afternoon, though its usual
distance over the day is a minute. So distances that are alike, one after the other, are a pace, which says what a gap is there.
Pure. Times in microseconds since 1970 (`_us`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from towerops_agent.telemetry.views.rates import longest_us

ALIKE: Final = 3
"""So many distances in a row make a pace, if they are alike."""

_EVEN: Final = 1.25
"""The most that one is of its neighbour, for them to be alike."""


def longest_each_us(times_us: Sequence[int], interval_us: float = 0) -> list[int]:
    """For each two neighbours the longest distance that is not a gap: by the paces before and behind them, of both the slower.

    If there is no pace, the usual distance is one. `interval_us`: the present interval, which is the pace behind the last one.
    """
    spans_us = [later - earlier for earlier, later in pairwise(times_us)]
    usual = _median_us(spans_us)
    forward = [span_us for span_us in spans_us if span_us > 0]
    if not forward or max(forward) <= longest_us(min(forward)):  # none can be a gap
        return [longest_us(usual)] * len(spans_us)
    paces = _paces_us(spans_us)
    before = [usual] * len(spans_us)
    pace = usual
    for i in range(len(spans_us)):
        pace = before[i] = paces.get(i) or pace
    found = [0] * len(spans_us)
    pace = max(interval_us, usual)
    for i in range(len(spans_us) - 1, -1, -1):
        pace = paces.get(i - ALIKE + 1) or pace
        found[i] = longest_us(max(before[i], pace))
    return found


def slowest_us(times_us: Sequence[int], each_us: Sequence[int], from_us: int) -> int:
    """The largest of these longest distances from `from_us` on, that of the stretch over it too; 0 if there is none.

    `times_us`: sorted. `each_us`: of each time to its next one, and of the last one, if it is known.
    """
    return max(each_us[max(bisect_left(times_us, from_us) - 1, 0) :], default=0)


def _median_us(spans_us: Sequence[int]) -> float:
    forward = [span_us for span_us in spans_us if span_us > 0]
    return median(forward) if forward else 0


def _paces_us(spans_us: Sequence[int]) -> dict[int, float]:
    """The paces, each by the place of the first of its distances."""
    alike = [0 < before <= now * _EVEN and now <= before * _EVEN for before, now in pairwise(spans_us)]
    return {i: sum(spans_us[i : i + ALIKE]) / ALIKE for i in range(len(spans_us) - ALIKE + 1) if all(alike[i : i + ALIKE - 1])}
