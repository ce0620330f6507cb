"""A GET that is sent as a GETNEXT: some firmware denies by GET what it gives by GETNEXT ("snmpwalk works, snmpget does not").

Once all else is answered, what GET did not give is asked by GETNEXT, once. A value counts only if its name is the very OID that
is wanted. An answer shows what the device has at once; its silence only in a poll in which nothing else was lost. Pure.
Source: RFC 3416 §4.2.2.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from towerops_agent.polling.course.plan import Ask
from towerops_agent.polling.course.traits import Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, encode_oid, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Request, Value, error_name

_NOT_DENIED: Final = frozenset(
    (*(Reason.DEADLINE, Reason.UNREADABLE, Reason.OMITTED, Reason.TOO_BIG), *(Reason.NO_ACCESS, Reason.AUTHORIZATION_ERROR))
)
"""Why a value is missing that GETNEXT would not give either."""


MOST_A_POLL: Final = 24
"""So many OIDs are tried by GETNEXT in one poll, of a device of which it is not known that this helps."""

MOST_THAT_HELP: Final = 500
"""And of one that has given some so: those of all its interfaces."""

CONTROLS: Final = 12
"""So many attempts by GET, of all OIDs together, are in vain before silence is believed to be a denial: counted over polls."""

CONTROLS_A_POLL: Final = 3
"""So many of them at most are sent in one poll only for that, so that it does not take long. One is sent in each anyway."""

TRY_AGAIN_POLLS: Final = 100
"""Once in so many polls what the device gives neither way is asked by GETNEXT again: what is missing because two datagrams were
lost, or because a module was not plugged in, is not missing for good. What can't be read is asked for by itself as seldom."""


def predecessor(name: Oid) -> Oid:
    """An OID before `name` whose next is `name`, if the device has it: of an instance .0 the object, else the instance before."""
    *parts, last = subidentifiers(name)
    if last:
        return encode_oid((*parts, last - 1))
    return encode_oid(parts) if len(parts) > 1 else name


def as_next(ask: Ask) -> Ask:
    """`ask` as a GETNEXT: answered with its names, if the device has them."""
    request = Request(tuple(map(predecessor, ask.request.names)), PduType.GET_NEXT)
    return Ask(request, ask.columns, ask.again, ask.attempts, by_next=True)


def as_get(ask: Ask, answer: Answer) -> Answer:
    """The answer to as_next(ask) as that to `ask`: what has another name is not there."""
    if isinstance(answer, NoReply) or answer.pdu.error_status != ErrorStatus.noError:
        return answer
    pdu = answer.pdu
    names = ask.request.names[: len(pdu.names)]
    there = [wanted == name for wanted, name in zip(names, pdu.names, strict=False)]
    tags = bytes(tag if here else ber.NO_SUCH_INSTANCE for here, tag in zip(there, pdu.tags, strict=False))
    values = [value if here else None for here, value in zip(there, pdu.values, strict=False)]
    return replace(answer, pdu=Pdu(pdu.type, pdu.request_id, 0, 0, names, tags, values))


def _denies(pdu: Pdu, name: Oid) -> bool:
    """Whether this answer to a GET of `name` says that the device does not have it, or does not give it."""
    if pdu.error_status != ErrorStatus.noError:
        return error_name(pdu.error_status) not in _NOT_DENIED
    return tuple(pdu.names) == (name,) and pdu.tags[0] in ber.ABSENT


class Steps:
    """The requests by GETNEXT of one poll, and those that verify what they find."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._queue: deque[Ask] = deque()
        self._control_queue: deque[Ask] = deque()
        self._silent: set[int] = set()  # columns whose GET was not answered
        self._counts: dict[Oid, int] = {}  # how many GETs of those that GETNEXT gave were in vain, in all polls
        self._controls: dict[int, int] = {}  # how often each column may still be asked by GET again
        self.given: set[int] = set()
        """Columns that GETNEXT gave."""

    def begin(self, columns: Iterable[int], names: Sequence[Oid], tags: bytearray, failures: Mapping[int, str]) -> None:
        """Ask for what was denied of these columns, and was not asked so before: MOST_A_POLL or MOST_THAT_HELP OIDs at most.

        Each in up to two attempts: what is lost in both is not tried again soon.
        """
        traits = self._traits
        traits.lacking_polls += 1
        if traits.unreadable:
            turn = {names[column] for column in failures if (traits.lacking_polls + column) % TRY_AGAIN_POLLS == 0}
            traits.unreadable -= turn - traits.mute
        if traits.next_only:
            return
        denied = [
            column for column in columns if tags[column] in ber.ABSENT or failures.get(column, Reason.DEADLINE) not in _NOT_DENIED
        ]
        denied = self._to_be_tried(denied, names, failures)
        most = MOST_THAT_HELP if traits.by_next or traits.once_by_next else MOST_A_POLL
        rest = [column for column in denied if failures.get(column) != Reason.TIMEOUT][:most]
        silent = [column for column in denied if failures.get(column) == Reason.TIMEOUT][: most - len(rest)]
        self._silent = set(silent)
        suspected = sum(names[column] in traits.once_by_next for column in silent)
        self._controls = dict.fromkeys(silent, CONTROLS_A_POLL // suspected if suspected else 0)
        size = traits.max_varbinds
        for part in [rest[i : i + size] for i in range(0, len(rest), size)]:
            self._queue.append(Ask(Request(tuple(names[column] for column in part)), part, attempts=2, by_next=True))
        for column in silent:
            self._queue.append(Ask(Request((names[column],)), (column,), attempts=2, by_next=True))

    def _to_be_tried(self, denied: Sequence[int], names: Sequence[Oid], failures: Mapping[int, str]) -> list[int]:
        """Those of these columns of which it is not known that GETNEXT does not give them, or not since long ago.

        Those that GET is silent to are tried again in different polls, as each may take some seconds; the others in one request.
        """
        traits = self._traits
        if traits.not_by_next:
            turns = {column: column if failures.get(column) == Reason.TIMEOUT else 0 for column in denied}
            again = {names[column] for column in denied if (traits.lacking_polls + turns[column]) % TRY_AGAIN_POLLS == 0}
            traits.not_by_next -= again
        return [column for column in denied if names[column] not in traits.not_by_next]

    def next(self) -> Ask | None:
        """The next of them."""
        return self._queue.popleft() if self._queue else None

    def next_control(self) -> Ask | None:
        """The next of the requests that verify what was found. No value comes of them, so that they may wait for all others."""
        while self._control_queue:
            ask = self._control_queue.popleft()
            if ask.request.names[0] not in self._traits.by_next:
                return ask
        return None

    def stop(self) -> None:
        """Ask for nothing more."""
        self._queue.clear()
        self._control_queue.clear()

    def take(self, ask: Ask, answer: Answer, is_lossy: bool) -> Iterator[tuple[int, int, Value]]:
        """The column, tag and value of each OID that `answer`, as that to a GET, gives.

        `is_lossy`: whether something else was lost in this poll, so that silence to a GET, or to this one, shows nothing.
        """
        names, count = ask.request.names, len(ask.columns)
        refused = isinstance(answer, Reply) and answer.pdu.error_status != ErrorStatus.noError
        if refused and count > 1:
            for part in (slice(count // 2, None), slice(count // 2)):
                self._queue.appendleft(Ask(Request(names[part]), ask.columns[part], attempts=2, by_next=True))
            return
        pdu = None if isinstance(answer, NoReply) or refused else answer.pdu
        for i, column in enumerate(ask.columns):
            tag, value = (ber.NULL, None) if pdu is None or i >= len(pdu.tags) else (pdu.tags[i], pdu.values[i])
            gave = tag != ber.NULL and tag not in ber.ABSENT
            self._note(column, names[i], gave, answer, is_lossy)
            if gave and column not in self.given:
                self.given.add(column)
                yield column, tag, value

    def _note(self, column: int, name: Oid, gave: bool, answer: Answer, is_lossy: bool) -> None:
        if isinstance(answer, NoReply) and answer.reason != Reason.TIMEOUT:
            return  # the time was up, or the host did not pass it on: nothing of this OID
        if gave and name in self._traits.by_next:
            return  # its first GETNEXT was lost, and there is no GET to be verified
        was_silent = column in self._silent if gave else isinstance(answer, NoReply)
        is_suspected = name in self._traits.once_by_next
        if was_silent and (is_lossy or (is_suspected and not gave)):
            return
        if was_silent and is_suspected:
            self._count(column, name)
        else:
            self._traits.stepped(name, gave)

    def _count(self, column: int, name: Oid) -> None:
        """Count a GET of this OID that was in vain, as a GETNEXT behind it was answered: so the link was there.

        Those of other OIDs confirm it, as long as they are as many of each: it is the GET that the device does not answer.
        """
        traits, counts = self._traits, self._counts
        counts[name] = traits.count_in_vain(name)
        for one, count in counts.items():
            if one in traits.once_by_next and sum(min(count, other) for other in counts.values()) >= CONTROLS:
                traits.stepped(one, gave=True)
        if name in traits.once_by_next and self._controls[column]:
            self._controls[column] -= 1
            self._control_queue.append(Ask(Request((name,)), (column,), attempts=1))

    def take_control(self, ask: Ask, answer: Answer) -> None:
        """Process the answer to a GET of what GETNEXT has just given.

        Silence and a denial count only if a GETNEXT behind them is answered: the link may be down, or the row gone.
        """
        (column,), (name,) = ask.columns, ask.request.names
        if isinstance(answer, NoReply) and answer.reason != Reason.TIMEOUT:
            return
        if isinstance(answer, NoReply) or _denies(answer.pdu, name):
            if isinstance(answer, Reply):
                self._silent.discard(column)
            self._control_queue.append(Ask(ask.request, ask.columns, attempts=1, by_next=True))
        else:
            self._counts.pop(name, None)
            self._traits.unsuspect((name,))
