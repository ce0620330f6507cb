"""Two lanes: what gathered during an outage is split off, so that fresh polls can go first."""

import pytest

from towerops_agent.buffer.format.batch import Lane, Pending
from towerops_agent.buffer.lanes import COUNTED_POLLS
from towerops_agent.counters import Count
from unit.buffer.samples import LAYOUT, T0_US, members, poll


async def numbered(buffer, numbers) -> None:
    """Add polls of three metrics each, told apart by their number."""
    layout = await buffer.register(LAYOUT)
    for number in numbers:
        buffer.add(poll(layout, T0_US + number))


async def drain(buffer, lane: Lane, max_metrics: int = 1_000) -> list[tuple[int, int]]:
    delivered = []
    while batch := await buffer.next_batch(max_metrics, lane):
        delivered += members(await buffer.read(batch))
        await buffer.acknowledge(batch)
    return delivered


def whole(numbers) -> list[tuple[int, int]]:
    return [(number, metric) for number in numbers for metric in range(3)]


async def test_what_came_before_the_parting_is_backlog_and_what_comes_after_is_fresh(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(3))
        await buffer.part_backlog()
        await numbered(buffer, range(3, 5))
        assert await drain(buffer, Lane.FRESH, 2) == whole([3, 4])
        assert await drain(buffer, Lane.BACKLOG, 2) == whole([0, 1, 2])
        assert await buffer.pending() == Pending(0, 0, None)


async def test_without_a_backlog_its_lane_is_empty(bench):
    async with bench.buffer() as buffer:
        await buffer.part_backlog()
        assert await buffer.next_batch(10, Lane.BACKLOG) is None
        await numbered(buffer, [0])
        assert await buffer.next_batch(10, Lane.BACKLOG) is None
        assert await drain(buffer, Lane.FRESH) == whole([0])
        await buffer.part_backlog()
        assert await buffer.next_batch(10, Lane.BACKLOG) is None
    assert bench.rows("SELECT first_poll, end_poll, polls FROM uncut") == [(2, None, 0)]


async def test_each_lane_has_an_open_batch_of_its_own(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(2))
        await buffer.part_backlog()
        await numbered(buffer, range(2, 4))
        old, new = await buffer.next_batch(4, Lane.BACKLOG), await buffer.next_batch(4)
        assert (old.lane, new.lane) == (Lane.BACKLOG, Lane.FRESH)
        assert await buffer.next_batch(1, Lane.BACKLOG) == old
        assert await buffer.next_batch(1) == new
    async with bench.buffer() as buffer:
        assert await buffer.next_batch(1, Lane.BACKLOG) == old
        assert await buffer.next_batch(1) == new
        assert members(await buffer.read(old)) == [(0, 0), (0, 1), (0, 2), (1, 0)]
        assert members(await buffer.read(new)) == [(2, 0), (2, 1), (2, 2), (3, 0)]


async def test_an_open_batch_becomes_backlog_with_its_key_and_members(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(3))
        batch = await buffer.next_batch(4)
        found = await buffer.read(batch)
        await buffer.part_backlog()
        await numbered(buffer, [3])
        again = await buffer.next_batch(1, Lane.BACKLOG)
        assert (again, again.key, again.lane) == (batch, batch.key, Lane.BACKLOG)
        assert await buffer.read(again) == found
        assert members(await buffer.read(await buffer.next_batch(10))) == whole([3])
        await buffer.acknowledge(batch)  # as it was known before the parting
        assert await drain(buffer, Lane.BACKLOG) == [(1, 1), (1, 2), *whole([2])]


@pytest.mark.parametrize("lane", Lane)
async def test_the_halves_of_a_split_stay_in_its_lane(bench, lane):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(2))
        batch = await buffer.next_batch(6)
        if lane is Lane.BACKLOG:
            await buffer.part_backlog()
        halves = await buffer.split(batch)  # known by the lane that it was in
        assert [half.lane for half in halves] == [lane, lane]
        assert await buffer.next_batch(1, lane) == halves[0]
        other = Lane.FRESH if lane is Lane.BACKLOG else Lane.BACKLOG
        assert await buffer.next_batch(1, other) is None


async def test_a_second_outage_joins_the_backlog_of_the_first(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(2))
        await buffer.part_backlog()
        await numbered(buffer, range(2, 4))
        await buffer.part_backlog()  # nothing was delivered meanwhile: one stretch
        assert bench.rows("SELECT first_poll, end_poll, polls, metrics FROM uncut WHERE lane = 'backlog'") == [(1, 5, 4, 12)]
        await numbered(buffer, range(4, 6))
        await buffer.acknowledge(await buffer.next_batch(4))  # into the poll numbered 5
        await buffer.part_backlog()
        await numbered(buffer, [6])
        assert await drain(buffer, Lane.BACKLOG, 5) == [*whole(range(4)), (5, 1), (5, 2)]
        assert await drain(buffer, Lane.FRESH) == whole([6])


async def test_pending_counts_the_backlog_apart(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(3))
        assert await buffer.pending() == Pending(9, 3, T0_US, 0, None)
        await buffer.part_backlog()
        assert await buffer.pending() == Pending(9, 3, T0_US, 9, T0_US)
        await numbered(buffer, range(3, 5))
        await buffer.acknowledge(await buffer.next_batch(4))
        assert await buffer.pending() == Pending(11, 4, T0_US, 9, T0_US)
        await buffer.acknowledge(await buffer.next_batch(4, Lane.BACKLOG))
        batch = await buffer.next_batch(4, Lane.BACKLOG)
        assert await buffer.pending() == Pending(7, 3, T0_US + 1, 5, T0_US + 1)
        await buffer.acknowledge(batch)
        assert await buffer.pending() == Pending(3, 2, T0_US + 2, 1, T0_US + 2)
    async with bench.buffer() as buffer:
        assert await buffer.pending() == Pending(3, 2, T0_US + 2, 1, T0_US + 2)


async def test_a_backlog_by_itself_is_pending(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, [0])
        await buffer.part_backlog()
        await buffer.wait_for_pending()


async def test_parting_sees_what_was_added_just_before(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        await numbered(buffer, [0])
        await buffer.part_backlog()
        assert (await buffer.pending()).backlog_metrics == 3


async def test_batches_under_way_are_passed_over_and_the_next_is_cut(bench):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(3))
        first = await buffer.next_batch(3)
        second = await buffer.next_batch(3, exclude={first.id})
        third = await buffer.next_batch(9, exclude=[first.id, second.id])
        assert [members(await buffer.read(batch))[0][0] for batch in (first, second, third)] == [0, 1, 2]
        assert await buffer.next_batch(3, exclude={first.id, second.id, third.id}) is None
        assert await buffer.next_batch(3) == first


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
async def test_polls_of_which_no_row_is_sound_are_counted_as_lost_and_leave_the_database(bench, is_closed):
    async with bench.buffer() as buffer:
        await numbered(buffer, range(COUNTED_POLLS))
        if is_closed:
            await buffer.part_backlog()
        lane = Lane.BACKLOG if is_closed else Lane.FRESH
        await buffer.ask(lambda store: store.connection.execute("UPDATE polls SET metric_count = -1").rowcount)
        pending = await buffer.pending()
        assert (pending.metrics, pending.oldest_started_at_us) == (3 * COUNTED_POLLS, None)
        assert await buffer.next_batch(10, lane) is None
        assert await buffer.pending() == Pending(0, 0, None)
        assert bench.rows("SELECT id FROM polls") == bench.rows("SELECT poll FROM bodies") == []
        assert bench.rows("SELECT end_poll, polls FROM uncut") == [(None, 0)]
        await numbered(buffer, [7])
        assert await drain(buffer, Lane.FRESH) == whole([7])
    assert bench.counters.by_reason(Count.METRICS_DROPPED) == {"damaged": 3 * COUNTED_POLLS}
