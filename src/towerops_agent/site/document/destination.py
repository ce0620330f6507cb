"""A destination in a site file -> Destination: where values go, as whom, and with which labels.

Pure: secrets are read by what is passed in.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from towerops_agent.config.document.fields import shown
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret
from towerops_agent.site.document.credentials import Secrets, secret_in
from towerops_agent.site.document.device import labels_in
from towerops_agent.site.document.nodes import Mistake, Problem, Section, one_of, whole
from towerops_agent.text import is_loopback

REMOTE_WRITE: Final = "remote_write"
INFLUXDB: Final = "influxdb"
OTLP: Final = "otlp"

_URLS: Final = {
    REMOTE_WRITE: "the receiver's URL, https://…/api/v1/write",
    INFLUXDB: "the server's URL, https://host:8086",
    OTLP: "the receiver's URL, https://host:4318/v1/metrics",
}
"""The kinds; each is the key of its URL."""

_SECRETS: Final = ("bearer_token", "token", "password")

KEYS: Final = (
    *(*_URLS, "database", "retention_policy", "org", "bucket"),
    *("name", "labels", "headers", "username", "max_metrics", "order", "ca_file", "client_cert", "client_key"),
    *(f"{name}{how}" for name in _SECRETS for how in ("", "_file", "_env")),
)

_TOKENS: Final = ("token", "token_file", "token_env")
_OF_INFLUXDB: Final = ("database", "retention_policy", "org", "bucket", *_TOKENS)

MOST_METRICS: Final = 10_000
DEFAULT_METRICS: Final = 2_000
MOST_NAME: Final = 64

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

_BY: Final = re.compile("(?P<name>.+)_(?P<how>file|env)")
"""A header whose value is a secret."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver of values. `max_metrics`: of one request. `labels`: of each series, unless a device has its own.

    `kind`: a key of _URLS. `url`: what is asked, with its query. `token`: InfluxDB's own; `secret_headers` beside `headers`.
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
    kind: str = REMOTE_WRITE
    token: Secret | None = None
    secret_headers: tuple[tuple[str, Secret], ...] = ()


def read_destination(section: Section, secrets: Secrets, warnings: list[Problem]) -> Destination:
    """The destination; names of files are relative to the site file's folder. Raises Mistake."""
    kind, base = _kind(section)
    given = {name: secret_in(section, name, secrets, warnings) for name in _SECRETS}
    username = section.checked("username", _username)
    if (username is None) != (given["password"] is None):
        raise Mistake(section.place, "username and password: expected both, or neither")
    headers, secret_headers = _headers(section, secrets)
    ways = [name for name in _SECRETS if given[name] is not None]
    ways += [name for name, _ in secret_headers if name.lower() == "authorization"]
    if len(ways) > 1:
        raise Mistake(section.place, f"{' and '.join(ways)} are both given: expected one of them")
    parts = urlsplit(base)
    if (ways or secret_headers) and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise section.mistake(kind, f"{kind} is http:// and there is a secret to send: expected https://")
    for name in ("bearer_token", "token"):
        text = given[name]
        if text is not None and not (text.isascii() and text.isprintable() and " " not in text):
            raise Mistake(section.place, f"{name} is not one: expected printable ASCII characters without spaces")
    for one, other in (("client_cert", "client_key"), ("client_key", "client_cert")):
        if one in section and other not in section:
            raise section.mistake(one, f"{one} is given without {other}: expected both, or neither")

    def file(key: str) -> str | None:
        name = section.text(key)
        return None if name is None else name if name.startswith("/") else f"{section.file.rpartition('/')[0] or '.'}/{name}"

    def secret(name: str) -> Secret | None:
        text = given[name]
        return None if text is None else Secret(text)

    password = secret("password")
    fresh_first = section.checked("order", one_of(_ORDERS, "time or any"))
    return Destination(
        name=section.checked("name", _name) or parts.hostname or "",
        url=_full_url(section, kind, base),
        bearer=secret("bearer_token"),
        user=None if username is None or password is None else (username, password),
        headers=headers,
        labels=tuple(sorted(labels_in(section).items())),
        max_metrics=section.checked("max_metrics", whole(1, MOST_METRICS)) or DEFAULT_METRICS,
        fresh_first=kind != REMOTE_WRITE if fresh_first is None else fresh_first,
        ca_file=file("ca_file"),
        client_cert=file("client_cert"),
        client_key=file("client_key"),
        kind=kind,
        token=secret("token"),
        secret_headers=secret_headers,
    )


def _kind(section: Section) -> tuple[str, str]:
    """The kind of the destination, and its URL as it is given."""
    kinds = [kind for kind in _URLS if kind in section]
    if len(kinds) > 1:
        raise section.mistake(kinds[1], f"{kinds[0]} and {kinds[1]} are both given: expected a destination each")
    if not kinds:
        wanted = ", or ".join(f"{kind}: {url}" for kind, url in _URLS.items())
        raise Mistake(section.place, f"there is no URL: expected {wanted}")
    (kind,) = kinds
    for key in _OF_INFLUXDB if kind != INFLUXDB else ():
        if key in section or (key in section.keys and key in _TOKENS):
            raise section.mistake(key, f"{key} is not a key of a destination of {kind}: expected it beside influxdb")
    return kind, section.checked(kind, receiver_url) or ""


def _full_url(section: Section, kind: str, base: str) -> str:
    """What is asked."""
    base = base.rstrip("/") if kind != REMOTE_WRITE else base
    if kind == OTLP and not urlsplit(base).path:
        return f"{base}/v1/metrics"
    if kind != INFLUXDB:
        return base
    if ("org" in section or "bucket" in section) and "database" not in section:
        query = {"org": section.needed("org"), "bucket": section.needed("bucket"), "precision": "ns"}
        return f"{base}/api/v2/write?{urlencode(query)}"
    if "org" in section or "bucket" in section:
        raise section.mistake("database", "database is for InfluxDB 1, org and bucket are for InfluxDB 2: expected one of them")
    if "database" not in section:
        raise Mistake(section.place, "expected database, of InfluxDB 1, or org and bucket, of InfluxDB 2")
    query = {"db": section.needed("database"), "precision": "ns"}
    if policy := section.text("retention_policy"):
        query["rp"] = policy
    return f"{base}/write?{urlencode(query)}"


def _headers(section: Section, secrets: Secrets) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, Secret], ...]]:
    """The headers as they are given, and those whose value is a secret: `X-API-Key_file`, `X-API-Key_env`."""
    if "headers" not in section:
        return (), ()
    headers = Section(section.file, "headers", section.nodes["headers"], None)
    plain: list[tuple[str, str]] = []
    hidden: list[tuple[str, Secret]] = []
    for key, place in headers.keys.items():
        headers.must_not_be_empty(key)
        by = _BY.fullmatch(key)
        name = key if by is None else by["name"]
        if by is None and name.lower() == "authorization":
            raise Mistake(place, f"header {name} is a secret: expected {name}_file or {name}_env")
        own = _OWN_HEADERS if by is None else _OWN_HEADERS - {"authorization"}
        if not name.replace("-", "").isalnum() or not name.isascii() or name.lower() in own:
            raise Mistake(place, f"header {shown(key)}: expected a header's name that the agent does not make itself")
        if by is None:
            value = headers.needed(key)
        else:
            value = headers.checked(key, lambda _, text, how=by["how"]: secrets(how, text)) or ""  # type: ignore[misc]
        value = value.strip()  # blanks around it are not a part of it (RFC 9110 §5.5), and can't be sent
        if not value.isascii() or not value.isprintable():
            raise headers.mistake(key, f"header {key}: expected printable ASCII characters")
        if by is None:
            plain.append((name, value))
        else:
            hidden.append((name, Secret(value)))
    return tuple(plain), tuple(hidden)


def _name(field: str, text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > MOST_NAME:
        raise InvalidConfig(f"{field} is {shown(text)}: expected a name of 1 to {MOST_NAME} printable characters")
    return text


def _username(field: str, text: str) -> str:
    """Of basic authentication, in which all behind a colon is the password (RFC 7617 §2)."""
    if ":" in text:
        raise InvalidConfig(f"{field} has a colon in it, behind which a receiver reads the password: expected one without")
    return text


def receiver_url(field: str, text: str) -> str:
    """`text`, if it can be a receiver's URL. Raises InvalidConfig."""
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
