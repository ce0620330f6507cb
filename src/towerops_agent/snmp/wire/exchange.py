"""The life of one request: its ids, its attempts, and which of the datagrams that arrive is its reply.

Each attempt has a request-id of its own (over v3 it is the message's ID as well), and a reply to any attempt of an open
transaction is its reply: a late answer to the first attempt counts, and the round trip is measured from the attempt
answered (Karn's problem does not arise). Everything else that arrives is discarded with a reason and changes nothing: no timeout
grows, no reading changes.

SNMPv3 adds three things. After a report about the engine (its ID, its time) the transaction asks again at once, without using up
an attempt, at most MOST_REPEATS times. Any other report that is not authentic, as most have to be, counts only if no authentic
answer follows within DOUBT_S: anybody who sees a request can send one. And since most devices are silent to a wrong privacy key,
a transaction that ends in silence, before any encrypted answer was ever read, is followed by an examination: an authenticated
message without privacy; if that is answered, one small encrypted request; if that is not answered, the privacy key or its
protocol is wrong.

Pure: `now` (seconds, any monotonic clock) and the source of ids are passed in. client.py and tcp.py do the I/O.
Source: RFC 3416 §4.1 (request-id), RFC 1157 §4.1.1, RFC 3412 §7.2 (msgID, reports), RFC 3414 §4 (discovery).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from towerops_agent.errors import MalformedMessage
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, Message, Pdu, PduType, Request, decode_usual
from towerops_agent.snmp.wire.oddities import Oddities, Oddity, without_extra_zeros
from towerops_agent.snmp.wire.usm import AskAgain, Security, UsmSecurity
from towerops_agent.snmp.wire.usm_engine import EngineChange  # noqa: TC001 - as all others
from towerops_agent.snmp.wire.v3message import AUTHENTICATED, decode_v3

Peer = tuple[str, int] | tuple[str, int, int, int]
"""A socket address as recvfrom returns it: (address, port), and for IPv6 (address, port, flow label, scope id)."""

MOST_MISSES: Final = 8
"""How many wrong cut request-ids one transaction hears out; copies of earlier replies are among them."""

MOST_REPEATS: Final = 3
"""How often reports may make one transaction ask again: a new engine ID, its time, and one more."""

MOST_DISCARDS: Final = 1000
"""Of how many addresses it is remembered why the last datagram was discarded."""

UNREACHABLE_S: Final = 600.0
"""How long what ICMP said of an address explains that it is silent: twice the usual longest interval of polls."""

MOST_UNREACHABLE: Final = 20_000
"""Of how many addresses it is remembered."""

DOUBT_S: Final = 1.0
"""How long an authentic answer is awaited at most after a report that is not authentic."""

_OF_THE_ENGINE: Final = frozenset((Reason.UNKNOWN_ENGINE_ID, Reason.NOT_IN_TIME_WINDOW))
"""Reasons that a discovery may remove."""

_SMALL: Final = Request((parse_oid("1.3.6.1.2.1.1.3.0"),))  # sysUpTime


@dataclass(slots=True)  # frozen ones take twice as long to make, and there are eight a poll
class Reply:
    """A device's reply. `received_us`: the wall clock at its arrival; `rtt_s`: from the attempt that it answers; `attempts`: how
    many there were until then; `arrived_s`: as `received_us`, on the clock of the exchanges; None: just now."""

    pdu: Pdu
    rtt_s: float
    received_us: int
    attempts: int = 1
    arrived_s: float | None = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """No reply, and why. `detail`: the system's message, or why the device's datagrams were discarded meanwhile; else "".

    UNREACHABLE: the system refused to send, ICMP says so, or the TCP connection was lost. REFUSED: ICMP or TCP says that the port
    is closed. Over v3 the device's reports say why, at once;
    WRONG_PRIV is also found out by examination, and NOT_IN_TIME_WINDOW and UNKNOWN_ENGINE_ID mean that a repeated request did not
    help.
    `answered_from`: another address that answered, with the right id and security, while the asked one was awaited.
    `discarded`: why the last datagram of the device was discarded meanwhile, if there was one.
    """

    reason: Reason
    attempts: int
    detail: str = ""
    answered_from: Peer | None = None
    discarded: Discard | None = None


Answer = Reply | NoReply


@dataclass(frozen=True, slots=True)
class Doubted:
    """A report that anybody could have sent: call `believe` unless an answer arrives within `wait_s`."""

    wait_s: float


class Stage(Enum):
    """The kinds of messages of a transaction."""

    ASKING = "the request"
    EXAMINING_AUTH = "authenticated, not encrypted, and empty"
    EXAMINING_PRIV = "a small encrypted request"


@dataclass(slots=True)
class V3Course:
    """What v3 adds to a transaction. `repeats`: how often reports made it ask again.

    `examined`: the request-ids whose reply does not answer the actual request. `doubted`: what a report says that is not
    authentic, about the last message.
    """

    repeats: int = 0
    stage: Stage = Stage.ASKING
    examined: set[int] = field(default_factory=set)
    doubted: Reason | None = None


@dataclass(slots=True, eq=False)
class Transaction:
    """One request to one peer, until it is answered or given up. `timeouts_s`: how long each attempt waits, and so the number of
    attempts.

    `from_any`: the device may answer from another address of its own; else such an answer is discarded, and `answered_from` is
    its address.
    """

    peer: Peer
    security: Security
    request: Request
    timeouts_s: Sequence[float]
    from_any: bool = False
    attempts: int = 0
    sent_at: dict[int, float] = field(default_factory=dict)  # by request-id
    answered_from: Peer | None = None
    unreachable: tuple[Reason, str] | None = None  # what ICMP says of the peer: a hint, as anybody can send it
    v3: V3Course | None = None
    listens: bool = False  # for replies whose request-id is cut
    misses: int = 0

    @property
    def kind(self) -> str:
        """The counter's reason of its last attempt: sent, retried or examining."""
        if self.v3 is not None and self.v3.stage is not Stage.ASKING:
            return "examining"
        return "sent" if self.attempts == 1 else "retried"


class Exchanges:
    """All transactions under way, of all devices, by request-id."""

    def __init__(self, draw_id: Callable[[], int], remembered: int = 4096) -> None:
        """`draw_id`: as random_id. `remembered`: how many past ids are recognised as late."""
        self._draw_id = draw_id
        self._open: dict[int, Transaction] = {}
        self._listening: dict[Peer, list[Transaction]] = {}
        self._past: deque[int] = deque(maxlen=remembered)
        self._discards: dict[Peer, tuple[Discard, float]] = {}
        self._unreachable: dict[Peer, tuple[tuple[Reason, str], float]] = {}
        self.changes: list[tuple[Peer, EngineChange]] = []
        """Changes of devices' engines, by device; to be taken, logged and counted."""

    def __len__(self) -> int:
        """How many request-ids await a reply."""
        return len(self._open)

    def attempt(self, transaction: Transaction, now: float) -> tuple[bytes, float] | None:
        """The datagram of the next attempt and how long to wait for its reply, in seconds; None: all attempts are used up."""
        attempts = transaction.attempts
        if attempts == len(transaction.timeouts_s):
            return self._examine(transaction, now)
        transaction.attempts = attempts + 1
        security = transaction.security
        if isinstance(security, Community) and (
            attempts == 1 or len(transaction.timeouts_s) == 1 or Oddity.CUT_REQUEST_ID in security.oddities.accepted
        ):
            self._listen(transaction)
        request_id = self._new_id(transaction, now)
        return security.encode(transaction.request, request_id, now), transaction.timeouts_s[attempts]

    def repeat(self, transaction: Transaction, now: float) -> tuple[bytes, float]:
        """After AskAgain: like attempt, but does not use one up."""
        course, security = transaction.v3, transaction.security
        request = transaction.request
        request_id = self._new_id(transaction, now)
        timeout_s = transaction.timeouts_s[transaction.attempts - 1]
        if course is not None and course.stage is not Stage.ASKING:
            course.examined.add(request_id)
            if course.stage is Stage.EXAMINING_AUTH and isinstance(security, UsmSecurity):
                return security.encode_synchronisation(request_id), timeout_s
            request = _SMALL
        return security.encode(request, request_id, now), timeout_s

    def _examine(self, transaction: Transaction, now: float) -> tuple[bytes, float] | None:
        if not isinstance(transaction.security, UsmSecurity) or not transaction.security.suspects_privacy:
            return None
        course = transaction.v3 = transaction.v3 or V3Course()
        if course.stage is not Stage.ASKING:
            return None
        course.stage = Stage.EXAMINING_AUTH
        return self.repeat(transaction, now)

    def _new_id(self, transaction: Transaction, now: float) -> int:
        request_id = self._draw_id()
        while request_id in self._open:
            request_id = self._draw_id()
        self._open[request_id] = transaction
        transaction.sent_at[request_id] = now
        if transaction.v3 is not None:
            transaction.v3.doubted = None
        return request_id

    def receive(
        self, datagram: bytes, peer: Peer, now: float, wall_us: int
    ) -> tuple[Transaction, Answer | AskAgain | Doubted] | Discard:
        """The transaction that `datagram` answers and its reply; or why it answers no transaction.

        With a Reply or NoReply it is closed; with AskAgain it goes on: call `repeat` when its security has its keys; with Doubted
        call `believe` after a while.
        """
        if self._unreachable:
            self._unreachable.pop(peer, None)
        usual = decode_usual(datagram, self._open)
        if usual is not None and (usual[0].peer == peer or usual[0].from_any):
            transaction, pdu = usual
            if isinstance(transaction.security, Community) and transaction.security.oddities.any_seen:
                transaction.security.oddities.see_none(True)
            rtt_s = now - transaction.sent_at[pdu.request_id]
            self.close(transaction)
            return transaction, Reply(pdu, rtt_s, wall_us, transaction.attempts, now)
        return self._receive_unusual(datagram, peer, now, wall_us)

    def _receive_unusual(
        self, datagram: bytes, peer: Peer, now: float, wall_us: int
    ) -> tuple[Transaction, Answer | AskAgain | Doubted] | Discard:
        try:
            message = decode_message(datagram)
        except MalformedMessage:  # of v1 and v2c, which go first: there are more of them
            return self._receive_v3(datagram, peer, now, wall_us)
        pdu = message.pdu
        if pdu.type != PduType.RESPONSE:
            return Discard.NOT_A_RESPONSE
        transaction = self._open.get(pdu.request_id)
        is_whole = transaction is not None
        if transaction is None:
            found = self._with_cut_id(message, peer) if self._listening else None
            if found is None:
                return self._unawaited(pdu.request_id)
            transaction, pdu.request_id = found
        security = transaction.security
        refusal = security.refuses(message)
        if peer != transaction.peer and (refusal is not None or not transaction.from_any):
            if refusal is None:
                transaction.answered_from = peer
            return Discard.FOREIGN_PEER
        if isinstance(security, Community):
            if refusal is None:
                if security.oddities.any_seen:
                    security.oddities.see_none(is_whole)
            elif refusal is Discard.WRONG_COMMUNITY and security.oddities.see(Oddity.OTHER_COMMUNITY, pdu.request_id):
                refusal = None
            if refusal is None and pdu.names is not transaction.request.names:
                _strip_zeros(security.oddities, transaction.request, pdu)
        if refusal is not None:
            return refusal
        rtt_s = now - transaction.sent_at[pdu.request_id]
        self.close(transaction)
        return transaction, Reply(pdu, rtt_s, wall_us, transaction.attempts, now)

    def _listen(self, transaction: Transaction) -> None:
        """From now on `transaction` may be answered with its request-id cut to 16 bits. The usual ones never get here."""
        if not transaction.listens:
            transaction.listens = True
            self._listening.setdefault(transaction.peer, []).append(transaction)

    def _with_cut_id(self, message: Message, peer: Peer) -> tuple[Transaction, int] | None:
        """The transaction that `message` answers, and with which request-id, if it is cut to 16 bits, with a sign or without.

        Only the device's own address and the right community count, and wrong numbers: after MOST_MISSES the transaction is
        only answered by whole ones, so that the 16 bits can't be tried out.
        """
        cut = message.pdu.request_id
        if not -0x8000 <= cut <= 0xFFFF:
            return None
        own = [each for each in self._listening.get(peer, ()) if each.security.refuses(message) is None]
        for transaction in own:
            request_id = next((each for each in transaction.sent_at if (each ^ cut) & 0xFFFF == 0), None)
            if request_id is None or transaction.misses >= MOST_MISSES or not isinstance(transaction.security, Community):
                continue
            if transaction.security.oddities.see(Oddity.CUT_REQUEST_ID, request_id):
                return transaction, request_id
            return None
        for transaction in own:
            transaction.misses += 1
        return None

    def _receive_v3(
        self, datagram: bytes, peer: Peer, now: float, wall_us: int
    ) -> tuple[Transaction, Answer | AskAgain | Doubted] | Discard:
        try:
            message = decode_v3(datagram)
        except MalformedMessage:
            return Discard.MALFORMED
        transaction = self._open.get(message.message_id)
        if transaction is None:
            return self._unawaited(message.message_id)
        security = transaction.security
        if not isinstance(security, UsmSecurity):
            return Discard.FOREIGN_PEER if peer != transaction.peer else Discard.WRONG_VERSION
        if peer != transaction.peer and not transaction.from_any:
            transaction.answered_from = peer  # only a hint: replies from there are verified once they are accepted
            return Discard.FOREIGN_PEER
        try:
            verdict = security.open(message, now)
        except MalformedMessage:
            return Discard.MALFORMED
        self.changes += [(transaction.peer, change) for change in security.take_changes()]
        if isinstance(verdict, Discard):
            return verdict
        if isinstance(verdict, AskAgain):
            return self._ask_again(transaction, verdict)
        if isinstance(verdict, Reason):
            return self._refused(transaction, verdict, security.user.auth is None or message.flags & AUTHENTICATED != 0)
        if verdict.request_id != message.message_id:
            return Discard.WRONG_REQUEST_ID
        if transaction.v3 is not None and message.message_id in transaction.v3.examined:
            return transaction, self._end(transaction, Reason.TIMEOUT)  # privacy works: it did not answer this one request
        rtt_s = now - transaction.sent_at[message.message_id]
        self.close(transaction)
        return transaction, Reply(verdict, rtt_s, wall_us, transaction.attempts, now)

    def _refused(
        self, transaction: Transaction, reason: Reason, certain: bool
    ) -> tuple[Transaction, NoReply | AskAgain | Doubted] | Discard:
        course = transaction.v3 = transaction.v3 or V3Course()
        if course.doubted is not None and not certain:
            return Discard.REPEATED_REPORT
        course.doubted = reason
        if certain:
            return transaction, self.believe(transaction)
        return transaction, Doubted(min(DOUBT_S, transaction.timeouts_s[transaction.attempts - 1]))

    def believe(self, transaction: Transaction) -> NoReply | AskAgain:
        """What follows from a doubted report after which no answer came."""
        course = transaction.v3 = transaction.v3 or V3Course()
        reason = course.doubted or Reason.TIMEOUT
        if reason in _OF_THE_ENGINE:
            transaction.security.forget()
            if course.repeats < MOST_REPEATS:
                course.repeats += 1
                return AskAgain(reason, False)
        return self._end(transaction, reason)

    def _ask_again(
        self, transaction: Transaction, verdict: AskAgain
    ) -> tuple[Transaction, NoReply | AskAgain | Doubted] | Discard:
        course = transaction.v3 = transaction.v3 or V3Course()
        if course.repeats and not verdict.news:
            return Discard.REPEATED_REPORT
        if course.stage is Stage.EXAMINING_AUTH and verdict.authenticated:
            course.stage = Stage.EXAMINING_PRIV
        elif course.repeats == MOST_REPEATS:
            return self._refused(transaction, verdict.reason, verdict.authenticated)
        else:
            course.repeats += 1
        return transaction, verdict

    def _unawaited(self, request_id: int) -> Discard:
        return Discard.LATE if request_id in self._past else Discard.UNKNOWN_ID

    def _end(self, transaction: Transaction, reason: Reason) -> NoReply:
        self.close(transaction)
        return NoReply(reason, transaction.attempts, answered_from=transaction.answered_from)

    def note_discard(self, peer: Peer, discard: Discard, now: float) -> None:
        """Note why a datagram of `peer` was discarded, for the transaction that awaits another one from there."""
        if len(self._discards) >= MOST_DISCARDS:
            self._discards.clear()
        self._discards[peer] = discard, now

    def note_unreachable(self, peer: Peer, meaning: tuple[Reason, str], now: float) -> None:
        """Note that ICMP says that `peer` can't be reached: for later requests that get no answer, until something comes from it.

        That nobody answers ARP, here or at the last router, is known after three seconds: a single probe has been given up then.
        """
        if len(self._unreachable) < MOST_UNREACHABLE or peer in self._unreachable:
            self._unreachable[peer] = meaning, now

    def give_up(self, transaction: Transaction, reason: Reason = Reason.TIMEOUT, detail: str = "") -> NoReply:
        """Close `transaction`, which got no answer, and say why."""
        if reason is Reason.TIMEOUT and transaction.v3 is not None and transaction.v3.stage is Stage.EXAMINING_PRIV:
            reason = Reason.WRONG_PRIV
        elif reason is Reason.TIMEOUT and (meaning := transaction.unreachable or self._said_of(transaction)) is not None:
            reason, detail = meaning
        discard, at = self._discards.pop(transaction.peer, (None, 0.0))
        if reason is not Reason.TIMEOUT or at < min(transaction.sent_at.values(), default=at):
            discard = None
        if discard is not None:
            detail = f"its answers are discarded as {discard}: {discard.text}"
        transaction.security.forget()
        self.close(transaction)
        return NoReply(reason, transaction.attempts, detail, transaction.answered_from, discard)

    def _said_of(self, transaction: Transaction) -> tuple[Reason, str] | None:
        """What ICMP has said of the peer lately, about an earlier request.

        Not of a device that answers from another address: its answers since then are not that address's.
        """
        if transaction.from_any:
            return None
        meaning, at = self._unreachable.get(transaction.peer, (None, 0.0))
        asked_at = max(transaction.sent_at.values(), default=at)
        if meaning is not None and asked_at - at > UNREACHABLE_S:
            del self._unreachable[transaction.peer]
            return None
        return meaning

    def close(self, transaction: Transaction) -> None:
        """Forget `transaction`: a later datagram for it is late."""
        for request_id in transaction.sent_at:
            if self._open.pop(request_id, None) is not None:
                self._past.append(request_id)
        if transaction.listens:
            transaction.listens = False
            others = [other for other in self._listening.pop(transaction.peer) if other is not transaction]
            if others:
                self._listening[transaction.peer] = others


def _strip_zeros(oddities: Oddities, request: Request, pdu: Pdu) -> None:
    """Give `pdu` the names that were asked, if its device is known to append a 0 to them."""
    names = without_extra_zeros(request.names, pdu.names) if request.type is PduType.GET else None
    if names is not None and oddities.see(Oddity.EXTRA_ZERO, pdu.request_id):
        pdu.names = names
