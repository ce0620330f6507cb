"""The sandbox as a whole: a store, a script of faults, and an HTTP or HTTPS server for them on this event loop.

    sandbox = Sandbox({"equipment": []}, token="secret")
    async with sandbox.serve() as url:
        ...
        await sandbox.store.wait_until(lambda store: store.metric_count >= 10)

uvicorn's protocol is used without its Server: that one handles the signals, and checks every 100 ms whether to stop.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from towerops_agent.api.wire.contract import Accepts
from towerops_agent.clocks import wall_us
from towerops_lab.sandbox.app import make_app
from towerops_lab.sandbox.changes import Changes
from towerops_lab.sandbox.faults import Faults
from towerops_lab.sandbox.page import Page, Site
from towerops_lab.sandbox.store import Store

IDLE_S = 75  # how long an idle connection is kept, as nginx does: longer than the agent's 60 s from heartbeat to heartbeat


class Sandbox:
    """A stand-in for the Towerops API. Store and faults outlive its serving, which may start again on the same port."""

    def __init__(
        self,
        config: Mapping[str, object] | bytes,
        token: str = "sandbox-token",  # noqa: S107 - the sandbox's own, known to all
        accepts: Accepts | None = None,
        *,
        path: Path | str = ":memory:",
        site: Site | None = None,
        clock_us: Callable[[], int] = wall_us,
    ) -> None:
        """`path`: the database's; `site`: serve a web page of this site too, and the API's document, at the root.

        `clock_us`: the server's clock, since 1970; what lies far ahead of it is refused.
        """
        self.store = Store(config, token, accepts, path=path, clock_us=clock_us)
        self.faults = Faults()
        self.page = None if site is None else Page(self.store, self.faults, site)
        self.app = make_app(self.store, self.faults, [] if self.page is None else self.page.routes())

    @asynccontextmanager
    async def serve(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | tuple[Path, Path] | None = None
    ) -> AsyncIterator[str]:
        """Serve until the block ends; yields the base URL. `port` 0: any free one. `tls`: a context, or (certificate chain, key).

        At the end all connections are cut at once, also those with a request under way.
        Raises OSError if the address is not available.
        """
        context = _context(tls)
        settings = uvicorn.Config(
            self.app, log_config=None, access_log=False, ws="none", lifespan="off", proxy_headers=False, timeout_keep_alive=IDLE_S
        )
        state = ServerState()
        ended = Changes()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else Nagle meets delayed ACK: 43 ms a POST
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(settings, state, ended), sock=listener, ssl=context
        )
        bound_port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        try:
            yield f"{'http' if context is None else 'https'}://{name}:{bound_port}"
        finally:
            server.close()
            for connection in tuple(state.connections):
                connection.transport.abort()
            if sys.version_info >= (3, 13):
                server.abort_clients()  # those in the TLS handshake, which uvicorn does not know yet
            await ended.until(lambda: not state.connections)
            await asyncio.gather(*state.tasks)


class _Connection(H11Protocol):
    """uvicorn's HTTP/1.1 connection, which the app can end (`request.state.cut`), and which reports its end."""

    def __init__(self, settings: uvicorn.Config, state: ServerState, ended: Changes) -> None:
        super().__init__(config=settings, server_state=state, app_state={})
        self._ended = ended

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state = {"cut": transport.abort}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._ended.tell()


def _context(tls: ssl.SSLContext | tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if not isinstance(tls, tuple):
        return tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context
