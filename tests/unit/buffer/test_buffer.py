"""Polls go in, batches come out, over restarts too."""

import asyncio

import pytest

from towerops_agent.buffer import lanes, refused
from towerops_agent.buffer.format.batch import Lane, LeftOut, Pending, Position, RefusedMetric
from towerops_agent.buffer.format.codec import decode_tail, encode_poll
from towerops_agent.buffer.lanes import Stretch
from towerops_agent.buffer.tail import read_tail
from towerops_agent.buffer.waiting import GATHERED
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, members, poll


async def drain(buffer, max_metrics: int = 1_000) -> list[tuple[int, int]]:
    """Deliver all there is."""
    delivered = []
    while batch := await buffer.next_batch(max_metrics):
        delivered += members(await buffer.read(batch))
        await buffer.acknowledge(batch)
    return delivered


# Layouts


async def test_a_layout_is_stored_once_over_restarts(bench):
    async with bench.buffer() as buffer:
        first = await buffer.register(LAYOUT)
        other = await buffer.register(Layout("eq-2"))
        assert await buffer.register_all([Layout("eq-2"), LAYOUT, LAYOUT]) == [other, first, first]
    async with bench.buffer() as buffer:
        assert await buffer.register(LAYOUT) == first
    assert bench.rows("SELECT count(*) FROM layouts") == [(2,)]


async def test_layouts_are_registered_all_or_none(bench):
    def layouts():
        yield LAYOUT
        raise ValueError("a bug of the caller's")

    async with bench.buffer() as buffer:
        with pytest.raises(ValueError, match="of the caller's"):
            await buffer.register_all(layouts())
        assert bench.rows("SELECT count(*) FROM layouts") == [(0,)]


async def test_a_layout_of_this_run_outlives_its_polls_and_one_of_an_earlier_run_does_not(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await drain(buffer)
        bench.now_us += 25 * HOUR_US
        await buffer.clean_up()
        buffer.add(poll(await buffer.register(LAYOUT), bench.now_us))
        assert (await buffer.read(await buffer.next_batch(10)))[0].layout == LAYOUT
    async with bench.buffer() as buffer:
        await buffer.use_layouts([])
        await buffer.clean_up()
        assert (await buffer.read(await buffer.next_batch(10)))[0].layout == LAYOUT  # a poll is left
        await drain(buffer)
        bench.now_us += 25 * HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM layouts") == [(0,)]


async def test_a_layout_registered_again_is_kept_though_no_poll_is_left(bench):
    async with bench.buffer() as buffer:
        await buffer.register(LAYOUT)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        await buffer.clean_up()
        buffer.add(poll(layout))
        assert (await buffer.read(await buffer.next_batch(10)))[0].layout == LAYOUT


# Taking


async def test_a_batch_taken_with_its_polls_is_the_next_one_and_what_is_read_of_it(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for n in range(3):
            buffer.add(poll(layout, T0_US + n))
        batch, polls = await buffer.take_batch(5)
        assert batch.metric_count == 5
        assert await buffer.next_batch(5) == batch, "it is open"
        assert await buffer.read(batch) == polls
        rest, polls = await buffer.take_batch(5, exclude=[batch.id])
        assert members(polls) == members(await buffer.read(rest))
        assert await buffer.take_batch(5, exclude=[batch.id, rest.id]) is None


async def test_what_is_sent_is_noted_in_the_commit_that_cuts_the_next_batch(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for n in range(3):
            buffer.add(poll(layout, T0_US + n))
        first, _ = await buffer.take_batch(3)
        second, _ = await buffer.take_batch(3, exclude=[first.id])
        commits = []
        await buffer.ask(lambda store: store.connection.set_trace_callback(commits.append))
        left_out = LeftOut(2, 0, "eq-1", b"{}", "no")
        third, _ = await buffer.take_batch(3, sent=[(first, ()), (second, [left_out])])
        await buffer.ask(lambda store: store.connection.set_trace_callback(None))
        assert commits.count("COMMIT") == 1
        assert third.id not in (first.id, second.id)
        assert await buffer.next_batch(3) == third, "the others are not open any more"
        assert [one.metric for one in await buffer.refused()] == [b"{}"]
        assert await buffer.take_batch(3, sent=[(second, [left_out]), (third, ())]) is None, "the lane is empty"
        assert len(await buffer.refused()) == 1, "once"
        assert (await buffer.pending()).metrics == 0


async def test_nothing_is_noted_as_sent_if_the_next_batch_cannot_be_cut(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for n in range(3):
            buffer.add(poll(layout, T0_US + n))
        first, _ = await buffer.take_batch(3)
        full = "CREATE TEMP TRIGGER full BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'no room'); END"
        await buffer.ask(lambda store: store.connection.execute(full))
        with pytest.raises(BufferFailure, match="no room"):
            await buffer.take_batch(3, sent=[(first, ())])
        assert await buffer.next_batch(3) == first, "it is still open"


async def test_a_batch_of_which_a_poll_is_damaged_is_taken_without_it(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout))
        buffer.add(poll(layout, T0_US + 1))
        await buffer.flush()
        await buffer.ask(lambda store: store.connection.execute("UPDATE bodies SET body = x'00' WHERE poll = 1"))
        batch, polls = await buffer.take_batch(10)
        assert [stored.id for stored in polls] == [2]
        assert (await buffer.next_batch(10)).metric_count == 3
        await buffer.acknowledge(batch)
        assert await buffer.take_batch(10) is None
    assert bench.counters.total(Count.METRICS_DROPPED) == 3


# Adding


async def test_what_was_added_is_read_back_whole_after_a_restart(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, metrics=4))
    async with bench.buffer() as buffer:
        (stored,) = await buffer.read(await buffer.next_batch(10))
        assert (stored.layout, stored.poll) == (LAYOUT, poll(layout, metrics=4))
        assert (stored.first_metric, stored.stop_metric) == (0, 4)


async def test_a_poll_without_metrics_is_not_stored(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT), metrics=0))
        assert await buffer.pending() == Pending(0, 0, None)
        assert await buffer.next_batch(10) is None
    assert bench.rows("SELECT count(*) FROM polls") == [(0,)]


async def test_polls_are_on_the_disk_without_anybody_asking(bench):
    async with bench.buffer(commit_window_s=0.001) as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        while not (await buffer.ask(lambda store: read_tail(store.connection), sees_polls=False)).rows:
            pass
        ((octets,),) = bench.rows("SELECT body FROM tail")
        assert decode_tail(octets).rows == (encode_poll(poll(1)),)


async def test_who_waits_for_pending_is_woken_before_polls_are_on_the_disk(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        waiting = asyncio.create_task(buffer.wait_for_pending())
        assert not (await buffer.pending()).polls  # by now the waiter has found nothing
        assert not waiting.done()
        buffer.add(poll(layout))
        await waiting
        assert await buffer.pending() == Pending(3, 1, T0_US)
        assert bench.rows("SELECT count(*) FROM polls") == [(0,)]
        assert (await buffer.next_batch(10)).metric_count == 3
        assert bench.rows("SELECT count(*) FROM polls") == [(1,)], "what is sent is on the disk before"


async def test_polls_of_one_window_are_committed_together(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)
        commits = []
        await buffer.ask(
            lambda store: store.connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        )
        for i in range(GATHERED):
            buffer.add(poll(layout, T0_US + i))
        assert bench.rows("SELECT count(*) FROM polls") == [(0,)]
        await buffer.flush()
        assert bench.rows("SELECT count(*) FROM polls") == [(GATHERED,)]
        assert len(commits) == 1


async def test_all_who_wait_for_pending_are_woken(bench):
    async with bench.buffer(commit_window_s=0) as buffer:
        layout = await buffer.register(LAYOUT)
        waiters = [asyncio.create_task(buffer.wait_for_pending()) for _ in range(5)]
        await buffer.pending()
        buffer.add(poll(layout))
        await asyncio.gather(*waiters)


async def test_a_commit_just_after_the_look_is_not_missed(bench, monkeypatch):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        ask = buffer.ask

        async def look_then_commit(job, **options):
            found = await ask(job, **options)
            monkeypatch.setattr(buffer, "ask", ask)
            buffer.add(poll(layout))
            await buffer.flush()
            return found

        monkeypatch.setattr(buffer, "ask", look_then_commit)
        await buffer.wait_for_pending()


async def test_an_open_batch_is_pending(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.next_batch(10)
        await buffer.wait_for_pending()


async def test_a_bad_poll_is_refused_when_it_is_added(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        with pytest.raises(ValueError, match="not within"):
            buffer.add(poll(layout, started_at_us=1 << 63))
        buffer.add(poll(layout))
        assert (await buffer.pending()).polls == 1


async def test_a_closed_buffer_takes_no_polls(bench):
    buffer = bench.buffer()
    with pytest.raises(RuntimeError, match="not open"):
        buffer.add(poll(1))
    async with buffer:
        layout = await buffer.register(LAYOUT)
    with pytest.raises(RuntimeError, match="not open"):
        buffer.add(poll(layout))
    with pytest.raises(RuntimeError, match="closed"):
        await buffer.pending()


async def test_closing_leaves_one_file_and_the_lock(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
    assert {path.name for path in bench.path.parent.iterdir()} == {"agent.db", "agent.db.lock"}


# Batches


async def test_batches_are_cut_oldest_first_and_a_poll_may_be_cut_in_two(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        read = []
        while batch := await buffer.next_batch(4):
            read.append((batch.key, batch.metric_count, members(await buffer.read(batch))))
            await buffer.acknowledge(batch)
        assert read == [
            ("key-1", 4, [(0, 0), (0, 1), (0, 2), (1, 0)]),
            ("key-2", 4, [(1, 1), (1, 2), (2, 0), (2, 1)]),
            ("key-3", 1, [(2, 2)]),
        ]


async def test_a_batch_keeps_its_key_and_members_until_acknowledged(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(5):
            buffer.add(poll(layout, T0_US + i))
        batch = await buffer.next_batch(7)
        whole = await buffer.read(batch)
        buffer.add(poll(layout, T0_US + 5))
        assert await buffer.next_batch(100) == batch
    async with bench.buffer() as buffer:
        assert await buffer.next_batch(100) == batch
        assert await buffer.read(batch) == whole
        await buffer.acknowledge(batch)
        rest = await buffer.next_batch(100)
        assert (rest.start, rest.metric_count) == (batch.stop, 11)


async def test_keys_are_random_by_default(bench):
    from towerops_agent.buffer.buffer import random_key

    keys = {random_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)


async def test_a_batch_is_cut_of_each_stretch_in_turn_and_never_over_its_end(bench):
    """Two uncut stretches, as a fresh-first delivery makes them."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(6):
            buffer.add(poll(layout, T0_US + i))
        await buffer.flush()

        def divide(store):
            lanes.write_stretch(store.connection, Stretch(1, Position(4, 0), None, 3, 9, Lane.FRESH))
            lanes.write_stretch(store.connection, Stretch(2, Position(1, 0), 4, 3, 9, Lane.FRESH))

        await buffer.ask(divide)
        assert (await buffer.pending()) == Pending(18, 6, T0_US)
        sizes = []
        while batch := await buffer.next_batch(5):
            sizes.append(batch.metric_count)
            await buffer.acknowledge(batch)
        assert sizes == [5, 4, 5, 4]
        assert bench.rows("SELECT id, first_poll, end_poll, polls, metrics FROM uncut") == [(1, 7, None, 0, 0)]


async def test_a_split_batch_is_two_of_half_its_size_with_new_keys(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        whole = await buffer.next_batch(7)
        first, second = await buffer.split(whole)
        assert (first.metric_count, second.metric_count) == (3, 4)
        assert len({whole.key, first.key, second.key}) == 3
        assert (first.start, second.start, second.stop) == (whole.start, Position(2, 0), whole.stop)
    async with bench.buffer() as buffer:
        assert await buffer.next_batch(1) == first
        await buffer.acknowledge(first)
        assert await buffer.next_batch(1) == second
        assert members(await buffer.read(second)) == [(1, 0), (1, 1), (1, 2), (2, 0)]
        with pytest.raises(BufferFailure, match="no longer open"):
            await buffer.split(whole)


async def test_one_metric_cannot_be_split_and_two_cannot_be_refused_as_one(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        first, second = await buffer.split(await buffer.next_batch(10))
        with pytest.raises(ValueError, match="one metric"):
            await buffer.split(first)
        with pytest.raises(ValueError, match="2 metrics"):
            await buffer.refuse(second, b"{}", "no")


async def test_a_refused_metric_is_kept_with_its_reason_and_not_sent_again(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        batch = await buffer.next_batch(1)
        await buffer.refuse(batch, b'{"value": 7}', "422: unknown sensor")
        await buffer.refuse(batch, b'{"value": 7}', "a second time")
        assert await buffer.refused() == [RefusedMetric("eq-1", b'{"value": 7}', "422: unknown sensor", T0_US)]
        assert await drain(buffer) == [(0, 1), (0, 2)]
        bench.now_us += 7 * 24 * HOUR_US - 1_000_000
        await buffer.clean_up()
        assert len(await buffer.refused()) == 1
        bench.now_us += 1_000_000
        await buffer.clean_up()
        assert await buffer.refused() == []


async def test_only_so_many_refused_metrics_are_kept_the_latest(bench, monkeypatch):
    monkeypatch.setattr(refused, "KEPT", 1_000)
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(1_003):
            buffer.add(poll(layout, T0_US + i, metrics=1))
        for i in range(1_003):
            await buffer.refuse(await buffer.next_batch(1), b"%d" % i, "no")
        kept = await buffer.refused(limit=2_000)
        assert [refused.metric for refused in kept] == [b"%d" % i for i in range(1_002, 2, -1)]


async def test_those_of_a_salvaged_database_stay_though_their_ids_are_far_below(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        buffer.add(poll(layout, T0_US, metrics=1))
        await buffer.refuse(await buffer.next_batch(1), b"old", "no")
        await buffer.ask(
            lambda store: store.connection.execute("UPDATE sqlite_sequence SET seq = 1000000 WHERE name = 'refused'")
        )
        buffer.add(poll(layout, T0_US + 1, metrics=1))
        await buffer.refuse(await buffer.next_batch(1), b"new", "no")
        assert [refused.metric for refused in await buffer.refused()] == [b"new", b"old"]


async def test_a_damaged_poll_is_left_out_and_counted_once(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(3):
            buffer.add(poll(layout, T0_US + i))
        batch = await buffer.next_batch(5)
        await buffer.ask(lambda store: store.connection.execute("UPDATE bodies SET body = x'9301' WHERE poll = 2").rowcount)
        assert members(await buffer.read(batch)) == [(0, 0), (0, 1), (0, 2)]
        assert members(await buffer.read(batch)) == [(0, 0), (0, 1), (0, 2)]
        assert [half.metric_count for half in await buffer.split(batch)] == [1, 2]
        assert await drain(buffer) == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (2, 2)]
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": 3}


async def test_a_poll_whose_layout_is_gone_is_left_out_and_counted(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(77))
        assert await drain(buffer) == []
        assert await buffer.next_batch(10) is None
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": 3}


async def test_rows_lost_to_damage_do_not_stay_pending(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.ask(lambda store: store.connection.execute("DELETE FROM polls").rowcount)
        assert await buffer.next_batch(10) is None
        assert await buffer.pending() == Pending(0, 0, None)


# Pending


async def test_pending_counts_each_metric_and_each_poll_once(bench):
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for i in range(4):
            buffer.add(poll(layout, T0_US + i))
        assert await buffer.pending() == Pending(12, 4, T0_US)
        batch = await buffer.next_batch(7)  # into the third poll
        assert await buffer.pending() == Pending(12, 4, T0_US)
        first, second = await buffer.split(batch)  # within the second poll
        assert await buffer.pending() == Pending(12, 4, T0_US)
        await buffer.acknowledge(first)
        assert await buffer.pending() == Pending(9, 3, T0_US + 1)
        await buffer.acknowledge(second)
        assert await buffer.pending() == Pending(5, 2, T0_US + 2)
        await drain(buffer)
        assert await buffer.pending() == Pending(0, 0, None)


# Meta


async def test_what_was_kept_is_there_after_a_restart(bench):
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() is None
        assert await buffer.get_meta("etag") is None
        await buffer.keep_config(b"\x00sealed")
        await buffer.put_meta("etag", b"1")
        await buffer.put_meta("etag", b"2")
    async with bench.buffer() as buffer:
        assert await buffer.kept_config() == b"\x00sealed"
        assert await buffer.get_meta("etag") == b"2"
