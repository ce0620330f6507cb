"""SNMP over UDP: one socket per address family, shared by all devices.

The I/O around exchange.py: sockets, timers, the wall clock at a reply's arrival.
A request costs one sendto, one timer and one future; all replies that have arrived are read at one wakeup.
"""

import asyncio
import errno
import ipaddress
import random
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from towerops_agent.counters import Count, Counters
from towerops_agent.snmp.exchange import Answer, Discarded, Exchanges, NoReply, Peer, Transaction
from towerops_agent.snmp.message import Community, Request

RECEIVE_BUFFER_OCTETS: Final = 4 << 20
"""What is asked of the kernel, which may grant less: its 208 KB kept 92 of 2,000 replies over a stall of 150 ms, 4 MB all."""

DATAGRAMS_A_WAKEUP: Final = 64
"""How many are read before other tasks get their turn."""

_PASSING: Final = frozenset((errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR))
"""Errors of sendto that the next attempt may not meet: as good as a datagram lost on the way."""


class SnmpClient:
    """Asks devices, and hands each its reply. Inert until entered; for any number of tasks of one event loop."""

    def __init__(self, counters: Counters, *, rng: random.Random | None = None) -> None:
        """`rng`: where request-ids come from; by default the system's randomness, so that nobody guesses them."""
        self._counters = counters
        self._exchanges = Exchanges((rng or random.SystemRandom()).randint)
        self._waiting: dict[Transaction, _Wait] = {}
        self._sockets: dict[int, socket.socket] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    async def resolve(self, host: str, port: int) -> Peer:
        """The device's socket address: of an address at once, of a name by the system's resolver, off the loop.

        Raises OSError (socket.gaierror) where there is none.
        """
        try:
            ipaddress.ip_address(host)
        except ValueError:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        else:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        return found[0][4]  # type: ignore[return-value]  # typeshed allows for families other than IP

    async def ask(self, peer: Peer, security: Community, request: Request, timeouts_s: Sequence[float]) -> Answer:
        """The device's reply to `request`, or why there is none.

        `timeouts_s`: how long to wait after each attempt, in seconds; as many attempts are made.
        """
        transaction = Transaction(peer, security, request, timeouts_s)
        wait = self._waiting[transaction] = _Wait(self._loop.create_future())
        try:
            self._attempt(transaction, wait)
            return await wait.answer
        finally:
            if wait.timer is not None:
                wait.timer.cancel()
            self._exchanges.close(transaction)
            del self._waiting[transaction]

    def _attempt(self, transaction: Transaction, wait: "_Wait") -> None:
        if wait.answer.done():
            return
        step = self._exchanges.attempt(transaction, self._loop.time())
        if step is None:
            wait.answer.set_result(NoReply("timeout", transaction.attempts))
            return
        datagram, timeout_s = step
        self._counters.add(Count.SNMP_REQUESTS, "sent" if transaction.attempts == 1 else "retried")
        try:
            self._socket(transaction.peer).sendto(datagram, transaction.peer)
        except OSError as error:
            if error.errno not in _PASSING:
                wait.answer.set_result(NoReply("unreachable", transaction.attempts, error.strerror or str(error)))
                return
        wait.timer = self._loop.call_later(timeout_s, self._attempt, transaction, wait)

    def _socket(self, peer: Peer) -> socket.socket:
        family = socket.AF_INET if len(peer) == 2 else socket.AF_INET6
        sock = self._sockets.get(family)
        if sock is None:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._loop.add_reader(sock, self._read, sock)
            self._sockets[family] = sock
        return sock

    def _read(self, sock: socket.socket) -> None:
        now = self._loop.time()
        wall_us = time.time_ns() // 1000
        for _ in range(DATAGRAMS_A_WAKEUP):
            try:
                datagram, peer = sock.recvfrom(0xFFFF)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error of an earlier datagram; its request times out
                self._counters.add(Count.SNMP_DISCARDED, errno.errorcode.get(error.errno or 0, "os_error"))
                continue
            outcome = self._exchanges.receive(datagram, peer, now, wall_us)
            if isinstance(outcome, Discarded):
                self._counters.add(Count.SNMP_DISCARDED, outcome.reason)
                continue
            transaction, reply = outcome
            answer = self._waiting[transaction].answer
            if not answer.done():  # it is where its task was cancelled, or a later attempt could not be sent
                answer.set_result(reply)


class _Wait:
    """Who waits for a transaction's answer, and until when."""

    __slots__ = ("answer", "timer")

    def __init__(self, answer: asyncio.Future[Answer]) -> None:
        self.answer = answer
        self.timer: asyncio.TimerHandle | None = None
