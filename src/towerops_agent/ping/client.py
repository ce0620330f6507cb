"""Pings devices: any number of them over one socket per address family.

The I/O around rounds.py: sockets, clocks, the wake-up when replies arrive. A round is opened, its echoes are sent one by one at
the caller's pace, and closed; `ask` does all three for a few echoes at once.
A reply's time of arrival is the kernel's, so an event loop that is busy makes no round trip longer.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from towerops_agent.counters import Count, Counters
from towerops_agent.ping.sockets import Arrival, Kind, NotSent, PingSocket
from towerops_agent.ping.wire.echo import TOKEN_OCTETS
from towerops_agent.ping.wire.rounds import Round, Rounds
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.reasons import Stray, Unsent
from towerops_agent.snmp.arrival import keep_times
from towerops_agent.snmp.client import both_now
from towerops_agent.snmp.wire.exchange import Peer

log = structlog.get_logger()

DATAGRAMS_A_WAKEUP: Final = 64
"""How many replies are read before other tasks get their turn."""

WAKEUPS_TO_CATCH_UP: Final = 64
"""How many times as many before a round ends with echoes unanswered: more than a socket's buffer holds, unless it is flooded."""

OPEN_AGAIN_S: Final = 60.0
"""How long a socket that could not be opened is not tried again: permissions are given while the agent runs."""

_TOKENS_AT_ONCE: Final = 256
"""A system call for each would be a tenth of an echo's cost."""

_drawn: list[bytes] = []


def random_token() -> bytes:
    """TOKEN_OCTETS octets of the system's randomness."""
    if not _drawn:
        octets = os.urandom(_TOKENS_AT_ONCE * TOKEN_OCTETS)
        _drawn.extend(octets[at : at + TOKEN_OCTETS] for at in range(0, len(octets), TOKEN_OCTETS))
    return _drawn.pop()


class PingClient:
    """Sends echo requests and notes their replies. Inert until entered; for any number of tasks of one event loop."""

    def __init__(
        self,
        counters: Counters,
        *,
        open_socket: Callable[[int], PingSocket] = PingSocket,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`open_socket`: opens one of an address family. `wall_ns`: the wall clock."""
        self._counters = counters
        self._open_socket = open_socket
        self._rounds = Rounds(random_token)
        self._wall_ns = wall_ns
        self._first_replies: dict[Round, asyncio.Future[None]] = {}
        self._failed: dict[int, tuple[float, NotSent]] = {}  # by family: when it could not be opened, and why
        self.sockets: dict[int, PingSocket] = {}
        """The open sockets, by address family; each is opened by the first echo that needs it."""
        self._timekeeper: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timekeeper = keep_times()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for sock in self.sockets.values():
            self._loop.remove_reader(sock.socket)
            sock.close()
        self.sockets.clear()
        if self._timekeeper is not None:
            self._timekeeper.close()
            self._timekeeper = None

    @property
    def open_rounds(self) -> int:
        """How many rounds have begun and not ended."""
        return len(self._rounds)

    def try_socket(self, family: int) -> Kind | NotSent:
        """The kind of socket of this address family; or why there is none."""
        sock = self._socket(family)
        return sock if isinstance(sock, NotSent) else sock.kind

    def begin(self, peer: Peer, sequence: int = 0) -> Round:
        """A new round of echoes to `peer`; `sequence`: the number of the first one."""
        return self._rounds.open(peer, sequence)

    def send(self, round_: Round) -> NotSent | None:
        """Send the round's next echo: None if it has gone out; else why not, which is counted."""
        not_sent = self._send(round_)
        if not_sent is not None:
            self._counters.add(Count.PINGS_UNSENT, not_sent.reason)
        return not_sent

    def _send(self, round_: Round) -> NotSent | None:
        sock = self._socket(_family(round_.peer))
        if isinstance(sock, NotSent):
            return sock
        echo = round_.next_echo()
        now_s, wall_ns = both_now(self._loop.time, self._wall_ns)
        not_sent = sock.send(echo, round_.peer)
        if not_sent is None:
            round_.sent(wall_ns, now_s)
        return not_sent

    def end(self, round_: Round) -> Tally:
        """What came of the round; replies to it are late from now on."""
        return self._close(round_, "lost")

    def abandon(self, round_: Round) -> None:
        """Forget the round: what has not come back is not lost, as nobody waits for it."""
        self._close(round_, "abandoned")

    def _close(self, round_: Round, unanswered: str) -> Tally:
        """`unanswered`: as what the echoes count that have not come back."""
        if round_.received < round_.count and (sock := self.sockets.get(_family(round_.peer))) is not None:
            self._catch_up(sock)
        self._first_replies.pop(round_, None)
        tally = self._rounds.close(round_)
        for result, count in (("answered", tally.received), (unanswered, tally.sent - tally.received)):
            if count:
                self._counters.add(Count.PINGS, result, count)
        return tally

    async def ask(self, peer: Peer, count: int, gap_s: float, wait_s: float, *, until_first: bool = False) -> Tally | NotSent:
        """What came of `count` echoes, `gap_s` apart, `wait_s` after the last one; or why none of them could be sent.

        `until_first`: be content with the first reply, and send no more then.
        """
        round_ = self.begin(peer)
        first = self._first_replies[round_] = self._loop.create_future()
        not_sent, unanswered = None, "abandoned"
        try:
            for place in range(count):
                not_sent = self.send(round_) or not_sent
                wait = wait_s if place == count - 1 else gap_s
                if not until_first:
                    await asyncio.sleep(wait)
                    continue
                await asyncio.wait([first], timeout=wait)
                if first.done():
                    break
            else:
                unanswered = "lost"
        finally:
            tally = self._close(round_, unanswered)
        return not_sent if not_sent is not None and not tally.sent else tally

    def _socket(self, family: int) -> PingSocket | NotSent:
        sock = self.sockets.get(family)
        if sock is not None:
            return sock
        now = self._loop.time()
        failed = self._failed.get(family)
        if failed is not None and now - failed[0] < OPEN_AGAIN_S:
            return failed[1]
        version = 6 if family == socket.AF_INET6 else 4
        try:
            sock = self._open_socket(family)
        except OSError as error:
            not_sent = NotSent.of(error)
            if not_sent.reason is Unsent.FORBIDDEN:
                not_sent = NotSent(Unsent.NO_PERMISSION, not_sent.detail)
            if failed is None:
                reason = not_sent.reason
                log.warning(
                    "pings can't be sent, will retry", ip=version, reason=reason, detail=not_sent.detail, hint=reason.hint
                )
            self._failed[family] = now, not_sent
            return not_sent
        if self._failed.pop(family, None) is not None:
            log.info("pings can be sent again", ip=version, socket=sock.kind)
        self._loop.add_reader(sock.socket, self._read, sock)
        self.sockets[family] = sock
        return sock

    def _catch_up(self, sock: PingSocket) -> None:
        """Read all that has arrived: if the event loop was held up, replies that came in time are still to be read."""
        for _ in range(WAKEUPS_TO_CATCH_UP):
            if not self._read(sock):
                break

    def _read(self, sock: PingSocket) -> bool:
        """Read some replies; whether there may be more."""
        now_s, wall_ns = both_now(self._loop.time, self._wall_ns)
        for _ in range(DATAGRAMS_A_WAKEUP):
            try:
                arrival = sock.receive()
            except BlockingIOError:
                return False
            except OSError:  # about an echo that was sent: it is lost
                self._counters.add(Count.PINGS_DISCARDED, Stray.OS_ERROR)
                continue
            if isinstance(arrival, Arrival):
                if arrival.arrived_ns is None or arrival.arrived_ns > wall_ns:  # it came since, while this process was held up
                    now_s, wall_ns = both_now(self._loop.time, self._wall_ns)
                found = self._rounds.receive(arrival.echo, arrival.source, arrival.arrived_ns, wall_ns, now_s)
            elif arrival is None:
                continue
            else:
                found = arrival
            if isinstance(found, Stray):
                self._counters.add(Count.PINGS_DISCARDED, found)
            elif (first := self._first_replies.get(found)) is not None and not first.done():
                first.set_result(None)
        return True


def _family(peer: Peer) -> int:
    return socket.AF_INET if len(peer) == 2 else socket.AF_INET6
