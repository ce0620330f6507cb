"""Who may read a page: a browser of this machine, by a name that is this machine's, and whoever has the password.

A page of another site could reach this one by a name of its own that it lets point here (DNS rebinding): Host shows that.
I/O: reads the password's file and this machine's name. Source: RFC 9110 §7.2 (Host), RFC 7617 (Basic), RFC 6761 §6.3 (localhost).
"""

import base64
import binascii
import hmac
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from towerops_agent.api.bearer import read_regular
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.text import is_ip_address, is_loopback

LEAST_PASSWORD = 12
"""The fewest characters of a password: whoever reaches the page may try a great many."""


def problem_of_host(headers: Mapping[str, str]) -> str:
    """What is wrong with the name by which the page is asked, "" for nothing: an address, localhost or this machine's name."""
    asked = headers.get("host", "")
    try:
        host = (urlsplit(f"//{asked}").hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if is_loopback(host) or host.endswith(".localhost") or is_ip_address(host) or host in _own_names():
        return ""
    return f"Host is {asked!r}: expected an address, localhost or this machine's name"


def read_password(path: Path) -> Secret:
    """The password in the file at `path`. Raises SettingsError, which never holds it."""
    try:
        text = read_regular(path).decode("utf-8-sig").strip()
    except OSError as error:
        raise SettingsError(f"the password file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"the password file {path} is not text: expected only the password") from None
    if len(text) < LEAST_PASSWORD or len(text.splitlines()) != 1:
        raise SettingsError(f"the password file {path}: expected one line of at least {LEAST_PASSWORD} characters")
    return Secret(text)


def is_admitted(password: Secret, authorization: str) -> bool:
    """Whether this Authorization header has the password. The name of the user is not looked at."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, password.reveal().encode())


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname().lower()
    return name, name.partition(".")[0], f"{name.partition('.')[0]}.local"
