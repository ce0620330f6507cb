"""What is removed, when, and what is not."""

import shutil
from dataclasses import replace

import pytest

from towerops_agent.buffer import retention
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Count
from towerops_agent.model import Layout
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, add_hourly, members, poll

DAY_US = 24 * HOUR_US
SECOND_US = 1_000_000  # what the age clock is kept in
POLLS = "SELECT id FROM polls ORDER BY id"


async def test_sent_polls_are_removed_a_day_after_they_were_sent(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        bench.now_us += HOUR_US
        await buffer.acknowledge(await buffer.next_batch(10))
        bench.now_us += DAY_US - SECOND_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == [(1,)]
        bench.now_us += SECOND_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == []
        assert bench.rows("SELECT poll FROM bodies") == bench.rows("SELECT id FROM batches") == []
    assert bench.counters.total(Count.METRICS_EXPIRED) == 0


async def test_ids_are_not_used_again_after_the_newest_rows_were_removed(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        batch = await buffer.next_batch(10)
        await buffer.acknowledge(batch)
        bench.now_us += DAY_US
        await buffer.clean_up()
    async with bench.buffer() as buffer:
        await buffer.use_layouts([])
        bench.now_us += HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM layouts") == []
        other = await buffer.register(Layout("eq-2"))
        buffer.add(poll(other, bench.now_us))
        after = await buffer.next_batch(10)
        assert after.id > batch.id
        assert after.start.poll > batch.start.poll
        assert other > layout


async def test_a_poll_stays_while_any_part_of_it_is_needed(bench):
    """One poll in three batches, sent hours apart: it goes with the last."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        for _ in range(5):  # two metrics each: the second poll is in two batches
            await buffer.acknowledge(await buffer.next_batch(2))
            bench.now_us += HOUR_US
        bench.now_us = T0_US + DAY_US
        left = []
        for _ in range(5):
            await buffer.clean_up()
            left.append([row[0] for row in bench.rows(POLLS)])
            bench.now_us += HOUR_US
        assert left == [[1, 2, 3], [2, 3], [3], [3], []]


async def test_a_sent_part_of_a_poll_does_not_take_the_uncut_rest_with_it(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        late = T0_US + 2 * DAY_US
        buffer.add(poll(layout, late))
        await buffer.acknowledge(await buffer.next_batch(2))
        bench.now_us += DAY_US
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM batches") == []
        (stored,) = await buffer.read(await buffer.next_batch(10))
        assert (stored.poll.started_at_us, stored.first_metric, stored.stop_metric) == (late, 2, 3)


async def test_a_sent_end_of_a_poll_does_not_take_the_unsent_beginning_with_it(bench):
    """The first half of a split batch reaches into the second poll; the second half was sent a day before it."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        late = 2 * DAY_US
        for i in range(2):
            buffer.add(poll(layout, T0_US + late + i, metrics=1 + 2 * i))
        first, second = await buffer.split(await buffer.next_batch(10))
        await buffer.acknowledge(second)
        bench.now_us += DAY_US
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM batches") == [(first.id,)]
        assert members(await buffer.read(first)) == [(late, 0), (late + 1, 0)]


async def test_of_two_polls_that_others_have_a_part_of_neither_is_removed(bench):
    """An open batch expires: the first of its two polls was sent in part, the rest of the second is not yet cut."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(2):
            buffer.add(poll(layout, T0_US + i))
        bench.now_us += HOUR_US
        await buffer.acknowledge(await buffer.next_batch(2))
        batch = await buffer.next_batch(2)
        await buffer.flush()
        await buffer.ask(lambda store: retention.remove_open(store.connection, store.age_s + 1))
        assert bench.rows(POLLS) == [(1,), (2,)]
        rest = await buffer.next_batch(10)
        assert rest.start == batch.stop
        assert members(await buffer.read(rest)) == [(1, 1), (1, 2)]


async def test_uncut_polls_expire_after_a_day_and_are_counted(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 4)
        bench.now_us = T0_US + DAY_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == [(1,), (2,), (3,), (4,)]
        bench.now_us += HOUR_US + SECOND_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == [(3,), (4,)]
        assert await buffer.pending() == Pending(6, 2, T0_US + 2 * HOUR_US)
        assert members(await buffer.read(await buffer.next_batch(1))) == [(2 * HOUR_US, 0)]
    assert bench.counters.by_reason(Count.METRICS_EXPIRED) == {"": 6}


async def test_of_a_poll_cut_in_two_the_uncut_rest_expires_and_the_sent_part_is_kept_its_day(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        batch = await buffer.next_batch(2)
        bench.now_us += DAY_US
        await buffer.acknowledge(batch)
        bench.now_us += SECOND_US
        await buffer.clean_up()
        assert bench.counters.total(Count.METRICS_EXPIRED) == 1
        assert bench.rows(POLLS) == [(1,)]
        assert await buffer.pending() == Pending(0, 0, None)
        bench.now_us += DAY_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == []
    assert bench.counters.total(Count.METRICS_EXPIRED) == 1


async def test_an_open_batch_expires_as_a_whole_with_its_newest_poll(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 3)
        batch = await buffer.next_batch(5)
        bench.now_us = T0_US + DAY_US + HOUR_US
        await buffer.clean_up()
        assert await buffer.next_batch(5) == batch
        assert bench.counters.total(Count.METRICS_EXPIRED) == 0
        bench.now_us += SECOND_US
        await buffer.clean_up()
        assert bench.counters.total(Count.METRICS_EXPIRED) == 6  # and the rest of that poll
        assert bench.rows(POLLS) == [(3,)]
        await buffer.acknowledge(batch)  # the answer came too late
        assert await buffer.pending() == Pending(3, 1, T0_US + 2 * HOUR_US)


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_large_backlog_goes_in_steps_and_the_file_shrinks(bench, monkeypatch, delivered):
    monkeypatch.setattr(retention, "POLLS_PER_STEP", 100)
    monkeypatch.setattr(retention, "BATCHES_PER_STEP", 10)
    monkeypatch.setattr(retention, "PAGES_PER_STEP", 10)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(5_000):
            buffer.add(poll(layout, T0_US + i, metrics=4))
        while delivered and (batch := await buffer.next_batch(100)):
            await buffer.acknowledge(batch)
        await buffer.flush()
        await buffer.ask(lambda store: retention.checkpoint(store.connection))
        size_before = bench.path.stat().st_size
        bench.now_us += DAY_US + HOUR_US
        await buffer.clean_up()
        assert bench.rows(POLLS) == []
        assert bench.path.stat().st_size < size_before / 3
        assert bench.rows("PRAGMA freelist_count") < [(20,)]
        assert bench.path.with_name("agent.db-wal").stat().st_size == 0
    assert bench.counters.total(Count.METRICS_EXPIRED) == (0 if delivered else 20_000)


async def test_polls_added_during_a_clean_up_are_written_between_its_steps(bench, monkeypatch):
    monkeypatch.setattr(retention, "POLLS_PER_STEP", 10)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(100):
            buffer.add(poll(layout, T0_US + i))
        await buffer.flush()
        seen = []
        remove_uncut = retention.remove_uncut

        def spy(connection, before_s, **options):
            buffer.add(poll(layout, bench.now_us))
            seen.append(connection.execute("SELECT max(id) FROM polls").fetchone()[0])
            return remove_uncut(connection, before_s, **options)

        monkeypatch.setattr(retention, "remove_uncut", spy)
        bench.now_us += 2 * DAY_US
        await buffer.clean_up()
        assert seen == list(range(100, 111))
        assert (await buffer.pending()).polls == 11


async def test_what_was_stored_just_before_a_kill_does_not_expire_though_the_clock_was_set_back_since(bench, tmp_path):
    """The age clock goes on with what was written last, up to a minute before."""
    after = replace(bench, path=tmp_path / "killed.db")
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US))
        await buffer.acknowledge(await buffer.next_batch(3))
        bench.now_us += 59 * SECOND_US
        for i in (1, 2):
            buffer.add(poll(layout, T0_US + i))
        await buffer.next_batch(3)
        for part in ("", "-wal"):
            shutil.copy(f"{bench.path}{part}", f"{after.path}{part}")
    after.step(-DAY_US)
    async with after.buffer() as buffer:
        await buffer.clean_up()
        for i in (1, 2):
            batch = await buffer.next_batch(3)
            assert members(await buffer.read(batch)) == [(i, metric) for metric in range(3)]
            await buffer.acknowledge(batch)
    assert after.counters.total(Count.METRICS_EXPIRED) == 0
