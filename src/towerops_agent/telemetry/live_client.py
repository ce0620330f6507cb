"""Asks a running agent: the other side of live.py. Imports next to nothing: `health` does all its work with it, once a minute.

Exit status of `health`: 0 the agent works, with remarks if there are any · 1 it does not, with the reason on standard output,
where Docker keeps it. I/O: a Unix socket.
"""

import os
import sys
from _socket import AF_UNIX, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket  # without the 10 ms of enum, selectors and collections

from towerops_agent.errors import AgentError

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


ANSWER_WITHIN_S = 8.0
"""Shorter than the 10 s that Docker and Kubernetes give: what is said after that nobody hears."""


NO_ANSWER = b"can't answer: "
"""How the agent's word begins that it can't answer; behind it is the reason."""


class CannotAnswer(AgentError):
    """The agent runs, and can't answer this question."""


class ForeignAnswer(AgentError):
    """A process of another user has the agent's address: an address in the abstract namespace is whoever's takes it first."""


def ask(database: str, question: bytes, within_s: float = ANSWER_WITHIN_S) -> bytes | None:
    """The running agent's answer; None if no agent works on this database, or it does not answer this user.

    Raises TimeoutError if there is one, and it does not answer in time; CannotAnswer if it says so; ForeignAnswer if what is
    there can't be it.
    """
    sock = socket(AF_UNIX, SOCK_STREAM)
    sock.settimeout(within_s)
    try:
        sock.connect(live_address(database))
        _check_owner(sock, database)
        sock.sendall(question + b"\n")
        pieces = []
        while piece := sock.recv(1 << 16):
            pieces.append(piece)
    except TimeoutError:
        raise
    except OSError:
        return None
    finally:
        sock.close()
    answer = b"".join(pieces)
    if answer.startswith(NO_ANSWER):
        raise CannotAnswer(f"the agent runs, and {answer.decode(errors='replace')}")
    return answer or None


def _check_owner(sock: socket, database: str) -> None:
    """Raise ForeignAnswer unless the other side is root's, of this process's user, or of the user whose the database is."""
    credentials = sock.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)  # pid, uid, gid: see socket(7)
    pid, user = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4))
    if user not in (0, os.geteuid(), _owner(database)):
        raise ForeignAnswer(
            f"process {pid} of user {user} answers in the agent's place, and is not believed: the database {database} is not "
            "that user's. If it is the agent, correct the file's owner, or ask as that user; else end it, and restart the agent"
        )


def _owner(database: str) -> int | None:
    """Whose the database is; if there is none, whose folder it belongs in."""
    for path in (database, os.path.dirname(os.path.abspath(database))):  # noqa: PTH100, PTH120
        try:
            return os.stat(path).st_uid  # noqa: PTH116
        except OSError:
            pass
    return None


def health(database: str) -> tuple[int, bytes] | None:
    """The exit status and the text that say how the running agent is; None if there is none to ask."""
    try:
        answer = ask(database, b"health", ANSWER_WITHIN_S)
    except TimeoutError:
        return 1, f"the agent runs, and has not answered for {ANSWER_WITHIN_S:g} s\n".encode()
    except (ForeignAnswer, CannotAnswer) as error:
        return 1, f"{error}\n".encode(errors="backslashreplace")
    if answer is None:
        return None
    status, _, text = answer.partition(b"\n")
    return int(status), text


def end_with_health() -> None:
    """End the process with `health` of the database that the environment names, as the command without options has it.

    Returns if no agent is there to ask. The process ends without Python's own end, a tenth of the CPU of it all: nothing is
    buffered, and no file is open.
    """
    answer = health(os.environ.get(DATABASE_VARIABLE, "").strip() or DEFAULT_DATABASE)
    if answer is not None:
        status, text = answer
        try:  # noqa: SIM105 -- contextlib takes longer to import than all else here
            os.write(1, text)
        except OSError:  # nobody can read it; the status counts
            pass
        os._exit(status)
