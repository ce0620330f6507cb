"""SNMP over UDP: one socket per address family, shared by all devices. tcp.py does the same over TCP, behind the same interface.

The I/O around exchange.py: sockets, timers, the time of a reply's arrival, which the kernel notes (arrival.py).
A request costs one sendto, one timer and one future, several in a row only one sendto each (volley.py); all replies that have
arrived are read at one wakeup, and of many that are awaited some at a time (lull.py). What ICMP says of a device (icmp_errors.py)
is read if a wakeup brings no datagram, or a call on the socket fails.
"""

import asyncio
import errno
import math
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.arrival import ANCILLARY_OCTETS, TIMES, TIMESPEC, keep_times
from towerops_agent.snmp.engines import EngineLog, KeyDerivation, NameOf
from towerops_agent.snmp.icmp_errors import RECVERR, read_errors
from towerops_agent.snmp.lull import ANSWER_OCTETS, FEW_AT_ONCE, FEWEST, Lull
from towerops_agent.snmp.session import Resolver, Take
from towerops_agent.snmp.tcp import TcpConnections
from towerops_agent.snmp.volley import Link, Volley
from towerops_agent.snmp.wire.exchange import Answer, Doubted, Exchanges, NoReply, Peer, Transaction
from towerops_agent.snmp.wire.message import HIGHEST_ID, LOWEST_ID, Request
from towerops_agent.snmp.wire.usm import AskAgain, Security, UsmSecurity

log = structlog.get_logger()

RECEIVE_BUFFER_OCTETS: Final = 4 << 20
"""Requested from the kernel, which may grant less: 208 KB kept 92 of 2,000 replies over a stall of 150 ms, 4 MB kept all."""

DATAGRAMS_A_WAKEUP: Final = 64
"""How many datagrams are read before other tasks get their turn."""

_CATCH_UP_WAKEUPS: Final = 16
"""How many times as many before a silence counts: some 250 polls with four answers each may wait behind a busy moment."""

_CLOCKS_APART_US: Final = 1000
"""The wall clock and the loop's are not read at once. If one moves further than this against the other, the wall clock was set,
or the machine was suspended: the loop's clock stands still meanwhile."""

_LONG_READING_US: Final = 1_000_000
"""What arrives while others are read arrived after the reading had begun, but not so long."""

_HELD_UP_S: Final = 0.0005
_TRIES: Final = 10

_PASSING: Final = frozenset((errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR))
"""Errors of sendto that may be temporary: they count as a lost datagram."""

FLOOD_WINDOW_S: Final = 1.0
FLOOD: Final = 2_000
"""Datagrams in a second that answer nothing: this many are a flood. A device that answers twice causes a few."""

MOVE_AGAIN_S: Final = 5.0
"""How long a socket is kept at least: a move loses the replies on their way, which then have to be requested again."""

_IDS_AT_ONCE: Final = 256
"""A system call for each would be a twentieth of a poll's cost."""

_REPORTS: Final = (AskAgain, Doubted)

_drawn: list[int] = []


def random_id() -> int:
    """A request-id from the system's randomness, so that it can't be guessed: LOWEST_ID to HIGHEST_ID, all equally likely."""
    while True:
        if not _drawn:
            _drawn.extend([number & HIGHEST_ID for (number,) in struct.iter_unpack(">I", os.urandom(4 * _IDS_AT_ONCE))])
        number = _drawn.pop()
        if number >= LOWEST_ID:
            return number


class SnmpClient:
    """Sends requests to devices, and returns their replies. Inert until entered; for any number of tasks of one event loop."""

    def __init__(self, counters: Counters, *, name_of: NameOf = lambda _peer: "") -> None:
        """`name_of`: the name of the device at an address, for the log."""
        self._counters = counters
        self._engine_log = EngineLog(counters, name_of, time.monotonic)
        self._exchanges = Exchanges(random_id)
        self._keys = KeyDerivation(random.SystemRandom().randint)
        self._tcp = TcpConnections(counters, Exchanges(random_id), self._keys, self._engine_log)
        self._waiting: dict[Transaction, _Wait | Volley] = {}
        self._single = 0  # how many of them have one request under way at a time
        self._resolver = Resolver()
        self._timekeeper: socket.socket | None = None
        self.sockets: dict[int, socket.socket] = {}
        """The open sockets, by address family; each is opened by the first request that needs it."""
        self._inboxes: dict[int, _Inbox] = {}  # how each of them is read
        self._lulls: dict[int, Lull] = {}  # of those that are not read now

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timekeeper = keep_times()
        self._link = Link(self._loop, self._exchanges, self._waiting, self._counters, self._send_octets, self._catch_up)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for wait in self._waiting.values():
            wait.answer.cancel()  # else it would wait until its timeout, and open a socket again for the next attempt
        for family in list(self.sockets):
            self._close(family)
        if self._timekeeper is not None:
            self._timekeeper.close()
            self._timekeeper = None
        self._tcp.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, and nothing is left of earlier ones."""
        return not self._waiting and not len(self._exchanges) and self._tcp.is_idle

    @property
    def connected(self) -> list[Peer]:
        """The devices to which a TCP connection is open."""
        return self._tcp.peers

    async def resolve(self, host: str, port: int) -> list[Peer]:
        """The device's socket addresses, as Resolver returns them. Raises OSError (socket.gaierror) if there are none."""
        return await self._resolver.resolve(host, port)

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
        """The device's reply to `request`, or why there is none.

        `timeouts_s`: how long to wait after each attempt, in seconds; there are as many attempts (over TCP: see tcp.py).
        `from_any`: accept a reply from another address, as some devices with several addresses send; NoReply reports such a
        reply.
        """
        if over_tcp:
            return await self._tcp.ask(peer, security, request, timeouts_s)
        self._make_room(peer, 1)
        transaction = Transaction(peer, security, request, timeouts_s, from_any)
        wait = self._waiting[transaction] = _Wait(self._loop.create_future())
        self._single += 1
        try:
            if security.wants_keys and isinstance(security, UsmSecurity):
                await self._keys.equip(security)
            self._attempt(transaction, wait)
            answer = await wait.answer
            while isinstance(answer, AskAgain):
                answer = await self._repeat(transaction, wait)
            return answer
        finally:
            if wait.timer is not None:
                wait.timer.cancel()
            self._exchanges.close(transaction)
            del self._waiting[transaction]
            self._single -= 1

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
        """Have these requests under way at the same time, over UDP, and then those that `take` returns for their answers.

        `take` is called as soon as the last answer is there, or the time is over, on the loop's thread, so it must not block.
        This ends when it returns no request, and raises what `take` raises. One future and one timer serve all, and only the
        end wakes the task.
        Of several requests each is sent once, and all are waited for until `timeouts_s[0]` has passed; a single one is repeated
        as by `ask`. An SNMPv3 report counts as no reply: `ask` does what follows from it. The keys are to be there.
        """
        self._make_room(peer, len(requests))
        volley = Volley(self._link, peer, security, timeouts_s, from_any, take)
        try:
            volley.launch(requests)
            await volley.answer
        finally:
            volley.close()

    async def _repeat(self, transaction: Transaction, wait: "_Wait") -> Answer | AskAgain:
        """Ask again at once after a report. The timeout stops while keys are made; a late reply may still arrive."""
        if wait.timer is not None:
            wait.timer.cancel()
        wait.answer = self._loop.create_future()
        if wait.passed is not None:
            return wait.passed
        if isinstance(transaction.security, UsmSecurity):
            await self._keys.equip(transaction.security)
        if not wait.answer.done():
            self._counters.add(Count.SNMP_REQUESTS, "repeated")
            self._send(transaction, wait, self._exchanges.repeat(transaction, self._loop.time()))
        return await wait.answer

    def _attempt(self, transaction: Transaction, wait: "_Wait") -> None:
        if not wait.answer.done():
            self._guarded(self._attempt_or_give_up, transaction, wait)

    def _guarded(self, step: Callable[[Transaction, "_Wait"], None], transaction: Transaction, wait: "_Wait") -> None:
        try:
            step(transaction, wait)
        except Exception as error:  # noqa: BLE001 -- it belongs to the task that asks, which would wait for good
            if not wait.answer.done():
                wait.answer.set_exception(error)

    def _attempt_or_give_up(self, transaction: Transaction, wait: "_Wait") -> None:
        timer = wait.timer
        if timer is not None:
            self._catch_up(transaction.peer)
            if wait.answer.done() or wait.timer is not timer:
                return  # it is answered, or a report is doubted
        step = self._exchanges.attempt(transaction, self._loop.time())
        if step is None:
            wait.answer.set_result(self._exchanges.give_up(transaction))
            return
        self._counters.add(Count.SNMP_REQUESTS, transaction.kind)
        self._send(transaction, wait, step)

    def _send(self, transaction: Transaction, wait: "_Wait", step: tuple[bytes, float]) -> None:
        datagram, timeout_s = step
        failure = self._send_octets(transaction, datagram)
        if failure is not None:
            wait.answer.set_result(failure)
            return
        if wait.timer is not None:
            wait.timer.cancel()  # of a doubted report
        wait.timer = self._loop.call_later(timeout_s, self._attempt, transaction, wait)
        if (lull := self._lulls.get(_family(transaction.peer))) is not None:
            lull.hurry()

    def _send_octets(self, transaction: Transaction, datagram: bytes) -> NoReply | None:
        """None if the datagram was sent, or lost by the system for now; else the system's error."""
        peer = transaction.peer
        family = _family(peer)
        sock = self.sockets.get(family) or self._open(family)
        if (inbox := self._inboxes.get(family)) is not None:
            inbox.asked += 1
        if self._lulls:
            self._end_crowded_lull(family)
        try:
            try:
                sock.sendto(datagram, peer)
            except OSError:
                if not self._read_errors(sock):
                    raise
                sock.sendto(datagram, peer)  # the error was about an earlier datagram, perhaps of another device
        except OSError as error:
            if error.errno not in _PASSING and not self._read_errors(sock):
                return self._exchanges.give_up(transaction, Reason.UNREACHABLE, error.strerror or str(error))
        return None

    def _believe(self, transaction: Transaction, wait: "_Wait") -> None:
        if not wait.answer.done():
            self._guarded(self._believe_unless_answered, transaction, wait)

    def _believe_unless_answered(self, transaction: Transaction, wait: "_Wait") -> None:
        self._catch_up(transaction.peer)
        if not wait.answer.done():
            wait.answer.set_result(self._exchanges.believe(transaction))

    def _open(self, family: socket.AddressFamily) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "linux":
            sock.setsockopt(*RECVERR[family], 1)
        has_times = self._timekeeper is not None
        if has_times:
            sock.setsockopt(*TIMES, 1)
        holds = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // ANSWER_OCTETS
        now_s, now_ns = both_now(self._loop.time, time.time_ns)
        ahead_us, asleep_us = now_ns // 1000 - now_s * 1e6, _asleep_us(now_s)
        inbox = _Inbox(sock, family, FloodWatch(now_s), now_s, ahead_us, asleep_us, holds, has_times)
        self._loop.add_reader(sock, self._woken, inbox)
        self.sockets[family], self._inboxes[family] = sock, inbox
        return sock

    def _close(self, family: int) -> None:
        sock, lull = self.sockets.pop(family), self._lulls.pop(family, None)
        if lull is not None:
            lull.cancel()
        self._inboxes.pop(family, None)
        self._loop.remove_reader(sock)
        sock.close()

    def _make_room(self, peer: Peer, requests: int) -> None:
        """Read what has arrived if the socket might not hold it together with the answers to so many requests more.

        Many polls may start together, of devices that answer at once: an answer that finds no room would count as the device's
        silence.
        """
        inbox = self._inboxes.get(_family(peer))
        if inbox is not None and inbox.asked + requests > inbox.holds:
            self._catch_up(peer)

    def _catch_up(self, peer: Peer) -> None:
        """Read what has arrived while the agent was busy: nobody is silent whose answer waits to be read."""
        for _ in range(_CATCH_UP_WAKEUPS):
            inbox = self._inboxes.get(_family(peer))
            if inbox is None or self._read(inbox) < DATAGRAMS_A_WAKEUP:
                return

    def _woken(self, inbox: "_Inbox") -> None:
        """Read what has arrived; if that was little, and much is to come, what comes next is read some at a time."""
        if 0 < self._read(inbox) <= FEW_AT_ONCE and self._is_lull_worth(inbox):
            read, listen = partial(self._read_on, inbox), partial(self._listen, inbox)
            self._lulls[inbox.family] = Lull(self._loop, inbox.sock, read, listen)

    def _is_lull_worth(self, inbox: "_Inbox") -> bool:
        """Whether many answers to volleys are awaited, and not more in all than the socket has room for while nothing is read."""
        many, fit = len(self._waiting) - self._single >= FEWEST, len(self._waiting) <= inbox.holds
        return inbox.has_times and many and fit and self._inboxes.get(inbox.family) is inbox

    def _read_on(self, inbox: "_Inbox") -> bool:
        """Read what has arrived during a lull; whether there was any, and there is to be another one."""
        return 0 < self._read(inbox) < DATAGRAMS_A_WAKEUP and self._is_lull_worth(inbox)

    def _listen(self, inbox: "_Inbox") -> None:
        """From now on read what arrives as it arrives."""
        if self._inboxes.get(inbox.family) is inbox:
            self._lulls.pop(inbox.family, None)
            self._loop.add_reader(inbox.sock, self._woken, inbox)

    def _end_crowded_lull(self, family: socket.AddressFamily) -> None:
        """If more answers are awaited by now than there is room for, read what arrives."""
        lull, inbox = self._lulls.get(family), self._inboxes.get(family)
        if lull is not None and inbox is not None and len(self._waiting) > inbox.holds:
            lull.end()

    def _read(self, inbox: "_Inbox") -> int:
        """Read what has arrived, each with its own time; how many datagrams that were, DATAGRAMS_A_WAKEUP at most."""
        now_s, now_ns = both_now(self._loop.time, time.time_ns)
        sock, now_us = inbox.sock, now_ns // 1000
        most_late_us, ahead_us = (now_s - inbox.emptied_s) * 1e6 + _CLOCKS_APART_US, now_us - now_s * 1e6
        slept_us, moved_us = 0.0, ahead_us - inbox.ahead_us
        if abs(moved_us) > _CLOCKS_APART_US:
            slept_us = _asleep_us(now_s) - inbox.asleep_us
            if abs(moved_us - slept_us) > _CLOCKS_APART_US:
                most_late_us = -math.inf
        vain = count = 0
        while count < DATAGRAMS_A_WAKEUP:
            try:
                datagram, ancillary, _, peer = sock.recvmsg(0xFFFF, ANCILLARY_OCTETS)
            except BlockingIOError:
                if not count:  # woken by an error
                    self._read_errors(sock)
                inbox.emptied_s, inbox.ahead_us = now_s, ahead_us
                inbox.asleep_us += slept_us
                inbox.asked = 0
                break
            except OSError as error:
                if not self._read_errors(sock):
                    self._counters.add(Count.SNMP_DISCARDED, errno.errorcode.get(error.errno or 0, Discard.OS_ERROR))
                count += 1
                continue
            count += 1
            late_us = most_late_us
            if ancillary:  # nothing but TIMES is asked for
                seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
                at_us = seconds * 1_000_000 + nanoseconds // 1000
                late_us = now_us - at_us
                if late_us >= slept_us:
                    late_us -= slept_us  # it arrived before
            else:
                inbox.has_times = False  # emulated kernels accept options that they lack
            if -_LONG_READING_US < late_us < most_late_us:
                at_s = now_s - late_us / 1e6
            else:  # the kernel does not say, or the wall clock was set meanwhile
                at_s, at_us = self._loop.time(), time.time_ns() // 1000
            outcome = self._exchanges.receive(datagram, peer, at_s, at_us)
            if self._exchanges.changes:
                self._engine_log.take(self._exchanges)
            if isinstance(outcome, Discard):
                self._counters.add(Count.SNMP_DISCARDED, outcome)
                if outcome is not Discard.LATE:
                    vain += 1
                    self._exchanges.note_discard(peer, outcome, at_s)
                continue
            transaction, reply = outcome
            wait = self._waiting[transaction]
            if isinstance(wait, Volley):
                if not isinstance(reply, _REPORTS):
                    wait.settle(transaction, reply)
                    if not wait.open:
                        wait.go_on()
            elif isinstance(reply, Doubted):
                if wait.timer is not None:
                    wait.timer.cancel()
                wait.timer = self._loop.call_later(reply.wait_s, self._believe, transaction, wait)
            elif not wait.answer.done():  # it is done if its task was cancelled, or a later attempt could not be sent
                wait.answer.set_result(reply)
            elif not isinstance(reply, AskAgain):
                wait.passed = reply
        if vain and inbox.flood.read(vain, now_s):
            self._leave(inbox)
            return 0
        return count

    def _read_errors(self, sock: socket.socket) -> int:
        """Note ICMP errors for the requests to those addresses; how many there were."""
        errors = read_errors(sock)
        for peer, name, meaning in errors:
            self._counters.add(Count.SNMP_DISCARDED, name)
            if meaning is not None:
                for transaction in self._waiting:
                    if transaction.peer == peer:
                        transaction.unreachable = meaning
                if meaning[0] is Reason.UNREACHABLE:
                    self._exchanges.note_unreachable(peer, meaning, self._loop.time())
        return len(errors)

    def _leave(self, inbox: "_Inbox") -> None:
        """Close a flooded socket: the next request opens another one, and open requests are sent again there."""
        log.warning("SNMP socket is flooded, another port is used from now on", port=inbox.sock.getsockname()[1])
        self._close(inbox.family)


class _Wait:
    """The waiter for a transaction's answer, and its deadline. `passed`: an answer that came while it was about to ask again."""

    __slots__ = ("answer", "passed", "timer")

    def __init__(self, answer: asyncio.Future[Answer | AskAgain]) -> None:
        self.answer = answer
        self.timer: asyncio.TimerHandle | None = None
        self.passed: Answer | None = None


@dataclass(slots=True, eq=False)
class _Inbox:
    """A socket as it is read. `emptied_s`: when it was last read to its end, or a little before that. `ahead_us`: how far the
    wall clock was ahead of the loop's then; `asleep_us`: how long the machine had been suspended until then.

    `holds`: for how many answers its buffer is large enough. `has_times`: each has its own time. `asked`: how many requests have
    been sent since it was read to its end.
    """

    sock: socket.socket
    family: int
    flood: "FloodWatch"
    emptied_s: float
    ahead_us: float
    asleep_us: float
    holds: int
    has_times: bool
    asked: int = 0


def _asleep_us(now_s: float) -> float:
    """How long the machine has been suspended since it was started. `now_s`: the loop's clock."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1000 - now_s * 1e6


def both_now(time_s: Callable[[], float], wall_ns: Callable[[], int]) -> tuple[float, int]:
    """A monotonic clock in seconds and the wall clock in nanoseconds, of one moment, to half a millisecond.

    They are read again if the process was held up between the two: that would look as if the wall clock had been set.
    """
    for _ in range(_TRIES):
        before_s, now_ns, now_s = time_s(), wall_ns(), time_s()
        if now_s - before_s <= _HELD_UP_S:
            break
    return now_s, now_ns


def _family(peer: Peer) -> socket.AddressFamily:
    return socket.AF_INET if len(peer) == 2 else socket.AF_INET6


class FloodWatch:
    """Whether a socket is flooded, so that it should be replaced: datagrams to the old port then cost the agent nothing."""

    def __init__(self, opened_s: float) -> None:
        """`opened_s`: when the socket was opened, in seconds on a monotonic clock."""
        self._opened_s = opened_s
        self._window_s = opened_s
        self._vain = 0

    def read(self, vain: int, now_s: float) -> bool:
        """Note that this many datagrams answered nothing; whether to replace the socket."""
        if now_s - self._window_s >= FLOOD_WINDOW_S:
            self._window_s, self._vain = now_s, 0
        self._vain += vain
        return self._vain >= FLOOD and now_s - self._opened_s >= MOVE_AGAIN_S
