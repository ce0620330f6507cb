"""The course of one walk of a subtree: what to ask next, the rows that came, and how it ended.

A walk has four ends: complete, unordered, broken, too long. Only a complete one proves that a row is absent. A device that does
not do GETBULK (an error, an empty answer, silence, rows out of order) is asked by GETNEXT from the last good row on, before the
walk counts as broken. If GETNEXT says the same, rows out of order are rows: some firmware has a table in an order of its own. A
row that comes again breaks the walk.
Pure: it says what to ask and takes the answers. Source: RFC 3416 §4.2.2 and §4.2.3, RFC 1157 §4.1.3.
"""

from enum import Enum
from typing import Final

from towerops_agent.errors import InvalidOid
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, format_oid, is_within, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Request, Varbind, Version, error_name

MAX_REPETITIONS: Final = 20
"""About what fits in an answer of 1,472 octets."""

MOST_REMEMBERED: Final = 50_000
"""Among so many rows those out of order are followed: which came already takes 6 MB of names."""


class WalkEnd(Enum):
    """How a walk ended."""

    COMPLETE = "each row below the subtree was read"
    UNORDERED = "the device gave rows in an order of its own, and may have more"
    BROKEN = "the device stopped answering, refused, or answered in circles"
    TOO_LONG = "more rows than are wanted"


class WalkCourse:
    """One walk under way. `end`: None while it goes on; `why`: what broke it, for people.

    `bulk`: whether GETBULK is used; False from when the device failed to answer one. `silent`: it was silence that broke it.
    """

    def __init__(self, subtree: Oid, version: Version, *, bulk: bool = True, most_rows: int | None = None) -> None:
        """`bulk`: False for a device that is known not to do GETBULK. `most_rows`: None for no limit."""
        self.end: WalkEnd | None = None
        self.why = ""
        self.silent = False
        self._subtree = subtree
        self._v1 = version is Version.V1
        self._repetitions = MAX_REPETITIONS if bulk and not self._v1 else 1
        self._left = most_rows
        self._last = subtree
        self._seen = {subtree}
        self._is_unordered = False
        self._doubted: tuple[Oid, int] | None = None  # what came out of order by GETBULK, of so many repetitions

    @property
    def bulk(self) -> bool:
        """Whether the next request is a GETBULK, or may be one again after a smaller one."""
        return self._repetitions > 1

    def next_request(self) -> Request | None:
        """What to ask now; None: the walk is over."""
        if self.end is not None:
            return None
        if self._repetitions > 1:
            return Request((self._last,), PduType.GET_BULK, 0, self._repetitions)
        return Request((self._last,), PduType.GET_NEXT)

    def take(self, answer: Answer) -> list[Varbind]:
        """The rows that the answer to the last request brought, in order."""
        if isinstance(answer, NoReply):
            self.silent = answer.reason == Reason.TIMEOUT
            if not self.silent or not self._without_bulk():
                self._break(f"no answer after {format_oid(self._last)}: {answer.reason} {answer.detail}".rstrip())
            return []
        pdu = answer.pdu
        if pdu.error_status == ErrorStatus.noSuchName and self._v1:
            self._finish()  # SNMPv1's way to say that the MIB ends here
        elif pdu.error_status == ErrorStatus.tooBig and self._repetitions > 1:
            self._repetitions //= 2
        elif pdu.error_status != ErrorStatus.noError:
            if not self._without_bulk():
                self._break(f"{error_name(pdu.error_status)} after {format_oid(self._last)}")
        elif not pdu.names:
            if not self._without_bulk():
                self._break(f"an empty answer after {format_oid(self._last)}")
        else:
            return self._rows(pdu)
        return []

    def _rows(self, pdu: Pdu) -> list[Varbind]:
        rows: list[Varbind] = []
        for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            if tag == ber.END_OF_MIB_VIEW:
                self._finish()
                break
            problem = self._disorder(name)
            if problem:
                self._doubted = name, self._repetitions
                if not self._without_bulk():
                    self._break(problem)
                break
            if not is_within(name, self._subtree):
                self._finish()
                break
            if self._left is not None:
                if self._left == 0:
                    self.end = WalkEnd.TOO_LONG
                    break
                self._left -= 1
            rows.append(Varbind(name, tag, value))
            self._last = name
            if len(self._seen) <= MOST_REMEMBERED:
                self._seen.add(name)
        return rows

    def _disorder(self, name: Oid) -> str:
        """Why a row of this name can't follow the last one, "" if it can."""
        try:
            grows = subidentifiers(name) > subidentifiers(self._last)
        except InvalidOid as error:
            return f"after {format_oid(self._last)}: {error}"
        if grows and not self._is_unordered:
            return ""
        is_new = name not in self._seen and len(self._seen) <= MOST_REMEMBERED
        if is_new and (self._is_unordered or not self.bulk) and (grows or is_within(name, self._subtree)):
            if self._doubted is not None and self._doubted[0] == name:
                self._repetitions, self._doubted = self._doubted[1], None
            self._is_unordered = True
            return ""
        return f"{format_oid(name)} after {format_oid(self._last)}: the device's MIB does not grow"

    def _finish(self) -> None:
        self.end = WalkEnd.UNORDERED if self._is_unordered else WalkEnd.COMPLETE

    def _without_bulk(self) -> bool:
        """Go on by GETNEXT; False if that is what failed."""
        if self._repetitions == 1:
            return False
        self._repetitions = 1
        return True

    def _break(self, why: str) -> None:
        self.end, self.why = WalkEnd.BROKEN, why
