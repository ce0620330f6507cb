"""A database of an earlier version is brought up to this one, with all that is in it."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from towerops_agent.buffer import schema
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.format.codec import Packing, PollRow, checksum, digest, encode_layout
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, corrupt_error, members, poll

SCHEMA_1 = Path(__file__).with_name("schema-1.sql").read_text("utf-8")
SCHEMA_4 = Path(__file__).with_name("schema-4.sql").read_text("utf-8")
SCHEMA_2 = Path(__file__).with_name("schema-2.sql").read_text("utf-8")
BACKLOG = 100
"""Polls of three metrics in the backlog of version 2: the first is sent, the next two are an open batch."""


def unchecked(number: int) -> PollRow:
    """A poll as it was stored before there were checksums."""
    one = poll(1, T0_US + number)
    return 1, one.started_at_us, one.metric_count, msgspec.msgpack.encode((one.times, one.values))


def write_version_2(path: Path) -> None:
    """BACKLOG polls, the first 48 packed."""
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {SCHEMA_2} PRAGMA user_version = 2;")
    body = encode_layout(LAYOUT)
    connection.execute("INSERT INTO layouts (digest, body) VALUES (?, ?)", (digest(body), body))
    rows = [unchecked(number) for number in range(BACKLOG)]
    connection.executemany(
        "INSERT INTO polls (layout_id, started_at_us, metric_count) VALUES (?, ?, ?)", [row[:3] for row in rows]
    )
    connection.executemany("INSERT INTO bodies VALUES (?, ?)", [(n + 1, row[3]) for n, row in enumerate(rows) if n >= 48])
    pack = Packing().pack([(n + 1, row[3]) for n, row in enumerate(rows[:48])])
    connection.execute("INSERT INTO packs VALUES (1, 49, 1, ?)", (pack,))
    connection.execute("INSERT INTO ranges VALUES (49, 1)")
    connection.execute("UPDATE uncut SET first_poll = 4, polls = ?, metrics = ?", (BACKLOG - 3, 3 * (BACKLOG - 3)))
    connection.executemany(
        "INSERT INTO batches (key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, sent_age_s)"
        " VALUES (?, ?, 0, ?, 0, ?, ?, ?)",
        [("sent", 1, 2, 3, T0_US, 1), ("open", 2, 4, 6, T0_US, None)],
    )
    connection.execute("INSERT INTO refused VALUES (1, 1, 0, 'eq-1', ?, 'no', ?, 0)", (b"{}", T0_US))
    connection.execute("INSERT INTO meta VALUES ('config', x'00')")
    connection.execute("INSERT INTO clock VALUES (1, 5000000, ?)", (T0_US,))
    connection.commit()
    connection.close()


def write_version_1(path: Path) -> None:
    """Three polls of three metrics: the first sent, the second in an open batch, the third not yet cut."""
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {SCHEMA_1} PRAGMA user_version = 1;")
    body = encode_layout(LAYOUT)
    connection.execute("INSERT INTO layouts (digest, body) VALUES (?, ?)", (digest(body), body))
    connection.executemany(
        "INSERT INTO polls (layout_id, started_at_us, metric_count, body) VALUES (?, ?, ?, ?)",
        [unchecked(i) for i in range(3)],
    )
    connection.execute("UPDATE uncut SET first_poll = 3, polls = 1, metrics = 3")
    connection.executemany(
        "INSERT INTO batches (key, start_poll, start_metric, stop_poll, stop_metric, metric_count, cut_at_us, sent_at_us)"
        " VALUES (?, ?, 0, ?, 0, 3, ?, ?)",
        [("sent", 1, 2, T0_US, T0_US), ("open", 2, 3, T0_US, None)],
    )
    connection.execute("INSERT INTO refused VALUES (1, 1, 0, 'eq-1', '{}', 'no', ?)", (T0_US,))
    connection.execute("INSERT INTO meta VALUES ('config', x'00')")
    connection.commit()
    connection.close()


def tables(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return sorted(
            f"{table}.{column[1:6]}"
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
            for column in connection.execute(f"PRAGMA table_xinfo({table})")
        )
    finally:
        connection.close()


async def test_a_database_of_version_1_is_brought_up_with_all_that_is_in_it(bench):
    write_version_1(bench.path)
    async with bench.buffer() as buffer:
        assert await buffer.register(LAYOUT) == 1
        batch = await buffer.next_batch(10)
        assert (batch.key, batch.lane, members(await buffer.read(batch))) == ("open", Lane.FRESH, [(1, 0), (1, 1), (1, 2)])
        await buffer.acknowledge(batch)
        buffer.add(poll(1, T0_US + 3))
        rest = await buffer.next_batch(10)
        assert members(await buffer.read(rest)) == [(number, metric) for number in (2, 3) for metric in range(3)]
        assert (await buffer.refused())[0].reason == "no"
        assert await buffer.kept_config() == b"\x00"
    assert bench.rows("PRAGMA user_version") == [(schema.VERSION,)]


async def deliver_all(buffer, destination: str = "") -> list[tuple[int, int]]:
    found = []
    for lane in (Lane.BACKLOG, Lane.FRESH):
        while batch := await buffer.next_batch(50, lane, (), destination):
            found += members(await buffer.read(batch))
            await buffer.acknowledge(batch)
    return found


async def test_the_backlog_of_version_2_is_delivered_whole_plain_and_packed(bench):
    """And what is stored, and packed, from here on has checksums beside rows without."""
    write_version_2(bench.path)
    async with bench.buffer() as buffer:
        assert await buffer.register(LAYOUT) == 1
        assert (await buffer.next_batch(50)).key == "open"
        await buffer.part_backlog()
        for number in range(BACKLOG, BACKLOG + 10):
            buffer.add(poll(1, T0_US + number))
        bench.now_us += HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") > [(1,)]
        assert await buffer.kept_config() == b"\x00"
        assert (await buffer.refused())[0].equipment_id == "eq-1"
    async with bench.buffer() as buffer:
        assert await deliver_all(buffer) == [(number, metric) for number in range(1, BACKLOG + 10) for metric in range(3)]
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {}


@pytest.mark.parametrize("damaged", [False, True], ids=["as_it_was", "cut_short"])
async def test_a_corrupt_database_of_version_2_is_salvaged(bench, damaged):
    write_version_2(bench.path)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) - 4096] if damaged else content)
    async with bench.buffer() as buffer:
        if not damaged:
            with pytest.raises(BufferFailure):
                await buffer.ask(corrupt_error)
        assert buffer.replaced is not None
        found = await deliver_all(buffer)
    lost = bench.counters.total(Count.METRICS_DROPPED)
    assert len(found) == len(set(found))
    assert len(found) + lost == 3 * (BACKLOG - 1)
    assert damaged or not lost


def bring_down_to_version_4(path: Path) -> None:
    """Undo what later ones have added: the rows of the API's line, and their checksums, are those of version 4."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TABLE events")
    connection.execute("DROP INDEX batches_by_start")
    for table in ("uncut", "batches", "refused"):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN destination")
    connection.execute("CREATE UNIQUE INDEX batches_by_start ON batches (start_poll, start_metric)")
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION + 4}")
    connection.execute("PRAGMA user_version = 4")
    connection.close()


async def fill_version_4(bench) -> None:
    """BACKLOG polls, most of them packed: the first is sent, the next two are an open batch, one metric is refused."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(BACKLOG):
            buffer.add(poll(layout, T0_US + number))
        await buffer.acknowledge(await buffer.next_batch(3))
        await buffer.part_backlog()
        await buffer.refuse(await buffer.next_batch(1, Lane.BACKLOG), b"{}", "no")
        await buffer.next_batch(5, Lane.BACKLOG)
        bench.now_us += HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") > [(0,)]
    bring_down_to_version_4(bench.path)
    plain = sqlite3.connect(":memory:")
    plain.create_function("checksum_of", -1, checksum)
    plain.executescript(SCHEMA_4)
    plain.execute(f"VACUUM INTO '{bench.path}.plain'")
    plain.close()
    assert tables(bench.path) == tables(Path(f"{bench.path}.plain"))


@pytest.mark.parametrize("lines", [[""], ["", "p"], ["p", "q"]], ids=["the_api", "beside_the_api", "without_it"])
async def test_the_backlog_of_version_4_goes_to_whom_it_was_for_and_the_polls_to_come_to_all(bench, lines):
    await fill_version_4(bench)
    async with bench.buffer() as buffer:
        await buffer.line_up(lines)
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US + BACKLOG))
        found = {line: await deliver_all(buffer, line) for line in lines}
        assert (await buffer.refused())[0].reason == "no"
    new = [(BACKLOG, metric) for metric in range(3)]
    old = [(number, metric) for number in range(1, BACKLOG) for metric in range(3)][1:]
    assert found == {line: old + new if line == lines[0] else new for line in lines}
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert bench.rows("PRAGMA user_version") == [(schema.VERSION,)]


async def test_a_corrupt_database_of_version_4_is_salvaged(bench):
    await fill_version_4(bench)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) - 512])
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        found = await deliver_all(buffer)
    assert len(found) == len(set(found))
    assert len(found) + bench.counters.total(Count.METRICS_DROPPED) == 3 * (BACKLOG - 1) - 1


@pytest.mark.parametrize("write", [write_version_1, write_version_2])
async def test_a_database_brought_up_has_the_tables_of_a_new_one(bench, write):
    write(bench.path)
    async with bench.buffer():
        brought_up = tables(bench.path)
    bench.path.unlink()
    async with bench.buffer():
        assert brought_up == tables(bench.path)


async def test_a_bringing_up_that_fails_leaves_the_earlier_version(bench, monkeypatch):
    write_version_1(bench.path)
    with monkeypatch.context() as patch:
        patch.setitem(schema.STEPS, 1, schema.STEPS[1] + "SELECT no_such_function();")
        connection = sqlite3.connect(bench.path, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="no_such_function"):
            schema.migrate(connection, 1)
        connection.close()
    assert bench.rows("PRAGMA user_version") == [(1,)]
    async with bench.buffer() as buffer:
        assert (await buffer.pending()).metrics == 6
