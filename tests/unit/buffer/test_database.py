"""Opening the file: who may, what is in it, and what becomes of a bad one."""

import os
import sqlite3
import stat

import pytest

from towerops_agent.errors import BufferFailure, DatabaseBusy, DatabaseTooNew
from unit.buffer.samples import LAYOUT, T0_US, poll


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_database_is_the_owners_alone(bench):
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


async def test_the_rights_of_a_file_that_others_could_read_are_mended(bench):
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
                for name in ("auto_vacuum", "journal_mode", "synchronous", "user_version")
            }

        assert await buffer._ask(settings) == {"auto_vacuum": 2, "journal_mode": "wal", "synchronous": 1, "user_version": 1}


async def test_a_second_agent_is_told_who_has_the_database(bench):
    async with bench.buffer() as first:
        await first.put_meta("a", b"mine")
        with pytest.raises(DatabaseBusy, match=rf"agent\.db is open in another agent \(process {os.getpid()}\): stop"):
            await bench.buffer().__aenter__()
        assert await first.get_meta("a") == b"mine"
    async with bench.buffer() as second:
        assert await second.get_meta("a") == b"mine"


async def test_a_database_of_a_later_agent_is_left_alone(bench):
    async with bench.buffer() as buffer:
        await buffer._ask(lambda store: store.connection.execute("PRAGMA user_version = 2"))
    content = bench.path.read_bytes()
    with pytest.raises(DatabaseTooNew, match=r"version 2.*expected at most 1; update"):
        await bench.buffer().__aenter__()
    assert bench.path.read_bytes() == content


async def test_the_database_of_another_program_is_left_alone(bench):
    connection = sqlite3.connect(bench.path)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.commit()
    connection.close()
    with pytest.raises(BufferFailure, match="another program"):
        await bench.buffer().__aenter__()
    assert bench.rows("SELECT name FROM sqlite_master") == [("bookmarks",)]


async def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(bench):
    (bench.path.parent / "file").touch()
    bench.path = bench.path.parent / "file" / "agent.db"
    with pytest.raises(BufferFailure, match=r"the directory .*/file can't be created"):
        await bench.buffer().__aenter__()


async def test_a_directory_in_the_files_place_is_an_error_that_names_it(bench):
    bench.path.mkdir()
    with pytest.raises(BufferFailure, match=r"agent\.db can't be opened: .*directory"):
        await bench.buffer().__aenter__()


@pytest.mark.parametrize("damage", ["no database", "cut short", "overwritten inside"])
async def test_a_corrupt_file_is_set_aside_and_a_new_one_begun(bench, damage):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(500):
            buffer.add(poll(layout, T0_US + i))
        assert buffer.replaced is None
    content = bench.path.read_bytes()
    bad = {
        "no database": b"no database" * 1_000,
        "cut short": content[: len(content) // 2],
        "overwritten inside": content[:4096] + b"\xff" * (len(content) - 4096),
    }[damage]
    bench.path.write_bytes(bad)
    async with bench.buffer() as buffer:
        assert buffer.replaced == bench.path.with_name("agent.db.corrupt-20260109T192215Z")
        assert buffer.replaced.read_bytes()[100:] == bad[100:]  # SQLite may have touched the file's header
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        assert (await buffer.pending()).polls == 1
    async with bench.buffer() as buffer:
        assert buffer.replaced is None
        assert (await buffer.pending()).polls == 1


async def test_damage_found_in_use_has_the_file_set_aside_at_the_next_start(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(2_000):
            buffer.add(poll(layout, T0_US + i))
    content = bytearray(bench.path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8 * 4096] = b"\xff" * (8 * 4096)
    bench.path.write_bytes(content)
    async with bench.buffer() as buffer:
        assert buffer.replaced is None  # both ends of the file are sound
        with pytest.raises(BufferFailure, match="malformed"):
            await buffer.next_batch(10_000)
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        assert await buffer.next_batch(10_000) is None
    async with bench.buffer() as buffer:
        assert buffer.replaced is None


async def test_a_failed_opening_frees_the_lock(bench):
    bench.path.mkdir()
    with pytest.raises(BufferFailure):
        await bench.buffer().__aenter__()
    bench.path.rmdir()
    async with bench.buffer() as buffer:
        assert await buffer.next_batch(1) is None
