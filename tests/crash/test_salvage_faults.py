"""A disk that fails at a single read of a corrupt file costs nothing of it; one that refuses a write only puts it off."""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from crash.test_quarantine_kill import fill, tracing
from towerops_agent.buffer.place import beside

__all__ = ["tracing"]

CORRUPT = ".corrupt-20260109T192215Z"
READS, WRITES = 90, 220
"""About as many as there are of each."""

AGENT = """
import asyncio, json, sys
from pathlib import Path
from towerops_agent.buffer import opening, recovery, salvage, writer
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import Bench, members

replies, sys.stdout = sys.stdout, sys.stderr
recovery.AGAIN_S = opening.REOPEN_S = writer.RETRY_S = 0.01
recovery.AT_ONCE_OCTETS = int(sys.argv[2])
salvage.ROWS_PER_STEP = 50

async def main():
    found, config, idle = [], None, 0
    async with Bench(Path(sys.argv[1])).buffer() as buffer:
        while idle < 3 or buffer.salvaging or buffer.in_memory_because:
            idle += 1
            try:
                config = await buffer.kept_config()
                for lane in Lane:
                    if batch := await buffer.next_batch(300, lane):
                        some = members(await buffer.read(batch))
                        await buffer.acknowledge(batch)
                        found += some
                        idle = 0
            except BufferFailure:
                idle = 0
    print(json.dumps([sorted(found), config.decode()]), file=replies, flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def corrupt(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corrupt") / "agent.db"
    asyncio.run(fill(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE clock SET checksum = 0")
    return path.parent


def run(place: Path, *inject: str, at_once: bool) -> list[object]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    strace = ["strace", "-f", "-o", os.devnull, *inject] if inject else []
    command = [*strace, sys.executable, "-c", AGENT, str(place / "agent.db"), str(1 << 30 if at_once else 0)]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def whole(corrupt, tmp_path_factory) -> list[object]:
    place = tmp_path_factory.mktemp("whole")
    shutil.copytree(corrupt, place, dirs_exist_ok=True)
    found = run(place, at_once=True)
    assert len(found[0]) > 1_000
    return found


def check(corrupt: Path, place: Path, whole: list[object], suffixes: list[str], fault: str, *, at_once: bool) -> None:
    shutil.copytree(corrupt, place)
    paths = [argument for suffix in suffixes for argument in ("-P", str(beside(place / "agent.db", suffix)))]
    call = fault.partition(":")[0]
    assert run(place, *paths, "-e", f"trace={call}", "-e", f"inject={fault}", at_once=at_once) == whole, fault
    assert list(place.glob("*.salvage*")) == []
    shutil.rmtree(place)


def some(count: int, total: int) -> list[int]:
    return random.Random().sample(range(1, total), count)


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_read_that_fails_once_costs_nothing(corrupt, tmp_path, whole, at_once):
    for when in some(4, READS):
        check(corrupt, tmp_path / "place", whole, [CORRUPT], f"pread64:error=EIO:when={when}", at_once=at_once)


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_write_that_fails_costs_nothing(corrupt, tmp_path, whole, at_once):
    for when in some(4, WRITES):
        error = random.Random().choice(["ENOSPC", "EIO", "EROFS"])
        fault = f"pwrite64:error={error}:when={when}..{when + 20}"
        check(corrupt, tmp_path / "place", whole, ["", "-wal", CORRUPT], fault, at_once=at_once)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("tracing")
def test_each_single_read_may_fail_once(corrupt, tmp_path, whole):
    for when in range(1, READS):
        check(corrupt, tmp_path / "place", whole, [CORRUPT], f"pread64:error=EIO:when={when}", at_once=True)
