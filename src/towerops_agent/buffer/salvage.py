"""Copy what can be read of one database into another: of a corrupt one into its successor, of memory into the file.

Row by row, each checked: if a page is bad, the rows after it are still found. What was not cut into a batch becomes backlog,
worked out again from polls and batches, so that nothing is delivered twice that is known to be delivered, and nothing is left out
that is there. Can be run again: rows that are there already stay as they are. Synchronous, for the writer's thread.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from towerops_agent.buffer import lanes
from towerops_agent.buffer.database import FAILURES, is_corruption, transaction
from towerops_agent.buffer.format.batch import OPEN_END, Lane, Position
from towerops_agent.buffer.format.codec import DIGEST_OCTETS, checksum, digest, is_head
from towerops_agent.buffer.lanes import Stretch, next_poll_id
from towerops_agent.buffer.layouts import BESIDE_LAYOUTS
from towerops_agent.buffer.tail import copy_tail

ROWS_PER_STEP = 1_000

SKIPPED_IDS = 1_000_000
"""How many ids are left out after a salvage: the latest that were given out may be among what could not be read."""

_COLUMNS: dict[str, tuple[tuple[str, type], ...]] = {
    "layouts": (("id", int), ("digest", bytes), ("body", bytes), ("checksum", int)),
    "batches": (
        *(("id", int), ("key", str), ("start_poll", int), ("start_metric", int), ("stop_poll", int), ("stop_metric", int)),
        *(("metric_count", int), ("cut_at_us", int), ("sent_age_s", int), ("lane", str)),
        *(("destination", str), ("checksum", int)),
    ),
    "refused": (
        *(("id", int), ("poll_id", int), ("metric_index", int), ("equipment_id", str)),
        *(("metric", bytes), ("reason", str), ("at_us", int), ("age_s", int), ("destination", str), ("checksum", int)),
    ),
    "events": (
        *(("id", int), ("at_us", int), ("kind", str), ("subject", str), ("what", str), ("why", str), ("age_s", int)),
        ("checksum", int),
    ),
    "polls": (("id", int), ("layout_id", int), ("started_at_us", int), ("metric_count", int), ("age_s", int)),
    "ranges": (("end_poll", int), ("first_poll", int)),
    "packs": (("end_poll", int), ("layout_id", int), ("body", bytes)),
    "bodies": (("poll", int), ("body", bytes)),
    "meta": (("key", str), ("value", bytes), ("checksum", int)),
    "clock": (("age_us", int), ("wall_us", int), ("checksum", int)),
    "uncut": (
        *(("first_poll", int), ("first_metric", int), ("end_poll", int), ("polls", int), ("metrics", int), ("lane", str)),
        *(("destination", str), ("checksum", int)),
    ),
}
_COPIED = ("layouts", "batches", "refused", "events", "polls", "ranges", "packs", "bodies", "meta")
_NULLABLE = {("batches", "sent_age_s"), ("uncut", "end_poll")}
_LANES = frozenset(Lane)
_COUNTED = ("layouts", "polls", "batches", "refused", "events")


@dataclass(slots=True)
class Salvaged:
    """How many rows of each table were copied, the tables wholly readable, and how many metrics are known to be lost.

    `knows_losses`: no others are.
    """

    copied: dict[str, int] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    lost_metrics: int = 0
    knows_losses: bool = False


def salvage(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    *,
    age_lead_s: int = 0,
    in_use: bool = False,
    is_later: bool = False,
) -> Salvaged:
    """Copy all that can be read. Raises sqlite3.Error if `target` can't be written.

    `age_lead_s`: by how much the age clock of `target` is ahead of that of `source`. `in_use`: the tail is in memory too.
    `is_later`: of two values kept under one key that of `source` is the later one.
    """
    salvaged = Salvaged()
    for table in _COPIED:
        _copy(source, target, table, age_lead_s, salvaged, replaces=is_later and table == "meta")
    _copy_clock(source, target)
    first = _go_on_after(source, target)
    ledger_whole: set[str] = {"batches"} & salvaged.whole
    salvaged.lost_metrics = _lost_metrics(source, target, first, ledger_whole)
    salvaged.knows_losses = "polls" in salvaged.whole or {"batches", "uncut"} <= ledger_whole
    if not in_use:
        try:
            polls, lost = copy_tail(source, target, _first_uncut(source, target))
            salvaged.copied["polls"] += polls
            salvaged.lost_metrics += lost
        except FAILURES as error:
            if not is_corruption(error):
                raise
            salvaged.knows_losses = False
    rebuild_stretches(target, _begins(source, target) if "uncut" in ledger_whole else {})
    return salvaged


def copy_layouts(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the layouts only, with their ids, and the values kept beside them."""
    _copy(source, target, "layouts", 0, Salvaged())
    _copy(source, target, "meta", 0, Salvaged(), only=lambda row: row[0].startswith(BESIDE_LAYOUTS))


def last_id(connection: sqlite3.Connection) -> int:
    """The highest id that a table of the database has given out; 0 if that can't be read."""
    try:
        (seq,) = connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
    except sqlite3.Error:
        return 0
    return seq if isinstance(seq, int) and seq < OPEN_END >> 1 else 0


def begin_ids_at(connection: sqlite3.Connection, first: int) -> None:
    """Have the database give out ids from `first` on; nothing in it is undelivered, or its stretches are all closed."""
    with transaction(connection):
        for table in _COUNTED:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, first - 1))
        for line in lanes.open_lines(connection):
            lanes.write_stretch(connection, replace(lanes.open_stretch(connection, line), first=Position(first, 0)))


def rebuild_stretches(connection: sqlite3.Connection, begins: Mapping[str, Position]) -> None:
    """Make backlog of all polls that no batch covers, line by line, and begin the open stretches after the last poll.

    `begins`: where lines begin, as far as it is known; the others have all polls. Without any there is the API's line.
    """
    with transaction(connection):
        names = {*lanes.lines(connection)} - {""} | set(begins)
        if not begins or connection.execute("SELECT 1 FROM batches WHERE destination = ''").fetchone():
            names.add("")
        connection.execute("DELETE FROM uncut")
        next_poll = next_poll_id(connection)
        for name in names:
            begin = begins.get(name, Position(0, 0)) if name else Position(0, 0)
            batches = connection.execute(
                "SELECT start_poll, start_metric, stop_poll, stop_metric FROM batches WHERE destination = ?"
                " ORDER BY start_poll, start_metric",
                (name,),
            ).fetchall()
            for start_poll, start_metric, stop_poll, stop_metric in [*batches, (next_poll, 0, next_poll, 0)]:
                # Of a poll that a batch has the end of, the beginning was in a batch that is gone, since delivered long ago.
                _insert_stretch(connection, begin, start_poll, name)
                begin = max(begin, Position(start_poll, start_metric), Position(stop_poll, stop_metric))
            lanes.write_stretch(connection, Stretch(None, Position(next_poll, 0), None, 0, 0, Lane.FRESH, name))


def _begins(*databases: sqlite3.Connection) -> dict[str, Position]:
    """The beginning of each line of the databases, by its stretches and batches. A line that has nothing yet is left out."""
    found: dict[str, Position] = {}
    for database in databases:
        stretches = _rows(database, "uncut", set())
        rows = [(row[0], row[1], row[-2]) for row in stretches if row[2] is not None or row[3] or row[0] > 1]
        rows += [(row[2], row[3], row[-2]) for row in _rows(database, "batches", set())]
        for poll, metric, name in rows:
            found[name] = min(found.get(name, Position(OPEN_END, 0)), Position(poll, metric))
    return found


def _insert_stretch(connection: sqlite3.Connection, begin: Position, end_poll: int, destination: str) -> None:
    first, polls, metrics = _metrics_between(connection, begin, end_poll)
    if metrics > 0:
        begin = begin if first == begin.poll else Position(first, 0)
        lanes.write_stretch(connection, Stretch(None, begin, end_poll, polls, metrics, Lane.BACKLOG, destination))


def _metrics_between(connection: sqlite3.Connection, begin: Position, end_poll: int) -> tuple[int, int, int]:
    """Of the polls from `begin` to `end_poll`, exclusive: the first one's id, how many they are, how many metrics they make."""
    first, polls, metrics = connection.execute(
        "SELECT min(id), count(*), sum(metric_count) FROM polls WHERE id >= ? AND id < ?", (begin.poll, end_poll)
    ).fetchone()
    return first or 0, polls, (metrics or 0) - (begin.metric if polls and first == begin.poll else 0)


def _copy(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    table: str,
    age_lead_s: int,
    salvaged: Salvaged,
    *,
    replaces: bool = False,
    only: Callable[[Sequence[Any]], bool] = lambda _: True,
) -> None:
    names = [name for name, _ in _COLUMNS[table]]
    what = "REPLACE" if replaces else "IGNORE"
    insert = f"INSERT OR {what} INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 -- our names
    ages = [i for i, name in enumerate(names) if name in ("age_s", "sent_age_s")]
    copied = 0
    rows = filter(only, _rows(source, table, salvaged.whole))
    while some := list(islice(rows, ROWS_PER_STEP)):
        with transaction(target):
            for row in some:
                values = list(row)
                for i in ages:
                    values[i] = None if values[i] is None else max(values[i] + age_lead_s, 0)
                if names[-1] == "checksum":
                    values[-1] = checksum(*_checked(table, values))
                inserted = target.execute(insert, values).rowcount
                if table == "layouts" and not inserted:
                    inserted = _insert_namesake(target, values)
                copied += max(inserted, 0)
    salvaged.copied[table] = copied


def _checked(table: str, row: Sequence[Any]) -> Sequence[Any]:
    """The columns of a row that its checksum is of."""
    match table:
        case "layouts":
            return row[0], row[2]
        case "batches" | "refused":
            return lanes.with_destination(row[1:-2], row[-2])
        case "uncut":
            return lanes.with_destination(row[:-2], row[-2])
        case "events":
            return row[1:-1]
        case _:
            return row[:-1]


def _insert_namesake(target: sqlite3.Connection, values: Sequence[Any]) -> int:
    # The same layout is there under another id. Polls have both ids, so both must lead to it; a longer digest is not looked up.
    layout, digest_, body, sum_ = values
    return target.execute(
        "INSERT OR IGNORE INTO layouts (id, digest, body, checksum) VALUES (?, ?, ?, ?)",
        (layout, digest_ + b"%d" % layout, body, sum_),
    ).rowcount


def _lost_metrics(source: sqlite3.Connection, target: sqlite3.Connection, first: int, whole: set[str]) -> int:
    """How many undelivered metrics the source's stretches and open batches speak of whose polls could not be copied.

    `first`: the first id that none of these polls can have. "uncut" into `whole` if all stretches could be read.
    """
    lost = 0
    is_open = False
    for first_poll, first_metric, end_poll, _, metrics, *_ in _rows(source, "uncut", whole):
        is_open = is_open or end_poll is None
        found = _metrics_between(target, Position(first_poll, first_metric), first if end_poll is None else end_poll)[2]
        lost += max(metrics - found, 0)
    if not is_open:  # there is always one
        whole.discard("uncut")
    for _, _, start_poll, start_metric, stop_poll, stop_metric, count, _, sent_age_s, *_ in _rows(source, "batches", set()):
        if sent_age_s is not None:
            continue
        found = _metrics_between(target, Position(start_poll, start_metric), stop_poll)[2]
        if stop_metric and target.execute("SELECT 1 FROM polls WHERE id = ?", (stop_poll,)).fetchone():
            found += stop_metric - (start_metric if start_poll == stop_poll else 0)
        lost += max(count - found, 0)
    return lost


def _first_uncut(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    """From which poll on none is in a batch: by the batches and the open stretch, which have checksums."""
    (stop,) = target.execute("SELECT coalesce(max(stop_poll), 1) FROM batches").fetchone()
    open_from: list[int] = [row[0] for row in _rows(source, "uncut", set()) if row[2] is None]
    return max([int(stop), *open_from])


def _copy_clock(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    if target.execute("SELECT 1 FROM clock").fetchone():
        return
    kept = next(_rows(source, "clock", set()), None)
    with transaction(target):
        (oldest_us,) = target.execute("SELECT coalesce(max(age_s), 0) * 1000000 FROM polls WHERE age_s < 1 << 40").fetchone()
        # If it is lost, its time stands still from the last poll to now.
        row = (oldest_us, OPEN_END) if kept is None else (max(kept[0], oldest_us), kept[1])
        target.execute("INSERT INTO clock (id, age_us, wall_us, checksum) VALUES (1, ?, ?, ?)", (*row, checksum(*row)))


def _rows(source: sqlite3.Connection, table: str, whole: set[str]) -> Iterator[list[Any]]:
    """The readable and sound rows; the table's name into `whole` if it has no other."""
    columns = _COLUMNS[table]
    has_checksums = columns[-1][0] == "checksum" and _has_column(source, table, "checksum")
    if columns[-1][0] == "checksum" and not has_checksums:  # of an earlier version
        columns = columns[:-1]
    lacks_destination = ("destination", str) in columns and not _has_column(source, table, "destination")
    names = ", ".join("''" if name == "destination" and lacks_destination else name for name, _ in columns)
    if table == "meta":  # it has no rowid
        select = f"SELECT key > ?, {names} FROM meta ORDER BY key"  # noqa: S608 -- our names
    else:
        select = f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 -- our names
    nullable = [(table, name) in _NULLABLE for name, _ in columns]
    types = [kind for _, kind in columns]
    after: int | None = -1
    sound = True
    while after is not None:
        try:
            for rowid, *row in source.execute(select, (after,)):
                if table != "meta":
                    if rowid <= after:
                        break  # the page reports rows that are not its own
                    after = rowid
                if not has_checksums and len(columns) < len(_COLUMNS[table]):
                    row.append(None)
                if _is_sound(table, row, types, nullable, has_checksums=has_checksums):
                    yield row
                else:
                    sound = False
            else:
                if sound:
                    whole.add(table)
                return
        except sqlite3.DatabaseError as error:
            if table == "meta" or not is_corruption(error):
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


def _has_column(source: sqlite3.Connection, table: str, column: str) -> bool:
    try:
        source.execute(f"SELECT {column} FROM {table} LIMIT 0")  # noqa: S608 -- our names
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    return True


def _is_sound(table: str, row: Sequence[Any], types: Sequence[type], nullable: Sequence[bool], *, has_checksums: bool) -> bool:
    for value, kind, may_be_null in zip(row, types, nullable, strict=False):
        if not (type(value) is kind or (value is None and may_be_null)):
            return False
    match table:
        case "polls":
            return is_head(row[:4]) and 0 <= row[4] < OPEN_END >> 20
        case "ranges" | "packs":
            return bool(0 < row[0] < OPEN_END >> 1)
        case "layouts" if digest(row[2]) != row[1][:DIGEST_OCTETS]:
            return False
        case "batches" | "uncut" if row[-3] not in _LANES:
            return False
    return not has_checksums or bool(row[-1] == checksum(*_checked(table, row)))


def _go_on_after(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    """The id that the source would have given to its next poll, as far as can be read. Those of the target are far beyond."""
    next_poll = 1
    try:
        known = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    except sqlite3.Error:
        known = {}
    with transaction(target):
        for table in _COUNTED:
            seq = known.get(table)
            after = seq if isinstance(seq, int) and seq < OPEN_END >> 1 else 0
            (highest,) = target.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()  # noqa: S608 -- our names
            (own,) = target.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
            if table == "polls":
                (stop,) = target.execute("SELECT coalesce(max(stop_poll), 0) FROM batches").fetchone()
                next_poll = max(after + 1, highest + 1, stop)
            target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            after = max(after, highest, own) + SKIPPED_IDS
            target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, after))
    return next_poll
