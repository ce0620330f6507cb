"""Which ifIndex is which interface: indexes change, with and without a restart, and a counter must never be another interface's.

The configured if_name is compared with the device's ifName and ifDescr: at the index at which the interface is read, and if it is
not there, in the whole column. The result for an interface is one of:
- its name is at the index at which it is read, or at one other: it is read there;
- several rows have its name, such as the rows that redialled sessions leave behind: the row that is up, or else that
  changed last, or else whose counters move is the interface; if none stands out, it is left out;
- the device has another name at its index, or had its name before, and has it nowhere: it is left out;
- the device has no name at its index, and nowhere the configured one: there is nothing to compare, so it is read as configured;
- its name was a row's ifName, and now only rows with another ifName have it as their ifDescr, which an operator may write: it is
  left out;
- it is configured by its name only (index 0), which the device has nowhere: it is left out;
- the device did not say: a column that could not be walked to its end proves nothing. It is left out until the device answers.
Pure: `identify` is a generator that yields questions and receives the answers (interfaces.py asks).
Source: RFC 2863 §3.1.5 (ifIndex need not persist), §6 (ifName, ifDescr, ifOperStatus, ifLastChange).
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from towerops_agent.polling.course.evidence import folded, is_exactly, is_name, readings, shown
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME, NARROW_OCTETS, WIDE_OCTETS
from towerops_agent.polling.course.traits import (
    AMBIGUOUS,
    AWAY,
    BY_DESCR,
    BY_NAME,
    CONFIRMED,
    DOUBTED,
    NOTHING,
    ONCE_CONFIRMED,
    UNCHECKED,
    UNVERIFIABLE,
)
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import MAX_SUBIDENTIFIER, Oid, child, parse_oid, subidentifiers
from towerops_agent.snmp.wire.message import Value, Varbind

IF_OPER_STATUS: Final = parse_oid("1.3.6.1.2.1.2.2.1.8")
IF_LAST_CHANGE: Final = parse_oid("1.3.6.1.2.1.2.2.1.9")
IF_TABLE_LAST_CHANGE: Final = parse_oid("1.3.6.1.2.1.31.1.5.0")

MOST_ROWS: Final = 50_000
"""A column with more rows is not one of interfaces: its walk ends there. Access concentrators have some 6,000."""

MOST_TWINS: Final = 32
"""Of how many rows with one name the live one is looked for."""

_UP: Final = 1
_STANDING_OF: Final = {IF_NAME: BY_NAME, IF_DESCR: BY_DESCR}


@dataclass(frozen=True, slots=True)
class Get:
    """A question for the values of these OIDs. The answer has those that the device sent or lacks; the rest is unknown."""

    names: tuple[Oid, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A question for all rows of this column."""

    column: Oid


Values = Mapping[Oid, tuple[int, Value]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a walk. `complete`: it has all rows. `silent`: the device stopped answering."""

    rows: Sequence[Varbind]
    complete: bool
    silent: bool = False


Question = Get | Walk
Course = Generator[Question, Values | Rows, "Identities"]


@dataclass(frozen=True, slots=True)
class Interfaces:
    """The interfaces to identify. `if_indexes`, `if_names`: as configured, "" for one without a name.

    `places`: the ifIndex at which each is read now. `standings`: see Traits.standings. `samples`: the octet counters of rows
    that had one name, by ifIndex, when they were last looked at. `by_if_name`: see Traits.by_if_name.
    """

    if_indexes: Sequence[int]
    if_names: Sequence[str]
    places: Sequence[int]
    standings: bytes
    samples: Mapping[int, int] = field(default_factory=dict)
    by_if_name: int = 0


@dataclass(frozen=True, slots=True)
class Identities:
    """The place of each interface, in the configuration's order.

    `there`: for those that are away, the device's name at the configured index, or "".
    `twins`: for those that are ambiguous, the rows that have their name. `settled`: nothing more can be found out soon.
    `last_change`: ifTableLastChange, None if it was not asked, or does not exist. `rows`: how many rows were walked.
    """

    places: tuple[int, ...]
    standings: bytes
    there: Mapping[int, str]
    twins: Mapping[int, tuple[int, ...]]
    samples: Mapping[int, int]
    settled: bool
    last_change: int | None
    rows: int
    by_if_name: int


def identify(interfaces: Interfaces, *, thorough: bool, look: bool) -> Course:
    """The course of finding out the place of each interface.

    `thorough`: look for other rows with the name of an interface that is not up, too. `look`: look for those that are away.
    """
    search = _Search(interfaces, look)
    for column in (IF_NAME, IF_DESCR):
        yield from search.compare(column)
    if thorough:
        yield from search.look_for_life()
    for column in (IF_NAME, IF_DESCR):
        yield from search.walk(column)
    yield from search.choose()
    yield from search.compare_spaces()
    if thorough:
        yield from search.note_last_change()
    return search.result()


class _Search:
    """The findings so far; interfaces by their position in the configuration."""

    def __init__(self, interfaces: Interfaces, look: bool) -> None:
        self._interfaces = interfaces
        self._wanted = [folded(name) for name in interfaces.if_names]
        self._left_out = {
            i for i, standing in enumerate(interfaces.standings) if standing in (AWAY, AMBIGUOUS, NOTHING) and not look
        }
        self._named = [i for i, name in enumerate(self._wanted) if name and i not in self._left_out]
        self._found: dict[int, tuple[int, Oid]] = {}  # index, and the column of the name
        self._suspects: set[int] = set()  # found, but not up
        self._known: dict[Oid, tuple[int, Value]] = {}  # names at the indexes of interfaces
        self._twins: dict[int, tuple[list[int], Oid]] = {}  # rows that have its name, of which column
        self._ambiguous: dict[int, tuple[int, ...]] = {}
        self._samples: dict[int, int] = {}
        self._apart: set[int] = set()  # its name is in another index space than its counters
        self._rowless: set[int] = set()  # no name and no counter at the configured index
        self._complete = {IF_NAME: False, IF_DESCR: False}
        self._silent = False
        self._rows = 0
        self._last_change: int | None = None

    def _pending(self) -> list[int]:
        return [i for i in self._named if i not in self._found and i not in self._twins]

    def compare(self, column: Oid) -> Generator[Question, Values | Rows, None]:
        """Compare the names at the current and at the configured indexes of interfaces."""
        interfaces, pending = self._interfaces, self._pending()
        wanted = [child(column, n) for i in pending for n in (interfaces.places[i], interfaces.if_indexes[i])]
        values = yield from _get(wanted)
        self._known.update(values)
        for i in pending:
            for place in (interfaces.places[i], interfaces.if_indexes[i]):
                found = values.get(child(column, place))
                if found is not None and is_name(*found, self._wanted[i]) and not self._is_called_otherwise(i, place, column):
                    self._found[i] = (place, column)
                    break

    def _is_called_otherwise(self, i: int, place: int, column: Oid) -> bool:
        """Whether a row's ifDescr is of no account for an interface that was known by its ifName: the row has another ifName."""
        if column == IF_NAME or not self._was_by_if_name(i):
            return False
        known = self._known.get(child(IF_NAME, place))
        return known is not None and bool(readings(*known))

    def _was_by_if_name(self, i: int) -> bool:
        return bool(self._interfaces.by_if_name >> i & 1) or self._interfaces.standings[i] == BY_NAME

    def look_for_life(self) -> Generator[Question, Values | Rows, None]:
        """Suspect those that are not up: theirs may be an old row, unless several interfaces are configured with that name."""
        values = yield from _get(child(IF_OPER_STATUS, place) for place, _ in self._found.values())
        for i, (place, _) in self._found.items():
            status = _number(values, IF_OPER_STATUS, place)
            if status is not None and status != _UP and self._wanted.count(self._wanted[i]) == 1:
                self._suspects.add(i)

    def walk(self, column: Oid) -> Generator[Question, Values | Rows, None]:
        """Look in the whole column for missing names, and for those of suspects."""
        pending = self._pending()
        suspects = [i for i in self._suspects if i in self._found and self._found[i][1] == column]
        if (not pending and not suspects) or self._silent:
            return
        answer = yield Walk(column)
        assert isinstance(answer, Rows)  # noqa: S101 - the answer to a Walk
        self._silent = answer.silent
        self._rows += len(answer.rows)
        indexes: dict[str, list[int]] = {}
        exact: dict[int, Varbind] = {}
        holes = False
        for row in answer.rows:
            index = _index(row.name, column)
            if index is not None and index > MAX_SUBIDENTIFIER:
                continue  # no OID may have it: it could be neither asked for nor kept
            texts = readings(row.tag, row.value)
            holes |= index is None or not (texts or (row.tag == ber.OCTET_STRING))
            if index is not None:
                exact[index] = row
                if column == IF_NAME and texts:
                    self._known[child(IF_NAME, index)] = row.tag, row.value
                for text in texts:
                    indexes.setdefault(text, []).append(index)
        for i in pending:
            own, walked = child(column, self._configured(i)), exact.get(self._configured(i))
            if walked is not None and self._known.get(own, (ber.NO_SUCH_INSTANCE, None))[0] in ber.ABSENT:
                self._known[own] = walked.tag, walked.value  # some firmware denies by GET what a walk has
        self._complete[column] = answer.complete and not holes
        for i in (*pending, *suspects):
            taken = {self._found[other][0] for other in self._found if other != i and self._wanted[other] == self._wanted[i]}
            named = indexes.get(self._wanted[i], [])
            places = [n for n in named if n not in taken and not self._is_called_otherwise(i, n, column)]
            if len(places) > 1:
                name = self._interfaces.if_names[i]
                places = [n for n in places if is_exactly(exact[n].tag, exact[n].value, name)] or places
            if len(places) == 1 and i in pending:
                self._found[i] = (places[0], column)
            elif len(places) > 1:
                self._twins[i] = (places[:MOST_TWINS], column)

    def choose(self) -> Generator[Question, Values | Rows, None]:
        """Of several rows with one name, the live one."""
        rows = sorted({n for places, _ in self._twins.values() for n in places})
        values = yield from _get(
            child(column, n) for n in rows for column in (IF_OPER_STATUS, IF_LAST_CHANGE, WIDE_OCTETS[0], NARROW_OCTETS[0])
        )
        for i, (places, column) in self._twins.items():
            live = self._live(places, values, own=self._found.get(i, (None, column))[0])
            if live is not None:
                self._found[i] = (live, column)
                continue
            self._found.pop(i, None)
            self._ambiguous[i] = tuple(places)
            for n in places:
                octets = _octets(values, n)
                if octets is not None:
                    self._samples[n] = octets

    def _live(self, places: list[int], values: Values, own: int | None) -> int | None:
        """The one that is up; if none is, its own, or the one that changed last; else the one whose counters have moved."""
        up = [n for n in places if _number(values, IF_OPER_STATUS, n) == _UP]
        if len(up) == 1:
            return up[0]
        if not up and own is not None:
            return own
        if not up:
            changed = [(_number(values, IF_LAST_CHANGE, n) or 0, n) for n in places]
            latest = max(changed)
            if [at for at, _ in changed].count(latest[0]) == 1:
                return latest[1]
        samples = self._interfaces.samples
        moved = [n for n in up or places if n in samples and _octets(values, n) not in (None, samples[n])]
        return moved[0] if len(moved) == 1 else None

    def compare_spaces(self) -> Generator[Question, Values | Rows, None]:
        """Find names in another index space than the counters, as on devices that index ifTable and ifXTable separately.

        That is so if the configured index has counters and no name, and the row with the name has no counters.
        """
        nameless = [i for i in self._named if self._configured(i) and i not in self._ambiguous and self._is_nameless(i)]
        moved = [i for i in nameless if i in self._found and self._found[i][0] != self._configured(i)]
        lost = [i for i in nameless if i not in self._found]
        both = [self._found[i][0] for i in moved] + [self._configured(i) for i in (*moved, *lost)]
        values = yield from _get(child(column, n) for n in both for column in (WIDE_OCTETS[0], NARROW_OCTETS[0]))
        for i in moved:
            if _octets(values, self._configured(i)) is not None and _octets(values, self._found[i][0]) is None:
                self._apart.add(i)
        self._rowless.update(i for i in lost if _octets(values, self._configured(i)) is None)

    def note_last_change(self) -> Generator[Question, Values | Rows, None]:
        """Ask when rows last came or went."""
        values = yield from _get([IF_TABLE_LAST_CHANGE] if self._named else [])
        tag, value = values.get(IF_TABLE_LAST_CHANGE, (ber.NULL, None))
        self._last_change = value if tag == ber.TIME_TICKS and isinstance(value, int) else None

    def result(self) -> Identities:
        """The result."""
        interfaces = self._interfaces
        places, standings = list(interfaces.places), bytearray(len(self._wanted))
        there: dict[int, str] = {}
        for i, name in enumerate(self._wanted):
            if not name:
                continue
            if i in self._left_out:
                standings[i] = interfaces.standings[i]
                continue
            once = interfaces.standings[i] in ONCE_CONFIRMED
            places[i] = self._configured(i)
            if i in self._found and i not in self._apart:
                places[i], column = self._found[i]
                standings[i] = _STANDING_OF[column]
            elif i in self._apart:
                standings[i] = UNVERIFIABLE
            elif i in self._ambiguous:
                standings[i] = AMBIGUOUS
            elif not all(self._complete.values()):
                standings[i] = DOUBTED if once else UNCHECKED
            elif self._is_nameless(i) and not once:
                standings[i] = NOTHING if i in self._rowless or not self._configured(i) else UNVERIFIABLE
            else:
                standings[i], there[i] = AWAY, self._name_at(self._configured(i))
        for i in self._shared(places, bytes(standings)):
            standings[i] = AMBIGUOUS
            self._ambiguous[i] = (places[i],)
        by_if_name = interfaces.by_if_name
        for i, standing in enumerate(standings):
            if standing in CONFIRMED:
                by_if_name = by_if_name & ~(1 << i) | (standing == BY_NAME) << i
        settled = not any(standings[i] in (UNCHECKED, DOUBTED, AMBIGUOUS) for i in self._named)
        return Identities(
            *(tuple(places), bytes(standings), there, self._ambiguous, self._samples),
            *(settled, self._last_change, self._rows, by_if_name),
        )

    def _shared(self, places: Sequence[int], standings: bytes) -> list[int]:
        """Interfaces that share a row with another one, whose row it is.

        Two are configured with one name, and only one exists; or the row has the name of one as its ifName, and that of the
        other, which was elsewhere and is gone, as its ifDescr.
        """
        owners: dict[int, list[int]] = {}
        for i, standing in enumerate(standings):
            if standing in CONFIRMED:
                owners.setdefault(places[i], []).append(i)
        return [i for place, several in owners.items() if len(several) > 1 for i in several if self._is_others(i, place, several)]

    def _is_others(self, i: int, place: int, several: Sequence[int]) -> bool:
        """Whether of the interfaces that share this row another one than `i` has it."""
        configured = {self._configured(other) for other in several}
        named = [other for other in several if self._found[other][1] == IF_NAME]
        if len(configured) > 1:
            return i not in named if len(named) == 1 else self._configured(i) != place
        before = self._interfaces
        if configured != {0} or i in named or not named or before.standings[i] not in ONCE_CONFIRMED:
            return False
        by_descr = not self._was_by_if_name(i) and all(before.places[other] == before.places[i] for other in named)
        return not by_descr  # they were one row before, given under both of its names

    def _configured(self, i: int) -> int:
        return self._interfaces.if_indexes[i]

    def _is_nameless(self, i: int) -> bool:
        """Whether the device said that it has neither of both names for the configured index."""
        known = [self._known.get(child(column, self._configured(i))) for column in (IF_NAME, IF_DESCR)]
        return all(found is not None and (found[0] in ber.ABSENT or found[1] == b"") for found in known)

    def _name_at(self, index: int) -> str:
        for column in (IF_NAME, IF_DESCR):
            found = self._known.get(child(column, index))
            if found is not None and readings(*found):
                return shown(found[1])
        return ""


def _get(names: Iterable[Oid]) -> Generator[Question, Values | Rows, Values]:
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        return {}
    values = yield Get(wanted)
    assert not isinstance(values, Rows)  # noqa: S101 - the answer to a Get
    return values


def _index(row: Oid, column: Oid) -> int | None:
    """The ifIndex of a row, None if its OID is not the column and one number."""
    numbers = subidentifiers(row)
    return numbers[-1] if len(numbers) == len(subidentifiers(column)) + 1 else None


def _number(values: Values, column: Oid, index: int) -> int | None:
    value = values.get(child(column, index), (ber.NULL, None))[1]
    return value if isinstance(value, int) else None


def _octets(values: Values, index: int) -> int | None:
    """The octets that came in at this ifIndex: 64-bit if there, else 32-bit."""
    wide = _number(values, WIDE_OCTETS[0], index)
    return _number(values, NARROW_OCTETS[0], index) if wide is None else wide
