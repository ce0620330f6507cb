"""Watches the agent's parts: a Snapshot for whoever asks (live.py), and each ten minutes one for the database.

No part knows that it is there. It reads them, and the marks of the agent's loops (marks.py).
"""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from towerops_agent import __version__
from towerops_agent.api.wire.outcomes import Availability, Certificate
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.delivery import Delivery
from towerops_agent.errors import BufferFailure
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.telemetry.marks import DATABASE_WITHIN_S, Marks
from towerops_agent.telemetry.views.group import GroupView, MemberView, group_remarks
from towerops_agent.telemetry.views.health import BUGS_WITHIN_S, Vitals
from towerops_agent.telemetry.views.snapshot import (
    DEVICES_KEY,
    KEY,
    MOST_PROBLEMS,
    MOST_REFUSALS,
    CertificateReport,
    Configuration,
    Dealing,
    Destined,
    DiscoverySummary,
    Late,
    RefusedItem,
    SingleRun,
    Snapshot,
    Undelivered,
    count_states,
    encode_devices,
    encode_snapshot,
    limited_devices,
    missing_now,
    report_devices,
    slowest_devices,
    troubled_devices,
)
from towerops_agent.text import moment

if TYPE_CHECKING:
    from towerops_agent.discovery.auto import AutoDiscovery
    from towerops_agent.group.course.wire import Beat
    from towerops_agent.group.group import Group

log = structlog.get_logger()

EACH_S: Final = 15.0
WRITE_EACH_S: Final = 600.0
"""How often a snapshot is written: for whoever looks after a power cut. Who asks a running agent gets one of the moment."""
MINUTE_S: Final = 60.0
WARN_EACH_S: Final = 86_400.0
"""How often a certificate that expires soon is logged."""


class Observer:
    """Observes all parts of one agent. `dealings`: those with the API, by their names in `status`.

    `database_octets`: the current size of the database on the disk."""

    def __init__(
        self,
        *,
        sync: ConfigSync,
        fleet: Fleet,
        buffer: Buffer,
        courier: Delivery,
        dealings: Mapping[str, Availability],
        counters: Counters,
        marks: Marks,
        database_octets: Callable[[], int],
        now_us: Callable[[], int],
        group: "Group | None" = None,
        discovery: "AutoDiscovery | None" = None,
        certificates: Callable[[], list[Certificate]] = list,
    ) -> None:
        self._group = group
        self._discovery = discovery
        self._sync = sync
        self._fleet = fleet
        self._buffer = buffer
        self._courier = courier
        self._dealings = dealings
        self._counters = counters
        self._marks = marks
        self._moved = marks.mover("status", DATABASE_WITHIN_S)
        self._database_octets = database_octets
        self._now_us = now_us
        self._started_s = time.monotonic()
        self._samples = deque([(self._started_s, 0, 0)])  # (monotonic seconds, polls, metrics)
        self._bugs: deque[tuple[float, Mapping[str, int]]] = deque([(self._started_s, {})])  # counts by part of the agent
        self._failing = False
        self._certificates = certificates
        self._warned_s: dict[CertificateReport, float] = {}

    async def run(self) -> None:
        """Take a sample for the rates now and each 15 s, for good; write a snapshot now and each ten minutes."""
        written_s = -WRITE_EACH_S
        while True:
            now_s = time.monotonic()
            if now_s - written_s >= WRITE_EACH_S:
                written_s = now_s
                await self.write()
            self._a_minute()  # a sample for the rates
            self._bugs.append((now_s, self._counters.by_reason(Count.BUGS)))
            self._bugs_lately()  # drops those of long ago, if nobody asks
            self.warn_of_certificates(now_s)
            self._moved(EACH_S)
            await asyncio.sleep(EACH_S)

    def _reported(self) -> list[CertificateReport]:
        return [CertificateReport.made(one) for one in self._certificates()]

    def _expiring(self, now_us: int) -> list[CertificateReport]:
        return [one for one in self._reported() if one.is_expiring(now_us)]

    def warn_of_certificates(self, now_s: float) -> None:
        """Log each that ends soon, or has, once a day. `now_s`: monotonic."""
        # Also of one that is not in use now: behind one name may be servers with certificates of their own, seen by turns.
        self._warned_s = {one: then_s for one, then_s in self._warned_s.items() if now_s - then_s < WARN_EACH_S}
        for one in self._expiring(self._now_us()):
            if one not in self._warned_s:
                self._warned_s[one] = now_s
                log.warning("certificate expires soon, or has expired", of=one.of, own=one.is_own, expires=moment(one.until_us))

    async def _waiting(self, lines: Iterable[str]) -> dict[str, Pending]:
        return {line: await self._buffer.pending(line) for line in lines}

    def vitals(self) -> Vitals:
        """What health is judged by: from memory, so that a disk that hangs does not make the agent look dead."""
        now_us = self._now_us()
        return Vitals(
            due_s=self._marks.due_s,
            failing={name: dealing.last_failure for name, dealing in self._dealings.items() if dealing.works is False},
            devices=len(self._fleet.devices),
            in_memory_because=self._buffer.in_memory_because,
            salvaging=self._buffer.salvaging,
            group=() if self._group is None else tuple(group_remarks(view_of(self._group, now_us), now_us)),
            bugs=self._bugs_lately(),
            states=count_states(self._fleet.polled),
            expiring=tuple(one.expires(now_us) for one in self._expiring(now_us)),
            clock_off_s=(self._sync.clock_skew.ahead_s or 0.0) if self._sync.clock_skew.is_wrong else 0.0,
        )

    def _bugs_lately(self) -> dict[str, int]:
        """How many bugs were met in the last BUGS_WITHIN_S, by the part of the agent."""
        since_s = time.monotonic() - BUGS_WITHIN_S
        while len(self._bugs) > 1 and self._bugs[1][0] <= since_s:
            self._bugs.popleft()
        before = self._bugs[0][1]
        now = self._counters.by_reason(Count.BUGS)
        return {part: count - before.get(part, 0) for part, count in now.items() if count > before.get(part, 0)}

    async def write(self, stopped: bool = False, single_run: SingleRun | None = None) -> None:
        """Write a snapshot. If that fails it is logged once, until it works again."""
        try:
            snapshot = await self.take(stopped)
            if single_run is not None:
                kept = replace(single_run, problems=single_run.problems[:MOST_PROBLEMS])
                snapshot = replace(snapshot, single_run=kept)
            await self._buffer.put_meta(KEY, encode_snapshot(snapshot))
            if stopped:
                await self._buffer.put_meta(DEVICES_KEY, self.devices())
            self._failing = False
        except BufferFailure as error:
            if not self._failing:
                log.warning("status can't be written", error=str(error))
            self._failing = True

    def devices(self) -> bytes:
        """A report of each device, as `devices` reads it."""
        return encode_devices(report_devices(self._fleet.polled, self._fleet.ahead_us))

    async def take(self, stopped: bool = False) -> Snapshot:
        """The state of all parts now. Raises BufferFailure if the buffer can't say what is pending."""
        waiting = await self._waiting(self._courier.lines)
        pending = waiting[""] if "" in waiting else max(waiting.values(), key=lambda one: one.metrics)
        behind = self._courier.backlog
        late = None
        if pending.backlog_metrics:
            drained_in_s = None if behind is None else behind.drained_in_s
            late = Late(pending.backlog_metrics, pending.backlog_oldest_started_at_us, drained_in_s)
        now_us = self._now_us()
        polled, ahead_us = list(self._fleet.polled), self._fleet.ahead_us
        missing, lacking = missing_now(polled)
        return Snapshot(
            version=__version__,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            started_us=now_us - round((time.monotonic() - self._started_s) * 1e6),  # whatever was done to the clock since
            written_us=now_us,
            dealings={name: _dealing(availability, ahead_us) for name, availability in self._dealings.items()},
            configuration=self._configuration(len(self._fleet.devices), ahead_us),
            states=count_states(polled),
            troubled=troubled_devices(polled, ahead_us),
            slowest=slowest_devices(polled, ahead_us),
            limited=limited_devices(polled, ahead_us),
            missing=missing,
            lacking=lacking,
            pending=Undelivered(pending.metrics, pending.polls, pending.oldest_started_at_us),
            backlog=late,
            database_octets=self._database_octets(),
            in_memory_because=self._buffer.in_memory_because,
            salvaging=self._buffer.salvaging,
            latest_s=round(self._fleet.latest_s, 3),
            a_minute=self._a_minute(),
            counters={name.value: self._counters.by_reason(name) for name in Count if self._counters.total(name)},
            delivers=self._courier.delivers,
            group=None if self._group is None else view_of(self._group, now_us),
            destinations={line: Destined(one.metrics, one.oldest_started_at_us) for line, one in waiting.items() if line},
            discovery=self._view_of_discovery(),
            certificates=self._reported(),
            clock_skew_s=self._sync.clock_skew.ahead_s,
            stopped_us=now_us if stopped else None,
        )

    def _view_of_discovery(self) -> DiscoverySummary | None:
        view = None if self._discovery is None else self._discovery.view
        if view is None or not view.devices:
            return None
        troubles = [f"{name}: {why}" for name, why in view.troubles]
        return DiscoverySummary(view.devices, view.found, view.oldest_us, view.gone, troubles)

    def _configuration(self, devices: int, ahead_us: int) -> Configuration:
        refusals = self._sync.refusals
        return Configuration(
            version=self._sync.version,
            fetched_us=_on_the_wall(self._sync.availability.last_success_us, ahead_us),
            devices=devices,
            refused=self._sync.refused,
            refusals=[RefusedItem(item.kind, item.equipment, item.item, item.reason) for item in refusals[:MOST_REFUSALS]],
        )

    def _a_minute(self) -> dict[str, float]:
        """Polls and metrics in the last minute; empty before there was one, as most devices are polled at once at the start."""
        now_s = time.monotonic()
        polls, metrics = self._counters.total(Count.POLLS), self._counters.total(Count.READINGS)
        self._samples.append((now_s, polls, metrics))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - MINUTE_S:
            self._samples.popleft()
        first_s, first_polls, first_metrics = self._samples[0]
        minutes = (now_s - first_s) / 60
        if minutes < 1:
            return {}
        return {"polls": (polls - first_polls) / minutes, "metrics": (metrics - first_metrics) / minutes}


def _dealing(availability: Availability, ahead_us: int) -> Dealing:
    return Dealing(
        availability.works,
        _on_the_wall(availability.since_us, ahead_us),
        _on_the_wall(availability.last_success_us, ahead_us),
        availability.failures,
        availability.last_failure if availability.works is False else "",
    )


def _on_the_wall(steady_us: int | None, ahead_us: int) -> int | None:
    return None if steady_us is None else steady_us + ahead_us


def view_of(group: "Group", now_us: int) -> GroupView:
    """The group as its member sees it now."""
    now_s = asyncio.get_running_loop().time()
    members = [
        _view_of_beat(member.beat, now_s - member.heard_at, group.ahead_us.get(member.name, 0) / 1e6)
        for member in group.membership.members
    ]
    return GroupView(
        name=group.seat.group,
        member=group.seat.member,
        server=group.bus.server,
        reasons=group.bus.reasons,
        refused=group.bus.refused,
        away_us=None if group.away_at is None else now_us - round((now_s - group.away_at) * 1e6),
        alone_us=None if group.alone_at is None else now_us - round((now_s - group.alone_at) * 1e6),
        members=[_view_of_beat(group.own_beat(), None, 0.0), *members],
    )


def _view_of_beat(beat: "Beat", heard_s: float | None, ahead_s: float) -> MemberView:
    return MemberView(
        name=beat.member,
        presence=beat.presence.value,
        version=beat.version,
        configuration=beat.configuration,
        owned=beat.owned,
        up=beat.up,
        down=beat.down,
        backlog=beat.backlog,
        api_works=beat.api_works,
        heard_s=heard_s,
        ahead_s=ahead_s,
    )
