"""Copy what can be read of one database into another: of a corrupt one into its successor, of memory into the file.

Row by row: where a page is bad, the rows after it are still found. What was not cut into a batch becomes backlog, worked out anew
from polls and batches, so that nothing is delivered twice that is known to be delivered, and nothing is left out that is there.
Can be run again: rows that are there already stay as they are. Synchronous, for the writer's thread.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from towerops_agent.buffer.database import is_corruption, transaction
from towerops_agent.buffer.format.batch import OPEN_END, Lane, Position

ROWS_PER_STEP = 1_000

SKIPPED_IDS = 1_000_000
"""How many ids are left out after a salvage: the latest that were given out may be among what could not be read."""

_COLUMNS: dict[str, tuple[tuple[str, type], ...]] = {
    "layouts": (("id", int), ("digest", bytes), ("body", bytes)),
    "batches": (
        *(("id", int), ("key", str), ("start_poll", int), ("start_metric", int), ("stop_poll", int), ("stop_metric", int)),
        *(("metric_count", int), ("cut_at_us", int), ("sent_age_s", int), ("lane", str)),
    ),
    "refused": (
        *(("id", int), ("poll_id", int), ("metric_index", int), ("equipment_id", str)),
        *(("metric", bytes), ("reason", str), ("at_us", int), ("age_s", int)),
    ),
    "polls": (("id", int), ("layout_id", int), ("started_at_us", int), ("metric_count", int), ("age_s", int)),
    "ranges": (("end_poll", int), ("first_poll", int)),
    "packs": (("end_poll", int), ("layout_id", int), ("body", bytes)),
    "bodies": (("poll", int), ("body", bytes)),
}
_NULLABLE = {"sent_age_s"}
_COUNTED = ("layouts", "polls", "batches", "refused")


@dataclass(slots=True)
class Salvaged:
    """How many rows of each table were copied, the tables wholly readable, and how many metrics are known to be lost."""

    copied: dict[str, int] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    lost_metrics: int = 0


def salvage(source: sqlite3.Connection, target: sqlite3.Connection, *, age_lead_s: int = 0) -> Salvaged:
    """Copy all that can be read. Raises sqlite3.Error where `target` can't be written.

    `age_lead_s`: by how much the age clock of `target` is ahead of that of `source`.
    """
    salvaged = Salvaged()
    for table in _COLUMNS:
        _copy(source, target, table, age_lead_s, salvaged)
    salvaged.copied["meta"] = _copy_meta(source, target)
    _copy_clock(source, target)
    _go_on_after(source, target)
    rebuild_stretches(target)
    if "polls" not in salvaged.whole:
        salvaged.lost_metrics = _lost_metrics(source, target)
    return salvaged


def begin_ids_at(connection: sqlite3.Connection, first: int) -> None:
    """Have the database give out ids from `first` on; nothing in it is undelivered, or its stretches are all closed."""
    with transaction(connection):
        for table in _COUNTED:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, first - 1))
        connection.execute("UPDATE uncut SET first_poll = ? WHERE end_poll IS NULL", (first,))


def rebuild_stretches(connection: sqlite3.Connection) -> None:
    """Make backlog of all polls that no batch covers, and begin the open stretch after the last poll."""
    with transaction(connection):
        connection.execute("DELETE FROM uncut")
        begin = Position(0, 0)
        batches = connection.execute(
            "SELECT start_poll, start_metric, stop_poll, stop_metric FROM batches ORDER BY start_poll, start_metric"
        ).fetchall()
        (next_poll,) = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'polls'").fetchone()
        for start_poll, start_metric, stop_poll, stop_metric in [*batches, (next_poll, 0, next_poll, 0)]:
            # Of a poll that a batch has the end of, the beginning was in a batch that is gone, since delivered long ago.
            _insert_stretch(connection, begin, start_poll)
            begin = max(begin, Position(start_poll, start_metric), Position(stop_poll, stop_metric))
        connection.execute(
            "INSERT INTO uncut (first_poll, first_metric, end_poll, polls, metrics) VALUES (?, 0, NULL, 0, 0)", (next_poll,)
        )


def _insert_stretch(connection: sqlite3.Connection, begin: Position, end_poll: int) -> None:
    first, polls, metrics = connection.execute(
        "SELECT min(id), count(*), total(metric_count) FROM polls WHERE id >= ? AND id < ?", (begin.poll, end_poll)
    ).fetchone()
    if not polls:
        return
    first_metric = begin.metric if first == begin.poll else 0
    metrics = int(metrics) - first_metric
    if metrics > 0:
        connection.execute(
            "INSERT INTO uncut (first_poll, first_metric, end_poll, polls, metrics, lane) VALUES (?, ?, ?, ?, ?, ?)",
            (first, first_metric, end_poll, polls, metrics, Lane.BACKLOG),
        )


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, age_lead_s: int, salvaged: Salvaged) -> None:
    names = [name for name, _ in _COLUMNS[table]]
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 -- our names
    ages = [i for i, name in enumerate(names) if name in ("age_s", "sent_age_s")]
    copied = 0
    rows = _rows(source, table, salvaged.whole)
    while some := list(islice(rows, ROWS_PER_STEP)):
        with transaction(target):
            for row in some:
                values = list(row)
                for i in ages:
                    values[i] = None if values[i] is None else max(values[i] + age_lead_s, 0)
                inserted = target.execute(insert, values).rowcount
                if table == "layouts" and not inserted:
                    inserted = _insert_namesake(target, values)
                copied += max(inserted, 0)
    salvaged.copied[table] = copied


def _insert_namesake(target: sqlite3.Connection, values: Sequence[Any]) -> int:
    # The same layout is there under another id. Polls have both ids, so both must lead to it; a longer digest is not looked up.
    layout, digest, body = values
    return target.execute(
        "INSERT OR IGNORE INTO layouts (id, digest, body) VALUES (?, ?, ?)", (layout, digest + b"%d" % layout, body)
    ).rowcount


def _copy_meta(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    try:
        rows = [row for row in source.execute("SELECT key, value FROM meta") if _is_sound(row, (str, bytes))]
    except sqlite3.Error:
        return 0
    with transaction(target):
        return target.executemany("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", rows).rowcount


def _lost_metrics(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    """How many undelivered metrics there were, by what the source's stretches and open batches say, of polls that are gone."""
    lost = 0
    with suppress(sqlite3.Error, TypeError):
        (was,) = source.execute("SELECT sum(metrics) FROM uncut").fetchone()
        (now,) = target.execute("SELECT total(metrics) FROM uncut").fetchone()
        lost = max(was - int(now), 0)
    for start_poll, start_metric, stop_poll, stop_metric, cut in target.execute(
        "SELECT start_poll, start_metric, stop_poll, stop_metric, metric_count FROM batches WHERE sent_age_s IS NULL"
    ).fetchall():
        left = 0
        for poll, count in target.execute(
            "SELECT id, metric_count FROM polls WHERE id BETWEEN ? AND ?", (start_poll, stop_poll - (stop_metric == 0))
        ):
            left += (stop_metric if poll == stop_poll else count) - (start_metric if poll == start_poll else 0)
        lost += max(cut - left, 0)
    return lost


def _copy_clock(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    if target.execute("SELECT 1 FROM clock").fetchone():
        return
    try:
        rows = [row for row in source.execute("SELECT id, age_us, wall_us FROM clock") if _is_sound(row, (int, int, int))]
    except sqlite3.Error:
        rows = []
    with transaction(target):
        (oldest_us,) = target.execute("SELECT coalesce(max(age_s), 0) * 1000000 FROM polls").fetchone()
        for _, age_us, wall_us in rows:
            target.execute("INSERT INTO clock (id, age_us, wall_us) VALUES (1, ?, ?)", (max(age_us, oldest_us), wall_us))
        if not rows:  # its time stands still from the last poll to now
            target.execute("INSERT INTO clock (id, age_us, wall_us) VALUES (1, ?, ?)", (oldest_us, OPEN_END))


def _rows(source: sqlite3.Connection, table: str, whole: set[str]) -> Iterator[list[Any]]:
    """The readable rows; the table's name into `whole` if none was unreadable."""
    names = [name for name, _ in _COLUMNS[table]]
    types = [kind for _, kind in _COLUMNS[table]]
    nullable = [name in _NULLABLE for name in names]
    select = f"SELECT rowid, {', '.join(names)} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 -- our names
    after: int | None = -1
    sound = True
    while after is not None:
        try:
            for rowid, *row in source.execute(select, (after,)):
                if rowid <= after:
                    break  # the page tells of rows that are not its own
                after = rowid
                if _is_sound(row, types, nullable):
                    yield row
                else:
                    sound = False
            else:
                if sound:
                    whole.add(table)
                return
        except sqlite3.DatabaseError as error:
            if not is_corruption(error):
                return  # no such table, or the disk itself does not answer
        sound = False
        after = _behind_gap(source, select, after)


def _behind_gap(source: sqlite3.Connection, select: str, bad: int) -> int | None:
    """After which rowid rows are readable again, where the next after `bad` is not; None: none is.

    Steps that double find the far side, halving finds its edge: some 30 looks a gap.
    """

    def is_good(after: int) -> bool | None:
        try:
            row = source.execute(select, (after,)).fetchone()
        except sqlite3.DatabaseError:
            return False
        return None if row is None else bool(row[0] > after)

    step = 1
    while (good := is_good(bad + step)) is False:
        step *= 2
        if bad + step > OPEN_END:
            return None
    if good is None:
        return None
    low, high = bad + step // 2, bad + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_good(middle) else (middle, high)
    return high


def _is_sound(row: Sequence[Any], types: Sequence[type], nullable: Sequence[bool] | None = None) -> bool:
    return all(
        isinstance(value, kind) or (value is None and nullable is not None and nullable[i])
        for i, (value, kind) in enumerate(zip(row, types, strict=True))
    )


def _go_on_after(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    try:
        known = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    except sqlite3.Error:
        known = {}
    with transaction(target):
        for table in _COUNTED:
            seq = known.get(table)
            after = seq if isinstance(seq, int) else 0
            (highest,) = target.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()  # noqa: S608 -- our names
            (own,) = target.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
            target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            after = max(after, highest, own) + SKIPPED_IDS
            target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, after))
