"""A server that answers as its script says: raw octets, silence, a cut connection; and keeps what it was asked."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Answer = bytes | Literal["hang", "cut", "drip"]
"""Octets to write as they are; "hang": no answer until the client hangs up; "cut": the connection is closed at once; "drip": an
answer without end, octet by octet, until the client hangs up."""


def answer(status: int, body: bytes | object = b"", **headers: str) -> bytes:
    """One HTTP/1.1 answer. Underscores in the names of headers stand for hyphens; a body that is not octets is sent as JSON."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if status != 304 and status != 204:
        lines.append(f"Content-Length: {len(octets)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + octets


@dataclass(slots=True)
class Asked:
    """A request as it came in; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class ScriptedServer:
    """`answers` are given in turn, the last one for good. A `greeting` is all there is: written unasked, then it hangs up."""

    answers: list[Answer]
    greeting: bytes = b""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None, at: tuple[str, int] = ("127.0.0.1", 0)) -> AsyncIterator[str]:
        """Serve on a free port of the loopback; yields the base URL."""
        server = await asyncio.start_server(self._connected, *at, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        finally:
            server.close()
            for writer in self._open.values():
                writer.transport.abort()
            await asyncio.gather(*self._open)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._open[task] = writer
        try:
            writer.write(self.greeting)
            while not self.greeting and await self._answered(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()
            del self._open[task]

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        told = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(Asked(method, path, headers, body))
        match told:
            case "cut":
                return False
            case "hang":
                self.hanging.set()
                await reader.read()
                return False
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                gone = asyncio.ensure_future(reader.read())
                while not gone.done():
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0)
                return False
            case bytes():
                writer.write(told)
                await writer.drain()
                return b"Connection: close" not in told
