"""A corrupt file is quarantined and salvaged, by an agent that is killed at each step of it, and the next one, and the next."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from towerops_agent.buffer.format.batch import Lane
from towerops_agent.buffer.place import beside
from unit.buffer.samples import LAYOUT, T0_US, Bench, members, poll

POLLS = 400
KILLS = 4
STEPS = [90, 1_100]
"""Of a start on a corrupt file: until its copying begins, which is a step for each row; and all of them, about."""
SUFFIXES = ["", "-wal", "-shm", ".lock", ".salvage", ".salvage-new"]
SYSTEM_CALLS = ["openat", "rename", "unlink", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "close"]

AGENTS = """
import os, signal, sqlite3, sys, traceback
from pathlib import Path

replies, sys.stdout = sys.stdout, open(os.devnull, "w")  # the log goes nowhere
from towerops_agent.buffer.opening import Opening
from towerops_agent.buffer.room import Room

def open_database(path, left):
    def step(*_):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments, connect=sqlite3.connect, **options):
        connection = connect(*arguments, **options)
        if left > 0:
            connection.set_trace_callback(step)
        return connection

    sqlite3.connect = connect
    sys.addaudithook(lambda event, _: event in ("open", "os.rename", "os.remove") and step())
    opening = Opening(path, Room(1 << 30, os.statvfs), lambda: 1_767_986_535_123_456, lambda: 0, lambda: 1)
    opening.open(0.0)
    opening.store.close()

def reply(number):
    print(number, file=replies, flush=True)

while path := sys.stdin.readline().rstrip():
    step = int(sys.stdin.readline())
    gate, key = os.pipe()
    agent = os.fork()
    if not agent:
        try:
            os.close(key)
            os.read(gate, 1)
            os.close(gate)
            open_database(Path(path), step)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(gate)
    reply(agent)
    sys.stdin.readline()
    os.close(key)
    reply(os.waitstatus_to_exitcode(os.waitpid(agent, 0)[1]))
"""


class Agents:
    """A process that has the modules and forks an agent for each run: a start of Python takes most of a run of its own."""

    def __init__(self) -> None:
        source = Path(__file__).parents[2] / "src"
        environment = {"PYTHONPATH": str(source), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", AGENTS], env=environment, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, path: Path, step: int, *inject: str) -> bool:
        """Whether the agent was killed at this step of its opening the database, or by what strace injects; 0: it is let be."""
        self._say(f"{path}\n{step}")
        agent = self._reply()
        tracer = None
        if inject:
            command = ["strace", "-f", "-o", os.devnull, "-p", str(agent), *inject]
            tracer = subprocess.Popen(command, text=True, stderr=subprocess.PIPE)
            assert "attached" in tracer.stderr.readline()
        self._say("")
        status = self._reply()
        if tracer:
            tracer.communicate()
        assert status in (0, -signal.SIGKILL)
        return status != 0

    def _say(self, text: str) -> None:
        print(text, file=self.process.stdin)

    def _reply(self) -> int:
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def agents() -> Iterator[Agents]:
    agents = Agents()
    with agents.process:
        yield agents


@pytest.fixture(scope="module")
def corrupt(tmp_path_factory) -> Path:
    """A directory with a database that is cut short, undelivered but for the first batch, and its configuration."""
    path = tmp_path_factory.mktemp("corrupt") / "agent.db"
    asyncio.run(fill(path))
    content = path.read_bytes()
    path.write_bytes(content[: -2 * 4096])
    return path.parent


async def fill(path: Path) -> None:
    async with Bench(path).buffer() as buffer:
        layout = await buffer.register(LAYOUT)
        await buffer.keep_config(b"sealed")
        for number in range(POLLS):
            buffer.add(poll(layout, T0_US + number))
        await buffer.acknowledge(await buffer.next_batch(30))
        await buffer.next_batch(20)


async def outcome(path: Path) -> tuple[list[tuple[int, int]], bytes | None]:
    """What is delivered of the database, and the configuration that it has."""
    found = []
    async with Bench(path).buffer() as buffer:
        for lane in Lane:
            while batch := await buffer.next_batch(300, lane):
                found += members(await buffer.read(batch))
                await buffer.acknowledge(batch)
        return sorted(found), await buffer.kept_config()


@pytest.fixture(scope="module")
def whole(corrupt, tmp_path_factory) -> tuple[list[tuple[int, int]], bytes | None]:
    """What comes of it without a kill."""
    place = tmp_path_factory.mktemp("whole")
    shutil.copytree(corrupt, place, dirs_exist_ok=True)
    found, config = asyncio.run(outcome(place / "agent.db"))
    assert len(found) > POLLS
    assert config == b"sealed"
    return found, config


async def check(corrupt: Path, place: Path, whole, kill) -> int:
    """Kill at a step, then at random ones, then let it be: all is there that would be without a kill. How often it was killed."""
    kills = 0
    shutil.copytree(corrupt, place)
    while kills < KILLS and kill(place / "agent.db", kills):
        kills += 1
    if kills:
        assert await outcome(place / "agent.db") == whole
        assert [file.name for file in place.glob("*.salvage*")] == []
    shutil.rmtree(place)
    return kills


async def test_a_kill_at_a_step_loses_nothing(agents, corrupt, tmp_path, whole):
    """Steps: files opened, renamed, removed, and each statement. Ten of them."""
    rng = random.Random()
    for _ in range(10):
        await check(corrupt, tmp_path / "place", whole, lambda path, _: agents.run(path, rng.randrange(1, rng.choice(STEPS))))


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_kill_at_every_single_step_loses_nothing(agents, corrupt, tmp_path, whole):
    rng, step, kills = random.Random(6), 0, 1
    while kills:
        step += 1

        def kill(path: Path, before: int, step: int = step) -> bool:
            return agents.run(path, rng.randrange(1, rng.choice(STEPS)) if before else step)

        kills = await check(corrupt, tmp_path / "place", whole, kill)
    assert step > 500, "the steps were not seen"


@pytest.fixture(scope="module")
def tracing() -> None:
    if not shutil.which("strace"):
        pytest.skip("no strace")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        tracer = subprocess.Popen(["strace", "-o", os.devnull, "-p", str(process.pid)], text=True, stderr=subprocess.PIPE)
        may = "attached" in tracer.stderr.readline()
        process.stdin.close()
        tracer.communicate()
    if not may:
        pytest.skip("no right to trace")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("call", SYSTEM_CALLS)
async def test_a_kill_at_each_system_call_loses_nothing(agents, corrupt, tmp_path, whole, call):
    rng = random.Random(call)
    step, kills, total = 1, 1, 0
    while kills:

        def kill(path: Path, before: int, step: int = step) -> bool:
            when = step + before * rng.randrange(1, 20)
            places = [arg for suffix in SUFFIXES for arg in ("-P", str(beside(path, suffix)))]
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"]
            return agents.run(path, 0, "-P", str(path.parent), *places, *inject)

        kills = await check(corrupt, tmp_path / "place", whole, kill)
        total += kills
        step += 1
    assert total, "the calls were not seen"
