"""A box with too little memory and a backlog: the agent works or ends with a line, and not one stored poll is lost."""

import asyncio
import signal
import time
from pathlib import Path

from support.agent import TOKEN, AgentProcess, environment, running
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll
from towerops_lab.sandbox.server import Sandbox

DEVICES, POLLS, METRICS = 5, 60, 200
LEFT_KB = [0, 9_000, 20_000, 28_000, 29_000, 30_000, 34_000]
"""What a run may use beyond its modules. A thread's stack takes 8 MB of it."""

LONG_ENOUGH_S = 8.0

TOO_LITTLE = "towerops-agent: out of memory; what is in the database stays there: give it more, or fewer devices"

AGENT = """
import resource
from pathlib import Path

import towerops_agent.agent, towerops_agent.cli.process
from towerops_agent.__main__ import main

(taken,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, ((taken << 10) + ({left_kb} << 10),) * 2)
main()
"""


async def fill(path: Path) -> None:
    """A backlog of an hour, in the tables, packed and in the tail."""
    now_us = time.time_ns() // 1000
    layouts = [Layout(f"eq-{d}", tuple((f"s-{d}-{i}", 10.0) for i in range(METRICS))) for d in range(DEVICES)]
    async with Buffer(path, Counters(), clock_us=lambda: now_us) as buffer:
        ids = await buffer.register_all(layouts)
        for n in range(POLLS):
            for layout in ids:
                values = tuple(range(n, n + METRICS))
                buffer.add(Poll(layout, now_us - (POLLS - n) * 60_000_000, values, ((METRICS, 1_000),), METRICS))
            if n == POLLS // 2:
                await buffer.clean_up()
        await buffer.secure()


async def works_or_ends(agent: AgentProcess, sandbox: Sandbox) -> int:
    """Its exit status: by itself, or when it is stopped, once it has delivered all or only tries again and again to connect."""
    ended = asyncio.create_task(agent.ended())
    done = asyncio.create_task(sandbox.store.wait_until(lambda store: store.metric_count >= DEVICES * POLLS * METRICS))
    await asyncio.wait([ended, done], return_when=asyncio.FIRST_COMPLETED, timeout=LONG_ENOUGH_S)
    done.cancel()
    if not ended.done():
        await agent.stop()
    return await ended


async def test_whatever_memory_there_is_what_is_stored_is_delivered_in_the_end(tmp_path: Path):
    """One run after the other on the same backlog: too little for a thread, for a connection, in a batch; at last enough."""
    path = tmp_path / "agent.db"
    await fill(path)
    sandbox = Sandbox({}, TOKEN)
    statuses = []
    async with sandbox.serve() as url:
        for left in LEFT_KB:
            async with running("run", env=environment(url, path), code=AGENT.format(left_kb=left)) as agent:
                status = await works_or_ends(agent, sandbox)
            assert "please report it" not in agent.log, agent.log
            statuses.append(status)
            if status and status != -signal.SIGABRT:  # Python gives up by itself if it has no memory for a thread's lock
                assert (status, agent.lines[-1]) == (1, TOO_LITTLE), agent.log
        async with running("run", env=environment(url, path)) as agent:
            await agent.logged("agent started")
            await sandbox.store.wait_until(lambda store: store.metric_count >= DEVICES * POLLS * METRICS)
            assert await agent.stop() == 0
    assert statuses[:2] == [1, 1]
    assert sandbox.store.duplicates() == {}
    for device in range(DEVICES):
        for sensor in (0, METRICS - 1):
            assert len(sandbox.store.readings(f"s-{device}-{sensor}")) == POLLS
