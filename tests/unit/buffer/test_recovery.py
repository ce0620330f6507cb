"""A large corrupt file is copied beside the polling: step by step, over kills, as far as there is room."""

import asyncio
import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from towerops_agent.buffer import opening, quarantine, recovery, salvage
from towerops_agent.buffer.format.batch import Batch, Lane, LeftOut
from towerops_agent.buffer.values import PIECE_OCTETS
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, Bench, copy_files, corrupt_error, members, poll

SENT, POLLS = 30, 120
"""Metrics that were delivered before the file was found corrupt, and polls of three metrics in it."""
PIECES = [".corrupt-20260109T192215Z", ".salvage", "-wal", "-shm", ""]


class Disk:
    """A disk that has room for so many looks at it; then it is full until it gets more."""

    def __init__(self, looks: float = 0) -> None:
        self.looks = looks

    def __call__(self, _: Path) -> SimpleNamespace:
        self.looks -= 1
        free = 1 << 20 if self.looks >= 0 else 0
        return SimpleNamespace(f_blocks=1 << 21, f_bavail=free, f_frsize=4096)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Each file counts as large, and a step copies a few rows."""
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", 0)
    monkeypatch.setattr(recovery, "AGAIN_S", 0.0005)
    monkeypatch.setattr(salvage, "ROWS_PER_STEP", 7)
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)


async def fill(bench: Bench, *, packed: bool = False) -> None:
    """Polls numbered from 0, the first metrics of which are sent; of the next five there is an open batch."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(POLLS):
            buffer.add(poll(layout, T0_US + number))
        await buffer.acknowledge(await buffer.next_batch(SENT))
        await buffer.next_batch(5)
        await buffer.keep_config(b"sealed")
        if packed:
            bench.now_us += HOUR_US
            await buffer.clean_up()
            bench.now_us -= HOUR_US


DAMAGES = {
    "the clock": "UPDATE clock SET checksum = 0",
    "the ledger": "UPDATE clock SET checksum = 0; UPDATE uncut SET checksum = 0",
    "the last id": "UPDATE sqlite_sequence SET seq = 'damaged' WHERE name = 'polls'",
}


def make_corrupt(path: Path, damage: str = "the clock") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(DAMAGES[damage])


def expected(*numbers: range) -> list[tuple[int, int]]:
    """The metrics of the polls with these numbers that are not delivered."""
    every = [(number, metric) for some in numbers for number in some for metric in range(3)]
    return every[SENT:] if numbers[0].start == 0 else every


async def take(buffer, lanes=tuple(Lane)) -> list[tuple[int, int]]:
    found = []
    for lane in lanes:
        while batch := await buffer.next_batch(1_000, lane):
            found += members(await buffer.read(batch))
            await buffer.acknowledge(batch)
    return found


async def all_copied(buffer) -> None:
    while buffer.salvaging:
        await buffer.salvage()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_polls_are_stored_and_delivered_while_a_corrupt_file_is_copied(bench, packed, damage):
    """And the writer's thread says at each step that it moves: no step takes as long as the whole."""
    await fill(bench, packed=packed)
    make_corrupt(bench.path, damage)
    disk = Disk()
    async with bench.buffer(statvfs=disk) as buffer:
        moves = Counter()
        buffer.watch(lambda again_within_s: moves.update([again_within_s == 0.0]))
        assert buffer.salvaging.startswith("the corrupt database agent.db.corrupt-20260109T192215Z is being copied")
        assert await buffer.kept_config() == b"sealed"
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        assert await take(buffer) == expected(range(POLLS, POLLS + 1))
        disk.looks = float("inf")
        await all_copied(buffer)
        assert buffer.salvaging == ""
        assert moves[True] > 20
        assert sorted(await take(buffer)) == expected(range(POLLS))
    assert bench.counters.total(Count.METRICS_DROPPED) == 0
    assert list(bench.path.parent.glob("*.salvage*")) == []
    assert bench.rows("SELECT key FROM meta WHERE key LIKE 'salvage%'") == []
    async with bench.buffer() as buffer:
        assert await take(buffer) == []


async def test_a_configuration_that_is_kept_in_pieces_comes_over_from_a_corrupt_file(bench):
    config = bytes(range(251)) * (3 * PIECE_OCTETS // 251)
    await fill(bench)
    async with bench.buffer() as buffer:
        await buffer.keep_config(config)
    make_corrupt(bench.path)
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == config
    assert [*bench.path.parent.glob("*.corrupt-*")]


@pytest.mark.parametrize(("look_us", "is_copied"), [(0, True), (opening.AT_ONCE_US // 10, False)], ids=["fast", "slow"])
async def test_a_small_file_is_copied_before_the_start_ends_unless_the_disk_is_slow(bench, monkeypatch, look_us, is_copied):
    """Else whoever waits for the start ends the agent, and the next one: a failing disk may take seconds for each look."""
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", 1 << 30)
    await fill(bench)
    make_corrupt(bench.path)
    buffer = bench.buffer(statvfs=Disk(float("inf")))

    def look(_again_within_s: float) -> None:
        bench.now_us += look_us

    buffer.watch(look)
    async with buffer:
        assert (buffer.salvaging == "") == is_copied
        await all_copied(buffer)
        assert sorted(await take(buffer)) == expected(range(POLLS))


async def test_what_is_to_be_delivered_comes_though_no_poll_does(bench):
    await fill(bench)
    make_corrupt(bench.path)
    async with bench.buffer() as buffer:
        await buffer.wait_for_pending()
        assert sorted(await take(buffer)) == expected(range(POLLS))


async def test_a_file_found_corrupt_in_use_is_copied_beside_the_polling(bench):
    """A batch under way is not sent again if the server has it; layouts keep their ids; what was in memory is there once."""
    await fill(bench)
    disk = Disk(float("inf"))
    async with bench.buffer(statvfs=disk, commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        batch = await buffer.next_batch(5)
        buffer.add(poll(layout, T0_US + POLLS))
        await buffer.secure()
        disk.looks = 0
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        assert buffer.salvaging
        await buffer.acknowledge(batch)
        buffer.add(poll(layout, T0_US + POLLS + 1))
        assert await take(buffer) == expected(range(POLLS, POLLS + 2))
        disk.looks = float("inf")
        await all_copied(buffer)
        assert not buffer.layouts_lost.is_set()
        assert sorted(await take(buffer)) == expected(range(POLLS))[5:]


async def test_nothing_that_belongs_together_is_removed_while_a_part_of_it_is_not_copied_yet(bench):
    """The upkeep of that time sees polls without their readings, and packs and layouts without their polls."""
    await fill(bench, packed=True)
    make_corrupt(bench.path)
    disk = Disk()
    async with bench.buffer(statvfs=disk) as buffer:
        while buffer.salvaging:
            disk.looks += 6
            for _ in range(3):
                await buffer.pending()
            await buffer.clean_up()
            bench.now_us += 60_000_000
        assert sorted(await take(buffer)) == expected(range(POLLS))
    assert bench.counters.total(Count.METRICS_DROPPED) == bench.counters.total(Count.METRICS_EXPIRED) == 0


async def test_a_full_disk_stops_the_copying_which_says_so_and_goes_on_once_there_is_room(bench):
    await fill(bench)
    make_corrupt(bench.path)
    disk = Disk(20)
    with capture_logs() as logs:
        async with bench.buffer(statvfs=disk) as buffer:
            while "it waits" not in buffer.salvaging:
                await buffer.pending()
            assert "it waits: the disk has no room for it, " in buffer.salvaging
            buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
            assert await take(buffer) == expected(range(POLLS, POLLS + 1))
            disk.looks = float("inf")
            await all_copied(buffer)
            assert sorted(await take(buffer)) == expected(range(POLLS))
    assert [line["event"] for line in logs].count("the corrupt database can't be copied now, will retry") >= 1


async def test_new_polls_do_not_go_for_room_while_older_ones_of_a_corrupt_file_wait_for_it(bench):
    await fill(bench)
    make_corrupt(bench.path)
    disk, wide = Disk(), Layout("wide", tuple((f"s-{i}", 1.0) for i in range(300)))
    async with bench.buffer(statvfs=disk) as buffer:
        layout = await buffer.register(wide)
        for number in range(2_000):
            buffer.add(Poll(layout, T0_US + POLLS + number, tuple(range(1 << 31, (1 << 31) + 300)), ((300, 0),), 300))
            if number % 100 == 99:
                await buffer.flush()
        assert "it waits" in buffer.salvaging
        assert (await buffer.pending()).polls == 2_000
        disk.looks = float("inf")
        await all_copied(buffer)
        assert (await buffer.pending()).polls == 2_000 + POLLS - SENT // 3
    assert bench.counters.total(Count.METRICS_EVICTED) == 0


async def test_corrupt_files_that_were_copied_before_make_room_for_one_that_is_not(bench):
    old = bench.path.with_name("agent.db.corrupt-20250101T000000Z")
    old.write_bytes(b"copied long ago")
    await fill(bench)
    make_corrupt(bench.path)
    async with bench.buffer(statvfs=Disk()) as buffer:
        while old.exists():
            await buffer.pending()
        assert bench.path.with_name("agent.db.corrupt-20260109T192215Z").exists()


async def test_what_was_delivered_is_left_behind_and_counted_if_there_is_no_room_for_it(bench):
    """All that is undelivered is copied before; what is left of a delivered poll is nothing."""
    await fill(bench)
    make_corrupt(bench.path)
    disk = Disk(float("inf"))
    is_low = []

    class Room(recovery.Room):
        def is_over(self, store):
            return bool(is_low)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("towerops_agent.buffer.buffer.Room", Room)
        is_low.append(True)
        async with bench.buffer(statvfs=disk) as buffer:
            await all_copied(buffer)
            assert sorted(await take(buffer)) == expected(range(POLLS))
    delivered = SENT // 3
    assert bench.counters.by_reason(Count.METRICS_EVICTED) == {"delivered": SENT}
    assert bench.rows("SELECT count(*) FROM polls") == bench.rows("SELECT count(*) FROM bodies") == [(POLLS - delivered,)]


@asynccontextmanager
async def sent_before_its_file_was_found_corrupt(bench: Bench):
    """A buffer, a batch that is under way and not in the new file yet, and the disk, which has no room for the copy so far."""
    await fill(bench)
    disk = Disk(float("inf"))
    async with bench.buffer(statvfs=disk) as buffer:
        batch = await buffer.next_batch(5)
        disk.looks = 0
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        yield buffer, batch, disk


async def test_a_batch_that_is_not_copied_yet_is_not_closed_as_one_of_which_nothing_is_left(bench):
    """Some of its polls are there already: that is not all of it."""
    async with sent_before_its_file_was_found_corrupt(bench) as (buffer, batch, disk):
        while buffer.salvaging:
            disk.looks = 1
            polls = await buffer.read(batch)
            assert members(polls) in ([], expected(range(POLLS))[:5])
            if not polls:
                await buffer.close_empty(batch)
        assert sorted(await take(buffer)) == expected(range(POLLS))


@pytest.mark.parametrize("end", ["stop", "kill", "new file removed", "new file corrupt", "new file corrupt at the start"])
async def test_a_batch_that_was_sent_while_it_was_not_copied_yet_is_not_sent_again_after(bench, tmp_path, end):
    """A server without idempotency keys would have it twice."""
    after = Bench(tmp_path / "after" / "agent.db", bench.now_us, keys=1000)
    async with sent_before_its_file_was_found_corrupt(bench) as (buffer, batch, _):
        await buffer.acknowledge(batch)
        match end:
            case "kill":
                while bench.rows("SELECT 1 FROM meta WHERE key LIKE 'salvage %' AND instr(value, '\"sent\":{}')"):
                    await buffer.pending()
                await buffer.ask(lambda _: copy_files(bench.path, after.path), sees_polls=False)
            case "new file removed":
                bench.path.unlink()
                while not bench.path.exists():
                    await buffer.pending()
            case "new file corrupt":
                bench.now_us += 61_000_000
                with pytest.raises(BufferFailure):
                    await buffer.ask(corrupt_error, sees_polls=False)
    if end == "new file corrupt at the start":
        make_corrupt(bench.path)
    async with (after if end == "kill" else bench).buffer(statvfs=Disk(float("inf"))) as buffer:
        await all_copied(buffer)
        assert sorted(await take(buffer)) == expected(range(POLLS))[5:]


async def test_a_kill_after_the_first_of_two_corrupt_files_is_copied_sends_no_batch_of_the_other_again(
    bench, tmp_path, monkeypatch
):
    """It was under way when its file was found corrupt, and delivered while the first one was copied."""
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us, keys=1000)
    end = quarantine.end

    def end_and_be_killed(path: Path, replaced: Path) -> None:
        end(path, replaced)
        if not after.path.exists():
            copy_files(bench.path, after.path)

    async with sent_before_its_file_was_found_corrupt(bench) as (buffer, first, disk):
        layout = await buffer.register(LAYOUT)
        for number in range(POLLS, POLLS + 5):
            buffer.add(poll(layout, T0_US + number))
        second = await buffer.next_batch(15)
        assert members(await buffer.read(second)) == expected(range(POLLS, POLLS + 5))
        bench.now_us += 61_000_000
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        await buffer.acknowledge(first)
        await buffer.acknowledge(second)
        monkeypatch.setattr(quarantine, "end", end_and_be_killed)
        disk.looks = float("inf")
        await all_copied(buffer)
    async with after.buffer(statvfs=Disk(float("inf"))) as buffer:
        await all_copied(buffer)
        assert sorted(await take(buffer)) == expected(range(POLLS))[5:]


@pytest.mark.parametrize("damage", [0, 4_096], ids=["its layouts can be read", "their block is destroyed"])
async def test_a_corrupt_file_is_not_copied_into_another_agents_database_that_was_put_there(bench, damage):
    """Ids are alike in both: its polls would be delivered as those of the other one's devices."""
    await fill(bench)
    make_corrupt(bench.path)
    if damage:
        content = bench.path.read_bytes()
        bench.path.write_bytes(bytes(damage) + content[damage:])
    async with bench.buffer(statvfs=Disk()) as buffer:
        assert buffer.salvaging
    own = {suffix: bench.path.with_name(f"agent.db{suffix}") for suffix in ("", "-wal", "-shm")}
    kept = {file: file.read_bytes() for file in own.values() if file.exists()}
    other = Bench(bench.path.with_name("other.db"), bench.now_us)
    async with other.buffer() as buffer:
        await buffer.register(replace(LAYOUT, equipment_id="eq-2"))
    other.path.rename(bench.path)
    with capture_logs() as logs:
        async with bench.buffer(statvfs=Disk(float("inf"))) as buffer:
            await all_copied(buffer)
            assert await take(buffer) == []
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "corrupt database is not copied into another agent's"
    ]
    for file, octets in kept.items():
        file.write_bytes(octets)
    async with bench.buffer(statvfs=Disk(float("inf"))) as buffer:
        await all_copied(buffer)
        assert sorted(await take(buffer)) == expected(range(POLLS))
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


def journal_ends_for(readable: Callable[..., object], bad: int) -> Callable[..., object]:
    """SQLite reads nothing of a file with a journal that it can't read to its end."""

    def read(file: Path, **options: bool) -> object:
        journal = file.with_name(f"{file.name}-wal")
        return None if journal.exists() and journal.stat().st_size > bad else readable(file, **options)

    return read


async def test_a_part_of_the_journal_that_does_not_answer_costs_what_is_behind_it_only(bench, tmp_path, monkeypatch):
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us)
    async with bench.buffer() as buffer:
        await buffer.keep_config(b"sealed")
        layout = await buffer.register(LAYOUT)
        for number in range(POLLS):
            buffer.add(poll(layout, T0_US + number))
            await buffer.flush()
        await buffer.ask(lambda _: copy_files(bench.path, after.path))
    name = "agent.db.corrupt-20260109T192215Z"
    for suffix in ("", "-wal", "-shm"):
        after.path.with_name(f"agent.db{suffix}").rename(after.path.with_name(name + suffix))
    after.path.with_name("agent.db.salvage").write_text(f"{name} moved\n")
    bad = after.path.with_name(f"{name}-wal").stat().st_size // 2 // quarantine.BLOCK_OCTETS * quarantine.BLOCK_OCTETS
    pread = os.pread

    def read(place: int, count: int, at: int) -> bytes:
        if Path(f"/proc/self/fd/{place}").readlink().name.endswith("-wal") and at <= bad < at + count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(place, count, at)

    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(recovery, "readable", journal_ends_for(recovery.readable, bad))
    async with after.buffer(statvfs=Disk(float("inf"))) as buffer:
        await all_copied(buffer)
        assert await buffer.kept_config() == b"sealed"
        found = sorted(await take(buffer))
    assert found == [(number, metric) for number in range(len(found) // 3) for metric in range(3)]
    assert POLLS > len(found) // 3 > POLLS // 4
    await asyncio.sleep(0)
    assert after.counters.get(Count.METRICS_DROPPED, "corrupt")


async def test_what_was_left_out_of_a_batch_is_kept_though_the_batch_is_not_copied_yet(bench):
    async with sent_before_its_file_was_found_corrupt(bench) as (buffer, batch, disk):
        for _ in range(2):
            await buffer.acknowledge(batch, [LeftOut(11, 0, "eq-1", b"{}", "no such sensor")])
        disk.looks = float("inf")
        await all_copied(buffer)
        assert [(one.metric, one.reason) for one in await buffer.refused()] == [(b"{}", "no such sensor")]
        assert sorted(await take(buffer)) == expected(range(POLLS))[5:]


async def test_a_tail_that_is_in_a_corrupt_file_only_comes_over_though_the_new_file_is_corrupt_too(bench, tmp_path):
    """What is in the tail of a file that was in use is in memory; of one that was corrupt at the start it is not."""
    await fill(bench)
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us, keys=1000)
    async with bench.buffer(commit_window_s=3600) as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        await buffer.secure()
        await buffer.ask(lambda _: copy_files(bench.path, after.path), sees_polls=False)
    make_corrupt(after.path)
    disk = Disk()
    async with after.buffer(statvfs=disk, commit_window_s=3600) as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS + 1))
        await buffer.secure()
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        disk.looks = float("inf")
        await all_copied(buffer)
        assert sorted(await take(buffer)) == expected(range(POLLS + 2))


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_kill_after_the_copy_costs_nothing_of_what_was_in_the_tail(bench, tmp_path, monkeypatch, at_once):
    """The copy leaves the tail out, as its polls are in memory too: they are on the disk before the note of the copy goes."""
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", (1 << 30) * at_once)
    await fill(bench)
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us, keys=1000)
    end = quarantine.end

    def end_and_be_killed(path, file):
        end(path, file)
        copy_files(bench.path, after.path)

    monkeypatch.setattr(quarantine, "end", end_and_be_killed)
    async with bench.buffer(statvfs=Disk(float("inf")), commit_window_s=3600) as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        await buffer.secure()
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        await all_copied(buffer)
    async with after.buffer(statvfs=Disk(float("inf"))) as buffer:
        assert sorted(await take(buffer)) == expected(range(POLLS + 1))


async def test_what_was_copied_of_a_corrupt_file_that_is_removed_meanwhile_does_not_stay_for_good(bench):
    await fill(bench)
    make_corrupt(bench.path)
    async with bench.buffer(statvfs=Disk(30)) as buffer:
        while "it waits" not in buffer.salvaging:
            await buffer.pending()
    for file in bench.path.parent.glob("*.corrupt-*"):
        file.unlink()
    assert bench.rows("SELECT count(*) FROM polls") != [(0,)]
    async with bench.buffer() as buffer:
        assert not buffer.salvaging
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM polls") == bench.rows("SELECT count(*) FROM bodies") == [(1,)]
        assert await take(buffer) == expected(range(POLLS, POLLS + 1))
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"corrupt": 1}


async def test_a_tail_that_was_stored_before_a_kill_is_not_delivered_twice_if_its_new_file_is_corrupt_later(bench, tmp_path):
    """The killed agent had it in memory, and noted that the new file has it: it comes over with that one."""
    await fill(bench)
    make_corrupt(bench.path)
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us + 122_000_000, keys=1000)
    async with bench.buffer(statvfs=Disk(), commit_window_s=3600) as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + POLLS))
        await buffer.secure()
        bench.now_us += 61_000_000
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        batch = await buffer.next_batch(50, Lane.FRESH)  # which the server may have
        await buffer.ask(lambda _: copy_files(bench.path, after.path), sees_polls=False)
    disk = Disk()
    async with after.buffer(statvfs=disk, commit_window_s=3600) as buffer:
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error, sees_polls=False)
        disk.looks = float("inf")
        await all_copied(buffer)
        keys = {}
        for lane in Lane:
            while again := await buffer.next_batch(50, lane):
                for metric in members(await buffer.read(again)):
                    keys.setdefault(metric, []).append(again.key)
                await buffer.acknowledge(again)
        assert sorted(keys) == expected(range(POLLS + 1))
        assert {*map(tuple, (keys[metric] for metric in expected(range(POLLS, POLLS + 1))))} == {(batch.key,)}


operations = st.lists(
    st.one_of(
        st.tuples(st.just("steps"), st.integers(1, 30)),
        st.tuples(st.just("add"), st.integers(1, 3)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("send"), st.integers(0, 1)),
        st.tuples(st.just("answer"), st.just(0)),
        st.tuples(st.just("clean up"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("corrupt"), st.just(0)),
        st.tuples(st.just("remove"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=40)
@given(operations, st.booleans(), st.sampled_from(sorted(DAMAGES)))
async def test_nothing_is_lost_or_delivered_twice_whatever_happens_during_the_copying(tmp_path_factory, steps, packed, damage):
    """Kills, among others; and the new file is found corrupt too, or removed, while batches are under way.

    What is sent again, as a kill came before it was acknowledged, has its key again; what was acknowledged is not sent again.
    """
    place = tmp_path_factory.mktemp("recovery")
    bench, disk, number, kills = Bench(place / "0" / "agent.db"), Disk(), POLLS, 0
    bench.path.parent.mkdir()
    delivered: dict[tuple[int, int], set[str]] = {}
    acknowledged: set[tuple[int, int]] = set()
    under_way: list[tuple[Batch, list[tuple[int, int]]]] = []
    await fill(bench, packed=packed)
    make_corrupt(bench.path, damage)
    buffer = await bench.buffer(statvfs=disk, commit_window_s=3600).__aenter__()

    async def send(lane: Lane) -> bool:
        batch = await buffer.next_batch(50, lane, {one.id for one, _ in under_way})
        if batch is None:
            return False
        found = members(await buffer.read(batch))
        assert acknowledged.isdisjoint(found)
        for metric in found:
            delivered.setdefault(metric, set()).add(batch.key)
        under_way.append((batch, found))
        return True

    async def answer() -> None:
        for batch, found in under_way:
            await buffer.acknowledge(batch)
            acknowledged.update(found)
        under_way.clear()

    async def deliver() -> None:
        for lane in Lane:
            while await send(lane):
                await answer()

    try:
        for what, argument in steps:
            match what:
                case "steps":
                    disk.looks = argument
                    for _ in range(argument):
                        await buffer.ask(lambda _: None, sees_polls=False)
                case "add":
                    layout = await buffer.register(LAYOUT)
                    for _ in range(argument):
                        buffer.add(poll(layout, T0_US + number))
                        number += 1
                    await buffer.secure()
                case "take":
                    await deliver()
                case "send":
                    await send((Lane.FRESH, Lane.BACKLOG)[argument])
                case "answer":
                    await answer()
                case "clean up":
                    await buffer.clean_up()
                case "kill":
                    for lane in Lane:
                        await send(lane)
                    under_way.clear()
                    acknowledged.clear()  # the last of it may not be on the disk
                    kills += 1
                    after = Bench(place / str(kills) / "agent.db", bench.now_us, keys=bench.keys + 1000 * kills)
                    await buffer.ask(lambda _, after=after, before=bench: copy_files(before.path, after.path), sees_polls=False)
                    await buffer.__aexit__(None, None, None)
                    bench, disk = after, Disk()
                    buffer = await bench.buffer(statvfs=disk, commit_window_s=3600).__aenter__()
                case "corrupt":
                    bench.now_us += 61_000_000
                    with pytest.raises(BufferFailure):
                        await buffer.ask(corrupt_error, sees_polls=False)
                case "remove":
                    bench.path.unlink()
                    while not bench.path.exists():
                        await buffer.pending()
        disk.looks = float("inf")
        await answer()
        await all_copied(buffer)
        await deliver()
    finally:
        await buffer.__aexit__(None, None, None)
    every = expected(range(POLLS)) + expected(range(POLLS, number))
    assert sorted(delivered) == every
    assert [metric for metric, keys in delivered.items() if len(keys) > 1] == []
    assert bench.counters.total(Count.METRICS_DROPPED) == 0
