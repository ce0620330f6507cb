"""nats-server as a process of its own, on loopback and free ports: the engine of a group of agents."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from support.ports import reserved_ports
from towerops_lab.sandbox.proxy import Proxy

SERVER = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def needed() -> None:
    """Skip the test without nats-server."""
    if SERVER is None:
        pytest.skip("nats-server is needed: apt-get install nats-server")


class Nats:
    """One server. `url`: where clients connect; it may be started again at the same place.

    `links`: the ways of its routes to the other servers, and theirs to it, if they can be cut.
    """

    def __init__(self, directory: Path, port: int, config: str, scheme: str = "nats") -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self._log = directory / f"nats-{port}.log"
        self._config = directory / f"nats-{port}.conf"
        self._config.write_text(f"listen: 127.0.0.1:{port}\n{config}")
        self._config.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None
        self.links: list[Proxy] = []

    def cut_off(self) -> None:
        """No other server is reached from now on, nor reaches it."""
        for link in self.links:
            link.go_down()

    def reconnect(self) -> None:
        for link in self.links:
            link.come_up()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        assert SERVER is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 -- outlives the loop's child watcher, and is stopped and continued
                [SERVER, "-c", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if self._process.poll() is not None:
                    raise AssertionError(f"nats-server ended:\n{self._log.read_text()}") from None
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@asynccontextmanager
async def nats_server(directory: Path, config: str = "", scheme: str = "nats") -> AsyncIterator[Nats]:
    """One server, with more of a configuration."""
    needed()
    with reserved_ports(1) as (port,):
        server = Nats(directory, port, config, scheme)
        try:
            await server.start()
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def nats_cluster(directory: Path, count: int = 3, *, by_links: bool = False) -> AsyncIterator[list[Nats]]:
    """So many servers with routes between all of them; `by_links`: routes that can be cut.

    Servers pass on the addresses of those that they know, and would connect beside the links too: so each says one at which
    nobody listens.
    """
    needed()
    async with AsyncExitStack() as stack:
        *ports, nobody = stack.enter_context(reserved_ports(2 * count + 1))
        clients, cluster = ports[:count], ports[count:]
        told = f'advertise: "127.0.0.1:{nobody}", ' if by_links else ""
        links: dict[tuple[int, int], Proxy] = {}
        way = {(i, j): cluster[j] for i in range(count) for j in range(count) if i != j}
        for i, j in way if by_links else ():
            links[i, j] = Proxy()
            url = await stack.enter_async_context(links[i, j].serve(f"nats://127.0.0.1:{cluster[j]}"))
            way[i, j] = int(url.rpartition(":")[2])
        servers = []
        for i in range(count):
            urls = ", ".join(f'"nats-route://127.0.0.1:{port}"' for (one, _), port in way.items() if one == i)
            config = f"""
                server_name: n{i}
                cluster {{ name: test, listen: "127.0.0.1:{cluster[i]}", no_advertise: true, {told}routes: [{urls}] }}
            """
            server = Nats(directory, clients[i], config)
            server.links = [link for pair, link in links.items() if i in pair]
            stack.callback(server.kill)
            await server.start()
            servers.append(server)
        yield servers
