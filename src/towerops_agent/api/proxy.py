"""The environment's proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) between the agent and a server.

client.py connects through it, the doctor tries it, and messages name it: all by this one reading.
I/O: reads the environment.
"""

import base64
import importlib.util
import os
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2

from towerops_agent.api.address import request_url
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.text import address, is_loopback

LEAST_HIDDEN: Final = 6
"""Characters. A shorter password would hide parts of ordinary words."""

PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxies, and the port of each if its URL does not say it."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy's address. `variable`: the environment's that names it. `user`: its name and password."""

    host: str
    port: int
    scheme: str
    variable: str
    user: tuple[str, Secret] | None = None

    @property
    def tunnels(self) -> bool:
        """Whether it is plain HTTP: then a tunnel through it can be tried with nothing but a socket."""
        return self.scheme == "http"

    @property
    def authorization(self) -> Secret | None:
        """The value of the header Proxy-Authorization (RFC 7617); None if the proxy wants none."""
        if self.user is None:
            return None
        pair = f"{self.user[0]}:{self.user[1].reveal()}"
        return Secret("Basic " + base64.b64encode(pair.encode()).decode())

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def find_proxy(url: str) -> Proxy | None:
    """The proxy for `url`; None if there is none. Raises ValueError where the environment's can't be read."""
    named = named_proxy(url)
    if named is None:
        return None
    variable, text = named
    parts = urlsplit(text)
    if not parts.hostname or parts.scheme not in PORTS:
        raise ValueError("no host in it, or another kind than those that httpcore2 knows")
    user = None if parts.username is None else (unquote(parts.username), Secret(unquote(parts.password or "")))
    return Proxy(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme, variable, user)


def proxy_for(url: str) -> httpcore2.Proxy | None:
    """The environment's proxy for `url`; None if there is none. Raises SettingsError."""
    try:
        found = find_proxy(url)
        if found is None:
            return None
        if found.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise ValueError("no library for SOCKS")
        place = request_url(f"{found.scheme}://{address(found.host, found.port)}")
    except (ValueError, SettingsError):  # a URL with a password in it: not shown
        raise SettingsError("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY can't be used: expected http://host:port") from None
    user = None if found.user is None else (found.user[0].encode(), found.user[1].reveal().encode())
    return httpcore2.Proxy(place, auth=user)


def is_local(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def proxy_of(url: str) -> str | None:
    """Host and port of the proxy for `url`, without the password that it may have; None if there is none."""
    named = named_proxy(url)
    return None if named is None else urlsplit(named[1]).netloc.rpartition("@")[2]


def named_proxy(url: str) -> tuple[str, str] | None:
    """The variable that names the proxy for `url`, as it is in the environment, and the proxy's URL, in which a password may be.

    None if there is none. Requests to this machine, with the token, go through none.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(scheme)
    if not proxy or is_local(url) or _is_exempt(parts, proxies.get("no", "")):
        return None
    variable = f"{scheme}_proxy"
    if variable not in os.environ:  # urllib takes any case, and small letters before others
        variable = next((name for name in os.environ if name.lower() == variable), variable)
    return variable, proxy if "://" in proxy else f"http://{proxy}"


def _is_exempt(url: SplitResult, no_proxy: str) -> bool:
    """Whether NO_PROXY names the URL's host: its name or a domain of it, its address or a network of it, with a port or not.

    As curl reads it (CURLOPT_NOPROXY), and with the ports, `*.` and `https://` that others allow.
    """
    host, port = (url.hostname or "").rstrip("."), url.port or PORTS.get(url.scheme)
    for entry in no_proxy.lower().split(","):
        scheme, _, place = entry.strip().rpartition("://")
        if scheme not in ("", "all", url.scheme) or not place:
            continue
        if place == "*" or _is_within(host, place):
            return True
        name, colon, number = place.rpartition(":")
        if colon and number == str(port) and _is_within(host, name):
            return True
    return bool(proxy_bypass(host))  # macOS and Windows have a setting for it too


def _is_within(host: str, place: str) -> bool:
    """Whether the host has this address, is in this network, or has this name or one below it."""
    try:
        return ip_address(host) in ip_network(place.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        name = place.removeprefix("*").strip(".")
        return name != "" and (host == name or host.endswith(f".{name}"))


def proxy_passwords() -> list[Secret]:
    """The passwords of all of the environment's proxies: one of them may send its own back."""
    found = set()
    for proxy in getproxies().values():
        try:
            password = urlsplit(proxy if "://" in proxy else f"http://{proxy}").password
        except ValueError:  # not a URL, and used by nobody
            continue
        found.add(unquote(password or ""))
    return [Secret(password) for password in sorted(found) if len(password) >= LEAST_HIDDEN]
