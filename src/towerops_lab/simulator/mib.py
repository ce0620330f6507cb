"""The values of one kind of device, and the responses made of them: encoded once, shared by all devices of the kind.

PDU of a request -> slots (found once for each distinct request, then remembered) -> PDU of the response.
A value is fixed, or a function of the Moment; a fixed one is encoded once. 10,000 devices of a kind share one Mib.
Pure. Source: RFC 1157 §4.1, RFC 3416 §4.2 (GET, GETNEXT, GETBULK), RFC 2576 §4.1.2 (what v1 can't say).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, subidentifiers
from towerops_agent.snmp.wire.codec import decode_pdu, encode_value
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Value, Version

M = TypeVar("M")
"""What the values depend on: a Moment, or the seconds since the start."""

Live = Value | Callable[[M], Value]
"""A value, or a function of the moment."""

Row = tuple[Oid, int, Live[M]]
"""A name, a type (see ber) and a value."""

REMEMBERED: Final = 4096
"""How many distinct requests stay resolved. Pollers repeat themselves; a scan fills the table, and it starts again."""

MAX_REPETITIONS: Final = 500
"""No response has room for more."""

_SEQUENCE: Final = tuple(b"\x30" + ber.encode_length(n) for n in range(0x200))
_NO_ERROR: Final = b"\x02\x01\x00\x02\x01\x00"


@dataclass(frozen=True, slots=True)
class _Slot(Generic[M]):
    """One varbind of a response. `fixed`: all of it, encoded; else `live` returns the value, and `name` is encoded with a tag."""

    fixed: bytes | None
    name: bytes = b""
    tag: int = 0
    live: Callable[[M], Value] | None = None


@dataclass(frozen=True, slots=True)
class _Found(Generic[M]):
    """What a request asks for. `may_cut`: a GETBULK, which may be cut short; `refusal`: the error to answer with instead."""

    slots: Sequence[_Slot[M]]
    varbinds: bytes
    may_cut: bool = False
    refusal: tuple[int, int] | None = None


class Mib(Generic[M]):
    """Values under their names."""

    def __init__(self, rows: Iterable[Row[M]]) -> None:
        ordered = sorted(((subidentifiers(name), name, tag, value) for name, tag, value in rows), key=lambda row: row[0])
        self._order = [order for order, _, _, _ in ordered]
        self._tags = bytes(tag for _, _, tag, _ in ordered)
        self._slots = [_slot(name, tag, value) for _, name, tag, value in ordered]
        self._last = ordered[-1][1] if ordered else b""
        self._at = {name: at for at, (_, name, _, _) in enumerate(ordered)}
        self._found: dict[tuple[int, int, bytes], _Found[M]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def remembered(self) -> int:
        """How many requests have known varbinds, so that the same request costs no search."""
        return len(self._found)

    def respond(self, version: int, request: bytes, moment: M, max_octets: int) -> bytes | None:
        """The PDU that answers the request's PDU, of at most `max_octets` (else it is tooBig, or a GETBULK's is cut short).

        None if it is not a request. Raises MalformedMessage, or InvalidOid for a name that is not one.
        """
        pdu_type, at, end = ber.read_header(request, 0, len(request))
        _, start = ber.read_integer(request, at, end)
        key = (version, pdu_type, request[start:end])
        found = self._found.get(key)
        if found is None:
            found = self._find(version, request)
            if found is None:
                return None
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = found
        if found.refusal is not None:
            return _response(request[at:start], found.refusal, found.varbinds)
        room = max_octets - (start - at) - 16
        parts: list[bytes] = []
        octets = 0
        for slot in found.slots:
            varbind = slot.fixed
            if varbind is None:
                value = slot.live(moment)  # type: ignore[misc]  # a slot has one or the other
                varbind = slot.name + (
                    ber.encode_integer(value, slot.tag) if isinstance(value, int) else encode_value(slot.tag, value)
                )
                size = len(varbind)
                varbind = (_SEQUENCE[size] if size < 0x200 else b"\x30" + ber.encode_length(size)) + varbind
            octets += len(varbind)
            if octets > room:
                if found.may_cut and parts:
                    break
                varbinds = found.varbinds if version == Version.V1 else b"\x30\x00"
                return _response(request[at:start], (ErrorStatus.tooBig, 0), varbinds)
            parts.append(varbind)
        return _response(request[at:start], None, ber.encode(ber.SEQUENCE, b"".join(parts)))

    def _find(self, version: int, request: bytes) -> _Found[M] | None:
        pdu = decode_pdu(request, 0, len(request))
        _, _, end = ber.read_header(request, 0, len(request))
        varbinds = _varbinds(request, end)
        v1 = version == Version.V1
        match pdu.type:
            case PduType.GET:
                places = [self._place(name, v1) for name in pdu.names]
                absent = [self._absence(name) for name in pdu.names]
            case PduType.GET_NEXT:
                places = [self._next(subidentifiers(name), v1) for name in pdu.names]
                absent = [ber.END_OF_MIB_VIEW] * len(places)
            case PduType.GET_BULK if not v1:
                return _Found(self._bulk(pdu.names, max(pdu.error_status, 0), max(pdu.error_index, 0)), varbinds, may_cut=True)
            case PduType.SET:
                return _Found((), varbinds, refusal=(ErrorStatus.readOnly if v1 else ErrorStatus.notWritable, 1))
            case _:
                return None
        if v1 and None in places:
            return _Found((), varbinds, refusal=(ErrorStatus.noSuchName, places.index(None) + 1))
        found = zip(pdu.names, places, absent, strict=True)
        return _Found([_absent(name, why) if at is None else self._slots[at] for name, at, why in found], varbinds)

    def _bulk(self, names: Sequence[Oid], heads: int, repetitions: int) -> list[_Slot[M]]:
        """RFC 3416 §4.2.3: the first `heads` names once, the rest as often as asked, row by row."""
        slots: list[_Slot[M]] = []
        for name in names[:heads]:
            at = self._next(subidentifiers(name), v1=False)
            slots.append(_absent(name, ber.END_OF_MIB_VIEW) if at is None else self._slots[at])
        places = [bisect_right(self._order, subidentifiers(name)) for name in names[heads:]]
        ends = [_absent(name, ber.END_OF_MIB_VIEW) for name in names[heads:]]
        for step in range(min(repetitions, MAX_REPETITIONS) if places else 0):
            for column, place in enumerate(places):
                at = place + step
                if at < len(self._slots):
                    slots.append(self._slots[at])
                else:
                    slots.append(self._after_last(place, ends[column]))
            if all(place + step >= len(self._slots) for place in places):
                break
        return slots

    def _after_last(self, place: int, asked: _Slot[M]) -> _Slot[M]:
        """endOfMibView carries the name of the last variable that was found, or the one asked for (RFC 3416 §4.2.3)."""
        return asked if place >= len(self._slots) else _absent(self._last, ber.END_OF_MIB_VIEW)

    def _place(self, name: Oid, v1: bool) -> int | None:
        at = self._at.get(name)
        return None if at is None or (v1 and self._tags[at] == ber.COUNTER64) else at

    def _next(self, after: tuple[int, ...], v1: bool) -> int | None:
        for at in range(bisect_right(self._order, after), len(self._order)):
            if not (v1 and self._tags[at] == ber.COUNTER64):
                return at
        return None

    def _absence(self, name: Oid) -> int:
        """noSuchInstance if another instance of the object exists, else noSuchObject (RFC 3416 §4.2.1)."""
        column = subidentifiers(name)[:-1]
        at = bisect_left(self._order, column)
        near = at < len(self._order) and self._order[at][: len(column)] == column
        return ber.NO_SUCH_INSTANCE if near else ber.NO_SUCH_OBJECT


def _slot(name: Oid, tag: int, value: Live[M]) -> _Slot[M]:
    encoded = ber.encode(ber.OBJECT_IDENTIFIER, name)
    if callable(value):
        return _Slot(None, encoded, tag, value)
    return _Slot(ber.encode(ber.SEQUENCE, encoded + encode_value(tag, value)))


def _absent(name: Oid, tag: int) -> _Slot[Any]:
    return _Slot(ber.encode(ber.SEQUENCE, ber.encode(ber.OBJECT_IDENTIFIER, name) + bytes((tag, 0))))


def _varbinds(request: bytes, end: int) -> bytes:
    """The request's own list of varbinds, which a v1 error returns (RFC 1157 §4.1.2)."""
    at = ber.read_header(request, 0, end)[1]
    for _ in range(3):
        at = ber.read_integer(request, at, end)[1]
    return request[at:end]


def _response(request_id: bytes, error: tuple[int, int] | None, varbinds: bytes) -> bytes:
    status = _NO_ERROR if error is None else ber.encode_integer(error[0]) + ber.encode_integer(error[1])
    return ber.encode(PduType.RESPONSE, request_id + status + varbinds)
