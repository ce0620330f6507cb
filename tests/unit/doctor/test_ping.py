"""What the doctor finds by ping, in virtual time: by which socket, and whether a silent device is there."""

import errno
import socket
from contextlib import asynccontextmanager

import pytest

from support import virtual_time
from support.pings import FakeNetwork
from towerops_agent.counters import Counters
from towerops_agent.doctor import ping as doctor_ping
from towerops_agent.doctor.device import Waits, check_device
from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.ping import check_sockets, pinged, pinged_at, shown_tally
from towerops_agent.doctor.silence import explain_silence
from towerops_agent.model import Credentials, Equipment, PingPlan, SnmpVersion, UsmUser
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.reasons import Reason, Unsent
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.exchange import NoReply

HOST = "127.0.0.1"
ONLY_PING = Equipment("1", "North", HOST, ping=PingPlan(5, 60), has_snmp=False)


@asynccontextmanager
async def clients(network):
    async with SnmpClient(Counters()) as client, PingClient(Counters(), open_socket=network.open) as ping:
        yield client, ping


def checked(network, equipment):
    async def main():
        async with clients(network) as (client, ping):
            return await check_device(client, equipment, Waits((0.01,), reading_s=(0.01,)), ping=ping)

    return virtual_time.run(main())


def network(delays=lambda _n: 0.0012, failure=None):
    made = FakeNetwork()
    made.delays, made.failure = delays, failure
    return made


NEVER = lambda _n: None  # noqa: E731
FORBIDDEN = NotSent(Unsent.NO_PERMISSION, "Operation not permitted")


def test_a_device_that_is_only_pinged_is_checked_by_ping():
    check = checked(network(), ONLY_PING)
    assert (check.result, check.found) == (Result.OK, "127.0.0.1 answers ping in 1.2 ms; SNMP is switched off")
    check = checked(network(lambda n: 0.0012 if n else None), ONLY_PING)
    assert (check.result, check.found) == (Result.WARNING, "127.0.0.1 answers ping in 1.2 ms (2 of 3); SNMP is switched off")
    check = checked(network(NEVER), ONLY_PING)
    assert (check.result, check.found) == (Result.FAILED, "127.0.0.1 does not answer ping; SNMP is switched off")


ONE, OTHER = ("192.0.2.1", 0), ("192.0.2.2", 0)


@pytest.mark.parametrize(
    ("silent", "unsent", "expected"),
    [
        ((), (), (3, 3, [ONE])),
        ((ONE,), (), (3, 3, [ONE, OTHER])),
        ((), (ONE,), (3, 3, [OTHER])),
        ((ONE,), (OTHER,), (3, 0, [ONE])),
        ((OTHER,), (ONE,), (3, 0, [OTHER])),
        ((ONE, OTHER), (), (3, 0, [ONE, OTHER])),
        ((), (ONE, OTHER), FORBIDDEN),
    ],
)
def test_a_name_is_pinged_at_its_addresses_until_one_answers(silent, unsent, expected):
    made = network()
    made.silent, made.unsent = {host for host, _ in silent}, {host: FORBIDDEN for host, _ in unsent}

    async def main():
        async with PingClient(Counters(), open_socket=made.open) as ping:
            return await pinged_at(ping, [ONE, OTHER])

    found = virtual_time.run(main())
    asked = list(dict.fromkeys(peer for _, _, peer in made.sent))
    assert (found if isinstance(found, NotSent) else (found.sent, found.received, asked)) == expected


def test_a_device_that_cant_be_pinged_is_not_said_to_be_away():
    check = checked(network(failure=FORBIDDEN), ONLY_PING)
    assert (check.result, check.found) == (Result.SKIPPED, "127.0.0.1 can't be pinged: the agent may not send pings")
    assert "ping_group_range" in check.hint


@pytest.mark.parametrize(
    ("version", "hint"),
    [
        ("2c", "a device is there, so rather a firewall or SNMP switched off; or a wrong community"),
        ("3", "a device is there, so rather a firewall on the way, or SNMPv3 is off"),
    ],
)
def test_silence_of_a_device_that_answers_ping_is_not_its_address(version, hint):
    cause = explained(network(), version)
    assert cause.found.endswith("no ICMP error; it answers ping in 1.2 ms")
    assert cause.hint.startswith(hint)


def test_silence_of_a_device_that_does_not_answer_ping_either_is_rather_its_absence():
    cause = explained(network(NEVER), "2c")
    assert cause.found.endswith("no ICMP error; no answer to ping either")
    assert cause.hint.startswith("most likely its power, its link or its address; else a firewall")


def test_silence_is_explained_as_before_if_ping_can_t_be_sent():
    cause = explained(network(failure=FORBIDDEN), "2c")
    assert "ping" not in cause.found + cause.hint


def test_this_machine_s_own_answer_shows_nothing():
    cause = explained(network(), "2c", peer=("127.1.0.7", 161))
    assert "ping" not in cause.found + cause.hint


class Silent:
    """An SNMP client to whom nobody answers."""

    async def ask(self, *_args, **_more):
        return NoReply(Reason.TIMEOUT, 1)


def explained(net, version, peer=("192.0.2.1", 161)):
    credentials = Credentials(SnmpVersion(version), user=UsmUser("noc") if version == "3" else None)
    equipment = Equipment("1", "North", HOST, credentials=credentials)

    async def main():
        async with PingClient(Counters(), open_socket=net.open) as ping:
            return await explain_silence(Silent(), equipment, peer, NoReply(Reason.TIMEOUT, 1), (0.01,), ping)

    return virtual_time.run(main())


def test_a_socket_of_each_family_is_tried_and_what_is_missing_is_said(tmp_path, monkeypatch):
    def sockets(net, opening=None):
        async def main():
            async with PingClient(Counters(), open_socket=opening or net.open) as client:
                return check_sockets(client, 3)

        return virtual_time.run(main())

    check = sockets(network())
    assert (check.result, check.found) == (
        Result.OK,
        "IPv4 by unprivileged socket, IPv6 by unprivileged socket; 3 devices to ping",
    )

    def forbid(_family):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (tmp_path / "ping_group_range").write_text("1\t0\n")
    monkeypatch.setattr(doctor_ping, "GROUP_RANGE", tmp_path / "ping_group_range")
    monkeypatch.setattr(doctor_ping.os, "getegid", lambda: 10001)
    check = sockets(None, forbid)
    assert check.result is Result.FAILED
    assert check.found == (
        "IPv4 not permitted (Operation not permitted), IPv6 not permitted (Operation not permitted); 3 devices to ping; "
        "this process's group is 10001, ping_group_range is 1 to 0"
    )
    assert "CAP_NET_RAW" in check.hint

    def without_v6(family):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return net.open(family)

    net = network()
    check = sockets(None, without_v6)
    assert (check.result, check.found) == (
        Result.OK,
        "IPv4 by unprivileged socket, IPv6 not possible (Address family not supported by protocol); 3 devices to ping",
    )

    def without_any(_family):
        raise OSError(errno.EMFILE, "Too many open files")

    check = sockets(None, without_any)
    assert check.result is Result.FAILED
    assert check.found.startswith("IPv4 not possible (Too many open files), IPv6 not possible (Too many open files); 3 devices")


def test_a_tally_is_shown_in_words():
    assert shown_tally(Tally(3, 3, 1200, 1300, 1400, 100)) == "answers ping in 1.2 ms"
    assert shown_tally(Tally(3, 0)) == "does not answer ping"


def test_a_peer_of_snmp_is_pinged_without_its_port():
    net = network()

    async def main():
        async with PingClient(Counters(), open_socket=net.open) as client:
            return await pinged(client, ("2001:db8::1", 161, 0, 2), until_first=True)

    assert virtual_time.run(main()).received == 1
    assert [peer for _, _, peer in net.sent] == [("2001:db8::1", 0, 0, 2)]
