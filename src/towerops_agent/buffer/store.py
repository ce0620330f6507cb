"""The SQL of the buffer: layouts, polls, the batches cut of them, what the server refused.

Synchronous, for one thread; each method is one transaction. What grows old is removed by retention.py.
Times are microseconds since 1970-01-01 UTC (`_us`) and are passed in. Methods raise sqlite3.Error, which buffer.writer maps.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog

from towerops_agent.buffer.batch import OPEN_END, Batch, Cut, Pending, Position, Refused, StoredPoll, cut
from towerops_agent.buffer.codec import PollRow, decode_layout, decode_poll, digest, encode_layout
from towerops_agent.buffer.database import Database, transaction
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout

log = structlog.get_logger()

LAYOUTS_CACHED = 256
"""Some 3 MB; at more devices each poll read costs one look-up and decoding, 25 µs."""

REFUSED_KEPT = 1_000

_BATCH = "id, key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us"


class Store:
    """The open database. Layouts registered with it stay valid until it is closed."""

    def __init__(self, path: Path, now_us: int) -> None:
        """Open the database at `path`; raises as Database does."""
        self.database = Database(path, now_us)
        self.connection = self.database.connection
        self._layout = lru_cache(LAYOUTS_CACHED)(self._read_layout)
        try:
            self._retire_layouts()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database; what SQLite keeps beside it is folded in."""
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

    def _read_layout(self, layout_id: int) -> Layout:
        row = self.connection.execute("SELECT body FROM layouts WHERE id = ?", (layout_id,)).fetchone()
        if row is None:
            raise BufferFailure(f"layout {layout_id} of a stored poll is missing")
        return decode_layout(row[0])

    # Polls

    def add_polls(self, rows: Sequence[PollRow]) -> None:
        """Append the polls to the open stretch."""
        with transaction(self.connection):
            self.connection.executemany(
                "INSERT INTO polls (layout_id, started_at_us, metric_count, body) VALUES (?, ?, ?, ?)", rows
            )
            self._do(
                "UPDATE uncut SET polls = polls + ?, metrics = metrics + ? WHERE end_poll IS NULL",
                len(rows),
                sum(row[2] for row in rows),
            )

    def has_pending(self) -> bool:
        """Whether anything is undelivered."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM uncut WHERE metrics > 0) OR EXISTS (SELECT 1 FROM batches WHERE sent_at_us IS NULL)"
            )[0]
        )

    def pending(self) -> Pending:
        """What is undelivered. Costs a look at each poll of the open batches (tens) and one at each uncut stretch."""
        uncut_polls, uncut_metrics, oldest_uncut = self._one(
            "SELECT sum(polls), sum(metrics), min((SELECT started_at_us FROM polls"
            " WHERE polls.id >= first_poll AND polls.id < coalesce(end_poll, ?) ORDER BY polls.id LIMIT 1)) FROM uncut",
            OPEN_END,
        )
        (open_metrics,) = self._one("SELECT coalesce(sum(metric_count), 0) FROM batches WHERE sent_at_us IS NULL")
        # A poll cut in two is counted once: with the uncut stretch if it reaches into one.
        open_polls, oldest_open = self._one(
            "SELECT count(DISTINCT p.id), min(p.started_at_us) FROM batches b"
            " CROSS JOIN polls p ON p.id BETWEEN b.start_poll AND b.stop_poll - (b.stop_metric = 0) WHERE b.sent_at_us IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM uncut u WHERE p.id >= u.first_poll AND (u.end_poll IS NULL OR p.id < u.end_poll))"
        )
        oldest = min((t for t in (oldest_uncut, oldest_open) if t is not None), default=None)
        return Pending(uncut_metrics + open_metrics, uncut_polls + open_polls, oldest)

    # Batches

    def next_batch(self, max_metrics: int, new_key: Callable[[], str], now_us: int) -> Batch | None:
        """The first open batch, whatever its size; else a new one of at most `max_metrics`; None: nothing is pending."""
        for row in self._all(
            f"SELECT {_BATCH} FROM batches WHERE sent_at_us IS NULL ORDER BY start_poll, start_metric LIMIT 1"  # noqa: S608
        ):
            return _batch(row)
        for stretch, first_poll, first_metric, end_poll in self._all(
            "SELECT id, first_poll, first_metric, coalesce(end_poll, ?) FROM uncut WHERE metrics > 0 ORDER BY first_poll",
            OPEN_END,
        ):
            with transaction(self.connection):
                piece = self._cut(Position(first_poll, first_metric), end_poll, max_metrics)
                if piece is None:  # it was said to hold metrics: rows were lost to damage
                    self._do("UPDATE uncut SET polls = 0, metrics = 0 WHERE id = ?", stretch)
                    continue
                self._do(
                    "UPDATE uncut SET first_poll = ?, first_metric = ?, polls = polls - ?, metrics = metrics - ? WHERE id = ?",
                    *(piece.stop.poll, piece.stop.metric, piece.polls, piece.metrics, stretch),
                )
                self._do("DELETE FROM uncut WHERE first_poll >= end_poll")
                return self._insert_batch(piece, new_key(), now_us)
        return None

    def _cut(self, first: Position, end_poll: int, max_metrics: int) -> Cut | None:
        polls = self.connection.execute(
            "SELECT id, metric_count FROM polls WHERE id >= ? AND id < ? ORDER BY id", (first.poll, end_poll)
        )
        try:
            return cut(polls, first, max_metrics)
        finally:
            polls.close()  # an unfinished SELECT would stay open over the commit

    def _insert_batch(self, piece: Cut, key: str, now_us: int) -> Batch:
        start, stop = piece.start, piece.stop
        batch_id = self._do(
            "INSERT INTO batches (key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(key, start.poll, start.metric, stop.poll, stop.metric, piece.metrics, now_us),
        )
        return Batch(batch_id, key, start, stop, piece.metrics, now_us)

    def read(self, batch: Batch) -> tuple[list[StoredPoll], int]:
        """The polls of the batch, and how many metrics have just been found damaged, which are left out.

        A damaged poll is counted once, with all of its metrics from the batch on; its body is emptied.
        """
        stored: list[StoredPoll] = []
        lost = 0
        for poll_id, *row in self._all(
            "SELECT id, layout_id, started_at_us, metric_count, body FROM polls WHERE id BETWEEN ? AND ? ORDER BY id",
            batch.start.poll,
            batch.last_poll,
        ):
            layout_id, started_at_us, metric_count, body = row
            if not body:
                continue
            first = batch.start.metric if poll_id == batch.start.poll else 0
            stop = batch.stop.metric if poll_id == batch.stop.poll else metric_count
            try:
                layout = self._layout(layout_id)
                poll = decode_poll((layout_id, started_at_us, metric_count, body), layout)
            except BufferFailure as error:
                log.warning("damaged poll left out", poll=poll_id, metrics=metric_count - first, error=str(error))
                self._do("UPDATE polls SET body = x'' WHERE id = ?", poll_id)
                lost += metric_count - first
                continue
            stored.append(StoredPoll(poll_id, layout, poll, first, stop))
        return stored, lost

    def acknowledge(self, batch: Batch, now_us: int) -> None:
        """Mark the batch sent; nothing happens if it is no longer open."""
        with transaction(self.connection):
            self._do("UPDATE batches SET sent_at_us = ? WHERE id = ? AND sent_at_us IS NULL", now_us, batch.id)

    def split(self, batch: Batch, new_key: Callable[[], str], now_us: int) -> tuple[Batch, Batch]:
        """Two open batches, halves of the batch, in its place. Raises BufferFailure if it is no longer open."""
        if batch.metric_count < 2:
            raise ValueError("a batch of one metric can't be split: set it aside or send it")
        polls = self._all(
            "SELECT id, metric_count FROM polls WHERE id BETWEEN ? AND ? ORDER BY id", batch.start.poll, batch.last_poll
        )
        half = batch.metric_count // 2
        first = cut(polls, batch.start, half)
        rest = cut([p for p in polls if p[0] >= first.stop.poll], first.stop, batch.metric_count - half) if first else None
        with transaction(self.connection):
            if not self._is_open(batch):
                raise BufferFailure(f"batch {batch.id} is no longer open: it can't be split")
            if first is None or rest is None:
                raise BufferFailure(f"batch {batch.id} has fewer metrics than it was cut with: the database is damaged")
            self._do("DELETE FROM batches WHERE id = ?", batch.id)
            return self._insert_batch(first, new_key(), now_us), self._insert_batch(rest, new_key(), now_us)

    def set_aside(self, batch: Batch, metric: bytes, reason: str, now_us: int) -> None:
        """Close the batch, keep its one metric with the server's reason; nothing happens if it is no longer open."""
        if batch.metric_count != 1:
            raise ValueError(f"a batch of {batch.metric_count} metrics can't be set aside: split it until one is left")
        with transaction(self.connection):
            if not self._is_open(batch):
                return
            self._do("UPDATE batches SET sent_at_us = ? WHERE id = ?", now_us, batch.id)
            self._do(
                "INSERT INTO refused (poll_id, metric_index, equipment_id, metric, reason, at_us) VALUES (?, ?, ?, ?, ?, ?)",
                *(batch.start.poll, batch.start.metric, self._equipment_of(batch.start.poll), metric, reason, now_us),
            )
            self._do("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", REFUSED_KEPT)

    def refused(self, limit: int) -> list[Refused]:
        """The metrics set aside, the latest first."""
        rows = self._all("SELECT equipment_id, metric, reason, at_us FROM refused ORDER BY id DESC LIMIT ?", limit)
        return [Refused(*row) for row in rows]

    def _is_open(self, batch: Batch) -> bool:
        return bool(self._one("SELECT count(*) FROM batches WHERE id = ? AND sent_at_us IS NULL", batch.id)[0])

    def _equipment_of(self, poll_id: int) -> str:
        try:
            return self._layout(self._one("SELECT layout_id FROM polls WHERE id = ?", poll_id)[0]).equipment_id
        except (BufferFailure, TypeError):  # the poll or its layout is damaged
            return ""

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


def _batch(row: Sequence[Any]) -> Batch:
    batch_id, key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us = row
    return Batch(batch_id, key, Position(start_poll, start_metric), Position(stop_poll, stop_metric), metric_count, cut_at_us)
