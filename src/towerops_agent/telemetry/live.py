"""A running agent's answers to `health` and `status`: over a Unix socket of this machine, from memory, without the database.

So they are right while the disk is full, read-only or gone, cost the disk nothing, and show this moment, not one of the last ten
minutes. A question is a line, its answer all that follows until the end. Only the agent's own user and root are answered;
whether it is the agent that answers, the other side checks (live_client.py).
I/O: a Unix socket in the abstract namespace.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from towerops_agent.errors import AgentError, is_out_of_memory
from towerops_agent.telemetry.live_client import NO_ANSWER, live_address

log = structlog.get_logger()

ANSWER_WITHIN_S: Final = 10.0
LONGEST_QUESTION: Final = 100

Answers = Mapping[bytes, Callable[[], Awaitable[bytes]]]
"""What answers which question."""


class LiveSocket:
    """Answers for the agent that works on `database`, while it is entered."""

    def __init__(self, database: Path, answers: Answers) -> None:
        self._database = database
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_unix_server(self._serve, live_address(str(self._database)), limit=LONGEST_QUESTION)
        except OSError as error:
            log.warning("status cannot be asked for, it is read from the database", error=error.strerror or str(error))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if not _is_one_of_us(writer.get_extra_info("socket")):
                    return
                answer = self._answers.get((await reader.readline()).strip())
                if answer is not None:
                    writer.write(await _answer_or_reason(answer))
                    await writer.drain()
        except (TimeoutError, OSError, ValueError):  # ValueError: a question that is too long
            return
        finally:
            writer.close()


async def _answer_or_reason(answer: Callable[[], Awaitable[bytes]]) -> bytes:
    """The answer, or why there is none: without a word whoever asks would believe that the agent does not run."""
    try:
        return await answer()
    except AgentError as error:
        return NO_ANSWER + str(error).encode(errors="backslashreplace")
    except Exception as error:
        if is_out_of_memory(error):
            return NO_ANSWER + b"it has no memory for that"
        log.exception("question could not be answered because of a bug; please report it")
        return NO_ANSWER + b"a bug in the agent, see its log"


def _is_one_of_us(sock: socket.socket) -> bool:
    """Whether whoever asks is root, or runs as this process does (SO_PEERCRED)."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in (0, os.geteuid())
