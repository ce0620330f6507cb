"""The settings of a group -> this agent as a member of it. Imported only if the agent is to be one: nats-py may be absent.

I/O: reads the file of the engine's user and password, and certificates.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.tls import tls_context
from towerops_agent.errors import SettingsError
from towerops_agent.group.bus import Bus
from towerops_agent.group.course.wire import Seat
from towerops_agent.group.seal import Seal
from towerops_agent.model import Secret
from towerops_agent.settings import Settings


def seat_of(settings: Settings, hostname: str) -> Seat:
    """Where in its group the agent is to be."""
    return Seat(settings.group_name, settings.group_member or hostname, settings.group_weight)


def make_seal(settings: Settings, token: TokenSource) -> Seal:
    """Sealed with the agent's token; what was sealed with the one before is still opened."""
    return Seal(settings.group_name, lambda: [one for one in (token.token, token.previous) if one is not None])


def make_bus(
    settings: Settings,
    subjects: list[str],
    hear: Callable[[str, bytes], None],
    changed: Callable[[], None],
    on_secret: Callable[[Secret], None],
) -> Bus:
    """The engine, with its user and password read again for each connection; `on_secret` is called with the password."""

    def login() -> tuple[str, str] | None:
        file = settings.group_credentials_file
        return None if file is None else read_login(file, on_secret)

    def tls() -> ssl.SSLContext:
        return tls_context(settings.ca_file, settings.client_cert, settings.client_key)

    return Bus(
        settings.group_nats_urls,
        subjects,
        hear,
        name=f"towerops-agent {settings.group_member}".rstrip(),
        login=login,
        tls=tls,
        changed=changed,
    )


def read_login(file: Path, on_secret: Callable[[Secret], None]) -> tuple[str, str]:
    """User and password in this file. Raises SettingsError if there are none."""
    try:
        with file.open(encoding="utf-8") as lines:
            text = lines.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"GROUP_CREDENTIALS_FILE {file} can't be read: {reason}") from None
    user, colon, password = text.partition(":")
    if not (user and colon and password) or "\n" in text:
        raise SettingsError(f"GROUP_CREDENTIALS_FILE {file} holds something else: expected one line, user:password")
    on_secret(Secret(password))
    return user, password
