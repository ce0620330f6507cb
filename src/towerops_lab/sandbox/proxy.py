"""The uplink between an agent and the sandbox: a TCP proxy that can go down, stall and come back, at one address.

    proxy = Proxy()
    async with sandbox.serve() as target, proxy.serve(target) as url:
        proxy.go_down()

It does not read the octets, so TLS goes through it. Faults of single requests are in faults.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK_OCTETS = 65_536


class Proxy:
    """An uplink, up at first. `accepted`: how many connections were accepted, also while it was down."""

    def __init__(self) -> None:
        self.accepted = 0
        self._is_down = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def go_down(self) -> None:
        """Cut all connections, and each new one at once."""
        self._is_down = True
        self._cut_all()

    def stall(self) -> None:
        """Accept connections, but pass no octet either way, as if packets were lost."""
        self._flowing.clear()

    def come_up(self) -> None:
        """Let everything pass again, with the octets that a stall held back."""
        self._is_down = False
        self._flowing.set()

    @asynccontextmanager
    async def serve(self, target: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Pass connections on to the target's host and port until the block ends; yields the target's URL at the proxy's port."""
        url = urlsplit(target)

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - start_server makes a task of each connection
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.accepted += 1
            with suppress(OSError):  # one side is gone; the other one notices
                await self._pass_on(reader, writer, url.hostname or "", url.port or (443 if url.scheme == "https" else 80))

        server = await asyncio.start_server(pass_on, host, port)
        bound_port = server.sockets[0].getsockname()[1]
        try:
            yield url._replace(netloc=f"{host}:{bound_port}").geturl()
        finally:
            server.close()
            self._cut_all()
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._is_down:
                writer.transport.abort()
                return
            answers, upstream = await asyncio.open_connection(host, port)
            self._writers.add(upstream)
            ways = {asyncio.ensure_future(self._pump(reader, upstream)), asyncio.ensure_future(self._pump(answers, writer))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, upstream):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_OCTETS):
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()

    def _cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
