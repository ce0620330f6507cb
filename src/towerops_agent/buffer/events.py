"""Events in the database: written with the polls, kept two days, the latest KEPT of them.

Synchronous, for the writer's thread and for other processes (reader.py). Functions raise sqlite3.Error; `add` takes part in the
caller's transaction. Rows that do not match their checksum are left out.
"""

import sqlite3
from collections.abc import Sequence

from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.codec import checksum, is_intact
from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.buffer.retention import Step

KEPT = 10_000
KEPT_S = 48 * 3600

_COLUMNS = "at_us, kind, subject, what, why, age_s, checksum"
_KINDS = frozenset(EventKind)


def add(connection: sqlite3.Connection, events: Sequence[Event], age_s: int) -> None:
    """Keep the events, without the oldest beyond KEPT."""
    rows = [(event.at_us, event.kind.value, event.subject, event.what, event.why, age_s) for event in events]
    connection.executemany(
        f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        [(*row, checksum(*row)) for row in rows],
    )
    # By their number, not by their ids: those of a salvaged database are far below.
    connection.execute("DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)", (KEPT,))


def kept(connection: sqlite3.Connection) -> list[Event]:
    """The events, in their order."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY id").fetchall()  # noqa: S608 -- our names
    return [Event(row[0], EventKind(row[1]), *row[2:5]) for row in rows if is_intact(*row) and row[1] in _KINDS]


def expire(connection: sqlite3.Connection, age_s: int) -> Step:
    """Remove the events that are older than KEPT_S at this age."""
    with transaction(connection):
        connection.execute("DELETE FROM events WHERE age_s <= ?", (age_s - KEPT_S,))
    return Step()
