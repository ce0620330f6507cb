"""The course of one poll: what to ask next, given what was answered so far.

All failures of a device to answer everything in order are handled here: a request with too big an answer is sent again in
halves, a refused varbind is left out and the rest asked again, omitted varbinds and unreadable ones are asked again, and one
small probe distinguishes a lost answer from a dead device. Every missing value has a reason; nothing is made up or asked for
without end.
Pure: reading.py sends, and keeps the time. Source: RFC 3416 §4.2.1 (GetRequest), RFC 1157 §4.1.2 (error-index in SNMPv1).
"""

from collections import deque
from collections.abc import Iterator, Sequence

from towerops_agent.polling.course.apart import divide, turn_of
from towerops_agent.polling.course.fewer import Fewer
from towerops_agent.polling.course.plan import IF_TABLE_LAST_CHANGE, SYS_UP_TIME, Ask, Plan
from towerops_agent.polling.course.stepping import Steps, as_get, as_next
from towerops_agent.polling.course.traits import SERIAL, SERIAL_S, STARTING_VARBINDS, UNKNOWN, Traits
from towerops_agent.polling.course.widths import Narrow, learned
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, Request, error_name

_SAID_ABSENT = ber.ABSENT | {ber.NULL}

_DENIED = frozenset((ErrorStatus.authorizationError, ErrorStatus.noAccess))
"""Errors about the requester: if they name no varbind, asking for fewer would be refused too (RFC 3416 §4.2.1)."""

_LOSSES = frozenset((Reason.TIMEOUT, Reason.DEADLINE))

_UPTIMES = frozenset((SYS_UP_TIME, IF_TABLE_LAST_CHANGE))
"""Some firmware gives its sysUpTime for both."""

_PROBE = Request((SYS_UP_TIME,))
PROBE_ATTEMPTS = 2
PATIENT_ATTEMPTS = 4
"""Attempts of the probe after a silence, when the question was lost three times already; a device that was down gets one. A
device that has answered before gets four: one OID may block it for ten seconds, and it lives all the same."""


class PollProgress:
    """One poll under way.

    `names`, `tags`, `values`, `received_us`: by column, from the device's answers; a tag of 0 without one.
    `failures`: why, for each column that has no value of the device's own: timeout, tooBig, omitted, an error-status, …
    `slots`: the plan's, changed if a narrow counter replaces a wide one.
    `is_verifying`: all is there that can be, and what is asked now only verifies a finding about the device. It may be left out.
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
        self.is_verifying = False
        self._traits = traits
        turn = _in_turn(plan, traits)
        self._queue = deque(turn)
        self._together = 0  # how many planned requests were answered as expected, each time all of those under way
        self._probing: Ask | None = None
        self._suspect: Ask | None = None  # the request during which the device fell silent
        self._fallen_back = not plan.if_indexes
        self._narrow: Narrow | None = None  # the narrow counters asked as well
        if plan.if_indexes and UNKNOWN in traits.widths:
            self._narrow = Narrow(plan, traits.widths, plan.columns)
        self._hurries = traits.hurried and self._narrow is not None
        self._has_looked_twice = False
        self._blamed: set[int] = set()  # columns that an error-index named, asked one by one to verify it
        self._doubted: tuple[int, ...] = ()  # columns that were said to be absent, while the first of them is asked by itself
        self._twin = 0  # the column of the one OID beside sysUpTime, if both values were the same, while it is asked by itself
        self._unheard: set[int] = set()  # columns of requests that were met with silence
        self._alone: set[int] = set()  # those that were so by themselves
        self._has_found_mute = False  # whether an OID was found that the device never answers
        self._garbled: set[int] = set()  # columns that were answered with octets that are not a message, when asked by themselves
        self._left_out: dict[int, str] = {}  # columns that are not asked in this poll, and why they are missing
        self._due: list[int] = []  # columns whose turn it is, if there are such
        self._fewer: Fewer | None = None  # what could not be read, asked again among fewer
        self._many = False  # whether a request of several varbinds was answered with values
        self._singles = 0  # how many of one varbind were
        self._is_baffled = False  # whether a request of several was refused without a true index
        self._shrunk = False
        self._stumbled = False
        self._is_lossy = False  # whether anything was answered only when it was asked again
        self._plain: Ask | None = None  # the request that was sent as a GETNEXT
        self._steps: Steps | None = None  # what GET did not give asked by GETNEXT
        self._has_stepped = False
        self._step: Ask | None = None
        self._is_out_of_turn = turn is not plan.asks  # whether anything came in another order than that of the plan
        self._has_proven = False
        self._asks_get: Ask | None = None  # the question whether a device that answered a GETNEXT answers no GET
        if not traits.answers:
            self._probing = self._probe(1)

    def leave_out(self) -> None:
        """Ask only some of the OIDs that the device does not give, if there are many, in turn: apart.py has which."""
        self._due, self._left_out = turn_of(self.plan, self._traits)
        if not self._left_out:
            return
        self.failures.update(self._left_out)
        apart = self._left_out.keys() | self._due
        for _ in range(len(self._queue)):
            ask = self._queue.popleft()
            kept = [column for column in ask.columns if column not in apart]
            if kept:
                self._queue.append(ask if len(kept) == len(ask.columns) else self._ask(kept))
        self._queue.extend(self._ask_apart(column) for column in self._due)

    def _ask_the_left_out(self) -> None:
        """One of these OIDs is there again, and so may all be."""
        for column in self._left_out:
            del self.failures[column]
        self._queue.extend(self._ask([column]) for column in self._left_out)
        self._left_out = {}

    def next_ask(self) -> Ask | None:
        """The next request; None: the poll is over. Pass it to `take` with its answer."""
        ask = self._next()
        if ask is None or not self._is_by_next(ask):
            return ask
        self._plain = ask
        return as_next(ask)

    def next_together(self) -> list[Ask]:
        """The next requests, if several may be under way at once: planned ones. Else none.

        Pass them to `take_together` with their answers. A request that proves what others read is never under way with them.
        """
        most, queue = self._traits.together, self._queue
        if most < 2 or self._stumbled or self._probing is not None or self._doubted or self._blamed or self._shrunk:
            return []
        if self._hurries:
            self._fall_back_at_once()
        asks: list[Ask] = []
        while queue and len(asks) < most:
            ask = queue[0]
            if not ask.runs or ask.again or len(ask.columns) > self._traits.max_varbinds:
                break
            if asks and ask.proves > asks[0].columns[0]:
                break
            asks.append(queue.popleft())
        return asks

    def take_together(self, asks: Sequence[Ask], answers: Sequence[Answer]) -> None:
        """Process the answers to `asks`. What is not answered as expected is asked again by itself, as if it had not been asked.

        So whatever else may be wrong is found out one request at a time, and the device is asked so from then on.
        """
        traits, again, times_s, most = self._traits, [], [], 0
        for ask, answer in zip(asks, answers, strict=True):
            if not isinstance(answer, Reply):
                again.append(ask)
                continue
            times_s.append(answer.rtt_s)
            self._is_lossy |= answer.attempts > 1
            columns, pdu = ask.columns, answer.pdu
            if not self._is_clean(ask, pdu):
                again.append(ask)
                continue
            count = len(columns)
            self._store_runs(ask.runs, pdu, answer.received_us)
            most = max(most, count)
        if most:
            traits.note_answered(most)
            self._many = self._many or most > 1
        if times_s:
            self.heard = traits.answers = True
            traits.observe_rtt(max(times_s))
        if again:
            self._queue.extendleft(reversed(again))
            self._stumbled = True
            if self.heard:  # else it may be down, and that is all
                traits.stumbled()
            return
        self._together += len(asks)
        if max(times_s) > max(SERIAL * min(times_s), SERIAL_S):
            self._stumbled = True  # for this poll: it may have been busy for once
            traits.clean_polls = 0

    def _is_clean(self, ask: Ask, pdu: Pdu) -> bool:
        """Whether an answer is as expected: in order, without an error, and not of a device that answers only the first OID."""
        tags, names = pdu.tags, ask.request.names
        if pdu.error_status or 0 in tags or (pdu.names is not names and tuple(pdu.names) != names):
            return False
        if not self._traits.absence_holds and _gives_first_only(tags):
            return False
        return not self._is_echo(ask, pdu)

    def _is_by_next(self, ask: Ask) -> bool:
        by_next = self._traits.by_next
        return ask.by_next or self._traits.next_only or (bool(by_next) and by_next.issuperset(ask.request.names))

    def _next(self) -> Ask | None:
        if self._probing is not None:
            return self._probing
        if self._hurries and not self._doubted:
            self._fall_back_at_once()
        if not self._queue and not self._fallen_back:
            self._fall_back()
        if not self._queue and self._narrow is not None and not self._has_looked_twice:
            self._look_twice(self._narrow)
        if not self._queue:
            return self._next_step()
        ask = self._queue.popleft()
        while self._traits.apart and self._put_apart(ask):
            ask = self._queue.popleft()
        if len(ask.columns) > self._traits.max_varbinds:
            first, *rest = self._cut(ask, self._traits.max_varbinds)
            self._queue.extendleft(reversed(rest))
            return first
        return ask

    def _next_step(self) -> Ask | None:
        """What GET did not give asked by GETNEXT, once all else is answered."""
        if not self._has_stepped:
            if self._proves():  # behind OIDs that the device is silent to, the time may be up
                return self._next()
            self._has_stepped = True
            if self.heard and (self.failures or any(tag in self.tags for tag in ber.ABSENT)):
                self._steps = Steps(self._traits)
                columns = dict.fromkeys((0, *self._settled(), *filter(None, self.plan.names)))  # names prove what is before them
                self._steps.begin(columns, self.names, self.tags, self.failures)
        self._step = None if self._steps is None else self._steps.next()
        if self._step is None and self._proves():
            return self._next()
        if self._step is None and self._steps is not None:
            self._step = self._steps.next_control()
            self.is_verifying = self._step is not None
        return self._step

    def _proves(self) -> bool:
        """Whether names have to be asked once more, which are the next ones then: once, and again if GETNEXT has given values."""
        if self._has_proven or not self._is_out_of_turn:
            return False
        self._has_proven = True
        outrun = self._outrun_names()
        if outrun:
            self._queue.append(self._ask(outrun))
        return bool(outrun)

    def _outrun_names(self) -> list[int]:
        """The names that came before a counter of their interface, and so prove nothing of it: they are asked once more."""
        slots, received_us = self._settled(), self.received_us
        return [
            column
            for i, column in enumerate(self.plan.names)
            if column
            and self.tags[column] == ber.OCTET_STRING
            and received_us[column] < max(received_us[slots[slot]] for slot in self.plan.interface_slots(i))
        ]

    @property
    def is_as_planned(self) -> bool:
        """Whether all was answered as expected, in the plan's order: a request was sent once all were answered that it proves."""
        return self._together == len(self.plan.asks) and not self._is_out_of_turn

    @property
    def uptime(self) -> int | None:
        """The device's sysUpTime, in hundredths of a second; None if it was not sent, or not yet."""
        value = self.values[0]
        return value if self.tags[0] == ber.TIME_TICKS and isinstance(value, int) else None

    def take(self, ask: Ask, answer: Answer) -> None:
        """Process the answer to `ask`."""
        if ask.by_next and self._plain is not None:
            ask = self._plain
            answer = as_get(ask, answer)
            if ask is self._step and self._steps is not None:
                self._is_lossy |= isinstance(answer, Reply) and answer.attempts > 1
                for column, tag, value in self._steps.take(ask, answer, self._is_lossy):
                    self.failures.pop(column, None)
                    self._put(column, tag, value, answer.received_us if isinstance(answer, Reply) else 0)
                    self._has_proven = False
                return
        if ask is self._step and self._steps is not None:
            self._steps.take_control(ask, answer)
            return
        probe = ask is self._probing
        self._probing = None
        if isinstance(answer, NoReply) and ask is self._asks_get:
            self._traits.next_only = True
            return
        if isinstance(answer, NoReply):
            self._silent(ask, probe, answer)
            return
        if self._stumbled and not self.heard:
            self._traits.stumbled()
        self.heard = self._traits.answers = True
        self._is_lossy |= answer.attempts > 1
        self._traits.observe_rtt(answer.rtt_s)
        if self._suspect is not None:
            if probe and list(ask.columns) != [0] and not self.tags[0]:
                self._note_mute(0)  # it lives, and does not say for how long
            self._spare(self._suspect)
            self._suspect = None
        if self._unheard:
            self._unheard.difference_update(ask.columns)
        self._hear(ask, answer)
        if probe and ask.by_next and self.uptime is not None:  # or it has only just come back: does it answer a GET?
            self._asks_get = self._probing = Ask(_PROBE, (0,), attempts=PATIENT_ATTEMPTS)

    def stop(self, reason: str) -> None:
        """End the poll: all unanswered columns fail for `reason`."""
        self._queue.clear()
        self._fallen_back = self._has_looked_twice = self._has_stepped = True
        self._has_proven = True
        if self._steps is not None:
            self._steps.stop()
        if self.heard or self._traits.most_answered:
            suspects = self._suspect.columns if self._suspect is not None else self._unheard
            fell_silent = () if self._traits.is_paced else suspects  # else they only came too soon
            self._traits.suspects = frozenset(self.names[column] for column in fell_silent)
            if reason == Reason.DEADLINE and not self._traits.is_paced:
                self._note_mute(*self._alone & self._unheard)  # else the next poll would begin again, and find no more
            if reason == Reason.DEADLINE and self._suspect is not None and self._suspect.again and len(fell_silent) == 1:
                self._note_mute(*fell_silent)  # it takes up the time of each poll
        if not self.heard:
            self.failures.clear()  # of what was left out
        for column, tag in enumerate(self.tags):
            if not tag:
                self.failures.setdefault(column, reason)
        if reason == Reason.DEADLINE:
            self._traits.turn -= sum(self.failures[column] == reason for column in self._due if not self.tags[column])
            self._traits.resume = self._next_time()
        if self._narrow is not None:
            self._withhold_idle(self._narrow, reason)

    def _withhold_idle(self, narrow: Narrow, reason: str) -> None:
        """Drop wide counters at 0 that may not count: it is not known, as the narrow ones beside them were not answered."""
        widths = learned(self.plan, self._traits.widths, self._settled(), self.tags, self.values, self.received_us)
        unanswered = {column for column, why in self.failures.items() if why == reason and not self.tags[column]}
        for column in narrow.undecided(widths, self.tags, self.values, unanswered):
            self.tags[column], self.values[column] = 0, None
            self.failures[column] = reason

    def _next_time(self) -> Oid | None:
        """The OID to begin with in the next poll: the first, in this poll's order, for which there was no time."""
        order = [column for ask in _in_turn(self.plan, self._traits) for column in ask.columns]
        return next((self.names[column] for column in order if self.failures.get(column) == Reason.DEADLINE), None)

    def finish(self) -> None:
        """Note what this poll has shown, once it is over."""
        self.settle()
        self._traits.answers = self.heard
        if self._traits.once_by_next:
            self._traits.unsuspect(frozenset(self._given_by_get()))
        if self._traits.unreadable:
            self._traits.unreadable -= {name for name, tag in zip(self.names, self.tags, strict=True) if tag}
        if self._is_baffled and not self._many and self._singles > 1:
            self._traits.refused(2)  # one at a time, however it says so
            self._shrunk = True
        if self._has_found_mute and self._traits.mute.issuperset(self.names[column] for column in self._unheard):
            self._traits.restore_size(STARTING_VARBINDS)  # all silence was about these
        elif self.heard and not self._shrunk:
            self._traits.grow()
        lost = _LOSSES.intersection(self.failures.values())
        if self.heard and not lost:
            self._traits.resume = None
        if self.heard and not (self._shrunk or self._stumbled or lost):
            self._traits.note_clean_poll()
        elif self.heard and not (self._shrunk or self._stumbled or self._is_lossy) and Reason.TIMEOUT not in lost:
            self._traits.note_short_poll()
        elif self._traits.clean_polls > 0:
            self._traits.clean_polls = 0
        if UNKNOWN in self._traits.widths and self.plan.if_indexes:
            self._traits.widths = learned(self.plan, self._traits.widths, self.slots, self.tags, self.values, self.received_us)
        if self.heard and self.failures:
            self._name_garbled()

    def _name_garbled(self) -> None:
        """Have what the device answers with octets that are not a message missing for that: it is not silent to it."""
        traits = self._traits
        for column in [column for column, reason in self.failures.items() if reason == Reason.TIMEOUT]:
            name = self.names[column]
            if column in self._garbled:
                traits.note_unreadable(name)
            elif column not in self._left_out:
                traits.unreadable -= {name}
            if name in traits.unreadable:
                self.failures[column] = Reason.UNREADABLE

    def _given_by_get(self) -> Iterator[Oid]:
        by_next = () if self._steps is None else self._steps.given
        for column, tag in enumerate(self.tags):
            if tag not in _SAID_ABSENT and tag and column not in by_next:
                yield self.names[column]

    # Silence

    def _silent(self, ask: Ask, probe: bool, answer: NoReply) -> None:
        mute = self._traits.mute
        if answer.discarded is Discard.MALFORMED and len(ask.columns) == 1:
            self._garbled.update(ask.columns)
        if answer.reason == Reason.TIMEOUT and ask.attempts == 1 and self.heard and not mute.isdisjoint(ask.request.names):
            self._fail(ask.columns[0], Reason.TIMEOUT)  # as ever
            return
        if answer.reason == Reason.TIMEOUT and probe and self._may_be_shy(ask):
            self._probing = Ask(Request((self.names[1],)), (1,), attempts=1)
            return
        if answer.reason != Reason.TIMEOUT or probe or list(ask.columns) == [0]:
            if probe and self._suspect is not None and len(self._suspect.columns) == 1 and self.heard:
                self._note_mute(self._suspect.columns[0])
            self.stop(answer.reason)
            return
        self._suspect = ask
        self._unheard.update(ask.columns)
        self._probing = self._probe(PATIENT_ATTEMPTS if self._traits.most_answered else PROBE_ATTEMPTS)

    def _may_be_shy(self, ask: Ask) -> bool:
        """Whether a device that did not answer for its sysUpTime never did, and may be asked for something else."""
        return self._suspect is not None and self._traits.uptime is None and list(ask.columns) == [0]

    def _probe(self, attempts: int) -> Ask:
        """The smallest question: the device's sysUpTime. One that does not answer that is asked for the plan's first value.

        A device that was never heard is asked for both by turns, and by GETNEXT.
        """
        traits = self._traits
        shy = SYS_UP_TIME in traits.mute
        if not traits.answers and traits.uptime is None and not traits.most_answered:
            turn, traits.probe_turn = traits.probe_turn, (traits.probe_turn + 1) % 3
            if turn == 2:
                return Ask(_PROBE, (0,), attempts=attempts, by_next=True)
            shy = turn == 1
        if shy and len(self.names) > 1:
            return Ask(Request((self.names[1],)), (1,), attempts=attempts)
        return Ask(_PROBE, (0,), attempts=attempts)

    def _spare(self, ask: Ask) -> None:
        """The device is alive, so `ask` was lost, or is too much for it: ask once more, in halves, after all others."""
        if self._traits.is_paced and not ask.again:
            self._queue.appendleft(Ask(ask.request, ask.columns, again=True, runs=ask.runs))
        elif len(ask.columns) > 1:
            others = self._unheard.difference(ask.columns)  # until they are answered, the cause may be an OID that never is
            is_believed = not others and self._traits.suspects <= self._traits.mute
            self._traits.fell_silent(len(ask.columns), is_believed=is_believed)
            self._shrunk = True
            self._queue.extend(self._cut(ask, (len(ask.columns) + 1) // 2))
        elif ask.again or ask.request.names[0] in self._traits.mute:
            self._fail(ask.columns[0], Reason.TIMEOUT)
            self._note_mute(ask.columns[0])
        else:
            self._alone.update(ask.columns)
            self._queue.append(Ask(ask.request, ask.columns, again=True, runs=ask.runs))

    def _note_mute(self, *columns: int) -> None:
        found = {self.names[column] for column in columns} - self._traits.mute
        self._traits.mute |= found
        self._has_found_mute |= bool(found)

    def _put_apart(self, ask: Ask) -> bool:
        """Put OIDs that are known to spoil a request behind all others; False if `ask` is without such OIDs, and is to be asked.

        OIDs that the device never answers are asked one by one, once; refused ones one by one; suspects of a silence in halves.
        """
        parts = divide(ask, self._traits)
        if parts is None:
            return False
        if parts.by_next:
            self._queue.append(self._ask(parts.by_next, ask.again))
        self._queue.extend(self._ask([column]) for column in parts.refused)
        self._queue.extend(map(self._ask_apart, parts.mute))
        if parts.suspects:
            self._queue.extend(self._cut(self._ask(parts.suspects, again=True), (len(parts.suspects) + 1) // 2))
        if parts.rest:
            self._queue.appendleft(self._ask(parts.rest, ask.again))
        return True

    def _ask_apart(self, column: int) -> Ask:
        """One OID by itself: once if the device never answers it."""
        name = self.names[column]
        return Ask(Request((name,)), (column,), attempts=1) if name in self._traits.mute else self._ask([column])

    # Answers

    def _hear(self, ask: Ask, reply: Reply) -> None:
        pdu, count = reply.pdu, len(ask.columns)
        if self._traits.apart:
            alone = count == 1 and pdu.error_status == ErrorStatus.noError
            if self._left_out and alone and _SAID_ABSENT.isdisjoint(pdu.tags) and self._traits.is_single(ask.request.names[0]):
                self._ask_the_left_out()
            self._traits.clear(ask.request.names, alone)
        if pdu.error_status == ErrorStatus.noError:
            is_in_order = pdu.names is ask.request.names or tuple(pdu.names) == ask.request.names
            if is_in_order and self._is_echo(ask, pdu):
                self._doubt_echo(ask, pdu, reply.received_us)
                return
            if is_in_order:
                self._store(ask, pdu, reply.received_us)
            else:
                self._sort(ask, pdu, reply.received_us)
            if self._fewer is None and 0 in pdu.tags:
                self._fewer = Fewer(self._traits)
            unread = () if self._fewer is None else self._fewer.unread(ask, pdu, self.tags)
            if is_in_order:
                if not unread:
                    self._traits.note_answered(count)
                self._count(ask, pdu)
            if self._fewer is not None:
                self._ask_fewer(self._fewer, ask, unread)
        elif count == 1:
            self._refuse(ask.columns[0], pdu.error_status)
        elif pdu.error_status == ErrorStatus.tooBig:
            self._traits.refused(count)
            self._shrunk = True
            self._queue.extendleft(reversed(self._cut(ask, self._traits.max_varbinds)))
        elif 1 <= pdu.error_index <= count:
            self._blame(ask, ask.columns[pdu.error_index - 1])
        elif pdu.error_status in _DENIED:
            for column in ask.columns:
                self._fail(column, error_name(pdu.error_status))
        else:  # an error that names no varbind
            self._is_baffled = True
            self._queue.extendleft(reversed(self._cut(ask, (count + 1) // 2)))

    def _blame(self, ask: Ask, column: int) -> None:
        """An error-index is a hint: the named OID is asked by itself before it is given up.

        A device whose index was wrong once is asked in halves.
        """
        if self._traits.index_lies:
            self._is_baffled = True
            self._queue.extendleft(reversed(self._cut(ask, (len(ask.columns) + 1) // 2)))
        else:
            self._blamed.add(column)
            self._queue.appendleft(self._ask([other for other in ask.columns if other != column], ask.again))
            self._queue.appendleft(self._ask([column]))

    def _refuse(self, column: int, status: int) -> None:
        """The device answers with an error to this OID by itself."""
        reason = error_name(status)
        self._fail(column, reason)
        if len(self.plan.columns) > 1:
            self._traits.refuse(self.names[column], reason)
        if self._doubted and column == self._doubted[0]:
            self._doubted = ()

    def _count(self, ask: Ask, pdu: Pdu) -> None:
        """Note what an answer in order says of the device's manners."""
        count = len(ask.columns)
        if count == 1:
            column, is_there = ask.columns[0], pdu.tags[0] not in _SAID_ABSENT
            if column == self._twin != 0:
                self._twin = 0
                if pdu.tags[0] != ber.TIME_TICKS:
                    self._take_one_at_a_time(())
            self._singles += is_there
            if column in self._blamed and is_there:
                self._traits.index_lies = self._is_baffled = True
            if self._doubted and column == self._doubted[0]:
                doubted, self._doubted = self._doubted, ()
                self._traits.absence_holds = not is_there
                if is_there:
                    self._take_one_at_a_time(doubted[1:])
        elif not self._traits.absence_holds and _gives_first_only(pdu.tags):
            if not self._doubted:
                self._doubted = tuple(ask.columns[1:])
                self._queue.appendleft(self._ask([self._doubted[0]]))
        else:
            self._many = True

    def _is_echo(self, ask: Ask, pdu: Pdu) -> bool:
        """Whether the sysUpTime was given for each OID of a request: by a device that takes one OID at a time."""
        if ask.columns[0] != 0 or pdu.tags[0] != ber.TIME_TICKS or _UPTIMES.issuperset(ask.request.names):
            return False
        return set(pdu.tags) == {ber.TIME_TICKS} and len(set(pdu.values)) == 1

    def _doubt_echo(self, ask: Ask, pdu: Pdu, received_us: int) -> None:
        """Ask again, one at a time. One value may be the sysUpTime by right, as the hrSystemUptime of RouterOS: if it is a time
        by itself as well, the device takes several OIDs."""
        if len(ask.columns) > 2:
            self._take_one_at_a_time(ask.columns)
            return
        self._put(0, pdu.tags[0], pdu.values[0], received_us)
        self._twin = ask.columns[1]
        self._stumbled = True  # for this poll
        self._queue.appendleft(self._ask([self._twin]))

    def _take_one_at_a_time(self, columns: Sequence[int]) -> None:
        """The device answers only the first OID of a request: ask for these one at a time, and so from now on."""
        self._traits.refused(2)
        self._shrunk = True
        for column in columns:
            self.tags[column] = 0
        self._queue.extendleft(self._ask([column]) for column in reversed(columns))

    def _store(self, ask: Ask, pdu: Pdu, received_us: int) -> None:
        if ask.runs:  # as planned: the usual case
            self._store_runs(ask.runs, pdu, received_us)
            if 0 not in pdu.tags:
                return
        for column, tag, value in zip(ask.columns, pdu.tags, pdu.values, strict=True):
            self._put(column, tag, value, received_us)

    def _store_runs(self, runs: Sequence[slice], pdu: Pdu, received_us: int) -> None:
        first = 0
        for run in runs:
            end = first + run.stop - run.start
            self.tags[run] = pdu.tags[first:end]
            self.values[run] = pdu.values[first:end]
            self.received_us[run] = [received_us] * (end - first)
            first = end

    def _sort(self, ask: Ask, pdu: Pdu, received_us: int) -> None:
        """Process an answer in another order: sort it by name, and ask again for omitted varbinds."""
        missing = dict(zip(ask.request.names, ask.columns, strict=True))
        for name, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            column = missing.pop(name, None)
            if column is not None:  # else it was never asked, or is there twice: the first one counts
                self._put(column, tag, value, received_us)
        rest = list(missing.values())
        if len(rest) < len(ask.columns):
            if rest:
                self._queue.appendleft(self._ask(rest, ask.again))
        elif len(rest) > 1:  # none of the requested names: perhaps there are too many
            self._queue.extendleft(reversed(self._cut(ask, (len(rest) + 1) // 2)))
        else:
            self._fail(rest[0], Reason.OMITTED)

    def _put(self, column: int, tag: int, value: int | bytes | None, received_us: int) -> None:
        self._is_out_of_turn = True
        self.tags[column] = tag
        self.values[column] = value
        self.received_us[column] = received_us
        if not tag:
            self.failures[column] = Reason.UNREADABLE
        elif self._fewer is not None and column in self._fewer:
            self.failures.pop(column, None)

    def _ask_fewer(self, fewer: Fewer, ask: Ask, unread: Sequence[int]) -> None:
        """Ask again, among fewer, for what this answer has in vain; note what it has read of an earlier one."""
        self._shrunk |= fewer.has_read(ask, self.tags)
        parts = fewer.parts(ask, unread)
        self._queue.extendleft(self._ask(part, ask.again) for part in reversed(parts))

    def _fail(self, column: int, reason: str) -> None:
        self.failures[column] = reason

    def _fall_back(self) -> None:
        """Once all else is answered: ask the narrow octet counters if the wide ones are of no use, or stand at 0."""
        self._fallen_back = True
        if self._narrow is not None:
            self._narrow.add(self.tags, self.values)
            extra = self._extend(self._narrow)
            if extra:
                self._queue.append(self._ask(extra))

    def _fall_back_at_once(self) -> None:
        """The same of each interface as soon as its wide counters are answered: the time may be over once all else is."""
        if self._narrow is None or self._fallen_back:
            return
        added = self._narrow.add(self.tags, self.values, self.failures)
        if added:
            self._extend(self._narrow)
            columns = dict.fromkeys(column for i in added for column in self._narrow.at_once(i, self.values))
            self._queue.appendleft(self._ask(tuple(columns)))

    def _extend(self, narrow: Narrow) -> range:
        """The columns that `narrow` has and the poll has not, which it has from now on."""
        extra = range(len(self.tags), len(narrow.names))
        self.names = narrow.names
        self.tags.extend(bytes(len(extra)))
        self.values.extend([None] * len(extra))
        self.received_us.extend([0] * len(extra))
        return extra

    def _look_twice(self, narrow: Narrow) -> None:
        """Ask wide counters at 0 once more, behind narrow ones that count: their interface may have begun to count in between."""
        self._has_looked_twice = True
        idle = narrow.idle_beside_counting(self.tags, self.values)
        if idle:
            self._queue.append(self._ask(idle))

    def settle(self) -> None:
        """Have the narrow counters of an interface stand in for its wide ones, if these are of no use and those are."""
        self.slots = self._settled()

    def _settled(self) -> Sequence[int]:
        return self.slots if self._narrow is None else self._narrow.stand_in(self.slots, self.tags, self.values)

    def _ask(self, columns: Sequence[int], again: bool = False) -> Ask:
        return Ask(Request(tuple(self.names[column] for column in columns)), tuple(columns), again)

    def _cut(self, ask: Ask, size: int) -> list[Ask]:
        return [self._ask(ask.columns[i : i + size], ask.again) for i in range(0, len(ask.columns), size)]


def _gives_first_only(tags: bytes) -> bool:
    """Whether an answer has a value for the first of several OIDs and says that all others are absent."""
    return tags[-1] in _SAID_ABSENT and tags[0] not in _SAID_ABSENT and _SAID_ABSENT.issuperset(tags[1:])


def _in_turn(plan: Plan, traits: Traits) -> Sequence[Ask]:
    """The plan's requests. If there was no time for all of them the last time, those go ahead, behind the first one.

    Not if several are under way, and names have to be asked behind the counters that they prove.
    """
    if traits.resume is None or traits.resume not in plan.columns:
        return plan.asks
    if traits.together > 1 and any(ask.proves for ask in plan.asks):
        return plan.asks
    column = plan.columns.index(traits.resume)
    first, *rest = plan.asks
    turn = next((i for i, ask in enumerate(rest) if column in ask.columns), 0)
    return (first, *rest[turn:], *rest[:turn])
