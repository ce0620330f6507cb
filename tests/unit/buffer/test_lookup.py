"""The polls of some layouts are found without a look at all others, whatever the packer, a salvage or damage has left."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from towerops_agent.buffer import lookup, packer, recovery, salvage
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.buffer.lookup import Newest
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.store import Polls
from towerops_agent.model import Layout
from unit.buffer.samples import LAYOUT, T0_US, poll

MINUTE_US = 60_000_000
OFTEN = ("eq-0", "eq-1", "eq-2")
SELDOM = "ups"
LAYOUTS = {"eq-0": [1], "eq-1": [2], "eq-2": [3], SELDOM: [4], "never": [5], "unregistered": []}


async def fill(bench, buffer, rounds: int = 60, seldom: tuple[int, ...] = (3,)) -> None:
    """A poll of some devices each minute, and of another one in these minutes only. Nothing is packed yet."""
    ids = await buffer.register_all(Layout(device, LAYOUT.sensors, LAYOUT.interfaces) for device in (*OFTEN, SELDOM, "never"))
    for minute in range(rounds):
        for layout in ids[: 4 if minute in seldom else 3]:
            buffer.add(poll(layout, bench.now_us))
        await buffer.flush()
        bench.now_us += MINUTE_US


def at(minute: int) -> int:
    return T0_US + minute * MINUTE_US


def shown(bench) -> tuple[dict[str, int], dict[str, list[int]]]:
    """The newest poll of each device, and all polls of each, by their times."""
    with DatabaseReader(bench.path) as reader:
        newest = {device: one.newest_us for device, one in reader.latest(LAYOUTS).items()}
        return newest, {device: [one.poll.started_at_us for one in reader.polls(device, 0)] for device in LAYOUTS}


def readable(bench) -> dict[str, int]:
    """How many polls of each device can be read, by a look at all of them."""
    with DatabaseReader(bench.path) as reader:
        polls = Polls(reader.connection)
        found = Counter(head[1] for head, one in polls.decode(polls.found("id > 0")) if isinstance(one, StoredPoll))
    return {device: sum(found[layout] for layout in layouts) for device, layouts in LAYOUTS.items()}


def expected(rounds: int, *seldom: int, first: int = 0) -> tuple[dict[str, int], dict[str, list[int]]]:
    polls = {device: [at(minute) for minute in range(first, rounds)] for device in OFTEN}
    polls[SELDOM] = [at(minute) for minute in seldom if minute >= first]
    return {device: times[-1] for device, times in polls.items() if times}, {"never": [], "unregistered": [], **polls}


async def test_it_is_the_same_at_each_step_of_the_packing(bench, monkeypatch):
    monkeypatch.setattr(packer, "PACKED_PER_STEP", 20)
    monkeypatch.setattr(packer, "REMOVED_PER_STEP", 20)
    monkeypatch.setattr(packer, "SCANNED_PER_STEP", 30)
    async with bench.buffer() as buffer:
        await fill(bench, buffer, 80, seldom=(3, 40))
        steps = 0
        assert shown(bench) == expected(80, 3, 40)
        while not (await buffer.ask(lambda store: store.pack())).done:
            steps += 1
            assert shown(bench) == expected(80, 3, 40)
        assert steps > 15
        assert len(bench.rows("SELECT DISTINCT end_poll FROM packs")) == 3


@pytest.mark.parametrize(("few", "at_once"), [(0, 7), (500, 7), (0, 100_000)])
async def test_it_is_the_same_for_many_layouts_and_polls(bench, monkeypatch, few, at_once):
    monkeypatch.setattr(lookup, "FEW", few)
    monkeypatch.setattr(lookup, "POLLS_AT_ONCE", at_once)
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        assert shown(bench) == expected(60, 3)
        await buffer.clean_up()
        assert shown(bench) == expected(60, 3)
        await buffer.ask(lambda store: store.connection.execute("DELETE FROM polls WHERE id < 50").rowcount)
        assert shown(bench) == expected(60, 3, first=16), "of what was removed after a day nothing is left"


async def test_polls_that_stay_plain_before_packed_ones_are_found(bench):
    """As those do that were young when the file took in what had been packed in memory."""
    async with bench.buffer() as buffer:
        await fill(bench, buffer, 20, seldom=(15,))
        await buffer.ask(
            lambda store: store.connection.execute("INSERT INTO ranges (end_poll, first_poll) VALUES (62, 1)").rowcount
        )
        for minute in range(20, 60):
            for layout in (1, 2, 3):
                buffer.add(poll(layout, at(minute)))
            await buffer.flush()
            bench.now_us += MINUTE_US
        await buffer.clean_up()
        assert bench.rows("SELECT count(*) FROM packs") != [(0,)]
        assert shown(bench) == expected(60, 15)


async def test_it_is_the_same_once_a_corrupt_file_has_been_copied_back_and_what_can_be_read_is_found_meanwhile(
    bench, monkeypatch
):
    """A look at each step of the copying, compared with one through all polls that are there."""
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", 0)
    monkeypatch.setattr(recovery, "AGAIN_S", 0.0005)
    monkeypatch.setattr(salvage, "ROWS_PER_STEP", 7)
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        await buffer.clean_up()
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute("UPDATE clock SET checksum = 0")
    looks_with_room = 0

    def disk(_: Path) -> SimpleNamespace:
        nonlocal looks_with_room
        looks_with_room -= 1
        return SimpleNamespace(f_blocks=1 << 21, f_bavail=1 << 20 if looks_with_room >= 0 else 0, f_frsize=4096)

    seen = set()
    async with bench.buffer(statvfs=disk) as buffer:
        buffer.add(poll(3, at(60)))
        await buffer.flush()
        while buffer.salvaging:
            before, found, after = readable(bench), {device: len(shown(bench)[1][device]) for device in LAYOUTS}, readable(bench)
            if before == after:  # else the writer's thread has gone on meanwhile
                assert found == before
                seen.add(sum(found.values()))
            looks_with_room = 1  # for a step
            await buffer.salvage()
        assert len(seen) > 5
        newest, polls = expected(60, 3)
        assert shown(bench) == (newest | {"eq-2": at(60)}, polls | {"eq-2": [*polls["eq-2"], at(60)]})


@pytest.mark.parametrize(
    "damage", ["DELETE FROM ranges", "UPDATE ranges SET end_poll = end_poll + 5", "UPDATE ranges SET end_poll = end_poll - 5"]
)
async def test_it_does_not_depend_on_the_table_without_checksums(bench, damage):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        await buffer.clean_up()
        await buffer.ask(lambda store: store.connection.execute(damage).rowcount)
        assert shown(bench) == expected(60, 3)


@pytest.mark.parametrize("pack", ["x'00'", "'text'", "7"])
async def test_of_a_damaged_pack_the_polls_are_left_out_and_others_are_found(bench, pack):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        await buffer.clean_up()
        assert len(shown(bench)[1]["eq-0"]) == 60
        await buffer.ask(lambda store: store.connection.execute(f"UPDATE packs SET body = {pack} WHERE layout_id = 1").rowcount)
        newest, polls = shown(bench)
        assert newest == expected(60, 3)[0]
        assert polls["eq-1"] == expected(60, 3)[1]["eq-1"]
        assert 10 <= len(polls["eq-0"]) < 60


async def test_the_distance_of_two_polls_is_found_if_it_is_asked_for(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer, 80, seldom=(3, 33))
        await buffer.clean_up()
        with DatabaseReader(bench.path) as reader:
            assert reader.latest(LAYOUTS)[SELDOM] == Newest(at(33), at(33), 1)
            assert reader.latest(LAYOUTS, {SELDOM})[SELDOM] == Newest(at(33), at(3), 2)
            assert reader.latest(LAYOUTS, LAYOUTS)["eq-0"].newest_us == at(79)


async def test_a_device_with_two_layouts_has_the_newest_poll_of_both(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        await buffer.clean_up()
        with DatabaseReader(bench.path) as reader:
            assert reader.latest({"both": [1, 4], "other": [4]})["both"].newest_us == at(59)


async def test_a_poll_that_is_only_in_the_tail_is_the_newest(bench):
    async with bench.buffer() as buffer:
        await fill(bench, buffer)
        buffer.add(poll(4, at(61)))
        await buffer.secure()
        assert bench.rows("SELECT count(*) FROM polls WHERE layout_id = 4") == [(1,)]
        assert shown(bench)[0][SELDOM] == at(61)
        with DatabaseReader(bench.path) as reader:
            assert reader.latest(LAYOUTS, {SELDOM})[SELDOM] == Newest(at(61), at(3), 2)


async def test_in_an_empty_database_nothing_is_found(bench):
    async with bench.buffer():
        assert shown(bench) == ({}, {device: [] for device in LAYOUTS})
