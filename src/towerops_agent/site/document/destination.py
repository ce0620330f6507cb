"""A destination in a site file -> Destination: where values go, as whom, and with which labels.

Pure: secrets are read by what is passed in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from towerops_agent.config.document.fields import shown
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret
from towerops_agent.site.document.credentials import Secrets, secret_in
from towerops_agent.site.document.device import labels_in
from towerops_agent.site.document.nodes import Mistake, Problem, Section, one_of, whole
from towerops_agent.text import is_loopback

KEYS: Final = (
    *("remote_write", "name", "labels", "headers", "username", "max_metrics", "order", "ca_file", "client_cert", "client_key"),
    *(f"{name}{how}" for name in ("bearer_token", "password") for how in ("", "_file", "_env")),
)

MOST_METRICS: Final = 10_000
DEFAULT_METRICS: Final = 2_000

_ORDERS: Final = {"time": False, "any": True}

_OWN_HEADERS: Final = frozenset(
    {
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-prometheus-remote-write-version",
    }
)


@dataclass(frozen=True, slots=True)
class Destination:
    """A remote write receiver. `max_metrics`: of one request. `labels`: of each series, unless a device has its own.

    `fresh_first`: it accepts values in whatever order.
    """

    name: str
    url: str
    bearer: Secret | None = None
    user: tuple[str, Secret] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    max_metrics: int = DEFAULT_METRICS
    fresh_first: bool = False
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


def read_destination(section: Section, secrets: Secrets, warnings: list[Problem]) -> Destination:
    """The destination; names of files are relative to the site file's folder. Raises Mistake."""
    url = section.checked("remote_write", _url)
    if url is None:
        raise Mistake(section.place, "remote_write is missing: expected the receiver's URL, https://…/api/v1/write")
    bearer = secret_in(section, "bearer_token", secrets, warnings)
    password = secret_in(section, "password", secrets, warnings)
    username = section.text("username")
    if (username is None) != (password is None):
        raise Mistake(section.place, "username and password: expected both, or neither")
    if bearer is not None and password is not None:
        raise Mistake(section.place, "bearer_token and password are both given: expected one of them")
    parts = urlsplit(url)
    if (bearer or password) and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise section.mistake("remote_write", "remote_write is http:// and there is a secret to send: expected https://")
    if bearer is not None and not (bearer.isascii() and bearer.isprintable() and " " not in bearer):
        raise Mistake(section.place, "bearer_token is not one: expected printable ASCII characters without spaces")
    for one, other in (("client_cert", "client_key"), ("client_key", "client_cert")):
        if one in section and other not in section:
            raise section.mistake(one, f"{one} is given without {other}: expected both, or neither")

    def file(key: str) -> str | None:
        name = section.text(key)
        return None if name is None else name if name.startswith("/") else f"{section.file.rpartition('/')[0] or '.'}/{name}"

    return Destination(
        name=section.text("name") or parts.hostname or "",
        url=url,
        bearer=None if bearer is None else Secret(bearer),
        user=None if username is None or password is None else (username, Secret(password)),
        headers=tuple(_headers(section)),
        labels=tuple(sorted(labels_in(section).items())),
        max_metrics=section.checked("max_metrics", whole(1, MOST_METRICS)) or DEFAULT_METRICS,
        fresh_first=section.checked("order", one_of(_ORDERS, "time or any")) or False,
        ca_file=file("ca_file"),
        client_cert=file("client_cert"),
        client_key=file("client_key"),
    )


def _headers(section: Section) -> Iterable[tuple[str, str]]:
    if "headers" not in section:
        return
    headers = Section(section.file, "headers", section.nodes["headers"], None)
    for name, place in headers.keys.items():
        if not name.replace("-", "").isalnum() or not name.isascii() or name.lower() in _OWN_HEADERS:
            raise Mistake(place, f"header {shown(name)}: expected a header's name that the agent does not make itself")
        value = headers.needed(name)
        if not value.isascii():
            raise headers.mistake(name, f"header {name}: expected printable ASCII characters")
        yield name, value


def _url(field: str, text: str) -> str:
    wanted = "https://host/path or http://host/path, without user, query or fragment"
    if any(c.isspace() or c in "@?#" for c in text):
        raise InvalidConfig(f"{field}: expected {wanted}")  # it may hold a password
    try:
        parts = urlsplit(text)
        fit = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise InvalidConfig(f"{field} is {shown(text)}: expected {wanted}")
    return text
