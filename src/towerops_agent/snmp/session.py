"""One device to be asked: its addresses, its security, its transport. The poller, the doctor, walks and `snmp` use it.

A device with several addresses may answer from another one than it is asked at. The session asks once more, accepts it, and
keeps accepting it; `answers_from` shows it. A name may have several addresses, of which not all work, as one of IPv6 without a
route: each is tried, and the one that works is kept in `peer`.

Names are looked up by the system's resolver, which blocks: each question has its own daemon thread (lookups.py), few at once.
I/O: threads that resolve; SNMP through client.py. Times in seconds.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final, Protocol

from towerops_agent import lookups
from towerops_agent.errors import SnmpError
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import Request, Varbind
from towerops_agent.snmp.wire.usm import Security
from towerops_agent.snmp.wire.walking import WalkCourse, WalkEnd
from towerops_agent.text import no_devices

_NOBODY_THERE: Final = frozenset((Reason.TIMEOUT, Reason.UNREACHABLE, Reason.REFUSED))

TIMEOUTS_S: Final = (1.0, 2.0, 4.0)
"""How long each attempt waits by default."""

MOST_AT_ONCE: Final = 16
"""How many names are looked up at the same time."""

MOST_ADDRESSES: Final = 8
"""How many addresses of a name are used: each that is silent costs its wait."""

Lookup = Callable[[str, int], list[Peer]]


class Asker(Protocol):
    """What sends a session's requests: SnmpClient."""

    async def ask(
        self,
        peer: Peer,
        security: Security,
        request: Request,
        timeouts_s: Sequence[float],
        *,
        over_tcp: bool = False,
        from_any: bool = False,
    ) -> Answer:
        """As SnmpClient.ask."""


Take = Callable[[list[Answer]], Sequence[Request]]
"""What to ask next, after these answers; none: nothing more."""


class TogetherAsker(Asker, Protocol):
    """An Asker that has several requests under way to one device."""

    async def ask_together(
        self,
        peer: Peer,
        security: Security,
        requests: Sequence[Request],
        timeouts_s: Sequence[float],
        take: Take,
        *,
        from_any: bool = False,
    ) -> None:
        """As SnmpClient.ask_together."""


class Session:
    """One device, ready to be asked. `peer`: the address that is asked; `others`: further ones, until one has answered.

    `from_any`: accept replies from another address of the device. `answers_from`: the address that made the session accept
    them; None if it did not have to.
    """

    __slots__ = ("_client", "answers_from", "from_any", "others", "over_tcp", "peer", "security", "timeouts_s")

    def __init__(
        self,
        client: Asker,
        peer: Peer,
        security: Security,
        *,
        others: Sequence[Peer] = (),
        over_tcp: bool = False,
        from_any: bool = False,
        timeouts_s: Sequence[float] = TIMEOUTS_S,
    ) -> None:
        """`timeouts_s`: how long each attempt waits, and so the number of attempts; `ask` may override it."""
        self._client = client
        self.peer = peer
        self.others = others
        self.security = security
        self.over_tcp = over_tcp
        self.from_any = from_any
        self.timeouts_s = timeouts_s
        self.answers_from: Peer | None = None

    async def ask(self, request: Request, timeouts_s: Sequence[float] | None = None) -> Answer:
        """The device's reply to `request`, or why there is none; of several silent addresses, at the first."""
        answer = await self._ask_there(request, timeouts_s)
        if self.others:
            answer = await self._ask_others(answer, request, timeouts_s)
        return answer

    async def _ask_others(self, answer: Answer, request: Request, timeouts_s: Sequence[float] | None) -> Answer:
        """`answer`, or if nobody was there, the answer of the first of the others that has one. They are tried once."""
        first, others, self.others = self.peer, self.others, ()
        for peer in others:
            if not _is_nobody(answer):
                return answer
            self.peer = peer
            elsewhere = await self._ask_there(request, timeouts_s)
            if not _is_nobody(elsewhere):
                return elsewhere
        self.peer = first
        return answer

    async def _ask_there(self, request: Request, timeouts_s: Sequence[float] | None) -> Answer:
        answer = await self._ask(request, timeouts_s)
        if isinstance(answer, NoReply) and answer.answered_from is not None and not self.from_any:
            self.from_any, self.answers_from = True, answer.answered_from
            answer = await self._ask(request, timeouts_s)
        return answer

    async def _ask(self, request: Request, timeouts_s: Sequence[float] | None) -> Answer:
        return await self._client.ask(
            self.peer, self.security, request, timeouts_s or self.timeouts_s, over_tcp=self.over_tcp, from_any=self.from_any
        )


def _is_nobody(answer: Answer) -> bool:
    return isinstance(answer, NoReply) and answer.reason in _NOBODY_THERE


class WalkEndedEarly(SnmpError):
    """The device stopped answering, refused, or looped; the varbinds until then are valid."""


async def walk(session: Session, subtree: Oid) -> AsyncIterator[Varbind]:
    """The varbinds below `subtree`, in the MIB's order. Raises WalkEndedEarly."""
    course = WalkCourse(subtree, session.security.version)
    while (request := course.next_request()) is not None:
        for varbind in course.take(await session.ask(request)):
            yield varbind
    if course.end is WalkEnd.BROKEN:
        raise WalkEndedEarly(course.why)


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

        Raises OSError (socket.gaierror) if there is none, or none that a device can have: a name server that blocks a name
        says that it is 0.0.0.0, where this machine would answer. A question that was given up holds its place until
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
        try:
            asked = lookups.ask(partial(self._lookup, host, port), f"resolve {host}")
        except BaseException:  # no memory for it, or no more threads: nobody would return its place
            self._places.release()
            raise
        asked.add_done_callback(lambda _: self._places.release())
        try:
            found = await lookups.answer(asked)
        except UnicodeError:  # getaddrinfo's exception for a label that is too long
            raise socket.gaierror(socket.EAI_NONAME, "no name that can be asked for") from None
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        peers = [peer for peer in dict.fromkeys(map(_plain, found)) if not no_devices(peer[0])]
        if not peers:
            raise socket.gaierror(socket.EAI_NONAME, f"its address is {found[0][0]}, which no device can have")
        return peers[:MOST_ADDRESSES]
