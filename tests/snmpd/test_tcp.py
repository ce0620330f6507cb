"""SNMP over TCP against the real thing: what is read is what is read over UDP."""

import pytest

from support import asking, net_snmp
from towerops_agent.counters import Count
from towerops_agent.snmp.session import Session, walk
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.exchange import Reply

BASE = "1.3.6.1.4.1.8072.9999"


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_values_are_read_as_over_udp_on_one_connection(snmpd, version):
    wanted = asking.request(f"{BASE}.1.0", f"{BASE}.2.0", f"{BASE}.6.0")
    over_udp = await asking.get(snmpd.port, f"{BASE}.1.0", f"{BASE}.2.0", f"{BASE}.6.0", version=version)
    async with asking.open_client() as (client, counters):
        (peer,) = await client.resolve("127.0.0.1", snmpd.port)
        for _ in range(3):
            reply = await client.ask(peer, asking.security(version), wanted, asking.PATIENT_S, over_tcp=True)
            assert isinstance(reply, Reply)
            assert (reply.pdu.names, reply.pdu.tags, reply.pdu.values) == (over_udp.names, over_udp.tags, over_udp.values)
        assert len(client.connected) == 1
        assert counters.by_reason(Count.SNMP_REQUESTS) == {"sent": 3}


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_walk_agrees_with_net_snmp(snmpd, version):
    oid = "1.3.6.1.2.1.31.1.1.1"
    before = snmpd.walk(oid, version)
    async with asking.open_client() as (client, _):
        (peer,) = await client.resolve("127.0.0.1", snmpd.port)
        session = Session(client, peer, asking.security(version), over_tcp=True, timeouts_s=asking.PATIENT_S)
        walked = walk(session, parse_oid(oid))
        ours = [(format_oid(v.name), net_snmp.shown(v.tag, v.value)) async for v in walked]
    assert net_snmp.agrees(before, ours, snmpd.walk(oid, version))


async def test_an_answer_larger_than_a_datagram_s_frame_is_read_whole(snmpd):
    """snmpd's limit of 1,472 octets here is for all transports; 7 texts of 200 octets come close to it."""
    async with asking.open_client() as (client, _):
        (peer,) = await client.resolve("127.0.0.1", snmpd.port)
        wanted = asking.request(*(f"{BASE}.20.{i}.0" for i in range(1, 6)))
        reply = await client.ask(peer, asking.security(), wanted, asking.PATIENT_S, over_tcp=True)
        assert reply.pdu.values == [b"x" * 200] * 5


async def test_a_wrong_community_is_met_with_silence(snmpd):
    async with asking.open_client() as (client, _):
        (peer,) = await client.resolve("127.0.0.1", snmpd.port)
        answer = await client.ask(peer, asking.security(community=b"wrong"), asking.request(f"{BASE}.1.0"), (0.1,), over_tcp=True)
        assert (answer.reason, answer.attempts) == ("timeout", 1)
