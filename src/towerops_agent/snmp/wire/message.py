"""SNMPv1 and v2c messages and their PDUs: a request as octets, and the usual answer to it. codec.py has all other messages.

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

_OCTETS_OF_0: Final = 1
_COUNTER_AT_0: Final = bytes((ber.COUNTER32, _OCTETS_OF_0, 0))

STEADY_ANSWERS: Final = 2048
"""How many ends of answers that stay the same are remembered, 1 to 4 KB each: devices of a kind share theirs."""

SHORT: Final = 9
"""The octets of the largest Counter64: what is in front of longer values, which are texts, is put together each time."""

SHARED_HEADS: Final = 8192
"""How many OIDs share what is in front of their values, 0.8 KB each: devices of a kind have the same ones."""


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


LARGEST_ERROR: Final = 255
"""Larger error-statuses, which no RFC has, share a name: each name is a counter, and a device could make up any number."""


def error_name(status: int) -> str:
    """The RFC's name of an error-status; of one that it lacks `error-N`, and `error-other` past LARGEST_ERROR and below 0."""
    try:
        return ErrorStatus(status).name
    except ValueError:
        return f"error-{status}" if 0 <= status <= LARGEST_ERROR else "error-other"


@dataclass(frozen=True, slots=True)
class Varbind:
    """One name and its value; `tag` is the value's type (see ber)."""

    name: Oid
    tag: int
    value: Value


Head = tuple[int, Sequence[bytes]]
"""What a varbind has in front of its value: how many octets, with the value's tag and length; and those before that tag, by how
many octets the value has, 0 to SHORT, as far as their lengths are in one octet each, which is what is usual."""


@lru_cache(maxsize=SHARED_HEADS)
def head_of(name: Oid) -> Head:
    """The Head of a name. One serves all requests with that name, while it is among the latest ones."""
    encoded = ber.encode(ber.OBJECT_IDENTIFIER, name)
    lengths = range(len(encoded) + 2, min(len(encoded) + 2 + SHORT, 0x7F) + 1)
    return len(encoded) + 4, tuple(bytes((0x30, length)) + encoded for length in lengths)


def before_long(known: Sequence[bytes], octets: int) -> bytes:
    """What is before the tag of a value of more octets than SHORT. Raises IndexError if a length would take more than one."""
    head = known[0]
    length = head[1] + octets
    if length > 0x7F:
        raise IndexError(octets)
    return bytes((0x30, length)) + head[2:]


@lru_cache(maxsize=64)
def _counters_at_0(count: int) -> tuple[bytes, tuple[int, ...]]:
    """Tags and values of so many Counter32 of 0."""
    return bytes((ber.COUNTER32,)) * count, (0,) * count


class Strip:
    """Adjacent varbinds of a request. `idle`: they are Counter32 that mostly are 0, as the errors and discards of an interface.

    `first`: the number of its first varbind. `octets`: what an answer has for an idle strip of which each counter is 0, so that
    it is compared as one; b"" if it is not idle. `tags`, `values`: what they are then.
    """

    __slots__ = ("first", "heads", "octets", "tags", "values")

    def __init__(self, first: int, heads: tuple[Head, ...], idle: bool = False) -> None:
        self.first, self.heads = first, heads
        try:
            self.octets = b"".join([known[_OCTETS_OF_0] + _COUNTER_AT_0 for _, known in heads]) if idle else b""
        except IndexError:
            self.octets = b""
        self.tags, self.values = _counters_at_0(len(heads))


@dataclass(frozen=True, slots=True)
class Request:
    """A question, ready to be sent to any device. For GET_BULK, `first` and `second` are non-repeaters and max-repetitions.

    `steady_from`: the values from this varbind on are expected to be the same each time, as those of interfaces' names; None:
    nothing is known of that. `idle`: which of the varbinds before that are expected to be 0, as slices in their order.
    `moving`, `steady`: the varbinds before that one, and from it on. `around_id`: the PDU's octets before and behind those of the
    request-id.
    """

    names: tuple[Oid, ...]
    type: PduType = PduType.GET
    first: int = 0
    second: int = 0
    steady_from: int | None = field(default=None, repr=False, compare=False)
    idle: tuple[slice, ...] = field(default=(), repr=False, compare=False)
    moving: tuple[Strip, ...] = field(default=(), repr=False, compare=False)
    steady: tuple[Strip, ...] = field(default=(), repr=False, compare=False)
    around_id: tuple[bytes, bytes] = field(default=(b"", b""), repr=False, compare=False)

    def __post_init__(self) -> None:
        heads = tuple(map(head_of, self.names))
        steady_from = len(heads) if self.steady_from is None else self.steady_from
        moving, at = [], 0
        for run in self.idle:
            moving += [Strip(at, heads[at : run.start]), Strip(run.start, heads[run], idle=True)]
            at = run.stop
        moving.append(Strip(at, heads[at:steady_from]))
        object.__setattr__(self, "moving", tuple(strip for strip in moving if strip.heads))
        object.__setattr__(self, "steady", (Strip(0, heads[steady_from:]),) if heads[steady_from:] else ())
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
    community: bytes = field(repr=False)
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
    request, all lengths right to the octet. codec.decode_message reads it as the same Pdu. Everything else, malformed or only
    uncommon, is left to that.
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
    as_asked = _decode_as_asked(data, varbinds, request.moving)
    if as_asked is None:
        return None
    tags, values, end = as_asked
    if request.steady:
        steady = _decode_steady(data[end:], request.steady)
        if steady is None:
            return None
        tags, values = tags + steady[0], values + steady[1]
    elif end != octets:
        return None
    return one, Pdu(PduType.RESPONSE, request_id, 0, 0, request.names, tags, values)


def _decode_as_asked(data: bytes, offset: int, strips: Sequence[Strip]) -> tuple[bytes, list[Value], int] | None:
    """The tags and values of the varbinds from `offset` on, if their names are these, in order, and where they end; else None.

    The agent spends most of its time here: hence few calls, each varbind's head compared as a whole, and an idle strip with all
    its values, and all numbers converted at once. Unusual and malformed answers are left to codec.py.
    """
    tags = bytearray()
    contents: list[bytes] = []
    all_at_0: list[Strip] = []
    add_tag, add_contents, add_at_0, starts_with = tags.append, contents.append, all_at_0.append, data.startswith
    at = offset
    try:
        for strip in strips:
            zeros = strip.octets
            if zeros and starts_with(zeros, at):
                at += len(zeros)
                add_at_0(strip)
                continue
            for size, known in strip.heads:
                start = at + size  # of the value
                length = data[start - 1]
                if not starts_with(known[length] if length <= SHORT else before_long(known, length), at):
                    return None
                add_tag(data[start - 2])
                at = start + length
                add_contents(data[start:at])
    except LookupError:  # it ends before, or a length takes more than an octet
        return None
    values: list[Any] = list(map(int.from_bytes, contents))  # big-endian
    if all(contents) and all(map(le, values, map(_MAXIMA.__getitem__, tags))):  # all are unsigned, or names: the usual case
        if ber.OCTET_STRING in tags:
            values = [octets if tag == ber.OCTET_STRING else n for tag, octets, n in zip(tags, contents, values, strict=True)]
    else:
        for i, octets in enumerate(contents):
            tags[i], values[i] = decode_value(tags[i], octets)
    for strip in all_at_0:
        first = strip.first
        tags[first:first], values[first:first] = strip.tags, strip.values
    return bytes(tags), values, at


@lru_cache(maxsize=STEADY_ANSWERS)
def _decode_steady(varbinds: bytes, strips: Sequence[Strip]) -> tuple[bytes, list[Value]] | None:
    """As _decode_as_asked of all these octets, without reading the same ones again. The list is not to be changed."""
    as_asked = _decode_as_asked(varbinds, 0, strips)
    return None if as_asked is None or as_asked[2] != len(varbinds) else as_asked[:2]


def decode_value(tag: int, octets: bytes) -> tuple[int, Value]:
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
