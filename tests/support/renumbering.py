"""A device whose interfaces come, go and move, and that falls short of the RFCs in ways of its own.

Each counter says by its value whose it is, and grows with each poll.
"""

from dataclasses import dataclass, field

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, parse_oid, subidentifiers
from towerops_agent.snmp.wire.codec import decode_message, encode_message, response
from towerops_agent.snmp.wire.message import ErrorStatus, Message, PduType

IF_ENTRY, IF_X_ENTRY = parse_oid("1.3.6.1.2.1.2.2.1"), parse_oid("1.3.6.1.2.1.31.1.1.1")
SYS_UP_TIME = parse_oid("1.3.6.1.2.1.1.3.0")
LAST_CHANGE = parse_oid("1.3.6.1.2.1.31.1.5.0")
NAME_COLUMNS = (child(IF_X_ENTRY, 1), child(IF_ENTRY, 2))
WIDE_COLUMNS = (child(IF_X_ENTRY, 6), child(IF_X_ENTRY, 10))
NARROW_COLUMNS = tuple(child(IF_ENTRY, column) for column in (10, 16, 14, 20, 13, 19))
SPAN = 1_000_000


def owner(value: int) -> int:
    """Whose counter this is: the number of its interface."""
    return value // SPAN


def _column(name: Oid) -> Oid:
    return name[:-1]  # indexes are of one octet here


@dataclass
class Row:
    """An interface in the device's tables. `number`: which one it is, over all moves. `up`: its ifOperStatus is 1.

    `descr`: its ifDescr, if that is not its name.
    """

    number: int
    name: bytes
    up: bool = True
    descr: bytes | None = None


@dataclass
class Defects:
    """`bulk`, `get_next`: how such requests fail: "", genErr, tooBig, empty, silent or disorder.

    `odd_names`: ifIndexes whose names are not texts: NULL, INTEGER or noSuchInstance, by turns. `without`: name columns that it
    lacks. `limit`: how many varbinds it answers; more is tooBig. `wide`: it has 64-bit counters. `last_change`: and
    ifTableLastChange. `denied`: columns that a GET finds absent, and a GETNEXT gives. `mute`: columns that a GET is not answered
    for. `wide_as`: what 64-bit counters are instead of what they count.
    """

    bulk: str = ""
    get_next: str = ""
    odd_names: frozenset[int] = frozenset()
    without: frozenset[Oid] = frozenset()
    limit: int = 100
    wide: bool = True
    last_change: bool = False
    denied: frozenset[Oid] = frozenset()
    mute: frozenset[Oid] = frozenset()
    wide_as: tuple[int, int | bytes | None] | None = None


@dataclass
class RenumberingDevice:
    """`rows`: by ifIndex, to be changed between polls. `ticks`: its sysUpTime; `changed`: when rows last came or went."""

    rows: dict[int, Row]
    defects: Defects = field(default_factory=Defects)
    ticks: int = 1_000_000
    polls: int = 0
    changed: int = 0
    community: bytes = b"public"

    def answer(self, datagram: bytes, _uptime_s: float) -> bytes | None:
        """The reply to a request, None for silence."""
        message = decode_message(datagram)
        asked, table = message.pdu, self._table()
        if asked.type == PduType.GET:
            failing, found = "", [(name, *self._by_get(table, name)) for name in asked.names]
            if any(_column(name) in self.defects.mute for name in asked.names):
                failing = "silent"
            elif len(found) > self.defects.limit:
                failing = "tooBig"
        elif asked.type == PduType.GET_NEXT:
            failing, found = self.defects.get_next, [self._following(table, name, 1)[0] for name in asked.names]
        else:
            failing, found = self.defects.bulk, self._following(table, asked.names[0], asked.error_index)
        if failing == "silent":
            return None
        if failing == "disorder":
            found = found[:1] + found[:1]
        status = ErrorStatus[failing] if failing in ("genErr", "tooBig") else ErrorStatus.noError
        if failing in ("genErr", "tooBig", "empty"):
            found = []
        reply = response(
            asked, [name for name, _, _ in found], bytes(tag for _, tag, _ in found), [v for _, _, v in found], status
        )
        return encode_message(Message(message.version, message.community, reply))

    def _by_get(self, table, name: Oid) -> tuple[int, int | bytes | None]:
        absent = (ber.NO_SUCH_INSTANCE, None)
        return absent if _column(name) in self.defects.denied else table.get(name, absent)

    def _following(self, table, name: Oid, count: int):
        later = sorted((subidentifiers(each), each) for each in table if subidentifiers(each) > subidentifiers(name))
        found = [(each, *table[each]) for _, each in later[:count]]
        return found or [(name, ber.END_OF_MIB_VIEW, None)]

    def _table(self) -> dict[Oid, tuple[int, int | bytes | None]]:
        table: dict[Oid, tuple[int, int | bytes | None]] = {SYS_UP_TIME: (ber.TIME_TICKS, self.ticks)}
        if self.defects.last_change:
            table[LAST_CHANGE] = (ber.TIME_TICKS, self.changed)
        for index, row in self.rows.items():
            odd = ((ber.NULL, None), (ber.INTEGER, 7), (ber.NO_SUCH_INSTANCE, None))[index % 3]
            for column, name in zip(NAME_COLUMNS, (row.name, row.name if row.descr is None else row.descr), strict=True):
                if column not in self.defects.without:
                    table[child(column, index)] = odd if index in self.defects.odd_names else (ber.OCTET_STRING, name)
            table[child(IF_ENTRY, 8, index)] = (ber.INTEGER, 1 if row.up else 2)
            value = row.number * SPAN + self.polls
            for column in NARROW_COLUMNS:
                table[child(column, index)] = (ber.COUNTER32, value)
            for column in WIDE_COLUMNS if self.defects.wide else ():
                table[child(column, index)] = self.defects.wide_as or (ber.COUNTER64, value)
        return table
