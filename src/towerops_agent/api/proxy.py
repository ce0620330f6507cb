"""The environment's proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) between the agent and the API.

httpx2 reads the environment itself; this module is for messages about a proxy that fails, and for URLs that need no proxy.
I/O: reads the environment.
"""

import os
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
    named = named_proxy(url)
    return None if named is None else urlsplit(named[1]).netloc.rpartition("@")[2]


def named_proxy(url: str) -> tuple[str, str] | None:
    """The variable that names the proxy for `url`, as it is in the environment, and the proxy's URL, in which a password may be.

    None if there is none.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(scheme)
    if not proxy or is_local(url) or proxy_bypass(parts.hostname or ""):
        return None
    variable = f"{scheme}_proxy"
    if variable not in os.environ:  # urllib takes any case, and small letters before others
        variable = next((name for name in os.environ if name.lower() == variable), variable)
    return variable, proxy if "://" in proxy else f"http://{proxy}"


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
