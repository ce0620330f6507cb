"""The HTTP proxy between the agent and the API, if the environment has one: whether it forwards connections.

network.py asks it for a tunnel (CONNECT, RFC 9110 §9.3.6), as httpx2 does. I/O: the environment, a connected socket.
"""

import base64
import socket
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from towerops_agent.api.proxy import named_proxy
from towerops_agent.model import Secret
from towerops_agent.text import address

MOST_HEAD_OCTETS: Final = 65_536

_KINDS: Final = ("http", "https", "socks5", "socks5h")

_REFUSALS: Final = {
    407: "it wants a user and a password: http://user:password@host:port in {variable}",
    403: "it does not allow this host: allow it there, or name the host in NO_PROXY",
    502: "it can't reach the API: is the host right, and does the proxy know its name?",
    503: "it can't reach the API: is the host right, and does the proxy know its name?",
    504: "it gets no answer from the API",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy's address. `variable`: the environment's that names it.

    `tunnels`: whether it is plain HTTP, so that this module can send it a CONNECT.
    """

    host: str
    port: int
    scheme: str
    variable: str
    authorization: Secret | None = None

    @property
    def tunnels(self) -> bool:
        """Whether a tunnel can be tested here; TLS to the proxy itself and SOCKS are left to the API request."""
        return self.scheme == "http"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def find_proxy(url: str) -> Proxy | None:
    """The proxy for `url`; None if there is none. Raises ValueError where the environment's can't be read."""
    named = named_proxy(url)
    if named is None:
        return None
    variable, text = named
    parts = urlsplit(text)
    if not parts.hostname or parts.scheme not in _KINDS:
        raise ValueError("no host in it, or another kind than those that httpx2 knows")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = Secret("Basic " + base64.b64encode(pair.encode()).decode())
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
    return Proxy(parts.hostname, port, parts.scheme, variable, authorization)


def ask_tunnel(connection: socket.socket, proxy: Proxy, host: str, port: int) -> str:
    """Why the proxy does not pass `connection` on to this host; "" if it does. Raises OSError."""
    place = address(host, port)
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    status = status_of(read_head(connection))
    if 200 <= status < 300:
        return ""
    if not status:
        return "its answer is not HTTP: is it an HTTP proxy?"
    refusal = _REFUSALS.get(status, "it does not forward this")
    return f"status {status}: {refusal.format(variable=proxy.variable)}"


def read_head(connection: socket.socket) -> bytes:
    """An HTTP answer's head, octet by octet up to the empty line: the octets after it belong to the tunnel. Raises OSError."""
    head = bytearray()
    until = time.monotonic() + (connection.gettimeout() or 0)  # starts again with each octet, and a server may send them slowly
    while not head.endswith(b"\r\n\r\n") and len(head) < MOST_HEAD_OCTETS and time.monotonic() < until:
        octet = connection.recv(1)
        if not octet:
            break
        head += octet
    return bytes(head)


def status_of(head: bytes) -> int:
    """The status in an answer's first line; 0 if there is none."""
    version, _, rest = head.partition(b" ")
    return int(rest[:3]) if version.startswith(b"HTTP/") and rest[:3].isdigit() else 0
