"""A group of agents for the demo: each a process of its own with a nats-server beside it, and a switch that kills it."""

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from towerops_agent.text import counted
from towerops_lab.sandbox.switches import Switch

NATS_SERVER = "nats-server"


class Box:
    """One machine, as the demo has it: an agent and a nats-server. `environment`: the agent's."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], server: Sequence[str]) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._environment = environment
        self._server = server
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start both."""
        with self._log.open("ab") as log:
            for words, environment in (
                (self._server, os.environ),
                ((sys.executable, "-m", "towerops_agent", "run"), self._environment),
            ):
                process = await asyncio.create_subprocess_exec(
                    *words, env=environment, stdout=log, stderr=log, start_new_session=True
                )
                self._processes.append(process)

    def kill(self) -> None:
        """As a power cut does."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()

    async def stop(self) -> None:
        """As an operator stops it: the agent first."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
            await process.wait()
        self._processes.clear()

    def turn(self, killed: bool) -> None:
        """Kill it, or start it again."""
        task = asyncio.create_task(self._turn(killed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turn(self, killed: bool) -> None:
        if killed:
            self.kill()
        else:
            await self.stop()
            await self.start()

    def note(self) -> str:
        """How many devices it polls, as it has logged last."""
        if not self._processes or self._processes[-1].returncode is not None:
            return "It is dead."
        polled = re.findall(r'share of the devices has changed.*polled=(\d+)|msg="agent (?:started)', self._log.read_text())
        return f"It polls {counted(int(polled[-1]), 'device')}." if polled and polled[-1] else "It joins the group."

    def switch(self) -> Switch:
        """The switch on the page."""
        return Switch(
            f"kill-{self.name}",
            "site",
            f"Kill {self.name}",
            "Its agent and its NATS server die at once. Within eleven seconds the others poll its devices.",
            self.turn,
            note=self.note,
        )


def has_server() -> str | None:
    """Where nats-server is, if it is installed."""
    return shutil.which(NATS_SERVER, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@asynccontextmanager
async def running_group(count: int, server: str, folder: Path, environment: Mapping[str, str]) -> AsyncIterator[list[Box]]:
    """So many boxes, each with `environment` but a database of its own; at the end all are stopped."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2 * count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    clients, cluster = ports[:count], ports[count:]
    routes = ",".join(f"nats-route://127.0.0.1:{port}" for port in cluster)
    boxes = []
    for n in range(count):
        name = f"box-{n + 1}"
        words = [server, "--addr", "127.0.0.1", "--port", str(clients[n]), "--cluster_name", "demo", "--routes", routes]
        words += ["--cluster", f"nats-route://127.0.0.1:{cluster[n]}", "--no_advertise"]
        urls = ",".join(f"nats://127.0.0.1:{port}" for port in clients[n:] + clients[:n])
        own = {"GROUP_NATS_URLS": urls, "GROUP_MEMBER": name, "DATABASE_PATH": str(folder / f"{name}.db")}
        boxes.append(Box(name, folder, {**environment, **own}, words))
    try:
        for box in boxes:
            await box.start()
        yield boxes
    finally:
        await asyncio.gather(*(box.stop() for box in boxes))
