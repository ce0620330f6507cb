"""The environment's proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) between the agent and the API.

httpx2 reads the environment itself; this module is for messages about a proxy that fails, and for URLs that need no proxy.
I/O: reads the environment.
"""

from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from towerops_agent.model import Secret
from towerops_agent.text import is_loopback

LEAST_HIDDEN: Final = 6
"""Characters. A shorter password would hide parts of ordinary words."""


def is_local(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def proxy_of(url: str) -> str | None:
    """Host and port of the proxy for `url`, without the password that it may have; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_local(url) or proxy_bypass(parts.hostname or ""):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}").netloc.rpartition("@")[2]


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
