"""Which device is due when; and the time of polls that were made while this machine did not know it.

Each device has a phase of its own within its interval, from its id: starts are spread evenly, and the same after a restart.
Phases are multiples of a step, five seconds, a second or a fraction of it, so that some devices start together: the agent wakes
once for all of them (docs/decisions/0011-performance.md). The more devices, the shorter the step: few polls start together.
A poll that can't start in time is skipped, and the next one is at its own time: late polls never pile up. Of those that wait the
device goes first that was skipped most often in a row, so that with too many polls due each device has its share of them.
In a group of agents the phases are those of a clock that all of them share, so that a device keeps its time whoever polls it.

A box without a battery-backed clock starts in 1970, or at the time at which it last ran, and polls before NTP has set the clock
(docs/decisions/0030-the-time.md). Polls of 1970 are kept back until the time is known, by the clock's step or by the Date of an
answer of the API. Then each gets the time at which it was made, and goes on from the fleet to the buffer. Polls of a time that
may be wrong go there at once, and settling.py has them moved before they are delivered.

Pure: clocks are passed in. Seconds on a monotonic clock; microseconds (`_us`) on the wall clock since 1970.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

from towerops_agent.counters import Count, Counters
from towerops_agent.model import Poll
from towerops_agent.reasons import Loss

MAXIMUM_LATENESS_S: Final = 10.0

NEAREST: Final = 0.5
"""How near to a poll at any other time the next tick may be, in intervals."""

NEAREST_AFTER_SET: Final = 0.1
"""The same once the clock of the phases was set: rather one poll too many than a long gap."""

LONGEST_STEP_S: Final = 5.0
STARTS_A_LONGEST_STEP: Final = 8
"""How many polls start together at most, on average, for a step so long: up to a hundred devices a minute, for a small box."""

LONG_STEP_S: Final = 1.0
SHORTEST_STEP_S: Final = 1 / 64
STARTS_A_STEP: Final = 23
"""The same for the shorter steps: their answers, four requests each, fit into the socket's buffer (lull.py counts 92)."""

MAXIMUM_REMOVED: Final = 64
"""How many removed devices may stay in the heap, beside as many as there are devices. This limits the memory for changes."""

KNOWN_FROM_US: Final = 1_750_000_000_000_000
"""June 2025, before this program was written: a clock that shows less has not been set."""

MOST_HELD: Final = 2_000
"""Polls, as they are in memory: with 50 devices each minute, 40 minutes in which NTP can set the clock."""

SET_US: Final = 1_000_000
"""If the wall clock has moved so much more or less than time has passed, it was set; NTP brings it nearer more slowly."""

MOST_OFF_US: Final = 30_000_000
"""So much the clocks of this machine and of the API may differ; of more `status` and the log speak too."""

DATE_WITHIN_US: Final = 2_000_000
"""How exact the API's time is: its whole second, and the moment within the exchange that it is of."""


@dataclass(slots=True, eq=False)
class Entry:
    """When a device is polled. Seconds on the monotonic clock; `due_at`: the next time. `missed`: how many polls in a row were
    skipped; `ticket`: a number while it is due, and has neither started nor been skipped; else 0. `nearest`: how near the tick
    after it may be, in intervals."""

    key: str
    interval_s: float
    phase_s: float
    due_at: float
    missed: int = 0
    ticket: int = 0
    nearest: float = NEAREST

    def align(self, step_s: float, ahead_s: float) -> None:
        """Move the phase to this step of a clock that is so far ahead of the monotonic one, from the next poll on."""
        self.phase_s = (phase(self.key, self.interval_s, step_s) - ahead_s) % self.interval_s

    def hasten(self, now: float) -> None:
        """The phase is that of another clock: wait for no more than an interval and a tenth, neither now nor after that poll."""
        self.nearest = NEAREST_AFTER_SET
        if self.due_at <= now:
            return
        tick = self.next_after(now)
        near_s = self.interval_s * NEAREST_AFTER_SET
        if tick - now < near_s and self.due_at - now > self.interval_s - near_s:
            tick += self.interval_s  # it has just been polled
        self.due_at = min(self.due_at, tick)

    def __lt__(self, other: "Entry") -> bool:
        return self.due_at < other.due_at

    @property
    def patience_s(self) -> float:
        """How late a poll may start."""
        return min(self.interval_s / 10, MAXIMUM_LATENESS_S)

    def next_after(self, moment: float) -> float:
        """The first tick of this entry's phase after `moment`."""
        ticks = math.floor((moment - self.phase_s) / self.interval_s) + 1
        tick = self.phase_s + ticks * self.interval_s
        return tick if tick > moment else tick + self.interval_s  # the division may have rounded


def step(starts_a_second: float) -> float:
    """The step of the phases, in seconds, for this many starts a second: the longest with few enough starts a step."""
    if starts_a_second * LONGEST_STEP_S <= STARTS_A_LONGEST_STEP:
        return LONGEST_STEP_S
    step_s = LONG_STEP_S
    while step_s > SHORTEST_STEP_S and starts_a_second * step_s > STARTS_A_STEP:
        step_s /= 2
    return step_s


def phase(key: str, interval_s: float, step_s: float) -> float:
    """The offset of `key` in each interval of the monotonic clock, in seconds: its share, rounded down to a step."""
    return math.floor(_share(key) * interval_s / step_s) * step_s


def _share(key: str) -> float:
    return crc32(key.encode()) / (1 << 32)


@dataclass(frozen=True, slots=True)
class Due:
    """A device whose time came `late_s` ago. `skipped`: too late to start. `missed`: how many of its polls did not run."""

    key: str
    late_s: float
    skipped: bool
    missed: int


class Timetable:
    """When each device is polled next. O(log n) a poll."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []  # by their time, all but those that wait
        self._waiting: deque[tuple[int, Entry]] = deque()  # with their tickets, in the order in which they became due
        self._ranked: list[tuple[int, int, Entry]] = []  # the same as a heap: those skipped most often first, then by ticket
        self._tickets = 0
        self._entries: dict[str, Entry] = {}
        self._step_s = LONGEST_STEP_S
        self._ahead_s = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    @property
    def places(self) -> int:
        """How many entries are in memory: removed devices too, until their time comes or there are many of them."""
        return len(self._heap) + len(self._waiting)

    def entry(self, key: str) -> Entry:
        """The time of `key`. It stays the same object while the interval does. Raises KeyError if it is not polled."""
        return self._entries[key]

    def add(self, key: str, interval_s: float, now: float, first_within_s: float, not_before_s: float = 0.0) -> None:
        """Poll `key` each `interval_s`, the first time within `first_within_s` from now: at its share of that time.

        `not_before_s`: the part of that time that belongs to others, unless an interval is shorter. An existing key gets
        the new interval.
        """
        self.remove(key)
        last_s = min(first_within_s, interval_s)
        first_s = not_before_s if not_before_s < last_s else 0.0
        first_at = now + first_s + _share(key) * (last_s - first_s)
        self._put(key, interval_s).due_at = first_at
        heapq.heappush(self._heap, self._entries[key])

    def resume(self, key: str, interval_s: float, now: float) -> None:
        """Poll `key`, which has been polled by another agent, each `interval_s`: first at its next time."""
        self.remove(key)
        entry = self._put(key, interval_s)
        entry.due_at = entry.next_after(now)
        heapq.heappush(self._heap, entry)

    def _put(self, key: str, interval_s: float) -> Entry:
        entry = self._entries[key] = Entry(key, interval_s, 0.0, 0.0)
        entry.align(self._step_s, self._ahead_s)
        return entry

    def last_before(self, key: str, interval_s: float, moment: float) -> float:
        """The last tick of `key` until `moment`, whether it is polled here or not."""
        entry = Entry(key, interval_s, 0.0, 0.0)
        entry.align(self._step_s, self._ahead_s)
        return entry.next_after(moment) - interval_s

    def align(self, starts_a_second: float | None = None, ahead_s: float | None = None, now: float = math.inf) -> None:
        """Set the step of the phases for so many starts, and how far the clock that they are of is ahead of the monotonic one.

        None: as many starts as the current devices need; the clock as before. If the step changes, each device's times move by
        less than a step, once. If the clock is set, `now` is when: no device waits longer for that than Entry.hasten says.
        """
        if starts_a_second is None:
            starts_a_second = math.fsum(1 / entry.interval_s for entry in self._entries.values())
        step_s = step(starts_a_second)
        ahead_s = self._ahead_s if ahead_s is None else ahead_s
        if (step_s, ahead_s) != (self._step_s, self._ahead_s):
            is_set = ahead_s != self._ahead_s
            self._step_s, self._ahead_s = step_s, ahead_s
            for entry in self._entries.values():
                entry.align(step_s, ahead_s)
                if is_set:
                    entry.hasten(now)
            if is_set:
                heapq.heapify(self._heap)

    def remove(self, key: str) -> None:
        """Stop polling `key`; it may be absent."""
        self._entries.pop(key, None)  # its place in the heap is skipped when its time comes, or when there are many of them
        if len(self._heap) > 2 * len(self._entries) + MAXIMUM_REMOVED:
            self._heap = [entry for entry in self._heap if self._entries.get(entry.key) is entry]
            heapq.heapify(self._heap)

    def next_at(self) -> float | None:
        """When the next device is due; None if there is no device."""
        for ticket, entry in self._waiting:
            if self._waits(entry, ticket):
                return entry.due_at
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0].due_at if self._heap else None

    def take_due(self, now: float) -> Due | None:
        """A device that is due, set to its next time; None if none is.

        First those that are too late, the oldest first, to be skipped; then the one that was skipped most often in a row.
        """
        while self._heap and self._heap[0].due_at <= now:
            due = heapq.heappop(self._heap)
            if self._is_current(due):
                self._tickets += 1
                due.ticket = self._tickets
                self._waiting.append((due.ticket, due))
                heapq.heappush(self._ranked, (-due.missed, due.ticket, due))
        entry = self._next(now)
        if entry is None:
            return None
        entry.ticket = 0
        late_s = now - entry.due_at
        skipped = late_s > entry.patience_s
        following = entry.next_after(entry.due_at + entry.interval_s * entry.nearest)  # this poll may be anywhere in the phase
        entry.nearest = NEAREST
        missed = 1 if skipped else 0
        if following <= now:
            missed += math.floor((now - following) / entry.interval_s) + 1
            following = entry.next_after(now)
        entry.missed = entry.missed + missed if skipped else 0
        entry.due_at = following
        heapq.heappush(self._heap, entry)
        return Due(entry.key, late_s, skipped, missed)

    def _next(self, now: float) -> Entry | None:
        waiting = self._waiting
        while waiting and not self._waits(waiting[0][1], waiting[0][0]):
            waiting.popleft()
        if waiting and now - waiting[0][1].due_at > waiting[0][1].patience_s:
            return waiting.popleft()[1]
        if len(self._ranked) > 2 * len(waiting) + MAXIMUM_REMOVED:
            self._ranked = [place for place in self._ranked if self._waits(place[2], place[1])]
            heapq.heapify(self._ranked)
        while self._ranked:
            _, ticket, entry = heapq.heappop(self._ranked)
            if self._waits(entry, ticket):
                return entry
        return None

    def _waits(self, entry: Entry, ticket: int) -> bool:
        return entry.ticket == ticket and self._is_current(entry)

    def _is_current(self, entry: Entry) -> bool:
        return self._entries.get(entry.key) is entry


class Dating:
    """Passes polls on to `store`, dated.

    `wall_us`: the wall clock. `steady_us`: a clock that goes on evenly and is never set. `is_synced`: whether something keeps the
    wall clock right, as NTP does; None if that is not known. `on_unset` and `on_set` are called when the first poll is kept back,
    and when so many polls get their time.

    The time is unsure from the start on if nothing keeps the clock right, until the API answers, or the clock is set. Until then
    polls are stored by the clock as it was at the start; then `settle` says how far that was off.
    """

    def __init__(
        self,
        store: Callable[[Poll], None],
        counters: Counters,
        *,
        wall_us: Callable[[], int],
        steady_us: Callable[[], int],
        is_synced: Callable[[], bool | None],
        on_unset: Callable[[], None],
        on_set: Callable[[int], None],
    ) -> None:
        self._store = store
        self._counters = counters
        self._wall_us = wall_us
        self._steady_us = steady_us
        self._is_synced = is_synced
        self._on_unset = on_unset
        self._on_set = on_set
        self._held: deque[Poll] = deque()  # with the steady clock's times
        self._is_unset = False  # whether those wait as the clock was never set
        self._is_settling = False
        self._looked_us = steady_us()
        wall_us_now = wall_us()
        self._clock = _Setting(wall_us_now - self._looked_us)
        self._api_ahead_us: int | None = None  # how far the API's clock is ahead of the steady one
        self._api_by_us = 0  # and how far the wall clock was when that was heard
        self._is_heard = False
        self.on_heard: Callable[[], None] = lambda: None
        """Called with each answer of the API while the time is unsure."""
        self.unsure_us = self._clock.ahead_us if wall_us_now >= KNOWN_FROM_US and is_synced() is False else None
        """While the time is unsure, how far the clock by which polls are stored is ahead of the steady one; else None."""

    def heard(self, ahead_s: float | None) -> None:
        """The API has answered, and the wall clock is so far ahead of its; None if it does not show its time."""
        self._is_heard = True
        if ahead_s is not None:
            self._api_by_us = self._look()
            api_ahead_us = self._api_by_us - round(ahead_s * 1_000_000)
            # It shows whole seconds: the times of polls are not to move by that with each answer.
            if self._api_ahead_us is None or abs(api_ahead_us - self._api_ahead_us) > DATE_WITHIN_US:
                self._api_ahead_us = api_ahead_us
        if self.unsure_us is not None:
            self.on_heard()

    @property
    def can_settle(self) -> bool:
        """Whether the time is known now, as far as it can be."""
        ahead_us = self._look()
        is_set = self.unsure_us is not None and abs(ahead_us - self.unsure_us) > MOST_OFF_US
        return self._is_heard or is_set or self._is_synced() is not False

    def settle(self) -> int:
        """By how much the polls stored since the start are too early, in microseconds. Until `settled`, polls are kept back."""
        self._is_settling = True
        true_ahead_us = self._true_ahead_us(self._look())
        if self.unsure_us is None or true_ahead_us is None or abs(true_ahead_us - self.unsure_us) <= SET_US:
            return 0
        return true_ahead_us - self.unsure_us

    def settled(self) -> None:
        """The polls stored since the start have their time, and the time is no longer unsure."""
        self._is_settling, self.unsure_us = False, None
        self._release()

    def time_us(self) -> int:
        """The time that a poll gets which begins now, as far as it is known."""
        ahead_us = self._look()
        true_ahead_us = self._true_ahead_us(ahead_us)
        return self._looked_us + (ahead_us if true_ahead_us is None else true_ahead_us)

    def take(self, poll: Poll) -> None:
        """Store a poll that has just ended, or keep it back."""
        ahead_us, steady_us = self._look(), self._looked_us
        dated_us = self._dated_us(ahead_us)
        if self._held and not self._is_settling:
            self._release()
        if not self._is_settling and dated_us == ahead_us and self._clock.began_us(poll, steady_us) is not None:
            self._store(poll)
            return
        steady = self._clock.by_steady(poll, steady_us)
        if self._is_settling or dated_us is None:
            self._hold(steady)
        else:
            self._store(replace(steady, started_at_us=steady.started_at_us + dated_us))

    def give_up(self) -> None:
        """Count what is still kept back as lost: the agent stops, and the time is not known."""
        self._is_settling = False
        self._release()
        for poll in self._held:
            self._counters.add(Count.METRICS_DROPPED, Loss.CLOCK_UNSET, poll.metric_count)
        self._held.clear()

    def _look(self) -> int:
        """How far the wall clock is ahead of the steady one; the same, to the microsecond, until it is set."""
        steady_us = self._steady_us()
        ahead_us = self._wall_us() - steady_us
        if abs(ahead_us - self._clock.ahead_us) > SET_US:
            self._clock = _Setting(ahead_us, self._clock.ahead_us, self._looked_us, steady_us)
        else:
            self._clock.ahead_us = ahead_us
        self._looked_us = steady_us
        return ahead_us

    def _dated_us(self, ahead_us: int) -> int | None:
        """How far the clock by which polls are stored now is ahead of the steady one; None: they can't be."""
        if self.unsure_us is None:
            return self._true_ahead_us(ahead_us)
        return ahead_us if abs(self.unsure_us - ahead_us) <= SET_US else self.unsure_us

    def _true_ahead_us(self, ahead_us: int) -> int | None:
        """How far the time is ahead of the steady clock, if it is known. The wall clock is `ahead_us`."""
        is_set = self._looked_us + ahead_us >= KNOWN_FROM_US
        api_us = self._api_ahead_us
        if api_us is None or self._looked_us + api_us < KNOWN_FROM_US:
            return ahead_us if is_set else None
        if not is_set:
            return api_us
        if abs(ahead_us - api_us) <= MOST_OFF_US or abs(ahead_us - self._api_by_us) > MOST_OFF_US:
            return ahead_us  # the clocks agree, or this one was set since: as if the API had not answered yet
        return api_us if self._is_synced() is False else ahead_us

    def _hold(self, poll: Poll) -> None:
        if not self._is_settling and not self._is_unset:
            self._is_unset = True
            self._on_unset()
        if len(self._held) >= MOST_HELD:
            lost = self._held.popleft()
            self._counters.add(Count.METRICS_DROPPED, Loss.CLOCK_UNSET, lost.metric_count)
        self._held.append(poll)

    def _release(self) -> None:
        dated_us = self._dated_us(self._look())
        if dated_us is None:
            return
        if self._is_unset:
            self._is_unset = False
            self._on_set(len(self._held))
        while self._held:
            poll = self._held.popleft()
            self._store(replace(poll, started_at_us=poll.started_at_us + dated_us))


@dataclass(slots=True)
class _Setting:
    """How the wall clock is set: how far it is ahead of the steady one now, and was before it was last set.

    `after_us`, `until_us`: between which times of the steady clock that was; it is not known more exactly.
    """

    ahead_us: int
    before_us: int = 0
    after_us: int = -1
    until_us: int = -1

    def began_us(self, poll: Poll, now_us: int) -> int | None:
        """When a poll that has just ended began, by the steady clock; None if it was not as the wall clock is set now."""
        began_us = poll.started_at_us - self.ahead_us
        return began_us if self.after_us <= began_us <= now_us + SET_US else None

    def by_steady(self, poll: Poll, now_us: int) -> Poll:
        """A poll that has just ended with the steady clock's times, though the wall clock may have been set in its middle."""
        began_us = self._steady_us(poll.started_at_us, now_us)
        times = tuple(
            (count, max(self._steady_us(poll.started_at_us + offset_us, now_us) - began_us, 0)) for count, offset_us in poll.times
        )
        return replace(poll, started_at_us=began_us, times=times)

    def _steady_us(self, wall_us: int, now_us: int) -> int:
        since_us, before_us = wall_us - self.ahead_us, wall_us - self.before_us
        if self.after_us <= since_us <= now_us + SET_US:
            return since_us
        # By neither the clock went back and forth within this poll: it has just ended, so this is not far off.
        return before_us if 0 <= before_us <= self.until_us else now_us
