"""What is at DATABASE_PATH: a database, something else that is left alone, or nothing any more."""

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import opening, place, retention
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.database import Database
from towerops_agent.buffer.format.batch import Batch, Lane
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.store import Store
from towerops_agent.counters import Count
from towerops_agent.doctor.database import check_agent
from towerops_agent.doctor.findings.check import Result
from towerops_agent.errors import BufferFailure, DatabaseBusy
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, Bench, add_until_in_memory, copy_files, limit_growth, members, poll

GONE = "database file is gone from its place, its polls are copied"


def a_text(path: Path) -> None:
    path.write_text("127.0.0.1 localhost\n" * 2_000)


def a_picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [a_text, a_picture, a_directory, a_pipe, a_device])
async def test_what_is_not_a_database_is_refused_in_one_line_and_stays_as_it_is(bench, make):
    make(bench.path)
    if bench.path.is_file():
        bench.path.chmod(0o644)
    before = (bench.path.stat().st_mode, bench.path.stat().st_ino, bench.path.is_file() and bench.path.read_bytes())
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            buffer.add(poll(await buffer.register(LAYOUT)))
            await buffer.flush()
            await buffer.acknowledge(await buffer.next_batch(10))
    assert (bench.path.stat().st_mode, bench.path.stat().st_ino, bench.path.is_file() and bench.path.read_bytes()) == before
    assert sorted(path.name for path in bench.path.parent.iterdir()) == ["agent.db", "agent.db.lock"]
    (line,) = logs
    assert line["event"] == "buffer can't be opened, polls stay in memory; will retry"
    assert "choose another DATABASE_PATH" in line["reason"]


def test_a_second_agent_is_refused_though_somebody_removed_the_lock_file(bench):
    """Before, it said that it is open in its own process, and the doctor that the first one can't use it."""
    first = Database.open(bench.path, T0_US)
    bench.path.with_name("agent.db.lock").unlink()
    for _ in range(2):
        found = check_agent(bench.path)
        assert found.result is Result.OK
        assert found.found == (
            f"an agent runs on this database (its lock file was removed; `fuser {bench.path}` shows its process)"
        )
        with pytest.raises(DatabaseBusy, match=rf"is open in another agent \(`fuser {bench.path}` shows its process\): stop"):
            Database.open(bench.path, T0_US)
    first.close()
    Database.open(bench.path, T0_US).close()


def removed(path: Path) -> None:
    for file in path.parent.glob("agent.db*"):
        file.unlink()


def the_file_only_removed(path: Path) -> None:
    path.unlink()


def directory_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replaced_by_an_empty_file(path: Path) -> None:
    path.with_name("other").touch()
    path.with_name("other").rename(path)


def journal_removed(path: Path) -> None:
    path.with_name("agent.db-wal").unlink()


CHANGES = [removed, the_file_only_removed, directory_removed, moved_away, replaced_by_an_empty_file, journal_removed]


@dataclass(frozen=True, slots=True)
class FileGone:
    """A buffer whose file is gone from its place. Of each of its five polls, an hour apart, three metrics.

    `layout`: of all polls. `batch`: the open one, of the 4 metrics behind the 4 that are delivered; the other 7 are in none.
    """

    buffer: Buffer
    layout: int
    batch: Batch


@pytest.fixture(params=CHANGES)
async def gone(request, bench, monkeypatch) -> AsyncIterator[FileGone]:
    """A day after the database began, and noticed; in the end the agent has a file of its own again, and nothing is lost."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            await buffer.keep_config(b"sealed")
            bench.now_us += 30 * HOUR_US
            for number in range(5):
                buffer.add(poll(layout, T0_US + number))
                await buffer.flush()
                bench.now_us += HOUR_US
            await buffer.acknowledge(await buffer.next_batch(4))
            batch = await buffer.next_batch(4)
            request.param(bench.path)
            while not any(line["event"] == GONE for line in logs):
                await buffer.pending()
            yield FileGone(buffer, layout, batch)
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [GONE]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_what_was_in_a_file_that_goes_away_goes_on_in_another(bench, gone):
    """With the ids of layouts and the open batch, and nothing twice; what comes after is in the file that is at the path."""
    buffer = gone.buffer
    buffer.add(poll(gone.layout, T0_US + 5))
    assert (await buffer.next_batch(4)).key == gone.batch.key
    found = []
    for lane in Lane:
        while some := await buffer.next_batch(100, lane):
            found += members(await buffer.read(some))
            await buffer.acknowledge(some)
    assert sorted(found) == [(number, metric) for number in range(6) for metric in range(3)][4:]
    assert await buffer.kept_config() == b"sealed"
    assert not buffer.layouts_lost.is_set()
    # The file at the path is the one that is written.
    assert bench.rows("SELECT count(*) FROM polls WHERE started_at_us = " + str(T0_US + 5)) == [(1,)]


async def test_what_was_in_a_file_that_goes_away_expires_after_a_day_and_not_before(bench, gone):
    """By an age clock that begins at 0, as that of a new file, all that was stored before would be of later, and damaged.

    The open batch expires as a whole, with its latest poll.
    """
    gone.buffer.add(poll(gone.layout, T0_US + 5))
    await gone.buffer.flush()
    for hours, left in ((0, 14), (20, 14), (1, 14), (1, 9), (1, 6)):
        bench.now_us += hours * HOUR_US
        await gone.buffer.clean_up()
        assert (await gone.buffer.pending()).metrics == left
    assert bench.counters.total(Count.METRICS_EXPIRED) == 8


async def test_polls_that_are_in_the_tail_of_a_file_that_goes_away_are_on_the_disk_at_once(bench, tmp_path, monkeypatch):
    """Nobody asks for them, and the agent is killed."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    after = Bench(tmp_path / "killed" / "agent.db", bench.now_us)
    with capture_logs() as logs:
        async with bench.buffer(commit_window_s=3600) as buffer:
            buffer.add(poll(await buffer.register(LAYOUT)))
            await buffer.secure()
            removed(bench.path)
            while not any(line["event"] == "buffer opened, the polls in memory are stored" for line in logs):
                await buffer.ask(lambda _: None, sees_polls=False)
            await buffer.ask(lambda _: copy_files(bench.path, after.path), sees_polls=False)
    async with after.buffer() as buffer:
        assert members(await buffer.read(await buffer.next_batch(9))) == [(0, 0), (0, 1), (0, 2)]


def test_a_journal_that_nobody_can_look_at_is_not_taken_for_a_removed_one(tmp_path):
    file = tmp_path / "agent.db"
    file.write_bytes(b"octets")
    with file.open("rb") as opened:
        assert place.change(file, tmp_path / ("long" * 100), opened.fileno()) is None
        assert place.change(file, tmp_path / "agent.db-wal", opened.fileno()) == "its journal was removed"


async def test_a_file_that_is_emptied_is_noticed_and_its_losses_are_counted(bench, monkeypatch):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(5):
            buffer.add(poll(layout, T0_US + number))
        await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        await buffer.ask(lambda store: store.connection.execute("PRAGMA cache_size = 0").fetchall())
        os.truncate(bench.path, 0)
        monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
        await buffer.layouts_lost.wait()
        buffer.add(poll(await buffer.register(LAYOUT), T0_US + 5))
        found = members(await buffer.read(await buffer.next_batch(100)))
        assert found[-3:] == [(5, 0), (5, 1), (5, 2)]
        lost = bench.counters.total(Count.METRICS_DROPPED)
    assert lost
    assert lost <= 18 - len(found)


def fail_on_the_database(call: Callable[[int], object], number: int) -> Callable[[int], object]:
    """As a file system in user space has it whose disk or whose process is gone: exFAT, NTFS."""

    def failing(place: int) -> object:
        is_of_disk = Path(f"/proc/self/fd/{place}").readlink().name.startswith("agent.db")
        result = call(place)
        if is_of_disk:
            raise OSError(number, os.strerror(number))
        return result

    return failing


@pytest.mark.parametrize("call", ["fstat", "close"])
async def test_a_file_whose_disk_is_gone_and_that_cannot_be_looked_at_or_closed_ends_nothing(bench, monkeypatch, call):
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            buffer.add(poll(layout))
            await buffer.flush()
            with monkeypatch.context() as patched:
                patched.setattr(os, call, fail_on_the_database(getattr(os, call), errno.ENOTCONN))
                replaced_by_an_empty_file(bench.path)
                while not any(line["event"] == GONE for line in logs):
                    await buffer.pending()
            buffer.add(poll(layout, T0_US + 1))
            found = [one for lane in Lane for one in members((await buffer.take_batch(9, lane))[1])]
            assert sorted(found) == [(number, metric) for number in range(2) for metric in range(3)]
            while buffer.in_memory_because:
                await buffer.pending()


@pytest.mark.parametrize("call", ["fstat", "close"])
async def test_a_disk_on_which_no_file_can_be_looked_at_or_closed_ends_no_start(bench, monkeypatch, call):
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail_on_the_database(getattr(os, call), errno.EIO))
        patched.setattr(os, "truncate", refuse_all)
        async with bench.buffer() as buffer:
            buffer.add(poll(await buffer.register(LAYOUT)))
            assert (await buffer.pending()).metrics == 3
            assert buffer.in_memory_because
            patched.undo()
            while buffer.in_memory_because:
                await buffer.pending()
            assert (await buffer.pending()).metrics == 3


def test_a_disk_that_does_not_answer_is_said_to_be_that(bench, monkeypatch):
    """A USB disk that was pulled out; its directory's rights are not what is wrong."""
    monkeypatch.setattr(os, "open", refuse_all)
    with pytest.raises(BufferFailure, match=r"\(Input/output error\): its disk does not answer"):
        Database.open(bench.path, T0_US)


def refuse_all(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_another_file_in_its_place_is_left_alone(bench, monkeypatch):
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        await buffer.flush()
        removed(bench.path)
        a_text(bench.path)
        content = bench.path.read_bytes()
        while await buffer.ask(lambda store: store.database.path) is not None:
            pass
        buffer.add(poll(layout, T0_US + 1))
        assert (await buffer.pending()).metrics == 6
        assert bench.path.read_bytes() == content


async def put_another_agents_database_in_its_place(
    bench: Bench, equipment: str, count: int, away: Path | None = None, first_id: int = 1
) -> None:
    """`away`: where to move the file that is there; None: it is removed."""
    other = Bench(bench.path.with_name("other.db"), bench.now_us + 1)
    async with other.buffer(first_id=lambda: first_id) as buffer:
        layout = await buffer.register(replace(LAYOUT, equipment_id=equipment))
        for number in range(count):
            buffer.add(poll(layout, T0_US + 100 + number))
    if away is not None:
        bench.path.rename(away)
    other.path.rename(bench.path)


@pytest.mark.parametrize(
    ("equipment", "count", "first_id"),
    [("eq-2", 0, 1), ("eq-1", 1, 1), ("eq-2", 1, 1 << 33)],
    ids=["its layouts", "its polls", "its devices"],
)
async def test_another_agents_database_in_its_place_is_not_mixed_with_it(bench, monkeypatch, equipment, count, first_id):
    """If both give out ids from 1 on, what is polled of one device would be delivered as another's.

    If not, what waits in it would be delivered as this agent's.
    """
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            await buffer.line_up(["graphs"])
            layout = await buffer.register(LAYOUT)
            buffer.add(poll(layout))
            await buffer.flush()
            await put_another_agents_database_in_its_place(bench, equipment, count, first_id=first_id)
            while not any(line["event"] == GONE for line in logs):
                await buffer.pending()
            buffer.add(poll(layout, T0_US + 1))
            found = []
            for lane in Lane:
                while batch := await buffer.next_batch(9, lane, destination="graphs"):
                    found += await buffer.read(batch)
                    await buffer.acknowledge(batch)
            assert sorted(members(found)) == [(number, metric) for number in range(2) for metric in range(3)]
            assert {stored.layout for stored in found} == {LAYOUT}
            while "restart this agent to use it" not in buffer.in_memory_because:
                await buffer.pending()
    assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US + 100,)] * count
    assert bench.rows("SELECT destination FROM uncut") == [("",)], "what waits in it is not given to this agent's destinations"
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_another_agents_database_that_is_put_there_while_the_disk_is_full_is_not_mixed_with_it(bench, monkeypatch):
    """As somebody swaps a full disk for another box's: what waited in that would be delivered as this agent's."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    free = 1 << 20
    disk = lambda _: SimpleNamespace(f_blocks=1 << 21, f_bavail=free, f_frsize=4096)  # noqa: E731
    away = bench.path.with_name("away.db")
    async with bench.buffer(statvfs=disk, first_id=lambda: 1 << 32) as buffer:
        layout = await buffer.register(LAYOUT)
        await limit_growth(buffer, 0)
        free = 0
        for number in range(2_000):
            buffer.add(poll(layout, T0_US + number))
            with suppress(BufferFailure):
                await buffer.flush()
            if buffer.in_memory_because:
                break
        assert buffer.in_memory_because
        await put_another_agents_database_in_its_place(bench, "eq-2", 3, away, first_id=1 << 33)
        free = 1 << 20
        while "restart this agent to use it" not in buffer.in_memory_because:
            await buffer.pending()
            assert buffer.in_memory_because
        assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US + 100,), (T0_US + 101,), (T0_US + 102,)]
        bench.path.unlink()
        away.rename(bench.path)
        while buffer.in_memory_because:
            await buffer.pending()
        buffer.add(poll(layout, T0_US + 5_000))
        await buffer.flush()
        assert (T0_US + 5_000,) in bench.rows("SELECT started_at_us FROM polls")
        assert bench.rows("SELECT count(*) FROM layouts") == [(1,)]


async def test_its_own_database_is_used_again_though_all_of_its_devices_are_others_since_the_disk_was_full(bench, monkeypatch):
    """As if its only device was removed from the server and added again: the file was held to be another agent's."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    free = 1 << 20
    disk = lambda _: SimpleNamespace(f_blocks=1 << 21, f_bavail=free, f_frsize=4096)  # noqa: E731
    async with bench.buffer(statvfs=disk) as buffer:
        layout = await buffer.register(LAYOUT)
        await limit_growth(buffer, 0)
        free = 0
        number = await add_until_in_memory(buffer, layout)
        added_again = await buffer.register(replace(LAYOUT, equipment_id="eq-2"))
        await buffer.use_layouts([added_again])
        for lane in Lane:
            while batch := await buffer.next_batch(1_000, lane):
                await buffer.acknowledge(batch)
        bench.now_us += HOUR_US
        while await buffer.ask(layouts_in) > 1:
            await buffer.clean_up()
        free = 1 << 20
        while buffer.in_memory_because:
            assert "another agent's" not in buffer.in_memory_because
            await buffer.pending()
        buffer.add(poll(added_again, T0_US + number))
        await buffer.flush()
    assert bench.rows("SELECT started_at_us FROM polls ORDER BY id DESC LIMIT 1") == [(T0_US + number,)]


def layouts_in(store: Store) -> int:
    """How many layouts the Store has."""
    (count,) = store.connection.execute("SELECT count(*) FROM layouts").fetchone()
    return int(count)


@pytest.mark.parametrize("is_noticed", [False, True])
@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_file_that_is_moved_away_has_the_polls_of_its_journal(bench, monkeypatch, is_replaced, is_noticed):
    """They are in no other place if the agent is stopped before it looks, or has them in memory only, as another's is there."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001 if is_noticed else 3600.0)
    away = bench.path.with_name("away.db")
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            buffer.add(poll(layout))
            await buffer.flush()
            if is_replaced:
                await put_another_agents_database_in_its_place(bench, "eq-2", 1, away)
            else:
                bench.path.rename(away)
            while is_noticed and not any(line["event"] == GONE for line in logs):
                await buffer.pending()
    found = sqlite3.connect(away)
    assert found.execute("SELECT started_at_us FROM polls").fetchall() == [(T0_US,)]
    found.close()
    if is_replaced:
        assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US + 100,)]


async def test_its_own_file_put_back_in_place_of_another_agents_goes_on_with_what_is_in_memory(bench, monkeypatch):
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    away = bench.path.with_name("away.db")
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        await buffer.flush()
        await put_another_agents_database_in_its_place(bench, "eq-2", 1, away)
        while "put this agent's own back" not in buffer.in_memory_because:
            await buffer.pending()
        buffer.add(poll(layout, T0_US + 1))
        away.rename(bench.path)
        while buffer.in_memory_because:
            await buffer.pending()
        assert (await buffer.pending()).metrics == 6
    assert bench.rows("SELECT started_at_us FROM polls ORDER BY id") == [(T0_US,), (T0_US + 1,)]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_an_earlier_copy_of_it_in_its_place_goes_on_with_what_was_in_it(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    copy = tmp_path / "copy.db"
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            buffer.add(poll(layout))
            await buffer.flush()
            await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            shutil.copy(bench.path, copy)
            buffer.add(poll(layout, T0_US + 1))
            await buffer.acknowledge(await buffer.next_batch(4))
            copy.rename(bench.path)
            while not any(line["event"] == GONE for line in logs):
                await buffer.pending()
            assert not buffer.in_memory_because
            batch = await buffer.next_batch(9, Lane.BACKLOG)
            assert members(await buffer.read(batch)) == [(1, 1), (1, 2)]
            await buffer.acknowledge(batch)
            assert (await buffer.pending()).metrics == 0
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


async def test_what_another_database_of_this_agent_in_its_place_has_delivered_is_not_delivered_again(bench, monkeypatch):
    """On a disk that is mounted after the start. Its ids are higher, and the oldest batch that it has begins within a poll."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    disk = Bench(bench.path.with_name("disk.db"), bench.now_us)
    async with disk.buffer(first_id=lambda: 1 << 33) as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(3):
            buffer.add(poll(layout, T0_US + number))
        for _ in range(2):
            disk.now_us += HOUR_US
            await buffer.acknowledge(await buffer.next_batch(4))
        removed = await buffer.ask(lambda store: retention.remove_sent(store.connection, store.age_s - 1))
        assert removed.metrics == 4
    with capture_logs() as logs:
        async with bench.buffer(first_id=lambda: 1 << 32) as buffer:
            buffer.add(poll(await buffer.register(LAYOUT), T0_US + 10))
            await buffer.flush()
            disk.path.rename(bench.path)
            while not any(line["event"] == GONE for line in logs):
                await buffer.pending()
            while await buffer.ask(lambda store: store.database.path) is None:
                pass
            found = []
            for lane in Lane:
                while batch := await buffer.next_batch(9, lane):
                    found += members(await buffer.read(batch))
                    await buffer.acknowledge(batch)
            assert sorted(found) == [(2, 2), (10, 0), (10, 1), (10, 2)]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


PEAK = Path("/proc/self/clear_refs")


def memory_kb(name: str) -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0])


@pytest.mark.skipif(not PEAK.exists(), reason="this kernel does not say how much memory a process took at most since then")
async def test_a_large_backlog_is_not_copied_through_memory(bench, monkeypatch):
    """33 MB of undelivered polls go into the new file; the process grows by a fraction of that, and leaves nothing beside it."""
    layout = Layout("eq-1", tuple((f"s-{i}", 1.0) for i in range(330)))
    async with bench.buffer() as buffer:
        number = await buffer.register(layout)
        for i in range(10_000):
            buffer.add(Poll(number, T0_US + i, tuple(range(1 << 40, (1 << 40) + 330)), ((330, 1),), 330))
            if i % 500 == 499:
                await buffer.flush()
        PEAK.write_text("5")
        before_kb = memory_kb("VmRSS")
        monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
        bench.path.unlink()
        while (await buffer.pending()).backlog_metrics < 330 * 10_000:
            pass
        grown_kb = memory_kb("VmHWM") - before_kb
    assert bench.path.stat().st_size > 30_000_000
    assert grown_kb < 10_000
    assert sorted(path.name for path in bench.path.parent.glob("agent.db*")) == ["agent.db", "agent.db.lock"]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


FIRST = 4_096
"""Octets of a file that lie in one block of a disk."""


def unreadable_below(end: int, file: Path, monkeypatch) -> None:
    """The disk does not answer for the first octets of the file, wherever it is moved, as far as Python reads them.

    Until a block is written as a whole, as disks have it: they put it elsewhere then.
    """
    pread, pwrite, inode = os.pread, os.pwrite, file.stat().st_ino
    bad = set(range(0, end, FIRST))

    def read(place: int, count: int, at: int) -> bytes:
        if at // FIRST * FIRST in bad and at < end and os.fstat(place).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(place, count, at)

    def write(place: int, octets: bytes, at: int) -> int:
        if at in bad and len(octets) == FIRST:
            bad.remove(at)
        elif at // FIRST * FIRST in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pwrite(place, octets, at)

    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(os, "pwrite", write)


async def test_a_file_whose_first_block_does_not_answer_is_replaced_and_what_can_be_read_of_it_is_used(bench, monkeypatch):
    """Before, the agent stayed in memory for as long as the disk was as it was."""
    async with bench.buffer() as buffer:
        await buffer.keep_config(b"sealed")
        layout = await buffer.register(LAYOUT)
        await buffer.register_all([Layout(f"eq-{number}", LAYOUT.sensors) for number in range(2, 50)])
        for number in range(300):
            buffer.add(poll(layout, T0_US + number))
    content = bench.path.read_bytes()
    bench.path.write_bytes(bytes(FIRST) + content[FIRST:])  # what SQLite is to see of it
    unreadable_below(FIRST, bench.path, monkeypatch)
    async with bench.buffer() as buffer:
        assert not buffer.in_memory_because
        assert buffer.replaced is not None
        assert await buffer.kept_config() == b"sealed"
        batch = await buffer.next_batch(1_000, Lane.BACKLOG)
        assert len(members(await buffer.read(batch))) == 300 * 3


def test_a_file_of_which_nothing_can_be_read_is_not_moved(tmp_path, monkeypatch):
    """As of a disk that was pulled out: it may be back later."""
    file = tmp_path / "agent.db"
    Database.open(file, T0_US).close()
    unreadable_below(1 << 24, file, monkeypatch)
    with pytest.raises(BufferFailure, match="Input/output error"):
        Database.open(file, T0_US)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["agent.db", "agent.db.lock"]


def test_what_looks_like_no_database_behind_a_block_that_does_not_answer_is_left_alone(tmp_path, monkeypatch):
    file = tmp_path / "agent.db"
    a_text(file)
    unreadable_below(16, file, monkeypatch)
    with pytest.raises(BufferFailure, match="is not a database"):
        Database.open(file, T0_US)
    assert file.exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, None], ids=["another user's", "no modes", "mode ignored"])
async def test_a_file_system_without_modes_has_a_database_and_a_warning(bench, monkeypatch, number):
    """FAT: all files have one mode, which is changed by nobody, and by others than their owner with an error."""

    def change_mode(*_, **__) -> None:
        if number is not None:
            raise OSError(number, os.strerror(number))

    before = os.umask(0)
    try:
        for name in ("agent.db", "agent.db.lock"):
            bench.path.with_name(name).touch(0o777)
    finally:
        os.umask(before)
    monkeypatch.setattr(os, "chmod", change_mode)
    monkeypatch.setattr(os, "fchmod", change_mode)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            assert not buffer.in_memory_because
            buffer.add(poll(await buffer.register(LAYOUT)))
    (line,) = [line for line in logs if line["log_level"] == "warning" and "others" in line["event"]]
    assert line["mode"] == "0777"
    assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US,)]


@asynccontextmanager
async def a_poll_that_only_the_journal_has(bench) -> AsyncIterator[None]:
    """It can't be folded in until the end, not even as the buffer is closed: somebody reads an earlier state of the file."""
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as reader:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            buffer.add(poll(layout))
            await buffer.flush()
            await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM polls").fetchone() == (1,)
            buffer.add(poll(layout, T0_US + 1))
            await buffer.flush()
            yield


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_journal_that_cannot_be_folded_into_a_file_that_is_moved_away_goes_with_it(bench, monkeypatch, is_replaced):
    """Somebody reads an earlier state of the file just then. Before, what was in the journal only was removed with it."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 3600.0)
    away = bench.path.with_name("away.db")
    with capture_logs() as logs:
        async with a_poll_that_only_the_journal_has(bench):
            if is_replaced:
                await put_another_agents_database_in_its_place(bench, "eq-2", 1, away)
            else:
                bench.path.rename(away)
    found = sqlite3.connect(away)
    assert found.execute("SELECT started_at_us FROM polls").fetchall() == [(T0_US,), (T0_US + 1,)]
    found.close()
    (line,) = [line for line in logs if line["event"].startswith("journal could not be merged")]
    assert line["path"] == str(away)
    if is_replaced:
        assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US + 100,)]


async def test_a_path_that_is_a_symbolic_link_is_followed(bench, monkeypatch):
    """Before, its journal was looked for beside the link, and taken for removed: all was copied again each five seconds."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 0.001)
    file = bench.path.with_name("stick") / "polls.db"
    file.parent.mkdir()
    bench.path.symlink_to(file)
    with capture_logs() as logs:
        async with bench.buffer() as buffer:
            layout = await buffer.register(LAYOUT)
            for number in range(20):
                buffer.add(poll(layout, T0_US + number))
                await buffer.flush()
                with DatabaseReader(bench.path) as reader:
                    assert reader.newest_poll_us() == T0_US + number
            await buffer.acknowledge(await buffer.next_batch(3))
    assert not [line for line in logs if line["log_level"] == "error"]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE clock SET checksum = 0")
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        assert buffer.replaced.parent == file.parent
        batch = await buffer.next_batch(100, Lane.BACKLOG)
        assert len(members(await buffer.read(batch))) == 19 * 3
    assert bench.path.is_symlink()
    assert not file.is_symlink()
    assert [path.name for path in bench.path.parent.iterdir() if not path.is_dir()] == ["agent.db"]


async def test_a_symbolic_link_to_a_disk_that_is_not_mounted_yet_is_followed_once_it_is(bench, monkeypatch):
    """What is made in its place would be under the mounted disk later, or in the way of whoever mounts it."""
    monkeypatch.setattr(opening, "REOPEN_S", 0.001)
    file = bench.path.with_name("stick") / "polls.db"
    bench.path.symlink_to(file)
    async with bench.buffer() as buffer:
        assert "No such file or directory" in buffer.in_memory_because
        assert not file.parent.exists()
        buffer.add(poll(await buffer.register(LAYOUT)))
        file.parent.mkdir()
        while buffer.in_memory_because:
            await buffer.pending()
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute("SELECT started_at_us FROM polls").fetchall() == [(T0_US,)]
    assert bench.path.is_symlink()
    assert {path.name for path in bench.path.parent.iterdir()} == {"agent.db", "agent.db.lock", "stick"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_of_another_user_in_a_directory_of_all_is_followed_only_if_the_kernel_does(tmp_path, is_there):
    """Else anybody on the machine decides which file the agent writes, by a link in /tmp."""
    shared, file = tmp_path / "shared", tmp_path / "own" / "agent.db"
    shared.mkdir()
    file.parent.mkdir()
    if is_there:
        file.touch()
    link = shared / "agent.db"
    link.symlink_to(file)
    os.chown(link, 4_001, 4_001, follow_symlinks=False)
    assert place.followed(link) == file
    shared.chmod(0o1777)
    os.chown(shared, 4_002, 4_002)
    try:
        link.stat()
        refuses = False
    except FileNotFoundError:
        refuses = False
    except PermissionError:
        refuses = True
    assert (place.followed(link) == link) == refuses
    if refuses:
        with pytest.raises(BufferFailure, match="Permission denied"):
            Database.open(link, T0_US)
        assert file.exists() == is_there


async def test_a_journal_is_not_left_to_another_file_though_nobody_may_write_beside_the_one_it_is_of(bench, monkeypatch):
    """As root has moved the file into a directory of its own: SQLite would write the journal into whatever is in its place."""
    monkeypatch.setattr(opening, "LOOK_EACH_S", 3600.0)
    away = bench.path.with_name("backup") / "away.db"
    away.parent.mkdir()
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith("-wal") and Path(target).parent == away.parent:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(path, target)

    async with a_poll_that_only_the_journal_has(bench):
        await put_another_agents_database_in_its_place(bench, "eq-2", 1, away)
        monkeypatch.setattr(Path, "rename", refuse)
    assert not bench.path.with_name("agent.db-wal").exists()
    assert bench.rows("SELECT started_at_us FROM polls") == [(T0_US + 100,)]
    kept = bench.path.with_name("agent.db-wal.left")
    rename(kept, away.with_name("away.db-wal"))
    with closing(sqlite3.connect(away)) as found:
        assert found.execute("SELECT started_at_us FROM polls").fetchall() == [(T0_US,), (T0_US + 1,)]
