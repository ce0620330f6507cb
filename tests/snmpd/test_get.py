"""What our GET reads is what snmpget prints: each type that snmpd serves, v1 and v2c, IPv4 and IPv6."""

import pytest

from support import asking, net_snmp
from support.skips import NO_IPV6
from towerops_agent.counters import Count
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import ErrorStatus

BASE = "1.3.6.1.4.1.8072.9999"
SYSTEM = "1.3.6.1.2.1.1"
LOAD_FLOAT = "1.3.6.1.4.1.2021.10.1.6.1"

WIDE = "largest counter64"
VALUES = {
    "text": (f"{BASE}.1.0", ber.OCTET_STRING),
    "negative": (f"{BASE}.2.0", ber.INTEGER),
    "counter over 2^31": (f"{BASE}.3.0", ber.COUNTER32),
    "largest gauge": (f"{BASE}.4.0", ber.GAUGE32),
    "largest time": (f"{BASE}.5.0", ber.TIME_TICKS),
    "OID": (f"{BASE}.6.0", ber.OBJECT_IDENTIFIER),
    "empty text": (f"{BASE}.7.0", ber.OCTET_STRING),
    "octets": (f"{BASE}.8.0", ber.OCTET_STRING),
    "least integer": (f"{BASE}.10.0", ber.INTEGER),
    WIDE: (f"{BASE}.9.1.0", ber.COUNTER64),
    "address": (f"{BASE}.9.2.0", ber.IP_ADDRESS),
    "gauge of a script": (f"{BASE}.9.3.0", ber.GAUGE32),
    "name": (f"{SYSTEM}.5.0", ber.OCTET_STRING),
    "object id": (f"{SYSTEM}.2.0", ber.OBJECT_IDENTIFIER),
}


@pytest.mark.parametrize(
    ("what", "version"), [(what, version) for what in VALUES for version in ("1", "2c") if (what, version) != (WIDE, "1")]
)
async def test_a_value_of_each_type_is_read_as_snmpget_prints_it(snmpd, what, version):
    """All by v1 and by v2c, but Counter64, which SNMPv1 does not have."""
    oid, tag = VALUES[what]
    pdu = await asking.get(snmpd.port, oid, version=version)
    assert (pdu.error_status, asking.names(pdu), pdu.tags) == (0, [oid], bytes([tag]))
    assert [(oid, net_snmp.shown(tag, pdu.values[0]))] == snmpd.ask("snmpget", oid, version=version)


async def test_a_float_wrapped_in_an_opaque_is_read(snmpd):
    """UCD-SNMP's laLoadFloat is the one that the field has most of."""
    before = snmpd.ask("snmpget", LOAD_FLOAT)
    pdu = await asking.get(snmpd.port, LOAD_FLOAT)
    after = snmpd.ask("snmpget", LOAD_FLOAT)
    assert pdu.tags == bytes([ber.OPAQUE])
    assert (LOAD_FLOAT, net_snmp.shown(ber.OPAQUE, pdu.values[0])) in before + after


async def test_all_values_are_read_by_one_request(snmpd):
    oids = [oid for oid, _ in VALUES.values()]
    pdu = await asking.get(snmpd.port, *oids)
    ours = [(oid, net_snmp.shown(tag, value)) for oid, tag, value in zip(oids, pdu.tags, pdu.values, strict=True)]
    assert ours == snmpd.ask("snmpget", *oids)


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_device_is_read_over_ipv6(snmpd, version):
    if not snmpd.has_ipv6:
        pytest.skip(NO_IPV6)
    pdu = await asking.get(snmpd.port, f"{SYSTEM}.5.0", version=version, host="::1")
    assert pdu.values == [b"tower-7"]
    assert snmpd.ask("snmpget", f"{SYSTEM}.5.0", host="::1") == [(f"{SYSTEM}.5.0", "Hex-STRING: 74 6F 77 65 72 2D 37")]


async def test_v2c_distinguishes_the_ways_of_being_absent(snmpd):
    """An object that is not there, and an instance that is not there: as snmpget says; their neighbour is read."""
    absent = ["1.3.6.1.2.1.177.0", f"{SYSTEM}.5.7", f"{SYSTEM}.5.0"]
    pdu = await asking.get(snmpd.port, *absent)
    assert pdu.tags == bytes([ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.OCTET_STRING])
    shown = [net_snmp.shown(tag, value) for tag, value in zip(pdu.tags, pdu.values, strict=True)]
    assert [text for _, text in snmpd.ask("snmpget", *absent)] == shown


@pytest.mark.parametrize("absent", ["1.3.6.1.2.1.177.0", f"{SYSTEM}.5.7"])
async def test_v1_says_which_varbind_is_absent(snmpd, absent):
    pdu = await asking.get(snmpd.port, f"{SYSTEM}.5.0", absent, f"{SYSTEM}.6.0", version="1")
    assert (pdu.error_status, pdu.error_index) == (ErrorStatus.noSuchName, 2)


async def test_a_wrong_community_is_met_with_silence(snmpd):
    async with asking.open_client() as (client, counters):
        (peer,) = await client.resolve("127.0.0.1", snmpd.port)
        answer = await client.ask(peer, asking.security(community=b"wrong"), asking.request(f"{SYSTEM}.5.0"), (0.05, 0.05))
        assert answer == NoReply("timeout", 2)
        assert counters.total(Count.SNMP_DISCARDED) == 0
