"""The HTTP proxy between the agent and the API, if the environment has one: whether it forwards connections.

network.py asks it for a tunnel (CONNECT, RFC 9110 §9.3.6), as the client does. I/O: a connected socket.
"""

import socket
import time
from typing import Final

from towerops_agent.api.proxy import Proxy
from towerops_agent.text import address

MOST_HEAD_OCTETS: Final = 65_536

_REFUSALS: Final = {
    407: "it wants a user and a password: http://user:password@host:port in {variable}",
    403: "it does not allow this host: allow it there, or name the host in NO_PROXY",
    502: "it can't reach the API: is the host right, and does the proxy know its name?",
    503: "it can't reach the API: is the host right, and does the proxy know its name?",
    504: "it gets no answer from the API",
}


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
