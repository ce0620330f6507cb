"""Rates from counters, and what is a gap: one rule for `history`, for the agent's page and for the lab's.

Pure. Times in microseconds since 1970 (`_us`); rates in what is counted, a second.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import le
from typing import Final

WRAP: Final = 1 << 32
_PLAUSIBLE: Final = 3.0
"""A counter that fell has wrapped, and one that rose by 2^32 counted, if the rate is at most this many times the one before."""
_SLOW: Final = 125_000.0
"""Or at most this many times a megabit a second, in octets: a quiet line may become busy."""

Counters = tuple[int | float | None, ...]
Rates = tuple[float | None, ...]
Longest = float | Sequence[float]
"""The longest distance that is not a gap: of each two neighbours, or of all of them."""


def longest_us(interval_us: float) -> int:
    """The longest distance between neighbours that is not a gap, of polls at this interval: one may be missing, not two."""
    return round(interval_us * 2.25) + 1_000_000


def fallen(before: Sequence[float | None], now: Sequence[float | None]) -> int:
    """How many of the counters fell."""
    return sum(b is not None and n is not None and n < b for b, n in zip(before, now, strict=True))


def rates(points: Iterable[tuple[int, Counters]], most_us: Longest) -> Iterator[tuple[int, Rates]]:
    """The rates between neighbours, each at the later one's time; None over more than `most_us`, and if it can't be known.

    If a counter fell and another one of the same interface fell too, the device has restarted, and there is no rate. Else a
    counter of 32 bits with a plausible rate has wrapped. One that was below 2^32 and rises by as much or more, at a rate that is
    not plausible, has not counted that: the device's counter of 64 bits is read in place of that of 32, as when its SNMP version
    was changed.
    """
    each_us = _each(most_us)
    before: tuple[int, Counters] | None = None
    last: Sequence[float | None] = ()
    for time_us, counters in points:
        if before is not None:
            span_us, longest = time_us - before[0], next(each_us)
            last = last or [None] * len(counters)
            now: Rates
            if not 0 < span_us <= longest:
                now = (None,) * len(counters)
            else:
                both = fallen(before[1], counters) > 1
                pairs = zip(before[1], counters, last, strict=True)
                now = tuple(_rate(b, n, span_us, both, previous) for b, n, previous in pairs)
            last = [previous if rate is None else rate for rate, previous in zip(now, last, strict=True)]
            yield time_us, now
        before = (time_us, counters)


def rates_of_columns(
    times_us: Sequence[int], columns: Sequence[Sequence[int | float | None]], most_us: Longest
) -> list[list[float | None]]:
    """The same, of counters in columns: a column of rates for each, one shorter. Those of counters that stand still are one list.

    Most counters are all there and rise, and then each is on its own: all of them are looked at only when one does not.
    """
    spans_us = [
        now - before if 0 < now - before <= longest else 0
        for before, now, longest in zip(times_us, times_us[1:], _each(most_us), strict=False)  # times are one more
    ]
    still = [0.0 if span_us else None for span_us in spans_us]
    unsure: set[int] = set()
    made = [_of_column(column, spans_us, still, unsure) for column in columns]
    for i in sorted(unsure):
        both = fallen([column[i] for column in columns], [column[i + 1] for column in columns]) > 1
        for counters, found in zip(columns, made, strict=True):
            if spans_us[i] and found is not still:
                previous = next((found[j] for j in range(i - 1, -1, -1) if found[j] is not None), None)
                found[i] = _rate(counters[i], counters[i + 1], spans_us[i], both, previous)
    return made


def _of_column(
    column: Sequence[int | float | None], spans_us: Sequence[int], still: list[float | None], unsure: set[int]
) -> list[float | None]:
    """The rates of a counter, as if it were there and rose. `unsure` gets the places at which it fell, or may be another one."""
    missing, later = column.count(None), column[1:]
    if missing == len(column):
        return [None] * len(spans_us)
    if not missing and all(map(le, column, later)):  # type: ignore[arg-type]
        if column[0] == column[-1]:
            return still
        above = bisect_left(column, WRAP)  # type: ignore[type-var]
        if 0 < above < len(column) and _may_be_another(column[above - 1], column[above]):  # type: ignore[arg-type]
            unsure.add(above - 1)
        return [
            (now - before) * 1_000_000 / span_us if span_us else None  # type: ignore[operator]
            for before, now, span_us in zip(column, later, spans_us, strict=False)
        ]
    pairs = [None if before is None or now is None else (before, now) for before, now in zip(column, later, strict=False)]
    unsure.update(i for i, pair in enumerate(pairs) if pair is not None and (pair[1] < pair[0] or _may_be_another(*pair)))
    return [
        (pair[1] - pair[0]) * 1_000_000 / span_us if pair is not None and span_us else None
        for pair, span_us in zip(pairs, spans_us, strict=True)
    ]


def _each(most_us: Longest) -> Iterator[float]:
    return repeat(most_us) if isinstance(most_us, int | float) else iter(most_us)


def _may_be_another(before: float, now: float) -> bool:
    """Whether a counter that rose so may have had 32 bits before and 64 now. By less than 2^32 both rise alike."""
    return before < WRAP <= now - before


def _rate(before: float | None, now: float | None, span_us: int, restarted: bool, previous: float | None) -> float | None:
    if before is None or now is None:
        return None
    if now >= before:
        rate = (now - before) * 1_000_000 / span_us
        return rate if not _may_be_another(before, now) or _is_plausible(rate, previous or 0.0) else None
    if restarted or before >= WRAP or previous is None:
        return None
    rate = (now + WRAP - before) * 1_000_000 / span_us
    return rate if _is_plausible(rate, previous) else None


def _is_plausible(rate: float, previous: float) -> bool:
    return rate <= _PLAUSIBLE * max(previous, _SLOW)
