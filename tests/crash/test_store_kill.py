"""kill -9 at any moment: what was reported as committed is there, and a batch is what it was."""

import json
import logging
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from towerops_agent.buffer.format.batch import StoredPoll
from unit.buffer.samples import LAYOUT, T0_US, Bench, members

MODES = ["add", "hold", "deliver", "keep up", "evict"]

CLOCK_STEP_US = 180_000_000
"""How far the clocks go on with each poll in the modes with upkeep: 480 polls a day."""

POLLS_A_TIME = 7
"""As the agent adds them."""

AGENT = """
import asyncio, json, sys
from pathlib import Path
from unit.buffer.samples import LAYOUT, T0_US, members, poll
from towerops_agent.buffer import packer, retention, room
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters

path, number, mode, clock_step_us = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
now_us = T0_US
options = {}
if mode in ("keep up", "evict"):  # small steps, so that many kills are between two
    packer.SCANNED_PER_STEP, packer.PACKED_PER_STEP, packer.REMOVED_PER_STEP = 9, 8, 5
    retention.POLLS_PER_STEP, retention.BATCHES_PER_STEP, retention.PACKS_PER_STEP, retention.PAGES_PER_STEP = 7, 3, 1, 2
if mode == "evict":
    room.MIN_OCTETS, room.JOURNAL_OCTETS, room.Room._journal_octets = 0, 0, lambda self, store: 0
    options["max_octets"] = 160_000

async def main():
    global number, now_us
    now_us = T0_US + number * clock_step_us
    async with Buffer(
        path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us, commit_window_s=0.001, **options
    ) as buffer:
        layout = await buffer.register(LAYOUT)
        while True:
            for _ in range(7):
                buffer.add(poll(layout, T0_US + number))
                number += 1
            await (buffer.secure() if mode == "hold" and number % 5 else buffer.flush())
            now_us = T0_US + number * clock_step_us
            print(json.dumps({"committed": number}), flush=True)
            if mode == "deliver" or (mode == "hold" and number % 3 == 0) or (mode not in ("add", "hold") and number % 3):
                batch = await buffer.next_batch(5 if mode in ("deliver", "hold") else 19)
                print(json.dumps({"key": batch.key, "members": members(await buffer.read(batch))}), flush=True)
                await buffer.acknowledge(batch)
                print(json.dumps({"sent": batch.key}), flush=True)
            if mode in ("keep up", "evict"):
                await buffer.clean_up()

asyncio.run(main())
"""


def run_until_killed(path: Path, first: int, mode: str, lines: int) -> list[dict[str, object]]:
    """What the agent said before it was killed: at some instant after its `lines`-th line."""
    source = Path(__file__).parents[2] / "src"
    clock_step_us = CLOCK_STEP_US if mode in ("keep up", "evict") else 0
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(path), str(first), mode, str(clock_step_us)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{source}:{Path(__file__).parents[1]}"},
    )
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL, said
    return [json.loads(line) for line in said if line.endswith("\n")]


def check_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        polls, times = connection.execute("SELECT count(*), count(DISTINCT started_at_us) FROM polls").fetchone()
        assert polls == times, "a poll is stored twice"
        for first, first_metric, end, held, metrics in connection.execute(
            "SELECT first_poll, first_metric, coalesce(end_poll, 1 << 62), polls, metrics FROM uncut"
        ).fetchall():
            count, total = connection.execute(
                "SELECT count(*), total(metric_count) FROM polls WHERE id >= ? AND id < ?", (first, end)
            ).fetchone()
            assert (count, total) == (held, metrics + (first_metric if held else 0)), "a stretch does not hold what it says"
    finally:
        connection.close()


async def stored_polls(buffer) -> list[int]:
    """All polls, by their number; each can be read."""

    def read(store):
        return [poll for _, poll in store.polls.decode(store.polls.between(0, 1 << 62))]

    polls = await buffer.ask(read)
    assert all(isinstance(poll, StoredPoll) and poll.layout == LAYOUT for poll in polls)
    return [poll.poll.started_at_us - T0_US for poll in polls]


async def lives(path: Path, mode: str, rounds: int) -> None:
    """Lives of one database, each ended by SIGKILL after some number of steps."""
    bench = Bench(path)
    seed = random.randrange(1 << 32)
    logging.getLogger(__name__).warning("seed %d", seed)  # shown with a failure
    rng = random.Random(seed)
    committed: set[int] = set()  # the numbers of the polls
    sent: set[tuple[int, int]] = set()
    cut: dict[str, list[tuple[int, int]]] = {}
    acknowledged: set[str] = set()
    first = 0
    for _ in range(rounds):
        said = run_until_killed(bench.path, first, mode, rng.randrange(1, 60))
        for line in said:
            if "committed" in line:
                committed.update(range(first, line["committed"]))
            elif "sent" in line:
                acknowledged.add(line["sent"])
            else:
                found = [tuple(member) for member in line["members"]]
                assert cut.setdefault(line["key"], found) == found
        check_file(bench.path)
        if mode in ("keep up", "evict"):  # this is as late as the next life begins: the clocks do not go back
            ((newest_us,),) = bench.rows("SELECT coalesce(max(started_at_us), 0) FROM polls")
            bench.now_us = T0_US + max(newest_us - T0_US + 1, first) * CLOCK_STEP_US
        async with bench.buffer() as buffer:
            assert buffer.replaced is None
            await buffer.register(LAYOUT)
            stored = await stored_polls(buffer)
            assert stored == sorted(stored)
            if mode != "evict":
                day = 24 * 3600 * 1_000_000 // CLOCK_STEP_US if mode == "keep up" else len(committed)
                if mode == "keep up":
                    day -= POLLS_A_TIME  # the clocks go on after these: the age of each counts from the number of the first
                assert {number for number in committed if number > max(committed) - day} <= set(stored)
            if stored:
                batch = await buffer.next_batch(5)
                if batch is not None:
                    found = members(await buffer.read(batch))
                    assert batch.key not in acknowledged
                    assert cut.setdefault(batch.key, found) == found
        first = max(stored, default=first - 1) + 1
    for found in cut.values():
        assert not sent & set(found), "two batches with one metric"
        sent.update(found)
    assert len(committed) > rounds
    assert mode == "add" or len(cut) >= rounds // 2


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_committed_is_lost_and_no_batch_changes(tmp_path, mode):
    """25 kills: while polls are added, held in the tail, delivered, packed, expired, vacuumed, evicted."""
    await lives(tmp_path / "agent.db", mode, rounds=5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
async def test_nothing_committed_is_lost_in_250_kills(tmp_path, mode):
    await lives(tmp_path / "agent.db", mode, rounds=50)
