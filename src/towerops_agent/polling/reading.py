"""Read one device once, for the doctor, and for the fleet as a poll: with a log line for each finding, missing values counted.

Device -> its address -> requests, up to four under way -> Reading. It ends by itself, at its deadline at the latest; failures
are in its result. Learned values stay in the device's traits. I/O: names, SNMP, the wall clock. Times in seconds.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device, replan
from towerops_agent.polling.course.interpret import interpret, lacking_items
from towerops_agent.polling.course.news import (
    Ambiguous,
    AnswersElsewhere,
    Back,
    ByNext,
    Gone,
    Moved,
    News,
    OddReplies,
    Paced,
    Replaced,
    Restarted,
    WorksAt,
)
from towerops_agent.polling.course.plan import Ask, Planner
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.spacing import Spacing, unanswered
from towerops_agent.polling.course.traits import ATTEMPTS
from towerops_agent.polling.interfaces import Verifier
from towerops_agent.reasons import Reason
from towerops_agent.snmp.session import Session, TogetherAsker
from towerops_agent.snmp.wire.ber import Oid, format_oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer, Reply
from towerops_agent.snmp.wire.message import Community, Request
from towerops_agent.snmp.wire.oddities import Oddity

log = structlog.get_logger()

RESOLVE_AGAIN_S: Final = 300.0
RESOLVE_WITHIN_S: Final = 5.0

A_DAY_S: Final = 86_400.0
SHOWN_ITEMS: Final = 3


class DeviceAsker(TogetherAsker, Protocol):
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
        self._client = client
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
        self._answered: tuple[float, float] | None = None  # when the last answered attempt was sent, and its answer arrived
        self._vain: list[float] = []  # when attempts were sent that were not answered since
        self._deadline = 0.0
        self._detail = ""
        self._rtt_s: float | None = None

    async def run(self, within_s: float) -> Reading:
        started_at_us = time.time_ns() // 1000
        self._deadline = asyncio.get_running_loop().time() + within_s
        device, traits = self._device, self._device.traits
        learned = (traits.widths, traits.max_varbinds, traits.riding, traits.hurried)
        by_next = (traits.by_next, traits.next_only)
        verifier = Verifier(device, self._planner, self._ask, self._is_over, self._news)
        await verifier.prepare()
        progress = await self._read_all()
        withheld: dict[int, str] = {}
        if progress.heard:
            progress = await verifier.verify(progress, self._read_all)
            withheld = verifier.withheld(progress)
            verifier.keep_octets(progress)
        progress.finish()
        if (traits.by_next, traits.next_only) != by_next:
            self._news.append(ByNext(0 if traits.next_only else len(traits.by_next)))
        if (traits.widths, traits.max_varbinds, traits.riding, traits.hurried) != learned:
            replan(device, self._planner, device.plan.if_indexes)
        interpretation = interpret(progress, device.layout, started_at_us, withheld, traits.units, device.skips)
        if interpretation.units != traits.units:
            traits.units = self._planner.shared_units(interpretation.units)
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
        device, traits = self._device, self._device.traits
        progress = PollProgress(device.plan, traits)
        if traits.apart:
            progress.leave_out()
        while True:
            if self._may_ask_together(progress) and not self._is_over() and (asks := progress.next_together()):
                await self._ask_together(progress, asks)
                continue
            if (ask := progress.next_ask()) is None:
                break
            if self._is_over():
                progress.stop(Reason.DEADLINE if progress.heard else Reason.TIMEOUT)
                break
            if progress.is_verifying and not ask.by_next and self._is_over(2 * sum(self._timeouts_s or traits.timeouts_s(1))):
                break  # a GET in vain shows nothing without the GETNEXT behind it
            answer = await self._ask(ask.request, ask.attempts)
            if isinstance(answer, NoReply):
                self._detail = answer.detail
                self._lost.append(len(ask.columns))
            elif self._rtt_s is None:
                self._rtt_s = answer.rtt_s
            progress.take(ask, answer)
        traits.hurried |= Reason.DEADLINE in progress.failures.values()
        progress.settle()
        return progress

    def _may_ask_together(self, progress: PollProgress) -> bool:
        """Whether several requests may be under way: over UDP, with nothing lost so far.

        Over SNMPv3 the keys are to be there, and a first answer: the engine may have started again.
        """
        if self._timeouts_s or self._vain or self._session.over_tcp:
            return False
        return self._oddities is not None or (progress.heard and not self._device.security.wants_keys)

    async def _ask_together(self, progress: PollProgress, asks: Sequence[Ask]) -> None:
        """Ask these, and what follows from their answers as long as several requests may be under way."""
        session, now_s = self._session, asyncio.get_running_loop().time
        began_s = now_s()

        def take(answers: list[Answer]) -> list[Request]:
            nonlocal asks, began_s
            heard = [answer.rtt_s for answer in answers if isinstance(answer, Reply)]
            if heard:
                self._answered = began_s, began_s + max(heard)
                self._rtt_s = heard[0] if self._rtt_s is None else self._rtt_s
            progress.take_together(asks, answers)
            began_s = now_s()
            asks = progress.next_together() if began_s < self._deadline else ()
            return [ask.request for ask in asks]

        odd_before = self._odd
        requests, timeouts_s = [ask.request for ask in asks], self._device.traits.timeouts_s()
        await self._client.ask_together(session.peer, session.security, requests, timeouts_s, take, from_any=session.from_any)
        self._note_odd(odd_before)

    def _is_over(self, in_s: float = 0.0) -> bool:
        return asyncio.get_running_loop().time() + in_s >= self._deadline

    async def _ask(self, request: Request, attempts: int = ATTEMPTS) -> Answer:
        traits, session = self._device.traits, self._session
        odd_before = self._odd
        timeouts_s = self._timeouts_s or traits.timeouts_s(attempts)
        now_s = asyncio.get_running_loop().time()
        if traits.spacing is not None:
            wait_s, timeouts_s = traits.spacing.schedule(now_s, timeouts_s)
            if now_s + max(wait_s, timeouts_s[0] if len(timeouts_s) > 1 and not wait_s else 0.0) > self._deadline:
                self._deadline = now_s
                return NoReply(Reason.DEADLINE, 0)
            await asyncio.sleep(wait_s)
            now_s += wait_s
        answer = await session.ask(request, timeouts_s)
        if not session.over_tcp:
            self._space(now_s, timeouts_s, answer)
        if session.peer != self._device.peer:
            self._device.peer = session.peer
            self._news.append(WorksAt(session.peer[0]))
        if session.answers_from is not None and not traits.any_address:
            traits.any_address = True
            self._news.append(AnswersElsewhere(session.answers_from[0]))
        self._note_odd(odd_before)
        return answer

    @property
    def _odd(self) -> frozenset[Oddity]:
        """What is odd about its replies, and accepted."""
        return frozenset() if self._oddities is None else self._oddities.accepted

    def _note_odd(self, before: frozenset[Oddity]) -> None:
        """Note what has been accepted since it was `before`."""
        if self._odd is not before:
            self._news += map(OddReplies, sorted(self._odd - before))

    def _space(self, began_s: float, timeouts_s: Sequence[float], answer: Answer) -> None:
        """Note whether the device answered the attempts of a request, and when: it may want them further apart."""
        if isinstance(answer, NoReply):
            self._vain += unanswered(began_s, timeouts_s)
            return
        traits, heard_s = self._device.traits, answer.arrived_s
        if heard_s is None:
            heard_s = asyncio.get_running_loop().time()
        sent_s = heard_s - answer.rtt_s
        spacing, before, same = traits.spacing, self._answered, not self._vain
        self._answered = sent_s, heard_s
        if sent_s - began_s >= timeouts_s[0] / 2 or self._vain or spacing is not None:
            vain, self._vain = self._vain + unanswered(began_s, timeouts_s, sent_s), []
            if spacing is None:
                traits.spacing = None if before is None else Spacing.suspect(before, vain, sent_s, heard_s, same=same)
                return
            was_likely, was_certain = traits.is_paced, spacing.is_certain
            if not spacing.note(vain, sent_s, heard_s, same=same):
                traits.spacing = None
            elif traits.is_paced and not was_likely:
                traits.restore_size()
            if was_certain != (traits.spacing is not None and spacing.is_certain):
                self._news.append(Paced(None if was_certain else round(spacing.gap_s, 2)))


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll: a Reading, with the missing values counted by reason.

    `answers_ping`: whether a device that was silent over SNMP answers ping; None if it was not asked. `is_known`: False if it
    could not be asked at all, so that nothing is known of it; `silence` then is an Unsent. `restarted`: the device has.
    """

    poll: Poll | None
    missing: Counter[str] = field(default_factory=Counter)
    silence: str = ""
    detail: str = ""
    rtt_s: float | None = None
    answers_ping: bool | None = None
    is_known: bool = True
    restarted: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether the device has answered in any way."""
        return self.is_known and (not self.silence or self.answers_ping is True)


class Poller:
    """Polls devices, any number at once."""

    def __init__(self, client: DeviceAsker, planner: Planner) -> None:
        self._reader = Reader(client, planner)

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Read `device` once, as Reader.read does."""
        reading = await self._reader.read(device, within_s)
        for news in reading.news:
            _log(device, news)
        if reading.poll is not None:
            _log_lack(device, reading.missing, asyncio.get_running_loop().time())
        missing, restarted = Counter(reading.missing.values()), any(isinstance(one, Restarted) for one in reading.news)
        return PollResult(reading.poll, missing, reading.silence, reading.detail, reading.rtt_s, restarted=restarted)


def _log_lack(device: Device, missing: Mapping[int, str], now_s: float) -> None:
    """Log once a day which sensors and interfaces have been missing from each poll of that day."""
    lacking = lacking_items(device.plan, missing)
    still = lacking & device.lacking
    if still and now_s - device.lacking_since_s < A_DAY_S:
        device.lacking = still
        return
    if still:
        items = [i for i in range(still.bit_length()) if still >> i & 1]
        count = device.plan.sensor_count
        first = [f"sensor {format_oid(device.plan.sensors[i])}" for i in items if i < count]
        first += [f"interface {device.if_names[i - count] or device.if_indexes[i - count]}" for i in items if i >= count]
        log.warning(
            "sensors or interfaces have been missing for a day",
            device=device.name,
            address=device.address,
            sensors=sum(i < count for i in items),
            interfaces=sum(i >= count for i in items),
            first=", ".join(first[:SHOWN_ITEMS]),
            reasons=", ".join(sorted({missing[i if i < count else device.plan.interface_slots(i - count).start] for i in items})),
        )
    device.lacking, device.lacking_since_s = lacking, now_s


def _log(device: Device, news: News) -> None:
    line = log.bind(device=device.name, address=device.address)
    match news:
        case AnswersElsewhere(address):
            line.warning("device answers from another address than it is asked at, accepted from now on", answers_from=address)
        case WorksAt(address):
            line.info("device answers at another address of its name, asked there from now on", answers_at=address)
        case OddReplies(oddity):
            line.warning("device's replies are odd, accepted from now on", oddity=oddity, text=f"it {oddity.text}")
        case Paced(None):
            line.info("device no longer drops requests that come soon")
        case Paced(gap_s):
            line.warning("device drops requests that come too soon, asked at its pace from now on", gap_s=gap_s)
        case ByNext(oids):
            line.warning("device gives by GETNEXT what it denies by GET, asked that way from now on", oids=oids or "all")
        case Restarted():
            line.info("device has restarted, its interfaces are looked up again")
        case Replaced():
            line.warning("device's counters and sysUpTime are neither as before nor of a restart since, it may be another device")
        case Gone(name, if_index, there):
            line.warning("interface is gone, left out until it is back", if_name=name, if_index=if_index, named_there=there)
        case Ambiguous(name, if_indexes):
            line.warning("several interfaces have this name, left out until one stands out", if_name=name, if_indexes=if_indexes)
        case Moved(name, before, now):
            line.warning("interface has moved, read at its new index", if_name=name, if_index_before=before, if_index=now)
        case Back(name, if_index):
            line.info("interface is back", if_name=name, if_index=if_index)
