"""Any SNMPv1 or v2c message, and its PDU: octets <-> values, whatever a device sends.

The usual answer to a request is read in one pass by message.py, as the same Pdu; what is not usual, or malformed, is read here.
Pure. Source: RFC 1157 §4, RFC 1901 §3, RFC 3416 §3 and §4.2.
"""

from collections.abc import Sequence

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.message import UNREADABLE, Community, Message, Pdu, PduType, Value, Version, decode_value


def decode_message(datagram: bytes) -> Message:
    """One SNMPv1 or v2c message from one UDP payload (RFC 1901 §3, RFC 3416 §3).

    Varbinds keep the wire's order, and there may be none. Octets after the message are ignored, as in net-snmp.
    Raises MalformedMessage with the offset, in octets, of the first bad one.
    """
    start, end = ber.read_contents(datagram, 0, len(datagram), ber.SEQUENCE)
    version, at = ber.read_integer(datagram, start, end)
    if version not in (Version.V1, Version.V2C):
        raise MalformedMessage(f"version {version}, expected 0 or 1", start)
    start, stop = ber.read_contents(datagram, at, end, ber.OCTET_STRING)
    return Message(version, datagram[start:stop], decode_pdu(datagram, stop, end))


def decode_pdu(data: bytes, offset: int, end: int) -> Pdu:
    """The PDU at `offset` (RFC 3416 §3). Raises MalformedMessage, also for SNMPv1 traps, which have another structure."""
    pdu_type, at, stop = ber.read_header(data, offset, end)
    if pdu_type & 0xE0 != 0xA0 or pdu_type == 0xA4:
        raise MalformedMessage(f"PDU type 0x{pdu_type:02x}", offset)
    request_id, at = ber.read_integer(data, at, stop)
    status, at = ber.read_integer(data, at, stop)
    index, at = ber.read_integer(data, at, stop)
    at, stop = ber.read_contents(data, at, stop, ber.SEQUENCE)
    names, tags, values = decode_varbinds(data, at, stop)
    return Pdu(pdu_type, request_id, status, index, names, tags, values)


def decode_varbinds(data: bytes, offset: int, end: int) -> tuple[list[Oid], bytes, list[Value]]:
    """The varbinds from `offset` to `end`, as columns: names, tags, values. Raises MalformedMessage.

    A value that does not fill its varbind, or whose octets do not fit its type, has the tag UNREADABLE.
    """
    names: list[Oid] = []
    tags = bytearray()
    values: list[Value] = []
    at = offset
    try:
        while at < end:
            if data[at] != 0x30:
                raise MalformedMessage(f"tag 0x{data[at]:02x}, expected a varbind", at)
            length = data[at + 1]
            start = at + 2
            if length > 0x7F:
                length, start = ber.read_long_length(data, at + 1, end)
            stop = start + length
            if stop > end:
                raise MalformedMessage("a varbind is longer than its list", at)
            if data[start] != 0x06:
                raise MalformedMessage(f"tag 0x{data[start]:02x}, expected a varbind's name", start)
            length = data[start + 1]
            at = start + 2
            if length > 0x7F:
                length, at = ber.read_long_length(data, start + 1, stop)
            start = at + length  # of the value
            if start > stop:
                raise MalformedMessage("a varbind's name is longer than the varbind", at)
            name = data[at:start]
            if start + 2 <= stop and start + 2 + data[start + 1] == stop and data[start + 1] <= 0x7F:
                tag, value = decode_value(data[start], data[start + 2 : stop])
            else:
                tag, value = _decode_unusual(data[start:stop])
            names.append(name)
            tags.append(tag)
            values.append(value)
            at = stop
    except IndexError:
        raise MalformedMessage("a varbind is cut short", len(data)) from None
    return names, bytes(tags), values


def _decode_unusual(octets: bytes) -> tuple[int, Value]:
    """The tag and value that these octets, the rest of a varbind, are framed as, if their length is not in one octet.

    Some firmware sends a wrong length. The start of the next varbind is known anyway, so the value is
    UNREADABLE, like one that does not fit its type. A number that belongs in an Opaque (see ber.py) may stand there without
    one.
    """
    try:
        tag, start, stop = ber.read_header(octets, 0, len(octets))
    except MalformedMessage:
        return (UNREADABLE, None) if ber.opaque_number(octets) is None else (ber.OPAQUE, octets)
    return decode_value(tag, octets[start:]) if stop == len(octets) else (UNREADABLE, None)


def encode_value(tag: int, value: Value) -> bytes:
    """One value of a varbind."""
    if isinstance(value, int):
        return ber.encode_integer(value, tag)
    return ber.encode(tag, value or b"")


def encode_pdu(pdu: Pdu) -> bytes:
    """`pdu`, with its varbinds."""
    varbinds = b"".join(
        ber.encode(ber.SEQUENCE, ber.encode(ber.OBJECT_IDENTIFIER, name) + encode_value(tag, value))
        for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True)
    )
    head = (pdu.request_id, pdu.error_status, pdu.error_index)
    return ber.encode(pdu.type, b"".join(map(ber.encode_integer, head)) + ber.encode(ber.SEQUENCE, varbinds))


def encode_message(message: Message) -> bytes:
    """`message`, ready to be sent."""
    return Community(Version(message.version), message.community).wrap(encode_pdu(message.pdu))


def response(request: Pdu, names: Sequence[Oid], tags: bytes, values: Sequence[Value], status: int = 0, index: int = 0) -> Pdu:
    """The response to `request` with these varbinds."""
    return Pdu(PduType.RESPONSE, request.request_id, status, index, list(names), tags, list(values))
