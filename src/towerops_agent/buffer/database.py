"""Open the agent's database file: one agent alone, 0600, the schema's version, a corrupt file set aside.

Path -> Database (used by store.py). Times are microseconds since 1970-01-01 UTC.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import structlog

from towerops_agent.errors import BufferFailure, DatabaseBusy, DatabaseTooNew

log = structlog.get_logger()

SCHEMA_VERSION = 1

_PRAGMAS = """
PRAGMA auto_vacuum = INCREMENTAL;      -- before the first table, else it has no effect
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;           -- a power cut may lose the last commits, a kill none
PRAGMA journal_size_limit = 8388608;   -- octets kept of the -wal file
PRAGMA cache_size = -2048;             -- KiB
PRAGMA busy_timeout = 1000;            -- ms; an operator may be looking with the sqlite3 tool
PRAGMA foreign_keys = OFF;
"""

# The file, and what SQLite lays beside it.
_SUFFIXES = ("", "-wal", "-shm")


class Database:
    """The open database: its connection, and the lock that keeps other agents out.

    `replaced`: where a corrupt predecessor has been put; None if there was none.
    """

    def __init__(self, path: Path, now_us: int) -> None:
        """Open or create the file at `path`.

        Raises DatabaseBusy, DatabaseTooNew, or BufferFailure if the place can't be used.
        """
        self.path = path
        self.replaced: Path | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BufferFailure(
                f"the directory {path.parent} can't be created ({error.strerror}): create it, or choose another place"
            ) from error
        self._lock = _lock(path)
        try:
            self.connection = self._open(now_us)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file, then let others at it."""
        try:
            self.connection.close()
        finally:
            os.close(self._lock)

    def mark_damaged(self, reason: str) -> None:
        """Have the file set aside at the next start: its damage showed only in use."""
        with suppress(OSError):  # marked already; or the disk is full or read-only, and the damage will show again
            _beside(self.path, ".damaged").touch(mode=0o600, exist_ok=False)
            log.error("database damaged, restart the agent: it is then set aside", path=str(self.path), reason=reason)

    def _open(self, now_us: int) -> sqlite3.Connection:
        marker = _beside(self.path, ".damaged")
        try:
            if marker.exists():
                self._set_aside(now_us, "damage was found while it was in use")
                marker.unlink()
            try:
                return _connect(self.path)
            except sqlite3.Error as error:
                if not is_corruption(error):
                    raise
                self._set_aside(now_us, str(error))
                return _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            raise BufferFailure(f"the database {self.path} can't be opened: {error}; see to its place and its rights") from error

    def _set_aside(self, now_us: int, reason: str) -> None:
        time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=now_us)
        self.replaced = _beside(self.path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                _beside(self.path, suffix).rename(_beside(self.replaced, suffix))
        log.warning(
            "corrupt database set aside, a new one begins", path=str(self.path), kept_as=str(self.replaced), reason=reason
        )


def is_corruption(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is bad."""
    code = getattr(error, "sqlite_errorcode", None)  # not set where the sqlite3 module itself raised
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
    lock_path = _beside(path, ".lock")
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
    # SQLite gives -wal and -shm the rights of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            _beside(path, suffix).chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise DatabaseTooNew(
                f"the database {path} has version {version}, written by a later agent: "
                f"expected at most {SCHEMA_VERSION}; update this agent, or give it another place"
            )
        connection.executescript(_PRAGMAS)
        if version == 0:
            _create_schema(connection, path)
        for table in (
            "layouts",
            "polls",
            "batches",
            "uncut",
        ):  # meets damage at the ends of the file, where a power cut leaves it
            connection.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1").fetchone()  # noqa: S608 -- our names
        return connection
    except BaseException:
        connection.close()
        raise


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise BufferFailure(f"the file {path} is the database of another program: give the agent another place")
    schema = files(__package__).joinpath("schema.sql").read_text("utf-8")
    connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
