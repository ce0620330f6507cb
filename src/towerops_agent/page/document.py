"""The page as one HTML document: styles, scripts and icon are in it, and it asks nobody for anything but its data.

Its policy allows exactly those scripts and styles, by their hashes. A document to be kept as a file has its data in it too, each
device's compressed, and may ask nobody at all.
I/O: reads the package's files. Source: Content Security Policy Level 3 §2.3 and §6.6, RFC 1952 (gzip).
"""

import base64
import gzip
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from towerops_agent.page.assets import asset

STYLES: Final = ("base.css", "site.css", "agent.css")
MODULES: Final = ("format.js", "draw.js", "chart.js", "columns.js", "agent.js")
"""The page's modules, each after those that it imports: joined they are one."""

_IMPORT: Final = re.compile(r"^import .*;$", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)
LEVEL: Final = 6
"""Of compression: each level more costs twice the time for a percent."""


def document() -> bytes:
    """The page to be served: it asks for its data."""
    return _made(b"null", "'self'")


def document_with(overview: bytes, devices: Iterable[tuple[str, bytes]]) -> bytes:
    """The page as a file. `overview`: as JSON; `devices`: by id, the views of its spans as JSON."""
    kept = {device: base64.b64encode(gzip.compress(views, LEVEL, mtime=0)).decode() for device, views in devices}
    data = b'{"overview":%b,"devices":%b}' % (overview, msgspec.json.encode(kept))
    return _made(data.replace(b"<", b"\\u003c"), "'none'")


def _made(data: bytes, connect: str) -> bytes:
    styles = "\n".join(map(_text, STYLES))
    theme = _text("theme.js")
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in MODULES)
    icon = f"data:image/svg+xml;base64,{base64.b64encode(_text('icon.svg').encode()).decode()}"
    policy = (
        f"default-src 'none'; script-src {_hash(theme)} {_hash(script)}; style-src {_hash(styles)}; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    page = _text("agent.html")
    for name, text in (("POLICY", policy), ("ICON", icon), ("STYLES", styles), ("THEME", theme), ("SCRIPT", script)):
        page = page.replace(f"[[{name}]]", text)
    return page.encode().replace(b"[[DATA]]", data)


def _text(name: str) -> str:
    octets = asset(name)
    if octets is None:
        raise FileNotFoundError(f"the package lacks page/web/{name}")
    return octets.decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
