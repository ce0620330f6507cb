"""The first page of a corrupt file replaced for as long as the rest of it is read: it says what is where in the file.

It is the page that is written most often. All agents of a version lay their tables out alike, so the new file's page fits; if it
does not, as the file was begun by an earlier version, what it leads to are not rows that match their checksums.
Synchronous, for the writer's thread. SQLite's file format, https://sqlite.org/fileformat2.html; octets.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from struct import pack_into

from towerops_agent.buffer import schema
from towerops_agent.buffer.place import PAGE_OCTETS

_JOURNAL_AT = 18
_CHANGES_AT, _SIZE_AT, _FREE_AT, _FREE_COUNT_AT, _VALID_FOR_AT = 24, 28, 32, 36, 92


@contextmanager
def another_first_page(path: Path) -> Iterator[None]:
    """While within, the file at `path` has the first page of a new database, made to fit its size. Raises OSError."""
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


def _new_page() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.create(connection)
        return connection.serialize()[:PAGE_OCTETS]
