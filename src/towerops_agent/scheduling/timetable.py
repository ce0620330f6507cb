"""Which device is due when.

Each device has a phase of its own within its interval, from its id: starts are spread evenly, and alike after a restart.
A poll that can't start in time is skipped, and the next one is at its own time: late polls never bunch.
Pure: times are seconds on a monotonic clock, passed in.
"""

import heapq
import math
from dataclasses import dataclass
from typing import Final
from zlib import crc32

MAXIMUM_LATENESS_S: Final = 10.0

MAXIMUM_REMOVED: Final = 64
"""How many removed devices may stay in the heap beside as many as there are devices: config changes take no more room."""


@dataclass(slots=True, eq=False)
class _Entry:
    key: str
    interval_s: float
    phase_s: float
    due_at: float

    def __lt__(self, other: "_Entry") -> bool:
        return self.due_at < other.due_at

    def next_after(self, moment: float) -> float:
        """The first tick of this entry's phase after `moment`."""
        ticks = math.floor((moment - self.phase_s) / self.interval_s) + 1
        tick = self.phase_s + ticks * self.interval_s
        return tick if tick > moment else tick + self.interval_s  # the division may have rounded


@dataclass(frozen=True, slots=True)
class Due:
    """A device whose time came `late_s` ago. `skipped`: too long ago to start. `missed`: how many polls of it did not run."""

    key: str
    late_s: float
    skipped: bool
    missed: int


class Timetable:
    """When each device is polled next. O(log n) a poll."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def add(self, key: str, interval_s: float, now: float, first_within_s: float) -> None:
        """Poll `key` each `interval_s`, the first time within `first_within_s` from now: at its share of that time.

        A key that is there already gets the new interval.
        """
        self.remove(key)
        share = crc32(key.encode()) / (1 << 32)
        entry = _Entry(key, interval_s, share * interval_s, now + share * min(first_within_s, interval_s))
        self._entries[key] = entry
        heapq.heappush(self._heap, entry)

    def remove(self, key: str) -> None:
        """Poll `key` no more; it may be absent."""
        self._entries.pop(key, None)  # its place in the heap is passed over when its time comes, or when there are many such
        if len(self._heap) > 2 * len(self._entries) + MAXIMUM_REMOVED:
            self._heap = [entry for entry in self._heap if self._entries.get(entry.key) is entry]
            heapq.heapify(self._heap)

    def next_at(self) -> float | None:
        """When the next device is due; None where there is none."""
        self._drop_removed()
        return self._heap[0].due_at if self._heap else None

    def take_due(self, now: float) -> Due | None:
        """The device that has been due for longest, and set it for its next time; None where none is due."""
        self._drop_removed()
        if not self._heap or self._heap[0].due_at > now:
            return None
        entry = self._heap[0]
        late_s = now - entry.due_at
        skipped = late_s > min(entry.interval_s / 10, MAXIMUM_LATENESS_S)
        following = entry.next_after(entry.due_at + entry.interval_s / 2)  # the first poll may be anywhere in the phase
        missed = 1 if skipped else 0
        if following <= now:
            missed += math.floor((now - following) / entry.interval_s) + 1
            following = entry.next_after(now)
        entry.due_at = following
        heapq.heapreplace(self._heap, entry)
        return Due(entry.key, late_s, skipped, missed)

    def _drop_removed(self) -> None:
        while self._heap and self._entries.get(self._heap[0].key) is not self._heap[0]:
            heapq.heappop(self._heap)
