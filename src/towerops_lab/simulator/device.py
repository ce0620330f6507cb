"""A simulated device that is a table of values, for tests; and the message around a PDU that SNMPv1 and v2c agents answer.

A value may be a function of the time, which is passed in. The answers themselves are mib.py's. Pure.
Source: RFC 1157 §4, RFC 1901 §3 (the message).
"""

from collections.abc import Callable, Iterable, Mapping

from towerops_agent.errors import InvalidOid, MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.message import Value, Version
from towerops_lab.simulator.mib import Mib

Live = Value | Callable[[float], Value]
"""A value, or a function of the seconds since the device started."""

Respond = Callable[[int, bytes, int], bytes | None]
"""The version, a PDU and the most octets -> the PDU that answers; None for none. Raises MalformedMessage, InvalidOid."""


def answer_community(datagram: bytes, community: bytes, respond: Respond, max_octets: int) -> bytes | None:
    """The message that answers one of SNMPv1 or v2c; None if a real device stays silent: another community, not a request."""
    try:
        start, end = ber.read_contents(datagram, 0, len(datagram), ber.SEQUENCE)
        version, at = ber.read_integer(datagram, start, end)
        if version not in (Version.V1, Version.V2C):
            return None
        name, stop = ber.read_contents(datagram, at, end, ber.OCTET_STRING)
        if datagram[name:stop] != community:
            return None
        head = datagram[start:stop]
        pdu = respond(version, datagram[stop:end], max_octets - len(head) - 4)
    except (MalformedMessage, InvalidOid):
        return None
    return None if pdu is None else ber.encode(ber.SEQUENCE, head + pdu)


class SimulatedDevice:
    """Answers GET, GETNEXT and GETBULK from its values. `max_octets`: a larger answer is tooBig (GETBULK: cut short)."""

    def __init__(self, values: Mapping[Oid, tuple[int, Live]], community: bytes = b"public", max_octets: int = 1472) -> None:
        """`values`: by name, the type (see ber) and the value."""
        self._community = community
        self._max_octets = max_octets
        self.values = dict(values)
        """By name, the type and the value."""
        self._mib = self._made()

    def put(self, name: Oid, tag: int, value: Live) -> None:
        """Answer with this value from now on."""
        self.values[name] = (tag, value)
        self._mib = self._made()

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | None:
        """The response to a request's octets; None if a real device stays silent."""

        def respond(version: int, pdu: bytes, max_octets: int) -> bytes | None:
            return self._mib.respond(version, pdu, uptime_s, max_octets)

        return answer_community(datagram, self._community, respond, self._max_octets)

    def _made(self) -> Mib[float]:
        return Mib((name, tag, value) for name, (tag, value) in self.values.items())


def table(rows: Iterable[tuple[Oid, int, Live]]) -> dict[Oid, tuple[int, Live]]:
    """Values for a SimulatedDevice from (name, tag, value)."""
    return {name: (tag, value) for name, tag, value in rows}
