"""Our walks return what snmpwalk and snmpbulkwalk print."""

import pytest

from support import asking, net_snmp
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.message import PduType, Request

SUBTREES = {
    "system": "1.3.6.1.2.1.1",
    "ifTable": "1.3.6.1.2.1.2.2",
    "ifXTable": "1.3.6.1.2.1.31.1.1",
    "one column": "1.3.6.1.2.1.2.2.1.2",
    "our values": "1.3.6.1.4.1.8072.9999.1",
    "nothing": "1.3.6.1.2.1.177",
}


@pytest.mark.parametrize("version", ["1", "2c"])
@pytest.mark.parametrize("subtree", SUBTREES)
async def test_walk_agrees_with_net_snmp(snmpd, subtree, version):
    """The same names in the same order, the same types and values; a counter lies between net-snmp's before and after."""
    oid = SUBTREES[subtree]
    before = _below(oid, snmpd.walk(oid, version))
    walked = await asking.walk(snmpd.port, oid, version=version)
    after = _below(oid, snmpd.walk(oid, version))
    assert net_snmp.agrees(before, [(format_oid(v.name), net_snmp.shown(v.tag, v.value)) for v in walked], after)
    assert bool(walked) == (subtree != "nothing")


async def test_v1_walks_pass_over_the_64_bit_counters(snmpd):
    """SNMPv1 has no Counter64: ifXTable has fewer rows than by v2c, and the walk goes on behind the gap."""
    oid = SUBTREES["ifXTable"]
    wide = {v.name for v in await asking.walk(snmpd.port, oid) if v.tag == ber.COUNTER64}
    narrow = {v.name for v in await asking.walk(snmpd.port, oid) if v.tag != ber.COUNTER64}
    assert wide
    assert {v.name for v in await asking.walk(snmpd.port, oid, version="1")} == narrow


async def test_the_end_of_the_mib_is_told_apart(snmpd):
    """v2c answers endOfMibView behind the last name, and a walk up to there ends well."""
    (last, _) = (snmpd.walk("1.3.6.1.6"))[-1]
    answer = await asking.ask(snmpd.port, Request((parse_oid(last),), PduType.GET_NEXT))
    assert (answer.pdu.error_status, answer.pdu.tags) == (0, bytes([ber.END_OF_MIB_VIEW]))
    walked = await asking.walk(snmpd.port, last.rsplit(".", 1)[0])
    assert format_oid(walked[-1].name) == last


async def test_a_walk_asks_for_less_where_the_answer_is_too_big(snmpd):
    """24 texts of 200 octets, and answers of at most 1,472."""
    walked = await asking.walk(snmpd.port, "1.3.6.1.4.1.8072.9999.20")
    assert [v.value for v in walked] == [b"x" * 200] * 24


def _below(oid, rows):
    """net-snmp's walk of nothing prints one line about that; ours yields nothing."""
    return [(name, text) for name, text in rows if name.startswith(f"{oid}.") and not text.startswith("No ")]
