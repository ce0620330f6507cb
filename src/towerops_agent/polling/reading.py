"""Read one device once: the I/O around progress.py and identity.py, for the poller and for the doctor.

Device -> its address -> requests, one in flight -> Reading. It ends by itself, at its deadline at the latest; failures
are in its result. Learned values stay in the device's traits. I/O: names, SNMP, the wall clock. Times in seconds.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device, first_width, replan
from towerops_agent.polling.course.evidence import folded, has_fallen, has_gone_on, has_passing, is_name, named_of, octets_of
from towerops_agent.polling.course.identity import Identities, Interfaces, identify
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.news import (
    Ambiguous,
    AnswersElsewhere,
    Back,
    Gone,
    Moved,
    News,
    OddReplies,
    Restarted,
    WorksAt,
)
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.progress import ABSENT, PollProgress
from towerops_agent.polling.course.traits import (
    AMBIGUOUS,
    ATTEMPTS,
    AWAY,
    CONFIRMED,
    DOUBTED,
    LAST_CHANGE_PATIENCE,
    NOTHING,
    UNCHECKED,
    USELESS,
)
from towerops_agent.polling.interfaces import find
from towerops_agent.reasons import Reason
from towerops_agent.snmp.session import Asker, Session
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer
from towerops_agent.snmp.wire.message import Community, Request
from towerops_agent.snmp.wire.oid import Oid

RESOLVE_AGAIN_S: Final = 300.0
RESOLVE_WITHIN_S: Final = 5.0

LOOK_AGAIN_POLLS: Final = 10
"""After this many polls absent interfaces are looked for, and the names of the others are compared again."""

MANY_ROWS: Final = 1000
LOOK_SELDOM_POLLS: Final = 60
"""After this many polls absent interfaces are looked for again in a table of this many rows."""

MOST_ROUNDS: Final = 2
"""How often a device is read again in one poll because its interfaces have moved."""


class DeviceAsker(Asker, Protocol):
    """The part of SnmpClient that a reading needs."""

    async def resolve(self, host: str, port: int) -> list[Peer]:
        """As SnmpClient.resolve."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a device once.

    `poll`: the readings; None if the device did not answer at all. `silence`: then why: timeout, unreachable, unresolved, …
    `detail`: the system's message, if there is one. `missing`: why a value is missing, by its index in the poll's values.
    `rtt_s`: the round trip of its first answer. `news`: the findings about the device, in order.
    `lost`: how many varbinds each unanswered request had. `answered`: the OIDs that were answered.
    """

    poll: Poll | None
    missing: Mapping[int, str]
    silence: str = ""
    detail: str = ""
    rtt_s: float | None = None
    news: Sequence[News] = ()
    lost: Sequence[int] = ()
    progress: PollProgress | None = field(default=None, repr=False)

    @property
    def answered(self) -> list[Oid]:
        """The OIDs that were answered, in the order of the plan."""
        progress = self.progress
        return [] if progress is None else [name for name, tag in zip(progress.names, progress.tags, strict=True) if tag]

    @property
    def refusal(self) -> str:
        """The device's answer instead of its sysUpTime, "" if it sent it."""
        return "" if self.progress is None else self.progress.failures.get(0, "")


class Reader:
    """Reads devices, any number at once."""

    def __init__(self, client: DeviceAsker, planner: Planner) -> None:
        self._client = client
        self._planner = planner

    async def read(self, device: Device, within_s: float, timeouts_s: Sequence[float] | None = None) -> Reading:
        """Read `device` once, for at most about `within_s` seconds once its name is resolved.

        It still waits for a request under way then. `timeouts_s`: how long attempts wait, in place of the learned timeouts.
        """
        try:
            await self._resolve(device)
        except OSError as error:
            device.traits.answers = False
            missing = dict.fromkeys(range(len(device.plan.slots)), Reason.UNRESOLVED)
            return Reading(None, missing, silence=Reason.UNRESOLVED, detail=error.strerror or str(error))
        return await _Course(self._client, self._planner, device, timeouts_s).run(within_s)

    async def _resolve(self, device: Device) -> None:
        """Have the device's socket address in `peer`; a name is resolved again after a while, or when the device is silent.

        Of several addresses it is the one that worked so far, else the first.
        """
        now = asyncio.get_running_loop().time()
        stale = now - device.resolved_at > RESOLVE_AGAIN_S or not device.traits.answers
        if device.peer is None or stale:
            try:
                async with asyncio.timeout(RESOLVE_WITHIN_S):
                    peers = await self._client.resolve(device.host, device.port)
                device.peers = tuple(peers) if len(peers) > 1 else ()
                if device.peer not in peers:
                    device.peer = peers[0]
            except OSError:  # TimeoutError is one
                if device.peer is None:
                    raise
            device.resolved_at = now


class _Course:
    """One reading under way, of a device whose address is known."""

    def __init__(self, client: DeviceAsker, planner: Planner, device: Device, timeouts_s: Sequence[float] | None) -> None:
        assert device.peer is not None  # noqa: S101 - the Reader has set it
        self._planner = planner
        self._device = device
        self._timeouts_s = timeouts_s
        self._session = Session(
            client,
            device.peer,
            device.security,
            others=[peer for peer in device.peers if peer != device.peer],
            over_tcp=device.over_tcp,
            from_any=device.traits.any_address,
        )
        self._oddities = device.security.oddities if isinstance(device.security, Community) else None
        self._news: list[News] = []
        self._lost: list[int] = []
        self._deadline = 0.0
        self._detail = ""
        self._rtt_s: float | None = None

    async def run(self, within_s: float) -> Reading:
        started_at_us = time.time_ns() // 1000
        self._deadline = asyncio.get_running_loop().time() + within_s
        device, traits = self._device, self._device.traits
        learned = (traits.widths, traits.max_varbinds)
        progress = await self._read_all()
        withheld: dict[int, str] = {}
        if progress.heard:
            progress = await self._verify(progress)
            withheld = _withheld(device, progress)
            device.octets = octets_of(progress, device.octets) if device.if_indexes else None
        progress.finish()
        if (traits.widths, traits.max_varbinds) != learned:
            replan(device, self._planner, device.plan.if_indexes)
        interpretation = interpret(progress, device.layout, started_at_us, withheld, traits.units)
        if interpretation.units != traits.units:
            traits.units = self._planner.names(interpretation.units)
        silence = "" if progress.heard else progress.failures.get(0, Reason.TIMEOUT)
        return Reading(
            interpretation.poll if progress.heard else None,
            interpretation.missing,
            silence,
            self._detail if silence else "",
            self._rtt_s,
            self._news,
            self._lost,
            progress,
        )

    async def _read_all(self) -> PollProgress:
        """Read everything in the device's plan."""
        device = self._device
        progress = PollProgress(device.plan, device.traits)
        while (ask := progress.next_ask()) is not None:
            if self._is_over():
                progress.stop(Reason.DEADLINE if progress.heard else Reason.TIMEOUT)
                break
            answer = await self._ask(ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                self._detail = answer.detail
                self._lost.append(len(ask.columns))
            elif self._rtt_s is None:
                self._rtt_s = answer.rtt_s
            progress.take(ask, answer)
        progress.settle()
        return progress

    def _is_over(self) -> bool:
        return asyncio.get_running_loop().time() >= self._deadline

    async def _ask(self, request: Request, attempts: int = ATTEMPTS) -> Answer:
        traits, session = self._device.traits, self._session
        oddities = self._oddities
        odd_before = None if oddities is None else oddities.accepted
        answer = await session.ask(request, self._timeouts_s or traits.timeouts_s(attempts))
        if session.peer != self._device.peer:
            self._device.peer = session.peer
            self._news.append(WorksAt(session.peer[0]))
        if session.answers_from is not None and not traits.any_address:
            traits.any_address = True
            self._news.append(AnswersElsewhere(session.answers_from[0]))
        if oddities is not None and odd_before is not None and oddities.accepted is not odd_before:
            self._news += map(OddReplies, sorted(oddities.accepted - odd_before))
        return answer

    # Which interface is which

    async def _verify(self, progress: PollProgress) -> PollProgress:
        """After the counters are read: compare names if interfaces may have moved, or if it is time to.

        Names that are right afterwards were right when the counters were read. If some are not, all is read again.
        """
        device, traits = self._device, self._device.traits
        device.check_in -= 1
        restarts = self._seems_to_restart(progress)
        for _ in range(MOST_ROUNDS):
            fallen = device.octets is not None and has_fallen(device.octets, progress)
            changed = self._has_changed(progress)
            due = device.check_in <= 0
            plan, marks = device.plan, traits.marks
            if restarts and (device.octets is None or fallen or not has_gone_on(device.octets, progress)):
                self._restart()
            elif not (traits.check or changed or restarts or _misnamed(device, progress)):
                if plan.names and due and not _is_unsettled(device):
                    device.check_in = LOOK_AGAIN_POLLS  # the names came with the counters
                    return progress
                if not due and (plan.names or not fallen):
                    return progress
            begun_anew, restarts = traits.check and restarts, False
            every = changed or due or traits.check
            await self._identify(thorough=changed or traits.check or (due and has_passing(device.if_names)), look=every)
            self._learn_from(plan.if_indexes, marks, changed)
            if plan.values == device.plan.values and not begun_anew:
                return progress
            progress = await self._read_all()
            if not progress.heard:
                break
        return progress

    def _seems_to_restart(self, progress: PollProgress) -> bool:
        """Whether the device's sysUpTime shows that it has restarted. If its counters went on since the last poll, it has not."""
        uptime = progress.uptime
        return uptime is not None and self._device.traits.observe_uptime(uptime, _steady_us())

    def _learn_from(self, if_indexes: tuple[int, ...], marks: bytes, changed: bool) -> None:
        """Compare the interfaces before and after they were looked up."""
        device, traits = self._device, self._device.traits
        moved = (marks, if_indexes) != (traits.marks, device.plan.if_indexes) and any(
            mark in CONFIRMED and (now not in CONFIRMED or if_indexes[i] != device.plan.if_indexes[i])
            for i, (mark, now) in enumerate(zip(marks, traits.marks, strict=True))
        )
        traits.restless |= moved and not any(isinstance(news, Restarted) for news in self._news)
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

    def _restart(self) -> None:
        device = self._device
        self._news.append(Restarted())
        device.octets, device.samples = None, {}
        device.traits.begin_anew(first_width(device.security.version))
        replan(device, self._planner, device.plan.if_indexes)

    async def _identify(self, *, thorough: bool, look: bool) -> None:
        """Find the interfaces; afterwards the device has the plan for them, and marks for the unknown ones."""
        device, traits = self._device, self._device.traits
        if not any(device.if_names):
            traits.check, device.check_in = False, LOOK_AGAIN_POLLS
            return
        interfaces = Interfaces(device.if_indexes, device.if_names, device.plan.if_indexes, traits.marks, device.samples)
        course = identify(interfaces, thorough=thorough, look=look)
        found = await find(course, self._ask, device.security.version, traits, self._is_over)
        self._compare(found)
        traits.check, traits.marks, device.samples = False, found.marks, found.samples
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
            mark, mark_before = found.marks[i], device.traits.marks[i]
            if mark == AWAY != mark_before:
                self._news.append(Gone(name, device.if_indexes[i], found.there.get(i, "")))
            elif mark == AMBIGUOUS != mark_before:
                self._news.append(Ambiguous(name, found.twins.get(i, ())))
            elif mark in CONFIRMED and now != before:
                self._news.append(Moved(name, before, now))
            elif mark in CONFIRMED and mark_before in (AWAY, AMBIGUOUS, NOTHING):
                self._news.append(Back(name, now))


def _misnamed(device: Device, progress: PollProgress) -> list[int]:
    """The interfaces whose counters did not arrive together with their name."""
    plan = progress.plan
    misnamed = []
    for i, column in enumerate(plan.names):
        if column and device.traits.marks[i] in CONFIRMED:
            with_name = is_name(progress.tags[column], progress.values[column], folded(device.if_names[i]))
            last_us = max(progress.received_us[progress.slots[slot]] for slot in plan.interface_slots(i))
            if not with_name or progress.received_us[column] < last_us:
                misnamed.append(i)
    return misnamed


_WITHHELD: Final = {
    UNCHECKED: Reason.UNVERIFIED,
    DOUBTED: Reason.UNVERIFIED,
    AWAY: Reason.INTERFACE_AWAY,
    AMBIGUOUS: Reason.INTERFACE_AMBIGUOUS,
    NOTHING: Reason.INTERFACE_AWAY,
}


def _withheld(device: Device, progress: PollProgress) -> dict[int, str]:
    """The interfaces whose counters are withheld, and why: it is not (or no longer) known that they are theirs."""
    named = named_of(device.if_names)
    if device.traits.check:
        return dict.fromkeys(named, Reason.UNVERIFIED)
    marks = device.traits.marks
    withheld: dict[int, str] = {i: _WITHHELD[marks[i]] for i in named if marks[i] in _WITHHELD}
    for i in [i for i in withheld if marks[i] == NOTHING]:
        if all(progress.tags[progress.slots[slot]] in (0, *ABSENT) for slot in progress.plan.interface_slots(i)):
            del withheld[i]  # nothing to withhold: the device's own answer counts
    for i in _misnamed(device, progress):
        withheld[i] = Reason.UNVERIFIED
    return withheld


def _is_unsettled(device: Device) -> bool:
    """Whether there is more to check than the names at their old indexes."""
    marks = device.traits.marks
    return has_passing(device.if_names) or any(marks[i] in _WITHHELD for i in named_of(device.if_names))


_OFFSET_NS: Final = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _steady_us() -> int:
    """The wall clock as it was at our start, carried on by a clock that nobody sets."""
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) + _OFFSET_NS) // 1000
