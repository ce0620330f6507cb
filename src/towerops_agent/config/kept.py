"""The kept configuration: sealed, as it holds SNMP communities and passwords; and its devices, for a command that names one.

Sealed: text.py's octets, by seal.py. A running agent has them sealed by sealing.py, a command does it here.
For a command: database file (read-only, as the agent may be running and hold its lock) -> unsealed -> Equipment.
I/O: SQLite. 10,000 devices take some seconds, so it is read only if a device's credentials or address are needed.
"""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import msgspec

from towerops_agent.buffer.reader import DatabaseReader, NotReadable
from towerops_agent.config import seal as cipher
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText, decode_config, encode_config
from towerops_agent.config.seal import OPEN_VERSION
from towerops_agent.errors import AgentError, InvalidConfig
from towerops_agent.model import Equipment, Secret


def seal(token: Secret, config: ConfigText) -> bytes:
    """`config`, sealed; never twice the same octets."""
    return cipher.seal(token.reveal(), encode_config(config))


def unseal(token: Secret, sealed: bytes) -> ConfigText:
    """The configuration. Raises InvalidConfig if it was sealed with another token or by a later version, or has been altered."""
    return opened(cipher.unseal(token.reveal(), sealed))


def opened(octets: bytes | bytearray) -> ConfigText:
    """The configuration of unsealed octets. Raises InvalidConfig."""
    try:
        return decode_config(octets)
    except msgspec.MsgspecError as error:
        raise InvalidConfig(f"the kept configuration is not what this version keeps: {error}") from None


def without_secrets(shown: ConfigText) -> bytes:
    """A configuration of site files, to be kept: not sealed, as its secrets have been taken out."""
    return OPEN_VERSION + encode_config(shown)


def open_kept(octets: bytes) -> ConfigText | None:
    """A kept configuration of site files, without its secrets; None if it is one of the API's, which is sealed.

    Raises InvalidConfig.
    """
    if not octets.startswith(OPEN_VERSION):
        return None
    return opened(octets[1:])


CONFIG_KEY = "config"
"""The key under which buffer.buffer keeps the sealed configuration; a test keeps the two equal."""


class NoKeptDevices(AgentError):
    """The kept configuration can't be read. The text says why, and what to do."""


def read_devices(database: Path, token: Callable[[], Secret], wanted: Callable[[Equipment], bool]) -> list[Equipment]:
    """The devices of the configuration kept in the file at `database` that are `wanted`, in its order.

    A device that the agent itself refuses, or that has SNMP switched off, is left out.
    Raises NoKeptDevices; and what `token` raises, which is called only if there is a configuration to unseal.
    """
    return devices_of(read_kept(database, token), wanted)


def read_kept(database: Path, token: Callable[[], Secret]) -> ConfigText:
    """The configuration kept in the file at `database`. Raises as read_devices does."""
    octets = _kept_octets(database)
    if octets.startswith(OPEN_VERSION):
        raise NoKeptDevices("the agent has its devices from site files, whose secrets it does not keep: give SITE_PATH")
    return unseal(token(), octets)


def read_open(database: Path) -> ConfigText:
    """The configuration of site files kept in the file at `database`, without its secrets. Raises NoKeptDevices."""
    opened = open_kept(_kept_octets(database))
    if opened is None:
        raise NoKeptDevices(f"the database {database} has a configuration of the API, not of site files")
    return opened


def read_names(database: Path, token: Callable[[], Secret]) -> ConfigText:
    """As read_kept; one of site files, without its secrets, will do too."""
    octets = _kept_octets(database)
    opened = open_kept(octets)
    return unseal(token(), octets) if opened is None else opened


def devices_of(config: ConfigText, wanted: Callable[[Equipment], bool]) -> list[Equipment]:
    """Its devices that are `wanted`, in its order, but for those that the agent does not poll."""
    return [equipment for _, equipment in read_config(config).equipment if wanted(equipment)]


def is_called(text: str) -> Callable[[Equipment], bool]:
    """Whether a device has this id, or, in any case, this name."""
    folded = text.casefold()
    return lambda equipment: equipment.id == text or equipment.name.casefold() == folded


def is_at(host: str, port: int | None) -> Callable[[Equipment], bool]:
    """Whether a device is at this address or DNS name, and at this port if one is given."""
    place = _place(host)
    return lambda equipment: _place(equipment.host) == place and port in (None, equipment.port)


def _place(host: str) -> object:
    try:
        return ip_address(host)
    except ValueError:
        return host.rstrip(".").casefold()


def _kept_octets(database: Path) -> bytes:
    try:
        with DatabaseReader(database) as reader:
            sealed = reader.meta(CONFIG_KEY)
    except NotReadable as error:
        raise NoKeptDevices(str(error)) from error
    if sealed is None:
        raise NoKeptDevices(f"the database {database} has no configuration yet: let the agent fetch one first")
    return sealed
