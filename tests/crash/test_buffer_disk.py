"""Real file systems that fill up, or can't be written: polling goes on, and each metric is delivered or counted.

Needs the right to mount; skipped without.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support.skips import NO_MOUNT
from towerops_agent.buffer import opening, recovery, writer
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.ids import first_apart
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.counters import Count
from towerops_agent.doctor.database import check_database
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, Bench, add_until_in_memory, copy_files, members, poll

WIDE = Layout("wide", tuple((f"s-{i}", 1.0) for i in range(300)))
NOISE = tuple(random.Random(4).choices(range(1 << 31, 1 << 32), k=10_000))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(NO_MOUNT)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def failing_disk(tmp_path) -> Iterator[tuple[Path, Path]]:
    """An ext4 in a file, and what makes the kernel find an error in it, after which it accepts no writes."""
    place, image = tmp_path / "ext4", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    commands = (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop,errors=remount-ro", image, place])
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        pytest.skip(NO_MOUNT)
    if any(subprocess.run(command, check=False, capture_output=True).returncode for command in commands):
        pytest.skip(NO_MOUNT)
    try:
        device = Path(f"/sys/dev/block/{os.major(place.stat().st_dev)}:{os.minor(place.stat().st_dev)}").resolve()
        trigger = Path("/sys/fs/ext4", device.name, "trigger_fs_error")
        if not os.access(trigger, os.W_OK):
            pytest.skip(NO_MOUNT)
        yield place, trigger
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def remount(place: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", place], check=True, capture_output=True)


@contextmanager
def mounted_over(place: Path, disk: Path) -> Iterator[None]:
    """While within, what is on the disk is at the place."""
    subprocess.run(["mount", "--bind", disk, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(neighbour: Path) -> None:
    """Let a file take all that is free."""
    with suppress(OSError), neighbour.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    assert os.statvfs(neighbour).f_bavail == 0


def wide_poll(layout: int, number: int) -> Poll:
    begin = number * 307 % (len(NOISE) - 300)
    return Poll(layout, T0_US + number, NOISE[begin : begin + 300], ((300, 0),), 300)


async def delivered(buffer) -> list[int]:
    """The numbers of all polls that can be delivered."""
    found = []
    for lane in Lane:
        while batch := await buffer.next_batch(30_000, lane):
            found += [stored.poll.started_at_us - T0_US for stored in await buffer.read(batch)]
            await buffer.acknowledge(batch)
    return found


async def test_on_a_full_disk_the_oldest_polls_make_room_and_all_are_accounted_for(small_disk):
    bench = Bench(small_disk / "agent.db")
    async with bench.buffer() as buffer:
        layout = await buffer.register(WIDE)
        for number in range(10_000):
            buffer.add(wide_poll(layout, number))
            if number % 40 == 39:
                await buffer.flush()
        assert os.statvfs(small_disk).f_bavail > 0
        pending = await buffer.pending()
        evicted = bench.counters.by_reason(Count.METRICS_EVICTED)
        assert evicted == {"disk_low": 300 * 10_000 - pending.metrics}
        assert sorted(await delivered(buffer)) == list(range(10_000 - pending.polls, 10_000))
        assert pending.polls > 500
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_a_neighbour_that_fills_the_disk_costs_nothing_once_it_is_gone(small_disk, monkeypatch):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    bench = Bench(small_disk / "agent.db")
    async with bench.buffer() as buffer:
        layout = await buffer.register(WIDE)
        for number in range(500):
            buffer.add(wide_poll(layout, number))
        await buffer.flush()
        neighbour = small_disk / "neighbour"
        fill(neighbour)
        failed = 0
        for number in range(500, 4_000):
            buffer.add(wide_poll(layout, number))
            if number % 100 == 99:
                try:
                    await buffer.flush()
                except BufferFailure:
                    failed += 1
        was_full = bool(buffer.in_memory_because)
        neighbour.unlink()
        found = await delivered(buffer)
        await until_in_file(buffer)
        await buffer.flush()
        found += await delivered(buffer)
        assert len(set(found)) == len(found)
        lost = bench.counters.get(Count.METRICS_EVICTED, "disk_low")
        assert 300 * (4_000 - len(found)) == lost
        assert max(found) == 3_999
    assert failed or lost or was_full, "the disk was not full"


@pytest.mark.parametrize("before", [0, 1_500], ids=["from the start", "with a backlog"])
async def test_what_is_fresh_is_delivered_while_a_neighbour_holds_all_of_the_disk(small_disk, monkeypatch, before):
    """The API works: a round is some polls, and their delivery. What is lost is of before the disk was full, and counted."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    bench = Bench(small_disk / "agent.db")
    rounds, each = 100, 20
    async with bench.buffer() as buffer:
        layout = await buffer.register(WIDE)
        for number in range(before):
            buffer.add(wide_poll(layout, number))
        await buffer.flush()
        await buffer.part_backlog()
        fill(small_disk / "neighbour")
        found = []
        for first in range(before, before + rounds * each, each):
            for number in range(first, first + each):
                buffer.add(wide_poll(layout, number))
            with suppress(BufferFailure):
                found += await fresh(buffer)
        with suppress(BufferFailure):
            found += await fresh(buffer)
        new = [number for number in found if number >= before]
        assert len(set(new)) == len(new)
        assert len(new) > 0.95 * rounds * each
        assert buffer.in_memory_because.startswith("disk full")
        (small_disk / "neighbour").unlink()
        await until_in_file(buffer)
        assert not buffer.in_memory_because
        found += await delivered(buffer)
        lost = bench.counters.total(Count.METRICS_EVICTED) - bench.counters.get(Count.METRICS_EVICTED, "delivered")
        assert 300 * (before + rounds * each - len(set(found))) == lost + bench.counters.total(Count.METRICS_DROPPED)


async def test_a_clock_that_is_set_back_between_two_full_disks_costs_no_poll(small_disk, monkeypatch):
    """What was in memory then comes into the file behind all that was delivered from there before."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    bench = Bench(small_disk / "agent.db")
    found, added = [], 0
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for back_us in (0, HOUR_US, 30 * HOUR_US, -HOUR_US):
            bench.step(-back_us)
            buffer.add(poll(layout, T0_US + added))
            added += 1
            await buffer.flush()
            neighbour = small_disk / "neighbour"
            fill(neighbour)
            added = await add_until_in_memory(buffer, layout, added)
            neighbour.unlink()
            await until_in_file(buffer)
            for lane in Lane:
                while batch := await buffer.next_batch(30_000, lane):
                    found += [stored.poll.started_at_us - T0_US for stored in await buffer.read(batch)]
                    await buffer.acknowledge(batch)
    assert sorted(found) == list(range(added))


async def until_in_file(buffer) -> None:
    while await buffer.ask(lambda store: store.database.path) is None:
        pass


async def fresh(buffer) -> list[int]:
    """The numbers of the fresh polls, delivered."""
    found = []
    while batch := await buffer.next_batch(3_000):
        polls = await buffer.read(batch)
        await buffer.acknowledge(batch)
        found += [stored.poll.started_at_us - T0_US for stored in polls if stored.stop_metric == 300]
    return found


async def test_a_place_that_is_read_only_at_the_start_is_used_once_it_can_be(small_disk, monkeypatch):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    bench = Bench(small_disk / "agent.db")
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
    remount(small_disk, "ro")
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + 1))
        assert members(await buffer.read(await buffer.next_batch(10))) == [(1, 0), (1, 1), (1, 2)]
        remount(small_disk, "rw")
        while await buffer.ask(lambda store: store.database.path) is None:
            pass
        assert sorted(await delivered(buffer)) == [0, 1]


@pytest.mark.parametrize("left", [(), ("-wal", "-shm"), ("-wal",)], ids=["stopped", "killed", "without the journal's index"])
async def test_what_a_file_on_a_read_only_disk_keeps_is_used_at_the_start(small_disk, tmp_path, monkeypatch, left):
    """The configuration, above all: without the API nothing would be polled. What is kept meanwhile is later than what it has."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    before = Bench(tmp_path / "before" / "agent.db")
    async with before.buffer() as buffer:
        await buffer.keep_config(b"sealed")
        await buffer.put_meta("accepts", b"before")
        if left:
            await buffer.ask(lambda _: copy_files(before.path, small_disk / "left" / "agent.db"))
    for suffix in ("", *left):
        shutil.copy((small_disk / "left" if left else before.path.parent) / f"agent.db{suffix}", small_disk)
    remount(small_disk, "ro")
    bench = Bench(small_disk / "agent.db", before.now_us)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            assert buffer.in_memory_because
            assert await buffer.kept_config() == b"sealed"
            await buffer.put_meta("accepts", b"later")
            buffer.add(poll(await buffer.register(LAYOUT), T0_US + 1))
            assert await buffer.get_meta("accepts") == b"later"
            remount(small_disk, "rw")
            await until_in_file(buffer)
            assert await buffer.get_meta("accepts") == b"later"
            assert await buffer.kept_config() == b"sealed"
            assert await delivered(buffer) == [1]
    assert "database can be read: what it keeps is used, as the last configuration is" in [line["event"] for line in logs]


async def test_a_file_system_that_the_kernel_has_made_read_only_is_called_so(failing_disk, monkeypatch):
    """By an agent that runs, by one that starts, and by the doctor. Since Linux 6 an ext4 calls itself writable then.

    Before, they said that the agent needs write access, and that it works.
    """
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    place, trigger = failing_disk
    bench = Bench(place / "agent.db")
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        await buffer.flush()
        trigger.write_text("1")
        buffer.add(poll(layout, T0_US + 1))
        while "its file system is read-only, `dmesg` says" not in buffer.in_memory_because:
            with suppress(BufferFailure):
                await buffer.flush()
        assert await delivered(buffer) == [1]
    async with bench.buffer() as buffer:
        assert "its file system is read-only, `dmesg` says" in buffer.in_memory_because
    file, *_ = check_database(bench.path, 1 << 30)
    assert file.found == f"{bench.path} can't be written"
    assert "its file system is read-only: `dmesg` says" in file.hint


async def test_what_a_file_on_a_full_disk_keeps_is_used_at_the_start(small_disk, tmp_path):
    """The agent was killed, and its journal's index has no room."""
    before = Bench(tmp_path / "before" / "agent.db")
    async with before.buffer() as buffer:
        await buffer.keep_config(b"sealed")
        await buffer.ask(lambda _: copy_files(before.path, tmp_path / "killed" / "agent.db"))
    for name in ("agent.db", "agent.db-wal"):
        shutil.copy(tmp_path / "killed" / name, small_disk)
    small_disk.joinpath("agent.db.lock").write_text("1")
    fill(small_disk / "neighbour")
    async with Bench(small_disk / "agent.db", before.now_us).buffer() as buffer:
        assert buffer.in_memory_because
        assert await buffer.kept_config() == b"sealed"


@pytest.mark.parametrize("left", [(), ("-wal", "-shm")], ids=["stopped", "killed"])
@pytest.mark.parametrize("first_id", [lambda: 1, first_apart], ids=["an earlier version's", "this version's"])
async def test_a_disk_that_is_mounted_over_a_new_database_is_gone_on_with(small_disk, tmp_path, monkeypatch, left, first_id):
    """The agent was quicker than the mount. All that waits on the disk, and what came since, is delivered once."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    before = Bench(tmp_path / "before" / "agent.db")
    other = Layout("other", (("s", 1.0),))
    async with before.buffer(first_id=first_id) as buffer:
        await buffer.keep_config(b"sealed")
        layout = await buffer.register_all([other, LAYOUT])
        for number in range(4):
            buffer.add(poll(layout[1], T0_US + number))
        await buffer.flush()
        await buffer.next_batch(5)
        if left:
            await buffer.ask(lambda _: copy_files(before.path, tmp_path / "killed" / "agent.db"))
    for suffix in ("", *left):
        shutil.copy((tmp_path / "killed" if left else before.path.parent) / f"agent.db{suffix}", small_disk)
    place = tmp_path / "mounted"
    place.mkdir()
    bench = Bench(place / "agent.db", before.now_us)
    async with bench.buffer(first_id=first_apart) as buffer:
        layout = await buffer.register_all([LAYOUT, other])
        for number in range(10, 14):
            buffer.add(poll(layout[0], T0_US + number))
        await buffer.flush()
        batch = await buffer.next_batch(5)
        found = members(await buffer.read(batch))
        with mounted_over(place, small_disk):
            while await buffer.kept_config() is None:
                assert "another agent" not in buffer.in_memory_because
            buffer.add(poll(layout[0], T0_US + 14))
            await buffer.acknowledge(batch)
            for lane in Lane:
                while batch := await buffer.next_batch(9, lane):
                    polls = await buffer.read(batch)
                    assert {stored.layout for stored in polls} == {LAYOUT}
                    found += members(polls)
                    await buffer.acknowledge(batch)
            assert not buffer.in_memory_because
            assert bench.rows("SELECT count(*) FROM polls") == [(9,)]
    assert sorted(found) == [(number, metric) for number in (*range(4), *range(10, 15)) for metric in range(3)]


async def test_what_was_begun_below_a_mount_is_not_delivered_again_at_the_next_boot(small_disk, tmp_path, monkeypatch):
    """At each boot the agent is quicker than the mount, and finds what it began there at the one before.

    All of that was delivered from the disk, and came from the first boot again before the disk was there.
    """
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    async with Bench(small_disk / "agent.db").buffer(first_id=first_apart) as buffer:
        await buffer.register(LAYOUT)
    place = tmp_path / "mounted"
    place.mkdir()
    bench = Bench(place / "agent.db")
    for boot in range(3):
        with ExitStack() as disk:
            async with bench.buffer(first_id=first_apart) as buffer:
                assert await delivered(buffer) == []
                assert await buffer.kept_config() is None
                layout = await buffer.register(LAYOUT)
                buffer.add(poll(layout, T0_US + boot))
                await buffer.keep_config(b"sealed")
                await buffer.flush()
                assert bench.rows("SELECT count(*) FROM polls") == [(1,)]
                disk.enter_context(mounted_over(place, small_disk))
                while not bench.rows("SELECT 1 FROM polls WHERE started_at_us = " + str(T0_US + boot)):
                    assert "another agent" not in buffer.in_memory_because
                    await buffer.pending()
                assert await delivered(buffer) == [boot]
                assert await buffer.kept_config() == b"sealed"
        bench.now_us += HOUR_US
    kept = Bench(small_disk / "agent.db").rows("SELECT started_at_us FROM polls ORDER BY started_at_us")
    assert kept == [(T0_US + boot,) for boot in range(3)]


async def test_a_corrupt_file_comes_over_whatever_room_there_is_at_the_start_for_its_journals_index(
    small_disk, tmp_path, monkeypatch
):
    """A power cut can take the index. Before, the file was given up if the new one had room for an index, and it had not."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    monkeypatch.setattr(recovery, "AGAIN_S", 0.001)
    before = Bench(tmp_path / "before" / "agent.db")
    async with before.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(9):
            buffer.add(poll(layout, T0_US + number))
        await buffer.flush()
        await buffer.ask(lambda _: copy_files(before.path, tmp_path / "killed" / "agent.db"))
    bench = Bench(small_disk / "agent.db", before.now_us)
    async with bench.buffer():
        pass
    corrupt, began = "agent.db.corrupt-20260109T192215Z", bench.path.read_bytes()
    neighbour = small_disk / "neighbour"
    for blocks in range(40):
        bench.path.write_bytes(began)
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / "killed" / f"agent.db{suffix}", small_disk / (corrupt + suffix))
        small_disk.joinpath("agent.db.salvage").write_text(f"{corrupt} moved\n")
        fill(neighbour)
        os.truncate(neighbour, neighbour.stat().st_size - 4096 * blocks)
        async with bench.buffer() as buffer:
            neighbour.unlink()
            await until_in_file(buffer)
            while buffer.salvaging:
                await buffer.salvage()
            assert sorted(await delivered(buffer)) == list(range(9)), f"with {blocks} blocks"
        for name in (corrupt, f"{corrupt}-wal", f"{corrupt}-shm"):
            small_disk.joinpath(name).unlink(missing_ok=True)
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


def use_up_inodes(place: Path) -> None:
    remount(place, "nr_inodes=8")
    with suppress(OSError):
        for number in range(8):
            (place / f"neighbour-{number}").touch()
    assert os.statvfs(place).f_favail == 0


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "stopped"])
@pytest.mark.parametrize(
    ("use_up", "reason"),
    [
        (lambda place: fill(place / "neighbour"), "its disk is full: make room there"),
        (use_up_inodes, "its disk has no inodes left: remove files there"),
        (lambda place: remount(place, "ro"), "its file system is read-only"),
    ],
    ids=["full", "no inodes", "read-only"],
)
async def test_what_the_disk_lacks_is_said_if_the_database_cannot_be_opened(small_disk, use_up, reason, is_there):
    bench = Bench(small_disk / "agent.db")
    if is_there:
        async with bench.buffer():
            pass
    use_up(small_disk)
    async with bench.buffer() as buffer:
        assert reason in buffer.in_memory_because
        assert "permissions" not in buffer.in_memory_because


@pytest.mark.parametrize("left", [("-wal", "-shm"), ("-wal",), ()], ids=["killed", "without the journal's index", "stopped"])
@pytest.mark.parametrize("disk", ["full", "read-only"])
async def test_commands_read_what_a_killed_agent_left_on_a_disk_that_accepts_nothing(small_disk, tmp_path, disk, left):
    """A card that was taken out of a box that died, mounted read-only, or a copy of it."""
    before = Bench(tmp_path / "before" / "agent.db")
    async with before.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.flush()
        await buffer.ask(lambda _: copy_files(before.path, tmp_path / "killed" / "agent.db"))
    for suffix in ("", *left):
        shutil.copy((tmp_path / "killed" if left else before.path.parent) / f"agent.db{suffix}", small_disk)
    if disk == "full":
        fill(small_disk / "neighbour")
    else:
        remount(small_disk, "ro")
    with DatabaseReader(small_disk / "agent.db") as reader:
        assert reader.pending().metrics == 3
        assert reader.newest_poll_us() == T0_US


async def test_a_disk_without_room_at_the_start_is_used_once_there_is(small_disk, monkeypatch):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    neighbour = small_disk / "neighbour"
    fill(neighbour)
    bench = Bench(small_disk / "agent.db")
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.flush()
        neighbour.unlink()
        while await buffer.ask(lambda store: store.database.path) is None:
            pass
        assert await delivered(buffer) == [0]
    assert bench.rows("SELECT count(*) FROM polls") == [(1,)]
