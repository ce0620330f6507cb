"""SNMP over TCP, with real connections: kept, re-opened, and cut into messages whatever comes."""

import asyncio
import errno
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import asking, usm_agent
from support.answers import answer
from support.hang import HANG_S
from support.usm_agent import UsmAgent
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.engines import EngineLog, KeyDerivation
from towerops_agent.snmp.tcp import MAX_MESSAGE_OCTETS, Framer, TcpConnections
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Exchanges, NoReply, Reply, Transaction
from towerops_agent.snmp.wire.usm import UsmSecurity
from towerops_lab.simulator.server import serve

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")
PATIENT_S = asking.PATIENT_S


class Server:
    """A device that speaks TCP. `behave(request, writer)` does what it does.

    `opened`: how many connections it got. `ended`: set once one has ended.
    """

    def __init__(self, behave):
        self.behave = behave
        self.opened = 0
        self.requests = []
        self.writers = []
        self.ended = asyncio.Event()

    async def serve(self, reader, writer):
        self.opened += 1
        self.writers.append(writer)
        framer = Framer()
        while octets := await reader.read(65536):
            for request in framer.feed(octets):
                self.requests.append(request)
                self.behave(request, writer)
        self.ended.set()
        writer.close()


@asynccontextmanager
async def listening(behave):
    """A Server, and its port."""
    device = Server(behave)
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    try:
        yield device, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in device.writers:
            writer.close()
        await server.wait_closed()


@asynccontextmanager
async def listening_with_datagrams(behave):
    """A Server, its port, and a socket for datagrams at the same port: another program may have that of the first one tried."""
    async with AsyncExitStack() as stack:
        while True:
            device, port = await stack.enter_async_context(listening(behave))
            same = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                same.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                yield device, port, same
                return


async def ask(client, port, timeouts_s=PATIENT_S, security=None):
    return await client.ask(("127.0.0.1", port), security or asking.security(), REQUEST, timeouts_s, over_tcp=True)


def reply(request, writer):
    writer.write(answer(request))


async def test_one_connection_serves_all_requests_to_a_device():
    async with asking.open_client() as (client, counters), listening(reply) as (device, port):
        for _ in range(3):
            assert (await ask(client, port)).pdu.values == [4711]
        replies = await asyncio.gather(*(ask(client, port) for _ in range(20)))
        assert all(isinstance(one, Reply) for one in replies)
        assert (device.opened, len(client.connected)) == (1, 1)
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 23}


async def test_requests_that_begin_together_open_one_connection():
    async with asking.open_client() as (client, _), listening(reply) as (device, port):
        await asyncio.gather(*(ask(client, port) for _ in range(5)))
        assert device.opened == 1


async def test_a_reply_is_read_in_whatever_pieces_it_comes():
    """One octet at a time, and behind a reply to nobody in the same segment."""

    def dribble(request, writer):
        octets = answer(request)
        stale = octets.replace(octets[17:21], b"\x01\0\0\1")
        for octet in stale + octets:
            writer.write(bytes([octet]))

    async with asking.open_client() as (client, _), listening(dribble) as (_, port):
        assert (await ask(client, port)).pdu.values == [4711]


async def test_a_connection_that_the_device_closed_is_opened_again_for_the_next_request():
    def answer_and_close(request, writer):
        reply(request, writer)
        writer.close()

    async with asking.open_client() as (client, _), listening(answer_and_close) as (device, port):
        for _ in range(3):
            assert isinstance(await ask(client, port), Reply)
        assert device.opened == 3


async def test_a_kept_connection_that_closes_on_the_request_is_opened_again_once():
    async with asking.open_client() as (client, counters), listening(reply) as (device, port):
        await ask(client, port)
        behaviours = [lambda request, writer: writer.transport.abort(), reply]

        def behave(request, writer):
            behaviours.pop(0)(request, writer)

        device.behave = behave
        assert isinstance(await ask(client, port), Reply)
        assert device.opened == 2
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 2, "retried": 1}


async def test_a_kept_connection_that_is_dead_without_a_word_is_opened_again_after_the_first_timeout():
    async with asking.open_client() as (client, _), listening(reply) as (device, port):
        await ask(client, port)
        first = device.writers[0]
        device.behave = lambda request, writer: None if writer is first else reply(request, writer)
        assert isinstance(await ask(client, port, (0.01, HANG_S)), Reply)
        assert device.opened == 2


async def test_a_fresh_connection_that_closes_is_not_an_answer():
    async with asking.open_client() as (client, _), listening(lambda _, writer: writer.close()) as (device, port):
        assert await ask(client, port) == NoReply("unreachable", 1, "the device closed the connection")
        assert (device.opened, len(client.connected)) == (1, 0)


async def test_on_a_live_connection_a_request_is_sent_once_and_silence_is_a_timeout():
    """TCP repeats what is lost. The connection is closed then: what still comes is nobody's."""
    async with asking.open_client() as (client, _), listening(lambda *_: None) as (device, port):
        assert await ask(client, port, (0.01, 0.02)) == NoReply("timeout", 1)
        await device.ended.wait()
        assert (len(device.requests), len(client.connected)) == (1, 0)


async def test_a_refused_connection_is_reported_at_once():
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        async with asking.open_client() as (client, _):
            no_reply = await ask(client, bound.getsockname()[1], (60.0,))
            assert (no_reply.reason, no_reply.attempts) == ("refused", 1)
            assert "refused" in no_reply.detail


async def test_a_device_that_can_t_be_reached_is_reported_at_once(monkeypatch):
    async with asking.open_client() as (client, _):

        async def fail(*_):
            raise OSError(113, "No route to host")

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
        assert await ask(client, 161, (60.0,)) == NoReply("unreachable", 1, "No route to host")


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80"])
async def test_garbage_ends_the_connection_and_is_counted(garbage):
    """There is no telling where the next message begins."""
    async with asking.open_client() as (client, counters), listening(lambda _, writer: writer.write(garbage)) as (device, port):
        no_reply = await ask(client, port)
        assert no_reply.reason == "unreachable"
        assert no_reply.detail == "connection closed, as the device sends what is not SNMP"  # and not "the device closed" it
        assert counters.by_reason(Count.SNMP_DISCARDED) == {"malformed": 1}
        device.behave = reply
        assert isinstance(await ask(client, port), Reply)


async def test_a_message_that_is_not_a_reply_changes_nothing():
    def noise(request, writer):
        foreign = answer(request).replace(b"public", b"PUBLIC")
        writer.write(request + ber.encode(ber.SEQUENCE, b"no SNMP") + foreign + answer(request))

    async with asking.open_client() as (client, counters), listening(noise) as (_, port):
        assert isinstance(await ask(client, port), Reply)
        assert counters.by_reason(Count.SNMP_DISCARDED) == {"not_a_response": 1, "malformed": 1, "wrong_community": 1}


async def test_a_silence_says_why_what_the_device_sent_meanwhile_was_discarded():
    """As over UDP: it has another community, or another SNMP version than the request."""
    exchanges, counters, peer = Exchanges(lambda: 0x01020304), Counters(), ("127.0.0.1", 161)
    connections = TcpConnections(counters, exchanges, KeyDerivation(lambda low, _: low), EngineLog(counters, str, lambda: 0.0))
    transaction = Transaction(peer, asking.security(), REQUEST, (1.0,))
    octets, _ = exchanges.attempt(transaction, asyncio.get_running_loop().time())
    connections.receive(answer(octets).replace(b"public", b"PUBLIC"), peer)
    no_reply = exchanges.give_up(transaction)
    assert (no_reply.reason, no_reply.discarded) == ("timeout", "wrong_community")
    assert no_reply.detail.startswith("its answers are discarded as wrong_community: ")


async def test_a_datagram_does_not_answer_what_was_asked_over_tcp():
    """Not even with the right id, from the right address and port."""
    arrived = asyncio.Event()

    async with (
        asking.open_client() as (client, counters),
        listening_with_datagrams(lambda *_: arrived.set()) as (device, port, same),
        serve(lambda datagram, _: answer(datagram)) as udp_port,
    ):
        await client.ask(("127.0.0.1", udp_port), asking.security(), REQUEST, PATIENT_S)
        task = asyncio.create_task(ask(client, port))
        await arrived.wait()
        _, own_port = client.sockets[socket.AF_INET].getsockname()
        same.sendto(answer(device.requests[0]), ("127.0.0.1", own_port))
        while not counters.total(Count.SNMP_DISCARDED):  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(0)
        assert counters.by_reason(Count.SNMP_DISCARDED) == {"unknown_id": 1}
        reply(device.requests[0], device.writers[0])
        assert isinstance(await task, Reply)


async def test_a_cancelled_request_and_a_closed_client_leave_nothing_behind():
    arrived = asyncio.Event()
    async with listening(lambda *_: arrived.set()) as (_, port):
        async with asking.open_client() as (client, _):
            for close in (False, True):
                arrived.clear()
                task = asyncio.create_task(ask(client, port, (60.0,)))
                await arrived.wait()
                if close:
                    await client.__aexit__(None, None, None)
                else:
                    task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert client.is_idle
        assert len(client.connected) == 0


async def test_idle_connections_are_closed_when_another_is_opened(monkeypatch):
    async with (
        asking.open_client() as (client, _),
        listening(reply) as (_, one),
        listening(reply) as (_, other),
    ):
        await ask(client, one)
        monkeypatch.setattr("towerops_agent.snmp.tcp.IDLE_S", -1.0)
        await ask(client, other)
        assert client.connected == [("127.0.0.1", other)]


async def test_v3_is_spoken_over_tcp_too():
    """Discovery, a restart and the requests go over one connection."""
    agent = UsmAgent(usm_agent.user())
    loop = asyncio.get_running_loop()

    def speak(request, writer):
        writer.write(agent.answer(request, loop.time()))

    async with asking.open_client() as (client, _), listening(speak) as (device, port):
        security = UsmSecurity(agent.user)
        assert (await ask(client, port, security=security)).pdu.values == [1]
        agent.reboot(loop.time())
        assert (await ask(client, port, security=security)).pdu.values == [2]
        assert device.opened == 1


@given(st.lists(st.binary(max_size=300).map(lambda contents: ber.encode(ber.SEQUENCE, contents)), max_size=4), st.data())
def test_messages_are_cut_out_of_any_pieces(wanted, data):
    stream, framer, found = b"".join(wanted), Framer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == wanted


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_octets_are_cut_up_or_malformed(pieces):
    framer = Framer()
    try:
        found = [message for piece in pieces for message in framer.feed(piece)]
    except MalformedMessage:
        return
    assert b"".join(pieces).startswith(b"".join(found))
    assert all(message[0] == ber.SEQUENCE for message in found)


@pytest.mark.parametrize("length", [MAX_MESSAGE_OCTETS - 4, 2**32 - 1, 2**63])
def test_no_message_larger_than_the_limit_is_waited_for(length):
    octets = b"\x30" + ber.encode_length(length)
    if length + len(octets) <= MAX_MESSAGE_OCTETS:
        assert Framer().feed(octets) == []
        return
    with pytest.raises(MalformedMessage, match="expected at most"):
        Framer().feed(octets)
