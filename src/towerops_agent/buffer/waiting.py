"""The polls that are not in the tables yet: which are in the tail, when the rest is to be on the disk, when all are to be stored.

Polls put by the event loop -> taken by the writer's thread, the oldest first; whoever calls holds the writer's lock.
Times are seconds on the monotonic clock.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice
from math import inf

from towerops_agent.buffer.format.codec import PollRow

GATHERED = 64
"""So many polls go to the tables at once: a commit of them costs little a poll."""
HELD_S = 60.0
"""How long polls may be in the tail only; the delivery asks for them each 30 s."""


class Waiting:
    """`rows`: the polls. `held`: so many of the first ones are in the tail. `due_s`: when the others are to be on the disk.

    `store_s`: when all are to be in the tables.
    """

    def __init__(self, window_s: float, cap: int) -> None:
        """`window_s`: how long polls may be in memory only; `cap`: how many are kept if they can't be written."""
        self.rows: deque[PollRow] = deque()
        self.held = 0
        self.due_s = self.store_s = inf
        self._window_s = window_s
        self._cap = cap
        self._taken_held = 0

    @property
    def is_held(self) -> bool:
        """Whether there are no others than those in the tail."""
        return len(self.rows) == self.held

    def put(self, row: PollRow, monotonic_s: Callable[[], float]) -> bool:
        """Whether one of both times is another now."""
        gathered = len(self.rows) - self.held
        self.rows.append(row)
        if not gathered:
            now_s = monotonic_s()
            self.due_s = now_s + self._window_s
            self.store_s = min(self.store_s, now_s + HELD_S)
        elif gathered == GATHERED:
            self.store_s = 0.0
        return gathered in (0, GATHERED)

    def drop_oldest(self) -> int:
        """How many metrics the polls beyond the cap made, which are dropped. What is in the tail stays."""
        dropped = 0
        while len(self.rows) > max(self._cap, self.held):
            dropped += self.rows[self.held][2]
            del self.rows[self.held]
        return dropped

    def not_held(self) -> list[PollRow]:
        """The polls that are in memory only."""
        return list(islice(self.rows, self.held, None))

    def note_held(self, count: int, seen_s: float) -> None:
        """Note that so many more are in the tail: all that there were at `seen_s`."""
        self.held += count
        self.due_s = inf if self.is_held else seen_s + self._window_s

    def unhold(self) -> None:
        """Note that the tail is gone with its file: what was in it is to be on the disk at once."""
        if self.held:
            self.held, self.due_s = 0, 0.0

    def leave_held(self) -> None:
        """Drop those in the tail, which is left for later."""
        for _ in range(self.held):
            self.rows.popleft()

    def take(self, most: int, most_octets: int) -> list[PollRow]:
        """The first polls, of so many octets or a little more, which are to be stored."""
        rows: list[PollRow] = []
        octets = 0
        while self.rows and len(rows) < most and octets < most_octets:
            rows.append(self.rows.popleft())
            octets += len(rows[-1][3])
        self._taken_held = min(self.held, len(rows))
        self.held -= self._taken_held
        if not self.rows:
            self.due_s = self.store_s = inf
        return rows

    def put_back(self, rows: list[PollRow], again_s: float) -> None:
        """Undo the last `take`: they could not be stored, and are to be tried again then."""
        self.rows.extendleft(reversed(rows))
        self.held += self._taken_held
        self.due_s = self.store_s = again_s
