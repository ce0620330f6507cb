"""The interfaces worth polling: Ethernet, radio, tunnel, link aggregation, and all others that carry traffic.

ifTable and ifXTable -> ports, and those that are left out. Some switches number the two apart (a port is 1 in one and 1000001 in
the other): a port is then its row of ifXTable, which has the 64-bit counters. Pure. Source: RFC 2863 §6, IANAifType-MIB.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from typing import Final

from towerops_agent.config.document.fields import MAX_IF_INDEX
from towerops_agent.discovery.course.asking import Index, Questions, Rows
from towerops_agent.discovery.course.findings import FoundPort, NotTaken
from towerops_agent.polling.course.evidence import folded, shown
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME, NARROW_OCTETS, WIDE_OCTETS
from towerops_agent.snmp.wire.ber import Oid, parse_oid
from towerops_agent.snmp.wire.exchange import Answer
from towerops_agent.snmp.wire.message import Request, Value

IF_TYPE: Final = parse_oid("1.3.6.1.2.1.2.2.1.3")
IF_ADMIN_STATUS: Final = parse_oid("1.3.6.1.2.1.2.2.1.7")
IF_ALIAS: Final = parse_oid("1.3.6.1.2.1.31.1.1.1.18")
WIDE: Final = WIDE_OCTETS[0]
NARROW: Final = NARROW_OCTETS[0]

IF_PHYS_ADDRESS: Final = parse_oid("1.3.6.1.2.1.2.2.1.6")

COLUMNS: Final = (IF_DESCR, IF_TYPE, IF_PHYS_ADDRESS, IF_ADMIN_STATUS, IF_NAME, IF_ALIAS, WIDE)

_TABLES: Final = ((IF_DESCR, NARROW), (IF_NAME, WIDE))
_FEWEST_TWINS: Final = 2

MOST_BEHIND: Final = 256
"""How many rows are asked for one by one: they are as many values of a GET."""

LOOPBACK: Final = 24
_DOWN: Final = 2
_MAC_OCTETS: Final = 6
_VIRTUAL: Final = ("veth", "ifb", "dummy", "docker", "null", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "tunl0", "teql0")


def ask_rest(questions: Questions) -> Generator[Request, Answer, None]:
    """Ask for the narrow octets, if a row has no wide ones; then for those of each row behind the end of the column.

    Some firmware ends a column at the first row without a value, and answers a GET for the rows behind it.
    """
    columns = questions.columns
    if set(columns[IF_DESCR]) - set(columns[WIDE]) or not columns[IF_DESCR]:
        yield from questions.ask_columns([NARROW])
    octets = set(columns[WIDE]) | set(columns[NARROW])
    column = WIDE if columns[WIDE] and not columns[NARROW] else NARROW
    last = max(columns[column], default=())
    missing = [each for each in _indexes(columns) if each not in octets and (each > last or column in questions.unread)]
    wanted = [each for each in missing if not _unwanted(each, columns)]
    yield from questions.ask_rows(column, wanted[:MOST_BEHIND])


def find_ports(questions: Questions) -> tuple[list[FoundPort], list[NotTaken]]:
    """The interfaces to poll, in the order of their index, and those that are not."""
    columns = questions.columns
    names, descrs = columns[IF_NAME], columns[IF_DESCR]
    octets = set(columns[WIDE]) | set(columns.get(NARROW, ()))
    indexes, twins = _indexes(columns), _twins(columns)
    elsewhere = {twin: index for index, twin in twins.items() if index in columns[WIDE]}
    counts = [Counter(folded(_text(column, index)) for index in indexes) for column in (names, descrs)]
    found, left_out = [], []
    for index in indexes:
        own = twins.get(index, index)  # its row of ifTable
        named, described = _text(names, index), _text(descrs, own)
        called = [text for text in (named, described) if text]
        name = ""
        if folded(named) and counts[0][folded(named)] == 1:
            name = named
        elif own == index and folded(described) and counts[1][folded(described)] == 1 and not counts[0][folded(described)]:
            name = described  # else it would be looked for, and found, among the ifNames: that is another interface
        label = name or next(iter(called), "")
        why = _unwanted(own, columns) or _unwanted(index, columns) or ("" if index in octets else "without octet counters")
        if index in elsewhere:
            why = f"it is number {elsewhere[index][0]} of ifXTable, which has its 64-bit counters"
        if why:
            left_out.append(NotTaken(f"interface {label or index[0]}", why))
        else:
            alias = _text(columns[IF_ALIAS], index)
            found.append(FoundPort(index[0], name, label or f"interface {index[0]}", alias, _number(columns[IF_TYPE], own)))
    return found, left_out


def port_names(questions: Questions, ports: Iterable[FoundPort]) -> dict[int, str]:
    """What each port is called, by its index, and by that of its row of ifTable if it has another one there."""
    twins = _twins(questions.columns)
    labels = {index: port.label for port in ports for index in {port.if_index, *twins.get((port.if_index,), ())}}
    return dict(sorted(labels.items()))


def hardware(questions: Questions) -> frozenset[bytes]:
    """The hardware addresses of the interfaces: two devices do not have the same."""
    values = (value for _, value in questions.columns[IF_PHYS_ADDRESS].values())
    return frozenset(value for value in values if isinstance(value, bytes) and len(value) == _MAC_OCTETS and any(value))


def _indexes(columns: dict[Oid, Rows]) -> list[Index]:
    """Those of all rows, in their order."""
    rows = {index for column in (IF_DESCR, IF_NAME, WIDE, NARROW) for index in columns.get(column, ())}
    return sorted(index for index in rows if len(index) == 1 and 1 <= index[0] <= MAX_IF_INDEX)


def _twins(columns: Mapping[Oid, Rows]) -> dict[Index, Index]:
    """The row of ifTable of each row of ifXTable, on a device that numbers them apart; none of any other.

    The two have no number in common, and all of ifXTable's are as far from one of ifTable's, which is so in one way only.
    """
    rows = [{index[0] for column in table for index in columns[column] if len(index) == 1} for table in _TABLES]
    own, others = rows
    if len(others) < _FEWEST_TWINS or own & others:
        return {}
    first = min(others)
    steps = [first - index for index in own if all(other - first + index in own for other in others)]
    return {(other,): (other - steps[0],) for other in others} if len(steps) == 1 else {}


def _unwanted(index: Index, columns: dict[Oid, Rows]) -> str:
    """Why an interface is not polled, whatever it counts; "" if nothing speaks against it."""
    names = [folded(text) for column in (IF_NAME, IF_DESCR) if (text := _text(columns[column], index))]
    if _number(columns[IF_TYPE], index) == LOOPBACK or "lo" in names:
        return "loopback"
    if _number(columns[IF_ADMIN_STATUS], index) == _DOWN:
        return "administratively down"
    if any(name.startswith("<") for name in names):
        return "a session that comes and goes"
    if any(name.startswith(_VIRTUAL) for name in names):
        return "virtual, within the device"
    return ""


def _text(column: Rows, index: Index) -> str:
    _, value = column.get(index, (0, None))
    text = shown(value)
    return text if text.isprintable() else ""


def _number(column: Rows, index: Index) -> int:
    value: Value = column.get(index, (0, None))[1]
    return value if isinstance(value, int) else 0
