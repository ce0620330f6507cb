"""The engine of a group: core NATS, by the package nats-py, which nothing else imports.

Publishes octets on subjects, and passes on what others publish. One connection at a time, to the first server that accepts one;
after its loss to the next. nats-py's own reconnecting is not used: it ends for good at some errors, and publishes what is old.
A server that is frozen is noticed by its missing pongs, 4 s at most, and left at once: not after a goodbye that it never answers.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, NoServersError, StaleConnectionError

from towerops_agent.api.tls import describe_tls_failure
from towerops_agent.errors import EngineUnreachable, SettingsError

CONNECT_WITHIN_S: Final = 3.0
CLOSE_WITHIN_S: Final = 1.0
PING_EACH_S: Final = 2
TRY_AGAIN_S: Final = 0.5
"""How long to wait when no server has accepted a connection. Most refuse at once, and they are few."""

NOT_NATS: Final = "the server does not speak NATS as it should"


class _Client(Client):
    """nats-py's, which sends its credentials to a server that does not use TLS even if the URL says tls://.

    It calls back about a loss only once the connection is closed: with a server that is frozen, half a minute later over TLS, and
    never if something waits to be sent. `lost` is called before that, with the reason if it is known; `abort` ends it.
    """

    def __init__(self, over_tls: bool, lost: Callable[[Exception | None], None]) -> None:
        super().__init__()
        self._over_tls = over_tls
        self._lost = lost

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self._lost(self.last_error)
        with suppress(OSError):  # of what could not be sent any more
            await super()._close(status, do_cbs)

    def abort(self) -> None:
        """End the connection without a word to the server; it may have ended."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _connect_command(self) -> bytes:
        if self._over_tls and not self._server_info.get("tls_required"):
            raise Error("the server does not use TLS, as the URL wants: set `tls` in its configuration, or use nats://")
        return super()._connect_command()


class Bus:
    """The engine, as far as this member reaches it.

    `urls`: its servers, this machine's own first. `hear` is called with the subject and the octets of each message on `subjects`,
    on the loop's thread. `login`: user and password, read again for each connection. `tls`: for URLs that begin with tls://.
    `changed` is called when a connection is there, lost or refused, or a permission turns out to be missing. Inert until run.
    """

    def __init__(
        self,
        urls: Sequence[str],
        subjects: Iterable[str],
        hear: Callable[[str, bytes], None],
        *,
        name: str,
        login: Callable[[], tuple[str, str] | None] = lambda: None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._urls = list(urls)
        self._subjects = list(subjects)
        self._hear = hear
        self._name = name
        self._login = login
        self._tls = tls
        self._changed = changed
        self._client: Client | None = None
        self._error: Exception | None = None  # the latest of the connection
        self._bug: Exception | None = None  # of `hear`
        self.server = ""
        """The server in use, "" without one."""
        self.failures: dict[str, str] = {}
        """Why the servers that were tried last are not in use, by URL."""
        self.refused = ""
        """What the server in use refuses: a permission is missing."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._client is not None

    @property
    def reasons(self) -> str:
        """Why the engine is away, for the operator."""
        lines = [f"{url}: {reason}" for url, reason in self.failures.items()]
        return "; ".join(lines) or self.refused or "no message comes back"

    async def publish(self, subject: str, octets: bytes) -> bool:
        """Whether the message was passed on to the connection. It may be lost there."""
        client = self._client
        if client is None:
            return False
        try:
            await client.publish(subject, octets)
        except (OSError, Error):
            return False
        return True

    async def flush(self, within_s: float) -> bool:
        """Whether the server has received all that was published."""
        client = self._client
        if client is None:
            return False
        try:
            async with asyncio.timeout(within_s):
                await client.flush()
        except (OSError, Error):  # TimeoutError is an OSError
            return False
        return True

    async def run(self) -> None:
        """Stay connected to one of the servers, for good. Raises what `hear` has raised."""
        clock_s = asyncio.get_running_loop().time
        while True:
            lasted = False  # a server that ends each connection at once (its account has too many) is not asked without a pause
            for url in self._urls:
                try:
                    async with self.connected(url) as lost:
                        began_s = clock_s()
                        self.failures.clear()
                        await lost.wait()
                        if self._bug is not None:
                            raise self._bug
                        lasted = lasted or clock_s() - began_s >= TRY_AGAIN_S
                    self.failures[url] = self._reason(None)
                except EngineUnreachable as error:
                    self.failures[url] = str(error)
                    self._changed()
            if not lasted:
                await asyncio.sleep(TRY_AGAIN_S)

    @asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator[asyncio.Event]:
        """A connection to this server, for the block; the event is set when it is lost. Raises EngineUnreachable."""
        over_tls = urlsplit(url).scheme == "tls"
        try:
            login, tls = self._login(), self._tls() if over_tls and self._tls is not None else None
        except SettingsError as error:
            raise EngineUnreachable(str(error)) from None
        lost = asyncio.Event()

        def ended(error: Exception | None) -> None:
            self._error = error or self._error
            lost.set()

        client = _Client(over_tls, ended)
        self._error, self._bug, self.refused = None, None, ""
        try:
            try:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    await self._connect(client, url, lost, login, tls)
            except (OSError, Error, ValueError) as error:
                raise EngineUnreachable(self._reason(error)) from None
            except (AttributeError, TypeError):  # nats-py's, if the JSON of INFO is not an object, or has fields of other types
                raise EngineUnreachable(NOT_NATS) from None
            if not isinstance(client.max_payload, int):  # the size of each message is compared with it
                raise EngineUnreachable(NOT_NATS)
            self._client, self.server = client, url
            self._changed()
            yield lost
        finally:
            if self._client is client:
                self._client, self.server = None, ""
                self._changed()
            await _close(client)

    async def _connect(
        self, client: Client, url: str, lost: asyncio.Event, login: tuple[str, str] | None, tls: ssl.SSLContext | None
    ) -> None:
        user, password = login or (None, None)

        async def failed(error: Exception) -> None:
            self._error = error
            text = str(error).removeprefix("nats: ")
            if "permissions violation" in text.lower() and text != self.refused:  # else it is said to each message
                self.refused = text
                self._changed()

        async def heard(message: Msg) -> None:
            try:
                self._hear(message.subject, message.data)
            except Exception as error:  # noqa: BLE001 - raised by `run`; nats-py would take it for an error of the connection
                self._bug = error
                lost.set()

        await client.connect(
            [url],
            error_cb=failed,
            name=self._name,
            allow_reconnect=False,
            connect_timeout=int(CONNECT_WITHIN_S),
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            flush_timeout=PING_EACH_S,  # else a publisher waits for good if what it waits for is never sent
            ping_interval=PING_EACH_S,
            max_outstanding_pings=1,
            user=user,
            password=password,
            tls=tls,
        )
        for subject in self._subjects:
            await client.subscribe(subject, cb=heard)
        await client.flush()

    def _reason(self, error: Exception | None) -> str:
        """Why there is no connection, for the operator."""
        if isinstance(error, TimeoutError):
            return "no answer in time"
        if error is None or isinstance(error, NoServersError):
            error = self._error or error
        match error:
            case None:
                return "the connection was closed"
            case ssl.SSLError():
                return describe_tls_failure(error).replace("TOWEROPS_API_URL", "GROUP_NATS_URLS")
            case StaleConnectionError():
                return "the server does not answer any more"
            case TimeoutError():
                return "no answer in time"
            case OSError():
                return error.strerror or str(error)
            case _:
                return str(error).removeprefix("nats: ").strip("'\" \r\n") or type(error).__name__


async def _close(client: _Client) -> None:
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await client.close()
    except (OSError, Error):
        pass  # it was of no use any more
    finally:
        client.abort()
