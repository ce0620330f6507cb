"""Names for the OIDs that people type most."""

import pytest

from towerops_agent.errors import InvalidOid
from towerops_agent.snmp.wire.ber import format_oid
from towerops_agent.snmptool.names import OIDS, named_oid


@pytest.mark.parametrize(
    ("text", "oid"),
    [
        ("sysName.0", "1.3.6.1.2.1.1.5.0"),
        ("sysuptime.0", "1.3.6.1.2.1.1.3.0"),
        ("ifTable", "1.3.6.1.2.1.2.2"),
        ("IF-MIB::ifDescr.3", "1.3.6.1.2.1.2.2.1.2.3"),
        ("ifOutErrors.1", "1.3.6.1.2.1.2.2.1.20.1"),
        ("ifName.12", "1.3.6.1.2.1.31.1.1.1.1.12"),
        ("ifHCInOctets.1", "1.3.6.1.2.1.31.1.1.1.6.1"),
        ("ifHCOutOctets", "1.3.6.1.2.1.31.1.1.1.10"),
        ("ifHighSpeed", "1.3.6.1.2.1.31.1.1.1.15"),
        ("ifAlias", "1.3.6.1.2.1.31.1.1.1.18"),
        ("mib-2", "1.3.6.1.2.1"),
        (".1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.5.0"),
        ("iso.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.5.0"),  # as net-snmp prints it without MIBs
        ("iso.0.8802.1.1.2.1.3.3.0", "1.0.8802.1.1.2.1.3.3.0"),
        ("iso", "1.3"),
    ],
)
def test_a_name_is_its_oid_in_any_case_with_what_is_behind_it(text, oid):
    assert format_oid(named_oid(text)) == oid


def test_each_name_is_a_valid_oid():
    assert all(format_oid(named_oid(name)) == oid for name, oid in OIDS.items())


@pytest.mark.parametrize("text", ["sysNmae.0", "ifTable.x", "sysName..0", "", "x::", "1.3.x"])
def test_what_is_not_known_is_refused(text):
    with pytest.raises(InvalidOid):
        named_oid(text)
