"""Several destinations: each its own line of polls that are stored once, and none in the way of another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towerops_agent.buffer import lanes, retention
from towerops_agent.buffer.buffer import DAY_S, Buffer
from towerops_agent.buffer.format.batch import OPEN_END, Lane
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, add_hourly, corrupt_error, members, poll


async def take_all(buffer: Buffer, destination: str, acknowledge: bool = True) -> list[int]:
    """The numbers of the polls that this destination gets; each has three metrics, in requests of two."""
    found: list[tuple[int, int]] = []
    for lane in (Lane.BACKLOG, Lane.FRESH):
        under_way: list[int] = []
        while batch := await buffer.next_batch(2, lane, under_way, destination):
            assert batch.destination == destination
            found += members(await buffer.read(batch))
            if acknowledge:
                await buffer.acknowledge(batch)
            else:
                under_way.append(batch.id)
    assert len(found) == len(set(found))
    numbers = sorted({number for number, _ in found})
    assert sorted(found) == [(number, metric) for number in numbers for metric in range(3)]
    return numbers


async def add(buffer: Buffer, *numbers: int) -> None:
    layout = await buffer.register(LAYOUT)
    for number in numbers:
        buffer.add(poll(layout, T0_US + number))
    await buffer.flush()


def stored(bench) -> int:
    return bench.rows("SELECT count(*) FROM polls")[0][0]


async def test_each_destination_gets_each_poll_once_and_it_is_stored_once(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "a", "b"])
        await add(buffer, 0, 1, 2)
        assert await take_all(buffer, "a") == [0, 1, 2]
        assert (await buffer.pending("a")).metrics == 0
        assert (await buffer.pending("b")).metrics == (await buffer.pending("")).metrics == 9
        assert await take_all(buffer, "") == [0, 1, 2]
        assert stored(bench) == 3
        await add(buffer, 3)
        assert await take_all(buffer, "b") == [0, 1, 2, 3]
        assert await take_all(buffer, "a") == await take_all(buffer, "") == [3]


async def test_lines_go_on_over_restarts(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add(buffer, 0, 1)
        assert await take_all(buffer, "a") == [0, 1]
        batch = await buffer.next_batch(2, destination="b")
    async with bench.buffer() as buffer:
        await add(buffer, 2)  # before anybody has said which destinations there are
        await buffer.line_up(["a", "b"])
        assert await take_all(buffer, "a") == [2]
        assert await buffer.next_batch(2, destination="b") == batch
        assert await take_all(buffer, "b") == [0, 1, 2]


async def test_a_new_destination_begins_with_the_polls_to_come_and_one_that_comes_back_goes_on(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["a"])
        await add(buffer, 0)
        await buffer.line_up(["a", "b"])
        await add(buffer, 1)
        await buffer.line_up(["b"])
        await add(buffer, 2)
        assert await take_all(buffer, "b") == [1, 2]
        await buffer.line_up(["b", "a"])
        await add(buffer, 3)
        assert await take_all(buffer, "a") == [0, 1, 3]
        assert await take_all(buffer, "b") == [3]


async def test_the_first_destination_gets_what_waited_while_there_was_none(bench):
    async with bench.buffer() as buffer:
        await add(buffer, 0, 1)
        open_before = await buffer.next_batch(2)
        await buffer.line_up(["a", "b"])
        await add(buffer, 2)
        taken = await buffer.next_batch(2, destination="a")
        assert (taken, taken.destination) == (open_before, "a")
        assert await take_all(buffer, "a") == [0, 1, 2]
        assert await take_all(buffer, "b") == [2]
        assert await buffer.next_batch(2) is None


async def test_what_the_api_has_is_not_given_to_a_destination_that_had_it_beside_the_api(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "a"])
        await add(buffer, 0, 1)
        assert await take_all(buffer, "a") == [0, 1]
        await buffer.line_up(["a"])
        await add(buffer, 2)
        assert await take_all(buffer, "a") == [2]


@pytest.mark.parametrize("lines", [["", "a"], ["a", ""]])
async def test_what_waits_for_the_api_stays_its_own_in_whatever_order_the_destinations_are(bench, lines):
    async with bench.buffer() as buffer:
        await add(buffer, 0, 1)
        await buffer.line_up(lines)
        assert await take_all(buffer, "a") == []
        assert await take_all(buffer, "") == [0, 1]


async def test_a_poll_goes_when_all_have_it_or_after_a_day(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add_hourly(bench, buffer, 30)
        for destination in ("a", "b"):
            await buffer.next_batch(2, destination=destination)
        begin_us = bench.now_us
        a_had = len(await take_all(buffer, "a"))
        assert a_had == 30
        bench.now_us += 60_000_000
        await buffer.clean_up()  # b has taken none of them: those of more than a day ago are lost to it, and to it only
        assert bench.counters.by_reason(Count.METRICS_EXPIRED) == {"b": 3 * 6}
        assert (await buffer.pending("b")).metrics == 3 * 24
        assert stored(bench) == 30  # a's batches are kept for a day
        bench.now_us = begin_us + DAY_S * 1_000_000 + 1_000_000
        await buffer.clean_up()
        assert (await buffer.pending("b")).metrics == 0
        assert bench.counters.by_reason(Count.METRICS_EXPIRED) == {"b": 3 * 30}
        assert stored(bench) == 0


async def test_what_was_delivered_to_one_stays_for_the_other(bench):
    """One is dead for hours; what the other one had is removed from its own ledger a day later, and not before it is old."""
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add(buffer, *range(10))
        assert await take_all(buffer, "a") == list(range(10))

        def forget_a(store):
            sent = lanes.sent_batches(store.connection, 1 << 40, 100)
            assert {batch.destination for batch in sent} == {"a"}
            for batch in sent:
                lanes.drop_batch(store.connection, batch)
                lanes.remove_polls(store.connection, batch.start.poll, batch.last_poll)

        await buffer.ask(forget_a)
        assert stored(bench) == 10
        assert await take_all(buffer, "b") == list(range(10))


async def test_of_polls_that_a_removed_destination_waits_for_no_later_ones_stay(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add(buffer, *range(5))
        await buffer.line_up(["a"])
        await add(buffer, *range(5, 10))
        await buffer.acknowledge(await buffer.next_batch(3 * 10, destination="a"))
        bench.now_us += DAY_S * 1_000_000 - 1
        await buffer.ask(lambda store: retention.remove_sent(store.connection, store.age_s))
        assert stored(bench) == 5


async def test_what_waits_for_one_stays_though_another_begins_behind_it(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["b"])
        await add(buffer, *range(3))
        await buffer.line_up(["", "b"])
        await buffer.clean_up()
        assert await take_all(buffer, "b") == [0, 1, 2]


async def test_what_is_under_way_to_one_is_not_pending_for_another(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "b"])
        await add(buffer, *range(3))
        assert await buffer.next_batch(4, Lane.FRESH, (), "b")
        assert [(await buffer.pending(line)).metrics for line in ("", "b")] == [9, 9]
        assert [(await buffer.pending(line)).polls for line in ("", "b")] == [3, 3]


async def test_room_is_made_by_what_the_destination_that_is_down_has_not_got(bench):
    """The oldest first: what waits for the one that works is young, and stays."""
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "dead"])
        await add(buffer, *range(300))
        assert len(await take_all_of(buffer, "")) == 900
        await add(buffer, *range(300, 400))
        step = await buffer.ask(lambda store: retention.remove_uncut(store.connection, OPEN_END, 200))
        assert step.metrics == 600
        assert (await buffer.pending("")).metrics == 300
        assert await take_all_of(buffer, "dead") == [(number, metric) for number in range(200, 400) for metric in range(3)]
        assert stored(bench) == 400  # the first 200 are still what the other one has had


async def take_all_of(buffer: Buffer, destination: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while batch := await buffer.next_batch(1000, Lane.FRESH, (), destination):
        found += members(await buffer.read(batch))
        await buffer.acknowledge(batch)
    return found


async def test_a_corrupt_database_leaves_each_destination_what_it_has_not_got(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "a"])
        await add(buffer, 0, 1, 2)
        assert await take_all(buffer, "") == [0, 1, 2]
        await buffer.line_up(["", "a", "late"])
        await add(buffer, 3)
        with pytest.raises(BufferFailure):
            await buffer.ask(corrupt_error)
        assert buffer.replaced is not None
        await add(buffer, 4)
        assert await take_all(buffer, "") == [3, 4]
        assert await take_all(buffer, "late") == [3, 4]
        assert await take_all(buffer, "a") == [0, 1, 2, 3, 4]


async def test_while_the_file_cant_be_opened_each_destination_goes_on_from_memory(bench, monkeypatch):
    bench.path.mkdir()
    async with bench.buffer() as buffer:
        assert buffer.in_memory_because
        await buffer.line_up(["a", "b"])
        await add(buffer, 0, 1)
        assert await take_all(buffer, "a") == [0, 1]
        bench.path.rmdir()
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add(buffer, 2)
        assert await take_all(buffer, "b") == [0, 1, 2]
        assert await take_all(buffer, "a") == [2]


async def test_a_refused_metric_is_its_destinations(bench):
    async with bench.buffer() as buffer:
        await buffer.line_up(["", "a"])
        await add(buffer, 0)
        for destination in ("", "a"):
            batch = await buffer.next_batch(1, destination=destination)
            await buffer.refuse(batch, b'{"sensor_id":"s-1"}', "no")
        assert [metric.destination for metric in await buffer.refused()] == ["a", ""]
        assert len(await buffer.refused_of(b'{"sensor_id":"s-1"', 10)) == 1


operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 4)),
        st.tuples(st.just("take"), st.sampled_from(["", "a", "b"])),
        st.tuples(st.just("part"), st.sampled_from(["", "a", "b"])),
        st.tuples(st.just("hours"), st.integers(1, 14)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(operations)
async def test_no_destination_loses_or_gets_twice_what_is_not_a_day_old(tmp_path_factory, steps):
    """Whatever the others do. Polls are one an operation; each destination is played against a list of its own."""
    from unit.buffer.samples import Bench

    bench = Bench(tmp_path_factory.mktemp("lines") / "agent.db")
    waiting: dict[str, list[tuple[int, int]]] = {"": [], "a": [], "b": []}
    number = 0
    buffer = bench.buffer()
    await buffer.__aenter__()
    try:
        await buffer.line_up(list(waiting))
        for what, argument in steps:
            match what:
                case "add":
                    await add(buffer, *range(number, number + argument))
                    for numbers in waiting.values():
                        numbers += [(one, bench.now_us) for one in range(number, number + argument)]
                    number += argument
                case "take":
                    found = await take_all(buffer, argument)
                    young = [one for one, at_us in waiting[argument] if at_us > bench.now_us - DAY_S * 1_000_000]
                    assert found[len(found) - len(young) :] == young
                    assert set(found) <= {one for one, _ in waiting[argument]}
                    waiting[argument] = []
                case "part":
                    await buffer.part_backlog(argument)
                case "hours":
                    bench.now_us += argument * HOUR_US
                    await buffer.clean_up()
                case "restart":
                    await buffer.__aexit__(None, None, None)
                    buffer = bench.buffer()
                    await buffer.__aenter__()
                    await buffer.line_up(list(waiting))
        assert bench.counters.total(Count.METRICS_DROPPED) == 0
    finally:
        await buffer.__aexit__(None, None, None)


async def test_a_line_that_has_just_been_closed_may_be_split_off_as_backlog(bench):
    """Its courier may not have ended yet. The database is not corrupt for that."""
    async with bench.buffer() as buffer:
        await buffer.line_up(["a", "b"])
        await add(buffer, 0, 1)
        await buffer.line_up(["b"])
        await buffer.part_backlog("a")
        await buffer.part_backlog("never there")
        assert buffer.replaced is None
        pending = await buffer.pending("a")
        assert pending.metrics == pending.backlog_metrics == 6
        assert await take_all(buffer, "a") == await take_all(buffer, "b") == [0, 1]
