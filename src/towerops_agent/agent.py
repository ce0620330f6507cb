"""The agent: opens the parts, runs the loops, stops in order.

The composition root: each part is constructed here and nowhere else, and knows none but those that it is given. The data's way:
config sync -> devices -> fleet -> buffer -> courier. A loop that meets a bug is logged, counted and begun again: no bug in one
stops the others.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import structlog

from towerops_agent import __version__
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.config_sync import ConfigSync
from towerops_agent.api.equipment import ConfigRead
from towerops_agent.api.outcomes import ConfigFetched, NotModified
from towerops_agent.api.seal import seal, unseal
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.heartbeat import HeartbeatLoop
from towerops_agent.model import Equipment, SnmpVersion, Transport
from towerops_agent.polling.device import Device, layout_of, make_device
from towerops_agent.polling.plan import Planner
from towerops_agent.polling.poller import Poller
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.settings import Settings
from towerops_agent.snmp.client import SnmpClient

log = structlog.get_logger()

STOP_WITHIN_S: Final = 5.0
"""How long a stop may take to submit what is pending; the rest waits in the database for the next start."""

ONCE_WITHIN_S: Final = 60.0
ONCE_ATTEMPTS: Final = 3

FIRST_DELIVERY_AFTER_S: Final = 1.0
"""How long after the first poll the first delivery begins: by then 200 devices have been polled."""

BEGIN_AGAIN_S: Final = 5.0
"""How long a loop that met a bug waits before it is begun again."""

LAYOUTS_AT_ONCE: Final = 200
"""How many devices of a new configuration are held decoded at once: memory follows devices, not their sensors."""


@dataclass(slots=True)
class OnceReport:
    """What came of a single run. `problems`: a line each, for the operator; empty where all went well."""

    devices: int = 0
    metrics: int = 0
    problems: list[str] = field(default_factory=list)


class Agent:
    """One agent. Inert until `run` or `run_once`, of which one is called, once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.counters = Counters()
        self._token = TokenSource(settings.token, settings.token_file)
        self._buffer = Buffer(settings.database_path, self.counters, clock_us=_wall_us)
        self._api = ApiClient(settings.api_url, self._token, ca_file=settings.ca_file)
        self._snmp = SnmpClient(self.counters)
        self._planner = Planner()
        self._fleet = Fleet(Poller(self._snmp, self._planner), self.counters, self._buffer.add)
        self._sync = ConfigSync(
            self._api,
            self.counters,
            apply=self._apply,
            keep=self._keep,
            kept=self._kept,
            refresh_s=settings.config_refresh_s,
        )
        self._courier = Courier(
            self._buffer, self._api, self.counters, accepts=lambda: self._sync.accepts, settle_s=FIRST_DELIVERY_AFTER_S
        )
        self._heartbeat = HeartbeatLoop(self._api, self.counters, socket.gethostname())

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and deliver until `stop` is set; then submit what is pending, for at most 5 s, and close the database.

        Raises SettingsError (token file, CA file, proxy) and BufferFailure where it can't begin.
        """
        async with AsyncExitStack() as parts:
            await self._open(parts)
            log.info("agent started", version=__version__, api=self._settings.api_url, database=str(self._settings.database_path))
            async with asyncio.TaskGroup() as group:
                loops = [
                    group.create_task(self._go_on("config", self._sync.run)),
                    group.create_task(self._go_on("polling", self._fleet.run)),
                    group.create_task(self._go_on("delivery", self._courier.run)),
                    group.create_task(self._go_on("cleanup", self._courier.run_cleanup)),
                    group.create_task(self._go_on("heartbeat", self._heartbeat.run)),
                ]
                await stop.wait()
                log.info("agent stopping, submitting what is pending", at_most_s=STOP_WITHIN_S)
                for loop in loops:
                    loop.cancel()
            delivered = await self._deliver_rest(STOP_WITHIN_S)
            log.info("agent stopped", pending_kept=0 if delivered else (await self._buffer.pending()).metrics)

    async def run_once(self) -> OnceReport:
        """Fetch the configuration, poll each device once, submit everything.

        Raises SettingsError and BufferFailure where it can't begin.
        """
        report = OnceReport()
        async with AsyncExitStack() as parts:
            await self._open(parts)
            outcome = await self._sync.fetch_once()
            if not isinstance(outcome, ConfigFetched | NotModified):
                report.problems.append(f"no configuration from {self._settings.api_url}: {outcome.reason}")
                return report
            report.problems += [
                f"configuration: {refusal.kind} {refusal.equipment} {refusal.item} refused: {refusal.reason}"
                for refusal in self._sync.refusals
            ]
            results = await self._fleet.poll_all_once()
            report.devices = len(results)
            for device in self._fleet.devices.values():
                result = results.get(device.id)
                if result is None:
                    report.problems.append(f"{device.name} ({device.address}): a bug of the agent's, see the log")
                elif result.poll is None:
                    reason = f"{result.silence} {result.detail}".rstrip()
                    report.problems.append(f"{device.name} ({device.address}) gave nothing: {reason}")
            if not await self._deliver_rest(ONCE_WITHIN_S, ONCE_ATTEMPTS):
                pending = await self._buffer.pending()
                reason = self._courier.reachability.last_failure or f"not done within {ONCE_WITHIN_S:g} s"
                report.problems.append(f"{pending.metrics} metrics not delivered, kept for the next run: {reason}")
            report.metrics = self.counters.total(Count.METRICS_DELIVERED)
        return report

    async def _open(self, parts: AsyncExitStack) -> None:
        await parts.enter_async_context(self._buffer)
        await parts.enter_async_context(self._api)
        await parts.enter_async_context(self._snmp)

    async def _go_on(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for good: a bug in it is told and counted, and it is begun again."""
        while True:
            try:
                await run()
            except Exception:
                self.counters.add(Count.BUGS, name)
                log.exception("loop failed by a bug, begins again; please report it", loop=name, in_s=BEGIN_AGAIN_S)
            await asyncio.sleep(BEGIN_AGAIN_S)

    async def _deliver_rest(self, within_s: float, attempts: int = 1) -> bool:
        """Whether all that is pending was delivered within this time."""
        try:
            async with asyncio.timeout(within_s):
                await self._buffer.flush()
                return await self._courier.deliver_pending(attempts)
        except TimeoutError:
            return False

    async def _apply(self, read: ConfigRead) -> None:
        """Put a configuration into force. A device whose part of it is unchanged stays as it is, with all that was learned."""
        devices: list[Device] = []
        while some := list(islice(read.equipment, LAYOUTS_AT_ONCE)):
            fresh = []
            for digest, equipment in some:
                before = self._fleet.devices.get(equipment.id)
                if before is not None and before.digest == digest:
                    devices.append(before)
                elif reason := _unsupported(equipment):
                    read.refuse("equipment", equipment.name, "", reason)
                else:
                    fresh.append((digest, equipment, before))
            layouts = await self._buffer.register_all([layout_of(equipment) for _, equipment, _ in fresh])
            for (digest, equipment, before), layout in zip(fresh, layouts, strict=True):
                devices.append(make_device(equipment, layout, digest, self._planner, before))
        self._fleet.replace(devices)

    async def _keep(self, body: bytes) -> None:
        await self._buffer.keep_config(await asyncio.to_thread(seal, self._token.token, body))

    async def _kept(self) -> bytes | None:
        sealed = await self._buffer.kept_config()
        return None if sealed is None else await asyncio.to_thread(unseal, self._token.token, sealed)


def _unsupported(equipment: Equipment) -> str:
    """Why `equipment` can't be polled, "" where it can."""
    if equipment.credentials.version is SnmpVersion.V3:
        return 'snmp.version is "3": expected "1" or "2c", this version of the agent has no SNMPv3 yet'
    if equipment.transport is Transport.TCP:
        return 'snmp.transport is "tcp": expected "udp", this version of the agent has no SNMP over TCP yet'
    return ""


def _wall_us() -> int:
    return time.time_ns() // 1000
