"""The rows that say what is undelivered, each checked if it is read: stretches that are not cut yet, and batches.

A damaged one raises Corruption: what it covered is worked out again from the others, in a new file (salvage.py).
Synchronous, for the writer's thread. Functions take part in the caller's transaction. Times are microseconds since 1970-01-01
UTC (`_us`), or seconds on the age clock (`_s`).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from towerops_agent.buffer.database import Corruption
from towerops_agent.buffer.format.batch import Batch, Lane, Position
from towerops_agent.buffer.format.codec import checksum, is_intact

_STRETCH = "first_poll, first_metric, end_poll, polls, metrics, lane, checksum"
_BATCH = "key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, sent_age_s, lane, checksum"
_LANES = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Polls of which no batch has been cut yet: from `first` up to the poll `end_poll`, exclusive; None: new polls belong to it.

    `polls`, `metrics`: how many it holds. `id`: None if it is not in the database yet.
    """

    id: int | None
    first: Position
    end_poll: int | None
    polls: int
    metrics: int
    lane: Lane


def stretches(connection: sqlite3.Connection) -> list[Stretch]:
    """All stretches, in the order of the line, the open one last. Raises Corruption."""
    rows = connection.execute(f"SELECT id, {_STRETCH} FROM uncut ORDER BY first_poll, end_poll IS NULL").fetchall()  # noqa: S608 -- our names
    found = [_stretch(row) for row in rows]
    if [stretch.end_poll for stretch in found].count(None) != 1:
        raise Corruption(f"{len(found)} stretches of polls, not one of which is the open one")
    return found


def open_stretch(connection: sqlite3.Connection) -> Stretch:
    """The stretch that new polls belong to. Raises Corruption."""
    rows = connection.execute(f"SELECT id, {_STRETCH} FROM uncut WHERE end_poll IS NULL").fetchall()  # noqa: S608 -- our names
    if len(rows) != 1:
        raise Corruption(f"{len(rows)} open stretches of polls: expected one")
    return _stretch(rows[0])


def write_stretch(connection: sqlite3.Connection, stretch: Stretch) -> None:
    """Insert the stretch, or write it in place of what its row was."""
    row = (*(stretch.first.poll, stretch.first.metric, stretch.end_poll, stretch.polls, stretch.metrics), str(stretch.lane))
    connection.execute(
        f"INSERT OR REPLACE INTO uncut (id, {_STRETCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        (stretch.id, *row, checksum(*row)),
    )


def drop_stretch(connection: sqlite3.Connection, stretch: Stretch) -> None:
    """Remove the stretch's row."""
    connection.execute("DELETE FROM uncut WHERE id = ?", (stretch.id,))


def open_batches(connection: sqlite3.Connection) -> list[Batch]:
    """The batches that are not sent, in the order of the line. Raises Corruption."""
    return [batch for batch, _ in _batches(connection, "sent_age_s IS NULL ORDER BY start_poll, start_metric")]


def open_batch(connection: sqlite3.Connection, batch_id: int) -> Batch | None:
    """The batch as it is now; None if it is no longer open. Raises Corruption."""
    return next((batch for batch, sent_age_s in _batches(connection, "id = ?", batch_id) if sent_age_s is None), None)


def sent_batches(connection: sqlite3.Connection, until_s: int, limit: int) -> list[Batch]:
    """The batches sent up to `until_s`, at most `limit`, the first sent first. Raises Corruption."""
    where = "sent_age_s <= ? ORDER BY sent_age_s, start_poll, start_metric LIMIT ?"
    return [batch for batch, _ in _batches(connection, where, until_s, limit)]


def reach_before(connection: sqlite3.Connection, poll: int) -> Position | None:
    """Where the nearest batch that starts before the poll stops; None if there is none. Raises Corruption."""
    where = "start_poll < ? ORDER BY start_poll DESC, start_metric DESC LIMIT 1"
    return next((batch.stop for batch, _ in _batches(connection, where, poll)), None)


def insert_batch(connection: sqlite3.Connection, batch: Batch) -> Batch:
    """The batch, open, with the id that it got."""
    row = _columns(batch, None)
    batch_id = connection.execute(
        f"INSERT INTO batches ({_BATCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        (*row, checksum(*row)),
    ).lastrowid
    return replace(batch, id=batch_id or 0)


def write_batch(connection: sqlite3.Connection, batch: Batch, sent_age_s: int | None) -> None:
    """Write the batch in place of what its row was; `sent_age_s`: when it was sent, None: it is open."""
    connection.execute(
        "UPDATE batches SET metric_count = ?, sent_age_s = ?, lane = ?, checksum = ? WHERE id = ?",
        (batch.metric_count, sent_age_s, batch.lane, checksum(*_columns(batch, sent_age_s)), batch.id),
    )


def drop_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Remove the batch's row."""
    connection.execute("DELETE FROM batches WHERE id = ?", (batch.id,))


def _columns(batch: Batch, sent_age_s: int | None) -> tuple[str | int | None, ...]:
    start, stop = batch.start, batch.stop
    return (
        *(batch.key, start.poll, start.metric, stop.poll, stop.metric, batch.metric_count, batch.cut_at_us),
        *(sent_age_s, str(batch.lane)),
    )


def _stretch(row: Sequence[Any]) -> Stretch:
    if not is_intact(*row[1:]) or row[6] not in _LANES:
        raise Corruption("the row of a stretch of polls does not match its checksum")
    stretch_id, first_poll, first_metric, end_poll, polls, metrics, lane, _ = row
    return Stretch(stretch_id, Position(first_poll, first_metric), end_poll, polls, metrics, Lane(lane))


def _batches(connection: sqlite3.Connection, where: str, *parameters: int) -> Iterator[tuple[Batch, int | None]]:
    for row in connection.execute(f"SELECT id, {_BATCH} FROM batches WHERE {where}", parameters).fetchall():  # noqa: S608 -- our names
        if not is_intact(*row[1:]) or row[9] not in _LANES:
            raise Corruption("the row of a batch does not match its checksum")
        batch_id, key, start_poll, start_metric, stop_poll, stop_metric, count, cut_at_us, sent_age_s, lane, _ = row
        start, stop = Position(start_poll, start_metric), Position(stop_poll, stop_metric)
        yield Batch(batch_id, key, start, stop, count, cut_at_us, Lane(lane)), sent_age_s
