"""The agent: opens the parts, runs the loops, stops in order.

The composition root: each part is constructed here and nowhere else, and knows only the parts that are passed to it. The data's
way: config sync -> devices -> fleet -> buffer -> courier. If a loop meets a bug, the bug is logged and counted and the loop
starts again: a bug in one loop does not stop the others.
"""

import asyncio
import socket
from collections import ChainMap
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

import structlog

from towerops_agent import __version__
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import CONFIG_WITHIN_S
from towerops_agent.api.wire.outcomes import ConfigFetched, NotModified
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.database import octets_on_disk
from towerops_agent.buffer.ids import first_apart
from towerops_agent.buffer.upkeep import keep_clean
from towerops_agent.clocks import is_synced, steady_us, wall_us
from towerops_agent.config.document.equipment import ConfigRead
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Count, Counters
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_agent.loops import go_on
from towerops_agent.ping.client import PingClient
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import Poller
from towerops_agent.scheduling.echoes import Echoes
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.scheduling.roster import Roster
from towerops_agent.scheduling.settling import API_WITHIN_S, Settling
from towerops_agent.scheduling.states import ReachPoller
from towerops_agent.scheduling.timetable import Dating
from towerops_agent.settings import Settings
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.exchange import Peer
from towerops_agent.telemetry import collector, logs, systemd
from towerops_agent.telemetry.diary import Diary
from towerops_agent.telemetry.live import LiveSocket
from towerops_agent.telemetry.marks import DATABASE_WITHIN_S, Marks, boot_clock_s
from towerops_agent.telemetry.observer import Observer
from towerops_agent.telemetry.views.health import health_text, judge
from towerops_agent.telemetry.views.snapshot import SingleRun, encode_snapshot
from towerops_agent.telemetry.views.status import render
from towerops_agent.text import counted, refused_lines
from towerops_agent.upstream import ApiUpstream, SiteUpstream, Upstream

if TYPE_CHECKING:
    from towerops_agent.group.group import Group
    from towerops_agent.telemetry.metrics_page import MetricsPage

log = structlog.get_logger()

STOP_WITHIN_S: Final = 5.0
"""How long a stop may take to submit what is pending; the rest waits in the database for the next start."""

ONCE_WITHIN_S: Final = 60.0
ONCE_ATTEMPTS: Final = 3

NO_NATS: Final = "GROUP_NATS_URLS is set, and nats-py is not installed: pip install 'towerops-agent[group]'"


class Agent:
    """One agent. Inert until `run` or `run_once`, of which one is called, once.

    `counters`, `buffer`, `fleet`, `sync`, `courier`, `upstream`: its parts, for who looks at an agent that runs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.counters = Counters()
        self._token = TokenSource(settings.token, settings.token_file, on_token=logs.hider())
        self._marks = Marks()
        self._config_moved = self._marks.mover("config", CONFIG_WITHIN_S)
        self._cleanup_moved = self._marks.mover("cleanup", DATABASE_WITHIN_S)
        self._memory_sleep = self._marks.sleeper("memory", DATABASE_WITHIN_S)
        self._layouts_wait = self._marks.waiter("layouts", CONFIG_WITHIN_S)
        self.buffer = Buffer(
            settings.database_path,
            self.counters,
            clock_us=wall_us,
            max_octets=settings.buffer_max_mb << 20,
            commit_window_s=settings.commit_window_s,
            first_id=first_apart,
        )
        self._snmp = SnmpClient(self.counters, name_of=self._name_at)
        self._planner = Planner()
        self._dating = Dating(
            self.buffer.add,
            self.counters,
            wall_us=wall_us,
            steady_us=steady_us,
            is_synced=is_synced if settings.site is None else lambda: None,  # without the API nobody else knows the time
            on_unset=lambda: log.warning("clock is not set, readings wait for the time"),
            on_set=lambda polls: log.info("time is known, readings that waited for it are stored", polls=polls),
        )
        patience_s = inf if settings.destinations is None else API_WITHIN_S  # without them there is nobody else to deliver to
        self._settling = Settling(self._dating, self.buffer, now_us=wall_us, patience_s=patience_s)
        knows_accepts = asyncio.Event()
        self.upstream: Upstream
        if settings.site is None:
            self.upstream = ApiUpstream(
                settings,
                self._token,
                self.buffer,
                self.counters,
                self._marks,
                accepts=lambda: self.sync.accepts,
                known=knows_accepts,
                settling=self._settling,
                layouts=self._layouts,
            )
        else:
            self.upstream = SiteUpstream(
                *(settings, self.buffer, self.counters, self._marks),
                layouts=self._layouts,
                snmp=self._snmp,
                fleet=lambda: self.fleet,
                keep_again=self._keep_again,
            )
        self.courier = self.upstream.courier
        self._reload = asyncio.Event()
        self._ping = PingClient(self.counters)
        self._echoes = Echoes(
            self._ping,
            self._snmp.resolve,
            self.counters,
            self._dating.take,
            now_us=wall_us,
            moved=self._marks.mover("pings", 0.0),
        )
        self._diary = Diary(self.buffer.note, wall_us)
        self.fleet = Fleet(
            ReachPoller(Poller(self._snmp, self._planner), self._echoes),
            self.counters,
            self._dating.take,
            now_us=wall_us,
            steady_us=steady_us,
            moved=self._marks.mover("polling", 0.0),
            changed=self.courier.hurry,
            note=self._diary.note,
            pings=self._echoes,
            is_behind=lambda: self.courier.is_behind,
        )
        self._roster = Roster(self.fleet, self.buffer, self._planner, with_states=settings.destinations is not None)
        self.sync = ConfigSync(
            self.upstream.source,
            self.counters,
            apply=self._apply,
            keep=self.upstream.keep,
            kept=self.upstream.kept,
            restored=self.upstream.restored,
            kept_accepts=self.upstream.kept_accepts,
            known=knows_accepts,
            refresh_s=self.upstream.refresh_s,
            sleep=self._sleep_or_reload,
            moved=self._config_moved,
        )
        self._dealings = ChainMap(self.upstream.dealings, {self.upstream.source_name: self.sync.availability})
        self.group = self._join() if settings.group_nats_urls else None
        self._observer = Observer(
            sync=self.sync,
            fleet=self.fleet,
            buffer=self.buffer,
            courier=self.courier,
            dealings=self._dealings,
            counters=self.counters,
            marks=self._marks,
            database_octets=lambda: octets_on_disk(settings.database_path),
            now_us=wall_us,
            group=self.group,
            discovery=self.upstream.discovery,
            certificates=lambda: self.upstream.certificates,
        )
        self._live = LiveSocket(
            settings.database_path,
            {
                b"health": self._health_answer,
                b"status": self._status_answer,
                b"devices": self._devices_answer,
                b"retry refused": self._retry_answer,
            },
        )
        self._page = None if settings.metrics_listen is None else self._metrics_page(settings.metrics_listen)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and deliver until `stop` is set; then submit what is pending, for at most 5 s, and close the database.

        Raises SettingsError (token file, CA file, proxy) and BufferFailure if it can't begin.
        """
        settings = self._settings
        async with AsyncExitStack() as parts:
            await self._open(parts)
            self.buffer.watch(self._marks.mover("database", DATABASE_WITHIN_S))
            self._marks.begin()
            await parts.enter_async_context(self._live)
            log.info(
                "agent started",
                version=__version__,
                api=settings.api_url or None,
                site=str(settings.site) if settings.site else None,
                database=str(settings.database_path),
            )
            self._diary.begin(__version__)
            self._diary.follow(self._dealings)
            async with asyncio.TaskGroup() as group:
                loops = [] if self.group is None else [group.create_task(self._go_on("group", self._take_part(self.group)))]
                loops += [
                    group.create_task(self._go_on("config", self.sync.run)),
                    group.create_task(self._go_on("polling", self.fleet.run)),
                    group.create_task(self._go_on("pings", self._echoes.run)),
                    group.create_task(self._go_on("delivery", self.courier.run)),
                    group.create_task(self._go_on("cleanup", partial(keep_clean, self.buffer, self._cleanup_moved))),
                    group.create_task(self._go_on("memory", partial(self._roster.remember_for_good, self._memory_sleep))),
                    group.create_task(self._go_on("status", self._observer.run)),
                    group.create_task(self._go_on("layouts", self._restore_layouts)),
                    group.create_task(self._go_on("time", self._settling.run)),
                ]
                loops += [group.create_task(self._go_on(name, run)) for name, run in self.upstream.loops.items()]
                loops.append(group.create_task(self.buffer.ended()))  # without it nothing is left to do
                if systemd.watchdog_interval_s() is not None:
                    loops.append(group.create_task(self._go_on("watchdog", lambda: systemd.feed_watchdog(self._marks))))
                if self._page is not None:
                    loops.append(group.create_task(self._go_on("metrics", self._page.run)))
                systemd.notify("READY=1")
                await stop.wait()
                systemd.notify("STOPPING=1")
                if self.group is not None:
                    await self.group.leave()
                self.fleet.stop()
                log.info("agent stopping, submitting what is pending", at_most_s=STOP_WITHIN_S)
                for loop in loops:
                    loop.cancel()
            self._dating.give_up()
            self._settling.stop()
            undelivered = await self._deliver_rest(STOP_WITHIN_S)
            await self._roster.remember()
            self._diary.end()
            await self._observer.write(stopped=True)
            kept = 0 if undelivered is None and self.courier.delivers else await self._pending_metrics()
            log.info("agent stopped", pending_kept=kept)

    async def reload(self) -> None:
        """Read the token's file and the certificates again, and fetch the configuration now."""
        log.info("reloading token, certificates and configuration")
        wrong = []
        try:
            self._token.reread()
        except SettingsError as error:
            wrong.append(str(error))
        try:
            await self.upstream.reread_certificates()
        except (SettingsError, BufferFailure) as error:
            wrong.append(str(error))
            self.sync.keep_again()  # a destination that is new may have no labels yet
        if wrong:
            log.error("files could not all be read again, the previous ones stay in use", error="; ".join(wrong))
        self._reload.set()

    async def log_state(self) -> None:
        """Write the state into the log, as `status` shows it."""
        try:
            snapshot = await self._observer.take()
        except BufferFailure as error:
            log.error("state can't be logged", error=str(error))
            return
        for line in render(snapshot, wall_us()).splitlines():
            log.info("state", line=line)

    async def _health_answer(self) -> bytes:
        """The exit status of `health`, and under it what it prints."""
        health = judge(self._observer.vitals(), boot_clock_s())
        return f"{1 if health.problems else 0}\n{health_text(health)}".encode()

    async def _retry_answer(self) -> bytes:
        return b"%d" % await self.courier.retry_refused()

    async def _status_answer(self) -> bytes:
        return encode_snapshot(await self._observer.take())

    async def _devices_answer(self) -> bytes:
        return self._observer.devices()

    async def run_once(self) -> SingleRun:
        """Fetch the configuration, poll each device once, submit everything; what came of it is in the database too.

        Raises SettingsError and BufferFailure if it can't begin.
        """
        run = SingleRun()
        async with AsyncExitStack() as parts:
            await self._open(parts)
            await self._run_round(run)
            if self.buffer.in_memory_because:
                run.problems.append(self.buffer.in_memory_because)
            if self.buffer.salvaging:
                run.problems.append(self.buffer.salvaging)
            await self._roster.remember()
            await self._observer.write(stopped=True, single_run=run)
        return run

    async def _run_round(self, run: SingleRun) -> None:
        outcome = await self.sync.fetch_once(is_last=True)
        if not isinstance(outcome, ConfigFetched | NotModified):
            run.problems.append(f"no configuration from {self._settings.site or self._settings.api_url}: {outcome.reason}")
            return
        await self._settling.settle()
        refused = [
            (f"configuration: {' '.join(filter(None, (one.kind, one.equipment, one.item)))} refused", one.reason)
            for one in self.sync.refusals
        ]
        run.problems += refused_lines(refused, self.sync.refused)
        results = await self.fleet.poll_all_once()
        if pinged := [device for device in self.fleet.devices.values() if device.ping is not None]:
            await self._echoes.once(pinged)
        self._dating.give_up()
        await self.buffer.salvage()
        run.devices = len(results)
        for device in self.fleet.devices.values():
            result = results.get(device.id)
            if result is None:
                run.problems.append(f"{device.name} ({device.address}): a bug in the agent, see the log")
            elif result.silence:
                reason = f"{result.silence} {result.detail}".rstrip()
                run.problems.append(f"{device.name} ({device.address}) returned nothing: {reason}")
            elif result.poll is not None and not result.poll.metric_count and device.plan.slots:
                reasons = ", ".join(f"{count} {reason}" for reason, count in result.missing.most_common())
                run.problems.append(f"{device.name} ({device.address}) answers, but gave no metric: {reasons}")
        undelivered = await self._deliver_rest(ONCE_WITHIN_S, ONCE_ATTEMPTS)
        if isinstance(undelivered, BufferFailure):
            run.problems.append(f"not all metrics delivered, those that can't be written to the disk are lost: {undelivered}")
        elif undelivered is not None:
            kept = "lost" if self.buffer.in_memory_because else "kept for the next run"
            pending = await self._pending_metrics()
            left = "metrics" if pending is None else counted(pending, "metric")
            run.problems.append(f"{left} not delivered, {kept}: {undelivered}")
        run.metrics = self.counters.total(Count.METRICS_DELIVERED)

    def _layouts(self) -> dict[bytes, tuple[int, ...]]:
        """The ids of the layouts of each device, by the digest of its part of the configuration."""
        return {device.digest: device.layouts for device in self.fleet.devices.values()}

    def _join(self) -> "Group":
        try:
            from towerops_agent.group import joining  # noqa: PLC0415
            from towerops_agent.group.group import Group  # noqa: PLC0415
        except ModuleNotFoundError:
            raise SettingsError(NO_NATS) from None
        return Group(
            joining.seat_of(self._settings, socket.gethostname()),
            joining.make_seal(self._settings, self._token),
            lambda subjects, hear, changed: joining.make_bus(self._settings, subjects, hear, changed, logs.hider()),
            self._planner,
            self.counters,
            condition=lambda: (backlog.metrics if (backlog := self.courier.backlog) else 0, self._api_works()),
            refresh=self._reload.set,
            reread_token=self._reread_token,
            moved=self._marks.mover("group", 0.0),
            now_us=wall_us,
        )

    def _take_part(self, group: "Group") -> Callable[[], Awaitable[None]]:
        """The loop of a member; from now on the devices are shared."""
        group.attach(self.fleet)
        self.fleet.ownership = group
        self.upstream.send_heartbeat_if(lambda: group.sends_heartbeat)
        return group.run

    def _api_works(self) -> bool | None:
        """Whether the API works; None if it has not been asked yet, or there is none."""
        dealings = (*self.upstream.decisive.values(), self.sync.availability)
        works = [dealing.works for dealing in dealings if dealing.works is not None]
        return all(works) if works else None

    def _reread_token(self) -> None:
        with suppress(SettingsError):  # said at the next fetch
            self._token.reread()

    def _metrics_page(self, listen: tuple[str, int]) -> "MetricsPage":
        # Without the page, prometheus_client and the HTTP server that it brings stay out of memory: 4 MB.
        from towerops_agent.telemetry.exposition import Exposition, Parts  # noqa: PLC0415
        from towerops_agent.telemetry.metrics_page import MetricsPage  # noqa: PLC0415

        parts = Parts(
            counters=self.counters,
            sync=self.sync,
            fleet=self.fleet,
            buffer=self.buffer,
            courier=self.courier,
            dealings=self._dealings,
            marks=self._marks,
            database_octets=lambda: octets_on_disk(self._settings.database_path),
            now_us=wall_us,
            group=self.group,
            certificates=lambda: self.upstream.certificates,
        )
        return MetricsPage(listen, Exposition(parts).render, self.counters, sleep=self._marks.sleeper("metrics", 0.0))

    async def _open(self, parts: AsyncExitStack) -> None:
        await parts.enter_async_context(self.buffer)
        await self.upstream.open(parts)
        await parts.enter_async_context(self._snmp)
        await parts.enter_async_context(self._ping)
        await self._roster.recall()
        await self._settling.begin()

    def _keep_again(self) -> None:
        self.sync.keep_again()
        self._reload.set()

    def _name_at(self, peer: Peer) -> str:
        """The configured name of the device at this address; rarely needed."""
        return next((device.name for device in self.fleet.devices.values() if device.peer == peer), "")

    async def _sleep_or_reload(self, seconds: float) -> None:
        """Sleep, unless the operator wants the configuration now."""
        self._config_moved(seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._reload.wait()
        except TimeoutError:
            return
        self._reload.clear()

    async def _go_on(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        await go_on(name, run, self.counters)

    async def _deliver_rest(self, within_s: float, attempts: int = 1) -> BufferFailure | str | None:
        """Why not all that is pending was delivered within this time; None if it was.

        If it can't all be written, what is on the disk is delivered.
        """
        failure: BufferFailure | None = None
        try:
            async with asyncio.timeout(within_s):
                try:
                    await self.buffer.flush()
                except BufferFailure as error:
                    log.error("last polls can't be written, what is on the disk is submitted", error=str(error))
                    failure = error
                if await self.courier.deliver_pending(attempts, within_s):
                    return failure
        except TimeoutError:
            pass
        except BufferFailure as error:
            log.error("buffer can't be read, what is pending stays for the next start", error=str(error))
            failure = failure or error
        return failure or self.courier.availability.last_failure or f"not done within {within_s:g} s"

    async def _pending_metrics(self) -> int | None:
        """How many metrics are pending; None if the buffer can't be read."""
        try:
            return await self.buffer.most_pending()
        except BufferFailure:
            return None

    async def _restore_layouts(self) -> None:
        """Each time the buffer has another file, and none of the old layouts: register each device again. Runs for good."""
        while True:
            await self._layouts_wait(self.buffer.layouts_lost)
            self.buffer.layouts_lost.clear()
            await self.sync.apply_again(self._forget_layouts)
            self._reload.set()

    def _forget_layouts(self) -> None:
        self._roster.forget_layouts()
        self.upstream.forget_layouts()

    async def _apply(self, read: ConfigRead) -> None:
        await self.upstream.prepare()
        with collector.left_alone():
            await self._roster.apply(read)
        if self._diary.is_kept:
            self._diary.follow(self._dealings)
            self._diary.configured(read.version, len(self.fleet.devices))
        if self.group is not None:
            self.group.configured()
