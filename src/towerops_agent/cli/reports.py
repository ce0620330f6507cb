"""What an agent reports of itself, for the commands: what it answers while it runs, or what it left in its database.

Imports are lazy, as in main.py. I/O: a Unix socket, SQLite.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from towerops_agent.cli.ending import complain
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.telemetry.views.snapshot import DeviceReport, Snapshot

_NOT_UNDERSTOOD = (
    "the answer of the running agent can't be read: it ended meanwhile, or is of another version; "
    "ask again, and after an upgrade restart it"
)


def read_snapshot(database: Path) -> "tuple[Snapshot | None, bool]":
    """What the running agent says of itself now, or what it left in `database`, and whether it runs. Raises AgentError.

    None before it ever wrote anything.
    """
    from towerops_agent.telemetry.views.snapshot import decode_snapshot

    answer = ask_agent(database, b"status")
    if answer is None:
        return left_snapshot(database), False
    snapshot = decode_snapshot(answer)
    if snapshot is None:
        raise AgentError(_NOT_UNDERSTOOD)
    return snapshot, True


def ask_agent(database: Path, question: bytes) -> bytes | None:
    """The running agent's answer; None if none runs on `database`. Raises AgentError if it does not answer in time."""
    from towerops_agent.telemetry import live_client

    try:
        return live_client.ask(str(database), question)
    except TimeoutError:
        raise AgentError("the agent runs, and does not answer: see its log, and the load of this machine") from None


def left_snapshot(database: Path) -> "Snapshot | None":
    """What the agent last wrote of itself into `database`; None before it ever did. Raises AgentError."""
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry.views.snapshot import KEY, decode_snapshot

    with DatabaseReader(database) as reader:
        octets = reader.meta(KEY)
    return None if octets is None else decode_snapshot(octets)


def devices_to_show(database: Path, note: Callable[[str], None] = complain) -> "list[DeviceReport]":
    """All devices; if no agent runs, `note` is called with a line that says that their states are old. Raises AgentError."""
    found, runs = _devices(database)
    if not runs:
        note("the agent does not run: this is what it knew of its devices when it was stopped")
    return found


def read_devices(database: Path) -> "list[DeviceReport]":
    """All devices, as the running agent reports them, or as a stopped one left them. Raises AgentError."""
    return _devices(database)[0]


def _devices(database: Path) -> "tuple[list[DeviceReport], bool]":
    """All devices, and whether an agent runs that said so."""
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry.views.snapshot import DEVICES_KEY, decode_devices

    octets = answer = ask_agent(database, b"devices")
    if octets is None:
        with DatabaseReader(database) as reader:
            octets = reader.meta(DEVICES_KEY)
    found = None if octets is None else decode_devices(octets)
    if found is None and answer is not None:
        raise AgentError(_NOT_UNDERSTOOD)
    if found is None:
        raise AgentError(f"no agent runs on the database {database}, and none left a list of its devices there: start it")
    return found, answer is not None
