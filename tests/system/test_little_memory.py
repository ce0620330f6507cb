"""A box with too little memory and a backlog: the agent works or ends with a line, and not one stored poll is lost."""

import asyncio
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.agent import TOKEN, AgentProcess, environment, running
from support.cgroup import memory_group
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.sandbox.store import Store

DEVICES, POLLS, METRICS = 5, 60, 200
TOO_LITTLE_KB = [0, 9_000]
"""What a run may use beyond its modules, and ends by itself with, as it needs threads: a stack takes 8 MB."""

LEFT_KB = [*TOO_LITTLE_KB, 20_000, 28_000, 29_000, 30_000, 34_000]

LONG_ENOUGH_S = 8.0

MUCH_TOO_LITTLE = 0.3
MEASURED = [0.6, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985]
"""Limits of a cgroup, as parts of what delivering the backlog takes at most; with the first one it does not even start."""

SMALL_BOX = 48 << 20

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

TOO_LITTLE_TO_IMPORT_KB = [0, 300, 1_500, 2_000, 4_800, 5_000, 8_000, 12_000, 16_000]
"""What a run may use beyond Python itself; all its modules take 20 MB."""

NOTHING_IMPORTED = """
import resource
from pathlib import Path

from towerops_agent.__main__ import main

(taken,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, ((taken << 10) + ({left_kb} << 10),) * 2)
main()
"""

ODD_IMPORT = """
import resource, sys
from importlib.machinery import ModuleSpec

class Finder:
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self) if name == "towerops_agent.cli.process" else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        {limit}
        exec(compile("raise {error}", "process.py", "exec"), module.__dict__)

sys.meta_path.insert(0, Finder())
from towerops_agent.__main__ import main
main()
"""
"""A module that can't be imported, with an error that does not say why."""

NO_MORE = "resource.setrlimit(resource.RLIMIT_DATA, (0, 0))"

ODD_ERRORS = [
    "SystemError('error return without exception set')",
    "ImportError('a.so: failed to map segment from shared object')",
]

IN_GROUP = """
from pathlib import Path

Path("{entrance}").write_text("0")

from towerops_agent.__main__ import main
main()
"""


NO_TURN = """
from towerops_agent.buffer.writer import Writer
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.__main__ import main
polling, run, turn = [], Fleet.run, Writer._turn
def noting(fleet):
    polling.append(fleet)
    return run(fleet)
def failing(writer):
    if polling:
        raise MemoryError
    return turn(writer)
Fleet.run, Writer._turn = noting, failing
main()
"""
"""No memory for what the thread that writes the database does between two jobs, once the agent has started."""


NOISY_END = """
import towerops_agent.cli.process
from towerops_agent.__main__ import main

async def never_ends():
    try:
        await Pause()
    finally:
        await Pause()

class Pause:
    def __await__(self):
        yield

def run():
    under_way.send(None)
    raise MemoryError

under_way = never_ends()
towerops_agent.cli.process.main = run
main()
"""
"""It runs out of memory while a coroutine is under way that waits at its end too, as one with a group of tasks does."""


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


def has_all(store: Store) -> bool:
    return store.metric_count >= DEVICES * POLLS * METRICS


def check_all(store: Store) -> None:
    """Each poll has arrived, each metric once."""
    assert store.duplicates() == {}
    assert store.metric_count == DEVICES * POLLS * METRICS
    for device in range(DEVICES):
        for sensor in (0, METRICS - 1):
            assert len(store.readings(f"s-{device}-{sensor}")) == POLLS


async def works_or_ends(agent: AgentProcess, sandbox: Sandbox, within_s: float | None = LONG_ENOUGH_S) -> int:
    """Its exit status: by itself, or when it is stopped, once it has delivered all or only tries again and again to connect.

    `within_s`: None if it has enough to deliver all, or too little to go on, however long that takes.
    """

    async def has_begun_and_delivered() -> None:
        with suppress(AssertionError):  # it has ended before
            await agent.logged("agent started")  # an earlier one may have delivered all
        await sandbox.store.wait_until(has_all)

    ended = asyncio.create_task(agent.ended())
    done = asyncio.create_task(has_begun_and_delivered())
    await asyncio.wait([ended, done], return_when=asyncio.FIRST_COMPLETED, timeout=within_s)
    done.cancel()
    if not ended.done():
        await agent.stop()
    return await ended


async def test_too_little_memory_for_its_modules_is_a_line_whatever_error_python_makes_of_it(tmp_path: Path):
    for left in TOO_LITTLE_TO_IMPORT_KB:
        env = environment("http://127.0.0.1:1", tmp_path / "agent.db")
        async with running("run", env=env, code=NOTHING_IMPORTED.format(left_kb=left)) as agent:
            status = await agent.ended()
        # Behind it CPython 3.14 and 3.15 have lines of their own, whole or begun, if they have no memory at their end.
        lines = [line for line in agent.lines if not line.startswith(("Exception ignored in sys.unraisablehook", "MemoryError"))]
        assert (status, lines[-1]) == (1, TOO_LITTLE), (left, agent.log)
        assert "towerops_agent" not in agent.log.replace(TOO_LITTLE, ""), (
            left,
            agent.log,
        )  # no traceback of ours; hashlib logs one


@pytest.mark.parametrize("error", ODD_ERRORS)
async def test_a_module_that_fails_for_want_of_memory_without_saying_so_is_the_same_line(tmp_path: Path, error: str):
    """As CPython 3.13 does it; but if there is memory, it is a bug or a broken installation, and ends with its traceback."""
    env = environment("http://127.0.0.1:1", tmp_path / "agent.db")
    async with running("run", env=env, code=ODD_IMPORT.format(limit=NO_MORE, error=error)) as agent:
        assert await agent.ended() == 1
    assert agent.lines == [TOO_LITTLE]
    async with running("run", env=env, code=ODD_IMPORT.format(limit="pass", error=error)) as agent:
        assert await agent.ended() == 1
    assert "Traceback" in agent.log
    assert TOO_LITTLE not in agent.log


async def test_the_line_is_the_last_one_whatever_was_under_way(tmp_path: Path):
    async with running("run", env=environment("http://127.0.0.1:1", tmp_path / "agent.db"), code=NOISY_END) as agent:
        assert (await agent.ended(), agent.lines) == (1, [TOO_LITTLE])


async def test_without_memory_for_the_thread_that_writes_the_database_the_agent_ends(tmp_path: Path):
    """All that waits for the database would wait for good, and a stop too."""
    env = environment("http://127.0.0.1:1", tmp_path / "agent.db")
    async with running("run", env=env, code=NO_TURN) as agent:
        assert (await agent.ended(), agent.lines[-1]) == (1, TOO_LITTLE), agent.log
    assert "agent started" in agent.log


async def test_whatever_memory_there_is_what_is_stored_is_delivered_in_the_end(tmp_path: Path):
    """One run after the other on the same backlog: too little for a thread, for a connection, in a batch; at last enough."""
    path = tmp_path / "agent.db"
    await fill(path)
    sandbox = Sandbox({}, TOKEN)
    statuses = []
    async with sandbox.serve() as url:
        for left in LEFT_KB:
            async with running("run", env=environment(url, path), code=AGENT.format(left_kb=left)) as agent:
                status = await works_or_ends(agent, sandbox, None if left in TOO_LITTLE_KB else LONG_ENOUGH_S)
            assert "please report it" not in agent.log, agent.log
            statuses.append(status)
            # SIGABRT: Python gives up if it has no memory for a thread's lock; SIGSEGV: msgspec while it encodes a batch, of
            # which nothing is lost either; SIGTERM: stopped before it had begun to work
            if status not in (0, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTERM):
                assert (status, agent.lines[-1]) == (1, TOO_LITTLE), agent.log
        async with running("run", env=environment(url, path)) as agent:
            await agent.logged("agent started")
            await sandbox.store.wait_until(has_all)
            assert await agent.stop() == 0
    assert statuses[: len(TOO_LITTLE_KB)] == [1] * len(TOO_LITTLE_KB)
    check_all(sandbox.store)


async def test_a_box_of_48_mb_delivers_all_that_the_kernel_has_killed_smaller_ones_over(tmp_path: Path):
    """What delivering the backlog takes is measured in a box of 48 MB; then boxes that have less, and at last that one again."""
    path, copy = tmp_path / "agent.db", tmp_path / "copy.db"
    await fill(path)
    shutil.copyfile(path, copy)
    async with memory_group() as group:
        code = IN_GROUP.format(entrance=group.entrance)

        async def run(database: Path, octets: int, sandbox: Sandbox, within_s: float | None = LONG_ENOUGH_S) -> int:
            group.set_limit(octets)
            async with running("run", env=environment(url, database), code=code) as agent:
                status = await works_or_ends(agent, sandbox, within_s)
            assert "please report it" not in agent.log, agent.log
            return status

        sandbox = Sandbox({}, TOKEN)
        async with sandbox.serve() as url:
            assert await run(copy, SMALL_BOX, sandbox, within_s=None) == 0
            check_all(sandbox.store)
        peak = group.peak()
        sandbox = Sandbox({}, TOKEN)
        async with sandbox.serve() as url:
            statuses = [await run(path, round(MUCH_TOO_LITTLE * peak), sandbox, within_s=None)]
            statuses += [await run(path, round(part * peak), sandbox) for part in MEASURED]
            assert set(statuses) <= {0, -signal.SIGTERM, -signal.SIGKILL}  # SIGTERM: stopped before it had begun to work
            assert statuses[0] == -signal.SIGKILL
            assert statuses.count(-signal.SIGKILL) <= group.kills()  # it may be the process that seals the configuration, too
            assert await run(path, SMALL_BOX, sandbox, within_s=None) == 0
        check_all(sandbox.store)
