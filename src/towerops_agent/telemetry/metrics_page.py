"""Serves one page, /metrics, to Prometheus: a few dozen lines of HTTP/1.1, one request a connection.

exposition.py writes the text. A client can't hold anything up: it has 5 s to ask and to read, and leaves earlier if another one
needs its place (places.py). The text is made at most once a second, however many clients ask.
I/O. Seconds. Source: RFC 9112 §2 and §3.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.errors import is_out_of_memory
from towerops_agent.places import Doing, Places
from towerops_agent.repeats import Repeats
from towerops_agent.telemetry.exposition import CONTENT_TYPE
from towerops_agent.telemetry.marks import LOOK_EACH_S
from towerops_agent.text import address, is_loopback

log = structlog.get_logger()

CLIENT_WITHIN_S: Final = 5.0
HEAD_OCTETS: Final = 8192
FRESH_S: Final = 1.0
TRY_AGAIN_S: Final = 60.0
"""How long to wait before an address that is not available is tried again."""

_PAGE: Final = b"/metrics"


class MetricsPage:
    """The page at one address. Inert until run."""

    def __init__(
        self,
        listen: tuple[str, int],
        text: Callable[[], Awaitable[bytes]],
        counters: Counters,
        *,
        client_within_s: float = CLIENT_WITHIN_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`listen`: host and port; `text`: writes the page."""
        self._host, self._port = listen
        self._write_text = text
        self._counters = counters
        self._client_within_s = client_within_s
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._clients: set[asyncio.Task[None]] = set()
        self._places: Places[asyncio.Task[None]] = Places()
        self._one_writes = asyncio.Lock()
        self._text = b""
        self._stale_at_s = 0.0
        self._without_memory = Repeats()

    async def run(self) -> None:
        """Serve, for good. If the address is not available, log that once, and try again each minute."""
        server = await self._listen()
        try:
            self._tell(server)
            while True:
                await self._sleep(LOOK_EACH_S)
        finally:
            server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        reason = None
        while True:
            try:
                return await asyncio.start_server(self._take, self._host, self._port, limit=HEAD_OCTETS)
            except OSError as error:
                if reason != error.errno:
                    log.warning(
                        "metrics can't be served, the agent goes on without; will retry",
                        address=address(self._host, self._port),
                        reason=error.strerror or str(error),
                        retry_in_s=TRY_AGAIN_S,
                    )
                reason = error.errno
            await self._sleep(TRY_AGAIN_S)

    def _tell(self, server: asyncio.Server) -> None:
        for listener in server.sockets:
            host, port = listener.getsockname()[:2]
            log.info("metrics are served", address=address(host, port))
            if not is_loopback(host):
                log.warning("metrics can be read from other machines, without a password", address=address(host, port))

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected. The task is kept here, since asyncio keeps only a weak reference."""

        def left(task: asyncio.Task[None]) -> None:
            self._clients.discard(task)
            self._places.leave(task)
            writer.transport.abort()  # the answer has left this process, or never will

        task = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(left)
        peer = writer.get_extra_info("peername")
        if not self._places.enter(task, task.cancel, peer[0] if peer else ""):
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- _take makes one
        try:
            async with asyncio.timeout(self._client_within_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, asyncio.LimitOverrunError):  # gone, late (TimeoutError is an OSError), endless
            return
        self._places.does(task, Doing.WAITS)
        try:
            answer = await self._answer(head)
        except Exception as error:
            if is_out_of_memory(error):
                self._note_no_memory()
            else:
                self._counters.add(Count.BUGS, "metrics")
                log.exception("metrics could not be written because of a bug; please report it")
            return
        self._places.does(task, Doing.READS)
        writer.transport.set_write_buffer_limits(0)  # so that drain waits until all has left
        with suppress(OSError):
            async with asyncio.timeout(self._client_within_s):
                writer.write(answer)
                await writer.drain()

    def _note_no_memory(self) -> None:
        unlogged = self._without_memory.due(int(self._monotonic_s() * 1e6))
        if unlogged is not None:
            log.error("no memory to write the metrics, not answered", **({"unlogged": unlogged} if unlogged else {}))

    async def _answer(self, head: bytes) -> bytes:
        match head.split(b"\r\n", 1)[0].split(b" "):
            case [b"GET" | b"HEAD" as method, target, b"HTTP/1.0" | b"HTTP/1.1"] if target.partition(b"?")[0] == _PAGE:
                return _response("200 OK", CONTENT_TYPE, await self._fresh_text(), with_body=method == b"GET")
            case [method, _, b"HTTP/1.0" | b"HTTP/1.1"]:
                return _response("404 Not Found", "text/plain", b"only GET /metrics is here\n", with_body=method != b"HEAD")
        return _response("400 Bad Request", "text/plain", b"that is not an HTTP/1.1 request\n")

    async def _fresh_text(self) -> bytes:
        async with self._one_writes:
            if self._monotonic_s() >= self._stale_at_s:
                self._text = await self._write_text()
                self._stale_at_s = self._monotonic_s() + FRESH_S
            return self._text


def _response(status: str, content_type: str, body: bytes, with_body: bool = True) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (body if with_body else b"")
