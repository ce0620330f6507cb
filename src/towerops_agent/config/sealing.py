"""The kept configuration, sealed and unsealed for a running agent by a process that ends at once.

upstream.py -> seal.py's process -> upstream.py. The cipher would hold 9 MB for good, a sixth of a small agent's memory, and is
used at the start and after a change of the configuration only. If the agent has loaded it anyway (SNMPv3 privacy, a group), or
if no process can do it, the agent does it itself, in a thread. What is sealed goes through the pipes and into the database in
pieces, so that no copy of it is in memory: of 10,000 devices it is 17 MB. I/O: a process and its pipes. Times in seconds.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, Protocol

from towerops_agent.config import seal as cipher
from towerops_agent.config.document.text import ConfigText, encoded
from towerops_agent.config.kept import opened
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Secret

WITHIN_S: Final = 60.0
"""How long the process may take for its next octets: a second or two on the slowest boxes."""

COMMAND: Final = (sys.executable, "-P", "-s", "-m", cipher.__name__)
"""Nothing is imported from the working directory (-P), nor from the user's own directory (-s) unless the agent does it too."""

_PIECE_OCTETS: Final = 1 << 16

_ENVIRONMENT: Final = ("PYTHON", "LD_", "LC_", "LANG", "PATH", "OPENSSL", "SSL_")
"""How the names of variables begin that an interpreter or the cipher may need; others may hold a token or a password."""


class OctetKeeper(Protocol):
    """What keeps octets as they come. Both raise BufferFailure."""

    async def add(self, octets: bytes) -> None:
        """The next octets."""

    async def done(self) -> None:
        """That was all; not called if the octets are of no use."""


async def seal(token: Secret, config: ConfigText, keeping: Callable[[], OctetKeeper]) -> None:
    """Have `config`, sealed with `token`, kept by what `keeping` returns; it is asked again if the process fails."""
    if not cipher.is_loaded():
        kept = keeping()
        if await _apart(cipher.SEAL, token, encoded(config), kept.add):
            await kept.done()
            return
    kept = keeping()
    sealed = cipher.sealed(token.reveal(), encoded(config))
    while (piece := await asyncio.to_thread(next, sealed, None)) is not None:
        await kept.add(piece)
    await kept.done()


async def unseal(token: Secret, sealed: bytes) -> ConfigText:
    """The configuration. Raises InvalidConfig, as kept.unseal does."""
    octets = bytearray()

    async def take(piece: bytes) -> None:
        octets.extend(piece)

    if not cipher.is_loaded() and await _apart(cipher.UNSEAL, token, _pieces(sealed), take):
        return opened(octets)
    return opened(await asyncio.to_thread(cipher.unseal, token.reveal(), sealed))


def _pieces(octets: bytes) -> Iterator[bytes]:
    return (octets[at : at + _PIECE_OCTETS] for at in range(0, len(octets), _PIECE_OCTETS))


async def _apart(what: bytes, token: Secret, octets: Iterable[bytes], take: Callable[[bytes], Awaitable[None]]) -> bool:
    """Whether a process did it; `take` gets its answer as it comes, which is of no use if not. Raises InvalidConfig."""
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
        return False
    writing = asyncio.create_task(_write(process, cipher.request_head(what, token.reveal()), octets))
    reason = bytearray()
    try:
        verdict = await _read(process, 1)
        while piece := await _read(process, _PIECE_OCTETS):
            if verdict == cipher.DONE:
                await take(piece)
            else:
                reason += piece
        async with asyncio.timeout(WITHIN_S):
            await process.wait()
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
        await _end(process)
        writing.cancel()
        await asyncio.wait([writing])
    if process.returncode or verdict not in (cipher.DONE, cipher.INVALID):
        return False
    if verdict == cipher.INVALID:
        raise InvalidConfig(reason.decode())
    return True


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


async def _write(process: Process, head: bytes, octets: Iterable[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 -- it was asked for
    try:
        process.stdin.write(head)
        for piece in octets:
            process.stdin.write(piece)
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has ended, and its exit status says the rest
    process.stdin.close()


async def _end(process: Process) -> None:
    """Wait for its end, which asyncio does not see before the end of what it has written: what nobody takes is read, too."""
    assert process.stdout is not None  # noqa: S101 -- it was asked for
    while await process.stdout.read(_PIECE_OCTETS):
        pass
    await process.wait()


async def _read(process: Process, octets: int) -> bytes:
    """At most so many octets of its answer; none: that was all. Raises TimeoutError."""
    assert process.stdout is not None  # noqa: S101 -- it was asked for
    async with asyncio.timeout(WITHIN_S):
        return await process.stdout.read(octets)
