"""A database of an earlier version is brought up to this one, with all that is in it."""

import sqlite3
from pathlib import Path

import pytest

from towerops_agent.buffer import schema
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.format.codec import digest, encode_layout, encode_poll
from unit.buffer.samples import LAYOUT, T0_US, members, poll

SCHEMA_1 = Path(__file__).with_name("schema-1.sql").read_text("utf-8")


def write_version_1(path: Path) -> None:
    """Three polls of three metrics: the first sent, the second in an open batch, the third not yet cut."""
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {SCHEMA_1} PRAGMA user_version = 1;")
    body = encode_layout(LAYOUT)
    connection.execute("INSERT INTO layouts (digest, body) VALUES (?, ?)", (digest(body), body))
    connection.executemany(
        "INSERT INTO polls (layout_id, started_at_us, metric_count, body) VALUES (?, ?, ?, ?)",
        [encode_poll(poll(1, T0_US + i)) for i in range(3)],
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


async def test_a_database_brought_up_has_the_tables_of_a_new_one(bench):
    write_version_1(bench.path)
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
