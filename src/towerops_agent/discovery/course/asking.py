"""Values and columns of a device asked with few requests, whatever it can answer: sizes, GETBULK, silence.

Many columns go into one GETBULK, so that a table is read in the requests that its values need, and an absent column costs one
varbind. A device that does not do GETBULK is asked by GETNEXT, one that is silent to a large request by smaller ones.
Pure: generators that yield requests and are sent the answers. Source: RFC 3416 §4.2.1 to §4.2.3, RFC 1157 §4.1.3.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from typing import Final

from towerops_agent.errors import InvalidOid
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, encode_oid, is_within, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, Pdu, PduType, Request, Value, Version, error_name

MOST_REQUESTS: Final = 600
"""Of one device. A router of 1,000 interfaces needs some 200."""

MOST_ROWS: Final = 4_000
"""Of one column."""

MOST_VARBINDS: Final = 48
"""In an answer: most agents stop at 1,472 octets themselves, the others by tooBig or silence, and are asked for fewer."""

MOST_NAMES: Final = 32
"""In a request."""

FEW: Final = 4
"""How many values that could not be read are asked at once: some firmware fills an answer that is too big with empty ones."""

MOST_READ_AGAIN: Final = 400
IN_VAIN: Final = 5 * FEW
"""How many of them are asked again at most, and how many until one could be read: else they are encoded wrong in any answer."""

MOST_LOST: Final = 5
"""How many requests in a row may be lost, all attempts of them, until the device counts as gone."""

Index = tuple[int, ...]
Rows = dict[Index, tuple[int, Value]]
"""The rows of a column: a tag and a value each, in the MIB's order."""

Asking = Generator[Request, Answer, None]

_NOTHING_READ: Final = ber.ABSENT | {UNREADABLE}


class AskingEnded(Exception):
    """The device is not asked any more. The text says why; `again`: another time it may say more."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Questions:
    """What one device was asked, and what it said.

    `values`: of single OIDs that are there; `columns`: the rows of each column that was read, none if it is absent.
    `present`: subtrees with something in them. `unread`: columns that were not read to their end, and why.
    `read`: the single OIDs and columns of which all is known, also that they are not there.
    `requests`: how many were sent.
    """

    def __init__(self, version: Version) -> None:
        self.values: dict[Oid, tuple[int, Value]] = {}
        self.columns: defaultdict[Oid, Rows] = defaultdict(dict)  # one that was not asked has no rows
        self.present: set[Oid] = set()
        self.unread: dict[Oid, str] = {}
        self.read: set[Oid] = set()
        self.requests = 0
        self._v1 = version is Version.V1
        self._by_next = self._v1  # single values too: over SNMPv1 one that is not there would cost the others
        self._bulk = not self._v1
        self._room = MOST_VARBINDS
        self._names = MOST_NAMES
        self._lost = 0
        self._omits = False  # it has answered fewer columns than were asked

    def ask_otherwise(self, names: Sequence[Oid], sign: Oid, tag: int) -> Asking:
        """Ask for these values in ways that devices need which deny `sign`, though they have it: one at a time, or by GETNEXT.

        `tag`: its type; a value of another one is that of another OID, and so may those of the others be. The way in which it is
        there is the one for all others from then on. Raises AskingEnded.
        """
        said = self.values.get(sign, (ber.NULL, None))
        denied = said[0] == ber.NULL
        for most, by_next in ((1, False), (MOST_NAMES, True), (1, True)):
            if self._v1 or self._lost:
                return
            before = self._names, self._by_next
            self._names, self._by_next = most, by_next
            yield from self._ask_again([sign], all_of_them=True)
            if self.values.get(sign, (ber.NULL, None))[0] == tag:
                yield from self._ask_again(names, all_of_them=not denied)
                return
            self._names, self._by_next = before
            if not denied:
                self.values[sign] = said  # it is what the device has there

    def _ask_again(self, names: Iterable[Oid], *, all_of_them: bool) -> Asking:
        """Ask for those that are not there, or empty; or for all."""
        left = [name for name in names if all_of_them or self.values.get(name, (ber.NULL, None))[0] == ber.NULL]
        for name in left:
            self.values.pop(name, None)
            self.unread.pop(name, None)
        yield from self.ask_values(left)
        for name in left:
            if self.values.get(name, (0, None))[0] == ber.NULL:
                del self.values[name]

    def ask_values(self, names: Iterable[Oid]) -> Asking:
        """Ask for single values, and keep those that are there. Raises AskingEnded."""
        fresh = [name for name in dict.fromkeys(names) if name not in self.values]
        left, is_cut = fresh, False
        while left:
            asked = left[: self._names]
            answer = yield from self._ask(
                Request(tuple(map(_before, asked)), PduType.GET_NEXT) if self._by_next else Request(tuple(asked))
            )
            if is_cut and _is_empty(answer):
                self.read.update(asked)  # it leaves out what is not there
                left = left[len(asked) :]
                continue
            refused = self._refused(answer, asked)
            if refused is not None:
                self.read.update(name for name in refused if self.unread.get(name, Reason.NO_SUCH_NAME) == Reason.NO_SUCH_NAME)
                left = [name for name in left if name not in refused]
                continue
            assert isinstance(answer, Reply)  # noqa: S101 - else it is refused
            pdu = answer.pdu
            for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
                if name in asked and tag not in ber.ABSENT:
                    self.values[name] = tag, value
            answered, is_cut = self._answered(pdu, asked), len(pdu.names) < len(asked)
            self.read.update(asked[:answered])
            left = left[answered:]
        unread = [name for name in fresh if self.values.get(name, (ber.NULL, None))[0] == UNREADABLE]
        self.values.update((yield from self._read_again(unread)))

    def _read_again(self, names: Sequence[Oid]) -> Generator[Request, Answer, dict[Oid, tuple[int, Value]]]:
        """Ask for values that could not be read, few at once; those that can be now. Raises AskingEnded."""
        found: dict[Oid, tuple[int, Value]] = {}
        few = min(FEW, self._names)
        for first in range(0, min(len(names), MOST_READ_AGAIN), few):
            if first >= IN_VAIN and not found:
                break
            asked = names[first : first + few]
            answer = yield from self._ask(
                Request(tuple(map(_before, asked)), PduType.GET_NEXT) if self._by_next else Request(tuple(asked))
            )
            if isinstance(answer, Reply) and answer.pdu.error_status == ErrorStatus.noError:
                said = zip(answer.pdu.names, answer.pdu.tags, answer.pdu.values, strict=True)
                found |= {name: (tag, value) for name, tag, value in said if name in asked and tag not in _NOTHING_READ}
        return found

    def _answered(self, pdu: Pdu, asked: Sequence[Oid]) -> int:
        """How many of these, from the first on, an answer is about: one that is cut short says nothing about the rest."""
        if len(pdu.names) >= len(asked):
            return len(asked)
        last = max((place for place, name in enumerate(asked) if name in pdu.names), default=0)
        return len(pdu.names) if self._by_next else last + 1

    def ask_whether(self, subtrees: Iterable[Oid]) -> Asking:
        """Ask whether the device has anything below each of these; `present` has those. Raises AskingEnded."""
        left = list(dict.fromkeys(subtrees))
        while left:
            asked = left[: self._names]
            answer = yield from self._ask(Request(tuple(asked), PduType.GET_NEXT))
            refused = self._refused(answer, asked)
            if refused is not None:
                left = [name for name in left if name not in refused]
                continue
            assert isinstance(answer, Reply)  # noqa: S101 - else it is refused
            pdu = answer.pdu
            next_ones = zip(asked, pdu.names, pdu.tags, strict=False)
            there = [name for question, name, tag in next_ones if tag not in ber.ABSENT and name != question]
            self.present.update(
                subtree for subtree in asked if any(is_within(name, subtree) and name != subtree for name in there)
            )
            left = left[len(pdu.names[: len(asked)]) :]

    def ask_columns(self, columns: Iterable[Oid]) -> Asking:
        """Read whole columns, and keep their rows. Raises AskingEnded."""
        fresh = [column for column in dict.fromkeys(columns) if column not in self.columns]
        self.columns.update((column, {}) for column in fresh)
        reached = {column: column for column in fresh}
        while reached:
            batch = list(reached)[: self._names]
            names = tuple(reached[column] for column in batch)
            repetitions = max(1, self._room // len(batch)) if self._bulk else 1
            if repetitions > 1 and any(reached[column] == column for column in batch):
                repetitions = min(repetitions, 3)  # most columns are absent, or short
            request = Request(names, PduType.GET_BULK, 0, repetitions) if self._bulk else Request(names, PduType.GET_NEXT)
            answer = yield from self._ask(request)
            if self._omits and len(batch) == 1 and _is_empty(answer):
                self.read.update(batch)  # it leaves out what has ended
                del reached[batch[0]]
                continue
            refused = self._refused(answer, batch, bulk=repetitions if self._bulk else 0)
            if refused is not None:
                self.read.update(set(refused) - self.unread.keys())
                for column in refused:
                    del reached[column]
                continue
            assert isinstance(answer, Reply)  # noqa: S101 - else it is refused
            self._take(answer.pdu, batch, reached)
        rows = ((column, index, tag) for column in fresh for index, (tag, _) in self.columns[column].items())
        bad = ((column, index) for column, index, tag in rows if tag == UNREADABLE and max(index) <= ber.MAX_SUBIDENTIFIER)
        unread = {child(column, *index): (column, index) for column, index in bad}
        for name, held in (yield from self._read_again([*unread])).items():
            column, index = unread[name]
            self.columns[column][index] = held

    def ask_rows(self, column: Oid, indexes: Iterable[Index]) -> Asking:
        """Ask for these rows of a column one by one, and keep those that are there. Raises AskingEnded."""
        names = {child(column, *index): index for index in indexes}
        yield from self.ask_values(names)
        for name, index in names.items():
            if self.values.get(name, (ber.NULL, None))[0] != ber.NULL:
                self.columns[column][index] = self.values[name]

    def _take(self, pdu: Pdu, batch: Sequence[Oid], reached: dict[Oid, Oid]) -> None:
        """Keep the rows of an answer, and note how far each column was read."""
        if self._is_shifted(pdu, batch):
            self._omits, self._names = True, 1  # what it says is not known: each column by itself
            return
        heard = set()
        for place, (name, tag, value) in enumerate(zip(pdu.names, pdu.tags, pdu.values, strict=True)):
            column = batch[place % len(batch)]
            if column not in reached:
                continue
            heard.add(column)
            if tag in ber.ABSENT or not is_within(name, column) or name == column:
                self.read.add(column)
                del reached[column]
                continue
            try:
                index = subidentifiers(name)[len(subidentifiers(column)) :]
            except InvalidOid:
                self._give_up(column, reached, "a row's name is not an OID")
                continue
            if index in self.columns[column]:  # rows out of order are rows, as long as each comes once
                self._give_up(column, reached, "its rows come again")
                continue
            if len(self.columns[column]) >= MOST_ROWS:
                self._give_up(column, reached, f"more than {MOST_ROWS} rows")
                continue
            self.columns[column][index] = tag, value
            reached[column] = name
        for column in set(batch) & reached.keys() - heard:
            if column == batch[0]:  # not even the first: nothing of it would follow
                self._give_up(column, reached, "an empty answer")
            else:
                self._omits, self._names = True, max(1, min(self._names, len(heard)))

    def _is_shifted(self, pdu: Pdu, batch: Sequence[Oid]) -> bool:
        """Whether an answer leaves out columns that have ended, so that the others are not in their places.

        In the place of a column that has ended is what comes next. That may be the first row of another column that was asked,
        and is never a later one.
        """
        firsts = {column: child(column, *next(iter(self.columns[column]))) for column in batch if self.columns[column]}
        strays: dict[Oid, Oid] = {}  # what stands where the column would go on
        for place, (name, tag) in enumerate(zip(pdu.names, pdu.tags, strict=True)):
            column = batch[place % len(batch)]
            if is_within(name, column):
                firsts.setdefault(column, name)
            elif tag not in ber.ABSENT:
                strays.setdefault(column, name)
        heard = batch[: len(pdu.names)]
        return any(is_within(name, column) and firsts.get(column) != name for name in strays.values() for column in heard)

    def _give_up(self, column: Oid, reached: dict[Oid, Oid], why: str) -> None:
        self.unread[column] = why
        del reached[column]

    def _ask(self, request: Request) -> Generator[Request, Answer, Answer]:
        if self.requests >= MOST_REQUESTS:
            raise AskingEnded(f"it was asked {MOST_REQUESTS} times, and there is more")
        self.requests += 1
        answer = yield request
        if isinstance(answer, NoReply):
            self._lost += 1
            if self._lost >= MOST_LOST:
                raise AskingEnded(f"it stopped answering: {answer.reason} {answer.detail}".rstrip(), again=True)
        else:
            self._lost = 0
        return answer

    def _refused(self, answer: Answer, asked: Sequence[Oid], bulk: int = 0) -> list[Oid] | None:
        """None if the answer can be used; else those of `asked` that are not to be asked again, with the size made smaller.

        `bulk`: the repetitions of a GETBULK.
        """
        if isinstance(answer, Reply) and answer.pdu.error_status == ErrorStatus.noError and answer.pdu.names:
            return None
        pdu = answer.pdu if isinstance(answer, Reply) else None
        if pdu is not None and pdu.error_status not in (ErrorStatus.noError, ErrorStatus.tooBig) and not bulk:
            blamed = pdu.error_index if 1 <= pdu.error_index <= len(asked) else 0
            if blamed and pdu.error_status == ErrorStatus.noSuchName and self._v1:
                last = subidentifiers(asked[blamed - 1])
                return [name for name in asked if subidentifiers(name) >= last]  # the MIB ends before it
            if blamed:
                return [self._note(asked[blamed - 1], error_name(pdu.error_status))]
        if bulk > 1:
            self._room = max(1, min(self._room, bulk * len(asked)) // 2)
            if pdu is None or pdu.error_status != ErrorStatus.tooBig:
                self._bulk = False
            return []
        if bulk:
            self._bulk = False
        if len(asked) > 1:
            self._names = max(1, len(asked) // (4 if pdu is None else 2))
            return []
        if bulk:
            return []
        why = "silence" if pdu is None else error_name(pdu.error_status) if pdu.error_status else "an empty answer"
        return [self._note(asked[0], why)]

    def _note(self, name: Oid, why: str) -> Oid:
        self.unread[name] = why
        return name


def _is_empty(answer: Answer) -> bool:
    return isinstance(answer, Reply) and not answer.pdu.error_status and not answer.pdu.names


def _before(name: Oid) -> Oid:
    """An OID whose next one is `name`, if the device has that: the one before it, or what it is below if it ends in .0."""
    *above, last = subidentifiers(name)
    return encode_oid((*above, last - 1)) if last else encode_oid(above)
