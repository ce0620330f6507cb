"""The ids that a database gives out to its rows: how far it has come, and from where on it goes on.

A database that takes another one's place, or what is in memory, gives out ids that no row of the other one has: layouts and
batches keep theirs as they are copied.
Synchronous, for the writer's thread. Microseconds since 1970-01-01 UTC (`_us`).
"""

import os
import sqlite3
from dataclasses import replace

from towerops_agent.buffer import lanes
from towerops_agent.buffer.database import transaction
from towerops_agent.buffer.format.batch import OPEN_END, Lane, Position
from towerops_agent.buffer.format.codec import is_intact
from towerops_agent.buffer.lanes import next_poll_id

SKIPPED_IDS = 1_000_000
"""How many ids are left out before the target's own: the latest that were given out may be among what can't be read."""

CLOCKLESS_IDS = 1 << 50
"""In memory ids begin behind this on a machine that started in 1970: a file has had fewer polls."""

FIRST_APART = 1 << 32
"""A database of an agent begins with a random id from here up to twice as much."""

COMPARED_ROWS = 10_000
"""How many of each table `agree` looks at. Databases that went on by themselves differ in the last ones that both have."""

_STANDS_FOR = {"layouts": "body", "batches": "key", "polls": "layout_id, started_at_us"}
"""What a row has under its id for good."""

_COUNTED = ("layouts", "polls", "batches", "refused", "events")


def id_beyond(last: int, wall_us: int) -> int:
    """An id that no row has, as far as it is known which was the `last` one.

    A database has had less than one a microsecond. The clock may have been set back since then.
    """
    return max(wall_us if wall_us >= CLOCKLESS_IDS else CLOCKLESS_IDS + wall_us, last + SKIPPED_IDS)


def first_apart() -> int:
    """The first id of a new database: a random one, so that hardly another one has the same ids.

    All that is in one can then come into the other: an agent that starts before its disk is mounted begins a database in the
    empty directory, and goes on in the disk's.
    """
    return FIRST_APART + int.from_bytes(os.urandom(4))


def agree(one: sqlite3.Connection, other: sqlite3.Connection) -> bool:
    """Whether an id that both databases have stands for the same in both, as far as the last ones show. Raises sqlite3.Error.

    It does not in copies that went on by themselves, and in two databases that both begin with 1, as earlier versions made them.
    A layout that is damaged in either says nothing.
    """
    for table, columns in _STANDS_FOR.items():
        (last,) = other.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608 -- our names
        rows = one.execute(
            f"SELECT id, {columns} FROM {table} WHERE id <= ? ORDER BY id DESC LIMIT ?",  # noqa: S608 -- our names
            (last, COMPARED_ROWS),
        )
        for row_id, *found in rows.fetchall():
            there = other.execute(f"SELECT {columns} FROM {table} WHERE id = ?", (row_id,)).fetchone()  # noqa: S608 -- our names
            if there is None or list(there) == found:
                continue
            if table != "layouts" or (_has_layout(one, row_id) and _has_layout(other, row_id)):
                return False
    return True


def _has_layout(connection: sqlite3.Connection, layout: int) -> bool:
    """Whether the layout's row is there, and not damaged."""
    row = connection.execute("SELECT id, body, checksum FROM layouts WHERE id = ?", (layout,)).fetchone()
    return row is not None and is_intact(*row)


def last_id(connection: sqlite3.Connection) -> int:
    """The highest id that a table of the database has given out; 0 if that can't be read."""
    try:
        (seq,) = connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
    except sqlite3.Error:
        return 0
    return seq if isinstance(seq, int) and seq < OPEN_END >> 1 else 0


def begin_ids_at(connection: sqlite3.Connection, first: int) -> None:
    """Have the database give out ids from `first` on; what is not cut in it yet becomes backlog."""
    with transaction(connection):
        for line in lanes.open_lines(connection):
            begin_line_at(connection, line, first)
        give_ids_from(connection, first)


def begin_line_at(connection: sqlite3.Connection, line: str, first: int) -> None:
    """Have the polls to come of a line begin with that id; takes part in the caller's transaction."""
    last = lanes.open_stretch(connection, line)
    if last.metrics or last.polls:
        closed = replace(last, id=None, end_poll=next_poll_id(connection), lane=Lane.BACKLOG)
        lanes.write_stretch(connection, closed)
    lanes.write_stretch(connection, replace(last, first=Position(first, 0), polls=0, metrics=0))


def give_ids_from(connection: sqlite3.Connection, first: int) -> None:
    """Have each table give out ids from `first` on; takes part in the caller's transaction."""
    for table in _COUNTED:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, first - 1))
