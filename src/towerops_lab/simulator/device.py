"""A simulated SNMP device: a table of values, and how an SNMPv1 or v2c agent answers from it.

Pure: requests in, responses out; a value may be a function of the time, which is passed in.
Source: RFC 1157 §4.1, RFC 3416 §4.2 (GET, GETNEXT, GETBULK), RFC 2576 §4.1.2 (what v1 can't say).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from towerops_agent.errors import InvalidOid, MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, subidentifiers
from towerops_agent.snmp.wire.message import (
    ErrorStatus,
    Message,
    Pdu,
    PduType,
    Value,
    Version,
    decode_message,
    encode_message,
    encode_value,
    response,
)

Live = Value | Callable[[float], Value]
"""A value, or a function of the seconds since the device started."""


@dataclass(frozen=True, slots=True)
class Varbind:
    """A name and the value that a device answers under it."""

    name: Oid
    tag: int
    value: Value


class SimulatedDevice:
    """Answers GET, GETNEXT and GETBULK from its values. `max_octets`: a larger answer is tooBig (GETBULK: cut short)."""

    def __init__(self, values: Mapping[Oid, tuple[int, Live]], community: bytes = b"public", max_octets: int = 1472) -> None:
        """`values`: by name, the type (see ber) and the value."""
        self._community = community
        self._max_octets = max_octets
        self._names = sorted(values, key=subidentifiers)
        self._order = [subidentifiers(name) for name in self._names]
        self.values = dict(values)
        """By name, the type and the value."""

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | None:
        """The response to a request's octets; None if a real device stays silent: a wrong community, no request, no SNMP."""
        try:
            message = decode_message(datagram)
        except MalformedMessage:
            return None
        if message.community != self._community:
            return None
        respond = {PduType.GET: self._get, PduType.GET_NEXT: self._get_next, PduType.GET_BULK: self._get_bulk}
        pdu = message.pdu
        if pdu.type not in respond or (pdu.type == PduType.GET_BULK and message.version == Version.V1):
            return None
        try:
            reply = respond[PduType(pdu.type)](message, uptime_s)
        except InvalidOid:
            return None
        octets = encode_message(Message(message.version, message.community, reply))
        if len(octets) > self._max_octets:
            too_big = _refusal(pdu, ErrorStatus.tooBig, 0) if message.version == Version.V1 else _empty(pdu, ErrorStatus.tooBig)
            octets = encode_message(Message(message.version, message.community, too_big))
        return octets

    def _get(self, message: Message, uptime_s: float) -> Pdu:
        return self._respond(message, [self._read(name, uptime_s, message.version) for name in message.pdu.names])

    def _get_next(self, message: Message, uptime_s: float) -> Pdu:
        return self._respond(message, [self._next(name, uptime_s, message.version) for name in message.pdu.names])

    def _get_bulk(self, message: Message, uptime_s: float) -> Pdu:
        pdu = message.pdu
        heads = max(pdu.error_status, 0)  # non-repeaters and max-repetitions are in the fields of a response's error
        found = [self._next(name, uptime_s, message.version) for name in pdu.names[:heads]]
        last = pdu.names[heads:]
        octets = sum(map(_octets, found))
        for _ in range(max(pdu.error_index, 0) if last else 0):
            row = [self._next(name, uptime_s, message.version) for name in last]
            octets += sum(map(_octets, row))
            if found and octets > self._max_octets - 100:
                break
            found += row
            last = [varbind.name for varbind in row]
            if all(varbind.tag == ber.END_OF_MIB_VIEW for varbind in row):
                break
        return self._respond(message, found)

    def _respond(self, message: Message, found: list[Varbind]) -> Pdu:
        if message.version == Version.V1:
            for index, varbind in enumerate(found, 1):
                if varbind.tag >= ber.NO_SUCH_OBJECT:
                    return _refusal(message.pdu, ErrorStatus.noSuchName, index)
        tags = bytes(varbind.tag for varbind in found)
        return response(message.pdu, [varbind.name for varbind in found], tags, [varbind.value for varbind in found])

    def _read(self, name: Oid, uptime_s: float, version: int) -> Varbind:
        entry = self.values.get(name)
        if entry is None or (version == Version.V1 and entry[0] == ber.COUNTER64):
            return Varbind(name, self._absence(name), None)
        tag, value = entry
        return Varbind(name, tag, value(uptime_s) if callable(value) else value)

    def _absence(self, name: Oid) -> int:
        """noSuchInstance if another instance of the object exists, else noSuchObject (RFC 3416 §4.2.1)."""
        column = subidentifiers(name)[:-1]
        at = bisect_left(self._order, column)
        near = at < len(self._order) and self._order[at][: len(column)] == column
        return ber.NO_SUCH_INSTANCE if near else ber.NO_SUCH_OBJECT

    def _next(self, name: Oid, uptime_s: float, version: int) -> Varbind:
        for at in range(bisect_right(self._order, subidentifiers(name)), len(self._order)):
            varbind = self._read(self._names[at], uptime_s, version)
            if varbind.tag < ber.NO_SUCH_OBJECT:
                return varbind
        return Varbind(name, ber.END_OF_MIB_VIEW, None)


def _refusal(asked: Pdu, status: int, index: int) -> Pdu:
    """An error as in SNMPv1, with the request's varbinds (RFC 1157 §4.1.2)."""
    return response(asked, asked.names, bytes([ber.NULL]) * len(asked.names), [None] * len(asked.names), status, index)


def _empty(asked: Pdu, status: int) -> Pdu:
    """An error without varbinds: v2c's tooBig (RFC 3416 §4.2.1)."""
    return response(asked, (), b"", (), status)


def _octets(varbind: Varbind) -> int:
    return 6 + len(varbind.name) + len(encode_value(varbind.tag, varbind.value))


def table(rows: Iterable[tuple[Oid, int, Live]]) -> dict[Oid, tuple[int, Live]]:
    """Values for a SimulatedDevice from (name, tag, value)."""
    return {name: (tag, value) for name, tag, value in rows}
