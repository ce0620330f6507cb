"""Which ifIndex is which interface: after a reboot the numbers may have moved, and a counter must not be another interface's.

The configuration's if_name is compared with the device's ifName and ifDescr, at the first sight of a device and whenever its
sysUpTime fell. A name found at another index moves the interface there; one that was there before and is gone leaves it out. A
name that the device never had (a text of the operator's own) can't be verified: its interface stays where it was configured.
Pure: an IdentityCheck says what to ask and takes the answers, as PollProgress does. Source: RFC 2863 §3.1.5 (ifIndex need not
persist across re-initialisations), §6 (ifName, ifDescr).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from towerops_agent.errors import InvalidOid
from towerops_agent.polling.course.traits import AWAY, CONFIRMED, UNCHECKED, UNVERIFIABLE
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Request, Value, Version
from towerops_agent.snmp.wire.oid import Oid, child, is_within, parse_oid, subidentifiers

IF_NAME: Final = parse_oid("1.3.6.1.2.1.31.1.1.1.1")
IF_DESCR: Final = parse_oid("1.3.6.1.2.1.2.2.1.2")

NAMES_AT_ONCE: Final = 10
"""Names asked in one request, or rows of a walk: a name may be long, and an answer should stay small."""

MOST_LOST: Final = 2
"""How many requests may be lost, all attempts of them, before the check is given up."""

MOST_ROWS: Final = 5000
"""A table of more rows is no table of interfaces; its walk ends there."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Where each interface is. `if_indexes`: in the configuration's order, the configured one where it has not moved.

    `marks`: for each, CONFIRMED, UNVERIFIABLE or AWAY (see traits); UNCHECKED where it has no name.
    """

    if_indexes: tuple[int, ...]
    marks: bytes


_STAGES: Final = ((IF_NAME, False), (IF_DESCR, False), (IF_NAME, True), (IF_DESCR, True))
"""Where a name is looked for, in this order, and whether at its own index or in the whole column."""


class IdentityCheck:
    """Compares the names of a device's interfaces with the configured ones, asking no more than it must.

    `result` is there once `next_request` returns None; None then means that the device did not answer, and nothing is known.
    """

    def __init__(self, version: Version, if_indexes: Sequence[int], if_names: Sequence[str], marks: bytes) -> None:
        """`if_indexes`, `if_names`: as configured; "" where there is no name. `marks`: what is known, as in Identities."""
        self._version = version
        self._if_indexes = tuple(if_indexes)
        self._wanted = [_folded(name) for name in if_names]
        self._marks = marks
        self._found: list[int | None] = [None] * len(self._if_indexes)  # where each has been found
        self._stages = iter(_STAGES)
        self._column = IF_NAME
        self._to_ask: list[int] = []  # interfaces whose name is to be asked at their own index
        self._last: Oid | None = None  # the row that a walk has come to; None: no walk under way
        self._rows: dict[str, list[int]] = {}  # what it has found: name -> indexes
        self._ambiguous: set[int] = set()  # interfaces whose name stands several times, so that it tells nothing
        self._at_once = NAMES_AT_ONCE
        self._lost = 0
        self._failed = False

    @property
    def result(self) -> Identities | None:
        """What came of it."""
        if self._failed:
            return None
        if_indexes, marks = list(self._if_indexes), bytearray(len(self._if_indexes))
        for i, found in enumerate(self._found):
            if not self._wanted[i]:
                marks[i] = UNCHECKED
            elif found is not None:
                if_indexes[i], marks[i] = found, CONFIRMED
            else:
                marks[i] = AWAY if self._marks[i] in (CONFIRMED, AWAY) else UNVERIFIABLE
        return Identities(tuple(if_indexes), bytes(marks))

    def next_request(self) -> Request | None:
        """What to ask now; None: it is over."""
        while not self._failed:
            if self._last is not None:
                if self._version is Version.V1:
                    return Request((self._last,), PduType.GET_NEXT)
                return Request((self._last,), PduType.GET_BULK, 0, NAMES_AT_ONCE)
            if self._to_ask:
                return Request(tuple(child(self._column, self._if_indexes[i]) for i in self._to_ask[: self._at_once]))
            missing = [i for i, found in enumerate(self._found) if found is None and self._wanted[i] and i not in self._ambiguous]
            stage = next(self._stages, None) if missing else None
            if stage is None:
                return None
            self._column, whole = stage
            if whole:
                self._rows, self._last = {}, self._column
            else:
                self._to_ask = missing
        return None

    def take(self, request: Request, answer: Answer) -> None:
        """Take in the answer to `request`."""
        if isinstance(answer, NoReply):
            self._lost += 1  # what was asked is asked again
            self._failed = self._lost > MOST_LOST
        elif self._last is not None:
            self._last = self._take_rows(answer.pdu, self._last)
            if self._last is None:
                self._place()
        else:
            self._take_names(request, answer.pdu)

    def _take_names(self, request: Request, pdu: Pdu) -> None:
        asked = self._to_ask[: len(request.names)]
        if pdu.error_status == ErrorStatus.noSuchName and 1 <= pdu.error_index <= len(asked):
            self._to_ask.remove(asked[pdu.error_index - 1])  # SNMPv1: that one is not there; the others are asked again
            return
        names = {name: _name(tag, value) for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True)}
        left_out = [i for i, name in zip(asked, request.names, strict=True) if name not in names]
        if pdu.error_status or len(left_out) == len(asked):
            self._at_once = max(len(asked) // 2, 1)  # asked again in parts
            left_out = asked if len(asked) > 1 else []
        self._to_ask = left_out + self._to_ask[len(asked) :]
        for i, name in zip(asked, request.names, strict=True):
            if names.get(name) == self._wanted[i]:
                self._found[i] = self._if_indexes[i]

    def _take_rows(self, pdu: Pdu, last: Oid) -> Oid | None:
        """Note the rows of an answer; the last of them, None where the column has ended."""
        if pdu.error_status or not pdu.names:
            return None
        for row, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            name = _name(tag, value)
            if name is None or not is_within(row, self._column) or len(self._rows) >= MOST_ROWS:
                return None
            try:
                numbers = subidentifiers(row)
            except InvalidOid:
                return None
            if numbers <= subidentifiers(last):
                return None
            self._rows.setdefault(name, []).append(numbers[-1])
            last = row
        return last

    def _place(self) -> None:
        for i, found in enumerate(self._found):
            places = self._rows.get(self._wanted[i], [])
            if found is None and self._wanted[i]:
                if len(places) == 1:
                    self._found[i] = places[0]
                elif places:
                    self._ambiguous.add(i)


def _name(tag: int, value: Value) -> str | None:
    return _folded(value.decode(errors="replace")) if tag == ber.OCTET_STRING and isinstance(value, bytes) else None


def _folded(name: str) -> str:
    """A name as it is compared: much firmware pads it, or writes it in another case after an update."""
    return name.strip(" \0\t\r\n").casefold()
