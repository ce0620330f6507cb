"""Varbinds as net-snmp 5.9 prints them with -On and no MIB files, octet for octet.

tool.py asks, run.py prints. Odd lines are net-snmp's: a hexadecimal line ends with a space, a
Double is called Float, a UInteger32 has no name, and an NsapAddress is a bad type. tests/snmpd compares the two.
Pure. Source: net-snmp's snmplib/mib.c (print functions), snmplib/snmp_api.c (error texts).
"""

import math
from collections.abc import Callable
from typing import Final

from towerops_agent.errors import InvalidOid
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, format_oid
from towerops_agent.snmp.wire.message import ErrorStatus, Value, Varbind, error_name

HEX_OCTETS_A_LINE: Final = 16
BAD_TYPE: Final = "Variable has bad type"
END_OF_MIB_V1: Final = "End of MIB"
"""The end of a walk over SNMPv1; v2c has a varbind for it."""

_TEXT_OCTETS: Final = frozenset((*range(0x20, 0x7F), *range(0x09, 0x0E)))  # isprint and isspace of the C locale
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})

_ERRORS: Final = {
    ErrorStatus.tooBig: "(tooBig) Response message would have been too large.",
    ErrorStatus.noSuchName: "(noSuchName) There is no such variable name in this MIB.",
    ErrorStatus.badValue: "(badValue) The value given has the wrong type or length.",
    ErrorStatus.readOnly: "(readOnly) The two parties used do not have access to use the specified SNMP PDU.",
    ErrorStatus.genErr: "(genError) A general failure occured",
    ErrorStatus.resourceUnavailable: "resourceUnavailable (This is likely a out-of-memory failure within the agent)",
    ErrorStatus.authorizationError: "authorizationError (access denied to that object)",
}


def varbind_text(varbind: Varbind) -> str:
    """`varbind` as a line, or several if its value has several: ".1.3.6.1.2.1.1.3.0 = Timeticks: (123) 0:00:01.23"."""
    return f"{oid_text(varbind.name)} = {value_text(varbind.tag, varbind.value)}"


def value_text(tag: int, value: Value) -> str:
    """A value with its type in front, in ASCII. A value that does not fit its type is a bad type."""
    write = _WRITERS.get(tag)
    return BAD_TYPE if write is None else write(value)


def error_text(status: int, failed: Oid | None) -> str:
    """The text for a response with this error-status; `failed`: the name at its error-index."""
    known = {int(number): words for number, words in _ERRORS.items()}
    lines = ["Error in packet", f"Reason: {known.get(status) or error_name(status)}"]
    if failed is not None:
        lines += [f"Failed object: {oid_text(failed)}", ""]
    return "\n".join(lines)


def oid_text(oid: Oid) -> str:
    """`oid` with a leading dot; octets that are not an OID as hexadecimal."""
    if not oid:
        return ".0"
    try:
        return f".{format_oid(oid)}"
    except InvalidOid:
        return f"(no OID: {oid.hex(' ').upper()})"


def _octet_string(octets: bytes) -> str:
    if not octets:
        return '""'
    if _TEXT_OCTETS.issuperset(octets):
        return f'STRING: "{octets.decode("ascii").translate(_ESCAPES)}"'
    return f"Hex-STRING: {_hex(octets)}"


def _hex(octets: bytes) -> str:
    """Each octet and a space, 16 a line."""
    lines = (octets[at : at + HEX_OCTETS_A_LINE] for at in range(0, len(octets), HEX_OCTETS_A_LINE))
    return "\n".join(f"{line.hex(' ').upper()} " for line in lines)


def _time_ticks(hundredths: int) -> str:
    seconds, fraction = divmod(hundredths, 100)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    day = "" if days == 0 else "1 day, " if days == 1 else f"{days} days, "
    return f"Timeticks: ({hundredths}) {day}{hour}:{minute:02}:{second:02}.{fraction:02}"


def _ip_address(octets: bytes) -> str:
    return f"IpAddress: {'.'.join(map(str, octets))}" if len(octets) == 4 else BAD_TYPE


def _opaque(octets: bytes) -> str:
    wrapped = ber.opaque_number(octets)
    if wrapped is None:
        return f"OPAQUE: {_hex(octets)}"
    name, number = wrapped
    if isinstance(number, int):
        return f"Opaque: {name}: {number}"
    sign = "-" if math.isnan(number) and math.copysign(1, number) < 0 else ""  # C's printf keeps it
    return f"Opaque: Float: {sign}{number:f}"


_WRITERS: Final[dict[int, Callable[..., str]]] = {
    ber.INTEGER: "INTEGER: {}".format,
    ber.OCTET_STRING: _octet_string,
    ber.NULL: lambda _: "NULL",
    ber.OBJECT_IDENTIFIER: lambda oid: f"OID: {oid_text(oid)}",
    ber.IP_ADDRESS: _ip_address,
    ber.COUNTER32: "Counter32: {}".format,
    ber.GAUGE32: "Gauge32: {}".format,
    ber.TIME_TICKS: _time_ticks,
    ber.OPAQUE: _opaque,
    ber.COUNTER64: "Counter64: {}".format,
    ber.UINTEGER32: "{}".format,
    ber.NO_SUCH_OBJECT: lambda _: "No Such Object available on this agent at this OID",
    ber.NO_SUCH_INSTANCE: lambda _: "No Such Instance currently exists at this OID",
    ber.END_OF_MIB_VIEW: lambda _: "No more variables left in this MIB View (It is past the end of the MIB tree)",
}
