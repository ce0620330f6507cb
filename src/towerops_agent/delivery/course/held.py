"""Batches that failed, and when each may be sent again; batches that were refused, and the search for what the server takes.

While the API is down the same batch is its probe; if that fails again and again, others take turns with it, since the batch
may be the cause. A batch that fails while others pass waits longer each time, and delays no other.

A refused metric is only known to be bad if the server has accepted something since the batch that it came in was first refused:
a bad deployment answers 400 to everything. As long as it has not, the batch is searched: one half is sent as it is, the other one
is halved further, down to the first metric, and then, from the right half of the whole, to the last one. So some 40 requests show
whether the server accepts anything of 1,000 metrics; a device that it does not know has a stretch of them, at one end or within.
course.py reports what came of each batch. Pure: the monotonic clock is passed in. Seconds (`_s`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf

from towerops_agent.buffer.format.batch import Batch, Lane

TRIES = 3
"""How often a batch is the probe before another one is tried; twice as often before a third one is, and so on."""

LEAST_BLAMED_S = 2.0
MOST_BLAMED_S = 3600.0


@dataclass(slots=True)
class _Failed:
    """`attempts`: all of them; `tries`: since the API last answered; `blamed`: how often it failed while others passed."""

    batch: Batch
    attempts: int = 0
    tries: int = 0
    blamed: int = 0
    due_s: float = 0.0


class Held:
    """The batches to send again, by id."""

    def __init__(self) -> None:
        self._failed: dict[int, _Failed] = {}
        self._widened = 0
        self._most_attempts: float = inf

    @property
    def ids(self) -> Collection[int]:
        """The held batches."""
        return self._failed.keys()

    def attempts(self, batch: Batch) -> int:
        """How often the batch has failed."""
        failed = self._failed.get(batch.id)
        return failed.attempts if failed else 0

    def is_blamed(self, batch: Batch) -> bool:
        """Whether the batch failed while others passed."""
        failed = self._failed.get(batch.id)
        return failed is not None and failed.blamed > 0

    def hold(self, batch: Batch) -> None:
        """Hold the batch, to be sent again at once: this is not a failure of the batch."""
        self._failed.setdefault(batch.id, _Failed(batch))

    def failed(self, batch: Batch) -> None:
        """Hold the batch: it failed with the API."""
        failed = self._failed.setdefault(batch.id, _Failed(batch))
        failed.attempts += 1
        failed.tries += 1

    def blame(self, batch: Batch, now_s: float) -> float:
        """Hold the batch, as only this one failed; returns for how long."""
        self.failed(batch)
        return self._blame(self._failed[batch.id], now_s)

    def settled(self, batch: Batch) -> None:
        """Forget the batch: the server has it, or it was split, kept as refused, or expired."""
        self._failed.pop(batch.id, None)

    def part(self) -> None:
        """Note that all of them are backlog now."""
        for failed in self._failed.values():
            failed.batch = replace(failed.batch, lane=Lane.BACKLOG)

    def forgive(self, most_attempts: float = inf) -> None:
        """Forget everything except that they are to be sent again, each at most this often: a new round of attempts."""
        self._failed = {key: _Failed(failed.batch) for key, failed in self._failed.items()}
        self._widened = 0
        self._most_attempts = most_attempts

    def api_answers(self, now_s: float) -> None:
        """The API works again: all are due, except those that failed and may be the cause."""
        for failed in self._failed.values():
            if failed.tries >= TRIES:
                self._blame(failed, now_s)
            elif not failed.blamed:
                failed.due_s = now_s
            failed.tries = 0
        self._widened = 0

    def due(self, now_s: float, under_way: Collection[int]) -> Batch | None:
        """The oldest batch that is due and not under way."""
        keys = [failed.batch.id for failed in self._to_send(under_way) if failed.due_s <= now_s]
        return self._failed[min(keys)].batch if keys else None

    def next_due_s(self, under_way: Collection[int]) -> float:
        """When the next batch that is not under way is due; infinite if there is none."""
        return min((failed.due_s for failed in self._to_send(under_way)), default=inf)

    def probe(self) -> Batch | None:
        """The probe while the API is down; None: prefer one that has not been tried yet."""
        candidates = [failed for failed in self._to_send() if not failed.blamed]
        if not candidates:
            return None
        least = min(candidates, key=lambda failed: (failed.tries, failed.batch.id))
        if least.tries < TRIES << self._widened:
            return least.batch
        self._widened += 1
        return None

    def any(self) -> Batch | None:
        """One of them, the least tried first, if there is no other."""
        failed = min(self._to_send(), key=lambda failed: (failed.blamed, failed.tries, failed.batch.id), default=None)
        return None if failed is None else failed.batch

    def _to_send(self, under_way: Collection[int] = ()) -> list[_Failed]:
        return [failed for key, failed in self._failed.items() if key not in under_way and failed.attempts < self._most_attempts]

    @staticmethod
    def _blame(failed: _Failed, now_s: float) -> float:
        hold_s = min(MOST_BLAMED_S, LEAST_BLAMED_S * (1 << min(failed.blamed, 12)))
        failed.blamed += 1
        failed.due_s = now_s + hold_s
        return hold_s


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
