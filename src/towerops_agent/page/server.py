"""Serves the page: GET and HEAD of three paths, to browsers of this machine, or by TLS to whoever has the password.

request -> Host or password -> Pages.answer -> Answer, compressed. One thread a connection, as many as there are places
(places.py), of which an address that guesses the password takes few; the database is read by one of them at a time. An answer
serves for some time, however many look: the more it took, the longer. What is asked for is in no log.
I/O: sockets. Source: RFC 9110 §9.3 and §15, RFC 7617.
"""

import gzip
import io
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from towerops_agent.errors import AgentError
from towerops_agent.model import Secret
from towerops_agent.page.document import document
from towerops_agent.page.guard import is_admitted, problem_of_host
from towerops_agent.page.site import SPANS_H, Site
from towerops_agent.places import Doing, Places

CLIENT_WITHIN_S: Final = 15.0
"""How long a client may take for its handshake, until it asks, and to ask: else an octet now and then holds a place for days."""

FRESH_S: Final = 2.0
"""How long the overview serves, at least."""

TIMES_ITS_COST: Final = 10
"""An answer serves for so many times the CPU that it took: a device that is looked at takes a tenth of a core at most.

Each answer has the time in it that it is of, so none is taken for newer than it is.
"""

MOST_KEPT_OCTETS: Final = 1 << 24
"""Of the answers about devices. That of 1,000 interfaces has 4 MB."""

WRONG_PASSWORD_S: Final = 1.0
"""What a wrong password costs, one after the other: 86,000 a day can be tried."""

MOST_GUESSES: Final = 4
"""How many wrong passwords of one address wait for that at once. Until there are fewer no password from there is looked at."""

_CHALLENGE: Final = 'Basic realm="Towerops agent", charset="UTF-8"'
_LEVEL: Final = 3
_LEAST_COMPRESSED: Final = 500

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the document has the rest of its policy in it
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and until when it serves."""

    body: bytes
    until_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: HTTPStatus
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Pages:
    """What there is to see. For any thread."""

    def __init__(
        self,
        site: Site,
        password: Secret | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._site = site
        self._password = password
        self._monotonic_s = monotonic_s
        self._cpu_s = cpu_s
        self._sleep = sleep
        self._one_reads = threading.Lock()
        self._one_errs = threading.Lock()
        self._one_guesses = threading.Lock()
        self._guesses: Counter[str] = Counter()  # wrong passwords that are yet to be answered, by address
        self._document = document()
        self._overview = _Kept(b"", 0.0)
        self._devices: dict[tuple[str, int], _Kept] = {}  # the latest last

    def answer(self, target: str, headers: Mapping[str, str], client: str = "") -> Answer:
        """The answer to a GET of this target; `headers` by their names in lower case. `client`: the address that asks."""
        if self._password is None:  # else no other site has it, and the name is the certificate's
            if problem := problem_of_host(headers):
                return _problem(HTTPStatus.FORBIDDEN, problem)
        elif refused := self._refusal(self._password, headers.get("authorization"), client):
            return refused
        try:
            url = urlsplit(target)
            asked = parse_qs(url.query, keep_blank_values=True, max_num_fields=8)
        except ValueError:
            return _problem(HTTPStatus.BAD_REQUEST, "the address can't be understood")
        try:
            match url.path:
                case "/":
                    return Answer(HTTPStatus.OK, "text/html; charset=utf-8", self._document)
                case "/site.json":
                    return Answer(HTTPStatus.OK, "application/json", self._fresh_overview())
                case "/device.json":
                    return self._device(asked)
        except AgentError as error:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return _problem(HTTPStatus.NOT_FOUND, "expected /, /site.json or /device.json")

    def _refusal(self, password: Secret, authorization: str | None, client: str) -> Answer | None:
        """What is answered to who has not given the password; None if it was given."""
        if authorization is not None:
            with self._one_guesses:
                if self._guesses[client] >= MOST_GUESSES:
                    said = "too many wrong passwords from this address: try again in some seconds"
                    return _problem(HTTPStatus.TOO_MANY_REQUESTS, said, {"Retry-After": str(MOST_GUESSES)})
                if is_admitted(password, authorization):
                    return None
                self._guesses[client] += 1
            with self._one_errs:
                self._sleep(WRONG_PASSWORD_S)
            with self._one_guesses:
                self._guesses[client] -= 1
                self._guesses = +self._guesses  # without zeros
        said = "expected the page's password, with any user name"
        return _problem(HTTPStatus.UNAUTHORIZED, said, {"WWW-Authenticate": _CHALLENGE})

    def _fresh_overview(self) -> bytes:
        with self._one_reads:
            if self._monotonic_s() >= self._overview.until_s:
                begun_s = self._cpu_s()
                body = msgspec.json.encode(self._site.overview())
                self._overview = self._kept(body, begun_s, FRESH_S)
            return self._overview.body

    def _device(self, asked: Mapping[str, list[str]]) -> Answer:
        hours = {str(span_h): span_h for span_h in SPANS_H}.get(asked.get("hours", ["24"])[0])
        if hours is None:
            return _problem(HTTPStatus.BAD_REQUEST, f"hours: expected one of {', '.join(map(str, SPANS_H))}")
        key = asked.get("id", [""])[0], hours
        with self._one_reads:
            now_s = self._monotonic_s()
            self._devices = {one: kept for one, kept in self._devices.items() if now_s < kept.until_s}
            if (kept := self._devices.get(key)) is None:
                begun_s = self._cpu_s()
                views = self._site.device(key[0], (hours,))
                if not views:
                    return _problem(HTTPStatus.NOT_FOUND, "no device has this id")
                kept = self._devices[key] = self._kept(msgspec.json.encode(views[0]), begun_s)
                while sum(len(one.body) for one in self._devices.values()) > MOST_KEPT_OCTETS:
                    del self._devices[next(iter(self._devices))]
        return Answer(HTTPStatus.OK, "application/json", kept.body)

    def _kept(self, body: bytes, begun_s: float, least_s: float = 0.0) -> _Kept:
        """The answer, to serve from now on. `begun_s`: `cpu_s` before it was made."""
        return _Kept(body, self._monotonic_s() + max(least_s, TIMES_ITS_COST * (self._cpu_s() - begun_s)))


def _problem(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, "application/json", msgspec.json.encode({"error": text}), headers or {})


class PageServer(ThreadingHTTPServer):
    """Listens once it is constructed; `serve_forever` serves, until `shutdown` is called on another thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        listen: tuple[str, int],
        pages: Pages,
        tls: ssl.SSLContext | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OSError if the address can't be had."""
        self.pages = pages
        self.monotonic_s = monotonic_s
        self._tls = tls
        self.places: Places[socket.socket] = Places()
        self.address_family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        super().__init__(listen, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking DNS for a name of the address, which HTTPServer would wait for."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def get_request(self) -> tuple[Any, Any]:
        """A connection; its TLS handshake is left to its own thread."""
        connection, client = super().get_request()
        connection.settimeout(CLIENT_WITHIN_S)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, client

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- socketserver's
        """Serve the connection on a thread of its own; close it if there is no place for it."""
        if self.places.enter(request, partial(_hang_up, request), client_address[0]):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 -- socketserver's
        """Close the connection, and free its place first: what is closed must not be hung up, as its number may be another's."""
        self.places.leave(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- socketserver's
        """A client that is gone, or speaks no TLS, is nobody's fault; anything else is a bug, with its traceback."""
        import sys  # noqa: PLC0415

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _hang_up(connection: socket.socket) -> None:
    """Have whatever its thread does with it fail. By TLS too: SSLSocket's own would have it go on without."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _RequestReader(io.RawIOBase):
    """What a client sends. TimeoutError, which http.server expects, if a request is not there CLIENT_WITHIN_S after it began."""

    def __init__(self, connection: socket.socket, monotonic_s: Callable[[], float]) -> None:
        super().__init__()
        self._connection = connection
        self._monotonic_s = monotonic_s
        self._ends_at_s: float | None = None

    def begin(self) -> None:
        """The request before has been answered."""
        self._ends_at_s = None

    def readable(self) -> bool:
        """Yes, as BufferedReader asks."""
        return True

    def readinto(self, room: Any) -> int:  # noqa: ANN401 -- a buffer
        """What has arrived, as soon as anything has."""
        left_s = CLIENT_WITHIN_S if self._ends_at_s is None else self._ends_at_s - self._monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the request takes too long")
        self._connection.settimeout(left_s)
        try:
            return self._connection.recv_into(room)
        finally:
            self._connection.settimeout(CLIENT_WITHIN_S)
            if self._ends_at_s is None:
                self._ends_at_s = self._monotonic_s() + CLIENT_WITHIN_S


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "towerops-agent"
    sys_version = ""
    timeout = CLIENT_WITHIN_S
    server: PageServer

    def setup(self) -> None:
        """As http.server's, with a reader that a slow client can't hold up."""
        super().setup()
        self.rfile.close()
        self._reader = _RequestReader(self.connection, self.server.monotonic_s)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """The next request of the connection."""
        self._reader.begin()
        self.server.places.does(self.connection, Doing.ASKS)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 -- http.server's
        """The same as JSON; 405 for a method that is not there."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        allow = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        self.close_connection = True
        text = "only GET is answered here" if allow else status.phrase
        self._send(
            Answer(status, "application/json", msgspec.json.encode({"error": text}), allow), with_body=self.command != "HEAD"
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's
        """Log nothing: somebody looked at the page."""

    def _answer(self, *, with_body: bool) -> None:
        if (
            self.headers.defects or self.headers.get_payload()
        ):  # a line that is not a header (RFC 9112 §5.1): what follows is lost
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if "content-length" in self.headers or "transfer-encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads is not the next request
        self.server.places.does(self.connection, Doing.WAITS)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.pages.answer(self.path, headers, self.client_address[0]), with_body=with_body)

    def _send(self, answer: Answer, *, with_body: bool) -> None:
        body, headers = answer.body, {**_HEADERS, **answer.headers, "Content-Type": answer.media_type}
        accepted = self.headers.get("Accept-Encoding", "") if getattr(self, "headers", None) else ""
        if len(body) >= _LEAST_COMPRESSED:
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in accepted:
                body = gzip.compress(body, _LEVEL, mtime=0)
                headers["Content-Encoding"] = "gzip"
        self.server.places.does(self.connection, Doing.READS)
        with suppress(OSError):  # whoever asked is gone
            self.send_response(answer.status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if with_body:
                self.wfile.write(body)
