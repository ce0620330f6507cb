"""Polls that were made while this machine did not know the time: kept back until it does, then dated right.

A box without a battery-backed clock starts in 1970, and polls before NTP has set the clock. Once the time is known, by the
clock's step or by the Date of an answer of the API, each poll gets the time at which it was made. None is delivered as of 1970.

    fleet -> here -> buffer

Pure: both clocks are passed in. Microseconds (`_us`), on the wall clock since 1970.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from towerops_agent.counters import Count, Counters
from towerops_agent.model import Poll
from towerops_agent.reasons import Loss

KNOWN_FROM_US: Final = 1_750_000_000_000_000
"""June 2025, before this program was written: a clock that shows less has not been set."""

MOST_HELD: Final = 2_000
"""Polls, as they are in memory: with 50 devices each minute, 40 minutes in which NTP can set the clock."""


class Dating:
    """Passes polls on to `store`, dated.

    `wall_us`: the wall clock. `steady_us`: a clock that goes on evenly and is never set. `ahead_us`: how far the wall clock is
    ahead of the API's, as last measured; None if it was not. `on_unset` and `on_set` are called when the first poll is kept back,
    and when so many polls get their time.
    """

    def __init__(
        self,
        store: Callable[[Poll], None],
        counters: Counters,
        *,
        wall_us: Callable[[], int],
        steady_us: Callable[[], int],
        ahead_us: Callable[[], int | None],
        on_unset: Callable[[], None] = lambda: None,
        on_set: Callable[[int], None] = lambda _polls: None,
    ) -> None:
        self._store = store
        self._counters = counters
        self._wall_us = wall_us
        self._steady_us = steady_us
        self._ahead_us = ahead_us
        self._on_unset = on_unset
        self._on_set = on_set
        self._held: deque[tuple[Poll, int]] = deque()  # with how far the wall clock was ahead of the steady one when it was made
        began_us = wall_us()
        self._unset_ahead_us = began_us - steady_us() if began_us < KNOWN_FROM_US else None

    def take(self, poll: Poll) -> None:
        """Store a poll that has just ended, or keep it back."""
        wall_us, steady_us = self._wall_us(), self._steady_us()
        if wall_us < KNOWN_FROM_US:
            self._unset_ahead_us = wall_us - steady_us
        if self._held:
            self._release()
        if poll.started_at_us >= KNOWN_FROM_US:
            self._store(poll)
            return
        # Without one the clock went back and forth within this poll: it has just ended, so this is not far off.
        ahead_us = poll.started_at_us - steady_us if self._unset_ahead_us is None else self._unset_ahead_us
        true_us = self._true_us()
        if true_us is not None:
            self._store(_dated(poll, true_us - steady_us - ahead_us))
        else:
            self._hold(poll, ahead_us)

    def _hold(self, poll: Poll, ahead_us: int) -> None:
        if not self._held:
            self._on_unset()
        elif len(self._held) >= MOST_HELD:
            lost, _ = self._held.popleft()
            self._counters.add(Count.METRICS_DROPPED, Loss.CLOCK_UNSET, lost.metric_count)
        self._held.append((poll, ahead_us))

    def give_up(self) -> None:
        """Count what is still kept back as lost: the agent stops, and the time is not known."""
        self._release()
        for poll, _ in self._held:
            self._counters.add(Count.METRICS_DROPPED, Loss.CLOCK_UNSET, poll.metric_count)
        self._held.clear()

    def _release(self) -> None:
        true_us = self._true_us()
        if true_us is None or not self._held:
            return
        self._on_set(len(self._held))
        true_ahead_us = true_us - self._steady_us()
        while self._held:
            poll, ahead_us = self._held.popleft()
            self._store(_dated(poll, true_ahead_us - ahead_us))

    def _true_us(self) -> int | None:
        """The time, if it is known."""
        wall_us, ahead_us = self._wall_us(), self._ahead_us()
        if wall_us >= KNOWN_FROM_US:
            return wall_us
        if ahead_us is not None and wall_us - ahead_us >= KNOWN_FROM_US:
            return wall_us - ahead_us
        return None


def _dated(poll: Poll, late_us: int) -> Poll:
    """The poll by a clock that was this much behind until it was set, maybe in the middle of it."""
    started_us = poll.started_at_us + late_us
    times = []
    for count, offset_us in poll.times:
        at_us = poll.started_at_us + offset_us
        at_us += 0 if at_us >= KNOWN_FROM_US else late_us
        times.append((count, max(at_us - started_us, 0)))
    return replace(poll, started_at_us=started_us, times=tuple(times))
