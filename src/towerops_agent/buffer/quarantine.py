"""A corrupt file put beside its place, and the note of what is still to be copied of it: both are states on disk.

The note names the file before the file is moved, says that it is once it is, and goes when its successor has all that could be
read (recovery.py). So the next start goes on wherever this one was killed.
Synchronous, for the writer's thread. Microseconds since 1970-01-01 UTC (`_us`); octets.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from glob import escape
from pathlib import Path
from struct import pack_into, unpack_from

import structlog

from towerops_agent.buffer import roots, schema
from towerops_agent.buffer.place import PAGE_OCTETS, SUFFIXES, beside, octets_at, release, sync

log = structlog.get_logger()

CORRUPT_KEPT = 3

BLOCK_OCTETS = 4_096
"""What the usual disks and file systems read and write as a whole."""

_NOTE = ".salvage"
_MOVED = " moved"
"""Behind a name in the note: there was such a file. If it is gone then somebody has removed it; else it is yet to be moved."""
_NAME_OCTETS = 255
"""What a file's name may have on the usual file systems."""

_JOURNAL_AT = 18
_CHANGES_AT, _SIZE_AT, _FREE_AT, _FREE_COUNT_AT, _VALID_FOR_AT = 24, 28, 32, 36, 92
"""SQLite's file format, https://sqlite.org/fileformat2.html, 1.3."""


def begin(path: Path, now_us: int, reason: str) -> Path:
    """Quarantine the corrupt database at `path`: where it is now. Raises OSError; then another try goes on."""
    time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=now_us)
    replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    named = _noted(path)
    while replaced.exists() or replaced.name in named:  # two within a second, or a clock that was set back
        time += timedelta(seconds=1)
        replaced = beside(path, f".corrupt-{time:%Y%m%dT%H%M%SZ}")
    _write(path, {**named, replaced.name: False})
    _move(path, replaced)
    _write(path, {**named, replaced.name: True})
    log.error("corrupt database quarantined, a new one begins", path=str(path), kept_as=str(replaced), reason=reason)
    for old in _kept(path)[:-CORRUPT_KEPT]:
        if old.name not in named and old != replaced:  # which is the oldest by its name if the clock was set back
            _remove(old)
    return replaced


def resume(path: Path) -> list[Path]:
    """The quarantined files that are still to be copied, the oldest first; a move that was cut short is completed.

    One that has been removed since it was moved is among them.
    """
    found = {}
    noted = _noted(path)
    for name, was_moved in noted.items():
        replaced = path.with_name(name)
        if not was_moved and not replaced.exists():
            _move(path, replaced)
        if was_moved or replaced.exists():
            found[name] = True
    if found != noted:
        _write(path, found)
    return [path.with_name(name) for name in found]


def end(path: Path, replaced: Path) -> None:
    """Note that all that can be read of the quarantined file has been copied."""
    left = {name: was_moved for name, was_moved in _noted(path).items() if name != replaced.name}
    if left:
        _write(path, left)
    else:
        with suppress(FileNotFoundError):
            beside(path, _NOTE).unlink()
        sync(path.parent)


@contextmanager
def another_schema(path: Path) -> Iterator[None]:
    """While within, the file at `path` has the schema's pages of a new database, made to fit its size. Raises OSError.

    They say what is where in the file, and the first one is written most often. All agents of a version lay their tables out
    alike, so the new file's pages fit; if they do not, as the file was begun by an earlier version, what they lead to are not
    rows that match their checksums.
    """
    pages = _schema_pages()
    place = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(place).st_size
        first = pages[0]
        first[_JOURNAL_AT : _JOURNAL_AT + 2] = b"\2\2"  # the write-ahead log
        for at, value in (
            (_CHANGES_AT, 1),
            (_VALID_FOR_AT, 1),
            (_FREE_AT, 0),
            (_FREE_COUNT_AT, 0),
            (_SIZE_AT, size // PAGE_OCTETS),
        ):
            pack_into(">I", first, at, value)
        with _other_pages(path, place, pages):
            yield
    finally:
        release(place)


@contextmanager
def other_roots(path: Path, tables: Mapping[str, int]) -> Iterator[None]:
    """While within, the roots of these tables lead to their rows, as far as that can be found out. Raises OSError.

    `tables`: by name, the number of the root, from 1 on.
    """
    place = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        found = roots.rebuilt(place, tables, os.fstat(place).st_size)
        with _other_pages(path, place, {root - 1: page for root, page in found.items()}):
            yield
    finally:
        release(place)


@contextmanager
def _other_pages(path: Path, place: int, pages: Mapping[int, bytes | bytearray]) -> Iterator[None]:
    size = os.fstat(place).st_size
    before = {page: _page(place, page) for page in pages if (page + 1) * PAGE_OCTETS <= size}
    for block in {page * PAGE_OCTETS // BLOCK_OCTETS for page, octets in before.items() if not octets}:
        _write_block(place, block, size)
    for page in before:
        os.pwrite(place, pages[page], page * PAGE_OCTETS)
    try:
        yield
    finally:
        _put_back(path, place, before)


def remove_copied(path: Path) -> bool:
    """Whether a quarantined file of which all has been copied, as there is no room for it, was removed: the oldest one."""
    try:
        named = _noted(path)
        old = next((file for file in _kept(path) if file.name not in named), None)
        if old is not None:
            _remove(old)
    except OSError as error:
        log.debug("corrupt database can't be removed for want of room", path=str(path), error=str(error))
        return False
    if old is not None:
        log.warning("corrupt database removed for want of room, what could be read of it was copied before", path=str(old))
    return old is not None


def _put_back(path: Path, place: int, pages: Mapping[int, bytes]) -> None:
    try:
        for page, octets in pages.items():
            if octets:
                os.pwrite(place, octets, page * PAGE_OCTETS)
    except OSError as error:  # a disk that is read-only by now; the file can be read as it is
        log.warning("corrupt database keeps the pages with which it was read", path=str(path), error=str(error))


def cut_journal(path: Path) -> bool:
    """Whether the journal of the quarantined file has a part that does not answer, where it ends now. Raises OSError.

    SQLite reads a journal from its beginning, and none of one that it can't read to its end. Behind such a part it would believe
    nothing: each commit's checksum is of all before it.
    """
    try:
        place = os.open(beside(path, "-wal"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        ends = range(0, os.fstat(place).st_size, BLOCK_OCTETS)
        bad = next((at for at in ends if octets_at(place, at, BLOCK_OCTETS) is None), None)
        if bad is not None:
            os.ftruncate(place, bad)
    finally:
        os.close(place)
    return bad is not None


def _page(place: int, page: int) -> bytes:
    """The page; nothing if that part of the disk does not answer."""
    return octets_at(place, page * PAGE_OCTETS, PAGE_OCTETS) or b""


def _write_block(place: int, block: int, size: int) -> None:
    """Write a block of which a part does not answer, with zeros for that: the rest of it could not be written by itself."""
    begin = block * BLOCK_OCTETS
    end = min(begin + BLOCK_OCTETS, size)
    pages = range(begin // PAGE_OCTETS, end // PAGE_OCTETS)
    os.pwrite(place, b"".join(_page(place, page) or bytes(PAGE_OCTETS) for page in pages), begin)


def _kept(path: Path) -> list[Path]:
    found = path.parent.glob(f"{escape(path.name)}.corrupt-*")
    return sorted(other for other in found if not other.name.endswith(("-wal", "-shm")))


def _remove(replaced: Path) -> None:
    for suffix in SUFFIXES:
        beside(replaced, suffix).unlink(missing_ok=True)


def _noted(path: Path) -> dict[str, bool]:
    """The names in the note, and whether the file has been moved there."""
    try:
        lines = beside(path, _NOTE).read_bytes()[: 100 * _NAME_OCTETS].decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    # Whatever else is in the note is damage, or somebody's way to other files.
    names = {line.removesuffix(_MOVED): line.endswith(_MOVED) for line in lines}
    begin = f"{path.name}.corrupt-"
    return {
        name: moved for name, moved in names.items() if name.startswith(begin) and "/" not in name and len(name) <= _NAME_OCTETS
    }


def _write(path: Path, noted: Mapping[str, bool]) -> None:
    note, new = beside(path, _NOTE), beside(path, f"{_NOTE}-new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{name}{_MOVED if moved else ''}\n" for name, moved in noted.items())
        file.flush()
        os.fsync(file.fileno())
    new.rename(note)
    sync(path.parent)


def _move(path: Path, replaced: Path) -> None:
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            beside(path, suffix).rename(beside(replaced, suffix))
    sync(path.parent)


def _schema_pages() -> dict[int, bytearray]:
    """The pages of a new database that say what its tables are, by their number from 0 on."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_OCTETS}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.create(connection)
        octets = connection.serialize()
    pages = range(len(octets) // PAGE_OCTETS)
    return {page: bytearray(octets[page * PAGE_OCTETS :][:PAGE_OCTETS]) for page in pages if _is_of_schema(octets, page)}


def _is_of_schema(octets: bytes, page: int) -> bool:
    """Whether the page is of the tree whose root is the first page (pointer maps, https://sqlite.org/fileformat2.html, 1.8)."""
    mapped = PAGE_OCTETS // 5
    while page:
        map_page = (page - 1) // (mapped + 1) * (mapped + 1) + 1
        kind, parent = (
            unpack_from(">BI", octets, map_page * PAGE_OCTETS + 5 * (page - map_page - 1)) if page != map_page else (0, 0)
        )
        if kind not in (3, 4, 5):  # the pages of a tree, and those that overflow from them, have their parents there
            return False
        page = parent - 1
    return True
