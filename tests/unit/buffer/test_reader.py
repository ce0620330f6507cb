"""What another process reads, while the agent runs and after."""

import os
import sqlite3

import pytest

from towerops_agent.buffer import schema
from towerops_agent.buffer.format.batch import Pending, RefusedMetric
from towerops_agent.buffer.reader import DatabaseReader, KnownLayouts, NotReadable
from towerops_agent.model import Layout, LayoutKind, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, poll

OTHER = Layout("eq-2", LAYOUT.sensors, LAYOUT.interfaces)
CHANGED = Layout("eq-1", LAYOUT.sensors[:2], LAYOUT.interfaces)


async def fill(bench, buffer) -> None:
    """Two devices, a poll a minute for an hour, of which the older half is packed; one metric refused."""
    layouts = await buffer.register_all([LAYOUT, OTHER])
    for _ in range(60):
        for layout in layouts:
            buffer.add(poll(layout, bench.now_us))
        await buffer.flush()
        bench.now_us += 60_000_000
    await buffer.keep_config(b"sealed")
    await buffer.refuse(await buffer.next_batch(1), b"{}", "no such sensor")
    await buffer.clean_up()


def check(bench) -> None:
    with DatabaseReader(bench.path) as reader:
        assert reader.pending() == Pending(359, 120, T0_US)
        assert reader.refused() == [RefusedMetric("eq-1", b"{}", "no such sensor", T0_US + HOUR_US)]
        assert (reader.meta("config"), reader.meta("nothing")) == (b"sealed", None)
        assert reader.newest_poll_us() == T0_US + HOUR_US - 60_000_000
        assert reader.equipment() == {"eq-1": [1], "eq-2": [2]}
        found = list(reader.polls("eq-1", T0_US + 5 * 60_000_000))
        assert [stored.poll for stored in found] == [poll(1, T0_US + minute * 60_000_000) for minute in range(5, 60)]
        assert {stored.layout.equipment_id for stored in found} == {"eq-1"}
        assert list(reader.polls("eq-3", 0)) == []


async def test_all_can_be_read_while_the_agent_runs_and_after(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        check(bench)
        buffer.add(poll(1))
        await buffer.flush()
        with DatabaseReader(bench.path) as reader:
            assert reader.pending().polls == 121
            assert bench.path.with_name("agent.db-wal").stat().st_size > 0
            await buffer.acknowledge(await buffer.next_batch(1_000))
            assert reader.pending().polls == 0
            await buffer.ask(lambda store: store.connection.execute("DELETE FROM polls WHERE id = 121").rowcount)
    assert not bench.path.with_name("agent.db-wal").exists()


async def test_reading_leaves_no_file_beside_the_database(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
    before = {path.name: path.stat().st_mtime_ns for path in bench.path.parent.iterdir()}
    check(bench)
    assert {path.name: path.stat().st_mtime_ns for path in bench.path.parent.iterdir()} == before


async def test_polls_of_all_layouts_of_an_equipment_are_found_and_damaged_ones_left_out(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        layout = await buffer.register(CHANGED)
        last = Poll(layout, T0_US + HOUR_US, (1,) * 8, ((3, 0),), 3)
        buffer.add(last)
        await buffer.flush()
        await buffer.ask(lambda store: store.connection.execute("UPDATE bodies SET body = x'00' WHERE poll = 119").rowcount)
        with DatabaseReader(bench.path) as reader:
            found = list(reader.polls("eq-1", T0_US + 58 * 60_000_000))
            assert [stored.poll for stored in found] == [poll(1, T0_US + 58 * 60_000_000), last]
            abandoned = reader.polls("eq-1", 0)
            next(abandoned)
        abandoned.close()


async def test_layouts_that_are_known_are_not_read_again_and_those_of_another_file_are(bench):
    known: KnownLayouts = {}

    def whose() -> tuple[dict[str, list[int]], int]:
        """Whose layouts there are, and how many were read for that."""
        read: list[str] = []
        with DatabaseReader(bench.path, known) as reader:
            reader.connection.set_trace_callback(read.append)
            found = reader.equipment()
        return found, sum("body" in sql for sql in read)

    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        assert whose() == ({"eq-1": [1], "eq-2": [2]}, 2)
        assert whose() == ({"eq-1": [1], "eq-2": [2]}, 0)
        await buffer.register_all([CHANGED, Layout("eq-2", kind=LayoutKind.PINGS)])
        assert whose() == ({"eq-1": [1, 3], "eq-2": [2, 4]}, 2)
        with DatabaseReader(bench.path, known) as reader:
            assert reader.equipment(LayoutKind.READINGS) == {"eq-1": [1, 3], "eq-2": [2]}
            assert reader.equipment(LayoutKind.PINGS) == {"eq-2": [4]}
        await buffer.ask(lambda store: store.connection.execute("UPDATE layouts SET checksum = 0 WHERE id = 4").rowcount)
        known.clear()
        assert whose() == ({"eq-1": [1, 3], "eq-2": [2]}, 4)
        await buffer.ask(lambda store: store.connection.execute("DELETE FROM layouts WHERE id = 1").rowcount)
        assert whose() == ({"eq-1": [3], "eq-2": [2]}, 1)
    bench.path.unlink()
    async with bench.buffer() as buffer:
        await buffer.register_all([OTHER, LAYOUT])
        assert whose() == ({"eq-2": [1], "eq-1": [2]}, 2)
        assert len(known) == 2


async def test_nothing_can_be_written(bench):
    async with bench.buffer():
        with DatabaseReader(bench.path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.connection.execute("DELETE FROM polls")


def test_no_database_is_an_error_that_names_the_place(bench):
    with pytest.raises(NotReadable, match=r"there is no database .*agent\.db: give"):
        DatabaseReader(bench.path).__enter__()


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        (0, "no agent has written to it yet"),
        (1, "start this version of the agent"),
        (schema.VERSION - 1, "start this version of the agent"),
        (schema.VERSION + 1, "use the version of the agent that wrote it$"),
    ],
)
async def test_another_version_is_an_error_that_names_both_and_what_to_do(bench, version, advice):
    async with bench.buffer() as buffer:
        await buffer.ask(lambda store: store.connection.execute(f"PRAGMA user_version = {version}").fetchall())
    with pytest.raises(NotReadable, match=f"has version {version}: expected {schema.VERSION}; {advice}"):
        DatabaseReader(bench.path).__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_folder_that_this_user_may_not_enter_is_an_error_that_says_so(bench):
    """As systemd's /var/lib/private is: without sudo there is a line with what to do, not a traceback."""
    bench.path.parent.chmod(0o700)
    bench.path.touch()
    os.seteuid(65534)
    try:
        with pytest.raises(NotReadable, match=r"can't be looked at \(Permission denied\): run this as the agent's user"):
            DatabaseReader(bench.path).__enter__()
    finally:
        os.seteuid(0)


def test_a_directory_is_an_error_that_says_so(bench):
    bench.path.mkdir()
    with pytest.raises(NotReadable, match="is not a file"):
        DatabaseReader(bench.path).__enter__()


def test_what_is_not_a_database_is_an_error_that_says_so(bench):
    bench.path.write_bytes(b"no database" * 1_000)
    with pytest.raises(NotReadable, match=r"agent\.db is not a database: give the agent's with DATABASE_PATH"):
        DatabaseReader(bench.path).__enter__()


async def test_a_database_whose_beginning_is_damaged_is_one_that_the_agent_quarantines(bench):
    async with bench.buffer() as buffer:
        await buffer.register(LAYOUT)
    with bench.path.open("r+b") as file:
        file.write(b"\x5a" * 100)
    with pytest.raises(NotReadable, match=r"can't be read .*: the agent quarantines it and saves what it can"):
        DatabaseReader(bench.path).__enter__()
