"""A corrupt file put beside its place, and the note of what is still to be copied of it: both are states on disk.

The note names the file before the file is moved, and goes when its successor has all that could be read (opening.py). So the
next start goes on wherever this one was killed.
Synchronous, for the writer's thread. Microseconds since 1970-01-01 UTC (`_us`); octets.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import pack_into

import structlog

from towerops_agent.buffer import schema

log = structlog.get_logger()

CORRUPT_KEPT = 3

SUFFIXES = ("-wal", "-shm", "")
"""The files of a database, the main one last: once that is moved, all are."""

_NOTE = ".salvage"
_NAME_OCTETS = 255
"""What a file's name may have on the usual file systems."""

PAGE_OCTETS = 4096
_JOURNAL_AT = 18
_CHANGES_AT, _SIZE_AT, _FREE_AT, _FREE_COUNT_AT, _VALID_FOR_AT = 24, 28, 32, 36, 92
"""SQLite's file format, https://sqlite.org/fileformat2.html, 1.3."""


def beside(path: Path, suffix: str) -> Path:
    """The file at `path` with `suffix` after its whole name."""
    return path.with_name(path.name + suffix)


def begin(path: Path, now_us: int, reason: str) -> Path:
    """Quarantine the corrupt database at `path`: where it is now. Raises OSError; then another try goes on."""
    time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=now_us)
    replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    named = _named(path)
    while replaced.exists() or replaced.name in named:  # two within a second, or a clock that was set back
        time += timedelta(seconds=1)
        replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    _write(path, [*named, replaced.name])
    _move(path, replaced)
    log.error("corrupt database quarantined, a new one begins", path=str(path), kept_as=str(replaced), reason=reason)
    kept = sorted(other for other in path.parent.glob(f"{path.name}.corrupt-*") if not other.name.endswith(("-wal", "-shm")))
    for old in kept[:-CORRUPT_KEPT]:
        if old.name not in named:
            for suffix in SUFFIXES:
                beside(old, suffix).unlink(missing_ok=True)
    return replaced


def resume(path: Path) -> list[Path]:
    """The quarantined files that are still to be copied, the oldest first; a move that was cut short is completed."""
    found = []
    for name in _named(path):
        replaced = path.with_name(name)
        if not replaced.exists():
            _move(path, replaced)
        if replaced.exists():
            found.append(replaced)
    return found


def end(path: Path, replaced: Path) -> None:
    """Note that all that can be read of the quarantined file has been copied."""
    left = [name for name in _named(path) if name != replaced.name]
    if left:
        _write(path, left)
    else:
        with suppress(FileNotFoundError):
            beside(path, _NOTE).unlink()
        _sync(path.parent)


@contextmanager
def another_first_page(path: Path) -> Iterator[None]:
    """While within, the file at `path` has the first page of a new database, made to fit its size. Raises OSError.

    The first page says what is where in the file, and it is written most often. All agents of a version lay their tables out
    alike, so the new file's page fits; if it does not, as the file was begun by an earlier version, what it leads to are not rows
    that match their checksums.
    """
    page = bytearray(_new_page())
    place = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        before = os.pread(place, PAGE_OCTETS, 0)
        if len(page) == PAGE_OCTETS == len(before):
            page[_JOURNAL_AT : _JOURNAL_AT + 2] = b"\2\2"  # the write-ahead log
            for at, value in ((_CHANGES_AT, 1), (_VALID_FOR_AT, 1), (_FREE_AT, 0), (_FREE_COUNT_AT, 0)):
                pack_into(">I", page, at, value)
            pack_into(">I", page, _SIZE_AT, os.fstat(place).st_size // PAGE_OCTETS)
            os.pwrite(place, page, 0)
        try:
            yield
        finally:
            os.pwrite(place, before, 0)
    finally:
        os.close(place)


def _named(path: Path) -> list[str]:
    try:
        lines = beside(path, _NOTE).read_bytes()[: 100 * _NAME_OCTETS].decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Whatever else is in the note is damage, or somebody's way to other files.
    return [line for line in lines if line.startswith(f"{path.name}.corrupt-") and "/" not in line and len(line) <= _NAME_OCTETS]


def _write(path: Path, names: list[str]) -> None:
    note, new = beside(path, _NOTE), beside(path, f"{_NOTE}-new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in names)
        file.flush()
        os.fsync(file.fileno())
    new.rename(note)
    _sync(path.parent)


def _move(path: Path, replaced: Path) -> None:
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            beside(path, suffix).rename(beside(replaced, suffix))
    _sync(path.parent)


def _sync(directory: Path) -> None:
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _new_page() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.create(connection)
        return connection.serialize()[:PAGE_OCTETS]
