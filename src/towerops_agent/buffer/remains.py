"""What can be read of a database that may be damaged: the sound rows of each table, those behind a bad page too.

Source -> rows, each checked by type, range and checksum (used by salvage.py). A page that can't be read, be it damaged or on a
part of the disk that does not answer, costs its own rows. Nothing is written.
Synchronous, for the writer's thread. Raises nothing that the source is the cause of.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from towerops_agent.buffer.database import FAILURES, as_text, is_corruption, lacks_room_beside, tables_of
from towerops_agent.buffer.format.batch import OPEN_END, Lane
from towerops_agent.buffer.format.codec import DIGEST_OCTETS, checksum, digest, is_head
from towerops_agent.buffer.ids import last_id
from towerops_agent.buffer.lanes import with_destination
from towerops_agent.buffer.place import PAGE_OCTETS, beside

ATTEMPTS = 3
"""How often to look for the tables of a file."""

COLUMNS: dict[str, tuple[tuple[str, type], ...]] = {
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
"""The columns that are copied, in the order of a row."""

_NULLABLE = {("batches", "sent_age_s"), ("uncut", "end_poll")}
_LANES = frozenset(Lane)

Row = list[Any]
Found = tuple[int, Row]
"""A row's id, and the row."""


class Remains:
    """The tables of `source`. `damaged`: those of which something was met that could not be read, or was not sound."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self.source = source
        self.damaged: set[str] = set()

    def all(self, table: str) -> Iterator[Row]:
        """The rows of a small table."""
        found = self._kept_values() if table == "meta" else self.rows(table)
        return (one[1] for one in found if one is not None)

    def rows(self, table: str, after: int = -1, end: int = OPEN_END, where: str = "") -> Iterator[Found | None]:
        """The rows with ids between `after` and `end`, both exclusive, for which the condition holds, in the order of their ids.

        None: a look at a bad page, which may take long, brought no row; there are some 30 of them a gap.
        """
        columns = self._columns(table)
        names = self._names(table, columns)
        select = (
            f"SELECT rowid, {names} FROM {table} WHERE rowid > ? AND rowid < ?"  # noqa: S608 -- our names
            f"{where and ' AND '}{where} ORDER BY rowid"
        )
        next_after: int | None = after
        tried_again = -2  # after which id a second look was taken: it may have been the disk
        while next_after is not None:
            after = max(after, next_after)
            try:
                for rowid, *row in self.source.execute(select, (after, end)):
                    if rowid <= after:
                        break  # the page reports rows that are not its own
                    after = rowid
                    if self._is_sound(table, columns, row):
                        yield rowid, row
                    else:
                        self.damaged.add(table)
                        yield None
                else:
                    return
            except FAILURES as error:
                if not _is_bad_page(error):  # no such table
                    self.damaged.add(table)
                    return
            if tried_again != after:
                tried_again = after
                yield None
            else:
                self.damaged.add(table)
                next_after = yield from self._behind_gap(select, after, end)

    def edge(self, table: str) -> int:
        """The id of the table's last row, as far as that can be read; 0 if not."""
        try:
            row = self.source.execute(f"SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()  # noqa: S608 -- ours
        except FAILURES:
            return 0
        return row[0] if row is not None and row[0] < OPEN_END >> 1 else 0

    def _kept_values(self) -> Iterator[Found]:
        """The rows of meta, which has no ids: from its beginning up to a bad page, then from its end down to one."""
        columns = self._columns("meta")
        names = self._names("meta", columns)
        seen: set[str] = set()
        for order in ("ASC", "DESC"):
            try:
                for row in map(list, self.source.execute(f"SELECT {names} FROM meta ORDER BY key {order}")):  # noqa: S608 -- ours
                    if not self._is_sound("meta", columns, row):
                        self.damaged.add("meta")
                    elif row[0] not in seen:
                        seen.add(row[0])
                        yield 0, row
            except FAILURES:
                continue
            return
        self.damaged.add("meta")

    def _columns(self, table: str) -> Sequence[tuple[str, type]]:
        columns = COLUMNS[table]
        is_earlier = columns[-1][0] == "checksum" and not self._has_column(table, "checksum")
        return columns[:-1] if is_earlier else columns

    def _names(self, table: str, columns: Sequence[tuple[str, type]]) -> str:
        lacks_destination = ("destination", str) in columns and not self._has_column(table, "destination")
        return ", ".join("''" if name == "destination" and lacks_destination else name for name, _ in columns)

    def _has_column(self, table: str, column: str) -> bool:
        try:
            self.source.execute(f"SELECT {column} FROM {table} LIMIT 0")  # noqa: S608 -- our names
        except sqlite3.OperationalError as error:
            return _is_bad_page(error)
        except FAILURES:
            return True
        return True

    def _behind_gap(self, select: str, bad: int, end: int) -> Generator[None, None, int | None]:
        """After which id rows are readable again, if the next after `bad` is not; None: none is.

        Steps that double find the far side, halving finds its edge.
        """

        def is_good(after: int) -> bool | None:
            try:
                row = self.source.execute(select, (after, end)).fetchone()
            except FAILURES:
                return False
            return None if row is None else bool(row[0] > after)

        step = 1
        while (good := is_good(bad + step)) is False:
            yield None
            step *= 2
            if bad + step > OPEN_END:
                return None
        if good is None:
            return None
        low, high = bad + step // 2, bad + step
        while high - low > 1:
            yield None
            middle = (low + high) // 2
            low, high = (low, middle) if is_good(middle) else (middle, high)
        return high

    def _is_sound(self, table: str, columns: Sequence[tuple[str, type]], row: Row) -> bool:
        """Whether the row is one that can have been written. One of an earlier version gets a place for its checksum."""
        has_checksum = columns[-1][0] == "checksum"
        if not has_checksum and len(columns) < len(COLUMNS[table]):
            row.append(None)
        for value, (name, kind) in zip(row, columns, strict=False):
            if not (type(value) is kind or (value is None and (table, name) in _NULLABLE)):
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
        return not has_checksum or bool(row[-1] == row_checksum(table, row))


def readable(file: Path, *, lays_files: bool = True) -> sqlite3.Connection | None:
    """The file to be read; None if its tables can't be found. `lays_files`: SQLite may lay an index of the journal beside it.

    If there is no room for the index, that is in memory.

    Tried again if only some are, as a look at the schema that fails once leaves the connection with what it had seen before.
    """
    for attempt in range(1, ATTEMPTS + 1):
        how = "" if lays_files else "&vfs=unix-none" if beside(file, "-wal").exists() else "&immutable=1"
        with ExitStack() as failed:
            try:
                uri = f"file:{quote(str(file.absolute()))}?mode=ro{how}"
                connection = sqlite3.connect(uri, uri=True, isolation_level=None)
                failed.callback(connection.close)
                connection.text_factory = as_text
                if not lays_files:
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()  # the index is in memory then
                connection.execute("PRAGMA writable_schema = ON")  # else SQLite looks at nothing in a file that is cut short
                names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                tables = tables_of(version)
                if names >= tables and (attempt == ATTEMPTS or all(_knows(connection, table) for table in tables)):
                    failed.pop_all()
                    return connection
            except FAILURES as error:
                lays_files = lays_files and not lacks_room_beside(error)
    return None


def lacks_roots(source: sqlite3.Connection) -> bool:
    """Whether a table has a first page that leads to none of its rows, in a file whose pages are PAGE_OCTETS. Raises FAILURES."""
    (page_octets,) = source.execute("PRAGMA page_size").fetchone()
    if page_octets != PAGE_OCTETS:
        return False
    return not all(_knows(source, table, rows=1) or _knows(source, table, rows=1) for table in COLUMNS)


def roots_of(source: sqlite3.Connection) -> dict[str, int]:
    """The numbers of the tables' first pages. Raises FAILURES."""
    return dict(source.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'").fetchall())


def _knows(connection: sqlite3.Connection, table: str, rows: int = 0) -> bool:
    try:
        connection.execute(f"SELECT 1 FROM {table} NOT INDEXED LIMIT {rows}").fetchall()  # noqa: S608 -- our names
    except FAILURES:
        return False
    return True


def kept_in(file: Path) -> tuple[dict[str, bytes], int]:
    """What a database keeps that can't be used, by key, and the last id that it has given out; as far as it can be read."""
    try:
        if not file.is_file():
            return {}, 0
        at_rest = not beside(file, "-wal").exists()
    except OSError:
        return {}, 0
    source = None if at_rest else readable(file)
    if source is None:  # a disk that is read-only or full has no place for an index of the journal
        source = readable(file, lays_files=False)
    if source is None:
        return {}, 0
    with closing(source):
        return {row[0]: row[1] for row in Remains(source).all("meta")}, last_id(source)


def row_checksum(table: str, row: Sequence[Any]) -> int:
    """What the last column of the row is to be."""
    match table:
        case "layouts":
            return checksum(row[0], row[2])
        case "batches" | "refused":
            return checksum(*with_destination(row[1:-2], row[-2]))
        case "uncut":
            return checksum(*with_destination(row[:-2], row[-2]))
        case "events":
            return checksum(*row[1:-1])
        case _:
            return checksum(*row[:-1])


def _is_bad_page(error: BaseException) -> bool:
    """Whether others may be good: it is damaged, or its place on the disk does not answer."""
    code = getattr(error, "sqlite_errorcode", None)
    is_of_disk = code is not None and code & 0xFF == sqlite3.SQLITE_IOERR
    return is_of_disk or (is_corruption(error) and not str(error).startswith("no such "))
