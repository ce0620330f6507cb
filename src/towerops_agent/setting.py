"""One setting: its names and its help, and what its text must be.

SETTINGS (settings.py) has all of them. A text that does not fit raises Unfit, which names the value wanted.
Pure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from towerops_agent.model import Secret

LogFormat = Literal["logfmt", "json"]

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("logfmt", "json")

_OTHER_LEVELS: Final = {"warn": "warning", "err": "error"}
"""The words that other programs have for our levels."""

_SWITCHES: Final = {
    **dict.fromkeys(("1", "true", "yes", "on", "y"), True),
    **dict.fromkeys(("0", "false", "no", "off", "n"), False),
}

_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.){0,9}[A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, with its names in the environment, on the command line and in the docs.

    `name`: Settings' attribute, and the key in `flags`. `default`: its text; "" if there is none. `choices`, `bounds` (both
    included) and `is_flag` (an option without a value) are for the command line's help and completion: `parse` checks the value.
    """

    name: str
    variable: str
    flag: str
    default: str = ""
    help: str
    secret: bool = False
    choices: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    is_flag: bool = False
    parse: Callable[[str], object]


class Unfit(Exception):
    """A text is not a valid value. The exception's text names the value wanted."""


def as_url(text: str) -> str:
    """`text` without its trailing slashes. Whether plain http is allowed is decided later: it depends on another setting."""
    if any(c.isspace() or not c.isprintable() for c in text):  # urlsplit would drop some of them silently
        raise Unfit("https://… without spaces or control characters")
    if any(c in text for c in "@?#"):
        raise Unfit("https://… without user, password, query or fragment")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit("https://host, https://host:port or https://[IPv6 address]:port, with a port from 1 to 65535") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Unfit("https://…; http:// is accepted only for localhost")
    if port == 0:
        raise Unfit("a port from 1 to 65535")
    return text.rstrip("/")


def as_token(text: str) -> Secret:
    """The token; it is sent in a header."""
    if not all("!" <= c <= "~" for c in text):
        raise Unfit("printable ASCII characters without spaces, as an HTTP header allows")
    if text[-1] in "'\"":
        raise Unfit("the token without quotes around it")
    return Secret(text)


def as_whole(unit: str, bounds: tuple[int, int]) -> Callable[[str], int]:
    """A parser of whole numbers within `bounds`, both included."""
    least, most = bounds

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
            raise Unfit(f"a whole number of {unit} from {least} to {most}")
        return int(text)

    return parse


def as_level(text: str) -> str:
    """The level of the log, by our name or by that of other programs."""
    level = _OTHER_LEVELS.get(text.lower(), text.lower())
    if level not in LOG_LEVELS:
        raise Unfit("debug, info, warning or error")
    return level


def as_format(text: str) -> LogFormat:
    """The format of the log."""
    if text.lower() not in LOG_FORMATS:
        raise Unfit("logfmt or json")
    return cast(LogFormat, text.lower())


def as_listen(text: str) -> tuple[str, int]:
    """Host and port; a port of 0 is any free one."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    fit = _is_ipv6(name) if bracketed else _HOST.fullmatch(name)
    if not (fit and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise Unfit("host:port or [IPv6 address]:port, as in 127.0.0.1:9464, with a port from 0 (any free one) to 65535")
    return name, int(port)


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def as_servers(text: str) -> tuple[str, ...]:
    """The NATS servers, the first one first."""
    servers = tuple(filter(None, (part.strip().rstrip("/") for part in text.split(","))))
    wanted = Unfit(
        "nats://host:port or tls://host:port, several with commas between, this machine's own server first; "
        "a user and its password belong into GROUP_CREDENTIALS_FILE"
    )
    for server in servers:
        try:
            parts = urlsplit(server)
            port = parts.port
        except ValueError:
            raise wanted from None
        if parts.scheme not in ("nats", "tls") or not parts.hostname or port == 0 or "@" in server or parts.path or parts.query:
            raise wanted
        if not all("!" <= c <= "~" for c in server):
            raise wanted
    if not servers:
        raise wanted
    return servers


def as_group(text: str) -> str:
    """The name of a group."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise Unfit("at most 64 letters, digits, hyphens and underscores, the same for all agents of the group")
    return text


def as_member(text: str) -> str:
    """The name of a member."""
    if not (text.isprintable() and len(text) <= 100 and not any(c.isspace() for c in text)):
        raise Unfit("at most 100 characters without spaces, another name for each agent of the group")
    return text


def as_weight(text: str) -> float:
    """The weight of a member's share."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text) or not 0.1 <= float(text) <= 100:
        raise Unfit("a number from 0.1 to 100, as in 1 or 2.5")
    return float(text)


def as_switch(text: str) -> bool:
    """Yes or no."""
    value = _SWITCHES.get(text.lower())
    if value is None:
        raise Unfit("yes or no (or 1 or 0, true or false, on or off)")
    return value
