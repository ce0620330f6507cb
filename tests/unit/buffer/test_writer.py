"""The database can't be written: polling goes on, polls wait in memory, and what is lost is counted."""

import asyncio
import resource
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import opening, writer
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.store import Store
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import LAYOUT, T0_US, limit_growth, members, poll

IDS = "SELECT started_at_us FROM polls ORDER BY id"


@asynccontextmanager
async def full_disk(bench, buffer):
    await limit_growth(buffer, 0)
    yield
    await limit_growth(buffer, None)


@contextmanager
def files_of(octets):
    """The kernel refuses to let any file grow beyond so many octets, or to be written there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def full_file_system(bench, buffer):
    """No file can grow."""
    with files_of(4096):
        yield


@asynccontextmanager
async def no_writes(bench, buffer):
    """Each write to a file is refused, as to a disk that the kernel has made read-only."""
    with files_of(0):
        yield


@asynccontextmanager
async def read_only(bench, buffer):
    await buffer.ask(lambda store: store.connection.execute("PRAGMA query_only = ON").rowcount)
    yield
    await buffer.ask(lambda store: store.connection.execute("PRAGMA query_only = OFF").rowcount)


@asynccontextmanager
async def locked_by_another_program(bench, buffer):
    await buffer.ask(lambda store: store.connection.execute("PRAGMA busy_timeout = 0").fetchall())
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


FAULTS = [full_disk, full_file_system, read_only, locked_by_another_program]


def big(layout: int, number: int):
    """Polls that need pages of their own sooner or later."""
    return poll(layout, T0_US + number, metrics=4)


@pytest.mark.parametrize("fault", FAULTS)
async def test_polls_wait_in_memory_while_the_database_cannot_be_written(bench, fault):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        with capture_logs() as logs:
            async with fault(bench, buffer):
                for i in range(3):
                    for j in range(1_000):
                        buffer.add(big(layout, 1_000 * i + j))
                    with pytest.raises(BufferFailure, match=r"agent\.db can't be used: "):
                        await buffer.flush()
            await buffer.flush()
        assert bench.rows(IDS) == [(T0_US + i,) for i in range(3_000)]
        assert (await buffer.pending()).polls == 3_000
        assert [entry["event"] for entry in logs] == [
            "buffer can't be written, polls stay in memory; will retry each second",
            "buffer writable again",
        ]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


@pytest.mark.parametrize("fault", [no_writes, read_only, locked_by_another_program])
async def test_fresh_polls_are_delivered_from_memory_if_the_database_cannot_be_written_for_long(bench, fault, monkeypatch):
    """What is in the file, and in its tail, waits there."""
    monkeypatch.setattr(writer, "LEAVES_AFTER_S", 0.0)
    monkeypatch.setattr(opening, "REOPEN_S", 3600.0)
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        await buffer.flush()
        buffer.add(poll(layout, T0_US + 1))
        await buffer.secure()
        with capture_logs() as logs:
            async with fault(bench, buffer):
                buffer.add(poll(layout, T0_US + 2))
                batch = await buffer.next_batch(100)
                assert members(await buffer.read(batch)) == [(2, 0), (2, 1), (2, 2)]
                await buffer.acknowledge(batch)
                assert buffer.in_memory_because.startswith(f"the database {bench.path} can't be written: ")
                buffer.add(poll(layout, T0_US + 3))
                await buffer.flush()
        assert [entry["event"] for entry in logs] == [
            "buffer can't be written, polls stay in memory; will retry each second",
            "buffer still can't be written, polls go on in memory until it can",
        ]
    assert bench.rows(f"{IDS} DESC LIMIT 1") == [(T0_US + 3,)]
    found = []
    async with bench.buffer() as buffer:
        for lane in Lane:
            while batch := await buffer.next_batch(100, lane):
                found += members(await buffer.read(batch))
                await buffer.acknowledge(batch)
    assert sorted(found) == [(number, metric) for number in (0, 1, 3) for metric in range(3)]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_fails_half_way_leaves_no_trace(bench, fault):
    """Each operation reports the failure; afterwards the batch is as it was, and can be delivered."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(big(layout, 0))
        batch = await buffer.next_batch(2)
        async with fault(bench, buffer):
            if fault is not full_disk:  # it has room for small changes
                for operation in (
                    buffer.acknowledge(batch),
                    buffer.split(batch),
                    buffer.put_meta("a", b"b"),
                    buffer.clean_up(),
                ):
                    with pytest.raises(BufferFailure):
                        await operation
            with pytest.raises(BufferFailure):
                await buffer.put_meta("a", b"b" * 100_000)
            assert members(await buffer.read(batch)) == [(0, 0), (0, 1)]
        assert await buffer.next_batch(10) == batch
        await buffer.acknowledge(batch)
        assert members(await buffer.read(await buffer.next_batch(10))) == [(0, 2), (0, 3)]
        assert await buffer.get_meta("a") is None


async def test_a_journal_that_cannot_grow_is_folded_in_and_delivery_goes_on(bench):
    """The limit of files' sizes is as large as the database: it could take all, its journal could not."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(20_000):
            buffer.add(big(layout, i))
        await buffer.flush()
        await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bench.path.stat().st_size + 65_536, hard))
        try:
            found = 0
            while batch := await buffer.next_batch(100):
                found += len(members(await buffer.read(batch)))
                await buffer.acknowledge(batch)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert found == 80_000


async def test_polls_are_tried_again_without_anybody_asking(bench, monkeypatch):
    monkeypatch.setattr(writer, "RETRY_S", 0.001)
    async with bench.buffer(commit_window_s=0) as buffer:
        layout = await buffer.register(LAYOUT)
        async with read_only(bench, buffer):
            buffer.add(poll(layout))
            with pytest.raises(BufferFailure):
                await buffer.flush()
        await buffer.wait_for_pending()
        assert bench.rows(IDS) == [(T0_US,)]


async def test_beyond_the_cap_the_oldest_polls_are_dropped_and_counted(bench):
    async with bench.buffer(memory_cap_polls=10) as buffer:
        layout = await buffer.register(LAYOUT)
        async with read_only(bench, buffer):
            for i in range(8):
                buffer.add(poll(layout, T0_US + i))
            with pytest.raises(BufferFailure):
                await buffer.flush()
            for i in range(8, 15):
                buffer.add(poll(layout, T0_US + i))
        await buffer.flush()
        assert bench.rows(IDS) == [(T0_US + i,) for i in range(5, 15)]
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"buffer_unavailable": 15}


async def test_the_cap_holds_when_polls_arrive_while_a_commit_fails(bench, monkeypatch):
    """Those being written go back to the front, and the oldest go first."""
    async with bench.buffer(memory_cap_polls=4, commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)

        def fail(store, rows, noted):
            for i in range(4, 7):
                buffer.add(poll(layout, T0_US + i))
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_polls", fail)
            for i in range(4):
                buffer.add(poll(layout, T0_US + i))
            with pytest.raises(BufferFailure):
                await buffer.flush()
        await buffer.flush()
        assert bench.rows(IDS) == [(T0_US + i,) for i in range(3, 7)]
    assert bench.counters.total(Count.METRICS_DROPPED) == 9


async def test_polls_that_cannot_be_written_before_the_stop_are_counted(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.ask(lambda store: store.connection.execute("PRAGMA query_only = ON").rowcount)
        buffer.add(poll(1))
    await asyncio.sleep(0)
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"buffer_unavailable": 3}
    assert bench.rows(IDS) == [(T0_US,)]


async def test_a_bug_while_writing_is_counted_and_the_polls_are_kept(bench, monkeypatch):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(Store, "add_polls", lambda store, rows, noted: 1 / 0)
            buffer.add(poll(layout))
            with pytest.raises(ZeroDivisionError):
                await buffer.flush()
        await buffer.flush()
        assert isinstance(logs[0]["exc_info"], ZeroDivisionError)
        assert bench.rows(IDS) == [(T0_US,)]
    assert bench.counters.by_reason(Count.BUGS) == {"buffer": 1}


async def test_a_cancelled_wait_harms_nobody_else(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        unexpected = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unexpected.append(context))
        waiting = asyncio.create_task(buffer.wait_for_pending())
        cutting = asyncio.create_task(buffer.next_batch(10))
        await asyncio.sleep(0)
        waiting.cancel()
        cutting.cancel()
        await asyncio.gather(waiting, cutting, return_exceptions=True)
        buffer.add(poll(layout))
        assert (await buffer.next_batch(10)).metric_count == 3
        assert unexpected == []


def end_the_thread(_store):
    raise KeyboardInterrupt


async def test_if_the_thread_ends_nobody_waits_for_ever(bench):
    """A bug in the writer itself: who asks gets the error, what was to be stored is counted, and whoever runs the buffer ends."""
    opened = bench.buffer()
    buffer = await opened.__aenter__()
    layout = await buffer.register(LAYOUT)
    with pytest.raises(BufferFailure, match="has stopped"):
        await buffer.ask(end_the_thread)
    with pytest.raises(RuntimeError):
        buffer.add(poll(layout))
    with pytest.raises(RuntimeError):
        await buffer.pending()
    with pytest.raises(KeyboardInterrupt):
        await buffer.ended()
    with pytest.raises(KeyboardInterrupt):
        await opened.__aexit__(None, None, None)


@pytest.mark.parametrize("times", [1, 3])
async def test_without_memory_to_pass_on_a_result_the_thread_ends_and_nobody_waits_for_ever(bench, monkeypatch, times):
    """Also if its end can't be passed on at first."""
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    loop, left = asyncio.get_running_loop(), [True] * times
    pass_on = loop.call_soon_threadsafe

    def without_memory(*arguments):
        if left and threading.current_thread() is not threading.main_thread():
            left.pop()
            raise MemoryError
        return pass_on(*arguments)

    opened = bench.buffer()
    buffer = await opened.__aenter__()
    ended = asyncio.create_task(buffer.ended())
    await buffer.register(LAYOUT)
    monkeypatch.setattr(loop, "call_soon_threadsafe", without_memory)
    for job in [asyncio.create_task(buffer.pending()) for _ in range(2)]:
        with pytest.raises(BufferFailure, match="has stopped"):
            await job
    with pytest.raises(MemoryError):
        await ended
    with pytest.raises(MemoryError):
        await opened.__aexit__(None, None, None)
    assert not left


async def test_the_thread_says_when_it_turns_again_and_says_nothing_while_it_hangs(bench):
    """Also with nothing to do: it looks at its file each 5 s."""
    moves: list[float] = []
    entered, released = threading.Event(), threading.Event()

    def hang(_store: Store) -> None:
        entered.set()
        released.wait()

    async with bench.buffer() as buffer:
        buffer.watch(moves.append)
        await buffer.ask(lambda _: None)
        assert moves
        hanging = asyncio.ensure_future(buffer.ask(hang))
        await asyncio.to_thread(entered.wait)
        seen = len(moves)
        later = asyncio.ensure_future(buffer.ask(lambda _: len(moves)))
        await asyncio.sleep(0)
        assert len(moves) == seen
        released.set()
        await hanging
        assert await later > seen
    assert all(0.0 <= move <= 5.0 for move in moves)
