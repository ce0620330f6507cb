"""Which octet counters of an interface count: those of 64 bits, or those of 32 on a device that lacks the others.

If the width is not known yet, the wide counters are asked first, and once all else is answered the narrow ones as well, unless
the wide ones have counted. A wide one at 0 beside a narrow one that counts is asked once more behind it: a device that has just
started counts its first octets between two requests. The width that a poll shows is kept from then on (`Traits.widths`).
A device that has no time for all is asked for the narrow ones at once, with its wide ones at 0 and its names once more.
Called by progress.py. Pure. Source: RFC 2863 §3.1.6.
"""

from collections.abc import Container, Sequence
from typing import Final

from towerops_agent.polling.course.plan import NARROW_OCTETS, Plan
from towerops_agent.polling.course.traits import NARROW, UNKNOWN, WIDE
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child
from towerops_agent.snmp.wire.message import Value

LARGEST_COUNT: Final = (1 << 64) - (1 << 44) - 1
"""A larger one was not counted: firmware without a counter says 2^64 - 1, and others send negative ones, or 32 bits with their
sign. A link that really got there would be through after 17.6 TB."""


class Narrow:
    """The narrow counters of one poll that are asked beside the wide ones. `names`: of all columns of the poll, with theirs."""

    def __init__(self, plan: Plan, widths: bytes, names: Sequence[Oid]) -> None:
        """`widths`: the learned ones. `names`: of the plan's columns."""
        self.names = list(names)
        self._plan = plan
        self._widths = widths
        self._columns: dict[int, tuple[int, ...]] = {}  # by interface
        self._position = {name: column for column, name in enumerate(names)}
        self._left = [i for i in range(len(plan.if_indexes)) if UNKNOWN in widths[2 * i : 2 * i + 2]]

    def add(self, tags: bytearray, values: Sequence[Value], failures: Container[int] | None = None) -> list[int]:
        """Ask for the narrow counters of these interfaces too, as their wide ones have not counted.

        `tags`, `values`: of the poll's columns so far. `failures`: the columns that have failed; the interfaces whose wide
        counters neither have, nor were answered, are left for later. None: there is no later.
        """
        added, left = [], []
        for i in self._left:
            wide = _octet_columns(self._plan, i)
            if failures is not None and not all(tags[column] or column in failures for column in wide):
                left.append(i)
            elif not all(_counts(tags[column], values[column]) and values[column] for column in wide):
                self._columns[i] = tuple(map(self._place, NARROW_OCTETS, [self._plan.if_indexes[i]] * 2))
                added.append(i)
        self._left = left
        return added

    def _place(self, column: Oid, if_index: int) -> int:
        name = child(column, if_index)
        if name not in self._position:
            self._position[name] = len(self.names)
            self.names.append(name)
        return self._position[name]

    def at_once(self, interface: int, values: Sequence[Value]) -> list[int]:
        """The columns that decide in one request which counters of an interface count, and that they are its own."""
        idle = [column for column in _octet_columns(self._plan, interface) if values[column] == 0]
        name = self._plan.names[interface] if self._plan.names else 0
        return [*self._columns[interface], *idle, *([name] if name else [])]

    def idle_beside_counting(self, tags: bytearray, values: Sequence[Value]) -> list[int]:
        """The columns of wide counters at 0 whose narrow ones have counted."""
        return [
            wide
            for i, narrow in self._columns.items()
            for wide, other in zip(_octet_columns(self._plan, i), narrow, strict=True)
            if _is_idle_beside(wide, other, tags, values)
        ]

    def undecided(self, widths: bytes, tags: bytearray, values: Sequence[Value], unanswered: Container[int]) -> list[int]:
        """The columns of wide counters at 0 whose narrow ones were not asked, or are among `unanswered`.

        `widths`: with what this poll has shown.
        """
        return [
            wide
            for i in range(len(self._plan.if_indexes))
            for direction, wide in enumerate(_octet_columns(self._plan, i))
            if widths[2 * i + direction] == UNKNOWN
            and tags[wide]
            and values[wide] == 0
            and (i not in self._columns or self._columns[i][direction] in unanswered)
        ]

    def stand_in(self, slots: Sequence[int], tags: bytearray, values: Sequence[Value]) -> Sequence[int]:
        """The slots, with the narrow counters of an interface in place of its wide ones if these are of no use and those are."""
        changed = list(slots)
        for i, narrow in self._columns.items():
            pairs = list(zip(_octet_columns(self._plan, i), narrow, strict=True))
            if not any(_is_useless(wide, other, tags, values) for wide, other in pairs):
                continue
            for direction, (_, column) in enumerate(pairs):
                slot = self._plan.interface_slots(i)[direction]
                if _counts(tags[column], values[column]) and self._widths[2 * i + direction] == UNKNOWN:
                    changed[slot] = column
        return slots if changed == list(slots) else changed


def learned(
    plan: Plan,
    before: bytes,
    slots: Sequence[int],
    tags: bytearray,
    values: Sequence[Value],
    received_us: Sequence[int],
) -> bytes:
    """The widths after a poll. A width is learned from a counter that was read; an absent interface shows no width.

    Nor does a wide counter at 0, as those of some devices stand there for good; unless all that have counted are wide. Nor one at
    0 that was read before the narrow one that counts.
    """
    widths = bytearray(before)
    idle = []
    for i, width in enumerate(before):
        interface, direction = divmod(i, 2)
        if width != UNKNOWN:
            continue
        chosen = [slots[slot] for slot in plan.interface_slots(interface)[:2]]
        pairs = list(zip(_octet_columns(plan, interface), chosen, strict=True))
        planned, column = pairs[direction]
        if any(_is_idle_beside(*pair, tags, values) and received_us[pair[0]] < received_us[pair[1]] for pair in pairs):
            continue
        if column == planned and values[column] == 0:
            idle.append(i)
        elif _counts(tags[column], values[column]):
            widths[i] = WIDE if column == planned else NARROW
    if WIDE in widths and NARROW not in widths:
        for i in idle:
            widths[i] = WIDE
    return bytes(widths)


def _is_useless(wide: int, narrow: int, tags: bytearray, values: Sequence[Value]) -> bool:
    """Whether the narrow counter counts, and the wide one does not: it can't be read, or it stands at 0."""
    if not _counts(tags[narrow], values[narrow]):
        return False
    return not _counts(tags[wide], values[wide]) or values[wide] == 0 != values[narrow]


def _is_idle_beside(wide: int, narrow: int, tags: bytearray, values: Sequence[Value]) -> bool:
    """Whether the wide counter stands at 0, and the narrow one has counted."""
    return values[wide] == 0 != values[narrow] and _counts(tags[narrow], values[narrow])


def _octet_columns(plan: Plan, interface: int) -> tuple[int, int]:
    """The columns in which the plan has the octets of an interface, in and out."""
    first = plan.interface_slots(interface).start
    return plan.slots[first], plan.slots[first + 1]


def _counts(tag: int, value: Value) -> bool:
    if isinstance(value, bytes) and tag == ber.OPAQUE:
        wrapped = ber.opaque_number(value)
        value = wrapped[1] if wrapped is not None and isinstance(wrapped[1], int) else None
    return isinstance(value, int) and 0 <= value <= LARGEST_COUNT
