"""A closed port, and what else ICMP says: the reason of the silence there, and of no other device's."""

import asyncio
import errno
import socket
import struct
import sys

import pytest

from support import asking
from support.hang import HANG_S
from support.site import COMMUNITY, simulated_device
from support.skips import NO_IPV6
from towerops_agent.counters import Count
from towerops_agent.reasons import Reason
from towerops_agent.snmp import client as snmp_client
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_lab.simulator.server import serve

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports ICMP to a socket of many peers")

REQUEST = asking.request("1.3.6.1.2.1.1.3.0")
CLOSED = "ICMP: port unreachable"
QUICK_S = (0.05, 0.05)


def closed_port(host="127.0.0.1", family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as closed:
        closed.bind((host, 0))
        return closed.getsockname()


async def ask(client, peer, timeouts_s=asking.PATIENT_S):
    return await client.ask(peer, asking.security(community=COMMUNITY.encode()), REQUEST, timeouts_s)


async def test_a_closed_port_is_the_reason_after_all_attempts():
    """One ICMP message ends nothing: anybody can send it."""
    async with asking.open_client() as (client, counters):
        assert await ask(client, closed_port(), QUICK_S) == NoReply(Reason.REFUSED, 2, CLOSED)
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 1, "retried": 1}
        assert counters.by_reason(Count.SNMP_DISCARDED) == {"ECONNREFUSED": 2}
        assert client.is_idle


async def test_a_closed_port_of_ipv6():
    try:
        peer = closed_port("::1", socket.AF_INET6)
    except OSError:
        pytest.skip(NO_IPV6)
    async with asking.open_client() as (client, _):
        assert await ask(client, peer, QUICK_S) == NoReply(Reason.REFUSED, 2, CLOSED)


async def test_no_other_device_suffers_from_closed_ports():
    """Though the error of one datagram comes with the next call on the socket, to whomever that sends."""
    closed = [closed_port() for _ in range(20)]
    async with serve(simulated_device()) as port, serve(lambda *_: None) as silent, asking.open_client() as (client, counters):
        for _ in range(10):
            refused, answers, mute = await asyncio.gather(
                asyncio.gather(*(ask(client, peer, QUICK_S) for peer in closed)),
                asyncio.gather(*(ask(client, ("127.0.0.1", port)) for _ in range(20))),
                ask(client, ("127.0.0.1", silent), QUICK_S),
            )
            assert all(isinstance(answer, Reply) for answer in answers)
            assert mute == NoReply(Reason.TIMEOUT, 2)
            assert {answer.reason for answer in refused} <= {Reason.REFUSED, Reason.TIMEOUT}  # the kernel limits its ICMP
            assert Reason.REFUSED in {answer.reason for answer in refused}
        assert "retried" in counters.by_reason(Count.SNMP_REQUESTS)


async def test_a_device_whose_port_opens_between_two_attempts_is_read(monkeypatch):
    """It opens while the error of the first attempt is read."""
    peer, read_errors = closed_port(), snmp_client.read_errors
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:

        def answer():
            datagram, asker = device.recvfrom(0xFFFF)
            device.sendto(simulated_device().answer(datagram, 1.0), asker)

        def opened(sock):
            if device.getsockname() != peer:
                device.bind(peer)
            return read_errors(sock)

        monkeypatch.setattr(snmp_client, "read_errors", opened)
        asyncio.get_running_loop().add_reader(device, answer)
        async with asking.open_client() as (client, counters):
            assert isinstance(await ask(client, peer, (0.05, HANG_S)), Reply)
            assert counters.by_reason(Count.SNMP_DISCARDED) == {"ECONNREFUSED": 1}
        asyncio.get_running_loop().remove_reader(device)


async def test_the_socket_does_not_go_on_waking_for_an_error_that_was_read():
    async with asking.open_client() as (client, _):
        await ask(client, closed_port(), QUICK_S)
        (sock,) = client.sockets.values()
        with pytest.raises(BlockingIOError):
            sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        with pytest.raises(BlockingIOError):
            sock.recvfrom(1)


class Queue:
    """A socket with these errors in its queue: level, option and struct sock_extended_err of each."""

    def __init__(self, *entries):
        self._entries = list(entries)

    def recvmsg(self, _size, _ancillary, flags):
        assert flags == socket.MSG_ERRQUEUE
        if not self._entries:
            raise BlockingIOError(errno.EAGAIN, "empty")
        level, option, number, origin, kind, code = self._entries.pop(0)
        return b"", [(level, option, struct.pack("=IBBBBII", number, origin, kind, code, 0, 0, 0))], 0, ("192.0.2.1", 161)


V4, V6 = (socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)


@pytest.mark.parametrize(
    ("entry", "name", "reason", "words"),
    [
        ((*V4, errno.ECONNREFUSED, 2, 3, 3), "ECONNREFUSED", Reason.REFUSED, "port unreachable"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 1), "EHOSTUNREACH", Reason.UNREACHABLE, "no such host"),
        ((*V4, errno.ENETUNREACH, 2, 3, 0), "ENETUNREACH", Reason.UNREACHABLE, "no route to its network"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 13), "EHOSTUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 10), "EHOSTUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.ENETUNREACH, 2, 3, 9), "ENETUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.EHOSTDOWN, 2, 3, 7), "EHOSTDOWN", Reason.UNREACHABLE, "no such host"),
        ((*V6, errno.EACCES, 3, 1, 1), "EACCES", Reason.UNREACHABLE, "forbids"),
        ((*V6, errno.ECONNREFUSED, 3, 1, 4), "ECONNREFUSED", Reason.REFUSED, "port unreachable"),
    ],
)
def test_each_error_says_why_the_device_can_not_be_reached(entry, name, reason, words):
    ((peer, called, meaning),) = snmp_client.read_errors(Queue(entry))
    assert (peer, called) == (("192.0.2.1", 161), name)
    assert meaning[0] is reason
    assert words in meaning[1]


def test_an_error_about_the_size_of_a_datagram_says_nothing_of_the_device():
    assert snmp_client.read_errors(Queue((*V4, errno.EMSGSIZE, 2, 3, 4))) == [(("192.0.2.1", 161), "EMSGSIZE", None)]


def test_other_ancillary_data_says_nothing():
    assert snmp_client.read_errors(Queue((socket.IPPROTO_IP, 8, errno.ECONNREFUSED, 2, 3, 3))) == []


def test_a_long_queue_is_read_in_parts():
    entries = [(*V4, errno.ECONNREFUSED, 2, 3, 3)] * 100
    queue = Queue(*entries)
    assert [len(snmp_client.read_errors(queue)) for _ in range(3)] == [64, 36, 0]
