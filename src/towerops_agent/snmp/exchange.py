"""The life of one request: its ids, its attempts, and which of the datagrams that arrive is its reply.

Each attempt has a request-id of its own, and a reply to any attempt of an open transaction is its reply: a device that answers
the first attempt late is heard, and the round trip is measured from the attempt answered (Karn's problem does not arise).
Everything else that arrives is discarded with a reason and changes nothing: no timeout is stretched, no reading touched.
Pure: `now` (seconds, any monotonic clock) and the source of ids are passed in. client.py does the I/O.
Source: RFC 3416 §4.1 (request-id), RFC 1157 §4.1.1.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.message import Community, Pdu, PduType, Request, decode_message

Peer = tuple[str, int] | tuple[str, int, int, int]
"""A socket address as recvfrom gives it: (address, port), and for IPv6 (address, port, flow label, scope id)."""

LOWEST_ID = 0x01000000
HIGHEST_ID = 0x7FFFFFFF
"""Request-ids are drawn between these, so that each takes four octets."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A device's reply. `received_us`: the wall clock at its arrival; `rtt_s`: from the attempt that it answers."""

    pdu: Pdu
    rtt_s: float
    received_us: int


@dataclass(frozen=True, slots=True)
class NoReply:
    """No reply, and why: `timeout`, or `unreachable` where the system refused to send; `detail` then has its words."""

    reason: str
    attempts: int
    detail: str = ""


Answer = Reply | NoReply


@dataclass(frozen=True, slots=True)
class Discarded:
    """A datagram that is no reply to an open transaction, and why.

    `malformed`: no SNMP message · `not_a_response`: a request, a trap · `unknown_id`: an id never used ·
    `late`: the id of a transaction that is over: a late or a double reply · `foreign_peer`: from another address than asked ·
    `wrong_version`, `wrong_community`: not those of the request.
    """

    reason: str


@dataclass(slots=True, eq=False)
class Transaction:
    """One request to one peer, until it is answered or given up. `timeouts_s`: how long each attempt waits, and so how many."""

    peer: Peer
    security: Community
    request: Request
    timeouts_s: Sequence[float]
    attempts: int = 0
    sent_at: dict[int, float] = field(default_factory=dict)  # by request-id


class Exchanges:
    """All transactions under way, of all devices, by request-id."""

    def __init__(self, draw_id: Callable[[int, int], int], remembered: int = 4096) -> None:
        """`draw_id(a, b)`: a random number from a to b, both included. `remembered`: how many past ids are known to be late."""
        self._draw_id = draw_id
        self._open: dict[int, Transaction] = {}
        self._past: deque[int] = deque(maxlen=remembered)

    def __len__(self) -> int:
        """How many request-ids await a reply."""
        return len(self._open)

    def attempt(self, transaction: Transaction, now: float) -> tuple[bytes, float] | None:
        """The datagram of the next attempt and how long to wait for its reply, in seconds; None: all attempts are used up."""
        if transaction.attempts == len(transaction.timeouts_s):
            return None
        request_id = self._draw_id(LOWEST_ID, HIGHEST_ID)
        while request_id in self._open:
            request_id = self._draw_id(LOWEST_ID, HIGHEST_ID)
        self._open[request_id] = transaction
        transaction.sent_at[request_id] = now
        timeout_s = transaction.timeouts_s[transaction.attempts]
        transaction.attempts += 1
        return transaction.security.wrap(transaction.request.pdu(request_id)), timeout_s

    def receive(self, datagram: bytes, peer: Peer, now: float, wall_us: int) -> tuple[Transaction, Reply] | Discarded:
        """The transaction that `datagram` answers, now closed, and its reply; or why it answers none."""
        try:
            message = decode_message(datagram)
        except MalformedMessage:
            return Discarded("malformed")
        pdu = message.pdu
        if pdu.type != PduType.RESPONSE:
            return Discarded("not_a_response")
        transaction = self._open.get(pdu.request_id)
        if transaction is None:
            return Discarded("late" if pdu.request_id in self._past else "unknown_id")
        if peer != transaction.peer:
            return Discarded("foreign_peer")
        refusal = transaction.security.refuses(message)
        if refusal is not None:
            return Discarded(refusal)
        rtt_s = now - transaction.sent_at[pdu.request_id]
        self.close(transaction)
        return transaction, Reply(pdu, rtt_s, wall_us)

    def close(self, transaction: Transaction) -> None:
        """Forget `transaction`: whatever still arrives for it is late."""
        for request_id in transaction.sent_at:
            if self._open.pop(request_id, None) is not None:
                self._past.append(request_id)
