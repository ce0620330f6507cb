"""The path to the API, a layer at a time: name, TCP, proxy, TLS. It asks only for the time, and sends no token.

URL -> Network, whose first failed check is the layer to look at. Blocking, each step for at most `timeout_s`: for a thread.
I/O: the resolver, sockets, the environment's proxies.
"""

import errno
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from towerops_agent.api.proxy import Proxy, find_proxy
from towerops_agent.api.wire.outcomes import ahead_s
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.proxy import ask_tunnel
from towerops_agent.doctor.tls import NAME as TLS
from towerops_agent.doctor.tls import ask_date, check_tls
from towerops_agent.text import address, is_ip_address, is_loopback

_RESOLUTION: Final = "name"
_TCP: Final = "TCP"
_PROXY: Final = "proxy"

MOST_ADDRESSES: Final = 4

_TCP_HINTS: Final = {
    errno.ECONNREFUSED: "the host answers, but nothing listens on this port: is the port in {variable} right?",
    errno.EHOSTUNREACH: "no route to that host: check the routes (ip route) and the gateway",
    errno.ENETUNREACH: "no route to that network: check the routes (ip route) and the gateway",
    errno.EACCES: "this machine's own firewall forbids it",
    errno.EPERM: "this machine's own firewall forbids it",
}
IN_A_CONTAINER: Final = "in a container this address is the container itself: give that of the machine where the server runs"
_SILENT: Final = "a firewall drops it, or the host is down: outgoing TCP to this port must be allowed"


@dataclass(slots=True)
class Network:
    """What was found. `ahead_s`: how far this clock is ahead of the server's, None if it did not send its time."""

    checks: list[Check] = field(default_factory=list)
    ahead_s: float | None = None

    @property
    def works(self) -> bool:
        """Whether nothing failed."""
        return all(check.result is not Result.FAILED for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Way:
    """The target of the connection, and the proxy. `addresses`: of the proxy if there is one."""

    host: str
    port: int
    path: str
    proxy: Proxy | None
    timeout_s: float
    addresses: tuple[tuple[int, tuple[str, int]], ...] = ()


def check_network(url: str, context: ssl.SSLContext | None, now: Callable[[], datetime], timeout_s: float) -> Network:
    """Check each layer in turn, up to the first that fails. `context`: the TLS trust; None if it is not known."""
    network = Network()
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    try:
        proxy = find_proxy(url)
    except ValueError:  # its text may hold a password
        hint = "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY: expected http://host:port"
        network.checks.append(Check(_PROXY, Result.FAILED, "the environment's proxy can't be used", hint))
        return network
    first = (host, port) if proxy is None else (proxy.host, proxy.port)
    addresses = _resolve(*first, proxy, network)
    way = _Way(host, port, parts.path, proxy, timeout_s, addresses)
    if not addresses or not _check_tcp(way, network) or not _check_proxy(way, network, secure):
        return network
    sent = now()
    if not secure:
        network.checks.append(Check(TLS, Result.SKIPPED, "not used: the URL is http://"))
        date = None if proxy else _plain_date(way)
    elif context is None:
        network.checks.append(Check(TLS, Result.SKIPPED, "not checked: see the settings first"))
        return network
    elif proxy is not None and not proxy.tunnels:
        network.checks.append(Check(TLS, Result.SKIPPED, f"through a {proxy.scheme} proxy only the API request checks it"))
        return network
    else:
        encounter = check_tls(lambda: _tunnel(way), context, host, parts.path, sent)
        network.checks.append(encounter.check)
        date = encounter.date
    network.ahead_s = ahead_s(date, sent, now())
    return network


def _resolve(host: str, port: int, proxy: Proxy | None, network: Network) -> tuple[tuple[int, tuple[str, int]], ...]:
    whose = f"the proxy {host}" if proxy else host
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        no_server = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        hint = (
            "no DNS server answers: check /etc/resolv.conf, and that the firewall allows DNS"
            if no_server
            else f"is {_variable(proxy)} right?"
        )
        reason = getattr(error, "strerror", None) or str(error)
        network.checks.append(Check(_RESOLUTION, Result.FAILED, f"{whose} was not found: {reason}", hint))
        return ()
    took_ms = (time.monotonic() - began) * 1000
    addresses = tuple(dict.fromkeys((family, where) for family, _, _, _, where in found))[:MOST_ADDRESSES]
    if is_ip_address(host):
        network.checks.append(Check(_RESOLUTION, Result.SKIPPED, f"{whose} is an address"))
    else:
        all_of_them = ", ".join(str(where[0]) for _, where in addresses)
        network.checks.append(Check(_RESOLUTION, Result.OK, f"{whose} is {all_of_them} ({took_ms:.0f} ms)"))
    return addresses  # type: ignore[return-value]  # typeshed allows for families other than IP


def _variable(proxy: Proxy | None) -> str:
    """The variable that names the host which is connected to."""
    return proxy.variable if proxy else "TOWEROPS_API_URL"


def _check_tcp(way: _Way, network: Network) -> bool:
    """Try each address. One that works is enough; one that does not is reported anyway."""
    works: list[str] = []
    broken: list[str] = []
    hint = ""
    variable = _variable(way.proxy)
    for family, where in way.addresses:
        began = time.monotonic()
        place = address(where[0], where[1])
        try:
            _connect(family, where, way.timeout_s).close()
        except OSError as error:
            number = error.errno or 0
            broken.append(f"{place} {os.strerror(number) if number else f'silent for {way.timeout_s:g} s'}")
            hint = _TCP_HINTS.get(number, _SILENT).format(variable=variable)
            if number == errno.ECONNREFUSED and is_loopback(where[0]):
                hint += f" And {IN_A_CONTAINER}"
        else:
            works.append(f"{place} connects in {(time.monotonic() - began) * 1000:.0f} ms")
    result = Result.FAILED if not works else Result.WARNING if broken else Result.OK
    network.checks.append(Check(_TCP, result, ", ".join(works + broken), hint))
    return bool(works)


def _check_proxy(way: _Way, network: Network, secure: bool) -> bool:
    if way.proxy is None:
        network.checks.append(Check(_PROXY, Result.SKIPPED, "none is set for this URL"))
        return True
    refusal = ""
    if secure and way.proxy.tunnels:
        try:
            _tunnel(way).close()
        except _Refused as error:
            refusal = str(error)
        except OSError as error:
            refusal = f"the connection broke: {error.strerror or error}"
    if refusal:
        found, _, hint = refusal.partition(": ")
        network.checks.append(Check(_PROXY, Result.FAILED, f"{way.proxy} does not forward the connection ({found})", hint))
        return False
    what = "forwards the connection" if secure and way.proxy.tunnels else "is used"
    network.checks.append(Check(_PROXY, Result.OK, f"{way.proxy} {what}"))
    return True


class _Refused(OSError):
    """The proxy refuses. The text says why."""


def _tunnel(way: _Way) -> socket.socket:
    """A connection to the API's host, through the proxy if there is one. Raises OSError."""
    last = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, where in way.addresses:
        try:
            connection = _connect(family, where, way.timeout_s)
        except OSError as error:
            last = error
            continue
        try:
            refusal = ask_tunnel(connection, way.proxy, way.host, way.port) if way.proxy else ""
        except BaseException:
            connection.close()
            raise
        if refusal:
            connection.close()
            raise _Refused(refusal)
        return connection
    raise last


def _connect(family: int, where: tuple[str, int], timeout_s: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return connection


def _plain_date(way: _Way) -> datetime | None:
    try:
        with _tunnel(way) as connection:
            return ask_date(connection, way.host, way.path).date
    except OSError:
        return None
