"""The client with a socket that lies: late, doubled, foreign and forged replies, and errors of all kinds; in virtual time."""

import asyncio
import errno
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support import virtual_time
from towerops_agent.counters import Count, Counters
from towerops_agent.ping.client import OPEN_AGAIN_S, PingClient, random_token
from towerops_agent.ping.sockets import Arrival, Kind, NotSent
from towerops_agent.ping.wire.echo import TOKEN_OCTETS
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.reasons import Stray, Unsent

PEER = ("192.0.2.1", 0)
OTHER = ("192.0.2.2", 0)


class FakeSocket:
    """A socket whose replies come as `reply` says: [(after how many seconds, what is received), …] for each echo."""

    kind = Kind.UNPRIVILEGED
    has_kernel_times = True

    def __init__(self, reply, failing=lambda: None):
        self._reply = reply
        self._failing = failing
        self._queue = []
        self.socket, self._other = socket.socketpair()
        self.socket.setblocking(False)
        self.sent = []

    def send(self, echo, peer):
        if (not_sent := self._failing()) is not None:
            return not_sent
        self.sent.append((echo, peer))
        for after_s, what in self._reply(echo, peer):
            asyncio.get_running_loop().call_later(after_s, self.arrive, what)
        return None

    def arrive(self, what):
        if not self._queue:
            self._other.send(b"!")
        self._queue.append(what)

    def receive(self):
        if not self._queue:
            self.socket.recv(4096)
            raise BlockingIOError
        what = self._queue.pop(0)
        if isinstance(what, OSError):
            raise what
        return what

    def close(self):
        self.socket.close()
        self._other.close()


@dataclass
class Bench:
    client: PingClient
    counters: Counters
    opened: list = field(default_factory=list)


@asynccontextmanager
async def bench(reply=lambda _echo, _peer: [], failing=lambda: None, opening=lambda: None):
    counters = Counters()

    def open_socket(_family):
        opening()
        made.opened.append(FakeSocket(reply, failing))
        return made.opened[-1]

    clock_ns = lambda: round(asyncio.get_running_loop().time() * 1e9)  # noqa: E731
    async with PingClient(counters, open_socket=open_socket, wall_ns=clock_ns) as client:
        made = Bench(client, counters)
        yield made
        assert client.open_rounds == 0


def in_virtual_time(test):
    """The test, run by an event loop whose clock leaps."""

    def run():
        virtual_time.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_virtual_time
async def test_each_echo_has_its_own_round_trip():
    delays_s = iter([0.010, 0.030, 0.020])
    async with bench(lambda echo, peer: [(next(delays_s), Arrival(echo, peer, None))]) as at:
        assert await at.client.ask(PEER, 3, 0.1, 1.0) == Tally(3, 3, 10_000, 20_000, 30_000, 15_000)
        assert at.counters.by_reason(Count.PINGS) == {"answered": 3}


@pytest.mark.parametrize("has_kernel_times", [True, False])
def test_what_comes_while_the_process_is_held_up_as_it_reads_has_taken_as_long_as_it_has(has_kernel_times):
    """Between its look at the clocks and the reading: by that look a reply would be back sooner than it was sent by its host."""

    async def held_up():
        loop = asyncio.get_running_loop()
        async with bench() as at:
            round_ = at.client.begin(PEER)
            at.client.send(round_)
            (sock,) = at.opened
            receive = sock.receive

            def receive_later():
                sock.receive = receive
                loop.now += 0.1
                return Arrival(sock.sent[0][0], PEER, round(loop.now * 1e9) if has_kernel_times else None)

            sock.receive = receive_later
            assert at.client.end(round_) == Tally(1, 1, 100_000, 100_000, 100_000)

    virtual_time.run(held_up())


@in_virtual_time
async def test_a_reply_after_the_round_is_late_and_its_echo_lost():
    async with bench(lambda echo, peer: [(2.0, Arrival(echo, peer, None))]) as at:
        assert await at.client.ask(PEER, 2, 0.1, 1.0) == Tally(2, 0)
        await asyncio.sleep(3)
        assert at.counters.by_reason(Count.PINGS_DISCARDED) == {"late": 2}
        assert at.counters.by_reason(Count.PINGS) == {"lost": 2}


@in_virtual_time
async def test_what_has_come_back_before_the_end_is_not_lost_though_the_loop_was_held_up_and_read_none_of_it():
    """However many replies there are: those of a thousand rounds that end together."""
    async with bench() as at:
        rounds = [at.client.begin(PEER) for _ in range(1000)]
        for round_ in rounds:
            at.client.send(round_)
        for echo, peer in at.opened[0].sent:
            at.opened[0].arrive(Arrival(echo, peer, None))
        assert {at.client.end(round_).received for round_ in rounds} == {1}
        assert at.counters.by_reason(Count.PINGS) == {"answered": 1000}


@in_virtual_time
async def test_lies_are_counted_by_their_kind_and_the_truth_counts_once():
    def reply(echo, peer):
        return [
            (0.01, Arrival(replace(echo, token=b"8 octets"), peer, None)),
            (0.02, Arrival(replace(echo, sequence=echo.sequence + 9), peer, None)),
            (0.03, Arrival(echo, OTHER, None)),
            (0.04, Stray.MALFORMED),
            (0.05, None),  # another program's
            (0.06, OSError(errno.EHOSTUNREACH, "No route to host")),
            (0.07, Arrival(echo, peer, None)),
            (0.08, Arrival(echo, peer, None)),
        ]

    async with bench(reply) as at:
        assert await at.client.ask(PEER, 1, 0.0, 1.0) == Tally(1, 1, 70_000, 70_000, 70_000)
        assert at.counters.by_reason(Count.PINGS_DISCARDED) == {
            "forged": 2,
            "foreign_peer": 1,
            "malformed": 1,
            "os_error": 1,
            "double": 1,
        }


@in_virtual_time
async def test_the_first_reply_is_enough_if_that_is_the_question():
    async with bench(lambda echo, peer: [(0.05, Arrival(echo, peer, None))] if echo.sequence else []) as at:
        before = asyncio.get_running_loop().time()
        found = await at.client.ask(PEER, 5, 0.5, 2.0, until_first=True)
        assert (found.sent, found.received) == (2, 1)
        assert asyncio.get_running_loop().time() - before == pytest.approx(0.55)


@in_virtual_time
async def test_an_echo_that_nobody_waits_for_any_more_is_not_lost():
    """The reply to the first one comes after the second was sent, and is enough; without any reply both are lost."""
    async with bench(lambda echo, peer: [(0.6, Arrival(echo, peer, None))] if peer == PEER else []) as at:
        found = await at.client.ask(PEER, 3, 0.5, 2.0, until_first=True)
        assert (found.sent, found.received) == (2, 1)
        assert at.counters.by_reason(Count.PINGS) == {"answered": 1, "abandoned": 1}
        await at.client.ask(("192.0.2.2", 0), 3, 0.5, 2.0, until_first=True)
        assert at.counters.by_reason(Count.PINGS) == {"answered": 1, "abandoned": 1, "lost": 3}


@pytest.mark.parametrize("reason", [Unsent.NO_ROUTE, Unsent.FORBIDDEN, Unsent.NO_BUFFERS])
def test_what_could_not_be_sent_does_not_count_as_lost(reason):
    async def test():
        async with bench(failing=lambda: NotSent(reason, "as the system says it")) as at:
            assert await at.client.ask(PEER, 3, 0.1, 1.0) == NotSent(reason, "as the system says it")
            assert at.counters.by_reason(Count.PINGS_UNSENT) == {reason: 3}
            assert at.counters.total(Count.PINGS) == 0

    virtual_time.run(test())


@in_virtual_time
async def test_an_echo_that_could_not_be_sent_is_not_among_those_sent():
    failing = iter([None, NotSent(Unsent.NO_BUFFERS), None])
    async with bench(lambda echo, peer: [(0.01, Arrival(echo, peer, None))], failing=lambda: next(failing)) as at:
        found = await at.client.ask(PEER, 3, 0.1, 1.0)
        assert (found.sent, found.received) == (2, 2)
        assert [echo.sequence for echo, _ in at.opened[0].sent] == [0, 1]


@in_virtual_time
async def test_without_permission_it_is_said_once_and_tried_again_each_minute():
    forbidden = [PermissionError(errno.EPERM, "Operation not permitted")]

    def opening():
        if forbidden:
            raise forbidden[0]

    with capture_logs() as logs:
        async with bench(lambda echo, peer: [(0.01, Arrival(echo, peer, None))], opening=opening) as at:
            for _ in range(3):
                assert await at.client.ask(PEER, 1, 0.0, 1.0) == NotSent(Unsent.NO_PERMISSION, "Operation not permitted")
            forbidden.clear()
            assert isinstance(await at.client.ask(PEER, 1, 0.0, 1.0), NotSent)
            await asyncio.sleep(OPEN_AGAIN_S)
            assert (await at.client.ask(PEER, 1, 0.0, 1.0)).received == 1
            assert at.counters.by_reason(Count.PINGS_UNSENT) == {"no_permission": 4}
    assert [(line["event"], line.get("reason")) for line in logs] == [
        ("pings can't be sent, will retry", "no_permission"),
        ("pings can be sent again", None),
    ]


@in_virtual_time
async def test_a_question_that_is_given_up_leaves_nothing_behind():
    async with bench() as at:
        asking = asyncio.ensure_future(at.client.ask(PEER, 5, 1.0, 1.0))
        await asyncio.sleep(2.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert at.client.open_rounds == 0


def timed_sockets():
    """How many of this process's sockets have the kernel note when datagrams arrive (SO_TIMESTAMPNS_NEW)."""
    count = 0
    for open_file in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(open_file.name))) as copy:
                count += copy.getsockopt(socket.SOL_SOCKET, 64)
        except OSError:  # no socket, or closed meanwhile
            continue
    return count


@in_virtual_time
async def test_the_kernel_is_asked_for_times_of_arrival_before_there_is_anything_to_send():
    """It notes them only some time after it was asked: the first reply would have the time of its reading."""
    before = timed_sockets()
    async with PingClient(Counters()) as client:
        assert not client.sockets
        assert timed_sockets() == before + 1
    assert timed_sockets() == before


def test_tokens_are_as_long_as_they_should_be_and_never_the_same():
    tokens = [random_token() for _ in range(1000)]
    assert len(set(tokens)) == 1000
    assert {len(token) for token in tokens} == {TOKEN_OCTETS}
