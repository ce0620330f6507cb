"""Events in the database: written with the polls, kept two days, the latest KEPT of them.

Of a device whose state has not changed for longer the last change stays, as long as the agent was not started since: else
nobody could tell what its state was before the next one.
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


_STAYS = (
    "SELECT id FROM (SELECT max(id) AS id, what, why FROM events WHERE kind = 'state' AND age_s <= :until_s"
    " AND id > (SELECT coalesce(max(id), 0) FROM events WHERE kind = 'agent' AND age_s <= :until_s) GROUP BY subject)"
    " WHERE what IN ('down', 'degraded') OR why != ''"
)
"""The last changes of the devices, if without them they would be taken for up, or for not polled."""


def expire(connection: sqlite3.Connection, age_s: int) -> Step:
    """Remove the events that are older than KEPT_S at this age, but for what a device's state has been since then."""
    with transaction(connection):
        connection.execute(
            f"DELETE FROM events WHERE age_s <= :until_s AND id NOT IN ({_STAYS})",  # noqa: S608 -- our words
            {"until_s": age_s - KEPT_S},
        )
    return Step()
