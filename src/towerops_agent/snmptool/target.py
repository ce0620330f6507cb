"""The device to ask: the operator's words -> Target.

Pure. Source: the words are HOST of `towerops-agent snmp`: 10.0.0.1, 10.0.0.1:1161, [::1]:161, a DNS name.
"""

import re
from dataclasses import dataclass

from towerops_agent.config.document.fields import host as checked_host
from towerops_agent.errors import InvalidConfig, SettingsError
from towerops_agent.model import Credentials, Equipment, Transport
from towerops_agent.text import address

_BRACKETED = re.compile(r"\[(?P<host>[^\[\]]+)\](:(?P<port>[0-9]{1,5}))?")
_WITH_PORT = re.compile(r"(?P<host>[^:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a device; `port` is None if it was not given."""

    host: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A device to ask, and how.

    `name`: the configured device's, else "". `doubt`: why the kept configuration could not be read, if so.
    """

    host: str
    port: int
    transport: Transport
    credentials: Credentials
    name: str = ""
    doubt: str = ""

    @property
    def address(self) -> str:
        """Its address, for people."""
        return address(self.host, self.port)


def parse_place(text: str) -> Place:
    """The address in `text`. Raises SettingsError if it is not an address."""
    match = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    host, port = (match["host"], match["port"]) if match else (text, None)
    try:
        host = checked_host("HOST", host)
    except InvalidConfig:
        raise SettingsError(f"HOST is {text[:80]!r}: expected 10.0.0.1, 10.0.0.1:1161, [::1]:161 or a DNS name") from None
    if port is not None and not 1 <= int(port) <= 65535:
        raise SettingsError(f"HOST is {text[:80]!r}: expected a port from 1 to 65535")
    return Place(host, None if port is None else int(port))


def target_at(place: Place, credentials: Credentials, transport: Transport | None, doubt: str = "") -> Target:
    """The device at `place`, by default at port 161 and over UDP."""
    return Target(place.host, place.port or 161, transport or Transport.UDP, credentials, doubt=doubt)


def target_of(equipment: Equipment) -> Target:
    """A configured device, with its own credentials."""
    return Target(equipment.host, equipment.port, equipment.transport, equipment.credentials, equipment.name)
