"""The first block of a file is destroyed, and with it the roots of its tables: their rows are found all the same."""

import os
import random
import sqlite3
from contextlib import closing

import pytest

from towerops_agent.buffer import quarantine
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.format.codec import encode_layout
from towerops_agent.buffer.place import PAGE_OCTETS
from towerops_agent.buffer.roots import rebuilt
from towerops_agent.buffer.values import PIECE_OCTETS
from towerops_agent.counters import Count
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, Bench, members, poll

BLOCK = quarantine.BLOCK_OCTETS
POLLS = 3_000
LATER = 200
"""Polls that are not packed yet: one whose readings are on the root itself is lost with it."""
SENT = 3
TABLES = ("layouts", "polls", "bodies", "ranges", "packs")


async def fill(bench: Bench, *, packed: bool = False, polls: int = POLLS) -> None:
    """Polls numbered from 0, the first metrics of which are sent, and many layouts."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        await buffer.register_all([Layout(f"eq-{number}", LAYOUT.sensors) for number in range(2, 200)])
        for number in range(polls):
            buffer.add(poll(layout, T0_US + number))
        await buffer.acknowledge(await buffer.next_batch(SENT))
        await buffer.next_batch(2)
        await buffer.keep_config(b"sealed")
        if packed:
            bench.now_us += HOUR_US
            await buffer.clean_up()
            for number in range(polls, polls + LATER):
                buffer.add(poll(layout, T0_US + number))


def overwrite(path, begin: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(octets)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("begin", [0, PAGE_OCTETS], ids=["with the first page", "without"])
@pytest.mark.parametrize("octet", [b"\0", b"\xff"])
async def test_all_of_a_file_whose_first_block_is_destroyed_is_delivered(bench, packed, begin, octet):
    await fill(bench, packed=packed)
    overwrite(bench.path, begin, octet * (BLOCK - begin))
    async with bench.buffer() as buffer:
        assert buffer.replaced is not None
        assert await buffer.kept_config() == b"sealed"
        found = []
        for lane in Lane:
            while batch := await buffer.next_batch(1_000, lane):
                found += members(await buffer.read(batch))
                await buffer.acknowledge(batch)
    assert sorted(found) == [(number, metric) for number in range(POLLS + packed * LATER) for metric in range(3)][SENT:]
    assert bench.counters.total(Count.METRICS_DROPPED) == 0


@pytest.mark.parametrize("layouts", [1, 2, 5, 9, 12, 16, 17])
async def test_a_few_layouts_which_the_destroyed_block_had_are_kept_in_another(bench, layouts):
    """A root that has its table's rows itself can't be made again, and without its layout no poll can be delivered."""
    async with bench.buffer() as buffer:
        ids = await buffer.register_all([Layout(f"eq-{number}", LAYOUT.sensors) for number in range(layouts)])
        for number in range(POLLS):
            buffer.add(Poll(ids[number % layouts], T0_US + number, (7, 2.5, -1), ((3, 1_000),), 3))
    overwrite(bench.path, 0, bytes(BLOCK))
    async with bench.buffer() as buffer:
        batch = await buffer.next_batch(3 * POLLS, Lane.BACKLOG)
        polls = await buffer.read(batch)
        assert len(members(polls)) == 3 * POLLS
        assert all(one.layout.equipment_id == f"eq-{(one.poll.started_at_us - T0_US) % layouts}" for one in polls)


async def test_large_layouts_which_are_kept_in_pieces_are_found_in_their_second_place(bench):
    """Of some switches with a thousand ports: more than a row of kept values may have."""
    large = Layout("eq-1", tuple((f"s-{number}-{'x' * 100}", 1.0) for number in range(PIECE_OCTETS // 100)))
    assert len(encode_layout(large)) > PIECE_OCTETS
    async with bench.buffer() as buffer:
        await buffer.register(large)
        layout = await buffer.register(LAYOUT)
        for number in range(POLLS):
            buffer.add(poll(layout, T0_US + number))
    overwrite(bench.path, 0, bytes(BLOCK))
    async with bench.buffer() as buffer:
        batch = await buffer.next_batch(3 * POLLS, Lane.BACKLOG)
        assert len(members(await buffer.read(batch))) == 3 * POLLS


@pytest.mark.parametrize("with_maps", [True, False], ids=["maps", "first map lost"])
@pytest.mark.parametrize("table", TABLES)
async def test_a_root_that_is_made_again_leads_to_the_same_rows(bench, table, with_maps):
    await fill(bench, packed=True, polls=400)
    with closing(sqlite3.connect(bench.path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
        rows = connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall()
    assert rows
    was_interior = bench.path.read_bytes()[(roots[table] - 1) * PAGE_OCTETS] == 5
    overwrite(bench.path, (roots[table] - 1) * PAGE_OCTETS, bytes(PAGE_OCTETS))
    if not with_maps:
        overwrite(bench.path, PAGE_OCTETS, bytes(PAGE_OCTETS))
    place = os.open(bench.path, os.O_RDWR)
    try:
        pages = rebuilt(place, roots, bench.path.stat().st_size)
        assert list(pages) == ([roots[table]] if was_interior else [])
        for root, page in pages.items():
            os.pwrite(place, page, (root - 1) * PAGE_OCTETS)
    finally:
        os.close(place)
    if was_interior:
        with closing(sqlite3.connect(bench.path)) as connection:
            assert connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() == rows


async def test_of_pages_with_anything_in_them_no_exception_comes(bench):
    """What is taken for a page of a table may be of damage, or of what was in the file before."""
    await fill(bench, packed=True, polls=100)
    content = bench.path.read_bytes()
    roots = {name: number for number, name in enumerate(TABLES, 3)}
    rng = random.Random(7)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[2 * PAGE_OCTETS : BLOCK] = bytes(BLOCK - 2 * PAGE_OCTETS)
        for _ in range(rng.randrange(1, 400)):
            damaged[rng.randrange(PAGE_OCTETS, len(damaged))] = rng.choice([0, 5, 13, 255, rng.randrange(256)])
        bench.path.write_bytes(damaged)
        place = os.open(bench.path, os.O_RDONLY)
        try:
            assert all(len(page) == PAGE_OCTETS for page in rebuilt(place, roots, len(damaged)).values())
        finally:
            os.close(place)


async def test_a_layout_that_is_damaged_does_not_take_the_place_of_the_sound_one_that_is_kept(bench):
    """A made-up one would be what polls mean."""
    async with bench.buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        for number in range(300):
            buffer.add(poll(layout, T0_US + number))
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute("UPDATE layouts SET body = CAST(replace(body, 's-1', 's-9') AS BLOB)")
        assert connection.execute("SELECT instr(body, 's-9') FROM layouts").fetchone() > (0,)
    async with bench.buffer() as buffer:
        await buffer.register(Layout("eq-2"))
    overwrite(bench.path, 0, bytes(BLOCK))
    async with bench.buffer() as buffer:
        batch = await buffer.next_batch(900, Lane.BACKLOG)
        assert [one.layout for one in await buffer.read(batch)] == [LAYOUT] * 300
