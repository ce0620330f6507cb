"""Batches that failed, and when each may be sent again.

While the API is down the same batch is its probe; if that fails again and again, others take turns with it, since the batch
may be the cause. A batch that fails while others pass waits longer each time, and delays no other.
Pure: the monotonic clock is passed in. Seconds (`_s`).
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
