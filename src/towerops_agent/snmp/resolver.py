"""Names to addresses, by the system's resolver, which blocks: each question has a daemon thread of its own, few at once.

The event loop's own executor would not do: its threads are waited for at the end, and a name server that is gone holds each for
half a minute, so that a stop would take as long.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Final

from towerops_agent.snmp.wire.exchange import Peer

MOST_AT_ONCE: Final = 16

Lookup = Callable[[str, int], list[Peer]]


def system_lookup(host: str, port: int) -> list[Peer]:
    """The addresses of `host`, as the system prefers them. Blocks. Raises OSError (socket.gaierror) where there are none."""
    return [found[4] for found in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)]  # type: ignore[misc]  # IP alone


class Resolver:
    """Resolves names for one event loop. `lookup`: what asks the system, in a thread."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def resolve(self, host: str, port: int) -> Peer:
        """The socket address of `host`: of an address at once, of a name when the system has answered.

        Raises OSError (socket.gaierror) where there is none. A question that its asker has given up still holds its place until
        the system has answered it, so that a dead name server does not pile up threads.
        """
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            return socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]  # type: ignore[return-value]
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Peer] = loop.create_future()

        def settle(found: list[Peer] | OSError) -> None:
            self._places.release()
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found[0])

        def ask() -> None:
            found: list[Peer] | OSError
            try:
                found = self._lookup(host, port) or socket.gaierror(socket.EAI_NONAME, "no address")
            except OSError as error:
                found = error
            except UnicodeError:  # what getaddrinfo makes of a label that is too long
                found = socket.gaierror(socket.EAI_NONAME, "no name that can be asked for")
            try:
                loop.call_soon_threadsafe(settle, found)
            except RuntimeError:  # the loop has ended meanwhile
                return

        threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
        return await answer
