"""The client over real UDP sockets, with peers that do all that UDP and faulty firmware do."""

import asyncio
import errno
import itertools
import socket
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from support import asking
from support.answers import answer
from support.hang import HANG_S
from towerops_agent.counters import Count
from towerops_agent.snmp import client as snmp_client
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

UP_TIME = "1.3.6.1.2.1.1.3.0"
REQUEST = asking.request(UP_TIME)
PATIENT_S = asking.PATIENT_S


def answers_after(lost, reply=answer):
    """A peer that loses so many datagrams first; `seen` are those that it got."""
    seen = []

    def peer(datagram, _uptime_s):
        seen.append(datagram)
        return reply(datagram) if len(seen) > lost else None

    return peer, seen


async def ask(client, port, timeouts_s=PATIENT_S):
    return await client.ask(("127.0.0.1", port), asking.security(), REQUEST, timeouts_s)


async def test_a_request_is_sent_again_until_it_is_answered():
    peer, seen = answers_after(2)
    async with asking.open_client() as (client, counters), serve(peer) as port:
        reply = await ask(client, port, (0.01, 0.01, HANG_S))
        assert reply.pdu.values == [4711]
        assert len(seen) == len(set(seen)) == 3
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 1, "retried": 2}


async def test_silence_is_a_timeout_after_the_last_attempt():
    peer, seen = answers_after(99)
    async with asking.open_client() as (client, counters), serve(peer) as port:
        assert await ask(client, port, (0.01, 0.01)) == NoReply("timeout", 2)
        while len(seen) < 2:  # noqa: ASYNC110 -- the peer reads the last one as soon as the loop comes to it
            await asyncio.sleep(0)
        assert len(seen) == 2
        assert counters.total(Count.SNMP_DISCARDED) == 0


async def test_a_reply_to_the_first_attempt_is_taken_after_the_second_was_sent():
    """And the reply to the second one, which comes along, is discarded as late."""
    held = []

    def peer(datagram, _uptime_s):
        held.append(answer(datagram, ticks=len(held) + 1))
        return held if len(held) == 2 else None

    async with asking.open_client() as (client, counters), serve(peer) as port:
        reply = await ask(client, port, (0.01, HANG_S))
        assert reply.pdu.values == [1]
        assert await counted(counters, "late") == {"late": 1}


async def test_replies_without_a_time_of_arrival_that_are_read_at_one_wakeup_have_a_time_each(monkeypatch):
    """Else one that comes while another is read would be dated before it was sent. Nor does the kernel's time count here, as the
    wall clock was set in between."""
    ticks = itertools.count(1_000_000, 1000)
    clocks = {name: getattr(time, name) for name in ("monotonic", "clock_gettime_ns", "CLOCK_BOOTTIME")}
    monkeypatch.setattr(snmp_client, "time", SimpleNamespace(time_ns=lambda: next(ticks), **clocks))
    with ExitStack() as stack:
        peers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for peer in peers:
            peer.bind(("127.0.0.1", 0))
        async with asking.open_client() as (client, _):
            waiting = [asyncio.create_task(ask(client, peer.getsockname()[1])) for peer in peers]
            requests = [await asyncio.to_thread(peer.recvfrom, 2000) for peer in peers]
            for peer, (datagram, sender) in zip(peers, requests, strict=True):
                peer.sendto(answer(datagram), sender)
            replies = await asyncio.gather(*waiting)
    first, second = (reply.received_us for reply in replies)
    assert 1000 < first < second < 2000


async def counted(counters, reason, n=1):
    """What was discarded, once so many were for that reason."""
    while counters.get(Count.SNMP_DISCARDED, reason) < n:  # noqa: ASYNC110 - a counter is not an event
        await asyncio.sleep(0)
    return counters.by_reason(Count.SNMP_DISCARDED)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (lambda _: b"no SNMP at all", "malformed"),
        (lambda datagram: answer(datagram)[:-3], "malformed"),
        (lambda _: b"\x30\x84\xff\xff\xff\xff" + b"\0" * 59_994, "malformed"),
        (lambda datagram: datagram, "not_a_response"),
        (lambda datagram: answer(datagram).replace(b"public", b"PUBLIC"), "wrong_community"),
    ],
    ids=["garbage", "truncated", "60,000 octets", "echo", "community"],
)
async def test_what_is_not_a_reply_changes_nothing_and_is_counted(first, reason):
    """The reply behind it is taken, and the request is not sent again for it."""
    async with (
        asking.open_client() as (client, counters),
        serve(lambda datagram, _: [first(datagram), answer(datagram)]) as port,
    ):
        assert (await ask(client, port)).pdu.values == [4711]
        assert counters.by_reason(Count.SNMP_DISCARDED) == {reason: 1}
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 1}


async def test_an_answer_of_60_000_octets_is_read_whole():
    large = asking.request("1.3.6.1.2.1.1.1.0")
    device = SimulatedDevice({parse_oid("1.3.6.1.2.1.1.1.0"): (ber.OCTET_STRING, b"x" * 60_000)}, max_octets=65_507)
    async with serve(device) as port:
        assert (await asking.ask(port, large)).pdu.values == [b"x" * 60_000]


async def test_a_double_reply_is_counted_and_disturbs_no_later_request():
    async with asking.open_client() as (client, counters), serve(lambda datagram, _: [answer(datagram)] * 3) as port:
        for _ in range(3):
            assert isinstance(await ask(client, port), Reply)
        assert await counted(counters, "late", 6) == {"late": 6}


async def test_a_reply_from_another_port_is_not_taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))

        def peer(datagram, _uptime_s):
            other.sendto(answer(datagram, ticks=666), client_address(client))
            return answer(datagram)

        async with asking.open_client() as (client, counters), serve(peer) as port:
            assert (await ask(client, port)).pdu.values == [4711]
            assert await counted(counters, "foreign_peer") == {"foreign_peer": 1}


def client_address(client):
    """Where the client's IPv4 socket gets its replies."""
    return ("127.0.0.1", client.sockets[socket.AF_INET].getsockname()[1])


async def test_many_devices_are_asked_at_once_each_by_its_own_answer():
    """200 requests to two devices on one socket."""
    async with (
        asking.open_client() as (client, _),
        serve(lambda datagram, _: answer(datagram, 1)) as one,
        serve(lambda datagram, _: answer(datagram, 2)) as other,
    ):
        replies = await asyncio.gather(*(ask(client, port) for port in (one, other) * 100))
        assert [reply.pdu.values for reply in replies] == [[1], [2]] * 100
        assert len(client.sockets) == 1


async def test_cancelling_a_request_leaves_nothing_behind():
    """Its reply, when it comes at last, is late."""
    arrived, held = asyncio.Event(), []

    def peer(datagram, _uptime_s):
        arrived.set()
        held.append(datagram)

    async with asking.open_client() as (client, counters), serve(peer) as port:
        task = asyncio.create_task(ask(client, port))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.is_idle
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.sendto(answer(held[0]), client_address(client))
        assert await counted(counters, "late") == {"late": 1}


async def test_an_answered_request_leaves_nothing_behind():
    async with asking.open_client() as (client, _), serve(lambda datagram, _: answer(datagram)) as port:
        await ask(client, port)
        assert client.is_idle


async def test_closing_ends_the_requests_under_way_and_opens_no_socket_again():
    arrived = asyncio.Event()
    async with serve(lambda *_: arrived.set()) as port:
        async with asking.open_client() as (client, _):
            task = asyncio.create_task(ask(client, port, (60.0, 60.0)))
            await arrived.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (client.is_idle, client.sockets) == (True, {})


class Refusing:
    """A socket whose sends fail with these errors, in turn; then it sends."""

    def __init__(self, real, *errors):
        self.real, self.errors = real, list(errors)

    def sendto(self, datagram, peer):
        if self.errors:
            error = self.errors.pop(0)
            raise OSError(error, "as the system says it")
        return self.real.sendto(datagram, peer)

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.mark.parametrize("error", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.EMSGSIZE])
async def test_a_datagram_that_the_system_refuses_is_not_a_timeout(error):
    """It is said at once, with the system's words."""
    async with asking.open_client() as (client, _):
        client.sockets[socket.AF_INET] = Refusing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), error)
        assert await ask(client, 161, (60.0,)) == NoReply("unreachable", 1, "as the system says it")
        assert client.is_idle


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOBUFS])
async def test_a_full_send_buffer_is_like_a_datagram_lost(error):
    peer, seen = answers_after(0)
    async with asking.open_client() as (client, _), serve(peer) as port:
        await ask(client, port)
        client.sockets[socket.AF_INET] = Refusing(client.sockets[socket.AF_INET], error)
        seen.clear()
        assert isinstance(await ask(client, port, (0.01, HANG_S)), Reply)
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("host", "peer"),
    [("127.0.0.1", ("127.0.0.1", 1161)), ("::1", ("::1", 1161, 0, 0)), ("0:0:0:0:0:0:0:1", ("::1", 1161, 0, 0))],
)
async def test_an_address_needs_no_resolver(host, peer, monkeypatch):
    async with asking.open_client() as (client, _):
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", None)
        assert await client.resolve(host, 1161) == [peer]


async def test_a_name_is_resolved_by_the_system():
    async with asking.open_client() as (client, _):
        assert {peer[:2] for peer in await client.resolve("localhost", 1161)} <= {("127.0.0.1", 1161), ("::1", 1161)}
        with pytest.raises(socket.gaierror):
            await client.resolve("no-such-host.invalid", 161)


async def test_a_flood_at_the_socket_is_left_behind_and_devices_are_answered(monkeypatch):
    """The next request goes out from another port; what floods the old one is never read again."""
    monkeypatch.setattr(snmp_client, "MOVE_AGAIN_S", 0.0)
    monkeypatch.setattr(snmp_client, "FLOOD_WINDOW_S", 3600.0)  # the machine may be slow
    peer, _ = answers_after(0)
    async with asking.open_client() as (client, counters), serve(peer) as port:
        await ask(client, port)
        (flooded,) = client.sockets.values()
        address = flooded.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            while client.sockets:  # read 64 at a time, between our turns
                for _ in range(100):
                    flooder.sendto(b"junk", ("127.0.0.1", address[1]))
                await asyncio.sleep(0)
            assert (await ask(client, port)).pdu.values == [4711]
            (fresh,) = client.sockets.values()
            assert fresh.getsockname() != address
            discarded = counters.total(Count.SNMP_DISCARDED)
            flooder.sendto(b"junk", ("127.0.0.1", address[1]))
            assert (await ask(client, port)).pdu.values == [4711]
        assert discarded == counters.total(Count.SNMP_DISCARDED) >= snmp_client.FLOOD


async def test_a_request_under_way_when_a_flooded_socket_is_left_is_asked_again_from_the_new_one(monkeypatch):
    monkeypatch.setattr(snmp_client, "MOVE_AGAIN_S", 0.0)
    monkeypatch.setattr(snmp_client, "FLOOD_WINDOW_S", 3600.0)  # the machine may be slow
    peer, seen = answers_after(1)
    async with asking.open_client() as (client, _), serve(peer) as port:
        asked = asyncio.create_task(ask(client, port, (0.3, *PATIENT_S)))
        while not seen:  # noqa: ASYNC110 -- the peer notifies nobody
            await asyncio.sleep(0)
        (flooded,) = client.sockets.values()
        address = flooded.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            while flooded in client.sockets.values():
                for _ in range(100):
                    flooder.sendto(b"junk", ("127.0.0.1", address[1]))
                await asyncio.sleep(0)
        assert (await asked).pdu.values == [4711]
        assert len(seen) >= 2


@pytest.mark.parametrize("together", [False, True])
async def test_an_answer_that_waits_to_be_read_when_its_time_is_over_counts(monkeypatch, together):
    """As after a moment in which the agent was busy: more answers have arrived than are read at one wakeup."""
    monkeypatch.setattr(snmp_client, "DATAGRAMS_A_WAKEUP", 1)
    loop = asyncio.get_running_loop()

    def answer_all_and_be_busy(timeout_s):
        """Within a callback of the loop, so that nothing is read until the time of the requests is over."""
        for datagram, peer in [device.recvfrom(0xFFFF) for _ in range(3)]:
            device.sendto(answer(datagram), peer)
        over_at = loop.time() + timeout_s
        while loop.time() <= over_at:
            pass

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind(("127.0.0.1", 0))
        async with asking.open_client() as (client, counters):
            loop.add_reader(device, answer_all_and_be_busy, 0.3)
            port = device.getsockname()[1]
            if together:
                replies = await asking.ask_together(client, port, asking.security(), [REQUEST] * 3, (0.3,))
            else:
                replies = await asyncio.gather(*(ask(client, port, (0.3,)) for _ in range(3)))
            loop.remove_reader(device)
            assert [type(reply) for reply in replies] == [Reply] * 3
            assert counters.by_reason(Count.SNMP_DISCARDED) == {}
            assert client.is_idle


class WithoutMemory:
    """A socket that sends once."""

    def __init__(self, real):
        self.real, self.sent = real, 0

    def sendto(self, datagram, peer):
        self.sent += 1
        if self.sent > 1:
            raise MemoryError
        return self.real.sendto(datagram, peer)

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.mark.parametrize("together", [False, True])
async def test_an_error_at_a_repetition_is_raised_by_who_asked_who_would_wait_for_good(together):
    async with asking.open_client() as (client, _), serve(lambda _datagram, _uptime_s: None) as port:
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.setblocking(False)
        client.sockets[socket.AF_INET] = WithoutMemory(silent)
        timeouts_s = (0.01, 60.0)
        how = asking.security()
        asked = asking.ask_together(client, port, how, [REQUEST], timeouts_s) if together else ask(client, port, timeouts_s)
        with pytest.raises(MemoryError):
            await asked
        assert client.is_idle


async def test_each_of_several_requests_that_can_t_be_sent_is_reported_at_once():
    async with asking.open_client() as (client, _):
        real = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sockets[socket.AF_INET] = Refusing(real, *[errno.EPERM] * 3)
        replies = await asking.ask_together(client, 161, asking.security(), [REQUEST] * 3, (60.0,))
        assert replies == [NoReply("unreachable", 1, "as the system says it")] * 3
        assert client.is_idle


@pytest.mark.parametrize("together", [1, 4])
async def test_many_that_are_asked_at_once_and_answer_at_once_find_room_in_the_socket_s_buffer(monkeypatch, together):
    """None of their answers is lost by the agent itself, which would take it for the device's silence.

    Each is sent while the request is being sent, as fast as a device can be, and the buffer is for a tenth of them.
    """
    devices = 400 // together
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind(("127.0.0.1", 0))
        port = device.getsockname()[1]

        class Quick(socket.socket):
            def sendto(self, datagram, peer):
                sent = super().sendto(datagram, peer)
                device.sendto(answer(*device.recvfrom(2000)[:1]), self.getsockname())
                return sent

        monkeypatch.setattr(snmp_client, "RECEIVE_BUFFER_OCTETS", 16_384)
        monkeypatch.setattr(snmp_client.socket, "socket", Quick)
        async with asking.open_client() as (client, counters):
            if together == 1:
                replies = await asyncio.gather(*(ask(client, port, (0.05,)) for _ in range(devices)))
            else:
                how, wanted = asking.security(), [REQUEST] * together
                each = (asking.ask_together(client, port, how, wanted, (0.05,)) for _ in range(devices))
                replies = [reply for several in await asyncio.gather(*each) for reply in several]
            assert [reply.pdu.values for reply in replies] == [[4711]] * 400
            assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 400}
