"""The Towerops API's three endpoints over HTTPS, each answer and each failure as a value of outcomes.py.

config/sync.py, delivery's courier.py and heartbeat.py use it; verdicts.py decides what follows from an outcome. httpcore2's
exceptions and those below it end here. It follows no redirect, keeps no cookie, and sends the token only to the base URL. A
server's text is cut, and cleaned of control characters and of the token, before anyone sees it.
I/O. Sizes in octets, times in seconds. Source: docs/api.md.
"""

import asyncio
import ssl
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpcore2
import msgspec

from towerops_agent import __version__
from towerops_agent.api.address import host_header, request_url
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.failures import NO_ANSWER, TIMED_OUT, Miscoded, Timeouts, no_answer
from towerops_agent.api.proxy import proxy_for, proxy_passwords
from towerops_agent.api.tls import tls_context, validity
from towerops_agent.api.wire import contract
from towerops_agent.api.wire.outcomes import (
    Accepted,
    Acknowledgement,
    Certificate,
    ConfigFetched,
    ConfigOutcome,
    Document_co,
    Failure,
    Intake,
    NotFound,
    NotModified,
    Outcome,
    Redirected,
    Rejected,
    TooLarge,
    Unauthorized,
    Unavailable,
    Validity,
    acknowledgement,
    ahead_s,
    http_date,
    is_page,
    retry_after_s,
)
from towerops_agent.errors import InvalidConfig
from towerops_agent.masking import masked
from towerops_agent.text import printable

MOST_CONFIG_OCTETS = 256 << 20
MOST_ANSWER_OCTETS = 1 << 20
MOST_PAGE_OCTETS = 1 << 16  # of a web page, for the reason in it
MOST_REASON_CHARACTERS = 300

CONFIG_WITHIN_S = 600.0
ANSWER_WITHIN_S = 120.0
"""How long a whole exchange may last: httpcore2's own timeouts start again with each octet, and a server may send them slowly."""

KEEPALIVE_S = 45.0
"""Longer than the 30 s between two deliveries, shorter than the 60 s after which many servers hang up."""

_UNPACKED_OCTETS: Final = 1 << 20
"""How much of a compressed body is unpacked at once: a few octets can stand for a gigabyte."""

_ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate", "br", "compress", "x-compress", "zstd"})
"""What a body may be encoded by, whether it was asked for or not (IANA's registry of HTTP content codings)."""

LOOK_AGAIN_S = 3_600.0
"""How long a connection lasts at most: then the server's name is looked up again, and its certificate is seen."""


class Expiries:
    """Until when the certificates of one client's connections are valid: the server's as last seen, and the agent's own.

    A connection that is kept open keeps the certificate with which it began, and the address: that of a server which has been
    replaced, as long as it answers. So another one is made once an hour, and more often in the last two hours of a certificate.
    Not after its end: no other connection could be made if it is not renewed.
    """

    def __init__(self) -> None:
        self._server: Validity | None = None
        self._own: Validity | None = None
        self._shown_on: object = None  # the connection on which it was last seen; it is read once of each
        self._renewed_s: float | None = None

    def presents(self, client_cert: Path | None) -> None:
        """Note the agent's own certificate, of which a context was made just now."""
        self._own = None if client_cert is None else validity(client_cert)

    def seen(self, reply: "HttpReply") -> None:
        """Note with which certificate the server that answers has shown itself."""
        if reply.connection is self._shown_on:
            return
        self._shown_on, tls = reply.connection, reply.connection.get_extra_info("ssl_object")
        if tls is not None and (shown := tls.getpeercert()):
            self._server = Validity(*(float(ssl.cert_time_to_seconds(shown[end])) for end in ("notBefore", "notAfter")))

    def headers(self, now_s: float) -> dict[str, str]:
        """For the next request: whether its connection is to end with it."""
        if self._renewed_s is None:
            self._renewed_s = now_s
        left_s = inf if self._server is None else self._server.until_s - now_s
        if left_s <= 0 or abs(now_s - self._renewed_s) < min(LOOK_AGAIN_S, left_s / 2):
            return {"Connection": "keep-alive"}
        self._renewed_s = now_s
        return {"Connection": "close"}

    def of(self, name: str) -> list[Certificate]:
        """Those that are known, of the server with this name."""
        known = ((False, self._server), (True, self._own))
        return [Certificate(name, is_own, one.until_s, one.soon_s) for is_own, one in known if one is not None]


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as it was received. `whole`: whether `body` is all of it, rather than its beginning.

    `ahead_s`: how far this machine's clock is ahead of the server's, None if the server did not send its time.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    ahead_s: float | None


class _NotingPages:
    """An intake that keeps the beginning of a web page. A configuration's is not to be shown: credentials are in it."""

    def __init__(self, intake: Intake[Any]) -> None:
        self._intake = intake
        self.page = b""
        self._has_begun = False

    def write(self, chunk: bytes) -> None:
        if not self._has_begun and is_page(chunk):
            self.page = chunk[:MOST_PAGE_OCTETS]
        self._has_begun = self._has_begun or not chunk.isspace()  # a configuration's text may go on with <b>
        self._intake.write(chunk)


class ApiClient:
    """A client of one API, an async context manager; opening it may raise SettingsError (certificates, proxy, token)."""

    def __init__(
        self,
        base_url: str,
        token: TokenSource,
        *,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._tls_files = ca_file, client_cert, client_key
        self._timeouts = Timeouts(connect_timeout_s, read_timeout_s)
        self.now = now
        self.on_answer: Callable[[float | None], None] = lambda _ahead_s: None
        """Called with each answer: how far this machine's clock is ahead of the API's; None if it is not said, or not in time."""
        self.on_silence: Callable[[Unavailable], None] = lambda _why: None
        """Called if the API could not be asked."""
        self.expiries = Expiries()
        self._http: Http | None = None
        self._under_way: Counter[Http] = Counter()  # how many requests each has, one with earlier certificates too

    async def __aenter__(self) -> Self:
        _ = self._token.token  # report a missing token now, not at the first request
        self._http = self._new_http()
        self._urls = {path: request_url(self._base_url + path) for path in contract.PATHS}
        return self

    def _new_http(self) -> "Http":
        """Connections with the current certificate files. Raises SettingsError."""
        http = Http(self._base_url, tls_context(*self._tls_files), self._timeouts, {"Accept": "application/json"})
        self.expiries.presents(self._tls_files[1])
        return http

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for http in {self._http, *self._under_way}:
            if http is not None:
                await http.aclose()

    async def reread_certificates(self) -> None:
        """Use the current certificate files from the next request on; those under way go on as they began.

        Raises SettingsError, and then keeps the certificates in use.
        """
        before, self._http = self._http, self._new_http()
        if before is not None:
            await self._close_unused(before)

    async def _close_unused(self, http: "Http") -> None:
        """Close these connections if they have been replaced and the last request on them has ended."""
        if http is not self._http and not self._under_way[http]:
            del self._under_way[http]
            await http.aclose()

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator["Http"]:
        """The connections for one request."""
        if self._http is None:
            raise RuntimeError("the client is not open: use it as `async with ApiClient(…)`")
        http = self._http
        self._under_way[http] += 1
        try:
            yield http
        finally:
            self._under_way[http] -= 1
            await self._close_unused(http)

    @property
    def token_rotations(self) -> int:
        """How often the token has changed."""
        return self._token.rotations

    def reread_token(self) -> None:
        """Read the token's file again. Raises SettingsError if it can't be used."""
        self._token.reread()

    async def get_config(self, intake: Intake[Document_co], etag: str | None = None) -> ConfigOutcome[Document_co]:
        """The configuration as `intake` returns it; NotModified if it is still the one that `etag` names.

        Unavailable if `intake` raises InvalidConfig.
        """
        headers, noting = {} if etag is None else {"If-None-Match": etag}, _NotingPages(intake)
        try:
            answer = await self._exchange("GET", contract.CONFIG_PATH, headers, None, MOST_CONFIG_OCTETS, CONFIG_WITHIN_S, noting)
            if isinstance(answer, Unavailable):
                return answer
            if answer.status == 304 and etag is not None:
                return NotModified(answer.ahead_s)
            if answer.status != 200:
                return self._failure(answer, contract.CONFIG_PATH)
            if not answer.whole:
                return Unavailable(f"a configuration of more than {MOST_CONFIG_OCTETS >> 20} MiB", answer.status)
            config = intake.finish()
        except InvalidConfig as error:
            page = self._cleaned(noting.page.decode(errors="replace"))
            return Unavailable(f"the configuration can't be used: it is a web page: {page}" if page else str(error), 200)
        fresh = answer.headers.get("etag", "")
        fit = fresh != "" and fresh.isascii() and fresh.isprintable()  # it is sent back as it is
        return ConfigFetched(config, fresh if fit else None, answer.ahead_s)

    async def post_metrics(self, body: bytes, key: str, encoding: Literal["gzip"] | None = None) -> Outcome:
        """The server's answer to the metrics in `body`, which is `encoding` encoded; `key` names the batch on each retry."""
        headers = {"Idempotency-Key": key} | ({"Content-Encoding": encoding} if encoding else {})
        return await self._post(contract.METRICS_PATH, headers, body)

    async def post_heartbeat(self, heartbeat: contract.Heartbeat) -> Outcome:
        """The server's answer to `heartbeat`."""
        return await self._post(contract.HEARTBEAT_PATH, {}, msgspec.json.encode(heartbeat))

    async def _post(self, path: str, headers: dict[str, str], body: bytes) -> Outcome:
        headers = headers | {"Content-Type": "application/json"}
        answer = await self._exchange("POST", path, headers, body, MOST_ANSWER_OCTETS, ANSWER_WITHIN_S)
        if isinstance(answer, Unavailable):
            return answer
        if not 200 <= answer.status < 300:
            return self._failure(answer, path)
        said = acknowledgement(answer.body) if answer.whole else f"a body of more than {MOST_ANSWER_OCTETS >> 20} MiB"
        if isinstance(said, Acknowledgement):
            return Accepted(answer.status, received=said.received)
        return Unavailable(f"status {answer.status} with {said}: {self._said(answer)}", answer.status)

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        most_octets: int,
        within_s: float,
        intake: _NotingPages | None = None,
    ) -> _Answer | Unavailable:
        """The answer to one request, its body cut at `most_octets`; Unavailable if there is none.

        `intake`: receives the body instead if the status is 200. Raises what it raises.
        """
        sent = self.now()
        headers = headers | {"Authorization": f"Bearer {self._token.token.reveal()}"} | self.expiries.headers(sent.timestamp())
        reply, received, whole, ahead = None, bytearray(), False, None
        try:
            async with self._connections() as http, asyncio.timeout(within_s):
                if headers["Connection"] == "close":
                    self._http = http.again()  # all earlier connections end, each with the request that it is used for
                reply = await http.send(method, self._urls[path], headers, body)
                try:
                    self.expiries.seen(reply)
                    ahead = ahead_s(http_date(reply.headers.get("date")), sent, self.now())
                    self.on_answer(ahead)
                    take = received.extend if intake is None or reply.status != 200 else intake.write
                    whole = await reply.read(most_octets, take)
                finally:
                    await reply.aclose()
        except NO_ANSWER as error:
            if reply is None or reply.is_success:  # another status says what to do, whatever becomes of its body
                return self._unavailable(error, within_s, began=reply is not None)
        return _Answer(reply.status, reply.headers, bytes(received), whole, ahead)

    def _unavailable(self, error: Exception, within_s: float, *, began: bool) -> Unavailable:
        """The outcome of a request without a complete answer. `began`: there was the beginning of one."""
        if isinstance(error, TimeoutError):
            self.on_answer(None)
            return Unavailable(f"no complete answer within {within_s:g} s", timed_out=True)
        reason = no_answer(error, self._base_url, self._timeouts, "in TOWEROPS_API_URL", began=began)
        silent = Unavailable(self._cleaned(reason), timed_out=isinstance(error, TIMED_OUT))
        if not began:
            self.on_silence(silent)
        return silent

    def _failure(self, answer: _Answer, path: str) -> Failure:
        """The outcome of an answer that is not a success."""
        status = answer.status
        match status:
            case 401 | 403:
                return Unauthorized(status, self._said(answer) if is_page(answer.body) else "")
            case 404:
                return NotFound(path)
            case 413:
                return TooLarge()
            case 400 | 422:
                return Rejected(status, self._said(answer) or "no reason given")
            case _ if 300 <= status < 400:
                return Redirected(status, self._cleaned(answer.headers.get("location", "")))
        said = self._said(answer) or "an empty body"
        date = http_date(answer.headers.get("date"))
        wait_s = retry_after_s(answer.headers.get("retry-after"), date or self.now())
        return Unavailable(f"status {status}: {said}", status, wait_s)

    def _said(self, answer: _Answer) -> str:
        return self._cleaned(answer.body[:MOST_PAGE_OCTETS].decode(errors="replace"))

    def _cleaned(self, text: str) -> str:
        """`text` in one printable line of at most 300 characters, without the token and the password that somebody may echo."""
        secrets = [secret.reveal() for secret in (self._token.token, *proxy_passwords())]
        line = " ".join("".join(c if c.isprintable() else " " for c in masked(text, secrets)).split())
        return line if len(line) <= MOST_REASON_CHARACTERS else f"{line[: MOST_REASON_CHARACTERS - 1]}…"


class Http:
    """Connections to the server at one URL, kept open between requests; through the environment's proxy for it, if there is one.

    It follows no redirect, keeps no cookie, and decodes gzip. Raises SettingsError if the URL or the proxy can't be used.
    """

    def __init__(self, url: str, context: ssl.SSLContext, timeouts: Timeouts, headers: Mapping[str, str]) -> None:
        """`headers`: sent with each request, beside those that every request has, or in place of them."""
        self._again = partial(Http, url, context, timeouts, headers)
        host = request_url(url)
        standing = {
            "Host": host_header(host),
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "User-Agent": f"towerops-agent/{__version__}",
        }
        given = {name.lower() for name in headers}
        own = {name: value for name, value in standing.items() if name.lower() not in given}
        self._headers = _encoded(own | dict(headers))
        waits = {"connect": timeouts.connect_s, "read": timeouts.silent_s, "write": timeouts.silent_s, "pool": timeouts.silent_s}
        self._extensions = {"timeout": waits}
        self._pool = httpcore2.AsyncConnectionPool(context, proxy_for(url), max_connections=None, keepalive_expiry=KEEPALIVE_S)

    async def send(self, method: str, url: httpcore2.URL, headers: Mapping[str, str], body: bytes | None) -> "HttpReply":
        """The answer, whose body is still to be read; it is to be closed. Raises what NO_ANSWER has."""
        sent = [*self._headers, *_encoded(headers)]
        if body is not None:
            sent.append((b"Content-Length", b"%d" % len(body)))
        request = httpcore2.Request(method, url, headers=sent, content=body, extensions=self._extensions)
        return HttpReply(await self._pool.handle_async_request(request))

    def again(self) -> "Http":
        """The same, with connections of its own."""
        return self._again()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class HttpReply:
    """A server's answer as it begins: its status and its headers, by their names in small letters."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        self.connection: httpcore2.AsyncNetworkStream = response.extensions["network_stream"]

    @property
    def is_success(self) -> bool:
        """Whether the server has done what it was asked for."""
        return 200 <= self.status < 300

    async def read(self, most_octets: int, take: Callable[[bytes], None]) -> bool:
        """Pass on the decoded body, at most about `most_octets` of it; whether that is all. Raises what NO_ANSWER has."""
        unpack, count, encoding = None, 0, self.headers.get("content-encoding", "")
        async for received in self._response.aiter_stream():
            if encoding and received:  # without a body it says nothing
                unpack, encoding = _unpacker(encoding), ""
            for piece in (received,) if unpack is None else _unpacked(unpack, received):
                take(piece)
                count += len(piece)
                if count > most_octets:
                    return False
        if unpack is not None and not unpack.eof:
            raise Miscoded("it ends too early")
        return True

    async def aclose(self) -> None:
        """End the exchange; its connection too if the body was not read to its end."""
        await self._response.aclose()


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    """For a body of this Content-Encoding (RFC 9110 §8.4.1); None if it is not encoded.

    Other words, as the `utf-8` of many a server, say nothing of the body.
    """
    match [name for name in (name.strip().lower() for name in encoding.split(",")) if name in _ENCODINGS]:
        case []:
            return None
        case ["gzip" | "x-gzip" | "deflate"]:
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its first octets
    raise Miscoded(f"{printable(encoding)}, where gzip was asked for")


def _unpacked(unpack: "zlib._Decompress", octets: bytes) -> Iterator[bytes]:
    """What these octets stand for, in pieces of some size."""
    try:
        while piece := unpack.decompress(octets, _UNPACKED_OCTETS):
            yield piece
            octets = unpack.unconsumed_tail
    except zlib.error as error:
        raise Miscoded(str(error)) from None


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
