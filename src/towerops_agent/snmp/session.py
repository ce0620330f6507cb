"""One device to be asked: its address, its security, its transport. The poller, the doctor, walks and `snmp` use it.

A device with several addresses may answer from another one than it is asked at. The session asks once more, accepts it, and
keeps accepting it; `answers_from` shows it. I/O: through client.py. Times in seconds.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.security import Security

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
    """One device, ready to be asked.

    `from_any`: accept replies from another address of the device. `answers_from`: the address that made the session accept
    them; None if it did not have to.
    """

    __slots__ = ("_client", "answers_from", "from_any", "over_tcp", "peer", "security", "timeouts_s")

    def __init__(
        self,
        client: Asker,
        peer: Peer,
        security: Security,
        *,
        over_tcp: bool = False,
        from_any: bool = False,
        timeouts_s: Sequence[float] = TIMEOUTS_S,
    ) -> None:
        """`timeouts_s`: how long each attempt waits, and so the number of attempts; `ask` may override it."""
        self._client = client
        self.peer = peer
        self.security = security
        self.over_tcp = over_tcp
        self.from_any = from_any
        self.timeouts_s = timeouts_s
        self.answers_from: Peer | None = None

    async def ask(self, request: Request, timeouts_s: Sequence[float] | None = None) -> Answer:
        """The device's reply to `request`, or why there is none."""
        answer = await self._ask(request, timeouts_s)
        if isinstance(answer, NoReply) and answer.answered_from is not None and not self.from_any:
            self.from_any, self.answers_from = True, answer.answered_from
            answer = await self._ask(request, timeouts_s)
        return answer

    async def _ask(self, request: Request, timeouts_s: Sequence[float] | None) -> Answer:
        return await self._client.ask(
            self.peer, self.security, request, timeouts_s or self.timeouts_s, over_tcp=self.over_tcp, from_any=self.from_any
        )
