"""Questions that block a thread, as the system's resolver does with names: asked in daemon threads, beside the event loop.

The event loop's own threads are not used: a stop waits for them, what else needs one waits too, and a dead name server holds each
for half a minute.
I/O: threads, the system's resolver.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial, partialmethod
from typing import Any, Final, TypeVar

NEXT_ADDRESS_S: Final = 0.25
"""How long an address of a name may be silent before the next one is tried beside it (RFC 8305 §5)."""

T = TypeVar("T")


def ask(question: Callable[[], T], name: str) -> asyncio.Future[T]:
    """The answer of `question`, or what it raises, once it is there. `name`: the thread's.

    Raises RuntimeError if the machine has no thread left.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[T] = loop.create_future()
    answered.add_done_callback(lambda done: done.cancelled() or done.exception())  # who has asked may have given up

    def work() -> None:
        try:
            settle = partial(answered.set_result, question())
        except Exception as error:  # noqa: BLE001 -- it is raised where the answer is awaited
            settle = partial(answered.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=work, name=name, daemon=True).start()
    return answered


async def answer(asked: asyncio.Future[T]) -> T:
    """The answer to what was asked. Whoever gives up leaves it to others that wait."""
    await asyncio.wait([asked])
    return asked.result()


class ResolvingLoop(asyncio.SelectorEventLoop):
    """asyncio's, in which a dead name server holds a thread for each name, and no stop: all clients of servers resolve by it.

    Nor does a silent address of a name, as one of IPv6 without a way there, hold up its others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[tuple[object, ...], asyncio.Future[list[Any]]] = {}

    create_connection = partialmethod(asyncio.SelectorEventLoop.create_connection, happy_eyeballs_delay=NEXT_ADDRESS_S)

    async def getaddrinfo(  # noqa: D102 -- asyncio's
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 -- its name there
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        question = host, port, family, type, proto, flags
        asked = self._lookups.get(question)
        if asked is None:
            asked = self._lookups[question] = ask(partial(socket.getaddrinfo, *question), f"resolve {host!r}")
            asked.add_done_callback(lambda _: self._lookups.pop(question))
        return await answer(asked)
