"""SNMP over TCP: one connection per device, kept open, and reopened.

TCP repeats what is lost, so a request is sent once on a connection and waited for as long as all attempts together. The
exception is a connection that was kept from an earlier request, and may be dead without notice: if it closes, or the
first timeout passes, it is opened again, once, and the request sent again. Opening counts towards the timeout.
Received messages go through exchange.py, as over UDP. I/O: TCP sockets, timers, the wall clock. Source: RFC 3430.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Final, cast

from towerops_agent.clocks import wall_us
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import MalformedMessage
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.engines import EngineLog, KeyDerivation
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, Doubted, Exchanges, Peer, Transaction
from towerops_agent.snmp.wire.message import Request
from towerops_agent.snmp.wire.usm import AskAgain, Security, UsmSecurity

IDLE_S: Final = 900.0
"""A connection unused for this long is closed when another one is opened: its device may be gone from the configuration."""

MAX_MESSAGE_OCTETS: Final = 1 << 16
"""More than any answer to our requests (RFC 3430 §2.1: at least 8,192); a message that claims more ends the connection."""


class TcpConnections:
    """The connections to all devices that are asked over TCP. For the tasks of one event loop."""

    def __init__(self, counters: Counters, exchanges: Exchanges, keys: KeyDerivation, engine_log: EngineLog) -> None:
        """`exchanges`: separate ones, so that no datagram answers a request over TCP."""
        self._counters = counters
        self._exchanges = exchanges
        self._keys = keys
        self._engine_log = engine_log
        self._connections: dict[Peer, _Connection] = {}
        self._opening: dict[Peer, asyncio.Lock] = {}
        self._waiting: dict[Transaction, asyncio.Future[Answer | AskAgain]] = {}

    @property
    def peers(self) -> list[Peer]:
        """The devices to which a connection is open."""
        return list(self._connections)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, and nothing is left of earlier ones."""
        return not self._waiting and not len(self._exchanges)

    def close(self) -> None:
        """Close all of them; requests under way are cancelled."""
        for answer in self._waiting.values():
            answer.cancel()
        for connection in list(self._connections.values()):
            connection.abort()
        self._connections.clear()

    async def ask(self, peer: Peer, security: Security, request: Request, timeouts_s: Sequence[float]) -> Answer:
        """The device's reply to `request`, or why not. `timeouts_s`: as in SnmpClient.ask, used as described above."""
        kept = peer in self._connections
        waits = (timeouts_s[0], sum(timeouts_s[1:]) or timeouts_s[0]) if kept else (sum(timeouts_s),)
        transaction = Transaction(peer, security, request, waits)
        try:
            if security.wants_keys and isinstance(security, UsmSecurity):
                await self._keys.equip(security)
            return await self._ask(transaction)
        finally:
            self._exchanges.close(transaction)
            self._waiting.pop(transaction, None)

    async def _ask(self, transaction: Transaction) -> Answer:
        lost: OSError | None = None
        loop = asyncio.get_running_loop()
        while (step := self._exchanges.attempt(transaction, loop.time())) is not None:
            self._counters.add(Count.SNMP_REQUESTS, transaction.kind)
            try:
                answer = await self._attempt(transaction, *step)
                while isinstance(answer, AskAgain):
                    if isinstance(transaction.security, UsmSecurity):
                        await self._keys.equip(transaction.security)
                    self._counters.add(Count.SNMP_REQUESTS, "repeated")
                    answer = await self._attempt(transaction, *self._exchanges.repeat(transaction, loop.time()))
            except TimeoutError:
                lost = None
                self._drop(transaction.peer)  # silent: perhaps dead, and a late answer would go to nobody
            except ConnectionRefusedError as error:
                return self._exchanges.give_up(transaction, Reason.REFUSED, _words(error))
            except OSError as error:
                lost = error
                self._drop(transaction.peer)
            else:
                return answer
        if lost is not None:
            return self._exchanges.give_up(transaction, Reason.UNREACHABLE, _words(lost))
        return self._exchanges.give_up(transaction)

    async def _attempt(self, transaction: Transaction, octets: bytes, timeout_s: float) -> Answer | AskAgain:
        """Send this, and wait for the result. Raises OSError: TimeoutError if there is no result."""
        answer: asyncio.Future[Answer | AskAgain] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = answer
        async with asyncio.timeout(timeout_s):
            connection = await self._connect(transaction.peer)
            connection.send(octets)
            await asyncio.wait((answer, connection.lost), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
        raise connection.lost.result()

    async def _connect(self, peer: Peer) -> "_Connection":
        lock = self._opening.setdefault(peer, asyncio.Lock())
        try:
            async with lock:
                connection = self._connections.get(peer)
                return connection or await self._open(peer)
        finally:
            if not lock.locked():
                self._opening.pop(peer, None)

    async def _open(self, peer: Peer) -> "_Connection":
        loop = asyncio.get_running_loop()
        self._close_idle(loop.time())
        sock = socket.socket(socket.AF_INET if len(peer) == 2 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, peer)
            _, connection = await loop.create_connection(lambda: _Connection(self, peer), sock=sock)
        except BaseException:
            sock.close()
            raise
        self._connections[peer] = connection
        return connection

    def _close_idle(self, now: float) -> None:
        for connection in [connection for connection in self._connections.values() if now - connection.used_at > IDLE_S]:
            self._drop(connection.peer)

    def _drop(self, peer: Peer) -> None:
        connection = self._connections.pop(peer, None)
        if connection is not None:
            connection.abort()

    def forget(self, connection: "_Connection") -> None:
        """`connection` is closed."""
        if self._connections.get(connection.peer) is connection:
            del self._connections[connection.peer]

    def receive(self, message: bytes, peer: Peer) -> None:
        """Pass a message from `peer` to its waiter."""
        now = asyncio.get_running_loop().time()
        outcome = self._exchanges.receive(message, peer, now, wall_us())
        self._engine_log.take(self._exchanges)
        if isinstance(outcome, Discard):
            self.discard(outcome)
            if outcome is not Discard.LATE:
                self._exchanges.note_discard(peer, outcome, now)
            return
        transaction, reply = outcome
        if isinstance(reply, Doubted):  # who can't see the connection can't write to it
            reply = self._exchanges.believe(transaction)
        answer = self._waiting[transaction]
        if not answer.done():
            answer.set_result(reply)

    def discard(self, reason: Discard) -> None:
        """Count a message that is not a reply."""
        self._counters.add(Count.SNMP_DISCARDED, reason)


class _Connection(asyncio.Protocol):
    """One connection. `lost`: done when it is closed, with why. `used_at`: when it last sent something, in the loop's seconds."""

    def __init__(self, owner: TcpConnections, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        self.peer = peer
        self.lost: asyncio.Future[OSError] = loop.create_future()
        self.used_at = loop.time()
        self._owner = owner
        self._framer = Framer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # asyncio's promise

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framer.feed(data)
        except MalformedMessage:
            self._owner.discard(Discard.MALFORMED)
            if not self.lost.done():
                self.lost.set_result(ConnectionAbortedError("connection closed, as the device sends what is not SNMP"))
            self.abort()
            return
        for message in messages:
            self._owner.receive(message, self.peer)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.forget(self)
        if not self.lost.done():
            closed = ConnectionResetError("the device closed the connection")
            self.lost.set_result(error if isinstance(error, OSError) else closed)

    def send(self, octets: bytes) -> None:
        self.used_at = asyncio.get_running_loop().time()
        self._transport.write(octets)

    def abort(self) -> None:
        self._transport.abort()


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)  # asyncio replaces the system's words


class Framer:
    """Cuts one connection's incoming octets into messages: each is one BER value, whose length says where the next begins.

    After MalformedMessage the start of the next message is unknown: close the connection. Source: RFC 3430 §2.1.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """The messages that are complete now. Raises MalformedMessage if no message begins there, or it is too large.

        The messages before it are lost too.
        """
        rest = self._rest
        rest += octets
        messages = []
        while (size := _size(rest)) and size <= len(rest):
            messages.append(bytes(rest[:size]))
            del rest[:size]
        return messages


def _size(octets: bytearray) -> int:
    """The size of the message that begins here; 0 while it is not known."""
    if octets and octets[0] != ber.SEQUENCE:
        raise MalformedMessage(f"tag 0x{octets[0]:02x}, expected a message", 0)
    if len(octets) < 2:
        return 0
    length, start = octets[1], 2
    if length > 0x7F:
        start = 2 + (length & 0x7F)
        if length == 0x80 or start > 2 + 8:
            raise MalformedMessage(f"length octet 0x{length:02x}", 1)
        if len(octets) < start:
            return 0
        length = int.from_bytes(octets[2:start], "big")
    if start + length > MAX_MESSAGE_OCTETS:
        raise MalformedMessage(f"a message of {start + length} octets: expected at most {MAX_MESSAGE_OCTETS}", 1)
    return start + length
