"""A device made of a few values, for discovery: it answers as a recording does, without a socket."""

from collections.abc import Mapping

from support.recordings import Recording
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid, subidentifiers
from towerops_agent.snmp.wire.message import Value

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
IF = "1.3.6.1.2.1.2.2.1"
IFX = "1.3.6.1.2.1.31.1.1.1"


class FewValues(Recording):
    """`values`: by OID; an int is an INTEGER, a text an OCTET STRING, (tag, value) anything."""

    def __init__(self, values: Mapping[str, int | str | bytes | tuple[int, Value]], object_id: str = "1.3.6.1.4.1.99999") -> None:
        everything = {SYS_OBJECT_ID: (ber.OBJECT_IDENTIFIER, parse_oid(object_id)), **values}
        self.values = {subidentifiers(parse_oid(oid)): _typed(value) for oid, value in everything.items()}
        self.oids = sorted(self.values)
        self.sizes = dict.fromkeys(self.oids, 30)


def _typed(value: int | str | bytes | tuple[int, Value]) -> tuple[int, Value]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, int):
        return ber.INTEGER, value
    return ber.OCTET_STRING, value.encode() if isinstance(value, str) else value


def port(
    index: int, name: str, kind: int = 6, admin: int = 1, *, wide: bool = True, descr: str = ""
) -> dict[str, int | str | tuple[int, Value]]:
    """A row of the interfaces' tables."""
    row: dict[str, int | str | tuple[int, Value]] = {
        f"{IF}.2.{index}": descr or name,
        f"{IF}.3.{index}": kind,
        f"{IF}.7.{index}": admin,
        f"{IF}.10.{index}": (ber.COUNTER32, 7),
        f"{IFX}.1.{index}": name,
    }
    return row | ({f"{IFX}.6.{index}": (ber.COUNTER64, 7)} if wide else {})
