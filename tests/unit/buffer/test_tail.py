"""Polls that are in the tail only when an agent ends: they are there once, or counted."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import opening
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.format.codec import TAIL_HEAD_OCTETS
from towerops_agent.buffer.tail import read_tail
from towerops_agent.counters import Count
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import LAYOUT, T0_US, Bench, members, poll


async def killed(bench: Bench, path: Path, held: int, stored: int = 0, there: int = 0) -> Bench:
    """The database of an agent that was killed with so many polls held, so many stored before, and `there` from the start."""
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(stored):
            buffer.add(poll(layout, T0_US + i))
        await buffer.flush()
        for i in range(stored, stored + held):
            buffer.add(poll(layout, T0_US + i))
            await buffer.secure()
        assert await rows_in_tables(buffer) == there + stored
        path.mkdir()
        for part in ("", "-wal"):
            shutil.copy(f"{bench.path}{part}", path / f"{bench.path.name}{part}")
    return replace(bench, path=path / bench.path.name)


async def rows_in_tables(buffer) -> int:
    return await buffer.ask(lambda store: store.connection.execute("SELECT count(*) FROM polls").fetchone()[0], sees_polls=False)


async def all_members(buffer) -> list[tuple[int, int]]:
    found = []
    for lane in (Lane.BACKLOG, Lane.FRESH):
        while batch := await buffer.next_batch(5, lane):
            found += members(await buffer.read(batch))
            await buffer.acknowledge(batch)
    return found


def metrics_of(numbers: range) -> list[tuple[int, int]]:
    return [(number, metric) for number in numbers for metric in range(3)]


async def test_what_was_held_when_the_agent_was_killed_is_there_once(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=7, stored=4)
    async with after.buffer() as buffer:
        assert (await buffer.pending()).metrics == 33
        assert await all_members(buffer) == metrics_of(range(11))
    async with after.buffer() as buffer:
        assert not (await buffer.pending()).metrics
    assert after.counters.by_reason(Count.METRICS_DROPPED) == {}


async def test_what_a_second_kill_interrupts_is_taken_in_once(bench, tmp_path):
    """The start that takes the polls in ends before anything else is done; the next finds them in the tables."""
    after = await killed(bench, tmp_path / "killed", held=3)
    second = await killed(after, tmp_path / "again", held=2, there=3)
    async with second.buffer() as buffer:
        assert await all_members(buffer) == metrics_of(range(3)) + metrics_of(range(2))


async def test_more_than_the_tail_holds_goes_to_the_tables(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        stored = 0
        for i in range(2_000):
            buffer.add(poll(layout, T0_US + i))
            if i % 20 == 19:
                await buffer.secure()
                stored = max(stored, await rows_in_tables(buffer))
        assert 0 < stored <= 2_000
        assert await all_members(buffer) == metrics_of(range(2_000))


async def test_many_octets_at_once_go_to_the_tables_with_what_was_held_before(bench):
    """They would be written twice, and the table's own pages cost less."""
    wide = Layout("eq-wide", tuple((f"s-{i}", 1.0) for i in range(500)))
    async with bench.buffer(commit_window_s=3600) as buffer:
        few, many = await buffer.register_all([LAYOUT, wide])
        buffer.add(poll(few, T0_US))
        await buffer.secure()
        assert await rows_in_tables(buffer) == 0
        buffer.add(Poll(many, T0_US + 1, tuple(range(1 << 20, (1 << 20) + 500)), ((500, 10),), 500))
        await buffer.secure()
        assert await rows_in_tables(buffer) == 2
        buffer.add(poll(few, T0_US + 2))
        await buffer.secure()
        assert await rows_in_tables(buffer) == 2
    async with bench.buffer() as buffer:
        assert (await buffer.pending()).polls == 3


async def test_a_batch_is_on_the_disk_with_its_polls_before_it_is_sent(bench, tmp_path):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        batch = await buffer.next_batch(5)
        for part in ("", "-wal"):
            shutil.copy(f"{bench.path}{part}", tmp_path / f"copy.db{part}")
    async with replace(bench, path=tmp_path / "copy.db").buffer() as buffer:
        again = await buffer.next_batch(1)
        assert (again.key, members(await buffer.read(again))) == (batch.key, metrics_of(range(2))[:5])


def damage(path: Path, at: int) -> None:
    """Write over the tail's octets, in a file without a journal."""
    with closing(sqlite3.connect(path)) as connection, connection, connection.blobopen("tail", "body", 1) as blob:
        blob.seek(at)
        blob.write(b"\xff" * 4)
    connection.close()


async def test_damaged_polls_of_the_tail_are_counted_once_and_the_others_delivered(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=4)
    damage(after.path, TAIL_HEAD_OCTETS + 30)
    with capture_logs() as logs:
        async with after.buffer() as buffer:
            assert await all_members(buffer) == metrics_of(range(1, 4))
    async with after.buffer() as buffer:
        assert await all_members(buffer) == []
    assert after.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": 3}
    assert [entry["lost_metrics"] for entry in logs if "left in the tail" in entry["event"]] == [3]


async def test_a_tail_whose_head_is_damaged_is_a_corrupt_database(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=4, stored=2)
    damage(after.path, 0)
    async with after.buffer() as buffer:
        assert buffer.replaced is not None
        assert await all_members(buffer) == metrics_of(range(2))
    assert after.counters.by_reason(Count.METRICS_DROPPED) == {"corrupt": 1}


async def test_the_tail_of_a_corrupt_database_is_salvaged(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=5, stored=6)
    with closing(sqlite3.connect(after.path)) as connection, connection:
        connection.execute("UPDATE uncut SET checksum = 0")
    connection.close()
    async with after.buffer() as buffer:
        assert buffer.replaced is not None
        assert sorted(await all_members(buffer)) == metrics_of(range(11))
    assert after.counters.by_reason(Count.METRICS_DROPPED) == {}


@pytest.mark.parametrize(
    "corrupt",
    ["UPDATE uncut SET checksum = 0", "UPDATE sqlite_master SET sql = replace(sql, '(', ' UJIQUE (') WHERE name = 'refused'"],
    ids=["a stretch", "the schema"],
)
async def test_a_wrong_id_in_the_tables_of_a_corrupt_database_does_not_hide_the_tail(bench, tmp_path, corrupt):
    """By that id the tables would have all that is in the tail."""
    after = await killed(bench, tmp_path / "killed", held=5, stored=6)
    with closing(sqlite3.connect(after.path)) as connection, connection:
        connection.execute("UPDATE polls SET id = 900 WHERE id = 3")
        connection.executescript(f"PRAGMA writable_schema = ON; {corrupt}")
    connection.close()
    async with after.buffer() as buffer:
        assert buffer.replaced is not None
        found = sorted(await all_members(buffer))
    assert found == [metric for metric in metrics_of(range(11)) if metric[0] != 2]
    assert after.counters.total(Count.METRICS_DROPPED) >= 3


async def test_a_last_id_that_is_not_a_number_is_a_corrupt_database(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=5, stored=6)
    with closing(sqlite3.connect(after.path)) as connection, connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 'damaged' WHERE name = 'polls'")
    connection.close()
    async with after.buffer() as buffer:
        assert buffer.replaced is not None
        assert sorted(await all_members(buffer)) == metrics_of(range(11))


async def test_polls_held_when_the_database_turns_out_to_be_corrupt_are_there_once(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        await buffer.flush()
        for i in range(1, 4):
            buffer.add(poll(layout, T0_US + i))
            await buffer.secure()
        await buffer.ask(lambda store: store.connection.execute("UPDATE uncut SET checksum = 0").rowcount, sees_polls=False)
        assert sorted(await all_members(buffer)) == metrics_of(range(4))
        assert buffer.replaced is not None
    async with bench.buffer() as buffer:
        assert not (await buffer.pending()).metrics


async def test_polls_held_when_the_file_is_removed_are_there_once(bench, monkeypatch):
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.0)
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
            await buffer.secure()
        bench.path.unlink()
        assert sorted(await all_members(buffer)) == metrics_of(range(3))
    async with bench.buffer() as buffer:
        assert not (await buffer.pending()).metrics


@pytest.mark.parametrize("held", [0, 3])
async def test_a_stop_leaves_nothing_to_the_next_start(bench, held):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(held):
            buffer.add(poll(layout, T0_US + i))
            await buffer.secure()
        buffer.add(poll(layout, T0_US + held))
    assert bench.rows("SELECT count(*) FROM polls") == [(held + 1,)]
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            assert await all_members(buffer) == metrics_of(range(held + 1))
            assert (await buffer.ask(lambda store: read_tail(store.connection))).first <= 1
    assert logs == []


async def test_a_damaged_name_of_the_tail_does_not_hide_what_is_in_it(bench, tmp_path):
    after = await killed(bench, tmp_path / "killed", held=4, stored=2)
    with closing(sqlite3.connect(after.path)) as connection, connection:  # as a flipped bit in its name would
        connection.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET name = 'tbil', tbl_name = 'tbil' WHERE name = 'tail'"
        )
    connection.close()
    async with after.buffer() as buffer:
        assert buffer.replaced is not None
        assert sorted(await all_members(buffer)) == metrics_of(range(6))
    assert after.counters.by_reason(Count.METRICS_DROPPED) == {}
