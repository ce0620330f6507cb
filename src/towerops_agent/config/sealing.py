"""The kept configuration, sealed and unsealed for a running agent by a process that ends at once.

upstream.py -> seal.py's process -> upstream.py. The cipher would hold 9 MB for good, a sixth of a small agent's memory, and is
used at the start and after a change of the configuration only. If the agent has loaded it anyway (SNMPv3 privacy, a group), or
if no process can do it, the agent does it itself, in a thread. The octets go through the pipes in pieces, so that few copies are
in memory at once: of 10,000 devices they are 17 MB. I/O: a process and its pipes. Times in seconds.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from typing import Final

from towerops_agent.config import seal as cipher
from towerops_agent.config.document.text import ConfigText, encode_config
from towerops_agent.config.kept import opened
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

WITHIN_S: Final = 60.0
"""How long the process may take: a second or two on the slowest boxes."""

COMMAND: Final = (sys.executable, "-P", "-s", "-m", cipher.__name__)
"""Nothing is imported from the working directory (-P), nor from the user's own directory (-s) unless the agent does it too."""

_PIECE_OCTETS: Final = 1 << 16

_ENVIRONMENT: Final = ("PYTHON", "LD_", "LC_", "LANG", "PATH", "OPENSSL", "SSL_")
"""How the names of variables begin that an interpreter or the cipher may need; others may hold a token or a password."""


async def seal(token: Secret, config: ConfigText) -> bytes | bytearray:
    """`config`, sealed with `token`."""
    sealed = await _apart(cipher.SEAL, token, lambda: encode_config(config))
    return sealed if sealed is not None else await asyncio.to_thread(cipher.seal, token.reveal(), encode_config(config))


async def unseal(token: Secret, sealed: bytes) -> ConfigText:
    """The configuration. Raises InvalidConfig, as kept.unseal does."""
    octets = await _apart(cipher.UNSEAL, token, lambda: sealed)
    return opened(octets if octets is not None else await asyncio.to_thread(cipher.unseal, token.reveal(), sealed))


async def _apart(what: bytes, token: Secret, octets: Callable[[], bytes]) -> bytearray | None:
    """The answer of a process; None if it is better done here, or no process did it. Raises InvalidConfig."""
    if cipher.is_loaded():
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
            env=process_environment(),
        )
    except OSError:  # too many processes, too little memory, no file of the interpreter
        return None
    try:
        async with asyncio.timeout(WITHIN_S):
            await _write(process, cipher.request_head(what, token.reveal()), octets())
            answer = await _read(process)
            await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not answer:
        return None
    is_invalid = answer.startswith(cipher.INVALID)
    del answer[:1]
    if is_invalid:
        raise InvalidConfig(answer.decode())
    return answer


def process_environment() -> dict[str, str]:
    """The variables of the process, which imports from where this one does: the Debian package's command has set its path itself.

    But not from the working directory, where `python -m` looks first; and if this interpreter ignores Python's variables (-I), it
    has no others of them.
    """
    found = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    if sys.flags.ignore_environment:
        found = {name: value for name, value in found.items() if not name.startswith("PYTHON")}
    here = os.getcwd()  # noqa: PTH109 -- as `python -m` has it in the path
    path = [place for place in sys.path if os.path.isabs(place) and os.pathsep not in place and place != here]  # noqa: PTH117
    return found | {"PYTHONPATH": os.pathsep.join(path)}


async def _write(process: Process, head: bytes, octets: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 -- it was asked for
    try:
        process.stdin.write(head)
        for at in range(0, len(octets), _PIECE_OCTETS):
            process.stdin.write(octets[at : at + _PIECE_OCTETS])
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has ended, and its exit status says the rest
    process.stdin.close()


async def _read(process: Process) -> bytearray:
    assert process.stdout is not None  # noqa: S101 -- it was asked for
    answer = bytearray()
    while piece := await process.stdout.read(_PIECE_OCTETS):
        answer += piece
    return answer
