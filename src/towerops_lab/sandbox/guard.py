"""Who may turn the page's switches: a browser that shows the page, and a person's own tools.

The page has no login. A page of another site that a browser of this machine shows could still post a form to it; what the browser
says of each request shows that. Who may read it: towerops_agent/page/guard.py.
Source: RFC 6454 §7 (Origin), Fetch's Sec-Fetch-Site.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

MOST_OCTETS = 1024
"""The longest body of a switch."""


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
