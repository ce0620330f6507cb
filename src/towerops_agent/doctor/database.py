"""Checks the agent's database: its path, permissions, version and disk, and whether an agent runs on it, and is healthy.

Only reads, also beside a running agent: it creates and changes no file. I/O: SQLite (read-only), the file system,
the agent's Unix socket. Octets.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from towerops_agent.buffer import schema
from towerops_agent.buffer.database import is_corruption, octets_on_disk
from towerops_agent.buffer.place import WRITABLE, beside, is_foreign
from towerops_agent.buffer.room import KEPT_FREE_OCTETS, KEPT_FREE_SHARE
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.telemetry.live_client import CannotAnswer, ForeignAnswer, ask, health
from towerops_agent.telemetry.views.health import HEALTHY
from towerops_agent.text import size

_DATABASE: Final = "database"
_AGENT: Final = "agent"
_DISK: Final = "disk space"

_TABLES: Final = frozenset(("layouts", "polls", "batches", "uncut"))
_BUSY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Contents:
    version: int
    tables: frozenset[str]


def check_database(path: Path, max_octets: int, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> list[Check]:
    """The database, the agent on it, the disk under it. `max_octets`: the maximum size of the file."""
    agent = check_agent(path)
    runs = agent.result is Result.OK
    return [
        _check_file(path, runs),
        agent,
        *(_check_health(path) if runs else ()),
        _check_disk(path, max_octets, statvfs),
    ]


def check_agent(path: Path) -> Check:
    """Whether an agent has the database open."""
    try:
        lock = os.open(beside(path, ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _agent_without_lock_file(path) or Check(_AGENT, Result.SKIPPED, "no agent has used this database yet")
    except OSError as error:
        hint = "run this as the agent's user"
        return Check(_AGENT, Result.WARNING, f"whether one runs on this database can't be seen: {error.strerror}", hint)
    try:
        # Shared: two doctors do not see each other. It is held only during these two calls.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)
    except BlockingIOError:
        owner = os.read(lock, 20).decode("ascii", "replace").strip()
        return Check(_AGENT, Result.OK, f"an agent runs on this database (process {owner or 'unknown'})")
    except OSError as error:
        return Check(_AGENT, Result.WARNING, f"whether one runs on this database can't be seen: {error.strerror}")
    finally:
        os.close(lock)
    return _agent_without_lock_file(path) or Check(_AGENT, Result.SKIPPED, "no agent runs on this database now")


def _agent_without_lock_file(path: Path) -> Check | None:
    """An agent that has not locked the lock file, as somebody removed that, or as it works in memory; None if there is none."""
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Check(
                _AGENT, Result.OK, f"an agent runs on this database (its lock file was removed; `fuser {path}` shows its process)"
            )
        finally:
            os.close(file)
    return _agent_in_memory(path)


def _check_health(path: Path) -> list[Check]:
    """What is wrong with the agent that runs, by its own word; nothing if it can't be asked from here, as before it is ready."""
    answer = health(str(path))
    if answer is None:
        return []
    status, text = answer
    lines = text.decode(errors="replace").splitlines()
    if not status:
        hint = "`towerops-agent status` shows more"
        return [Check(_AGENT, Result.WARNING, line, hint) for line in lines if line != HEALTHY]
    return [
        Check(_AGENT, Result.FAILED, line, "restart it, and keep its log: it says what it did last") for line in lines[:1]
    ] + [Check(_AGENT, Result.WARNING, line) for line in lines[1:]]


def _agent_in_memory(path: Path) -> Check | None:
    """An agent that answers and was given this path, at which it has locked nothing; None if there is none."""
    try:
        if ask(str(path), b"health") is None:
            return None
    except (TimeoutError, CannotAnswer):
        pass
    except ForeignAnswer as error:
        return Check(_AGENT, Result.WARNING, str(error))
    found = "an agent runs, and keeps its polls in memory: it can't use this database"
    return Check(_AGENT, Result.WARNING, found, "`towerops-agent status` says why")


def _check_file(path: Path, in_use: bool) -> Check:
    def failed(found: str, hint: str) -> Check:
        return Check(_DATABASE, Result.FAILED, found, hint)

    try:
        absent = not path.exists()
    except OSError as error:
        return failed(f"{path} can't be looked at: {error.strerror}", "run this as the agent's user, or correct DATABASE_PATH")
    if absent:
        return _check_place(path)
    if not path.is_file():
        return failed(f"{path} is not a file", "give the path of the file itself in DATABASE_PATH")
    try:
        contents = _read(path)
    except sqlite3.Error as error:
        if is_corruption(error) and is_foreign(path):
            hint = "the agent leaves it as it is, and its polls in memory only: choose another DATABASE_PATH"
            return failed(f"{path} is not a database", hint)
        if is_corruption(error):
            hint = "the agent quarantines it at its next start, saves what it can and starts a new one; check the disk"
            return failed(f"{path} is corrupt: {error}", hint)
        return failed(f"{path} can't be read: {error}", _access_hint(path))
    if contents.version > schema.VERSION:
        return failed(
            f"{path} has version {contents.version}, written by a later agent; this one has {schema.VERSION}",
            "update this agent, or choose another DATABASE_PATH",
        )
    if contents.tables and not contents.tables >= _TABLES:
        return failed(f"{path} is the database of another program", "choose another DATABASE_PATH")
    if not in_use and (lacking := _unwritable(path)):
        return failed(f"{lacking} can't be written", _access_hint(path))
    if not contents.tables:
        return Check(_DATABASE, Result.OK, f"{path}, empty: the agent starts with it")
    upgrade = "" if contents.version == schema.VERSION else f", upgraded to {schema.VERSION} at the agent's next start"
    return Check(_DATABASE, Result.OK, f"{path}, {size(octets_on_disk(path))}, version {contents.version}{upgrade}")


def _check_place(path: Path) -> Check:
    """Whether a database can be created, if there is none yet."""
    try:
        place = _nearest(path)
    except FileNotFoundError:
        hint = "go to another one, or give the whole path in DATABASE_PATH"
        return Check(_DATABASE, Result.FAILED, f"there is no {path}: the current directory was removed", hint)
    if not place.is_dir():
        return Check(_DATABASE, Result.FAILED, f"{place} is not a directory", "correct DATABASE_PATH")
    if not os.access(place, os.W_OK | os.X_OK):
        hint = "give the agent's user write access to it, mount a volume there, or choose another DATABASE_PATH"
        return Check(_DATABASE, Result.FAILED, f"there is no {path}, and it can't be made: {place} can't be written", hint)
    return Check(_DATABASE, Result.OK, f"{path} does not exist yet: the agent makes it at its first start")


def _nearest(path: Path) -> Path:
    """The directory in which `path` would be created: its parent, or the nearest one above that exists."""
    return next(above for above in path.absolute().parents if above.exists())


def _read(path: Path) -> _Contents:
    # Without a -wal file nobody writes: immutable creates no files beside the database, and needs no permission to.
    at_rest = not beside(path, "-wal").exists()
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if at_rest else ''}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return _Contents(version, frozenset(name for (name,) in rows))


def _unwritable(path: Path) -> Path | None:
    """The files that the agent must write, but this user can't."""
    if not os.access(path, os.R_OK | os.W_OK) or _refuses_writes(path):
        return path
    return None if os.access(path.absolute().parent, os.W_OK | os.X_OK) else path.absolute().parent


def _refuses_writes(path: Path) -> bool:
    """Whether the file system is read-only, by its own word or, as an ext4 after an error since Linux 6, as it refuses."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def _access_hint(path: Path) -> str:
    """What to do about a file that can't be read or written."""
    with suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY or _refuses_writes(path):
            return f"its file system is read-only: `dmesg` says whether the kernel made it so; {WRITABLE}"
    return f"check its mode, or run this as the agent's user ({_owner(path)})"


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"user {path.stat().st_uid}"


def _check_disk(path: Path, max_octets: int, statvfs: Callable[[Path], os.statvfs_result]) -> Check:
    try:
        place = _nearest(path)
        disk = statvfs(place)
        used = octets_on_disk(path)
    except OSError as error:
        return Check(_DISK, Result.SKIPPED, f"can't be seen: {error.strerror}")
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    found = f"{size(free)} free of {size(whole)} at {place}"
    if not disk.f_favail and disk.f_files:
        return Check(_DISK, Result.FAILED, f"no inodes free at {place}", "remove files there, or choose another DATABASE_PATH")
    if free < min(whole // KEPT_FREE_SHARE, KEPT_FREE_OCTETS):
        hint = "make room: else the agent removes delivered polls early, then the oldest undelivered ones"
        return Check(_DISK, Result.FAILED, found, hint)
    if free < max_octets - used:
        hint = f"less than an outage may need (BUFFER_MAX_MB {max_octets >> 20}): make room, or lower it"
        return Check(_DISK, Result.WARNING, found, hint)
    return Check(_DISK, Result.OK, found)
