"""Keeps the database within its bounds, and some of the disk free: delivered polls go first, then the oldest undelivered.

Before them corrupt files go of which all has been copied, on a disk that is low.

Asked after each commit; what it does at a time is bounded, so that commits go on. On a disk that is low only delivered polls are
given back; undelivered ones make room only for newer polls, else a neighbour that fills the disk would empty the buffer.
Synchronous, for the writer's thread. Octets.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from towerops_agent.buffer import quarantine, retention
from towerops_agent.buffer.database import JOURNAL_OCTETS
from towerops_agent.buffer.format.batch import OPEN_END
from towerops_agent.buffer.place import PAGE_OCTETS
from towerops_agent.buffer.store import Store
from towerops_agent.reasons import Loss

log = structlog.get_logger()

MIN_OCTETS = 2 * JOURNAL_OCTETS
MEMORY_OCTETS = 64 << 20

JOURNAL_SHARE = 32
LARGE_JOURNAL_OCTETS = 32 << 20
"""The journal has a 32nd of the bound, so much at most: each time it is folded in, some MB go to the disk in scattered blocks."""

KEPT_FREE_OCTETS = 64 << 20
KEPT_FREE_SHARE = 20  # a 20th: 5 %

POOL_PAGES = 2_048
"""Free pages in the file that the next commits use, on a full disk: 1 MB."""

FOLDED_OCTETS = 64 << 10
"""A journal that is smaller is let be."""

FULL_OCTETS = 256 << 10
"""A disk with less is full."""

EVICTED_PER_STEP = 200
"""Polls: some 300 KB if they are plain."""

STEPS = 20
"""How many steps are done after one commit; each takes some milliseconds."""

_FELT = {
    Loss.BUFFER_FULL: "buffer is full, delivered polls are removed early, then the oldest undelivered",
    Loss.DISK_LOW: "disk is low, delivered polls are removed early, and undelivered ones if new ones need the room",
}

Evicted = tuple[Loss, int]
"""Why (one of EVICTED), and how many metrics."""


class Room:
    """The bounds, and whether they are felt just now."""

    def __init__(self, max_octets: int, statvfs: Callable[[Path], os.statvfs_result]) -> None:
        if max_octets < MIN_OCTETS:
            raise ValueError(f"max_octets is {max_octets}: expected at least {MIN_OCTETS}, twice what SQLite's journal takes")
        self._max_octets = max_octets
        self.journal_octets = max(min(max_octets // JOURNAL_SHARE, LARGE_JOURNAL_OCTETS), JOURNAL_OCTETS)
        """How much is kept of the file's journal."""
        self._statvfs = statvfs
        self._felt: Loss | None = None
        self._is_held = False  # whether a reader keeps the journal from being folded in
        self.commit_octets = OPEN_END
        """How much a commit may have, so that there is room for the journal, and for folding it into the file."""
        self._reserved_pages = 0  # free pages that are not given back: undelivered polls went for them

    @property
    def is_tight(self) -> bool:
        """Whether the bounds are felt, so that each change needs care."""
        return self._felt is not None

    def is_out(self, path: Path) -> bool:
        """Whether the disk has no room that is worth speaking of."""
        return self._free_octets(path) < FULL_OCTETS

    def fits(self, memory: Store, path: Path) -> bool:
        """Whether the disk has room again for what has gathered in memory."""
        return self._free_octets(path) >= 2 * _used_octets(memory.connection) + 2 * FULL_OCTETS

    def _free_octets(self, path: Path) -> int:
        try:
            disk = self._statvfs(path.parent)
        except OSError:
            return OPEN_END
        return disk.f_bavail * disk.f_frsize

    def make(self, store: Store) -> Iterator[Evicted]:
        """Evict what has to go, or a part of it: each step's metrics as they go, also if a later step fails."""
        connection = store.connection
        journal = self._journal_octets(store)
        self._note_journal(store, journal)
        limit = self._limit(store)
        if _used_octets(connection) > limit and store.is_filled:  # the oldest, which would have to go first, are not there yet
            self._feel(Loss.BUFFER_FULL, store, max_octets=self._max_octets)
            for _ in range(STEPS):
                if _used_octets(connection) <= limit:
                    break
                yield from _evict(store, Loss.BUFFER_FULL)
        elif (missing := self._missing_on_disk(store, journal)) > 0:
            if store.database.path is not None and quarantine.remove_copied(store.database.path):
                return  # what is missing still is seen after the next commit
            self._feel(Loss.DISK_LOW, store, missing_octets=missing)
            yield from self._give_way(store)
        elif self._felt and _used_octets(connection) <= limit * 4 // 5 and missing < -POOL_PAGES * PAGE_OCTETS:
            log.info("buffer has room again", path=str(store.database), was=self._felt)
            self._felt = None
            self._reserved_pages = 0

    def _give_way(self, store: Store) -> Iterator[Evicted]:
        """Give free pages back to a disk that is low, and more by removing what was delivered.

        Should the pool run out, undelivered polls go for it, and what they leave is kept for those that come. If they are few, a
        pool can't be had for them: they stay, and new ones are kept in memory once the disk is full. So do all while a
        corrupt file is copied, as those of it are older.
        """
        connection = store.connection
        for _ in range(STEPS):
            free = _pragma(connection, "freelist_count")
            self._reserved_pages = min(self._reserved_pages, free)
            excess = free - max(self._reserved_pages, POOL_PAGES)
            if excess > 0:
                retention.give_back(connection, min(excess, retention.PAGES_PER_STEP))
                retention.checkpoint(connection)
                break
            if not store.remove_packs().done:  # of polls that went before
                self._reserved_pages = _pragma(connection, "freelist_count") if self._reserved_pages else 0
                continue
            if delivered := retention.remove_sent(connection, OPEN_END).metrics:
                yield Loss.DELIVERED, delivered
            elif store.is_filled and free < POOL_PAGES // 2 and _pragma(connection, "page_count") - free > POOL_PAGES:
                yield from _evict(store, Loss.DISK_LOW)
                self._reserved_pages = _pragma(connection, "freelist_count")
            else:
                break

    def missing_on_disk(self, store: Store) -> int:
        """How much less of the file system is free than is to be kept free; below 0: how much more."""
        return self._missing_on_disk(store, self._journal_octets(store))

    def is_over(self, store: Store) -> bool:
        """Whether the file has more than it may."""
        return _used_octets(store.connection) > self._limit(store)

    def _limit(self, store: Store) -> int:
        if store.database.path is None:
            return MEMORY_OCTETS - JOURNAL_OCTETS
        return self._max_octets - self.journal_octets  # what a reader makes it longer by, no eviction makes room for

    def _journal_octets(self, store: Store) -> int:
        size = 0
        if store.database.journal is not None:
            with suppress(OSError):
                size = store.database.journal.stat().st_size
        return size

    def _missing_on_disk(self, store: Store, journal: int) -> int:
        """How much less of the file system is free than is to be kept free; below 0: how much more.

        The journal may need its size once more, when it is folded into the file: that is done while there is room for it.
        """
        if store.database.path is None:
            return -KEPT_FREE_OCTETS
        try:
            disk = self._statvfs(store.database.path.parent)
        except OSError:
            return -KEPT_FREE_OCTETS
        kept_free = min(disk.f_blocks * disk.f_frsize // KEPT_FREE_SHARE, KEPT_FREE_OCTETS)
        free = disk.f_bavail * disk.f_frsize
        self.commit_octets = max((free - 2 * journal) // 4, FOLDED_OCTETS)
        missing = kept_free - free
        if missing + 2 * journal <= 0 or journal < FOLDED_OCTETS:
            return missing
        retention.checkpoint(store.connection)
        return self._missing_on_disk(store, 0)

    def _note_journal(self, store: Store, journal: int) -> None:
        """Say that it can't be folded in, which it is long before, as somebody reads an earlier state of the database."""
        is_held = journal > 2 * self.journal_octets
        if is_held and not self._is_held:
            log.warning(
                "journal can't be merged into the database while another process reads it, and grows",
                path=str(store.database),
                journal_octets=journal,
            )
        self._is_held = is_held

    def _feel(self, reason: Loss, store: Store, **fields: int) -> None:
        if self._felt != reason:
            self._felt = reason
            log.warning(_FELT[reason], path=str(store.database), **fields)


def _used_octets(connection: sqlite3.Connection) -> int:
    pages, free, size = (_pragma(connection, name) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _evict(store: Store, reason: Loss) -> Iterator[Evicted]:
    """One step: of what was delivered, else of what is not cut into a batch, else of batches."""
    connection = store.connection
    if not store.remove_packs().done:
        return
    if delivered := retention.remove_sent(connection, OPEN_END).metrics:
        yield Loss.DELIVERED, delivered
    elif metrics := (
        retention.remove_uncut(connection, OPEN_END, EVICTED_PER_STEP).metrics
        or retention.remove_open(connection, OPEN_END, limit=1).metrics
    ):
        yield reason, metrics
