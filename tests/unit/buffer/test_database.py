"""Opening the file: who may, and what is in it."""

import os
import sqlite3
import stat

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import schema
from towerops_agent.buffer.database import is_corruption, octets_on_disk
from towerops_agent.errors import DatabaseBusy, DatabaseTooNew


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_database_is_only_its_owner_s(bench):
    """0600 for the file and all that lies beside it, 0700 for a directory made for it, whatever the umask."""
    bench.path = bench.path.parent / "var" / "lib" / "agent.db"
    before = os.umask(0)
    try:
        async with bench.buffer() as buffer:
            await buffer.put_meta("a", b"b")
            files = {path.name: mode(path) for path in bench.path.parent.iterdir()}
    finally:
        os.umask(before)
    assert files == dict.fromkeys(["agent.db", "agent.db-wal", "agent.db-shm", "agent.db.lock"], 0o600)
    assert mode(bench.path.parent) == 0o700


async def test_the_rights_of_a_file_that_others_could_read_are_fixed(bench):
    async with bench.buffer():
        pass
    bench.path.chmod(0o644)
    async with bench.buffer():
        assert mode(bench.path) == 0o600


async def test_the_database_has_its_settings(bench):
    async with bench.buffer() as buffer:

        def settings(store):
            return {
                name: store.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("auto_vacuum", "journal_mode", "synchronous", "user_version", "page_size")
            }

        assert await buffer.ask(settings) == {
            "auto_vacuum": 2,
            "journal_mode": "wal",
            "synchronous": 1,
            "user_version": schema.VERSION,
            "page_size": 512,
        }


async def test_a_second_agent_reads_who_has_the_database(bench):
    async with bench.buffer() as first:
        await first.put_meta("a", b"mine")
        with pytest.raises(DatabaseBusy, match=rf"agent\.db is open in another agent \(process {os.getpid()}\): stop"):
            await bench.buffer().__aenter__()
        assert await first.get_meta("a") == b"mine"
    async with bench.buffer() as second:
        assert await second.get_meta("a") == b"mine"


LATER = f"PRAGMA user_version = {schema.VERSION + 1}; PRAGMA application_id = {schema.APPLICATION + schema.VERSION + 1}"


async def test_a_database_of_a_later_agent_is_left_alone(bench):
    async with bench.buffer() as buffer:
        await buffer.ask(lambda store: store.connection.executescript(LATER))
    content = bench.path.read_bytes()
    with pytest.raises(DatabaseTooNew, match=rf"version {schema.VERSION + 1}.*expected at most {schema.VERSION}; update"):
        await bench.buffer().__aenter__()
    assert bench.path.read_bytes() == content


async def test_an_empty_file_is_reported_and_a_database_begun_in_it(bench):
    bench.path.touch()
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            await buffer.put_meta("a", b"b")
    assert [entry["event"] for entry in logs] == ["database file is empty, a new database begins in it"]
    assert bench.rows("SELECT value FROM meta") == [(b"b",)]


def test_a_file_that_is_shorter_than_it_says_is_corrupt():
    """As SQLite 3.46 and later say it."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHORT_READ
    assert is_corruption(error)
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    assert not is_corruption(error)


def test_a_file_that_cannot_be_looked_at_counts_nothing(tmp_path):
    """An error of the file system, as of a dead card or of a folder that is another user's: `status` still answers."""
    unfit = tmp_path / ("x" * 300)
    with pytest.raises(OSError, match="too long"):
        unfit.stat()
    assert octets_on_disk(unfit) == 0
    (tmp_path / "a.db").write_bytes(b"12")
    (tmp_path / "a.db-wal").write_bytes(b"345")
    assert octets_on_disk(tmp_path / "a.db") == 5
