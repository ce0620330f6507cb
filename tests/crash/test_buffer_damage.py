"""Damage of any kind to a database with a backlog: no exception, no false value, and what is not delivered is counted."""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from towerops_agent.buffer import packer, retention, schema
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from towerops_agent.model import Layout, Poll
from unit.buffer.samples import HOUR_US, T0_US, Bench

PAGE = 512
BLOCK = 4_096
POLLS = 900
HELD = 40
"""Polls that are in the tail only: the agent was killed."""
LAYOUTS = [Layout(f"eq-{i}", tuple((f"s-{i}-{j}", 1.0) for j in range(5 + 10 * i))) for i in range(3)]

Metric = tuple[int, int]
"""The number of its poll, and which of the poll's metrics it is."""


def numbered(layouts: list[int], number: int) -> Poll:
    """A poll of which each value says whose it is."""
    which = number % len(LAYOUTS)
    count = LAYOUTS[which].value_count
    values = tuple(1_000_000 * which + 1_000 * number + i for i in range(count))
    return Poll(layouts[which], T0_US + number, values, ((count, number % 7),), count)


def metrics_of(number: int) -> set[Metric]:
    return {(number, metric) for metric in range(LAYOUTS[number % len(LAYOUTS)].value_count)}


async def fill(path: Path) -> tuple[bytes, set[Metric]]:
    """A file with a third of the polls packed, some sent, some in batches, a backlog, fresh ones, and some in the tail.

    And what is not delivered of them.
    """
    bench = Bench(path)
    pending = {metric for number in range(POLLS + HELD) for metric in metrics_of(number)}
    async with bench.buffer(commit_window_s=3600) as buffer:
        layouts = await buffer.register_all(LAYOUTS)
        await buffer.keep_config(b"sealed")
        for third in range(3):
            for number in range(POLLS * third // 3, POLLS * (third + 1) // 3):
                buffer.add(numbered(layouts, number))
            for _ in range(5):
                batch = await buffer.next_batch(150)
                pending -= {metric for metric, _ in await read(buffer, batch)}
                await buffer.acknowledge(batch)
            if third < 2:
                await buffer.part_backlog()
                await buffer.next_batch(100, Lane.BACKLOG)
            bench.now_us += HOUR_US
            if third < 2:
                await buffer.clean_up()
        await buffer.split(await buffer.next_batch(170))
        for number in range(POLLS, POLLS + HELD):
            buffer.add(numbered(layouts, number))
        await buffer.secure()
        await buffer.ask(lambda store: retention.checkpoint(store.connection), sees_polls=False)
        return path.read_bytes(), pending


async def read(buffer, batch) -> list[tuple[Metric, bool]]:
    """The metrics of the batch, and whether each is true."""
    found = []
    for stored in await buffer.read(batch):
        number = stored.poll.started_at_us - T0_US
        true = numbered([stored.poll.layout] * 3, number) == stored.poll and stored.layout == LAYOUTS[number % len(LAYOUTS)]
        found += [((number, metric), true) for metric in range(stored.first_metric, stored.stop_metric)]
    return found


# Each is given the file's content and changes it.


def zeroed_page(rng: random.Random, content: bytearray) -> None:
    at = PAGE * rng.randrange(len(content) // PAGE)
    content[at : at + PAGE] = bytes(PAGE)


def destroyed_block(rng: random.Random, content: bytearray) -> None:
    """Of the size that disks have, and often the first one, in which the roots of the tables are."""
    at = BLOCK * (rng.randrange(2) and rng.randrange(len(content) // BLOCK))
    content[at : at + BLOCK] = rng.choice([bytes(BLOCK), rng.randbytes(BLOCK)])


def swapped_pages(rng: random.Random, content: bytearray) -> None:
    a, b = (PAGE * page for page in rng.sample(range(len(content) // PAGE), 2))
    content[a : a + PAGE], content[b : b + PAGE] = content[b : b + PAGE], content[a : a + PAGE]


def cut_short(rng: random.Random, content: bytearray) -> None:
    del content[rng.randrange(len(content)) :]


def flipped_bits(rng: random.Random, content: bytearray) -> None:
    for _ in range(rng.choice([1, 1, 1, 10, 200])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def random_octets(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    count = min(rng.choice([1, 8, 100, 2 * PAGE]), len(content) - at)
    content[at : at + count] = rng.randbytes(count)


DAMAGES: list[Callable[[random.Random, bytearray], None]] = [
    zeroed_page,
    swapped_pages,
    cut_short,
    flipped_bits,
    random_octets,
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> tuple[bytes, set[Metric]]:
    """The content of a file, and what is undelivered in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packer, "POLLS_PER_LAYOUT", 10)
        path = tmp_path_factory.mktemp("filled") / "agent.db"
        return asyncio.run(fill(path))


async def drain(bench: Bench, buffer, delivered: list[tuple[Metric, bool]], damage: Callable[[], None] | None = None) -> None:
    """Deliver all that can be, with upkeep beside it; what fails is tried again, a minute later each time."""
    idle = 0
    for _ in range(3_000):
        try:
            idle += 1
            for lane in Lane:
                if batch := await buffer.next_batch(150, lane):
                    found = await read(buffer, batch)
                    await buffer.acknowledge(batch)
                    delivered += found
                    idle = 0
            await buffer.pending()
            if damage is not None:
                damage()
                damage = None
                await buffer.clean_up()
        except BufferFailure:
            bench.now_us += 60_000_000
        if idle > 5:
            return
    raise AssertionError("it has no end")


async def register(bench: Bench, buffer) -> None:
    for _ in range(3):
        try:
            await buffer.register_all(LAYOUTS)
        except BufferFailure:
            bench.now_us += 60_000_000


async def check(path: Path, filled: tuple[bytes, set[Metric]], seed: int, *, in_use: bool, damages=DAMAGES) -> None:
    content, pending = filled
    rng = random.Random(seed)
    how = rng.choice(damages)
    logging.getLogger(__name__).warning("seed %d: %s", seed, how.__name__)  # shown with a failure

    def damage() -> None:
        damaged = bytearray(path.read_bytes())
        how(rng, damaged)
        with path.open("r+b") as file:  # the same inode
            file.write(damaged)
            file.truncate()

    path.write_bytes(content)
    bench = Bench(path, now_us=T0_US + 4 * HOUR_US)
    delivered: list[tuple[Metric, bool]] = []
    with capture_logs() as logs:
        if not in_use:
            damage()
        for _ in range(2):
            async with bench.buffer() as buffer:
                await register(bench, buffer)
                await drain(bench, buffer, delivered, damage if in_use else None)
                in_use = False
    false = [metric for metric, is_true in delivered if not is_true]
    assert not false
    counted = bench.counters.total(Count.METRICS_DROPPED) + bench.counters.total(Count.METRICS_EXPIRED)
    missing = pending - {metric for metric, _ in delivered}
    unknown = any(entry["event"] == "more metrics may be lost with the corrupt database than are counted" for entry in logs)
    assert len(missing) <= counted or unknown, [entry for entry in logs if entry["log_level"] != "debug"]
    assert bench.counters.total(Count.BUGS) == 0
    assert not [entry for entry in logs if entry.get("exc_info")]
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    finally:
        connection.close()


@pytest.mark.parametrize("in_use", [False, True], ids=["at_rest", "in_use"])
@pytest.mark.parametrize("some", range(5))
async def test_of_100_damages_each_is_survived_and_its_losses_are_counted(tmp_path, filled, some, in_use):
    for seed in range(10):
        await check(tmp_path / f"{seed}.db", filled, 1_000 * some + seed, in_use=in_use)


@pytest.mark.parametrize("in_use", [False, True], ids=["at_rest", "in_use"])
async def test_of_20_destroyed_blocks_each_is_survived_and_its_losses_are_counted(tmp_path, filled, in_use):
    for seed in range(10):
        await check(tmp_path / f"{seed}.db", filled, seed, in_use=in_use, damages=[destroyed_block])


async def test_a_poll_whose_age_is_a_text_by_damage_does_not_stop_the_packing(tmp_path, filled):
    await check(tmp_path / "agent.db", filled, 10_301, in_use=True)


async def test_a_flipped_bit_that_makes_a_poll_seem_to_have_millions_of_metrics_costs_few_batches(tmp_path, filled):
    await check(tmp_path / "agent.db", filled, 10_202, in_use=False)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("in_use", [False, True], ids=["at_rest", "in_use"])
async def test_of_2000_damages_each_is_survived_and_its_losses_are_counted(tmp_path, filled, in_use):
    for seed in range(10_000, 11_000):
        await check(tmp_path / "agent.db", filled, seed, in_use=in_use)
        for file in tmp_path.iterdir():
            file.unlink()
