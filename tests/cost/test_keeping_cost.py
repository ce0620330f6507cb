"""A guard against slow decay: how much is done to keep one poll and to deliver it, in counts that no machine's speed changes.

Its bounds are as those of test_polling_cost.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cost.calls import Calls
from cost.device308 import INTERFACES, METRICS, SENSORS
from towerops_agent.api.wire.outcomes import Accepted
from towerops_agent.buffer.buffer import Buffer, random_key
from towerops_agent.buffer.database import Database, transaction
from towerops_agent.buffer.format.batch import Batch, Lane, Position, Sent
from towerops_agent.buffer.format.codec import encode_poll
from towerops_agent.buffer.lanes import insert_batch, stretches, write_batch, write_stretch
from towerops_agent.buffer.place import PAGE_OCTETS
from towerops_agent.buffer.retention import remove_sent
from towerops_agent.buffer.store import Store
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.course.parcel import encode, metrics_in
from towerops_agent.model import Layout, Poll

POLLS = 100
DEVICES = 50
METRICS_A_BATCH = 1000
T0_US = 1_767_986_535_123_456
LAYOUT = Layout("eq-1", tuple((f"s-{i}", 10.0) for i in range(SENSORS)), tuple(f"i-{i}" for i in range(INTERFACES)))


class Accepting:
    """A server that accepts everything."""

    async def post_metrics(self, body, key, encoding=None):
        return Accepted()

    def reread_token(self):
        pass


def poll(layout: int, n: int) -> Poll:
    values = (*range(n, n + SENSORS), *((1 << 40) + n + i for i in range(6 * INTERFACES)))
    return Poll(layout, T0_US + n, values, ((SENSORS, 10), (INTERFACES, 20)), METRICS)


def test_a_poll_is_made_a_row_with_few_calls_whatever_it_holds():
    one = poll(1, 1)
    with Calls() as calls:
        encode_poll(one)
    assert calls.python + calls.c.total() < 20  # 7


def test_a_metric_is_encoded_with_few_calls():
    some = [(LAYOUT, poll(1, n), 0, METRICS) for n in range(15)]
    with Calls() as calls:
        encode(metrics_in(some))
    assert calls.python + calls.c.total() < 1.2 * 15 * METRICS  # 0.8


async def test_a_batch_takes_one_job_of_the_thread_that_owns_the_database_and_no_other_thread(tmp_path, monkeypatch):
    """It takes the batch with its polls, and acknowledges the one before: a wakeup of that thread and one of the loop."""
    counters = Counters()
    monkeypatch.setattr("asyncio.to_thread", None)  # whoever calls it fails
    async with Buffer(tmp_path / "agent.db", counters, clock_us=lambda: T0_US) as buffer:
        layout = await buffer.register(LAYOUT)
        for n in range(POLLS):
            buffer.add(poll(layout, n))
        await buffer.flush()
        jobs = []
        ask = buffer.ask

        async def counted(job, *, sees_polls=True):
            jobs.append(job)
            return await ask(job, sees_polls=sees_polls)

        monkeypatch.setattr(buffer, "ask", counted)
        assert await Courier(buffer, Accepting(), counters, accepts=Accepts).deliver_pending()
    batches = -(-POLLS * METRICS // METRICS_A_BATCH)
    assert counters.total(Count.METRICS_DELIVERED) == POLLS * METRICS
    assert len(jobs) <= batches + 4  # 11: what the server refuses, and two that find the lanes empty


def test_a_poll_is_stored_with_two_statements_and_delivered_with_none_of_its_own(tmp_path):
    """A commit takes a few, and so does a batch: to cut it, to read it, to acknowledge it."""
    store = Store(Database.open(tmp_path / "agent.db", T0_US), lambda: T0_US, lambda: T0_US)
    statements: list[str] = []
    try:
        (layout,) = store.register([LAYOUT])
        rows = [encode_poll(poll(layout, n)) for n in range(POLLS)]
        store.connection.set_trace_callback(statements.append)
        store.add_polls(rows)
        to_store = len(statements)
        batches = 0
        while (batch := store.lanes.next_batch(METRICS_A_BATCH, Lane.FRESH, random_key, T0_US)) is not None:
            store.read(batch)
            store.acknowledge(batch, (), 0)
            batches += 1
        to_deliver = len(statements) - to_store
        store.connection.set_trace_callback(None)
    finally:
        store.close()
    assert batches == -(-POLLS * METRICS // METRICS_A_BATCH)
    assert to_store <= 2 * POLLS + 10  # 204
    assert to_deliver <= 18 * batches  # 95: 13 a batch


def test_only_the_first_batch_looks_up_which_polls_were_moved_to_another_time(tmp_path):
    """On its way to a key SQLite reads all of each large value that it passes, as each 256 kB of the configuration are."""
    store = Store(Database.open(tmp_path / "agent.db", T0_US), lambda: T0_US, lambda: T0_US)
    statements: list[str] = []
    times: set[int] = set()
    try:
        (layout,) = store.register([LAYOUT])
        store.add_polls([encode_poll(poll(layout, n)) for n in range(POLLS)])
        store.move(0, 1_000_000)
        store.connection.set_trace_callback(statements.append)
        while (batch := store.lanes.next_batch(METRICS_A_BATCH, Lane.FRESH, random_key, T0_US)) is not None:
            times |= {one.poll.started_at_us for one in store.read(batch)}
            store.acknowledge(batch, (), 0)
        store.connection.set_trace_callback(None)
    finally:
        store.close()
    assert times == {T0_US + n + 1_000_000 for n in range(POLLS)}
    assert len([one for one in statements if "meta" in one]) <= 1


def test_what_a_batch_costs_does_not_grow_with_the_batches_of_the_day(tmp_path):
    """Sent ones are kept for a day: 98,000 of 1,000 devices. To cut one, to count what is pending, and to remove an old one."""
    few, many = (steps_of_a_batch(tmp_path / f"{sent}.db", sent) for sent in (20, 2_000))
    assert many <= 1.5 * few  # 512 and 512; 722 and 28,442 if SQLite goes through all that were sent


@pytest.mark.parametrize(
    ("values", "most_pages"),
    [
        (68, 2.4),  # 2.2; 2.5 without the tail
        (308, 6.3),  # 5.8; 6.8 if all polls go to the tail first
    ],
)
async def test_a_poll_costs_the_disk_few_pages(tmp_path, values, most_pages):
    """50 devices each minute, committed each 5 s, delivered each 30 s: what SQLite's journal grows by."""
    minutes = 3
    path = tmp_path / "agent.db"
    layouts = [Layout(f"eq-{device}", tuple((f"s-{device}-{i}", 10.0) for i in range(values))) for device in range(DEVICES)]
    async with Buffer(path, Counters(), clock_us=lambda: T0_US, monotonic_us=lambda: T0_US, commit_window_s=3_600) as buffer:
        ids = await buffer.register_all(layouts)
        await minute(buffer, ids, values)
        before = journal_pages(path)
        for _ in range(minutes):
            await minute(buffer, ids, values)
        pages = (journal_pages(path) - before) / (minutes * DEVICES)
    assert 1 < pages < most_pages


def test_a_batch_is_marked_sent_with_few_pages(tmp_path):
    """Its row, and where the index by that time had it and has it now; not the index by where it starts."""
    path = tmp_path / "agent.db"
    store = Store(Database.open(path, T0_US), lambda: T0_US, lambda: T0_US)
    try:
        (layout,) = store.register([LAYOUT])
        store.add_polls([encode_poll(poll(layout, n)) for n in range(POLLS)])
        pages = 0
        while (batch := store.lanes.next_batch(METRICS_A_BATCH // 4, Lane.FRESH, random_key, T0_US)) is not None:
            before = journal_pages(path)
            store.acknowledge(batch, (), T0_US)
            pages += journal_pages(path) - before
    finally:
        store.close()
    batches = -(-POLLS * METRICS // (METRICS_A_BATCH // 4))
    assert batches < pages < 2.5 * batches  # 2; 3 if the other index is written, too


async def minute(buffer: Buffer, ids: Sequence[int], values: int) -> None:
    """Each device is polled once, at a second of its own."""
    for second in range(60):
        for layout in ids[second::60]:
            levels = tuple(range(1_000 + second, 1_000 + second + values))
            buffer.add(Poll(layout, T0_US + second * 1_000_000, levels, ((values, 20_000),), values))
        if second % 30 == 29:
            sent: list[Sent] = []
            while taken := await buffer.take_batch(METRICS_A_BATCH, sent=sent):
                sent = [(taken[0], ())]
        elif second % 5 == 4:
            await buffer.secure()


def journal_pages(path: Path) -> int:
    """How many pages have gone to the journal, which is not folded in so soon (https://sqlite.org/fileformat2.html, 4)."""
    return (path.with_name(f"{path.name}-wal").stat().st_size - 32) // (24 + PAGE_OCTETS)


def steps_of_a_batch(path: Path, sent: int) -> int:
    """How many steps SQLite takes for one batch beside so many that are sent."""
    store = Store(Database.open(path, T0_US), lambda: T0_US, lambda: T0_US)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    try:
        (layout,) = store.register([LAYOUT])
        store.add_polls([encode_poll(poll(layout, n)) for n in range(sent + 2)])
        with transaction(store.connection):
            (stretch,) = stretches(store.connection)
            write_stretch(store.connection, replace(stretch, first=Position(sent + 1, 0), polls=2, metrics=2 * METRICS))
            for n in range(sent):
                batch = Batch(0, random_key(), Position(n + 1, 0), Position(n + 2, 0), METRICS, T0_US)
                write_batch(store.connection, insert_batch(store.connection, batch), 100 + n)
        store.connection.set_progress_handler(step, 1)
        batch = store.lanes.next_batch(METRICS_A_BATCH, Lane.FRESH, random_key, T0_US)
        assert batch is not None
        assert store.lanes.pending().metrics == batch.metric_count == 2 * METRICS
        assert remove_sent(store.connection, 100).metrics == METRICS
        store.connection.set_progress_handler(None, 1)
    finally:
        store.close()
    return steps
