"""The agent, as a process, with a standard error that nobody reads, or none at all: it polls, delivers and stops as ever."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from support.agent import TOKEN, environment
from support.site import site
from towerops_agent.api.wire.contract import CONFIG_PATH
from towerops_agent.counters import Count, Counters
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.sandbox.store import Store

CLOSED = "import os; os.close(2); os.execv({0!r}, [{0!r}, '-m', 'towerops_agent', 'run'])"


@asynccontextmanager
async def full_pipe() -> AsyncIterator[int]:
    """The write end of a pipe that takes no octet more, and that nobody reads."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 65536)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(write, b"x")
    except BlockingIOError:
        pass
    os.set_blocking(write, True)
    try:
        yield write
    finally:
        os.close(read)
        os.close(write)


@asynccontextmanager
async def agent(
    url: str, database: Path, stderr: int | None, code: str | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *(("-m", "towerops_agent", "run") if code is None else ("-c", code))),
        env=environment(url, database, LOG_LEVEL="debug"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_log_that_nobody_reads_holds_up_neither_readings_nor_the_stop(tmp_path: Path):
    async with site(2, interval_s=1) as config, full_pipe() as pipe:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, agent(url, tmp_path / "agent.db", pipe) as process:
            await sandbox.store.wait_until(lambda store: all(store.readings(f"d{i}-s0") for i in range(2)))
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


async def test_a_closed_standard_error_is_not_a_reason_to_die_and_nothing_is_written_into_the_database(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        code = CLOSED.format(sys.executable)
        async with sandbox.serve() as url, agent(url, tmp_path / "agent.db", None, code) as process:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            opened = {str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
            assert opened == {os.devnull}
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


async def test_a_storm_of_sighup_is_a_reload_a_second(tmp_path: Path):
    """2,000 SIGHUPs lead to a few fetches of the configuration: one a second, for as long as they come in."""
    async with site(1, interval_s=1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, agent(url, tmp_path / "agent.db", asyncio.subprocess.DEVNULL) as process:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            for _ in range(2000):
                process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0)
            await sandbox.store.wait_until(lambda store: fetches(store) > 1)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        assert fetches(sandbox.store) < 500


def fetches(store: Store) -> int:
    return sum(exchange.path == CONFIG_PATH for exchange in store.exchanges)


@pytest.mark.parametrize("asked", [1, 500])
async def test_an_errand_is_run_once_for_all_that_asked_before_it_began(asked):
    from towerops_agent.cli.process import Errand

    runs = []
    paused = asyncio.Event()

    async def work() -> None:
        runs.append(True)

    async def pause(_seconds: float) -> None:
        paused.set()
        await asyncio.Event().wait()

    errand = Errand(work, Counters())
    task = asyncio.create_task(errand.run(pause))
    for _ in range(asked):
        errand.ask()
    await paused.wait()
    errand.ask()
    assert len(runs) == 1
    task.cancel()


async def test_an_errand_that_fails_says_so_and_is_run_when_it_is_asked_for_again():
    from towerops_agent.cli.process import Errand

    errors: list[Exception] = [ValueError("a bug"), MemoryError()]
    counters, runs = Counters(), asyncio.Queue[bool]()

    async def work() -> None:
        runs.put_nowait(True)
        if errors:
            raise errors.pop(0)

    errand = Errand(work, counters)
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(errand.run(lambda _seconds: asyncio.sleep(0)))
        for _ in range(3):
            errand.ask()
            await runs.get()
        task.cancel()
    assert [line["event"] for line in lines] == [
        "what a signal asks for failed because of a bug; please report it",
        "no memory for what a signal asks for, not done",
    ]
    assert counters.by_reason(Count.BUGS) == {"signals": 1}
