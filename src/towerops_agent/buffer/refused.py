"""The metrics that the server refused, kept one by one with its reason.

Synchronous, for the writer's thread and for other processes (reader.py). Functions raise sqlite3.Error; `keep` takes part in the
caller's transaction. Rows that do not match their checksum are left out.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.batch import OPEN_END, RefusedMetric
from towerops_agent.buffer.format.codec import checksum, is_intact
from towerops_agent.buffer.lanes import with_destination
from towerops_agent.buffer.retention import Step

KEPT = 10_000

_COLUMNS = "poll_id, metric_index, equipment_id, metric, reason, at_us, age_s, destination, checksum"


def keep(connection: sqlite3.Connection, row: tuple[int, int, str, bytes, str, int, int], destination: str) -> None:
    """Keep a metric: the columns of its row, without the last two."""
    connection.execute(
        f"INSERT INTO refused ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        (*row, destination, checksum(*with_destination(row, destination))),
    )
    # By their number, not by their ids: those of a salvaged database are far below.
    connection.execute("DELETE FROM refused WHERE id <= (SELECT id FROM refused ORDER BY id DESC LIMIT 1 OFFSET ?)", (KEPT,))


def latest(connection: sqlite3.Connection, limit: int) -> list[RefusedMetric]:
    """The refused metrics, the latest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM refused ORDER BY id DESC LIMIT ?", (limit,)).fetchall()  # noqa: S608 -- our names
    return [RefusedMetric(row[2], row[3], row[4], row[5], row[7]) for row in rows if _is_whole(row)]


def of_series(
    connection: sqlite3.Connection, beginning: bytes, limit: int, before: int | None
) -> list[tuple[int, RefusedMetric]]:
    """The metrics beginning so that the API refused, the latest first, each with the id of its row, which is below `before`."""
    rows = connection.execute(
        f"SELECT id, {_COLUMNS} FROM refused"  # noqa: S608 -- our names
        " WHERE destination = '' AND substr(metric, 1, ?) = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (len(beginning), beginning, OPEN_END if before is None else before, limit),
    ).fetchall()
    return [(row[0], RefusedMetric(*row[3:7])) for row in rows if _is_whole(row[1:])]


def _is_whole(row: Sequence[Any]) -> bool:
    *columns, destination, checked = row
    return is_intact(*with_destination(columns, destination), checked)


def release(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove these refused metrics: the server has them."""
    with transaction(connection):
        connection.executemany("DELETE FROM refused WHERE id = ?", [(number,) for number in numbers])


def expire(connection: sqlite3.Connection, until_s: int) -> Step:
    """Remove the metrics refused up to `until_s`, in seconds on the age clock."""
    with transaction(connection):
        connection.execute("DELETE FROM refused WHERE age_s <= ?", (until_s,))
    return Step()
