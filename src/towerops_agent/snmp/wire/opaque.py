"""The numbers that net-snmp and its like wrap in an Opaque value: floats, and integers of 64 bits.

The Opaque contains a BER value whose tag has two octets: 0x9f, and the kind.
Pure. Source: net-snmp's asn1.h (ASN_OPAQUE_TAG1, ASN_OPAQUE_TAG2) and draft-perkins-opaque.
"""

import struct
from typing import Final

_TAG: Final = 0x9F
_FLOATS: Final = {0x78: ("Float", struct.Struct(">f")), 0x79: ("Double", struct.Struct(">d"))}
_INTEGERS: Final = {0x76: "Counter64", 0x7A: "Int64", 0x7B: "UInt64"}
_MOST_OCTETS: Final = 9
"""Of an integer: 64 bits, and the zero octet in front that makes an unsigned one positive."""


def opaque_number(octets: bytes) -> tuple[str, int | float] | None:
    """The number that an Opaque value wraps, and its type's name; None if it wraps none.

    `octets`: the Opaque's contents. A float may be infinite or NaN, as it was sent.
    """
    if len(octets) < 4 or octets[0] != _TAG or octets[2] != len(octets) - 3:
        return None
    kind, contents = octets[1], octets[3:]
    if kind in _FLOATS:
        name, form = _FLOATS[kind]
        return (name, form.unpack(contents)[0]) if len(contents) == form.size else None
    if kind in _INTEGERS and len(contents) <= _MOST_OCTETS:
        return _INTEGERS[kind], int.from_bytes(contents, "big", signed=kind == 0x7A)
    return None
