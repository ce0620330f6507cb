"""The open database: layouts, polls, refused metrics and small kept values; lanes.py has the batches, polls.py the reading.

Synchronous, for the writer's thread; each method is one transaction. What grows old is removed by retention.py.
Times are microseconds since 1970-01-01 UTC (`_us`), or seconds on the age clock (`_s`). Methods raise sqlite3.Error, which
buffer.writer maps.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from towerops_agent.buffer.database import Database, transaction
from towerops_agent.buffer.format.age import AgeClock
from towerops_agent.buffer.format.batch import Batch, QuarantinedMetric, StoredPoll
from towerops_agent.buffer.format.codec import PollRow, digest, encode_layout
from towerops_agent.buffer.lanes import Lanes
from towerops_agent.buffer.packer import Packer
from towerops_agent.buffer.polls import Polls
from towerops_agent.buffer.retention import Step
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout

log = structlog.get_logger()

REFUSED_KEPT = 1_000

CLOCK_KEPT_EVERY_US = 10_000_000
"""How often the age clock is written, within a commit: its row is a page of its own, and flash cards wear."""


class Store:
    """What can be done with the open database. Layouts registered with it stay valid until it is closed."""

    def __init__(
        self, database: Database, wall_us: Callable[[], int], monotonic_us: Callable[[], int], *, layouts_in_use: bool = False
    ) -> None:
        """`layouts_in_use`: some that are in the database go on being used, it is a salvaged one."""
        self.database = database
        self.connection = database.connection
        self.lanes = Lanes(self.connection)
        self.polls = Polls(self.connection)
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        kept = self._all("SELECT age_us, wall_us FROM clock")
        self._clock = AgeClock(kept[0] if kept else None, wall_us(), monotonic_us())
        self._clock_kept_us = -CLOCK_KEPT_EVERY_US
        self._packer: Packer | None = None
        if not layouts_in_use:
            self._retire_layouts()

    @property
    def age_s(self) -> int:
        """What the age clock shows."""
        return self._clock.age_us(self._monotonic_us()) // 1_000_000

    def close(self) -> None:
        """Close the database; what SQLite keeps beside it is folded in."""
        try:
            self.keep_clock()
        finally:
            self.database.close()

    # Layouts

    def register(self, layouts: Iterable[Layout]) -> list[int]:
        """The ids of the layouts, in order; a layout stored before keeps its id."""
        ids = []
        with transaction(self.connection):
            for layout in layouts:
                body = encode_layout(layout)
                key = digest(body)
                self._do(
                    "INSERT INTO layouts (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET last_poll = NULL",
                    key,
                    body,
                )
                ids.append(self._one("SELECT id FROM layouts WHERE digest = ?", key)[0])
        return ids

    def _retire_layouts(self) -> None:
        # Whoever used them is gone, and polls to come belong to layouts yet to be registered.
        with transaction(self.connection):
            self._do(
                "UPDATE layouts SET last_poll = (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'polls')"
                " WHERE last_poll IS NULL"
            )

    # Polls

    def add_polls(self, rows: Sequence[PollRow]) -> None:
        """Append the polls to the open stretch."""
        age_s = self.age_s
        with transaction(self.connection):
            for layout_id, started_at_us, metric_count, body in rows:
                poll = self._do(
                    "INSERT INTO polls (layout_id, started_at_us, metric_count, age_s) VALUES (?, ?, ?, ?)",
                    *(layout_id, started_at_us, metric_count, age_s),
                )
                self._do("INSERT INTO bodies (poll, body) VALUES (?, ?)", poll, body)
            self._do(
                "UPDATE uncut SET polls = polls + ?, metrics = metrics + ? WHERE end_poll IS NULL",
                len(rows),
                sum(row[2] for row in rows),
            )
            age_us = self._clock.age_us(self._monotonic_us())
            if age_us >= self._clock_kept_us + CLOCK_KEPT_EVERY_US:
                self._write_clock(age_us)

    def read(self, batch: Batch) -> tuple[list[StoredPoll], int]:
        """The polls of the batch, and how many metrics have just been found damaged, which are left out.

        A damaged poll is counted once, with all of its metrics from the batch on; its body is emptied.
        """
        stored: list[StoredPoll] = []
        lost = 0
        for (poll_id, _, _, metric_count), poll in self.polls.decode(self.polls.between(batch.start.poll, batch.last_poll)):
            first = batch.start.metric if poll_id == batch.start.poll else 0
            stop = batch.stop.metric if poll_id == batch.stop.poll else metric_count
            match poll:
                case StoredPoll():
                    stored.append(replace(poll, first_metric=first, stop_metric=stop))
                case BufferFailure():
                    log.warning("damaged poll left out", poll=poll_id, metrics=metric_count - first, error=str(poll))
                    self._do("INSERT OR REPLACE INTO bodies (poll, body) VALUES (?, x'')", poll_id)
                    lost += metric_count - first
        return stored, lost

    # Quarantined metrics

    def set_aside(self, batch: Batch, metric: bytes, reason: str, now_us: int) -> None:
        """Close the batch, keep its one metric with the server's reason; nothing happens if it is no longer open."""
        if batch.metric_count != 1:
            raise ValueError(f"a batch of {batch.metric_count} metrics can't be set aside: split it until one is left")
        age_s = self.age_s
        with transaction(self.connection):
            if self.lanes.lane_of_open(batch) is None:
                return
            self._do("UPDATE batches SET sent_age_s = ? WHERE id = ?", age_s, batch.id)
            self._do(
                "INSERT INTO refused (poll_id, metric_index, equipment_id, metric, reason, at_us, age_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(batch.start.poll, batch.start.metric, self._equipment_of(batch.start.poll), metric, reason, now_us, age_s),
            )
            self._do("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", REFUSED_KEPT)

    def refused(self, limit: int) -> list[QuarantinedMetric]:
        """The metrics set aside, the latest first."""
        rows = self._all("SELECT equipment_id, metric, reason, at_us FROM refused ORDER BY id DESC LIMIT ?", limit)
        return [QuarantinedMetric(*row) for row in rows]

    def _equipment_of(self, poll_id: int) -> str:
        with suppress(BufferFailure, IndexError):  # the poll or its layout is damaged
            return self.polls.layout(self.polls.between(poll_id, poll_id)[0][1]).equipment_id
        return ""

    # Upkeep

    def pack(self) -> Step:
        """Pack a bounded part of the polls that are no longer young."""
        packer = self._packer or Packer(self.connection)
        self._packer = None  # should it fail, a new one finds in the database what is done
        step = packer.step(self.age_s)
        self._packer = packer
        return step

    def keep_clock(self) -> Step:
        """Write the age clock: what has passed counts after a restart."""
        with transaction(self.connection):
            self._write_clock(self._clock.age_us(self._monotonic_us()))
        return Step()

    def _write_clock(self, age_us: int) -> None:
        self._do("INSERT OR REPLACE INTO clock (id, age_us, wall_us) VALUES (1, ?, ?)", age_us, self._wall_us())
        self._clock_kept_us = age_us

    # Meta

    def get_meta(self, key: str) -> bytes | None:
        """What has been kept under `key`; None if nothing has."""
        rows = self._all("SELECT value FROM meta WHERE key = ?", key)
        return bytes(rows[0][0]) if rows else None

    def put_meta(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there."""
        with transaction(self.connection):
            self._do(
                "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value
            )

    def _do(self, sql: str, *parameters: object) -> int:
        return self.connection.execute(sql, parameters).lastrowid or 0

    def _one(self, sql: str, *parameters: object) -> Any:  # noqa: ANN401 -- a row is what the SQL says
        return self.connection.execute(sql, parameters).fetchone()

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()
