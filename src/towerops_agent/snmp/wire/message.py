"""SNMPv1 and v2c messages and their PDUs: octets <-> values.

A Request's varbinds are encoded once, however many devices it is sent to; a Pdu keeps its varbinds as three parallel columns
(names, tags, values), since an object per varbind would cost more than reading it (docs/decisions/0003-snmp-engine.md).
Pure. Source: RFC 1157 §4, RFC 1901 §3, RFC 3416 §3 and §4.2.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from operator import le
from typing import Any, ClassVar, Final, Protocol, TypeVar

from towerops_agent.errors import MalformedMessage
from towerops_agent.reasons import Discard
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.oddities import Oddities

Value = int | bytes | None
"""A varbind's value: an int for the integer types; the contents' octets for strings, OIDs, addresses and Opaque; else None."""

UNREADABLE: Final = 0x00
"""In place of a tag: the value's octets do not fit its type, or its length is wrong.

It costs this varbind only, not the message."""

LOWEST_ID: Final = 0x01000000
HIGHEST_ID: Final = 0x7FFFFFFF
"""All request-ids of ours between these have four octets."""

_ID_OF_OURS: Final = b"\x02\x04"
"""What is in front of the octets of a request-id of ours."""

_NO_ERROR: Final = b"\x02\x01\x00\x02\x01\x00\x30"
"""What is behind them in a usual answer: error-status and error-index, both 0, and the tag of the varbinds."""

STEADY_ANSWERS: Final = 2048
"""How many ends of answers that stay the same are remembered, 1 to 4 KB each: devices of a kind share theirs."""

SHORT: Final = 9
"""The octets of the largest Counter64: what is in front of longer values, which are texts, is put together each time."""

SHARED_HEADS: Final = 8192
"""How many OIDs share what is in front of their values, 0.3 KB each: devices of a kind have the same ones."""


class Version(IntEnum):
    """The version field of a message."""

    V1 = 0
    V2C = 1
    V3 = 3


class PduType(IntEnum):
    """The tags of the PDUs that a manager sends or receives."""

    GET = 0xA0
    GET_NEXT = 0xA1
    RESPONSE = 0xA2
    SET = 0xA3
    GET_BULK = 0xA5
    REPORT = 0xA8


class ErrorStatus(IntEnum):
    """The error-status of a response (RFC 3416 §3); names from the RFC."""

    noError = 0  # noqa: N815
    tooBig = 1  # noqa: N815
    noSuchName = 2  # noqa: N815
    badValue = 3  # noqa: N815
    readOnly = 4  # noqa: N815
    genErr = 5  # noqa: N815
    noAccess = 6  # noqa: N815
    wrongType = 7  # noqa: N815
    wrongLength = 8  # noqa: N815
    wrongEncoding = 9  # noqa: N815
    wrongValue = 10  # noqa: N815
    noCreation = 11  # noqa: N815
    inconsistentValue = 12  # noqa: N815
    resourceUnavailable = 13  # noqa: N815
    commitFailed = 14  # noqa: N815
    undoFailed = 15  # noqa: N815
    authorizationError = 16  # noqa: N815
    notWritable = 17  # noqa: N815
    inconsistentName = 18  # noqa: N815


def error_name(status: int) -> str:
    """The RFC's name of an error-status, or `error-N` for one that it lacks."""
    try:
        return ErrorStatus(status).name
    except ValueError:
        return f"error-{status}"


@dataclass(frozen=True, slots=True)
class Varbind:
    """One name and its value; `tag` is the value's type (see ber)."""

    name: Oid
    tag: int
    value: Value


class Head(dict[int, bytes]):
    """The octets of a varbind before its value's tag, by how many octets the value has, up to SHORT of them.

    `size`: how many octets these are; as all lengths are in one octet, which is what is usual, it is the same for all values.
    """

    __slots__ = ("_name", "size")
    __hash__ = object.__hash__  # type: ignore[assignment]  # _decode_steady needs it
    __eq__ = object.__eq__

    def __init__(self, name: bytes) -> None:
        """`name`: as it is encoded."""
        super().__init__()
        self._name = name
        self.size = 2 + len(name)

    def __missing__(self, octets: int) -> bytes:
        """These octets for a value of so many; b"" if a length would not fit into one octet."""
        length = self.size + octets  # of the name, and of the value with its tag and length
        if length > 0x7F:
            return b""
        head = bytes((0x30, length)) + self._name
        if octets <= SHORT:
            self[octets] = head
        return head


@lru_cache(maxsize=SHARED_HEADS)
def head_of(name: Oid) -> Head:
    """The Head of a name. One serves all requests with that name, while it is among the latest ones."""
    return Head(ber.encode(ber.OBJECT_IDENTIFIER, name))


@dataclass(frozen=True, slots=True)
class Request:
    """A question, ready to be sent to any device. For GET_BULK, `first` and `second` are non-repeaters and max-repetitions.

    `steady_from`: the values from this varbind on are expected to be the same each time, as those of interfaces' names; None:
    nothing is known of that.
    `moving_heads`, `steady_heads`: of the varbinds before that one, and from it on. `around_id`: the PDU's octets before and
    behind those of the request-id.
    """

    names: tuple[Oid, ...]
    type: PduType = PduType.GET
    first: int = 0
    second: int = 0
    steady_from: int | None = field(default=None, repr=False, compare=False)
    moving_heads: tuple[Head, ...] = field(default=(), repr=False, compare=False)
    steady_heads: tuple[Head, ...] = field(default=(), repr=False, compare=False)
    around_id: tuple[bytes, bytes] = field(default=(b"", b""), repr=False, compare=False)

    def __post_init__(self) -> None:
        heads = tuple(map(head_of, self.names))
        moving = len(heads) if self.steady_from is None else self.steady_from
        object.__setattr__(self, "moving_heads", heads[:moving])
        object.__setattr__(self, "steady_heads", heads[moving:])
        names = (ber.encode(ber.OBJECT_IDENTIFIER, name) for name in self.names)
        varbinds = b"".join(ber.encode(ber.SEQUENCE, name + b"\x05\x00") for name in names)
        tail = ber.encode_integer(self.first) + ber.encode_integer(self.second) + ber.encode(ber.SEQUENCE, varbinds)
        head = bytes((self.type,)) + ber.encode_length(len(_ID_OF_OURS) + 4 + len(tail)) + _ID_OF_OURS
        object.__setattr__(self, "around_id", (head, tail))

    def pdu(self, request_id: int) -> bytes:
        """The PDU with this request-id, LOWEST_ID to HIGHEST_ID."""
        head, tail = self.around_id
        return head + request_id.to_bytes(4, "big") + tail


@dataclass(slots=True)
class Pdu:
    """A response (or, in a simulated device, a request). The three columns have the same length, and may be empty.

    `tags`: each value's type, one octet each (see ber); UNREADABLE if the value's octets did not fit its type.
    """

    type: int
    request_id: int
    error_status: int = 0
    error_index: int = 0
    names: Sequence[Oid] = field(default_factory=list)
    tags: bytes = b""
    values: list[Value] = field(default_factory=list)


@dataclass(slots=True)
class Message:
    """An SNMPv1 or v2c message (RFC 1157 §4, RFC 1901 §3)."""

    version: int
    community: bytes
    pdu: Pdu


class Community:
    """How v1 and v2c wrap a PDU: a version and a community, encoded once as `head`.

    `oddities`: those of the one device asked with it.
    """

    __slots__ = ("_name", "head", "oddities", "version")

    wants_keys: ClassVar[bool] = False

    def __init__(self, version: Version, name: bytes) -> None:
        self.version = version
        self._name = name
        self.oddities = Oddities()
        self.head = ber.encode_integer(version) + ber.encode(ber.OCTET_STRING, name)

    def __repr__(self) -> str:
        return f"Community({self.version.name}, ***)"

    def encode(self, request: Request, request_id: int, now: float) -> bytes:  # noqa: ARG002 - as UsmSecurity has it
        """The message with `request`."""
        before, behind = request.around_id
        octets = b"".join((self.head, before, request_id.to_bytes(4, "big"), behind))
        return _sequence_head(len(octets)) + octets

    def wrap(self, pdu: bytes) -> bytes:
        """The message with `pdu`."""
        return ber.encode(ber.SEQUENCE, self.head + pdu)

    def is_like(self, other: "Community") -> bool:
        """Whether `other` is the same version and community."""
        return other.wrap(b"") == self.wrap(b"")

    def forget(self) -> None:
        """There is nothing to learn about the device."""

    def refuses(self, message: Message) -> Discard | None:
        """Why `message` does not answer one of ours, or None."""
        if message.version != self.version:
            return Discard.WRONG_VERSION
        if message.community != self._name:
            return Discard.WRONG_COMMUNITY
        return None


@lru_cache(maxsize=2048)
def _sequence_head(length: int) -> bytes:
    """The octets in front of a sequence of `length` octets. There are as many different ones as messages have lengths."""
    return b"\x30" + ber.encode_length(length)


def message_version(datagram: bytes) -> int:
    """The version field, which decides how to read the rest. Raises MalformedMessage if there is none."""
    start, stop = ber.read_contents(datagram, 0, len(datagram), ber.SEQUENCE)
    return ber.read_integer(datagram, start, stop)[0]


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


class Wrapping(Protocol):
    """The security of a message: a Community, or of SNMPv3."""

    @property
    def head(self) -> bytes:
        """The version and community, encoded; b"" of SNMPv3."""


class Awaiting(Protocol):
    """What awaits an answer: a Transaction."""

    @property
    def request(self) -> Request:
        """What was asked."""

    @property
    def security(self) -> Wrapping:
        """How, and how it is answered."""


AwaitingT = TypeVar("AwaitingT", bound=Awaiting)


def decode_usual(data: bytes, awaiting: Mapping[int, AwaitingT]) -> tuple[AwaitingT, Pdu] | None:
    """The one of `awaiting`, by request-ids, whose answer a datagram is, and the answer, if it is a usual one; else None.

    Usual is what nearly all answers are: of the request's version and community, without an error, its names those of the
    request, all lengths right to the octet. decode_message reads it as the same Pdu. Everything else, malformed or only uncommon,
    is left to that.
    """
    octets = len(data)
    try:
        form = data[1]
        start = 2 if form < 0x80 else form - 0x7E  # of the contents: behind one octet of length, or that and up to two more
        pdu = start + 5 + data[start + 4]  # behind `02 01 version 04 length community`
        pdu_form = data[pdu + 1]
        at = pdu + 2 if pdu_form < 0x80 else pdu + pdu_form - 0x7E
        request_id = int.from_bytes(data[at + 2 : at + 6])
        one = awaiting.get(request_id)
        if one is None or data[start:pdu] != one.security.head:
            return None
        if data[at : at + 2] != _ID_OF_OURS or data[at + 6 : at + 13] != _NO_ERROR or data[pdu] != 0xA2 or data[0] != 0x30:
            return None
        list_form = data[at + 13]
        varbinds = at + 14 if list_form < 0x80 else at + list_form - 0x72
        if form > 0x82 or pdu_form > 0x82 or list_form > 0x82 or list_form == 0x80:
            return None
    except IndexError:
        return None
    if (
        (form if form < 0x80 else int.from_bytes(data[2:start])) != octets - start
        or (pdu_form if pdu_form < 0x80 else int.from_bytes(data[pdu + 2 : at])) != octets - at
        or (list_form if list_form < 0x80 else int.from_bytes(data[at + 14 : varbinds])) != octets - varbinds
    ):
        return None
    request = one.request
    as_asked = _decode_as_asked(data, varbinds, request.moving_heads)
    if as_asked is None:
        return None
    tags, values, end = as_asked
    if request.steady_heads:
        steady = _decode_steady(data[end:], request.steady_heads)
        if steady is None:
            return None
        tags, values = tags + steady[0], values + steady[1]
    elif end != octets:
        return None
    return one, Pdu(PduType.RESPONSE, request_id, 0, 0, request.names, tags, values)


def _decode_as_asked(data: bytes, offset: int, heads: Sequence[Head]) -> tuple[bytes, list[Value], int] | None:
    """The tags and values of the varbinds from `offset` on, if their names are these, in order, and where they end; else None.

    The agent spends most of its time here: hence one loop with only these two calls, each varbind's head compared as a whole, and
    all numbers converted at once. Unusual and malformed answers are left to decode_varbinds.
    """
    tags = bytearray()
    contents: list[bytes] = []
    add_tag, add_contents = tags.append, contents.append
    at = offset
    try:
        for head in heads:
            place = at + head.size  # of the value
            length = data[place + 1]
            if data[at:place] != head[length]:
                return None
            add_tag(data[place])
            at = place + 2 + length
            add_contents(data[place + 2 : at])
    except IndexError:
        return None
    values: list[Any] = list(map(int.from_bytes, contents))  # big-endian
    if all(contents) and all(map(le, values, map(_MAXIMA.__getitem__, tags))):  # all are unsigned, or names: the usual case
        if ber.OCTET_STRING in tags:
            values = [octets if tag == ber.OCTET_STRING else n for tag, octets, n in zip(tags, contents, values, strict=True)]
        return bytes(tags), values, at
    for i, octets in enumerate(contents):
        tags[i], values[i] = _decode_value(tags[i], octets)
    return bytes(tags), values, at


@lru_cache(maxsize=STEADY_ANSWERS)
def _decode_steady(varbinds: bytes, heads: Sequence[Head]) -> tuple[bytes, list[Value]] | None:
    """As _decode_as_asked of all these octets, without reading the same ones again. The list is not to be changed."""
    as_asked = _decode_as_asked(varbinds, 0, heads)
    return None if as_asked is None or as_asked[2] != len(varbinds) else as_asked[:2]


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
                tag, value = _decode_value(data[start], data[start + 2 : stop])
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
    return _decode_value(tag, octets[start:]) if stop == len(octets) else (UNREADABLE, None)


def _decode_value(tag: int, octets: bytes) -> tuple[int, Value]:
    """The tag and value of a varbind; UNREADABLE and None if the octets do not fit its type."""
    if tag in _UNSIGNED_MAXIMUM:
        value = int.from_bytes(octets, "big")
        if octets and value <= _UNSIGNED_MAXIMUM[tag]:
            return tag, value
    elif tag == ber.INTEGER:
        if 1 <= len(octets) <= 8:
            return tag, int.from_bytes(octets, "big", signed=True)
    elif tag in _OCTETS:
        return tag, octets
    elif tag in _EMPTY:
        return tag, None
    return UNREADABLE, None


# Read as unsigned whatever their first bit: much firmware omits the leading zero octet of a large counter.
_UNSIGNED_MAXIMUM: Final = {
    ber.COUNTER32: 0xFFFFFFFF,
    ber.GAUGE32: 0xFFFFFFFF,
    ber.TIME_TICKS: 0xFFFFFFFF,
    ber.UINTEGER32: 0xFFFFFFFF,
    ber.COUNTER64: 0xFFFFFFFFFFFFFFFF,
}
_MAXIMA: Final = [math.inf if tag == ber.OCTET_STRING else _UNSIGNED_MAXIMUM.get(tag, -1) for tag in range(256)]
_OCTETS: Final = frozenset((ber.OCTET_STRING, ber.OBJECT_IDENTIFIER, ber.IP_ADDRESS, ber.OPAQUE, ber.NSAP_ADDRESS))
_EMPTY: Final = ber.ABSENT | {ber.NULL}


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
