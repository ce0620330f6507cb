"""Rates from counters, and what is a gap: one rule for `history`, for the agent's page and for the lab's.

Pure. Times in microseconds since 1970 (`_us`); rates in what is counted, a second.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import le
from typing import Final

WRAP: Final = 1 << 32
_PLAUSIBLE: Final = 3.0
"""A counter that fell has wrapped, and one that rose by 2^32 counted, if the rate is at most this many times the one before."""
_SLOW: Final = 125_000.0
"""Or at most this many times a megabit a second, in octets: a quiet line may become busy."""

Counters = tuple[int | float | None, ...]
Rates = tuple[float | None, ...]


def longest_us(interval_us: float) -> int:
    """The longest distance between neighbours that is not a gap, of polls at this interval: one may be missing, not two."""
    return round(interval_us * 2.25) + 1_000_000


def fallen(before: Counters, now: Counters) -> int:
    """How many of the counters fell."""
    return sum(b is not None and n is not None and n < b for b, n in zip(before, now, strict=True))


def rates(points: Iterable[tuple[int, Counters]], most_us: float) -> Iterator[tuple[int, Rates]]:
    """The rates between neighbours, each at the later one's time; None over more than `most_us`, and if it can't be known.

    If a counter fell and another one of the same interface fell too, the device has restarted, and there is no rate. Else a
    counter of 32 bits with a plausible rate has wrapped. One that was below 2^32 and rises by as much or more, at a rate that is
    not plausible, has not counted that: the device's counter of 64 bits is read in place of that of 32, as when its SNMP version
    was changed.
    """
    before: tuple[int, Counters] | None = None
    last: Sequence[float | None] = ()
    for time_us, counters in points:
        if before is not None:
            span_us = time_us - before[0]
            last = last or [None] * len(counters)
            now: Rates
            if not 0 < span_us <= most_us:
                now = (None,) * len(counters)
            else:
                both = fallen(before[1], counters) > 1
                pairs = zip(before[1], counters, last, strict=True)
                now = tuple(_rate(b, n, span_us, both, previous) for b, n, previous in pairs)
            last = [previous if rate is None else rate for rate, previous in zip(now, last, strict=True)]
            yield time_us, now
        before = (time_us, counters)


def rates_of_columns(
    times_us: Sequence[int], columns: Sequence[Sequence[int | float | None]], most_us: float
) -> list[list[float | None]]:
    """The same, of counters in columns: a column of rates for each, one shorter.

    Most counters of most interfaces are all there and never fall, and then each is on its own: 60,000 rates in 10 ms.
    """
    whole = [column for column in columns if any(counter is not None for counter in column)]
    if all(map(_only_counts, whole)):
        spans_us = [now - before for before, now in pairwise(times_us)]
        rate_of = {id(column): _of_rising(column, spans_us, most_us) for column in whole}  # type: ignore[arg-type]
        return [rate_of.get(id(column)) or [None] * len(spans_us) for column in columns]
    rows = zip(times_us, zip(*columns, strict=True), strict=True)
    made = [rate for _, rate in rates(rows, most_us)]
    return [list(column) for column in zip(*made, strict=True)] or [[] for _ in columns]


def _may_be_another(before: float, now: float) -> bool:
    """Whether a counter that rose so may have had 32 bits before and 64 now. By less than 2^32 both rise alike."""
    return before < WRAP <= now - before


def _only_counts(column: Sequence[int | float | None]) -> bool:
    """Whether it is all there, never falls, and is one counter."""
    return (
        None not in column
        and all(map(le, column, column[1:]))  # type: ignore[arg-type]
        and not _may_be_another(column[0], column[-1])  # type: ignore[arg-type]
    )


def _of_rising(column: Sequence[float], spans_us: Sequence[int], most_us: float) -> list[float | None]:
    if column[0] == column[-1]:
        return [0.0 if 0 < span_us <= most_us else None for span_us in spans_us]
    return [
        (now - before) * 1_000_000 / span_us if 0 < span_us <= most_us else None
        for before, now, span_us in zip(column, column[1:], spans_us, strict=False)  # a column is one longer
    ]


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
