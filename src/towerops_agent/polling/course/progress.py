"""The course of one poll: what to ask next, given what was answered so far.

Every way in which a device falls short of "all asked, all answered, in order" ends here: too big an answer is asked for in
halves, a refused varbind is left out and the rest asked again, what an answer left out is asked again, silence is told from
death by one small probe. Whatever can't be read has a reason; nothing is made up, and nothing is asked without end.
Pure: poller.py sends, and keeps the time. Source: RFC 3416 §4.2.1 (GetRequest), RFC 1157 §4.1.2 (error-index in SNMPv1).
"""

from collections import deque
from collections.abc import Sequence

from towerops_agent.polling.course.plan import NARROW_OCTETS, SYS_UP_TIME, Ask, Plan
from towerops_agent.polling.course.traits import NARROW, UNKNOWN, WIDE, Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, Request, error_name
from towerops_agent.snmp.wire.oid import Oid, child

ABSENT = frozenset((ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW))

_DENIED = frozenset((ErrorStatus.authorizationError, ErrorStatus.noAccess))
"""Errors that are about the asker: if they name no varbind, asking for fewer would be refused too (RFC 3416 §4.2.1)."""

_PROBE = Request((SYS_UP_TIME,))
PROBE_ATTEMPTS = 2
"""For the probe after a silence, whose question has been lost three times already; a device that was down before gets one."""


class PollProgress:
    """One poll under way.

    `names`, `tags`, `values`, `received_us`: by column, as the device answered; a tag of 0 if it did not.
    `failures`: why, for each column that has no value of the device's own: timeout, tooBig, omitted, an error-status, …
    `slots`: the plan's, changed if a narrow counter stands in for a wide one.
    """

    def __init__(self, plan: Plan, traits: Traits) -> None:
        size = len(plan.columns)
        self.plan = plan
        self.names: Sequence[Oid] = plan.columns
        self.slots = plan.slots
        self.tags = bytearray(size)
        self.values: list[int | bytes | None] = [None] * size
        self.received_us = [0] * size
        self.failures: dict[int, str] = {}
        self.heard = False
        self._traits = traits
        self._queue = deque(plan.asks)
        self._probing: Ask | None = None
        self._suspect: Ask | None = None  # what was asked when the device fell silent
        self._fallen_back = not plan.if_indexes
        self._narrowed: list[tuple[int, int]] = []  # (index in Traits.widths, column of the narrow counter asked instead)
        self._shrunk = False
        if not traits.answers:
            self._probing = Ask(_PROBE, (0,), attempts=1)

    def next_ask(self) -> Ask | None:
        """What to ask now; None: the poll is over. What it returns is to be given to `take` with its answer."""
        if self._probing is not None:
            return self._probing
        if not self._queue and not self._fallen_back:
            self._fall_back()
        if not self._queue:
            return None
        ask = self._queue.popleft()
        while self._traits.mute and ask.attempts > 1 and not self._traits.mute.isdisjoint(ask.request.names):
            self._put_mute_last(ask)
            ask = self._queue.popleft()
        if len(ask.columns) > self._traits.max_varbinds:
            first, *rest = self._cut(ask, self._traits.max_varbinds)
            self._queue.extendleft(reversed(rest))
            return first
        return ask

    @property
    def has_uptime(self) -> bool:
        """Whether the device has said its sysUpTime, or that it has none."""
        return self.tags[0] != 0 or (self.heard and 0 in self.failures)

    @property
    def uptime(self) -> int | None:
        """The device's sysUpTime, in hundredths of a second; None if it was not given, or not yet."""
        value = self.values[0]
        return value if self.tags[0] == ber.TIME_TICKS and isinstance(value, int) else None

    def take(self, ask: Ask, answer: Answer) -> None:
        """Take in the answer to `ask`."""
        probe = ask is self._probing
        self._probing = None
        if isinstance(answer, NoReply):
            self._silent(ask, probe, answer)
            return
        self.heard = self._traits.answers = True
        self._traits.observe_rtt(answer.rtt_s)
        if self._suspect is not None:
            self._spare(self._suspect)
            self._suspect = None
        self._hear(ask, answer)

    def stop(self, reason: str) -> None:
        """End the poll: all that was not answered yet fails for `reason`."""
        self._queue.clear()
        self._fallen_back = True
        for column, tag in enumerate(self.tags):
            if not tag:
                self.failures.setdefault(column, reason)

    def finish(self) -> None:
        """Note what this poll taught, once it is over."""
        self._traits.answers = self.heard
        if self.heard and not self._shrunk:
            self._traits.grow()
        if UNKNOWN in self._traits.widths and self.plan.if_indexes:
            self._learn_widths()

    # Silence

    def _silent(self, ask: Ask, probe: bool, answer: NoReply) -> None:
        if answer.reason != Reason.TIMEOUT or probe or list(ask.columns) == [0]:
            self.stop(answer.reason)
            return
        self._suspect = ask
        self._probing = Ask(_PROBE, (0,), attempts=PROBE_ATTEMPTS)

    def _spare(self, ask: Ask) -> None:
        """The device lives, so `ask` was lost, or is more than it bears: ask it once more, in halves, after all others."""
        if len(ask.columns) > 1:
            self._traits.fell_silent(len(ask.columns))
            self._shrunk = True
            self._queue.extend(self._cut(ask, (len(ask.columns) + 1) // 2))
        elif ask.again or ask.request.names[0] in self._traits.mute:
            self._fail(ask.columns[0], Reason.TIMEOUT)
            self._traits.mute |= {ask.request.names[0]}
        else:
            self._queue.append(Ask(ask.request, ask.columns, again=True))

    def _put_mute_last(self, ask: Ask) -> None:
        """Put `ask` back, less the OIDs that the device does not answer: these are asked last, each alone and once."""
        mute = {column for column in ask.columns if self.names[column] in self._traits.mute}
        rest = [column for column in ask.columns if column not in mute]
        self._queue.extend(Ask(Request((self.names[column],)), (column,), attempts=1) for column in sorted(mute))
        if rest:
            self._queue.appendleft(self._ask(rest, ask.again))

    # Answers

    def _hear(self, ask: Ask, reply: Reply) -> None:
        pdu, count = reply.pdu, len(ask.columns)
        if count == 1 and ask.request.names[0] in self._traits.mute:
            self._traits.mute -= {ask.request.names[0]}
        if pdu.error_status == ErrorStatus.noError:
            if pdu.names is ask.request.names or tuple(pdu.names) == ask.request.names:
                self._traits.bore(count)
                self._store(ask, pdu, reply.received_us)
            else:
                self._sort(ask, pdu, reply.received_us)
        elif pdu.error_status == ErrorStatus.tooBig and count > 1:
            self._traits.refused(count)
            self._shrunk = True
            self._queue.extendleft(reversed(self._cut(ask, self._traits.max_varbinds)))
        elif 1 <= pdu.error_index <= count and pdu.error_status != ErrorStatus.tooBig:
            column = ask.columns[pdu.error_index - 1]
            self._fail(column, error_name(pdu.error_status))
            rest = [other for other in ask.columns if other != column]
            if rest:
                self._queue.appendleft(self._ask(rest, ask.again))
        elif pdu.error_status in _DENIED:
            for column in ask.columns:
                self._fail(column, error_name(pdu.error_status))
        elif count > 1:  # an error that does not say which varbind it is about
            self._queue.extendleft(reversed(self._cut(ask, (count + 1) // 2)))
        else:
            self._fail(ask.columns[0], error_name(pdu.error_status))

    def _store(self, ask: Ask, pdu: Pdu, received_us: int) -> None:
        if isinstance(ask.columns, range):  # as planned: the usual case
            where = slice(ask.columns.start, ask.columns.stop)
            self.tags[where] = pdu.tags
            self.values[where] = pdu.values
            self.received_us[where] = [received_us] * len(pdu.tags)
            if 0 not in pdu.tags:
                return
        for column, tag, value in zip(ask.columns, pdu.tags, pdu.values, strict=True):
            self._put(column, tag, value, received_us)

    def _sort(self, ask: Ask, pdu: Pdu, received_us: int) -> None:
        """Take an answer that is not in the order asked: sort it by name, and ask again for what it left out."""
        missing = dict(zip(ask.request.names, ask.columns, strict=True))
        for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            column = missing.pop(name, None)
            if column is not None:  # else it was never asked, or is there twice: the first stands
                self._put(column, tag, value, received_us)
        rest = list(missing.values())
        if len(rest) < len(ask.columns):
            if rest:
                self._queue.appendleft(self._ask(rest, ask.again))
        elif len(rest) > 1:  # nothing of what was asked: perhaps it can't do so many
            self._queue.extendleft(reversed(self._cut(ask, (len(rest) + 1) // 2)))
        else:
            self._fail(rest[0], Reason.OMITTED)

    def _put(self, column: int, tag: int, value: int | bytes | None, received_us: int) -> None:
        self.tags[column] = tag
        self.values[column] = value
        self.received_us[column] = received_us
        if not tag:
            self.failures[column] = Reason.UNREADABLE

    def _fail(self, column: int, reason: str) -> None:
        self.failures[column] = reason

    # Wide counters that the device may lack

    def _fall_back(self) -> None:
        """Once all else is answered: ask the narrow octet counters where the device said that it lacks the wide ones."""
        self._fallen_back = True
        if UNKNOWN not in self._traits.widths:
            return
        slots, names = list(self.slots), list(self.names)
        position = {name: column for column, name in enumerate(names)}
        for i, width in enumerate(self._traits.widths):
            interface, direction = divmod(i, 2)
            slot = self.plan.interface_slots(interface)[direction]
            if width == UNKNOWN and self._lacks(slots[slot]):
                name = child(NARROW_OCTETS[direction], self.plan.if_indexes[interface])
                if name not in position:
                    position[name] = len(names)
                    names.append(name)
                slots[slot] = position[name]
                self._narrowed.append((i, position[name]))
        extra = range(len(self.names), len(names))
        self.slots, self.names = slots, names
        self.tags.extend(bytes(len(extra)))
        self.values.extend([None] * len(extra))
        self.received_us.extend([0] * len(extra))
        if extra:
            self._queue.append(self._ask(extra))

    def _lacks(self, column: int) -> bool:
        return self.tags[column] in ABSENT or self.failures.get(column) == Reason.NO_SUCH_NAME

    def _learn_widths(self) -> None:
        """A width is learned from a counter that was read; an interface that is away for now teaches none."""
        widths = bytearray(self._traits.widths)
        for i, width in enumerate(widths):
            interface, direction = divmod(i, 2)
            if width == UNKNOWN and self._counts(self.plan.slots[self.plan.interface_slots(interface)[direction]]):
                widths[i] = WIDE
        for i, column in self._narrowed:
            if self._counts(column):
                widths[i] = NARROW
        self._traits.widths = bytes(widths)

    def _counts(self, column: int) -> bool:
        value = self.values[column]
        return isinstance(value, int) and value >= 0

    def _ask(self, columns: Sequence[int], again: bool = False) -> Ask:
        return Ask(Request(tuple(self.names[column] for column in columns)), tuple(columns), again)

    def _cut(self, ask: Ask, size: int) -> list[Ask]:
        return [self._ask(ask.columns[i : i + size], ask.again) for i in range(0, len(ask.columns), size)]
