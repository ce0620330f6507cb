"""The devices of the kept configuration, for a command that names one.

Database file (read-only: the agent may be running and hold its lock) -> unsealed with the agent's token -> Equipment.
I/O: SQLite. 10,000 devices take some seconds, so it is read only if a device's credentials or address are needed.
"""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from towerops_agent.buffer.reader import DatabaseReader, NotReadable
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigText
from towerops_agent.config.seal import unseal
from towerops_agent.errors import AgentError
from towerops_agent.model import Equipment, Secret

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
    sealed = _sealed_config(database)
    return unseal(token(), sealed)


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


def _sealed_config(database: Path) -> bytes:
    try:
        with DatabaseReader(database) as reader:
            sealed = reader.meta(CONFIG_KEY)
    except NotReadable as error:
        raise NoKeptDevices(str(error)) from error
    if sealed is None:
        raise NoKeptDevices(f"the database {database} has no configuration yet: let the agent fetch one first")
    return sealed
