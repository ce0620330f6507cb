"""The place at which a running agent is asked. Imports next to nothing: `health` runs twice a minute."""

import os

DATABASE_VARIABLE = "DATABASE_PATH"
DEFAULT_DATABASE = "/data/towerops-agent.db"


def live_address(database: str) -> str:
    """The abstract Unix socket of the agent that works on the database at this path (see unix(7)).

    By the identity of the folder, so that containers which share the host's network do not share it; it needs no place on a disk
    that may be full or read-only, and is gone with the process.
    """
    folder, name = os.path.split(os.path.abspath(database))  # noqa: PTH100 -- pathlib takes longer to import than all else here
    try:
        found = os.stat(folder)  # noqa: PTH116
        place = f"{found.st_dev:x}.{found.st_ino:x}"
    except OSError:
        place = folder
    return f"\0towerops-agent/{place}/{name}"[:100]
