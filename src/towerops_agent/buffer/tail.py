"""The latest polls, on the disk at the price of three small pages: they go to the tables together, each half minute.

A row in each table would cost five to ten pages a commit, and flash cards wear. The tail is one row of a fixed size, written in
place: polls are put behind each other, and its head says how many. What the tables have by now, as the ids say, is void in it.
Synchronous, for the writer's thread. Methods raise sqlite3.Error.
"""

import sqlite3
from collections.abc import Container, Sequence

from towerops_agent.buffer.database import FAILURES, Corruption, tables_of, transaction
from towerops_agent.buffer.format.codec import (
    TAIL_HEAD_OCTETS,
    PollRow,
    Tail,
    decode_tail,
    encode_tail,
    encode_tail_head,
)
from towerops_agent.buffer.lanes import next_poll_id
from towerops_agent.errors import BufferFailure

OCTETS_AT_ONCE = 2_048
"""If one commit has more, its polls go to the tables at once: the tables' own pages cost less than to write these twice."""


class TailWriter:
    """Appends to the tail of an open database. `polls`: how many are in it, since it was begun last."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._octets = (connection.execute("SELECT length(body) FROM tail").fetchone() or (0,))[0]
        self.clear()

    def clear(self) -> None:
        """Begin from the start again; nothing is written."""
        self._first = self.polls = self._metrics = self._stored = 0
        self._end = TAIL_HEAD_OCTETS

    def note_stored(self, polls: int) -> None:
        """Note that the tables have so many more of the polls, the first ones first."""
        self._stored += polls
        if self._stored >= self.polls:
            self.clear()

    def wipe(self) -> None:
        """Have nothing in the tail; takes part in the caller's transaction."""
        with self._connection.blobopen("tail", "body", 1) as blob:
            blob.write(encode_tail_head(0, 0, 0))
        self.clear()

    def append(self, rows: Sequence[PollRow]) -> bool:
        """Whether the polls are on the disk now; not so if the tail has no room for them, or they are not worth writing twice."""
        octets = encode_tail(rows)
        if len(octets) > OCTETS_AT_ONCE or self._end + len(octets) > self._octets:
            return False
        first = self._first or next_poll_id(self._connection)
        polls, metrics = self.polls + len(rows), self._metrics + sum(row[2] for row in rows)
        with transaction(self._connection), self._connection.blobopen("tail", "body", 1) as blob:
            blob.write(encode_tail_head(first, polls, metrics))
            blob.seek(self._end)
            blob.write(octets)
        self._first, self.polls, self._metrics = first, polls, metrics
        self._end += len(octets)
        return True


def read_tail(connection: sqlite3.Connection) -> Tail:
    """What is in the tail, void or not. Raises Corruption."""
    row = connection.execute("SELECT body FROM tail WHERE id = 1").fetchone()
    if row is None or type(row[0]) is not bytes:
        raise Corruption("the tail is missing")
    try:
        return decode_tail(row[0])
    except BufferFailure as error:
        raise Corruption(str(error)) from error


def left_behind(tail: Tail, next_poll: int, stored: Container[int] = ()) -> tuple[list[tuple[int, PollRow]], int]:
    """The polls of the tail that the tables do not have, with their ids, and how many metrics of damaged ones are lost.

    The tables have ids up to `next_poll`, exclusive, and `stored`.
    """
    left = [(poll, row) for poll, row in enumerate(tail.rows, tail.first) if poll >= next_poll and poll not in stored]
    lost = tail.metrics - sum(row[2] for row in tail.rows if row is not None) if any(row is None for _, row in left) else 0
    return [(poll, row) for poll, row in left if row is not None], max(lost, 0)


def copy_tail(source: sqlite3.Connection, target: sqlite3.Connection, uncut: int, end: int) -> tuple[int, int]:
    """Copy what is left behind in the tail, with its ids: how many polls, and how many metrics are lost. Raises Corruption.

    `uncut`: no poll from this id on is in a batch. Which ids the tables of a corrupt database have is not to be believed: a
    single wrong one would make all of the tail void. `end`: ids from here on are the target's own. Those that it has stored of
    the same polls, as an agent that was killed had them in memory too, are not copied. Takes part in the caller's transaction.
    """
    try:
        tail = _tail_of(source)
    except FAILURES as error:
        raise Corruption(str(error)) from error
    if tail is None:
        return 0, 0
    stored = {poll for (poll,) in target.execute("SELECT id FROM polls WHERE id >= ? AND id < ?", (uncut, end))}
    found, lost = left_behind(tail, uncut, stored)
    times = [row[1] for _, row in found] or [0]
    own = set(
        target.execute(
            "SELECT layout_id, started_at_us, metric_count FROM polls WHERE id >= ? AND started_at_us BETWEEN ? AND ?",
            (end, min(times), max(times)),
        )
    )
    (age_s,) = target.execute("SELECT coalesce(max(age_us), 0) / 1000000 FROM clock").fetchone()
    copied = 0
    for poll, (*columns, body) in found:
        if tuple(columns) in own:
            continue
        copied += target.execute(
            "INSERT OR IGNORE INTO polls (id, layout_id, started_at_us, metric_count, age_s) VALUES (?, ?, ?, ?, ?)",
            (poll, *columns, age_s),
        ).rowcount
        target.execute("INSERT OR IGNORE INTO bodies (poll, body) VALUES (?, ?)", (poll, body))
    return copied, lost


def _tail_of(source: sqlite3.Connection) -> Tail | None:
    """The tail of a database that may be damaged; None if its version had no tail."""
    if source.execute("SELECT 1 FROM sqlite_master WHERE name = 'tail'").fetchone() is None:
        (version,) = source.execute("PRAGMA user_version").fetchone()
        if "tail" not in tables_of(version):
            return None
        raise Corruption("the tail is missing")
    return read_tail(source)
