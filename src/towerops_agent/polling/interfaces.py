"""Know which interface is which: names compared after the counters were read, and the questions of identity.py sent.

One request in flight, as in a poll, and with the poll's knowledge of the device: sizes, OIDs that it refuses or never answers
(progress.py). The clock by which it is known when devices have started is the machine's, which nobody sets (clocks.py): who
keeps learned traits, or sends them to another machine, keeps them with its `boot_clock`.
I/O: through the session's `ask`; clocks, and the kernel's word for this boot. Times in seconds; of the clock in microseconds.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from towerops_agent.clocks import steady_us, wall_us
from towerops_agent.polling.course.device import Device, first_width, replan
from towerops_agent.polling.course.evidence import (
    has_fallen,
    has_fallen_for_sure,
    has_gone_on,
    has_passing,
    named_of,
    octets_of,
    unproven,
)
from towerops_agent.polling.course.identity import MOST_ROWS, Course, Get, Identities, Interfaces, Rows, Values, Walk, identify
from towerops_agent.polling.course.news import (
    Ambiguous,
    Back,
    Gone,
    Moved,
    News,
    Replaced,
    Restarted,
)
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import (
    AMBIGUOUS,
    ATTEMPTS,
    AWAY,
    CONFIRMED,
    DOUBTED,
    LAST_CHANGE_PATIENCE,
    NOTHING,
    SECONDS_SLACK_US,
    UNCHECKED,
    USELESS,
    BootClock,
    Start,
    Traits,
)
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import Request, Value, Varbind, Version
from towerops_agent.snmp.wire.walking import WalkCourse, WalkEnd

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Ask = Callable[[Request, int], Awaitable[Answer]]
"""Asks the device, with this many attempts."""

NAMES_AT_ONCE: Final = 12
"""A name may be long, and an answer should stay small."""

MOST_LOST: Final = 2
"""How many requests in a row may be lost, all attempts of them, until a question is given up for now."""

LOOK_AGAIN_POLLS: Final = 10
"""After this many polls absent interfaces are looked for, and the names of the others are compared again."""

MANY_ROWS: Final = 1000
LOOK_SELDOM_POLLS: Final = 60
"""After this many polls absent interfaces are looked for again in a table of this many rows."""

MOST_ROUNDS: Final = 2
"""How often a device is read again in one poll because its interfaces have moved."""


class Verifier:
    """Verifies the interfaces of one device during one reading. `news` is added to."""

    def __init__(self, device: Device, planner: Planner, ask: Ask, is_over: Callable[[], bool], news: list[News]) -> None:
        self._device = device
        self._planner = planner
        self._asker = _Asker(ask, planner, device.security.version, device.traits, is_over)
        self._news = news
        self._unproven: list[int] = []
        self._began_us = 0
        self._last_uptime_us: int | None = None  # when the sysUpTime before was read

    async def prepare(self) -> None:
        """Ask for unknown names before the counters are read, if the device is too slow for asking afterwards."""
        self._began_us = steady_us()
        device, traits = self._device, self._device.traits
        if not ((traits.riding or traits.hurried) and traits.answers):
            return
        if traits.check or any(traits.standings[i] in _UNKNOWN for i in named_of(device.if_names)):
            await self._identify(thorough=True, look=True)

    async def verify(self, progress: PollProgress, read_all: Callable[[], Awaitable[PollProgress]]) -> PollProgress:
        """After the counters are read: compare names if interfaces may have moved, or if it is time to.

        Names that are right afterwards were right when the counters were read. If some are not, all is read again.
        """
        device, traits = self._device, self._device.traits
        device.check_in -= 1
        start = self._start(progress)
        for _ in range(MOST_ROUNDS):
            changed = self._has_changed(progress)
            due = device.check_in <= 0
            plan, standings = device.plan, traits.standings
            matters = start or not plan.names  # whether counters have fallen
            fallen = matters and device.octets is not None and has_fallen(device.octets, progress)
            silent, renamed = unproven(progress, standings, device.if_names)
            if start and self._begins(start, fallen, progress):
                self._begin_anew(Restarted() if start is Start.AGAIN else Replaced())
            elif not (traits.check or changed or (start and not plan.names) or silent or renamed):
                if plan.names and due and not _is_unsettled(device):
                    device.check_in = LOOK_AGAIN_POLLS  # the names came with the counters
                    return progress
                if not due and (plan.names or not fallen):
                    return progress
            if self._asker.is_over():
                break
            begun_anew, start = traits.check and bool(start), Start.SAME
            every = changed or due or traits.check
            await self._identify(thorough=changed or traits.check or (due and has_passing(device.if_names)), look=every)
            self._learn_from(plan.if_indexes, standings, changed)
            if plan.values == device.plan.values and not begun_anew and not renamed:
                return progress
            progress = await read_all()
            if not progress.heard:
                return progress
        silent, renamed = unproven(progress, traits.standings, device.if_names)
        self._unproven = [*silent, *renamed]
        return progress

    def withheld(self, progress: PollProgress) -> dict[int, str]:
        """The interfaces whose counters are withheld, and why: it is not (or no longer) known that they are theirs."""
        device, standings = self._device, self._device.traits.standings
        if not self._unproven and not device.traits.check and CONFIRMED.issuperset(standings):
            return {}
        named = named_of(device.if_names)
        if device.traits.check:
            return dict.fromkeys(named, Reason.UNVERIFIED)
        withheld: dict[int, str] = {i: _WITHHELD[standings[i]] for i in named if standings[i] in _WITHHELD}
        for i in [i for i in withheld if standings[i] == NOTHING]:
            tags = {progress.tags[progress.slots[slot]] for slot in progress.plan.interface_slots(i)}
            has_the_column = not device.if_indexes[i] and ber.NO_SUCH_INSTANCE in tags  # then it lacks only a row of that name
            if tags.issubset((0, *ber.ABSENT)) and not has_the_column:
                del withheld[i]  # nothing to withhold: the device's own answer counts
        return withheld | dict.fromkeys(self._unproven, Reason.UNVERIFIED)

    def keep_octets(self, progress: PollProgress) -> None:
        """Keep the octet counters of this poll, to be compared with those of the next one."""
        device, before = self._device, self._device.octets
        if device.if_indexes:
            device.octets, device.octets_us = octets_of(progress, before), steady_us()
            device.octets_fell = before is not None and not progress.is_as_planned and has_fallen(before, progress)

    def _start(self, progress: PollProgress) -> Start:
        """What the device's sysUpTime shows of its start. If its counters went on since the last poll, it is the same."""
        uptime, traits = progress.uptime, self._device.traits
        if uptime is None:
            return Start.SAME
        if traits.booted_at_us is not None and traits.uptime is not None:
            self._last_uptime_us = traits.booted_at_us + traits.uptime * 10_000
        now_us = steady_us()
        ago_us = wall_us() - progress.received_us[0]  # the rest of the poll may have taken minutes
        return traits.observe_uptime(uptime, max(now_us - max(ago_us, 0), self._began_us))

    def _learn_from(self, if_indexes: tuple[int, ...], standings: bytes, changed: bool) -> None:
        """Compare the interfaces before and after they were looked up."""
        device, traits = self._device, self._device.traits
        moved = (standings, if_indexes) != (traits.standings, device.plan.if_indexes) and any(
            standing in CONFIRMED and (now not in CONFIRMED or if_indexes[i] != device.plan.if_indexes[i])
            for i, (standing, now) in enumerate(zip(standings, traits.standings, strict=True))
        )
        traits.riding |= moved and not any(isinstance(news, Restarted | Replaced) for news in self._news)
        traits.false_changes = traits.false_changes + 1 if changed and not moved else 0
        if traits.false_changes >= LAST_CHANGE_PATIENCE:
            traits.last_change = USELESS

    def _has_changed(self, progress: PollProgress) -> bool:
        """Whether interfaces have come or gone, by ifTableLastChange."""
        column, traits = progress.plan.last_change, self._device.traits
        if not column or not progress.tags[column] or traits.last_change == USELESS:
            return False
        if progress.values[column] == traits.last_change:
            traits.false_changes = 0
            return False
        return True

    def _begins(self, start: Start, fallen: bool, progress: PollProgress) -> bool:
        """Whether the device's counters have begun again, if its sysUpTime shows this of its start. `fallen`: has_fallen.

        Those of the last poll show nothing of a start within that poll if one had fallen, as some were read after it then.
        """
        octets, is_again = self._device.octets, start is Start.AGAIN
        if octets is None or (is_again and self._device.octets_fell and self._has_started_in_last_poll()):
            return is_again
        fell = fallen if is_again else has_fallen_for_sure(octets, progress, self._device.traits.widths)
        return fell or ((is_again or any(octets)) and not has_gone_on(octets, progress))

    def _has_started_in_last_poll(self) -> bool:
        """Whether the device has started between its sysUpTime of the last poll and the end of that poll."""
        at_us, after_us = self._device.traits.booted_at_us, self._last_uptime_us
        if at_us is None or after_us is None:
            return False
        return after_us - SECONDS_SLACK_US <= at_us <= self._device.octets_us + SECONDS_SLACK_US

    def _begin_anew(self, news: News) -> None:
        device = self._device
        self._news.append(news)
        device.octets, device.samples = None, {}
        device.traits.begin_anew(first_width(device.security.version))
        replan(device, self._planner, device.plan.if_indexes)

    async def _identify(self, *, thorough: bool, look: bool) -> None:
        """Find the interfaces; afterwards the device has the plan for them, and the standing of each."""
        device, traits = self._device, self._device.traits
        if not any(device.if_names):
            traits.check, device.check_in = False, LOOK_AGAIN_POLLS
            return
        interfaces = Interfaces(
            *(device.if_indexes, device.if_names, device.plan.if_indexes),
            *(traits.standings, device.samples, traits.by_if_name),
        )
        course = identify(interfaces, thorough=thorough, look=look)
        found = await _find(course, self._asker)
        self._compare(found)
        traits.check, traits.standings, device.samples = False, found.standings, found.samples
        traits.by_if_name = found.by_if_name
        if found.last_change is not None and traits.last_change != USELESS:
            traits.last_change = found.last_change
        if found.settled:
            device.failed_checks = 0
            device.check_in = LOOK_SELDOM_POLLS if found.rows > MANY_ROWS else LOOK_AGAIN_POLLS
        else:
            device.check_in = min(1 << device.failed_checks, LOOK_AGAIN_POLLS)
            device.failed_checks = min(device.failed_checks + 1, LOOK_AGAIN_POLLS)
        if device.plan.if_indexes != found.places:
            device.octets = None
        replan(device, self._planner, found.places)

    def _compare(self, found: Identities) -> None:
        """News of each interface that has moved, gone or come back."""
        device = self._device
        for i, name in enumerate(device.if_names):
            before, now = device.plan.if_indexes[i], found.places[i]
            standing, standing_before = found.standings[i], device.traits.standings[i]
            if standing == AWAY != standing_before:
                self._news.append(Gone(name, device.if_indexes[i], found.there.get(i, "")))
            elif standing == AMBIGUOUS != standing_before:
                self._news.append(Ambiguous(name, found.twins.get(i, ())))
            elif standing in CONFIRMED and now != before != 0:
                self._news.append(Moved(name, before, now))
            elif standing in CONFIRMED and standing_before in (AWAY, AMBIGUOUS, NOTHING):
                self._news.append(Back(name, now))
                device.traits.not_by_next = frozenset()  # so that none of its counters is left out (apart.py)


_WITHHELD: Final = {
    UNCHECKED: Reason.UNVERIFIED,
    DOUBTED: Reason.UNVERIFIED,
    AWAY: Reason.INTERFACE_AWAY,
    AMBIGUOUS: Reason.INTERFACE_AMBIGUOUS,
    NOTHING: Reason.INTERFACE_AWAY,
}


_UNKNOWN: Final = (UNCHECKED, DOUBTED)


def _is_unsettled(device: Device) -> bool:
    """Whether there is more to check than the names at their old indexes."""
    standings = device.traits.standings
    return has_passing(device.if_names) or any(standings[i] in _WITHHELD for i in named_of(device.if_names))


async def _find(course: Course, asker: "_Asker") -> Identities:
    """The result of `course`."""
    found: Values | Rows | None = None
    while True:
        try:
            question = next(course) if found is None else course.send(found)
        except StopIteration as end:
            identities: Identities = end.value
            return identities
        found = await (asker.get(question) if isinstance(question, Get) else asker.walk(question))


class _Asker:
    """Asks the questions of identity.py. `is_over`: whether the time is over; the rest then stays unknown."""

    def __init__(self, ask: Ask, planner: Planner, version: Version, traits: Traits, is_over: Callable[[], bool]) -> None:
        self._ask = ask
        self._planner = planner
        self._version = version
        self._traits = traits
        self.is_over = is_over

    async def get(self, question: Get) -> Values:
        traits = self._traits
        question_columns = range(1, 1 + len(question.names))  # behind sysUpTime
        progress = PollProgress(self._planner.plan(question.names, (), b"", min(traits.max_varbinds, NAMES_AT_ONCE)), traits)
        sizes, resume = traits.sizes, traits.resume
        lost = 0
        while (ask := progress.next_ask()) is not None:
            if self.is_over() or lost > MOST_LOST:
                progress.stop(Reason.DEADLINE if lost <= MOST_LOST else Reason.TIMEOUT)
                break
            answer = await self._ask(ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                lost += 1
            elif any(column in question_columns for column in ask.columns):
                lost = 0
            progress.take(ask, answer)
        traits.resume = resume  # it is that of the values
        if not any(progress.tags[column] for column in question_columns):
            traits.sizes = sizes  # the size is not the reason for the silence
        found: dict[bytes, tuple[int, Value]] = {}
        for column, name in enumerate(progress.names):
            if progress.tags[column]:
                found[name] = (progress.tags[column], progress.values[column])
            elif progress.failures.get(column) == Reason.NO_SUCH_NAME:
                found[name] = (ber.NO_SUCH_INSTANCE, None)
        return found

    async def walk(self, question: Walk) -> Rows:
        traits = self._traits
        course = WalkCourse(question.column, self._version, bulk=traits.bulk, most_rows=MOST_ROWS)
        rows: list[Varbind] = []
        while (request := course.next_request()) is not None:
            if self.is_over():
                return Rows(rows, complete=False)
            rows += course.take(await self._ask(request, ATTEMPTS))
        if self._version is not Version.V1 and course.end is WalkEnd.COMPLETE:
            traits.bulk = course.bulk
        return Rows(rows, course.end is WalkEnd.COMPLETE, course.silent)


def boot_clock() -> BootClock:
    """What the clock is now by which it is known when devices have started, compared with others."""
    return BootClock(_boot(), wall_us() - steady_us())


def _boot() -> bytes:
    try:
        return bytes.fromhex(BOOT_ID.read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):  # hidden from the service, as by systemd's ProcSubset=pid
        return b""
