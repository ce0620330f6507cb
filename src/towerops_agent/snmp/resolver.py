"""Names to addresses, by the system's resolver, which blocks: each question has its own daemon thread, few at once.

The event loop's own executor is not used: a stop waits for its threads, and a dead name server holds each for
half a minute.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Final

from towerops_agent.snmp.wire.exchange import Peer

MOST_AT_ONCE: Final = 16

MOST_ADDRESSES: Final = 8
"""How many addresses of a name are used: each that is silent costs its wait."""

Lookup = Callable[[str, int], list[Peer]]


def system_lookup(host: str, port: int) -> list[Peer]:
    """The addresses of `host`, in the system's order. Blocks. Raises OSError (socket.gaierror) if there are none.

    A name that ends in a dot is also looked up without it if it is unknown: /etc/hosts has no dots there.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME or not host.endswith("."):
            raise
        found = socket.getaddrinfo(host.removesuffix("."), port, type=socket.SOCK_DGRAM)
    return [each[4] for each in found]  # type: ignore[misc]  # only IP


def _plain(peer: Peer) -> Peer:
    """`peer`, if it is an IPv4-mapped IPv6 address as the IPv4 address, since an IPv6 socket does not reach it here."""
    mapped = ipaddress.IPv6Address(peer[0].partition("%")[0]).ipv4_mapped if len(peer) == 4 else None
    return peer if mapped is None else (str(mapped), peer[1])


class Resolver:
    """Resolves names for one event loop. `lookup`: asks the system, in a thread."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def resolve(self, host: str, port: int) -> list[Peer]:
        """The socket addresses of `host`, at least one and MOST_ADDRESSES at most, in the system's order: of an address at once,
        of a name when the system has answered.

        Raises OSError (socket.gaierror) if there is none. A question that was given up holds its place until
        the system has answered it, so that a dead name server does not pile up threads.
        """
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            numeric = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
            return [_plain(numeric[0][4])]  # type: ignore[arg-type]  # only IP
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Peer]] = loop.create_future()

        def settle(found: list[Peer] | OSError) -> None:
            self._places.release()
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(list(dict.fromkeys(map(_plain, found)))[:MOST_ADDRESSES])

        def ask() -> None:
            found: list[Peer] | OSError
            try:
                found = self._lookup(host, port) or socket.gaierror(socket.EAI_NONAME, "no address")
            except OSError as error:
                found = error
            except UnicodeError:  # getaddrinfo's exception for a label that is too long
                found = socket.gaierror(socket.EAI_NONAME, "no name that can be asked for")
            try:
                loop.call_soon_threadsafe(settle, found)
            except RuntimeError:  # the loop has ended meanwhile
                return

        threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
        return await answer
