"""Open the agent's database file: one agent alone, 0600, the schema's version, a corrupt file set aside.

Path -> Database (used by opening.py, store.py). Times are microseconds since 1970-01-01 UTC.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import structlog

from towerops_agent.buffer import schema
from towerops_agent.errors import BufferFailure, DatabaseBusy, DatabaseTooNew

log = structlog.get_logger()

CORRUPT_KEPT = 3

JOURNAL_OCTETS = 8 << 20
"""What is kept of the -wal file between checkpoints; those come each 4 MB."""

_PRAGMAS = f"""
PRAGMA auto_vacuum = INCREMENTAL;      -- before the first table, else it has no effect
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;           -- a power cut may lose the last commits, a kill none
PRAGMA journal_size_limit = {JOURNAL_OCTETS};
PRAGMA cache_size = -2048;             -- KiB
PRAGMA busy_timeout = 1000;            -- ms; an operator may be looking with the sqlite3 tool
PRAGMA foreign_keys = OFF;
PRAGMA secure_delete = OFF;            -- Debian's default writes freed pages once more, as zeros: a full disk has no room for it
"""

# The file, and what SQLite lays beside it.
SUFFIXES = ("", "-wal", "-shm")

_TABLES = ("layouts", "polls", "bodies", "ranges", "packs", "batches", "uncut", "refused", "clock")


class Database:
    """The open database: its connection, and the lock that keeps other agents out.

    `path`: None where it is in memory. `replaced`: where a corrupt predecessor has been put; None if there was none.
    """

    def __init__(self, path: Path | None, lock: int | None, connection: sqlite3.Connection, replaced: Path | None) -> None:
        self.path = path
        self.connection = connection
        self.replaced = replaced
        self._lock = lock

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
        lock = _lock(path)
        try:
            try:
                return cls(path, lock, _connect(path), None)
            except sqlite3.Error as error:
                if not is_corruption(error):
                    raise
                replaced = _set_aside(path, now_us, str(error))
                return cls(path, lock, _connect(path), replaced)
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise BufferFailure(f"the database {path} can't be opened: {error}; see to its place and its rights") from error
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def in_memory(cls) -> Self:
        """A database that is gone when it is closed."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.create(connection)
        return cls(None, None, connection, None)

    def __str__(self) -> str:
        return "in memory" if self.path is None else str(self.path)

    def close(self) -> None:
        """Close the file, then let others at it."""
        try:
            self.connection.close()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def begin_anew(self, now_us: int, reason: str) -> Self:
        """A new database in place of this one, which has been found corrupt, is closed and set aside.

        Raises BufferFailure if the new one can't be created; then this one is closed.
        """
        assert self.path is not None, "memory does not corrupt"  # noqa: S101
        lock, self._lock = self._lock, None
        assert lock is not None  # noqa: S101
        try:
            with suppress(sqlite3.Error):
                self.connection.close()
            replaced = _set_aside(self.path, now_us, reason)
            return type(self)(self.path, lock, _connect(self.path), replaced)
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            raise BufferFailure(f"no new database {self.path} can be created: {error}; see to its place") from error
        except BaseException:
            os.close(lock)
            raise


def is_corruption(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is bad."""
    code = getattr(error, "sqlite_errorcode", None)  # not set where the sqlite3 module itself raised
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: BaseException) -> bool:
    """Whether SQLite says that there is no room."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL


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


def _lock(path: Path) -> int:
    lock_path = beside(path, ".lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BufferFailure(
            f"the lock file {lock_path} can't be opened ({error.strerror}): the agent needs write access to its directory"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(lock, 0o600)
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        owner = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise DatabaseBusy(
            f"the database {path} is open in another agent (process {owner}): stop that one, or give this one a place of its own"
        ) from error
    except OSError as error:
        os.close(lock)
        raise BufferFailure(f"the lock file {lock_path} can't be used: {error.strerror}") from error
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    if path.exists() and not path.stat().st_size:
        log.warning("database file is empty, a new database begins in it", path=str(path))
    # SQLite gives -wal and -shm the rights of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            beside(path, suffix).chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > schema.VERSION:
            raise DatabaseTooNew(
                f"the database {path} has version {version}, written by a later agent: "
                f"expected at most {schema.VERSION}; update this agent, or choose another DATABASE_PATH"
            )
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not {"layouts", "polls", "batches", "uncut"} <= tables:
            raise BufferFailure(f"the file {path} is the database of another program: give the agent another place")
        connection.executescript(_PRAGMAS)
        if version == 0:
            schema.create(connection)
        else:
            schema.migrate(connection, version)
        for table in _TABLES:  # meets damage at the ends of the file, where a power cut leaves it
            connection.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()  # noqa: S608 -- our names
        return connection
    except BaseException:
        connection.close()
        raise


def _set_aside(path: Path, now_us: int, reason: str) -> Path:
    time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=now_us)
    replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    while replaced.exists():  # two within a second, or a clock that was set back
        time += timedelta(seconds=1)
        replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            beside(path, suffix).rename(beside(replaced, suffix))
    log.error("corrupt database quarantined, a new one begins", path=str(path), kept_as=str(replaced), reason=reason)
    kept = sorted(other for other in path.parent.glob(f"{path.name}.corrupt-*") if not other.name.endswith(("-wal", "-shm")))
    for old in kept[:-CORRUPT_KEPT]:
        for suffix in SUFFIXES:
            beside(old, suffix).unlink(missing_ok=True)
    return replaced


def beside(path: Path, suffix: str) -> Path:
    """The file at `path` with `suffix` after its whole name."""
    return path.with_name(path.name + suffix)
