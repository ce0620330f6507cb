"""Names of the OIDs that people type most: `sysName.0`, `ifTable`, `IF-MIB::ifDescr.3` -> 1.3.6.1.2.1.1.5.0 and so on.

A small table, no MIB is parsed. Pure. Sources: RFC 3418 (SNMPv2-MIB), RFC 2863 (IF-MIB), RFC 4293 (IP-MIB), RFC 2790
(HOST-RESOURCES-MIB), RFC 6933 (ENTITY-MIB), RFC 4188 (BRIDGE-MIB).
"""

import re
from difflib import get_close_matches
from typing import Final

from towerops_agent.errors import InvalidOid
from towerops_agent.snmp.wire.ber import Oid, parse_oid

_IF_ENTRY: Final = "1.3.6.1.2.1.2.2.1"
_IFX_ENTRY: Final = "1.3.6.1.2.1.31.1.1.1"

_IF_COLUMNS: Final = (
    *("ifIndex", "ifDescr", "ifType", "ifMtu", "ifSpeed", "ifPhysAddress", "ifAdminStatus", "ifOperStatus", "ifLastChange"),
    *("ifInOctets", "ifInUcastPkts", "ifInNUcastPkts", "ifInDiscards", "ifInErrors", "ifInUnknownProtos"),
    *("ifOutOctets", "ifOutUcastPkts", "ifOutNUcastPkts", "ifOutDiscards", "ifOutErrors", "ifOutQLen", "ifSpecific"),
)
_IFX_COLUMNS: Final = (
    *("ifName", "ifInMulticastPkts", "ifInBroadcastPkts", "ifOutMulticastPkts", "ifOutBroadcastPkts"),
    *("ifHCInOctets", "ifHCInUcastPkts", "ifHCInMulticastPkts", "ifHCInBroadcastPkts"),
    *("ifHCOutOctets", "ifHCOutUcastPkts", "ifHCOutMulticastPkts", "ifHCOutBroadcastPkts"),
    *(
        "ifLinkUpDownTrapEnable",
        "ifHighSpeed",
        "ifPromiscuousMode",
        "ifConnectorPresent",
        "ifAlias",
        "ifCounterDiscontinuityTime",
    ),
)
_SYSTEM: Final = ("sysDescr", "sysObjectID", "sysUpTime", "sysContact", "sysName", "sysLocation", "sysServices")

_ISO: Final = "iso"

OIDS: Final = {
    _ISO: "1.3",  # by itself; 1 is not an OID of SNMP
    "internet": "1.3.6.1",
    "mib-2": "1.3.6.1.2.1",
    "enterprises": "1.3.6.1.4.1",
    "system": "1.3.6.1.2.1.1",
    **{name: f"1.3.6.1.2.1.1.{number}" for number, name in enumerate(_SYSTEM, 1)},
    "interfaces": "1.3.6.1.2.1.2",
    "ifNumber": "1.3.6.1.2.1.2.1",
    "ifTable": "1.3.6.1.2.1.2.2",
    "ifEntry": _IF_ENTRY,
    **{name: f"{_IF_ENTRY}.{number}" for number, name in enumerate(_IF_COLUMNS, 1)},
    "ifXTable": "1.3.6.1.2.1.31.1.1",
    "ifXEntry": _IFX_ENTRY,
    **{name: f"{_IFX_ENTRY}.{number}" for number, name in enumerate(_IFX_COLUMNS, 1)},
    "ip": "1.3.6.1.2.1.4",
    "ipAddrTable": "1.3.6.1.2.1.4.20",
    "ipAddressTable": "1.3.6.1.2.1.4.34",
    "ipNetToMediaTable": "1.3.6.1.2.1.4.22",
    "dot1dBridge": "1.3.6.1.2.1.17",
    "host": "1.3.6.1.2.1.25",
    "hrSystemUptime": "1.3.6.1.2.1.25.1.1",
    "hrStorageTable": "1.3.6.1.2.1.25.2.3",
    "hrDeviceTable": "1.3.6.1.2.1.25.3.2",
    "hrProcessorLoad": "1.3.6.1.2.1.25.3.3.1.2",
    "entPhysicalTable": "1.3.6.1.2.1.47.1.1.1",
    "entPhySensorTable": "1.3.6.1.2.1.99.1.1",
}
"""By the name as its MIB spells it."""

_BY_FOLDED: Final = {name.casefold(): oid for name, oid in OIDS.items()}

_NAMED: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*::)?(?P<name>[A-Za-z][A-Za-z0-9-]*)(?P<rest>(?:\.[0-9]+)*)")


def named_oid(text: str) -> Oid:
    """The OID in `text`: of numbers, or a known name, in any case, with numbers behind it. Raises InvalidOid."""
    match = _NAMED.fullmatch(text.strip())
    if match is None:
        return parse_oid(text)
    oid = _BY_FOLDED.get(match["name"].casefold())
    if oid is None:
        close = get_close_matches(match["name"], OIDS, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise InvalidOid(
            f"OID {text[:80]!r}: {meant}expected numbers with dots between, or a common name such as sysName.0 or ifTable"
        )
    if match["name"].casefold() == _ISO and match["rest"]:
        oid = "1"  # as net-snmp without MIBs prints each OID: iso.3.6.1.2.1.1.5.0
    return parse_oid(oid + match["rest"])
