"""A closed port, and what else ICMP says: the reason of the silence there, and of no other device's."""

import asyncio
import socket
import sys

import pytest

from support import asking
from support.hang import HANG_S
from support.namespace import run
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
GONE = "there is no such host (ICMP: host unreachable, or nobody answers ARP)"
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


def test_a_device_that_is_gone_is_unreachable_though_that_is_known_after_its_probe():
    """Nobody answers ARP: the first request is over before that is known, the next one says so."""
    way = "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && ip addr add 10.9.0.1/24 dev v0"
    found = run("support.gone", {"host": "10.9.0.2"}, before=way)
    assert found == {"first": ["timeout", ""], "discarded": "EHOSTUNREACH", "next": ["unreachable", GONE]}


async def test_the_socket_does_not_go_on_waking_for_an_error_that_was_read():
    async with asking.open_client() as (client, _):
        await ask(client, closed_port(), QUICK_S)
        (sock,) = client.sockets.values()
        with pytest.raises(BlockingIOError):
            sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        with pytest.raises(BlockingIOError):
            sock.recvfrom(1)
