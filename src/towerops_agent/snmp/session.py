"""One device to be asked: its address, its security, its transport. The poller, the doctor, walks and `snmp` use it.

A device with several addresses may answer from another one than it is asked at. The session asks once more, accepts it, and
keeps accepting it; `answers_from` shows it. A name may have several addresses, of which not all work, as one of IPv6 without a
route: each is tried, and the one that works is kept in `peer`. I/O: through client.py. Times in seconds.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.security import Security

_NOBODY_THERE: Final = frozenset((Reason.TIMEOUT, Reason.UNREACHABLE, Reason.REFUSED))

TIMEOUTS_S: Final = (1.0, 2.0, 4.0)
"""How long each attempt waits by default."""


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
