"""Which polls are too late for a receiver: found with few questions, and remembered.

    a refused batch -> a search, which yields questions -> answers (lateness.py) -> KnownLate

A question is some polls, its answer whether one of them or more is too late; a receiver says no more. A search that is answered
by what is true ends in polls that are too late; that others are too late follows only if they have the same series, earlier.
Pure. Microseconds since 1970 (`_us`).
Source: Prometheus, tsdb/head_append.go: a sample is out of order if its series has a later one.
"""

from collections.abc import Generator, Iterable, Sequence
from itertools import groupby
from typing import Final

from towerops_agent.destinations.course.fit import Candidate

RECENT_US: Final = 120_000_000
"""A writer that writes still has written since so long ago."""

CLOSE_US: Final = 60_000_000
"""How exactly it is searched for until when another writer has written."""


Question = Sequence[Candidate]
Search = Generator[Question, bool, list[Candidate]]
"""Yields polls, is sent whether one of them or more is too late, and returns some that are, each by itself."""


class KnownLate:
    """What is known to be too late, for as long as the receiver's settings are the same."""

    def __init__(self) -> None:
        self.until_us = 0
        """What is not younger is too late, whatever its series."""
        self._of: dict[int, list[tuple[int, int]]] = {}  # by labels: times and slots of polls that were too late

    def note(self, late: Candidate, until_us: int = 0) -> bool:
        """Remember that it is too late, and would be at `until_us`. Whether earlier ones with these labels were."""
        if not late.slots:
            return False
        time_us, slots = max(late.time_us, until_us), late.slots
        known = self._of.get(late.labels, [])
        earlier = any(time < late.time_us for time, _ in known)
        rest = [one for one in known if one[0] > time_us or one[1] & slots != slots]  # what does not follow from it
        self._of[late.labels] = [*rest, (time_us, slots)]
        return earlier

    def covers(self, one: Candidate) -> bool:
        """Whether it is known to be too late: it has a sample of a series whose later sample was."""
        if one.time_us <= self.until_us:
            return True
        known = self._of.get(one.labels, ()) if self._of else ()
        return any(one.time_us <= time_us and one.slots & slots == slots for time_us, slots in known)


def newest(polls: Iterable[Candidate]) -> Search:
    """The last one in the order of time that is too late; one of them at least is."""
    order = sorted(polls, key=_place)
    return [order[(yield from _last_late(order))]]


def every(polls: Iterable[Candidate], found: Candidate) -> Search:
    """Some that are too late, so that with what follows from them all are known. `found`: the newest, which is known already.

    Series by series, the latest sample first: that of a series which another writer goes on writing shows that all are too late.
    Its device's other series come first.
    """
    known = KnownLate()
    known.note(found)
    unknown = [one for one in polls if _place(one) < _place(found) and not known.covers(one)]
    by_series = [list(some) for _, some in groupby(sorted(unknown, key=_series_and_time), key=lambda one: one.labels)]
    by_series.sort(key=lambda some: (some[-1].device == found.device, some[-1].time_us))
    rest = [one for some in by_series for one in some]
    late: list[Candidate] = []
    size = 1
    while rest:
        start = max(0, len(rest) - size)
        if (yield rest[start:]):
            place = start + (yield from _last_late(rest[start:]))
            late.append(rest[place])
            known.note(rest[place])
            rest = [one for one in rest[:place] if not known.covers(one)]
            size = 1
        else:
            del rest[start:]
            size *= 2
    return late


def ahead(late: Candidate, now_us: int) -> Generator[Question, bool, int]:
    """Until when its series are too late at least, up to some time ago: another writer has later samples of them."""
    low, high = late.time_us, now_us - RECENT_US
    if high <= low:
        return low
    if (yield [late.at(high)]):
        return high
    while high - low > CLOSE_US:
        middle = (low + high) // 2
        if (yield [late.at(middle)]):
            low = middle
        else:
            high = middle
    return low


def _last_late(order: Sequence[Candidate]) -> Generator[Question, bool, int]:
    """The place of the last one that is too late, of which one at least is."""
    low, high = 0, len(order)  # one from `low` on is, none from `high` on
    while high - low > 1:
        middle = (low + high) // 2
        if (yield order[middle:high]):
            low = middle
        else:
            high = middle
    return low


def _place(one: Candidate) -> tuple[int, int]:
    return one.time_us, one.poll.id


def _series_and_time(one: Candidate) -> tuple[int, int]:
    return one.labels, one.time_us
