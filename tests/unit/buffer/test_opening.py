"""The file can't be opened at the start: the agent works in memory, and takes all of it into the file once it can."""

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import opening, quarantine, recovery, room, writer
from towerops_agent.buffer.format.batch import Lane, LeftOut
from towerops_agent.buffer.store import FEW_LAYOUTS
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, corrupt_error, members, poll

NOTICED = "buffer can't be opened, polls stay in memory; will retry"


def a_directory_in_its_place(bench):
    bench.path.mkdir()
    return bench.path.rmdir


def a_file_for_its_directory(bench):
    place = bench.path.parent / "place"
    place.touch()
    bench.path = place / "agent.db"
    return place.unlink


def another_programs_database(bench):
    connection = sqlite3.connect(bench.path)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.commit()
    connection.close()

    def remove():
        assert bench.rows("SELECT name FROM sqlite_master") == [("bookmarks",)]
        bench.path.unlink()

    return remove


OBSTACLES = [a_directory_in_its_place, a_file_for_its_directory, another_programs_database]


@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_polls_are_stored_and_delivered_in_memory_meanwhile(bench, obstacle):
    obstacle(bench)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            for i in range(3):
                buffer.add(poll(layout, T0_US + i))
            batch = await buffer.next_batch(5)
            assert members(await buffer.read(batch)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
            await buffer.acknowledge(batch)
            assert (await buffer.pending()).metrics == 4
            await buffer.clean_up()
    await asyncio.sleep(0)
    assert [entry["event"] for entry in logs][:1] == [NOTICED]
    assert str(bench.path.parent) in logs[0]["reason"]
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"buffer_unavailable": 4}


@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_once_the_file_can_be_opened_it_takes_what_was_in_memory(bench, obstacle, monkeypatch):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    remove = obstacle(bench)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        sent, batch = await buffer.next_batch(2), None
        await buffer.acknowledge(sent)
        batch = await buffer.next_batch(2)
        found = members(await buffer.read(batch))
        await buffer.keep_config(b"sealed")
        remove()
        await until_in_file(buffer)
        assert await buffer.kept_config() == b"sealed"
        assert await buffer.next_batch(9) == batch  # the key, too
        assert members(await buffer.read(batch)) == found
        await buffer.acknowledge(batch)
        buffer.add(poll(layout, T0_US + 3))
        assert members(await buffer.read(await buffer.next_batch(9))) == [(3, 0), (3, 1), (3, 2)]
        rest = await buffer.next_batch(9, Lane.BACKLOG)
        assert members(await buffer.read(rest)) == [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
        assert not buffer.layouts_lost.is_set()
    assert bench.rows("SELECT count(*) FROM polls") == [(4,)]


async def test_a_note_of_a_corrupt_file_that_cannot_be_written_yet_ends_nothing(bench, monkeypatch):
    """Nothing can be read of two files that are to be copied; the disk refuses what says that they are done with."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    names = [f"{bench.path.name}.corrupt-20260109T19221{second}Z" for second in (5, 6)]
    bench.path.with_name("agent.db.salvage").write_text("".join(f"{name} moved\n" for name in names))
    obstacle = bench.path.with_name("agent.db.salvage-new")
    obstacle.mkdir()
    async with bench.buffer() as buffer:
        assert "Is a directory" in buffer.in_memory_because
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        batch = await buffer.next_batch(5)
        assert members(await buffer.read(batch)) == [(0, 0), (0, 1), (0, 2)]
        obstacle.rmdir()
        await until_in_file(buffer)
        assert await buffer.next_batch(5) == batch
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"corrupt": len(names)}


async def until_in_file(buffer) -> None:
    while await buffer.ask(lambda store: store.database.path) is None:
        pass


async def test_what_the_file_had_and_what_was_in_memory_are_both_delivered(bench, monkeypatch):
    """The same layout is known in both, under two ids, and both stay valid."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        await buffer.register(Layout("eq-0"))
        buffer.add(poll(await buffer.register(LAYOUT), T0_US))
    away = bench.path.with_name("away")
    bench.path.rename(away)
    bench.path.mkdir()
    bench.now_us += HOUR_US
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US + 1))
        await buffer.flush()
        bench.path.rmdir()
        away.rename(bench.path)
        await until_in_file(buffer)
        buffer.add(poll(layout, T0_US + 2))
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + 3))
        assert await take(buffer) == [0, 1, 2, 3]
        ages = bench.rows("SELECT age_s FROM polls ORDER BY id")
        assert ages == [(0,), (3600,), (3600,), (3600,)]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_layouts_of_starts_before_are_freed_though_the_configuration_came_before_the_file(bench, monkeypatch):
    """As at each boot at which the agent is quicker than its disk's mount: one more set of layouts stayed in it for good."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        await buffer.use_layouts([await buffer.register(LAYOUT)])
    away = bench.path.with_name("away")
    for boot in range(3):
        bench.path.rename(away)
        bench.path.mkdir()
        bench.now_us += HOUR_US
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            await buffer.use_layouts([layout])
            bench.path.rmdir()
            away.rename(bench.path)
            await until_in_file(buffer)
            bench.now_us += HOUR_US
            await buffer.clean_up()
            assert bench.rows("SELECT id FROM layouts") == [(layout,)]
            buffer.add(poll(layout, T0_US + boot))
            assert await take(buffer) == [boot]
            bench.now_us += 49 * HOUR_US
            await buffer.clean_up()


async def test_a_value_that_was_kept_in_memory_takes_the_place_of_the_earlier_one_in_the_file(bench, monkeypatch):
    """A restart without the API would else go on with a configuration of before."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        await buffer.keep_config(b"earlier")
        await buffer.put_meta("other", b"stays")
    away = bench.path.with_name("away")
    bench.path.rename(away)
    bench.path.mkdir()
    async with bench.buffer() as buffer:
        await buffer.keep_config(b"later")
        bench.path.rmdir()
        away.rename(bench.path)
        await until_in_file(buffer)
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == b"later"
        assert await buffer.get_meta("other") == b"stays"


async def test_what_waits_in_the_file_is_pending_once_it_can_be_opened_though_no_poll_comes(bench, monkeypatch):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US))
    away = bench.path.with_name("away")
    bench.path.rename(away)
    bench.path.mkdir()
    async with bench.buffer() as buffer:
        waiting = asyncio.create_task(buffer.wait_for_pending())
        assert (await buffer.pending()).metrics == 0
        assert not waiting.done()
        bench.path.rmdir()
        away.rename(bench.path)
        await waiting
        assert (await buffer.pending()).metrics == 3


async def test_memory_is_bounded_oldest_polls_are_evicted_and_counted(bench, monkeypatch):
    monkeypatch.setattr(room, "MEMORY_OCTETS", room.MIN_OCTETS)
    a_directory_in_its_place(bench)
    count = 30_000
    wide = Layout("wide", tuple((f"s-{i}", 1.0) for i in range(300)))
    async with bench.buffer() as buffer:
        layout = await buffer.register(wide)
        for i in range(count):
            buffer.add(wide_poll(layout, i))
            if i % 1_000 == 0:
                await buffer.flush()
        await buffer.flush()
        pending = await buffer.pending()
        octets = await buffer.ask(lambda store: store.connection.execute("PRAGMA page_count").fetchone()[0] * 4096)
        assert octets <= room.MIN_OCTETS
        evicted = bench.counters.by_reason(Count.METRICS_EVICTED)
        assert evicted == {"buffer_full": 300 * count - pending.metrics}
        assert pending.oldest_started_at_us == T0_US + count - pending.polls
    await asyncio.sleep(0)
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"buffer_unavailable": pending.metrics}


def wide_poll(layout: int, number: int):
    from towerops_agent.model import Poll

    return Poll(layout, T0_US + number, (1_000_000,) * 300, ((300, 0),), 300)


async def test_a_start_in_memory_leaves_no_lock_behind(bench):
    remove = a_directory_in_its_place(bench)
    async with bench.buffer():
        pass
    remove()
    async with bench.buffer() as buffer:
        assert await buffer.ask(lambda store: store.database.path) == bench.path


def test_a_file_that_can_be_written_for_seconds_at_a_time_is_tried_less_often(bench):
    """As on a disk that another program fills and empties: each try cost three log lines, and all that was in memory."""
    one = opening.Opening(bench.path, room.Room(1 << 30, os.statvfs), lambda: bench.now_us, lambda: 0, lambda: 1)
    one.open(0.0)
    error = sqlite3.OperationalError("disk I/O error")

    def away_s(now_s):
        one.leave_unwritable(error, now_s)
        left_s = now_s
        while one.in_memory_because:
            now_s = max(one.due_s, now_s)
            one.look(now_s, at_stop=False)
        return now_s - left_s

    now_s, found = 100.0, []
    for _ in range(7):
        found.append(away_s(now_s))
        now_s += found[-1] + 2.0
    assert found == [5.0, 10.0, 20.0, 40.0, 80.0, 80.0, 80.0]
    assert away_s(now_s + opening.SETTLED_S) == 5.0
    one.leave_unwritable(error, now_s + 1_000.0)
    one.look(now_s + 1_000.0, at_stop=True)
    assert not one.in_memory_because, "a stop waits for nothing"
    one.close()


async def test_a_file_that_turns_out_to_be_corrupt_as_it_takes_what_was_in_memory_is_replaced(bench, monkeypatch):
    """A disk that accepted no writes for a while may have damaged what it had."""
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        await buffer.flush()
        async with unwritable(bench, buffer, layout) as other:
            other.execute("UPDATE uncut SET metrics = metrics + 64")
        await until_in_file(buffer)
        assert sorted(await take(buffer)) == [0, 1]
    assert len([*bench.path.parent.glob("*.corrupt-*Z")]) == 1
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_a_damaged_layout_ends_nothing_once_the_disk_accepts_writes_again(bench, monkeypatch):
    """A single bit makes a text of its octets, of which the search for whose file it is asked the device."""
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    devices = [replace(LAYOUT, equipment_id=f"eq-{n}") for n in range(FEW_LAYOUTS + 1)]  # in no second place
    async with bench.buffer() as buffer:
        damaged, layout, *_ = await buffer.register_all(devices)
        sql = f"UPDATE layouts SET body = CAST(body AS TEXT) WHERE id = {damaged}"
        await buffer.ask(lambda store: store.connection.execute(sql).fetchall())
        async with unwritable(bench, buffer, layout):
            pass
        await until_in_file(buffer)
        assert await take(buffer) == [1]


def the_note_cannot_be_written(bench, monkeypatch):
    """As on a full disk, or one that is read-only by now: the corrupt file stays where it is."""
    obstacle = bench.path.with_name("agent.db.salvage-new")
    obstacle.mkdir()
    return obstacle.rmdir


def nothing_can_be_created_in_its_place(bench, monkeypatch):
    begin = quarantine.begin

    def begin_and_be_in_the_way(path, now_us, reason):
        replaced = begin(path, now_us, reason)
        monkeypatch.undo()
        path.mkdir()
        return replaced

    monkeypatch.setattr(quarantine, "begin", begin_and_be_in_the_way)
    return bench.path.rmdir


@pytest.mark.parametrize("obstacle", [the_note_cannot_be_written, nothing_can_be_created_in_its_place])
@pytest.mark.parametrize("at_once", [True, False], ids=["small", "large"])
async def test_polls_that_no_table_had_when_a_file_was_found_corrupt_are_delivered_once_though_no_new_one_can_be_created(
    bench, monkeypatch, obstacle, at_once
):
    """One in the tail, one in memory only: both from memory, under the layout that they have, and none of them from the file."""
    monkeypatch.setattr(opening, "REOPEN_S", 3600.0)
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", (1 << 30) * at_once)
    with pytest.MonkeyPatch.context() as hindrance:
        async with bench.buffer(commit_window_s=3600) as buffer:
            layout = await buffer.register(LAYOUT)
            buffer.add(poll(layout, T0_US))
            await buffer.flush()
            buffer.add(poll(layout, T0_US + 1))
            await buffer.secure()
            buffer.add(poll(layout, T0_US + 2))
            remove = obstacle(bench, hindrance)
            with pytest.raises(BufferFailure):
                await buffer.ask(corrupt_error, sees_polls=False)
            assert buffer.in_memory_because
            assert await take(buffer) == [1, 2]
            assert not buffer.layouts_lost.is_set()
            buffer.add(poll(layout, T0_US + 3))
            remove()
    assert bench.counters.total(Count.METRICS_DROPPED) == 0
    async with bench.buffer() as buffer:
        while buffer.salvaging:
            await buffer.salvage()
        assert sorted(await take(buffer)) == [0, 3]


@asynccontextmanager
async def unwritable(bench, buffer, layout: int):
    """Within, polls go on in memory, the next one too, as another process writes the file; given that one's connection."""
    await buffer.ask(lambda store: store.connection.execute("PRAGMA busy_timeout = 0").fetchall())
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        buffer.add(poll(layout, T0_US + 1))
        await buffer.flush()
        assert buffer.in_memory_because.startswith(f"the database {bench.path} can't be written: ")
        yield other
        other.execute("COMMIT")


async def test_another_reason_why_polls_are_still_in_memory_is_shown_beside_the_first(bench, monkeypatch):
    """Whoever has made room on a full disk is to see that the file is read-only by now."""
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        with capture_logs() as logs:
            async with unwritable(bench, buffer, layout):
                away = bench.path.with_name("away")
                bench.path.rename(away)
                bench.path.mkdir()
                while "; now: " not in buffer.in_memory_because or "is a directory" not in buffer.in_memory_because:
                    await buffer.pending()
                assert buffer.in_memory_because.startswith(f"the database {bench.path} can't be written: ")
                bench.path.rmdir()
                away.rename(bench.path)
            await until_in_file(buffer)
        assert not buffer.in_memory_because
    assert len([line for line in logs if "is a directory" in line.get("reason", "")]) == 1


@asynccontextmanager
async def irreplaceable(bench, buffer, layout: int):
    """Within, polls go on in memory, the next one too: the file was found corrupt, and no new one can be created in its place."""
    with pytest.MonkeyPatch.context() as hindrance:
        remove = nothing_can_be_created_in_its_place(bench, hindrance)
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        buffer.add(poll(layout, T0_US + 1))
        yield
        remove()


@pytest.mark.parametrize("away", [unwritable, irreplaceable])
async def test_a_batch_that_was_under_way_when_the_file_was_left_is_not_sent_again(bench, monkeypatch, away):
    """A server without idempotency keys would have it twice. What was left out of it is kept."""
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        batch = await buffer.next_batch(9)
        async with away(bench, buffer, layout):
            await buffer.acknowledge(batch, [LeftOut(1, 0, "eq-1", b"{}", "no such sensor")])
        await until_in_file(buffer)
        while buffer.salvaging:
            await buffer.salvage()
        assert await take(buffer) == [1]
        assert [one.reason for one in await buffer.refused()] == ["no such sensor"]


async def take(buffer) -> list[int]:
    """The numbers of the polls that are undelivered, which are delivered then."""
    numbers = []
    for lane in (Lane.BACKLOG, Lane.FRESH):
        while batch := await buffer.next_batch(9, lane):
            numbers += [stored.poll.started_at_us - T0_US for stored in await buffer.read(batch)]
            await buffer.acknowledge(batch)
    return numbers
