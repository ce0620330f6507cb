"""Who may read the page, and turn its switches: a browser that shows the page, and a person's own tools.

The page has no login. A page of another site that a browser of this machine shows could still post a form to it, or reach it by a
name of its own that it lets point here (DNS rebinding); what the browser says of each request shows both.
Source: RFC 9110 §7.2 (Host), RFC 6454 §7 (Origin), RFC 6761 §6.3 (localhost), Fetch's Sec-Fetch-Site.
"""

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from towerops_agent.text import is_loopback

MOST_OCTETS = 1024
"""The longest body of a switch."""


def problem_of_host(headers: Mapping[str, str]) -> str:
    """What is wrong with the name by which the page is asked, "" for nothing: an address, localhost or this machine's name."""
    asked = headers.get("host", "")
    try:
        host = (urlsplit(f"//{asked}").hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if is_loopback(host) or host.endswith(".localhost") or _is_address(host) or host in _own_names():
        return ""
    return f"Host is {asked!r}: expected an address, localhost or this machine's name"


def problem_of_turn(headers: Mapping[str, str]) -> str:
    """What is wrong with a request to turn a switch, "" for nothing: it is JSON, and of the page itself or of no page."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":  # a form of another site can't send it
        return f"Content-Type is {media_type!r}: expected application/json"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return f"Origin is {origin!r}: expected this page's own"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "expected a request of the page's own"
    return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname().lower()
    return name, name.partition(".")[0], f"{name.partition('.')[0]}.local"
