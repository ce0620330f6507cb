"""A corrupt file is quarantined at once, a new one begun, and what can be read of the old one is in it."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import opening, quarantine, recovery, retention
from towerops_agent.buffer.format.batch import OPEN_END, Lane
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, corrupt_error, members, poll

PAGE = 512
POLLS = 3_000


async def fill(bench, packed: bool = False) -> None:
    """Polls numbered from 0; the first three metrics are sent, the next two in an open batch."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(POLLS):
            buffer.add(poll(layout, T0_US + i))
        await buffer.acknowledge(await buffer.next_batch(3))
        await buffer.next_batch(2)
        await buffer.keep_config(b"sealed")
        if packed:
            bench.now_us += HOUR_US
            await buffer.clean_up()


def damage(path, first_page: int, pages: int) -> None:
    content = bytearray(path.read_bytes())
    content[first_page * PAGE : (first_page + pages) * PAGE] = b"\xff" * (pages * PAGE)
    path.write_bytes(content)


async def delivered(buffer) -> list[tuple[int, int]]:
    found = []
    await deliver_into(found, buffer)
    return found


async def deliver_into(found: list[tuple[int, int]], buffer) -> None:
    for lane in Lane:
        while batch := await buffer.next_batch(1_000, lane):
            found += members(await buffer.read(batch))
            await buffer.acknowledge(batch)


JUNK = b"SQLite format 3\0" + b"\xff" * 8_000


@pytest.mark.parametrize("content", [bytes(8_192), JUNK], ids=["zeros", "header"])
async def test_of_a_file_of_which_nothing_is_left_nothing_is_read_but_it_is_kept(bench, content):
    bench.path.write_bytes(content)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            assert buffer.replaced == bench.path.with_name("agent.db.corrupt-20260109T192215Z")
            assert buffer.replaced.read_bytes() == content
            buffer.add(poll(await buffer.register(LAYOUT)))
            assert (await buffer.pending()).polls == 1
    assert logs[0]["event"] == "corrupt database quarantined, a new one begins"
    assert logs[0]["kept_as"] == str(buffer.replaced)
    async with bench.buffer() as buffer:
        assert buffer.replaced is None
        assert (await buffer.pending()).polls == 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_of_a_file_cut_short_what_is_left_is_delivered(bench, packed):
    await fill(bench, packed)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) // PAGE * 3 // 4 * PAGE])
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        found = await delivered(buffer)
        assert len(set(found)) == len(found)
        assert set(found) <= {(i, metric) for i in range(1, POLLS) for metric in range(3)}
        if not packed:
            assert len(found) > POLLS
        assert await buffer.kept_config() in (b"sealed", None)
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        assert await delivered(buffer) == [(POLLS, 0), (POLLS, 1), (POLLS, 2)]


async def test_damage_found_in_use_costs_what_is_unreadable_and_no_more(bench):
    """The file is replaced in the same second; a batch under way keeps its key, and what is sent is not sent again."""
    await fill(bench)
    (page,) = (
        {row[0] for row in bench.rows("SELECT max(pageno) FROM dbstat WHERE name = 'bodies'")} if has_dbstat(bench) else {40}
    )
    damage(bench.path, page - 20, 8)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        assert buffer.replaced is None  # the ends of each table are sound
        found = []
        for _ in range(20):
            with suppress(BufferFailure):
                await deliver_into(found, buffer)
        assert buffer.replaced is not None
        assert await buffer.next_batch(1) is None
        assert len(set(found)) == len(found)
        lost = bench.counters.by_reason(Count.METRICS_DROPPED)
        assert set(lost) == {"damaged", "corrupt"}
        assert 3 * POLLS - len(found) - 3 == sum(lost.values())
        assert 2 * POLLS < len(found) < 3 * POLLS - 3
        assert await buffer.kept_config() == b"sealed"
        buffer.add(poll(layout, T0_US + POLLS))  # the id from before is still good
        assert await delivered(buffer) == [(POLLS, 0), (POLLS, 1), (POLLS, 2)]
        assert not buffer.layouts_lost.is_set()


def has_dbstat(bench) -> bool:
    try:
        bench.rows("SELECT 1 FROM dbstat LIMIT 1")
    except sqlite3.Error:
        return False
    return True


async def test_layouts_that_are_lost_are_reported_and_their_ids_go_to_no_other(bench):
    async with bench.buffer() as buffer:
        await fill_layouts(buffer)
        old = await buffer.register(LAYOUT)
        await buffer.flush()
        await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        bench.path.write_bytes(bench.path.read_bytes()[:PAGE] + b"\xff" * 40 * PAGE)
        buffer.add(poll(old))
        await buffer.ask(lambda store: store.connection.execute("PRAGMA cache_size = 0").fetchall())
        for _ in range(2):
            try:
                await buffer.next_batch(10)
            except BufferFailure:
                continue
        assert buffer.replaced is not None
        await buffer.layouts_lost.wait()
        new = await buffer.register(Layout("another"))
        assert new > old + 1_000_000
        buffer.add(poll(old))  # it can't be known whose it is
        assert await delivered(buffer) == []


async def fill_layouts(buffer) -> None:
    await buffer.register_all(Layout(f"eq-{i}", tuple((f"sensor-{i}-{j}", 1.0) for j in range(50))) for i in range(100))


async def test_three_corrupt_files_are_kept(bench):
    names = []
    for _ in range(5):
        bench.path.write_bytes(JUNK)
        async with bench.buffer() as buffer:
            names.append(buffer.replaced.name)
        bench.now_us += HOUR_US
    left = sorted(path.name for path in bench.path.parent.glob("*.corrupt-*Z"))
    assert left == names[2:]


@pytest.mark.parametrize("name", ["agent[1].db", "a*.db"])
async def test_no_more_than_three_are_kept_and_nobody_elses_are_removed_whatever_the_name_is(bench, name):
    """A name that is a pattern to a shell: it matches no file of its own, or those of others too."""
    others = bench.path.with_name("another.db.corrupt-20200101T000000Z")
    others.write_bytes(b"of another agent")
    bench.path = bench.path.with_name(name)
    for _ in range(5):
        bench.path.write_bytes(JUNK)
        async with bench.buffer():
            pass
        bench.now_us += HOUR_US
    assert others.exists()
    left = [path for path in bench.path.parent.iterdir() if path.name.startswith(f"{name}.corrupt-") and path.name.endswith("Z")]
    assert len(left) == 3


async def test_two_corrupt_files_of_one_second_are_both_kept(bench):
    for content in (JUNK + b"one", JUNK + b"two"):
        bench.path.write_bytes(content)
        async with bench.buffer():
            pass
    kept = sorted(bench.path.parent.glob("*.corrupt-*Z"))
    assert [path.read_bytes()[-3:] for path in kept] == [b"one", b"two"]


async def test_a_salvage_that_was_cut_short_is_taken_up_at_the_next_start(bench, monkeypatch):
    await fill(bench)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) // PAGE * 3 // 4 * PAGE])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "end", stop)
        with pytest.raises(KeyboardInterrupt):
            await bench.buffer().__aenter__()
    async with bench.buffer() as buffer:
        found = await delivered(buffer)
        assert len(found) > POLLS
        assert len(set(found)) == len(found)
    assert [path.name for path in bench.path.parent.glob("*.salvage*")] == []


async def test_a_disk_that_spoils_each_file_gets_one_new_one_a_minute(bench):
    async with bench.buffer() as buffer:
        await buffer.register(LAYOUT)
        for _ in range(3):
            with pytest.raises(BufferFailure):
                await buffer.ask(corrupt_error)
        assert len(list(bench.path.parent.glob("*.corrupt-*Z"))) == 1
        bench.now_us += opening.RENEWED_EVERY_US
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error)
        assert len(list(bench.path.parent.glob("*.corrupt-*Z"))) == 2


async def test_a_file_that_is_corrupt_while_the_clock_is_behind_is_not_removed_before_it_is_copied(bench):
    """A power cut spoils the file, and the machine starts in 1970: the earlier ones have later names."""
    for hour in range(3):
        bench.path.with_name(f"agent.db.corrupt-20260109T0{hour}0000Z").write_bytes(b"copied before")
    await fill(bench)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) // PAGE * 3 // 4 * PAGE])
    bench.now_us = 60_000_000
    async with bench.buffer() as buffer:
        assert buffer.replaced == bench.path.with_name("agent.db.corrupt-19700101T000100Z")
        assert buffer.replaced.exists()
        assert len(await delivered(buffer)) > POLLS


async def test_a_corrupt_file_that_somebody_removes_before_it_is_copied_costs_the_new_one_nothing(bench, monkeypatch):
    """For room, say. The new file is not taken for one whose move was cut short."""
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", 0)
    await fill(bench)
    content = bench.path.read_bytes()
    bench.path.write_bytes(content[: len(content) // PAGE * 3 // 4 * PAGE])
    async with bench.buffer(statvfs=lambda _: SimpleNamespace(f_blocks=1 << 20, f_bavail=0, f_frsize=4096)) as buffer:
        assert buffer.salvaging
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        buffer.replaced.unlink()
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            assert not buffer.salvaging
            assert await delivered(buffer) == [(POLLS, 0), (POLLS, 1), (POLLS, 2)]
    assert "nothing could be read of the corrupt database" in [line["event"] for line in logs]
    await asyncio.sleep(0)
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"corrupt": 1}
    assert [path.name for path in bench.path.parent.glob("agent.db.[cs]*[Ze]")] == []


def change(path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(sql)


CLOCK = "UPDATE clock SET checksum = 0"
LAST_ID = "UPDATE sqlite_sequence SET seq = 'damaged' WHERE name = 'polls'"


@pytest.mark.parametrize("corrupt", [CLOCK, LAST_ID], ids=["the clock is lost", "the clock is there"])
@pytest.mark.parametrize("age_s", [1 << 20, 1 << 35])
async def test_a_poll_of_a_wrong_age_in_a_corrupt_file_does_not_make_the_others_old(bench, corrupt, age_s):
    """By it the age clock would have gone on for years, and all that waits would be a day old."""
    await fill(bench)
    change(bench.path, f"{corrupt}; UPDATE polls SET age_s = {age_s} WHERE id = 50")
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        await buffer.clean_up()
        assert len(await delivered(buffer)) == 3 * POLLS - 3
    assert bench.counters.total(Count.METRICS_EXPIRED) == 0


@pytest.mark.parametrize("corrupt", [CLOCK, LAST_ID])
async def test_what_another_destination_waits_for_is_not_sent_to_the_api_again(bench, corrupt):
    """Its batches were removed early, for room; the polls are there for the other one."""
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "dead"])
        layout = await buffer.register(LAYOUT)
        for i in range(10):
            buffer.add(poll(layout, T0_US + i))
        assert len(await delivered(buffer)) == 30
        await buffer.ask(lambda store: retention.remove_sent(store.connection, OPEN_END))
        buffer.add(poll(layout, T0_US + 10))
        await buffer.flush()
    change(bench.path, corrupt)
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        assert await delivered(buffer) == [(10, metric) for metric in range(3)]
        await buffer.line_up(["", "dead"])
        batch = await buffer.next_batch(1_000, Lane.BACKLOG, destination="dead")
        assert members(await buffer.read(batch)) == [(i, metric) for i in range(11) for metric in range(3)]


async def test_the_metrics_of_a_damaged_batch_between_two_that_were_sent_are_delivered(bench):
    """The middle of a poll is a batch of its own then, as what is not cut begins and ends otherwise."""
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        first = await buffer.next_batch(1)
        second = await buffer.next_batch(1, exclude=[first.id])
        third = await buffer.next_batch(1, exclude=[first.id, second.id])
        await buffer.acknowledge(first)
        await buffer.acknowledge(third)
    change(bench.path, f"{CLOCK}; UPDATE batches SET checksum = 0 WHERE id = {second.id}")
    async with bench.buffer() as buffer:
        assert await delivered(buffer) == [(0, 1)]
    async with bench.buffer() as buffer:
        assert await delivered(buffer) == []


async def test_a_destination_whose_first_batch_is_damaged_gets_what_was_in_it(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["a"])
        layout = await buffer.register(LAYOUT)
        for i in range(4):
            buffer.add(poll(layout, T0_US + i))
        first = await buffer.next_batch(6, destination="a")
    change(bench.path, f"{CLOCK}; UPDATE batches SET checksum = 0 WHERE id = {first.id}")
    async with bench.buffer() as buffer:
        await buffer.line_up(["a"])
        found = []
        for lane in Lane:
            while batch := await buffer.next_batch(1_000, lane, destination="a"):
                found += members(await buffer.read(batch))
                await buffer.acknowledge(batch)
        assert sorted(found) == [(i, metric) for i in range(4) for metric in range(3)]
