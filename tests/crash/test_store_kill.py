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

from unit.buffer.samples import LAYOUT, T0_US, Bench, members

ROUNDS = 20

AGENT = """
import asyncio, json, sys
from pathlib import Path
from unit.buffer.samples import LAYOUT, T0_US, members, poll
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters

async def main(path, first, deliver):
    async with Buffer(Path(path), Counters(), clock_us=lambda: T0_US, commit_window_s=0.001) as buffer:
        layout = await buffer.register(LAYOUT)
        number = first
        while True:
            for _ in range(7):
                buffer.add(poll(layout, T0_US + number))
                number += 1
            await buffer.flush()
            print(json.dumps({"committed": number}), flush=True)
            if deliver:
                batch = await buffer.next_batch(5)
                print(json.dumps({"key": batch.key, "members": members(await buffer.read(batch))}), flush=True)
                await buffer.acknowledge(batch)
                print(json.dumps({"sent": batch.key}), flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "deliver"))
"""


def run_until_killed(path: Path, first: int, mode: str, lines: int) -> list[dict[str, object]]:
    """What the agent said before it was killed: at some instant after its `lines`-th line."""
    source = Path(__file__).parents[2] / "src"
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(path), str(first), mode],
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
    finally:
        connection.close()


@pytest.mark.parametrize("mode", ["add", "deliver"])
async def test_nothing_committed_is_lost_and_no_batch_changes(tmp_path, mode):
    """20 lives of one database, each ended by SIGKILL after some number of steps."""
    bench = Bench(tmp_path / "agent.db")
    seed = random.randrange(1 << 32)
    logging.getLogger(__name__).warning("seed %d", seed)  # shown with a failure
    rng = random.Random(seed)
    committed: set[int] = set()  # the times of the polls, less T0_US
    sent: set[tuple[int, int]] = set()
    cut: dict[str, list[tuple[int, int]]] = {}
    acknowledged: set[str] = set()
    first = 0
    for _ in range(ROUNDS):
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
        async with bench.buffer() as buffer:
            assert buffer.replaced is None
            await buffer.register(LAYOUT)
            stored = [time - T0_US for (time,) in bench.rows("SELECT started_at_us FROM polls ORDER BY id")]
            assert committed <= set(stored)
            assert stored == sorted(stored)
            if mode == "deliver":
                batch = await buffer.next_batch(5)
                found = members(await buffer.read(batch))
                assert batch.key not in acknowledged
                assert cut.setdefault(batch.key, found) == found
        first = max(stored, default=-1) + 1
    for found in cut.values():
        assert not sent & set(found), "two batches with one metric"
        sent.update(found)
    assert len(committed) > ROUNDS
    assert mode == "add" or len(cut) >= ROUNDS // 2
