"""kill -9 loses at most the polls of the last BUFFER_COMMIT_SECONDS, and not one that is older."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from towerops_agent.given import read_settings
from unit.buffer.samples import T0_US, Bench

WINDOW_S = read_settings({"TOWEROPS_API_URL": "https://api.test", "TOWEROPS_AGENT_TOKEN": "token"}, {}).commit_window_s

AGENT = """
import asyncio, os, signal, sys, threading, types
from pathlib import Path
from unit.buffer.samples import LAYOUT, T0_US, poll
from towerops_agent.buffer import writer
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters

path, window_s, killed_s, step_s = Path(sys.argv[1]), *map(float, sys.argv[2:])
clock_s = 0.0
waits = 0
wait = threading.Condition.wait

def short_wait(self, timeout=None):  # the writer looks at the clock again and again, which stands still until it is set
    global waits
    if threading.current_thread().name == "buffer-writer":
        waits += 1
        timeout = 0.002
    return wait(self, timeout)

threading.Condition.wait = short_wait
writer.time = types.SimpleNamespace(monotonic=lambda: clock_s)

async def main():
    global clock_s
    now_us = lambda: T0_US + int(clock_s * 1e6)
    async with Buffer(path, Counters(), clock_us=now_us, monotonic_us=now_us, commit_window_s=window_s) as buffer:
        layout = await buffer.register(LAYOUT)
        while clock_s < killed_s:
            buffer.add(poll(layout, now_us()))
            clock_s = round(clock_s + step_s, 3)
            seen = waits
            while waits < seen + 2:  # it has done all that was due by then
                await asyncio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def polls_after_a_kill(path: Path, killed_s: float, step_s: float) -> set[float]:
    """The second of each poll that the next agent finds, of one each `step_s` until the kill."""
    source = Path(__file__).parents[2] / "src"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, str(path), str(WINDOW_S), str(killed_s), str(step_s)),
        env={"PYTHONPATH": f"{source}:{Path(__file__).parents[1]}"},
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    async with Bench(path).buffer() as buffer:
        await buffer.flush()
        stored = await buffer.ask(lambda store: [poll for _, poll in store.polls.decode(store.polls.between(0, 1 << 62))])
    return {round((poll.poll.started_at_us - T0_US) / 1e6, 3) for poll in stored}


@pytest.mark.parametrize("killed_s", [0.9, 4.8, 5.1, 9.9, 12.6, 64.2, 131.1])
async def test_what_is_older_than_the_window_is_there(tmp_path: Path, killed_s: float):
    """Polls come three a second without a pause: a later one does not put off when the earlier ones are due."""
    step_s = 0.3
    found = await polls_after_a_kill(tmp_path / "agent.db", killed_s, step_s)
    made = {round(n * step_s, 3) for n in range(round(killed_s / step_s))}
    assert found <= made
    assert {second for second in made if second <= killed_s - WINDOW_S} <= found


async def test_a_poll_that_nothing_follows_is_there_once_the_window_is_over(tmp_path: Path):
    assert await polls_after_a_kill(tmp_path / "agent.db", WINDOW_S, WINDOW_S) == {0.0}
