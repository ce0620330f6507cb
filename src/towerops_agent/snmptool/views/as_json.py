"""Varbinds as JSON: one array of {"oid", "type", "value"}, an object a line.

Types by the RFCs' names (RFC 2578 §7.1, RFC 3416 §3). Octets that are printable UTF-8 are a text, all others {"hex": …};
an Opaque that wraps a number is that number. A value that the device did not send is null; its type says why.
Pure.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import Value, Varbind
from towerops_agent.snmptool.views.as_text import oid_text

_TYPES: Final = {
    ber.INTEGER: "INTEGER",
    ber.OCTET_STRING: "OCTET STRING",
    ber.NULL: "NULL",
    ber.OBJECT_IDENTIFIER: "OBJECT IDENTIFIER",
    ber.IP_ADDRESS: "IpAddress",
    ber.COUNTER32: "Counter32",
    ber.GAUGE32: "Gauge32",
    ber.TIME_TICKS: "TimeTicks",
    ber.OPAQUE: "Opaque",
    ber.NSAP_ADDRESS: "NsapAddress",
    ber.COUNTER64: "Counter64",
    ber.UINTEGER32: "UInteger32",
    ber.NO_SUCH_OBJECT: "noSuchObject",
    ber.NO_SUCH_INSTANCE: "noSuchInstance",
    ber.END_OF_MIB_VIEW: "endOfMibView",
}


def varbinds_json(varbinds: Sequence[Varbind]) -> str:
    """The array, without a final line end. "[]" if it is empty."""
    array = JsonArray()
    return "".join([*map(array.item, varbinds), array.end()])


class JsonArray:
    """The same array, a piece at a time, for a walk that may be long: each `item`, then `end`. The pieces follow each other."""

    def __init__(self) -> None:
        self._before = "["

    def item(self, varbind: Varbind) -> str:
        """The piece for the next varbind."""
        before, self._before = self._before, ","
        return f"{before}\n  {msgspec.json.encode(varbind_object(varbind)).decode()}"

    def end(self) -> str:
        """The last piece, without a line end."""
        return "[]" if self._before == "[" else "\n]"


def varbind_object(varbind: Varbind) -> dict[str, object]:
    """One varbind; its OID without a leading dot."""
    kind, value = _typed(varbind.tag, varbind.value)
    return {"oid": oid_text(varbind.name).removeprefix("."), "type": kind, "value": value}


def text_of(octets: bytes) -> str | None:
    """`octets` as text: printable UTF-8, with tabs and line ends; None if they are not text."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\t\r\n" for character in text) else None


def _typed(tag: int, value: Value) -> tuple[str, object]:
    kind = _TYPES.get(tag, "unreadable")
    if not isinstance(value, bytes):
        return kind, value
    hexadecimal = {"hex": value.hex()}
    match tag:
        case ber.OCTET_STRING:
            text = text_of(value)
            return kind, hexadecimal if text is None else text
        case ber.OBJECT_IDENTIFIER:
            return kind, oid_text(value).removeprefix(".")
        case ber.IP_ADDRESS if len(value) == 4:
            return kind, ".".join(map(str, value))
        case ber.OPAQUE:
            wrapped = ber.opaque_number(value)
            if wrapped is not None and math.isfinite(wrapped[1]):  # JSON has no other numbers
                return f"Opaque {wrapped[0]}", wrapped[1]
    return kind, hexadecimal
