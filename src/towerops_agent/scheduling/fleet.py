"""All devices: waits for the next one's time, starts its poll under a limit, and passes on the result."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from towerops_agent.buffer.format.event import Event
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import is_out_of_memory
from towerops_agent.model import Poll
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.reading import PollResult
from towerops_agent.reasons import Skip, Unsent
from towerops_agent.repeats import Repeats
from towerops_agent.scheduling.ownership import Everything, Ownership
from towerops_agent.scheduling.slots import Slots
from towerops_agent.scheduling.states import DevicePoller, States
from towerops_agent.scheduling.throttle import LATE_S, LOOK_EACH_S, Load, Throttle
from towerops_agent.scheduling.timetable import Timetable

log = structlog.get_logger()

MAXIMUM_POLLS: Final = 1000
"""Polls under way at once, and as many again of devices that take long (Slots). Each has up to four requests under way."""

STARTS_A_SECOND: Final = 200.0
"""How fast new devices start, so that 10,000 do not start at once, and 10 need not wait for their time."""

IDLE_S: Final = 60.0
"""The longest sleep of the loop if there is nothing to wait for."""

ONCE_WITHIN_S: Final = 60.0
PROBE_WITHIN_S: Final = 5.0

LAG_PROBES: Final = 3
"""Timers between two looks at the load: a loop that is late for each of them is never idle."""

STARTS_A_ROUND: Final = 16
"""How many polls start until other tasks get their turn, if polls are late: a batch of metrics has a few steps, each a turn."""


class Pings(Protocol):
    """What pings the devices that are polled here: Echoes."""

    def follow(self, device: Device) -> None:
        """As Echoes.follow."""

    def drop(self, device_id: str) -> None:
        """As Echoes.drop."""


class NoPings:
    """Nothing is pinged."""

    def follow(self, _device: Device) -> None:
        """Nothing to do."""

    def drop(self, _device_id: str) -> None:
        """Nothing to do."""


class Fleet:
    """The devices that are polled. Inert until run."""

    def __init__(
        self,
        poller: DevicePoller,
        counters: Counters,
        store: Callable[[Poll], None],
        *,
        now_us: Callable[[], int],
        steady_us: Callable[[], int] | None = None,
        moved: Callable[[float], None] = lambda _again_within_s: None,
        changed: Callable[[], None] = lambda: None,
        note: Callable[[Event], None] = lambda _event: None,
        is_behind: Callable[[], bool] = lambda: False,
        cpu_s: Callable[[], float] = time.process_time,
        maximum_polls: int = MAXIMUM_POLLS,
        pings: Pings | None = None,
    ) -> None:
        """`store` is called with each poll that read something, on the loop's thread; it must not block. `now_us`: the wall
        clock; `steady_us`: one that goes on evenly and is never set, by which it is known for how long a device is up or down.

        `moved` is called in each round of the loop, with the seconds until the next round at the latest; `changed` once a
        device's change of state is stored. `note`: with each change of state, and each restart, of a device.
        `pings` follows the devices that are polled here.

        `is_behind`: whether fresh values wait for their delivery for long although the server works; `cpu_s`: the CPU used so
        far: fewer polls start while it is too much (throttle.py).
        """
        self._poller = poller
        self._counters = counters
        self._store = store
        self._moved = moved
        self._is_behind = is_behind
        self._cpu_s = cpu_s
        self._maximum_polls = maximum_polls
        self._pings = NoPings() if pings is None else pings
        self._slots = Slots(maximum_polls, maximum_polls)
        self._throttle = Throttle()
        self._started = 0  # polls since the last look at the load
        self._late = False  # whether a poll was late since the last look at the load
        self._lags: list[float] = []  # how late timers were since then
        self._without_memory = Repeats()
        self._too_late = Repeats()
        self._skipped = 0  # polls that came too late and are in no log line yet
        self.timetable = Timetable()
        """Which device is due when."""
        self.ownership: Ownership = Everything()
        """Which of them are polled here. After a change call `share`."""
        self._states = States(store, now_us=now_us, steady_us=steady_us, changed=changed, note=note, doubts=self._doubts)
        self._devices: dict[str, Device] = {}
        self._under_way: set[Device] = set()  # as they were when their poll began
        self._lent: set[str] = set()  # devices that somebody else asks
        self._begun_at = 0.0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._ended = asyncio.Event()  # set at each end of a poll
        self._stopped = False
        self.latest_s = 0.0
        """How late a poll has started at most, in seconds."""

    @property
    def devices(self) -> Mapping[str, Device]:
        """The devices of the configuration, by id."""
        return self._devices

    @property
    def polled(self) -> Collection[Device]:
        """The devices that are polled here: all of them, but in a group."""
        if len(self.timetable) == len(self._devices):
            return self._devices.values()
        return [device for device in self._devices.values() if device.id in self.timetable]

    @property
    def layouts(self) -> set[int]:
        """Those of which polls may still come: of the devices, and of polls under way, whose devices may have been replaced."""
        return {layout for device in (*self._devices.values(), *self._under_way) for layout in device.layouts}

    @property
    def ahead_us(self) -> int:
        """How far the wall clock is ahead of the steady one, which DeviceState.since_us and Availability's times are of."""
        return self._states.ahead_us

    @property
    def answering(self) -> tuple[int, int]:
        """How many of the devices that are polled here have answered last, and how many were silent."""
        return self._states.answering

    def replace(self, devices: Iterable[Device]) -> None:
        """Poll exactly these from now on. A device that keeps its interval keeps its time, but for Timetable.align."""
        wanted = {device.id: device for device in devices}
        for gone in self._devices.keys() - wanted.keys():
            self._drop(gone)
            del self._devices[gone]
        self.add(wanted.values())
        self.set_clock(None)

    def set_clock(self, ahead_s: float | None) -> None:
        """Poll at the times of a clock that is so far ahead of the loop's; None: as before.

        The step of the times is that of all devices, wherever they are polled: so each has the same times everywhere.
        """
        starts_a_second = math.fsum(1 / device.interval_s for device in self._devices.values())
        self.timetable.align(starts_a_second, ahead_s, asyncio.get_running_loop().time())
        self._wake.set()

    def _drop(self, device_id: str) -> None:
        """Poll this device no more."""
        self.timetable.remove(device_id)
        self._pings.drop(device_id)
        self._slots.forget(device_id)
        self._states.forget(device_id)

    def share(self, since: Callable[[str], float]) -> list[Device]:
        """Poll the devices that are owned by now, and no others. Returns the ones that are new here.

        `since`: from when on maybe nobody has polled a device of this id, on the loop's clock. If its time has come since then it
        starts at once, at a limited rate; else at its next time.
        """
        now = asyncio.get_running_loop().time()
        taken, at_once = [], []
        for device in self._devices.values():
            owned = self.ownership.owns(device.id)
            if owned == (device.id in self.timetable):
                continue
            if not owned:
                self._drop(device.id)
                continue
            device.state, device.lacks = None, ()  # of its last poll here
            device.distrust()
            taken.append(device)
            self._pings.follow(device)
            if self.timetable.last_before(device.id, device.interval_s, now) >= since(device.id):
                at_once.append(device)
            else:
                self.timetable.resume(device.id, device.interval_s, now)
        for device in at_once:
            self.timetable.add(device.id, device.interval_s, now, len(at_once) / STARTS_A_SECOND)
        self._wake.set()
        return taken

    def add(self, devices: Iterable[Device]) -> None:
        """Poll these too from now on, each in place of the one with its id, if there is one.

        New ones start at a limited rate, behind those that were added before and have not started yet.
        """
        fresh = []
        for device in devices:
            before = self._devices.get(device.id)
            is_polled = device.id in self.timetable and before is not None and before.interval_s == device.interval_s
            if not is_polled and self.ownership.owns(device.id):
                fresh.append(device)
            self._devices[device.id] = device
            if is_polled or self.ownership.owns(device.id):
                self._pings.follow(device)
        now = asyncio.get_running_loop().time()
        not_before_s = max(self._begun_at - now, 0.0)
        first_within_s = not_before_s + len(fresh) / STARTS_A_SECOND
        for device in fresh:
            self.timetable.add(device.id, device.interval_s, now, first_within_s, not_before_s)
        self._begun_at = now + first_within_s
        self._wake.set()

    @asynccontextmanager
    async def without_polls(self, device_id: str) -> AsyncIterator[None]:
        """A block in which the device is not polled: it begins when the poll under way has ended, and a poll due is skipped."""
        while device_id in self._slots or device_id in self._lent:
            self._ended.clear()
            await self._ended.wait()
        self._lent.add(device_id)
        try:
            yield
        finally:
            self._lent.discard(device_id)
            self._ended.set()

    def stop(self) -> None:
        """Start no more polls, and cancel those under way."""
        self._stopped = True
        self._wake.set()

    async def finish(self, within_s: float) -> None:
        """Wait until the polls under way have ended, for at most so long."""
        self._idle.clear()
        if len(self._slots):
            try:
                async with asyncio.timeout(within_s):
                    await self._idle.wait()
            except TimeoutError:
                pass

    async def probe(self, device_ids: Iterable[str]) -> int:
        """How many of these devices answer. What they answer is not used."""
        devices = [self._devices[device_id] for device_id in device_ids if device_id in self._devices]
        results = await asyncio.gather(*(self._poller.poll(device, PROBE_WITHIN_S) for device in devices))
        return sum(result.is_heard for result in results)

    async def run(self) -> None:
        """Poll each device at its time, until stopped."""
        self._slots.clear()  # from an earlier run: a poll cancelled before its first step never reports its end
        tasks: set[asyncio.Task[None]] = set()
        started = 0
        async with asyncio.TaskGroup() as group:
            while not self._stopped:
                self._wake.clear()
                device = self._next_due()
                if device is None:
                    started = 0
                    await self._rest()
                    continue
                started += 1
                if started % STARTS_A_ROUND == 0 and self._late:
                    await asyncio.sleep(0)
                task = group.create_task(self._poll_in_slot(device))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            for task in tasks:
                task.cancel()

    async def poll_all_once(self) -> dict[str, PollResult]:
        """Poll each device once, under the same limit, and return the results by device id."""
        limit = asyncio.Semaphore(self._maximum_polls)
        results: dict[str, PollResult] = {}

        async def poll(device: Device) -> None:
            async with limit:
                result = await self._poll(device, ONCE_WITHIN_S)
            if result is not None:
                results[device.id] = result

        async with asyncio.TaskGroup() as group:
            for device in self._devices.values():
                group.create_task(poll(device))
        return results

    def _next_due(self) -> Device | None:
        """The next device to poll now; None if no device is due, or no more polls may run."""
        now = asyncio.get_running_loop().time()
        if self._throttle.is_due(now):
            self._look_at_load(now)
        while not self._slots.is_full(now) and self._throttle.opens_at_s <= now:
            due = self.timetable.take_due(now)
            if due is None:
                return None
            self._late |= due.late_s >= LATE_S
            if due.missed:
                self._counters.add(Count.POLLS_SKIPPED, Skip.LATE, due.missed)
                self._skipped += due.missed
            if due.skipped:
                continue
            if due.key in self._slots or due.key in self._lent:
                self._counters.add(Count.POLLS_SKIPPED, Skip.STILL_RUNNING)
                continue
            if not self._slots.take(due.key, now):
                self._counters.add(Count.POLLS_SKIPPED, Skip.MANY_SLOW)
                continue
            self.latest_s = max(self.latest_s, due.late_s)
            self._started += 1
            self._throttle.started(now)
            return self._devices[due.key]
        return None

    def _look_at_load(self, now: float) -> None:
        """Have as many polls start as can be delivered."""
        behind = self._is_behind()
        load = Load(self._started, self._late, behind, self._cpu_s(), min(self._lags, default=0.0))
        begins = self._throttle.look(load, now)
        self._started, self._late = 0, False
        self._lags.clear()
        for n in range(1, 1 + LAG_PROBES) if behind else ():
            at = now + n * LOOK_EACH_S / (1 + LAG_PROBES)
            asyncio.get_running_loop().call_at(at, self._note_lag, at)
        if begins:
            rate = round(self._throttle.rate)
            log.warning("more polls are due than the agent can deliver, late ones are skipped", polls_a_second=rate)
        if self._throttle.rate < math.inf:
            self._skipped = 0  # the line above has said so
        elif self._skipped and self._too_late.due(int(now * 1e6)) is not None:
            log.warning("polls are skipped, as they would start too late", polls=self._skipped)
            self._skipped = 0

    def _note_lag(self, due_at: float) -> None:
        self._lags.append(asyncio.get_running_loop().time() - due_at)

    async def _rest(self) -> None:
        """Until a device is due, a poll has ended, or the devices have changed."""
        now = asyncio.get_running_loop().time()
        until = self._slots.room_at if self._slots.is_full(now) else self.timetable.next_at()
        until = now + IDLE_S if until is None else max(until, self._throttle.opens_at_s)
        self._moved(max(until - now, 0.0))
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _doubts(self) -> bool:
        return self.ownership.doubts()

    async def _poll_in_slot(self, device: Device) -> None:
        """Poll `device`, which holds a place until the poll has ended."""
        self._under_way.add(device)
        try:
            await self._poll(device, device.interval_s * device.share)
        finally:
            self._under_way.discard(device)
            now = asyncio.get_running_loop().time()
            if self._slots.is_full(now):
                self._wake.set()
            self._slots.release(device.id, now)
            self._ended.set()
            if not len(self._slots):
                self._idle.set()
            if device.id not in self._devices:
                self._slots.forget(device.id)

    async def _poll(self, device: Device, within_s: float) -> PollResult | None:
        """Poll `device` and pass on the result; None after a bug, or without memory for it, which costs only this poll."""
        try:
            result = await self._poller.poll(device, within_s)
            self._take(device, result)
        except Exception as error:
            if is_out_of_memory(error):
                self._note_no_memory(device)
            else:
                self._counters.add(Count.BUGS, "poll")
                log.exception("poll failed because of a bug; please report it", device=device.name, address=device.address)
            return None
        return result

    def _note_no_memory(self, device: Device) -> None:
        self._counters.add(Count.POLLS_SKIPPED, Skip.NO_MEMORY)
        unlogged = self._without_memory.due(int(asyncio.get_running_loop().time() * 1e6))
        if unlogged is not None:
            more = {"unlogged": unlogged} if unlogged else {}
            log.error("no memory for a poll, skipped", device=device.name, address=device.address, **more)

    def _take(self, device: Device, result: PollResult) -> None:
        if not result.is_known:
            why = result.silence.text if isinstance(result.silence, Unsent) else result.silence
            system = f" ({result.detail})" if result.detail else ""
            self._states.take_unknown(device, f"it can't be pinged: {why}{system}")
            return
        if result.poll is not None:
            self._store(result.poll)  # first: a poll that can't be stored, for lack of memory, is a skipped one and nothing else
            self._counters.add(Count.READINGS, n=result.poll.metric_count)
        for reason, count in result.missing.items():
            self._counters.add(Count.READINGS_MISSING, reason, count)
        self._counters.add(Count.POLLS, "silent" if result.silence else "partial" if result.missing else "complete")
        is_polled = device.id in self.timetable
        if is_polled or device.id not in self._devices:  # else another agent polls it since this poll began, and knows its state
            self._states.take(device, result, is_polled=is_polled)
