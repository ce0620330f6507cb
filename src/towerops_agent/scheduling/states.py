"""Whether the devices that are polled here are up: asked in each way that they have, by SNMP, by ping, or both; and what follows.

Fleet -> ReachPoller -> Poller (SNMP), Echoes (ping) -> result: a device is down only if neither is answered.
Fleet -> result -> States -> Device.state, log, diary, buffer.
I/O: through these. Times in microseconds since 1970 (`_us`), or on the steady clock; seconds on the loop's (`_s`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from towerops_agent.buffer.format.event import NOT_KEPT, Event, EventKind
from towerops_agent.model import NOT_POLLED, DeviceState, Poll, State, next_state, poll_of_state
from towerops_agent.ping.sockets import NotSent
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.reading import PollResult
from towerops_agent.reasons import Reason
from towerops_agent.scheduling.echoes import CHECK_WAIT_S, Echoes
from towerops_agent.snmp.icmp_errors import NO_WAY_THERE

log = structlog.get_logger()

HELD_POLLS: Final = 3
"""After how many silent polls a device is down for sure, whatever else is silent."""


class DevicePoller(Protocol):
    """What polls a device once: a Poller, a ReachPoller."""

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """As Poller.poll."""


_NO_SNMP: Final = PollResult(None)


class ReachPoller:
    """Polls devices, any number at once."""

    def __init__(self, poller: DevicePoller, echoes: Echoes) -> None:
        self._poller = poller
        self._echoes = echoes

    async def poll(self, device: Device, within_s: float) -> PollResult:
        """Poll `device` once. If it has no SNMP, or is silent over SNMP, and is to be pinged: does it answer ping?"""
        began_s = asyncio.get_running_loop().time()
        if not device.has_snmp:
            return await self._by_ping(device, began_s)
        result = await self._poller.poll(device, within_s)
        if device.ping is None or result.silence in ("", Reason.UNRESOLVED):
            return result
        answers = await self._echoes.answers(device, began_s)
        if isinstance(answers, NotSent):
            return result
        if answers and result.detail in NO_WAY_THERE:
            result = replace(result, silence=Reason.TIMEOUT, detail="")
        return replace(result, answers_ping=answers)

    async def _by_ping(self, device: Device, began_s: float) -> PollResult:
        gap_s = 0.0 if device.ping is None else min(device.ping.interval_s / device.ping.count, device.interval_s)
        answers = await self._echoes.answers(device, began_s - gap_s - CHECK_WAIT_S)
        if isinstance(answers, NotSent):
            return PollResult(None, silence=answers.reason, detail=answers.detail, is_known=False)
        return _NO_SNMP if answers else PollResult(None, silence=Reason.TIMEOUT)


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time on the wall clock, and on the steady one."""

    us: int
    steady_us: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A silent device that may not be down. `result`, `at`: of its first silent poll; `polls`: how many there were."""

    device: Device
    result: PollResult
    at: _Moment
    polls: int


class States:
    """What each poll's result says of its device."""

    def __init__(
        self,
        store: Callable[[Poll], None],
        *,
        now_us: Callable[[], int],
        steady_us: Callable[[], int] | None = None,
        changed: Callable[[], None],
        note: Callable[[Event], None],
        doubts: Callable[[], bool],
    ) -> None:
        """`store`, `now_us`, `steady_us`, `changed` and `note`: as Fleet's. `doubts`: as Ownership.doubts."""
        self._store = store
        self._now_us = now_us
        self._steady_us = steady_us or now_us
        self._changed = changed
        self._note = note
        self._doubts = doubts
        self._noted: dict[str, State] = {}  # as it was last noted, but for devices that are up and whose polls show that
        self._answering: dict[str, bool] = {}  # of those polled here, whether the last poll was answered
        self._held: dict[str, _Held] = {}

    @property
    def ahead_us(self) -> int:
        """How far the wall clock is ahead of the one that DeviceState.since_us is of."""
        return self._now_us() - self._steady_us()

    @property
    def answering(self) -> tuple[int, int]:
        """How many of the devices that are polled here have answered last, and how many were silent."""
        up = sum(self._answering.values())
        return up, len(self._answering) - up

    def forget(self, device_id: str) -> None:
        """Note that the device of this id is no longer polled here."""
        self._answering.pop(device_id, None)
        self._held.pop(device_id, None)
        if self._noted.pop(device_id, None):
            self._note(Event(self._now_us(), EventKind.STATE, device_id, NOT_POLLED))

    def take_unknown(self, device: Device, why: str = "") -> None:
        """Take a result from which nothing is known: what was known of the device no longer counts. `why`: it is so."""
        device.state, device.detail = None, why
        self.forget(device.id)

    def take(self, device: Device, result: PollResult, *, is_polled: bool) -> None:
        """Take the result of a poll that has just ended. `is_polled`: whether the device is still polled here.

        If not, it is its last one: nothing is noted of it, as nothing would be of its recovery.
        """
        if is_polled:
            self._answering[device.id] = result.is_heard
            if self._hold(device, result):
                return
        elif not result.is_heard and self._doubts():
            return  # it is not known whether it is down, and no later poll will show it
        self._settle(device, result, self._now(), is_polled=is_polled)

    def _hold(self, device: Device, result: PollResult) -> bool:
        """Whether it is not known yet that a silent device is down, as this agent may reach none of them.

        It is once another device answers, or after its third silent poll.
        """
        if result.is_heard:
            for held in self._held.values():
                self._settle(held.device, held.result, held.at)
            self._held.clear()
            return False
        before = self._held.pop(device.id, None)
        is_down = device.state is not None and device.state.state is State.DOWN
        if is_down or not self._doubts() or (before is not None and before.polls >= HELD_POLLS - 1):
            if before is not None:
                self._settle(before.device, before.result, before.at)
            return False
        if before is None:
            self._held[device.id] = _Held(device, result, self._now(), 1)
        else:
            self._held[device.id] = replace(before, polls=before.polls + 1)
        return True

    def _now(self) -> _Moment:
        return _Moment(self._now_us(), self._steady_us())

    def _settle(self, device: Device, result: PollResult, at: _Moment, *, is_polled: bool = True) -> None:
        """The state of `device` after a poll that ended at this time."""
        before = device.state
        answers_ping = result.answers_ping is True
        device.state = next_state(before, result.silence, result.missing, at.steady_us, answers_ping=answers_ping)
        lacked = device.lacks
        device.lacks = () if result.poll is None else tuple(sorted(result.missing.items()))  # a silent device lacks all
        device.detail = result.detail
        if device.state_layout is not None:
            self._store(poll_of_state(device.state, device.state_layout, at.us, result.rtt_s))
            if before is not None and before.state is not device.state.state:
                self._changed()
        if not is_polled:
            return
        if before is None or (before.state, before.reason) != (device.state.state, device.state.reason):
            self._tell(device, before, device.state, result)
        elif result.restarted and before.state is State.UP and device.lacks not in ((), lacked):
            self._tell(device, None, device.state, result)  # another one may stand there now: what it lacks is as new as it is
        self._note_changes(device, device.state, at.us, result)

    def _note_changes(self, device: Device, now: DeviceState, at_us: int, result: PollResult) -> None:
        """Note what is not as it was noted last; a device of which nothing was noted is up, as its polls show."""
        if result.restarted:
            self._note(Event(at_us, EventKind.RESTART, device.id))
        shows = now.state is not State.UP or _is_kept(device, result)
        if now.state is self._noted.get(device.id, State.UP if shows else None):
            return
        if now.state is State.UP and shows:
            del self._noted[device.id]
        else:
            self._noted[device.id] = now.state
        self._note(Event(at_us, EventKind.STATE, device.id, now.state.value, now.reason if shows else NOT_KEPT))

    def _tell(self, device: Device, before: DeviceState | None, now: DeviceState, result: PollResult) -> None:
        """Log one line when a device's state changes, or the reason why it is down."""
        tell = log.bind(device=device.name, address=device.address)
        missing = {f"missing_{reason}": n for reason, n in sorted(result.missing.items())}
        changed = before is None or before.state is not now.state
        detail = {"detail": result.detail} if result.detail else {}
        if now.state is State.DOWN:
            tell.warning("device does not answer, will be probed once each interval", reason=now.reason, **detail)
        elif now.state is State.DEGRADED and result.silence:
            tell.warning("device answers ping, not SNMP", reason=result.silence, **detail)
        elif now.state is State.DEGRADED:
            if changed:
                tell.warning("device answers in part", reason=now.reason, **missing)
        elif before is None and missing:
            tell.info("device answers, but lacks some configured readings", **missing)
        elif before is None:
            tell.debug("device answers")
        elif changed:
            tell.info("device has recovered", after=before.state, reason_before=before.reason, **missing)


def _is_kept(device: Device, result: PollResult) -> bool:
    """Whether what a device answered is stored: its readings, or of one that is only pinged its rounds."""
    if not device.has_snmp:
        return device.ping_layout is not None
    return result.poll is not None and result.poll.metric_count > 0
