"""The database keeps within its bounds: delivered polls go first, then the oldest undelivered, all counted."""

import itertools
import os
import random
import sqlite3
from contextlib import closing, suppress

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import packer, retention, room
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, T0_US, limit_growth

MEGABYTE = 1 << 20
WIDE = Layout("wide", tuple((f"s-{i}", 1.0) for i in range(300)))
NOISE = tuple(random.Random(4).choices(range(1 << 31, 1 << 32), k=100_000))
FULL = "buffer is full, delivered polls are removed early, then the oldest undelivered"
HELD = "journal can't be merged into the database while another process reads it, and grows"


def wide_poll(layout: int, number: int) -> Poll:
    """A poll of 300 metrics and some 1,500 octets, as hard to pack as polls can be."""
    begin = number * 307 % (len(NOISE) - 300)
    return Poll(layout, T0_US + number, NOISE[begin : begin + 300], ((300, 0),), 300)


class Disk:
    """A file system that says what the test wants."""

    def __init__(self, total: int = 1 << 40) -> None:
        self.total = total
        self.free = total

    def statvfs(self, path) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, self.total // 4096, self.free // 4096, self.free // 4096, 0, 0, 0, 0, 255))


async def add_wide(buffer, numbers) -> None:
    layout = await buffer.register(WIDE)
    for number in numbers:
        buffer.add(wide_poll(layout, number))
        if number % 500 == 499:
            await buffer.flush()
    await buffer.flush()


def octets(bench) -> int:
    return sum(path.stat().st_size for path in bench.path.parent.glob("agent.db*") if "shm" not in path.name)


def test_a_bound_that_the_journal_by_itself_would_fill_is_refused(bench):
    with pytest.raises(ValueError, match="expected at least 16777216"):
        bench.buffer(max_octets=MEGABYTE)


@pytest.mark.parametrize(
    ("max_octets", "journal"), [(16 * MEGABYTE, 8 * MEGABYTE), (512 * MEGABYTE, 16 * MEGABYTE), (1 << 40, 32 * MEGABYTE)]
)
async def test_the_journal_has_a_part_of_the_bound_and_is_folded_in_at_three_quarters(bench, max_octets, journal):
    async with bench.buffer(max_octets=max_octets) as buffer:
        kept, pages, page = await buffer.ask(
            lambda store: [
                store.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_size_limit", "wal_autocheckpoint", "page_size")
            ]
        )
    assert (kept, pages * page) == (journal, journal * 3 // 4)


async def test_at_the_bound_the_oldest_undelivered_polls_are_evicted(bench):
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        with capture_logs() as logs:
            await add_wide(buffer, range(12_000))
        assert octets(bench) <= room.MIN_OCTETS
        pending = await buffer.pending()
        assert bench.counters.by_reason(Count.METRICS_EVICTED) == {"buffer_full": 300 * 12_000 - pending.metrics}
        assert pending.oldest_started_at_us == T0_US + 12_000 - pending.polls
        assert pending.polls > 3_000
        assert [entry["event"] for entry in logs] == [FULL]
        assert await buffer.next_batch(1) is not None


async def test_somebody_who_reads_for_hours_costs_no_poll(bench):
    """As an export that waits in a pager: the journal grows, and what was undelivered was removed for that, in vain."""
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        await add_wide(buffer, range(100))
        with capture_logs() as logs, closing(sqlite3.connect(bench.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM polls").fetchall()
            for number in range(100, 140):
                await buffer.put_meta("large", bytes(MEGABYTE))
                await add_wide(buffer, [number])
            assert octets(bench) > 2 * room.MIN_OCTETS
            assert (await buffer.pending()).polls == 140
        assert [line["event"] for line in logs] == [HELD]
        await buffer.put_meta("large", b"")
        await buffer.clean_up()
        assert octets(bench) <= room.MIN_OCTETS
    assert bench.counters.by_reason(Count.METRICS_EVICTED) == {}


async def test_delivered_polls_go_before_undelivered_ones(bench):
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        await add_wide(buffer, range(1_000))
        await buffer.part_backlog()
        await add_wide(buffer, range(1_000, 3_000))
        while batch := await buffer.next_batch(30_000):
            await buffer.acknowledge(batch)
        await add_wide(buffer, range(3_000, 6_000))
        evicted = bench.counters.by_reason(Count.METRICS_EVICTED)
        assert evicted.keys() == {"delivered"}
        assert evicted["delivered"] <= 300 * 2_000
        assert (await buffer.pending()).metrics == 300 * 4_000
        await add_wide(buffer, range(6_000, 9_000))
        assert bench.counters.get(Count.METRICS_EVICTED, "delivered") == 300 * 2_000
        assert bench.counters.get(Count.METRICS_EVICTED, "buffer_full") > 0
        (stored, *_) = await buffer.read(await buffer.next_batch(1, Lane.BACKLOG) or await buffer.next_batch(1))
        assert stored.poll.started_at_us > T0_US
        assert octets(bench) <= room.MIN_OCTETS


async def test_packed_polls_are_evicted_too(bench, monkeypatch):
    monkeypatch.setattr(packer, "POLLS_PER_LAYOUT", 500)
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        for begin in range(0, 12_000, 2_000):
            await add_wide(buffer, range(begin, begin + 2_000))
            bench.now_us += HOUR_US
            await buffer.clean_up()
        assert octets(bench) <= room.MIN_OCTETS
        assert (await buffer.pending()).metrics == 300 * 12_000 - bench.counters.get(Count.METRICS_EVICTED, "buffer_full")
        while batch := await buffer.next_batch(100_000):
            assert sum(p.stop_metric - p.first_metric for p in await buffer.read(batch)) == batch.metric_count
            await buffer.acknowledge(batch)
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_batches_under_way_are_evicted_last(bench):
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        await add_wide(buffer, range(10))
        batch = await buffer.next_batch(1_000)
        await add_wide(buffer, range(10, 9_000))
        assert await buffer.next_batch(1) == batch
        assert sum(p.stop_metric - p.first_metric for p in await buffer.read(batch)) == 1_000


async def test_room_again_is_reported_once(bench):
    async with bench.buffer(max_octets=room.MIN_OCTETS) as buffer:
        with capture_logs() as logs:
            await add_wide(buffer, range(9_000))
            while batch := await buffer.next_batch(30_000):
                await buffer.acknowledge(batch)
            bench.now_us += 25 * HOUR_US
            await buffer.clean_up()
            await add_wide(buffer, range(2))
            await add_wide(buffer, range(2))
        assert [entry["event"] for entry in logs] == [FULL, "buffer has room again"]


async def test_the_file_shrinks_after_a_drain(bench):
    async with bench.buffer() as buffer:
        await add_wide(buffer, range(10_000))
        before = octets(bench)
        while batch := await buffer.next_batch(30_000):
            await buffer.acknowledge(batch)
        bench.now_us += 24 * HOUR_US
        await buffer.clean_up()
        after = octets(bench)
        assert before > 14 * MEGABYTE
        assert after < before // 3
        assert bench.path.with_name("agent.db-wal").stat().st_size == 0


async def test_on_a_low_disk_delivered_polls_are_given_back_to_it(bench):
    disk = Disk()
    async with bench.buffer(statvfs=disk.statvfs) as buffer:
        await add_wide(buffer, range(8_000))
        while batch := await buffer.next_batch(30_000):
            await buffer.acknowledge(batch)
        await add_wide(buffer, range(8_000, 8_010))
        await buffer.ask(lambda store: retention.checkpoint(store.connection))
        size = bench.path.stat().st_size
        disk.free = room.KEPT_FREE_OCTETS - 1
        with capture_logs() as logs:
            for number in range(8_010, 8_110):
                await add_wide(buffer, [number])
        assert bench.path.stat().st_size < size - 8 * MEGABYTE
        assert bench.counters.by_reason(Count.METRICS_EVICTED) == {"delivered": 300 * 8_000}
        assert (await buffer.pending()).polls == 110
        assert [entry["event"].partition(",")[0] for entry in logs] == ["disk is low"]


async def test_on_a_low_disk_the_file_does_not_grow_and_undelivered_polls_make_room_for_newer_ones(bench):
    disk = Disk()
    async with bench.buffer(statvfs=disk.statvfs) as buffer:
        await add_wide(buffer, range(3_000))
        disk.free = 0
        await add_wide(buffer, range(3_000, 3_500))
        size = bench.path.stat().st_size
        for begin in range(3_500, 8_000, 100):
            await add_wide(buffer, range(begin, begin + 100))
        await buffer.ask(lambda store: retention.checkpoint(store.connection))
        assert bench.path.stat().st_size <= size + MEGABYTE
        pending = await buffer.pending()
        assert pending.polls > 1_500
        assert bench.counters.by_reason(Count.METRICS_EVICTED) == {"disk_low": 300 * (8_000 - pending.polls)}
        assert pending.oldest_started_at_us == T0_US + 8_000 - pending.polls


async def test_what_was_evicted_is_counted_if_the_disk_fails_in_a_later_step(bench, monkeypatch):
    """Polls of 400 octets: a step removes too few of them, so that another follows at once."""
    disk = Disk()
    remove_uncut, steps = retention.remove_uncut, itertools.count(1)

    def fail_each_second_time(*arguments):
        if next(steps) % 2 == 0:
            raise sqlite3.OperationalError("database or disk is full")
        return remove_uncut(*arguments)

    async with bench.buffer(statvfs=disk.statvfs) as buffer:
        layout = await buffer.register(Layout("middle", tuple((f"s-{i}", 1.0) for i in range(80))))
        for number in range(5_000):
            buffer.add(Poll(layout, T0_US + number, NOISE[number : number + 80], ((80, 0),), 80))
        await buffer.flush()
        monkeypatch.setattr(retention, "remove_uncut", fail_each_second_time)
        disk.free = 0
        for number in range(5_000, 5_500):
            buffer.add(Poll(layout, T0_US + number, NOISE[number : number + 80], ((80, 0),), 80))
        await buffer.flush()
        disk.free = disk.total
        await buffer.flush()
        assert next(steps) > 2
        metrics = (await buffer.pending()).metrics
        assert metrics < 5_500 * 80
        assert bench.counters.by_reason(Count.METRICS_EVICTED) == {"disk_low": 5_500 * 80 - metrics}


async def test_few_undelivered_polls_stay_on_a_disk_that_is_full(bench):
    """They would all have to go for the room that new ones need, and it would not be enough."""
    disk = Disk()
    async with bench.buffer(statvfs=disk.statvfs) as buffer:
        await add_wide(buffer, range(300))
        disk.free = 0
        await add_wide(buffer, range(300, 400))
        await buffer.flush()
        assert (await buffer.pending()).polls == 400
        assert bench.counters.by_reason(Count.METRICS_EVICTED) == {}


@pytest.mark.parametrize(("total", "kept_free"), [(1 << 40, 64 * MEGABYTE), (100 * MEGABYTE, 5 * MEGABYTE)])
async def test_5_percent_or_64_megabytes_are_kept_free_whichever_is_less(bench, total, kept_free):
    disk = Disk(total)
    async with bench.buffer(statvfs=disk.statvfs) as buffer:
        with capture_logs() as logs:
            disk.free = kept_free
            await add_wide(buffer, range(1))
            assert logs == []
            disk.free = kept_free - 4096
            await add_wide(buffer, range(1))
            assert logs[0]["missing_octets"] == 4096
            disk.free = total
            await add_wide(buffer, range(1))
        assert [entry["event"] for entry in logs][1:] == ["buffer has room again"]


async def test_a_disk_that_says_nothing_is_taken_for_free(bench):
    def silent(path):
        raise OSError("no such device")

    async with bench.buffer(statvfs=silent) as buffer:
        await add_wide(buffer, range(10))
        assert (await buffer.pending()).polls == 10


@pytest.mark.parametrize("full", [False, True], ids=["low", "full"])
async def test_corrupt_files_that_were_copied_go_before_anything_else_on_a_disk_that_is_low(bench, full):
    """Two of them have the room that is missing; the third one stays, and so does what was delivered."""
    olds = [bench.path.with_name(f"agent.db.corrupt-2025010{day}T000000Z") for day in (1, 2, 3)]
    disk, low = Disk(), Disk()
    low.free = 0 if full else 50 * MEGABYTE

    def kept():
        return [old for old in olds if old.exists()]

    def statvfs(path):
        return (low if len(kept()) > 1 else disk).statvfs(path)

    async with bench.buffer(statvfs=statvfs) as buffer:
        await add_wide(buffer, range(100))
        await buffer.acknowledge(await buffer.next_batch(300 * 50))
        for old in olds:
            old.write_bytes(b"copied long ago")
        if full:
            await limit_growth(buffer, 0)
            with suppress(BufferFailure):
                await buffer.put_meta("large", bytes(MEGABYTE))
            await limit_growth(buffer, None)
        for number in range(100, 105):
            buffer.add(wide_poll(1, number))
            await buffer.flush()
        assert kept() == olds[2:]
        assert not buffer.in_memory_because
        assert (await buffer.pending()).metrics == 300 * 55
    assert bench.counters.total(Count.METRICS_EVICTED) == 0
