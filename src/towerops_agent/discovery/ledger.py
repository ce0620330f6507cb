"""What was tried at which address, remembered between runs: a file of the operator's, without any secret.

I/O: reads and writes one file, with a lock beside it, so that two runs at a time lose nothing of each other.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from towerops_agent.discovery.course.tries import Tried, Tries
from towerops_agent.errors import AgentError

NAME: Final = "discovery.json"


class LedgerUnusable(AgentError):
    """What was tried can't be remembered. The text says why."""


def ledger_path(environ: Mapping[str, str]) -> Path:
    """Where it is: in the user's state directory (XDG_STATE_HOME). Raises LedgerUnusable."""
    state = environ.get("XDG_STATE_HOME", "")
    if state:
        return Path(state) / "towerops-agent" / NAME
    home = environ.get("HOME", "")
    if not home:
        raise LedgerUnusable("HOME is not set: expected it, or XDG_STATE_HOME, to remember what was tried at which address")
    return Path(home) / ".local" / "state" / "towerops-agent" / NAME


def read_ledger(path: Path) -> Tries:
    """What is remembered; nothing if there is no file. Raises LedgerUnusable."""
    return Tries(_read(path))


def write_ledger(path: Path, tries: Tries, now: float) -> None:
    """Remember `tries`, beside what another run has noted meanwhile. Raises LedgerUnusable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            octets = msgspec.json.encode(tries.merged(_read(path), now))
            new = path.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(octets)
            new.replace(path)
    except OSError as error:
        raise LedgerUnusable(f"{path} can't be written: {error.strerror}") from None


def _read(path: Path) -> dict[str, Tried]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Tried])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LedgerUnusable(f"{path} can't be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise LedgerUnusable(
            f"{path} is not what `towerops-agent discover` writes: remove it, and what was tried is forgotten"
        ) from None
