"""Open the agent's database file: for one agent only, 0600, the schema's version, a corrupt file quarantined.

Path -> Database (used by opening.py, store.py). Times are microseconds since 1970-01-01 UTC.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import structlog

from towerops_agent.buffer import place, quarantine, schema
from towerops_agent.buffer.place import PAGE_OCTETS, SUFFIXES, beside
from towerops_agent.errors import BufferFailure, DatabaseTooNew

log = structlog.get_logger()

JOURNAL_OCTETS = 8 << 20
"""What is kept of the -wal file at least. It is folded into the file at three quarters: what was written often goes in once."""

_PRAGMAS = f"""
PRAGMA page_size = {PAGE_OCTETS};
PRAGMA auto_vacuum = INCREMENTAL;      -- both before the first table, else it has no effect
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;           -- a power cut may lose the last commits, a kill none
PRAGMA journal_size_limit = {JOURNAL_OCTETS};
PRAGMA cache_size = -2048;             -- KiB
PRAGMA busy_timeout = 1000;            -- ms; an operator may be looking with the sqlite3 tool
PRAGMA foreign_keys = OFF;
PRAGMA wal_autocheckpoint = {JOURNAL_OCTETS * 3 // 4 // PAGE_OCTETS}; -- pages
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = OFF;            -- Debian's default writes freed pages once more, as zeros: a full disk has no room for it
"""

TABLES = ("layouts", "polls", "bodies", "ranges", "packs", "batches", "uncut", "refused", "clock")
_OLDEST_TABLES = {"layouts", "polls", "batches", "uncut"}
"""Those of version 1."""

FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises. The second: its own message has octets of a damaged schema in it."""


class Corruption(sqlite3.DatabaseError):
    """The file holds what the agent has never written, which SQLite itself does not see."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Database:
    """The open database: its connection, and the locks that keep other agents out.

    `path`, `journal`: None if it is in memory. `unread`: quarantined predecessors, the oldest first, of which not all has been
    copied yet.
    """

    def __init__(
        self, path: Path | None, locks: Sequence[int], connection: sqlite3.Connection, unread: Sequence[Path] = ()
    ) -> None:
        """`locks`: descriptors of the lock file and of the file itself; none in memory."""
        self.path = path
        self.journal = None if path is None else beside(path, "-wal")
        self.connection = connection
        self.unread = tuple(unread)
        self._locks = list(locks)
        self._journal_stat = _stat(self.journal)

    @classmethod
    def open(cls, path: Path, now_us: int) -> Self:
        """The database of the file at `path`, which is created if need be, and replaced by a new one if it is corrupt.

        Raises DatabaseBusy, DatabaseTooNew, or BufferFailure if the place can't be used.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BufferFailure(
                f"the directory {path.parent} can't be created ({error.strerror}): create it, or choose another place"
            ) from error
        locks = [place.lock(path)]
        try:
            return cls._open(path, locks, now_us, None)
        except (*FAILURES, OSError) as error:
            _close_all(locks)
            what_to_do = place.advice(path, error, "check its path and its permissions")
            raise BufferFailure(f"the database {path} can't be opened: {error}; {what_to_do}") from error
        except BaseException:
            _close_all(locks)
            raise

    @classmethod
    def _open(cls, path: Path, locks: list[int], now_us: int, corrupt: str | None) -> Self:
        """The file's, after it was quarantined if it is `corrupt`, for a reason, or turns out to be. Adds to the locks."""
        if corrupt is not None:
            quarantine.begin(path, now_us, corrupt)
        unread = quarantine.resume(path)
        if path.is_file() and not path.stat().st_size:
            log.warning("database file is empty, a new database begins in it", path=str(path))
        file = place.take(path)
        try:
            connection = _connect(path, file)
        except FAILURES as error:
            place.release(file)
            if corrupt is not None or not is_corruption(error):
                raise
            return cls._open(path, locks, now_us, str(error))
        except BaseException:
            place.release(file)
            raise
        locks.append(file)
        if mode := place.others_rights(file):
            log.warning("others may look into the database, as its mode can't be changed", path=str(path), mode=f"{mode:04o}")
        return cls(path, locks, connection, unread)

    @classmethod
    def in_memory(cls) -> Self:
        """A database that is gone when it is closed."""
        return cls(None, (), _passing(":memory:"))

    @classmethod
    def without_name(cls, path: Path) -> Self:
        """A database that is gone when it is closed, on the disk of `path`: it takes no memory. Raises FAILURES or OSError."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        passing = beside(path, ".passing")
        passing.unlink(missing_ok=True)
        os.close(os.open(passing, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            return cls(None, (), _passing(str(passing)))
        finally:
            passing.unlink()

    def __str__(self) -> str:
        return "in memory" if self.path is None else str(self.path)

    def close(self) -> None:
        """Close the file, then let others at it."""
        try:
            self._leave_journal()
            self.connection.close()
        finally:
            _close_all(self._locks)

    def _leave_journal(self) -> None:
        """Fold the journal in if the file is no longer at its path, and let no other file that is there have it.

        SQLite leaves it, and reads it with that one. What is in it is in no other place, and the file may be kept elsewhere: what
        could not be folded in stays beside it.
        """
        file, journal = _stat(self.path), _stat(self.journal)
        if self.path is None or journal is None or self._journal_stat is None or not self._locks:
            return
        try:
            ours = os.fstat(self._locks[-1])
        except OSError:  # its disk is gone
            return
        is_in_place = file is not None and os.path.samestat(file, ours)
        if is_in_place or not os.path.samestat(journal, self._journal_stat):
            return
        if not self._fold() and ours.st_nlink:
            moved, kept = place.take_along(self.path, self._locks[-1])
            log.error("journal could not be merged into the database that was moved away", path=str(moved), kept_as=str(kept))
        elif file is not None:
            for suffix in SUFFIXES[:2]:
                with suppress(OSError):
                    beside(self.path, suffix).unlink()

    def _fold(self) -> bool:
        """Whether all of the journal is in the file; not so while somebody reads an earlier state of it."""
        try:
            is_busy, pages, folded = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except FAILURES:
            return False
        return not is_busy or 0 <= pages == folded

    def keep_journal(self, octets: int) -> None:
        """Keep so many octets of the -wal file in place of JOURNAL_OCTETS, and fold it in at three quarters. Raises FAILURES."""
        (page_octets,) = self.connection.execute("PRAGMA page_size").fetchone()
        self.connection.execute(f"PRAGMA journal_size_limit = {octets}").fetchall()
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {octets * 3 // 4 // page_octets}").fetchall()

    def change(self) -> str | None:
        """What has become of the file, for the operator, if it is no longer in its place; None if it is."""
        return None if self.path is None or self.journal is None else place.change(self.path, self.journal, self._locks[-1])

    def covered(self) -> int | None:
        """A further descriptor of the file, without a lock once this is closed, if something was mounted over it; None if not."""
        if self.path is None or not place.is_covered(self.path, self._locks[-1]):
            return None
        return os.dup(self._locks[-1])

    def begin_anew(self, now_us: int, reason: str) -> Self:
        """A new database in place of this one, which has been found corrupt, is closed and quarantined.

        Raises BufferFailure if the new one can't be created; then this one is closed.
        """
        assert self.path is not None, "memory does not corrupt"  # noqa: S101
        locks, self._locks = self._locks, []
        try:
            with suppress(*FAILURES):
                self.connection.close()
            place.release(locks.pop())
            return self._open(self.path, locks, now_us, reason)
        except (*FAILURES, OSError) as error:
            _close_all(locks)
            what_to_do = place.advice(self.path, error, "check its path")
            raise BufferFailure(f"no new database {self.path} can be created: {error}; {what_to_do}") from error
        except BaseException:
            _close_all(locks)
            raise


def octets_on_disk(path: Path) -> int:
    """Octets of the database and its journal; of a file that is not there or can't be looked at (a dead disk), 0."""
    octets = 0
    for file in (path, beside(path, "-wal")):
        with suppress(OSError):
            octets += file.stat().st_size
    return octets


def _stat(path: Path | None) -> os.stat_result | None:
    if path is None:
        return None
    try:
        return path.stat()
    except OSError:
        return None


def _passing(place: str) -> sqlite3.Connection:
    """A new database of which nothing is to outlive the process. Raises FAILURES."""
    connection = sqlite3.connect(place, isolation_level=None)
    try:
        connection.text_factory = as_text
        connection.executescript(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048"
        )
        schema.create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _close_all(locks: list[int]) -> None:
    while locks:
        place.release(locks.pop())


def as_text(octets: bytes) -> str:
    """SQLite's text; if it is damaged it is not what was written, and no exception."""
    return octets.decode(errors="replace")


def tables_of(version: int) -> set[str]:
    """The tables by which a file of this version is known to be readable: damage to a name hides one."""
    return set(TABLES) if 0 < version < 4 else {*TABLES, "tail"}


def is_corruption(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is bad."""
    code = getattr(error, "sqlite_errorcode", None)  # not set if the sqlite3 module itself raised
    if code is None:
        return isinstance(error, UnicodeDecodeError)
    if code in (sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS):
        # The file is shorter than it says, or a part of the disk does not answer. SQLite calls both corrupt, but for the looks by
        # which it opens a file.
        return True
    # Our statements are right: if a name in them is not known, the names in the file are damaged.
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or str(error).startswith("no such ")


def is_full(error: BaseException) -> bool:
    """Whether SQLite says that there is no room."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL


def lacks_room_beside(error: BaseException) -> bool:
    """Whether SQLite can't lay its files beside the database: the disk has no room for them, or is read-only."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN)


def can_be_the_journal(error: BaseException) -> bool:
    """Whether the error may come of a journal that can't grow: a quota, a limit of files' sizes, a disk that is full."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's statements, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself on some errors, a full disk among them
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, file: int) -> sqlite3.Connection:
    _check_header(file)
    for suffix in SUFFIXES:  # SQLite gives new ones the rights of the file itself
        with suppress(FileNotFoundError):
            place.make_private(beside(path, suffix))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = as_text
    try:
        version = _version(path, connection)
        connection.executescript(_PRAGMAS)
        if version:
            _check(connection, version)
        if version == 0:
            schema.create(connection)
        else:
            schema.migrate(connection, version)
        _check_index(connection)
        for table in TABLES:  # meets damage at the ends of the file, if a power cut leaves it
            connection.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()  # noqa: S608 -- our names
        return connection
    except BaseException:
        connection.close()
        raise


def _version(path: Path, connection: sqlite3.Connection) -> int:
    """The version of the schema; 0: the file is new. Raises BufferFailure, DatabaseTooNew, or Corruption."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and len(tables & _OLDEST_TABLES) < len(_OLDEST_TABLES) - 1 and application >> 8 != schema.APPLICATION >> 8:
        raise BufferFailure(f"the file {path} is the database of another program: give the agent another place")
    if tables and not tables >= _OLDEST_TABLES:
        raise Corruption("some of its tables are missing")
    if application != (schema.APPLICATION + version if version > 2 else 0) or bool(tables) != bool(version):
        raise Corruption(f"its version is {version}, its application's number {application}, and they do not fit")
    if version > schema.VERSION:
        raise DatabaseTooNew(
            f"the database {path} has version {version}, written by a later agent: "
            f"expected at most {schema.VERSION}; update this agent, or choose another DATABASE_PATH"
        )
    return int(version)


def _check_header(file: int) -> None:
    """Raise Corruption if SQLite would hold that it must not write the file (https://sqlite.org/fileformat2.html, 1.3.3)."""
    header = place.octets_at(file, 0, 20) or b""
    if header[:16] == place.MAGIC and max(header[18:], default=1) > 2:
        raise Corruption("its header speaks of another journal")


def _check(connection: sqlite3.Connection, version: int) -> None:
    """Raise Corruption if the tables that say what is undelivered are damaged: a row that vanished has no checksum."""
    for table in ("uncut", "batches", "meta", *(["tail"] if version > 3 else [])):
        (found,) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
        if found != "ok":
            raise Corruption(" ".join(found.split())[:200])


def _check_index(connection: sqlite3.Connection) -> None:
    """Raise Corruption if the index by which open batches are found does not have all of them."""
    count = "SELECT count(*) FROM batches {} WHERE sent_age_s IS NULL"
    if len({connection.execute(count.format(how)).fetchone() for how in ("NOT INDEXED", "INDEXED BY batches_by_sent")}) > 1:
        raise Corruption("an index of the batches does not have what the table has")
