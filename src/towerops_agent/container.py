"""The command `towerops-agent` as the image has it: as root it takes /data and gives root up, then it is the command as anywhere.

Docker makes the directory of `./data:/data` as root's, and starts an image that names no user as root. So `run` makes the volume
the agent's; each command then becomes user 10001, for good and without a capability. As any other user (`--user`, Kubernetes'
runAsUser) nothing of this happens. The command's own imports come after it, in a new program: nothing of it stays in memory.
It imports next to nothing, as `health` runs once a minute: no pathlib, no typing, no collections.abc. Source: capabilities(7),
prctl(2), capset(2).
"""

import os
import stat
import sys

from towerops_agent.telemetry.live_client import DATABASE_VARIABLE, DEFAULT_DATABASE

UID = 10001
VOLUME = "/data"
EXIT_FAILURE = 1

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CAPABILITIES = 64


def main() -> None:
    """Run the command line, as user 10001 if it was started as root."""
    if os.geteuid() == 0:
        words = sys.argv[1:]
        if words == ["health"]:  # asked each minute, and ends at once: without a second start of Python
            _become_user()
        else:
            refusal = take(VOLUME) if _is_run(words) else None
            _give_up_root()
            if refusal and not os.access(VOLUME, os.W_OK | os.X_OK):
                _say(
                    f"{VOLUME} belongs to another user, and its owner can't be changed ({refusal.strerror}): nothing can be kept "
                    f"there. On the host, chown {UID}:{UID} the directory that is mounted"
                )
            _start_again(words)
    from towerops_agent.__main__ import main as command  # noqa: PLC0415 -- not before root is given up

    command()


def take(volume: str) -> OSError | None:
    """Make `volume` and the database's files in it the agent's; the error if that failed.

    Other files stay as they are, and so does what is linked from elsewhere: neither is the agent's to take. A path that ends in
    a slash names no database.
    """
    path = os.environ.get(DATABASE_VARIABLE, "").strip() or DEFAULT_DATABASE
    database = path.rpartition("/")[2]
    try:
        folder = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if os.fstat(folder).st_uid != UID:
                os.fchown(folder, UID, UID)
            for name in os.listdir(folder):  # noqa: PTH208 -- of the directory that is open, whatever is at its path by now
                seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                sole = stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1
                if database and name.startswith(database) and sole and seen.st_uid != UID:
                    os.chown(name, UID, UID, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)
    except OSError as error:
        return error
    return None


def _is_run(words: list[str]) -> bool:
    """Whether the command is `run`: the bare command with or without options is too."""
    return not words or words[0] == "run" or words[0].startswith("-")


def _become_user() -> None:
    """Become user and group 10001, which holds no capability. Exits if that is not allowed."""
    try:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
    except OSError as error:
        _say(
            f"started as root, and not allowed to become user {UID} ({error.strerror}): start it with --user {UID}:{UID}, "
            "or with --cap-add CHOWN --cap-add SETUID --cap-add SETGID"
        )
        sys.exit(EXIT_FAILURE)


def _give_up_root() -> None:
    """Become user 10001 for good: no capability can be gained either."""
    import ctypes  # noqa: PLC0415 -- only root needs it

    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_MOST_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused without SETPCAP: then no_new_privs still bars the way
    _become_user()
    none_at_all = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, of two words each
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, none_at_all) or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        _say(f"root can't be given up for good ({os.strerror(ctypes.get_errno())}): start it with --user {UID}:{UID}")
        sys.exit(EXIT_FAILURE)


def _start_again(words: list[str]) -> None:
    os.execv(sys.executable, [sys.executable, "-ISB", sys.argv[0], *words])  # noqa: S606 -- this very command, without a shell


def _say(text: str) -> None:
    sys.stderr.write(f"towerops-agent: {text}\n")
