"""Whether a refusal is about what was sent, or the server refuses everything: a bad deployment answers 400 to all.

course.py reports what came of each batch. A refused metric is only known to be bad if the server has accepted something since the
batch that it came in was first refused. As long as it has not, the batch is searched: one half is sent as it is, the other one is
halved further, down to the first metric, and then, from the right half of the whole, to the last one. So some 40 requests show
whether the server accepts anything of 1,000 metrics; a device that it does not know has a stretch of them, at one end or within.
Pure.
"""

from collections.abc import Collection
from dataclasses import replace

from towerops_agent.buffer.format.batch import Batch, Lane


class Refusals:
    """What has been refused since the server last took anything, and the search for what it takes."""

    def __init__(self) -> None:
        self._events = 0  # answers so far: the order of what was refused and what was taken
        self._taken_at = 0
        self._first_at: dict[int, int] = {}  # by batch id: when it, or the batch that it is a part of, was first refused
        self._is_searching = False
        self._to_send: list[Batch] = []
        self._target_id: int | None = None  # the part that is halved next
        self._is_at_end = False  # whether the last metric is what it is halved down to
        self._right_of_all: Batch | None = None  # where the way to the last metric begins
        self._asked_id: int | None = None  # the part that was sent last
        self._halved_id: int | None = None

    @property
    def is_searching(self) -> bool:
        """Whether a batch is being searched for anything that the server takes: nothing else is sent meanwhile."""
        return self._is_searching

    def taken(self) -> None:
        """Note that the server has taken something: the search has found what it looked for."""
        self._events += 1
        self._taken_at = self._events
        self.stop()

    def refused(self, batch: Batch) -> bool:
        """Note that the batch was refused; whether something else was taken since it first was, whole or in a part of it."""
        self._events += 1
        return self._taken_at > self._first_at.setdefault(batch.id, self._events)

    def search(self, batch: Batch) -> bool:
        """Whether the batch, refused without anything taken, is to be halved for the search, which begins if there is none."""
        if self._is_searching and batch.id != self._target_id:
            return False
        self._is_searching, self._halved_id = True, batch.id
        return True

    def split(self, batch: Batch, halves: tuple[Batch, Batch]) -> None:
        """Take in the halves of a batch: its history is theirs, and the search goes on with them, the right one first."""
        left, right = halves
        first_at = self._first_at.pop(batch.id, None)
        if first_at is not None:
            self._first_at[left.id] = self._first_at[right.id] = first_at
        if self._is_searching and batch.id == self._halved_id:
            if self._target_id is None:
                self._right_of_all = right
            self._to_send = [right, left] if self._is_at_end else [left, right]
            self._target_id = self._to_send[0].id

    def next_part(self, under_way: Collection[int]) -> Batch | None:
        """The part to send next, one at a time; None: the search waits for an answer, or has nothing more to send."""
        if not self._to_send or self._asked_id in under_way:
            return None
        part = self._to_send.pop()
        self._asked_id = part.id
        return part

    def part_backlog(self) -> None:
        """Note that all that is pending is backlog now."""
        self._to_send = [replace(part, lane=Lane.BACKLOG) for part in self._to_send]
        if self._right_of_all is not None:
            self._right_of_all = replace(self._right_of_all, lane=Lane.BACKLOG)

    @property
    def has_more(self) -> bool:
        """Whether the search has a part that was not sent yet."""
        return bool(self._to_send)

    def goes_on(self) -> bool:
        """Whether the search has more to send, now that a single metric was refused: if need be, on the way to the last one."""
        if not self._to_send and self._right_of_all is not None:
            self._to_send, self._target_id, self._is_at_end = [self._right_of_all], self._right_of_all.id, True
            self._right_of_all = None
        return self.has_more

    def stop(self) -> None:
        """End the search."""
        self._is_searching, self._to_send = False, []
        self._target_id = self._asked_id = self._halved_id = self._right_of_all = None
        self._is_at_end = False

    def forget(self, batch: Batch) -> None:
        """Take in that the batch is no more."""
        self._first_at.pop(batch.id, None)
