"""The line of metrics in the database: stretches that are not yet cut, batches, and which lane each is in.

Fresh polls go first after an outage: what had gathered is parted off as backlog, and both lanes are delivered side by side. A
stretch or a batch belongs to one lane; no two overlap.
Synchronous, for the writer's thread; each method is one transaction. Times are microseconds since 1970-01-01 UTC (`_us`).
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Any

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.batch import OPEN_END, Batch, Cut, Lane, Pending, Position, cut
from towerops_agent.errors import BufferFailure

_BATCH = "id, key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, lane"


class Lanes:
    """What is undelivered, and the batches cut of it. Methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def has_pending(self) -> bool:
        """Whether anything is undelivered."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM uncut WHERE metrics > 0) OR EXISTS (SELECT 1 FROM batches WHERE sent_age_s IS NULL)"
            )[0]
        )

    def pending(self) -> Pending:
        """What is undelivered. Costs a look at each poll of the open batches (tens) and one at each uncut stretch."""
        metrics = dict.fromkeys(Lane, 0)
        oldest: dict[Lane, list[int]] = {lane: [] for lane in Lane}
        polls = 0
        for name, uncut_polls, uncut_metrics, started_at_us in self._all(
            "SELECT lane, sum(polls), sum(metrics), min((SELECT started_at_us FROM polls WHERE polls.id >= first_poll"
            " AND polls.id < coalesce(end_poll, ?) ORDER BY polls.id LIMIT 1)) FROM uncut GROUP BY lane",
            OPEN_END,
        ):
            metrics[Lane(name)] += uncut_metrics
            polls += uncut_polls
            oldest[Lane(name)] += [] if started_at_us is None else [started_at_us]
        for name, open_metrics in self._all("SELECT lane, sum(metric_count) FROM batches WHERE sent_age_s IS NULL GROUP BY lane"):
            metrics[Lane(name)] += open_metrics
        for name, started_at_us in self._all(
            "SELECT b.lane, min(p.started_at_us) FROM batches b CROSS JOIN polls p"
            " ON p.id BETWEEN b.start_poll AND b.stop_poll - (b.stop_metric = 0) WHERE b.sent_age_s IS NULL GROUP BY b.lane"
        ):
            oldest[Lane(name)].append(started_at_us)
        # A poll cut in two is counted once: with the uncut stretch if it reaches into one.
        polls += self._one(
            "SELECT count(DISTINCT p.id) FROM batches b"
            " CROSS JOIN polls p ON p.id BETWEEN b.start_poll AND b.stop_poll - (b.stop_metric = 0) WHERE b.sent_age_s IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM uncut u WHERE p.id >= u.first_poll AND (u.end_poll IS NULL OR p.id < u.end_poll))"
        )[0]
        return Pending(
            metrics=sum(metrics.values()),
            polls=polls,
            oldest_started_at_us=min((t for times in oldest.values() for t in times), default=None),
            backlog_metrics=metrics[Lane.BACKLOG],
            backlog_oldest_started_at_us=min(oldest[Lane.BACKLOG], default=None),
        )

    def part_backlog(self) -> None:
        """Make all that is undelivered backlog: the open-ended stretch ends here, and begins anew."""
        with transaction(self._connection):
            self._do("UPDATE batches SET lane = ? WHERE sent_age_s IS NULL", Lane.BACKLOG)
            self._do("UPDATE uncut SET lane = ? WHERE end_poll IS NOT NULL", Lane.BACKLOG)
            (next_poll,) = self._one("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'polls'")
            stretch, first_poll, first_metric, polls, metrics = self._one(
                "SELECT id, first_poll, first_metric, polls, metrics FROM uncut WHERE end_poll IS NULL"
            )
            if metrics:
                self._append_backlog(Position(first_poll, first_metric), next_poll, polls, metrics)
            self._do("UPDATE uncut SET first_poll = ?, first_metric = 0, polls = 0, metrics = 0 WHERE id = ?", next_poll, stretch)

    def _append_backlog(self, first: Position, end_poll: int, polls: int, metrics: int) -> None:
        # Where the backlog ends just there, it grows: an agent without its API for a day has one stretch, not hundreds.
        adjacent = self._all("SELECT id FROM uncut WHERE end_poll = ?", first.poll) if first.metric == 0 else []
        for (stretch,) in adjacent:
            self._do(
                "UPDATE uncut SET end_poll = ?, polls = polls + ?, metrics = metrics + ? WHERE id = ?",
                *(end_poll, polls, metrics, stretch),
            )
            return
        self._do(
            "INSERT INTO uncut (first_poll, first_metric, end_poll, polls, metrics, lane) VALUES (?, ?, ?, ?, ?, ?)",
            *(first.poll, first.metric, end_poll, polls, metrics, Lane.BACKLOG),
        )

    def next_batch(
        self, max_metrics: int, lane: Lane, new_key: Callable[[], str], now_us: int, exclude: Collection[int] = ()
    ) -> Batch | None:
        """The lane's first open batch, whatever its size; else a new one of at most `max_metrics`; None: the lane is empty.

        `exclude`: ids of batches that are not meant, as they are under way.
        """
        for row in self._all(
            f"SELECT {_BATCH} FROM batches WHERE sent_age_s IS NULL AND lane = ?"  # noqa: S608 -- our names
            " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY start_poll, start_metric LIMIT 1",
            *(lane, json.dumps(list(exclude))),
        ):
            return _batch(row)
        for stretch, first_poll, first_metric, end_poll in self._all(
            "SELECT id, first_poll, first_metric, coalesce(end_poll, ?) FROM uncut WHERE metrics > 0 AND lane = ?"
            " ORDER BY first_poll",
            *(OPEN_END, lane),
        ):
            with transaction(self._connection):
                piece = self._cut(Position(first_poll, first_metric), end_poll, max_metrics)
                if piece is None:  # it was said to hold metrics: rows were lost to damage
                    self._do("UPDATE uncut SET polls = 0, metrics = 0 WHERE id = ?", stretch)
                    continue
                self._do(
                    "UPDATE uncut SET first_poll = ?, first_metric = ?, polls = polls - ?, metrics = metrics - ? WHERE id = ?",
                    *(piece.stop.poll, piece.stop.metric, piece.polls, piece.metrics, stretch),
                )
                self._do("DELETE FROM uncut WHERE first_poll >= end_poll")
                return self._insert_batch(piece, lane, new_key(), now_us)
        return None

    def _cut(self, first: Position, end_poll: int, max_metrics: int) -> Cut | None:
        polls = self._connection.execute(
            "SELECT id, metric_count FROM polls WHERE id >= ? AND id < ? ORDER BY id", (first.poll, end_poll)
        )
        try:
            return cut(polls, first, max_metrics)
        finally:
            polls.close()  # an unfinished SELECT would stay open over the commit

    def _insert_batch(self, piece: Cut, lane: Lane, key: str, now_us: int) -> Batch:
        start, stop = piece.start, piece.stop
        batch_id = self._do(
            "INSERT INTO batches (key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, lane)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(key, start.poll, start.metric, stop.poll, stop.metric, piece.metrics, now_us, lane),
        )
        return Batch(batch_id, key, start, stop, piece.metrics, now_us, lane)

    def acknowledge(self, batch: Batch, age_s: int) -> None:
        """Mark the batch sent, at this time of the age clock; nothing happens if it is no longer open."""
        with transaction(self._connection):
            self._do("UPDATE batches SET sent_age_s = ? WHERE id = ? AND sent_age_s IS NULL", age_s, batch.id)

    def split(self, batch: Batch, new_key: Callable[[], str], now_us: int) -> tuple[Batch, Batch]:
        """Two open batches, halves of the batch, in its place and its lane. Raises BufferFailure if it is no longer open."""
        if batch.metric_count < 2:
            raise ValueError("a batch of one metric can't be split: set it aside or send it")
        polls = self._all(
            "SELECT id, metric_count FROM polls WHERE id BETWEEN ? AND ? ORDER BY id", batch.start.poll, batch.last_poll
        )
        half = batch.metric_count // 2
        first = cut(polls, batch.start, half)
        rest = cut([p for p in polls if p[0] >= first.stop.poll], first.stop, batch.metric_count - half) if first else None
        with transaction(self._connection):
            lane = self.lane_of_open(batch)
            if lane is None:
                raise BufferFailure(f"batch {batch.id} is no longer open: it can't be split")
            if first is None or rest is None:
                raise BufferFailure(f"batch {batch.id} has fewer metrics than it was cut with: the database is damaged")
            self._do("DELETE FROM batches WHERE id = ?", batch.id)
            return self._insert_batch(first, lane, new_key(), now_us), self._insert_batch(rest, lane, new_key(), now_us)

    def lane_of_open(self, batch: Batch) -> Lane | None:
        """The lane that the batch is in now; None: it is no longer open."""
        row = self._one("SELECT lane FROM batches WHERE id = ? AND sent_age_s IS NULL", batch.id)
        return None if row is None else Lane(row[0])

    def _do(self, sql: str, *parameters: object) -> int:
        return self._connection.execute(sql, parameters).lastrowid or 0

    def _one(self, sql: str, *parameters: object) -> Any:  # noqa: ANN401 -- a row is what the SQL says
        return self._connection.execute(sql, parameters).fetchone()

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        return self._connection.execute(sql, parameters).fetchall()


def _batch(row: Sequence[Any]) -> Batch:
    batch_id, key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, lane = row
    start, stop = Position(start_poll, start_metric), Position(stop_poll, stop_metric)
    return Batch(batch_id, key, start, stop, metric_count, cut_at_us, Lane(lane))
