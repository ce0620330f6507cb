"""A buffer on a real file, a clock that stands still until it is set, polls that differ by their time."""

import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.buffer.store import Store
from towerops_agent.counters import Counters
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll

T0_US = 1_767_986_535_123_456  # 2026-01-09T19:22:15Z
HOUR_US = 3600 * 1_000_000

LAYOUT = Layout("eq-1", (("s-1", 10.0), ("s-2", 1.0), ("s-3", 0.5)), ("if-1",))


def poll(layout: int, started_at_us: int = T0_US, metrics: int = 3) -> Poll:
    """A poll that makes `metrics` metrics of LAYOUT's four."""
    read = min(metrics, 3)
    values = ((7, 2.5, -1)[:read] + (None,) * (3 - read)) + ((1, 2) if metrics == 4 else (None, None)) + (None,) * 4
    return Poll(layout, started_at_us, values, ((3, 1_000), (1, 2_000)), metrics)


def members(polls: list[StoredPoll]) -> list[tuple[int, int]]:
    """The metrics read, as (started_at_us - T0_US, which of the poll's metrics)."""
    return [(p.poll.started_at_us - T0_US, metric) for p in polls for metric in range(p.first_metric, p.stop_metric)]


@dataclass
class Bench:
    """A place for a buffer, and what it is given. `now_us`: the wall clock, which the monotonic clock goes along with."""

    path: Path
    now_us: int = T0_US
    stepped_us: int = 0
    counters: Counters = field(default_factory=Counters)
    keys: int = 0

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def buffer(self, **options: Any) -> Buffer:
        return Buffer(
            self.path,
            self.counters,
            clock_us=lambda: self.now_us,
            monotonic_us=lambda: self.now_us - self.stepped_us,
            new_key=self.new_key,
            **options,
        )

    def step(self, by_us: int) -> None:
        """Set only the wall clock."""
        self.now_us += by_us
        self.stepped_us += by_us

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What another process reads in the file."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


async def add_hourly(bench: "Bench", buffer: Buffer, count: int) -> None:
    """Add polls of three metrics, one an hour, the first now."""
    layout = await buffer.register(LAYOUT)
    begin_us = bench.now_us
    for hour in range(count):
        bench.now_us = begin_us + hour * HOUR_US
        buffer.add(poll(layout, bench.now_us))
        await buffer.flush()


async def limit_growth(buffer: Buffer, pages: int | None) -> None:
    """Make the disk full as SQLite sees it, so many pages from now; None: there is room again."""

    def job(store):
        (now,) = store.connection.execute("PRAGMA page_count").fetchone()
        store.connection.execute(f"PRAGMA max_page_count = {1 << 30 if pages is None else now + pages}").fetchall()

    await buffer.ask(job)


async def add_until_in_memory(buffer: Buffer, layout: int, first: int = 0) -> int:
    """Add a poll a microsecond until the buffer has left its full disk; the number of the next one."""
    while not buffer.in_memory_because:
        buffer.add(poll(layout, T0_US + first))
        first += 1
        with suppress(BufferFailure):
            await buffer.flush()
    return first


def corrupt_error(store: Store) -> None:
    """A job that finds the file corrupt, as SQLite says it."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error


def copy_files(before: Path, after: Path) -> None:
    """All files beside the database as they are now: what a killed agent leaves."""
    after.parent.mkdir()
    for file in before.parent.iterdir():
        if not file.name.endswith(".lock") and file.is_file():
            shutil.copy(file, after.parent)
