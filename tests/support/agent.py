"""The agent as a process of its own, as a customer runs it: settings in the environment, a database on disk."""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

from support.hang import HANG_S

TOKEN = "system-test-token-8c1f"

UNHURRIED = f"""
from towerops_agent import agent

agent.STOP_WITHIN_S = {HANG_S}

from towerops_agent.cli.main import main

main()
"""
"""The agent, whose stop submits what is pending for as long as a loaded machine needs for it."""


class AgentProcess:
    """One running agent. `lines`: what it has logged so far, its standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = asyncio.Event()
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode().rstrip())
            self._news.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait until lines with this text were logged so many times; fails with the log if the agent ends before."""
        await self.until(lambda: sum(text in line for line in self.lines) >= times, text)

    async def metrics_address(self) -> str:
        """The host and port of its page of metrics, once that is served."""
        await self.logged('msg="metrics are served"')
        (line,) = [line for line in self.lines if 'msg="metrics are served"' in line]
        return line.partition("address=")[2]

    async def answered(self, devices: int = 1) -> None:
        """Wait until so many devices have answered, be it after a silence; each has a line at level debug."""
        answers = re.compile(r"device answers|device has recovered")
        address = re.compile(r"\baddress=(\S+)")

        def all_have() -> bool:
            return len({address.findall(line)[0] for line in self.lines if answers.search(line)}) >= devices

        await self.until(all_have, f"{devices} devices that answer")

    async def until(self, condition: Callable[[], bool], wanted: str) -> None:
        """Wait until the condition, which looks at `lines`, holds; fails with the log if the agent ends. `wanted`: its name."""
        while not condition():
            self._news.clear()
            news = asyncio.create_task(self._news.wait())
            await asyncio.wait([news, self._reading], return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if self._reading.done() and not condition():
                raise AssertionError(f"the agent ended before it logged {wanted!r}; its log:\n{self.log}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status, once it has ended and all that it logged is read."""
        status = await self._process.wait()
        await self._reading
        return status

    async def stop(self) -> int:
        """As an operator stops it: SIGTERM."""
        if self._process.returncode is None:
            self.send(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """As a power cut stops it: SIGKILL."""
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()


def environment(url: str, database: Path, **more: str) -> dict[str, str]:
    """The environment of an agent, with nothing of this process's own settings in it."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {**inherited, "TOWEROPS_API_URL": url, "TOWEROPS_AGENT_TOKEN": TOKEN, "DATABASE_PATH": str(database), **more}


async def start(*arguments: str, env: Mapping[str, str], code: str | None = None) -> AgentProcess:
    """Start `towerops-agent` with these arguments; or by this Python code, which calls its main() in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *(("-m", "towerops_agent") if code is None else ("-c", code)), *arguments),
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    return AgentProcess(process)


@asynccontextmanager
async def running(*arguments: str, env: Mapping[str, str], code: str | None = None) -> AsyncIterator[AgentProcess]:
    """An agent that is killed at the end of the block, if it still runs then."""
    agent = await start(*arguments, env=env, code=code)
    try:
        yield agent
    finally:
        await agent.kill()


def committed_polls(database: Path) -> dict[int, int]:
    """What is in the database now: poll id -> how many metrics it makes."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT id, metric_count FROM polls").fetchall())


async def output_of(*arguments: str, env: Mapping[str, str]) -> str:
    """What a command of `towerops-agent` that ends by itself prints, both streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", *arguments),
        env=dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()
