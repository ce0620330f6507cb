"""A group of real agents on real servers: simulated devices, a sandbox, nats-servers, and what the sandbox received."""

import asyncio
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Any, cast

from support.agent import TOKEN, UNHURRIED, AgentProcess, environment, start
from support.hang import HANG_S
from support.nats import Nats, nats_cluster
from towerops_agent.api.wire.contract import Metric, SensorReading
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.sandbox.changes import Changes
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.device import SimulatedDevice, table

COMMUNITY = "group-community-77c1"
OID = "1.3.6.1.4.1.99999.1.0"


TICK_S = 0.1


Answering = Callable[[bytes, float], bytes | list[bytes] | None]


class Ground:
    """What the devices have in common. `answers`: how many requests each has answered.

    `deaf_to`: they do not hear datagrams from these ports, those of an agent that has lost its way to them.
    """

    def __init__(self) -> None:
        self.deaf_to: set[int] = set()
        self.answers: Counter[str] = Counter()
        self.answered = Changes()


class _Endpoint(asyncio.DatagramProtocol):
    """One device."""

    def __init__(self, key: str, answers: Answering, ground: Ground) -> None:
        self._key = key
        self._answers = answers
        self._ground = ground

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's promise
        self._began_at = asyncio.get_running_loop().time()

    def datagram_received(self, datagram: bytes, peer: tuple[str, int]) -> None:
        if peer[1] in self._ground.deaf_to:
            return
        answer = self._answers(datagram, asyncio.get_running_loop().time() - self._began_at)
        for octets in [answer] if isinstance(answer, bytes) else answer or []:
            self._transport.sendto(octets, peer)
        if answer:
            self._ground.answers[self._key] += 1
            self._ground.answered.tell()


def device() -> SimulatedDevice:
    rows = [
        (parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, lambda uptime_s: int(uptime_s * 100)),
        (parse_oid(OID), ber.GAUGE32, lambda uptime_s: int(uptime_s * 1000)),
    ]
    return SimulatedDevice(table(rows), COMMUNITY.encode())


def equipment(key: str, port: int, interval_s: int, **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "name": f"Device {key}",
        "ip_address": "127.0.0.1",
        "snmp": {"version": "2c", "community": COMMUNITY, "port": port},
        "poll_interval_seconds": interval_s,
        "sensors": [{"id": f"{key}-s", "type": "counter", "oid": OID, "divisor": 1}],
        "interfaces": [],
        **more,
    }


class GroupSite:
    """`agents`: by member. `nats`: one server beside each. `sandbox`: the API. `ground`: where the devices are.

    `by_links`: each member knows the server beside it only, else one that was slow to accept it is not cut off with that server.
    """

    def __init__(
        self,
        url: str,
        sandbox: Sandbox,
        nats: list[Nats],
        folder: Path,
        devices: int,
        interval_s: int,
        ground: "Ground",
        by_links: bool,
    ) -> None:
        self.sandbox = sandbox
        self.nats = nats
        self.devices = devices
        self.interval_s = interval_s
        self.ground = ground
        self.agents: dict[str, AgentProcess] = {}
        self._url = url
        self._folder = folder
        self._by_links = by_links
        self._ticks_us: list[int] = []

    def environment(self, member: str, **more: str) -> dict[str, str]:
        own = int(member[1:])
        servers = self.nats[own : own + 1] if self._by_links else self.nats[own:] + self.nats[:own]
        urls = ",".join(server.url for server in servers)
        settings = {"GROUP_NATS_URLS": urls, "GROUP_MEMBER": member, **more}
        return environment(self._url, self._folder / f"{member}.db", **settings)

    async def start(self, *members: str, **more: str) -> None:
        """Start these members, and wait until each polls its share."""
        for member in members:
            self.agents[member] = await start("run", env=self.environment(member, **more), code=UNHURRIED)
        for member in members:
            await self.agents[member].logged('msg="joined the group"')

    async def tick(self) -> None:
        """Note for good when this process comes to run: not while the machine stands still."""
        while True:
            self._ticks_us.append(self.now_us())
            await asyncio.sleep(TICK_S)

    async def all_polled(self) -> None:
        """Wait until each device has answered twice from now on."""
        before = self.ground.answers.copy()

        def waiting() -> list[str]:
            return [key for key in before if self.ground.answers[key] < before[key] + 2]

        try:
            async with asyncio.timeout(HANG_S):
                await self.ground.answered.until(lambda: not waiting())
        except TimeoutError:
            raise AssertionError(f"these are not polled any more: {waiting()}") from None

    async def logged(self, text: str, *members: str) -> None:
        """Wait until each of these members has logged it."""
        for member in members:
            await self.agents[member].logged(text)

    async def quiet(self, seconds: float) -> None:
        """Let time pass: what is tested here takes the time that it takes."""
        await asyncio.sleep(seconds)

    def now_us(self) -> int:
        return self.sandbox.store.clock_us()

    async def deliver_all(self) -> None:
        """Stop all members as an operator does: what they have polled is delivered."""
        for agent in self.agents.values():
            await agent.stop()

    def ports(self, member: str) -> set[int]:
        """The UDP ports of an agent."""
        folder = Path(f"/proc/{self.agents[member].pid}")
        links = (str(link.readlink()) for link in (folder / "fd").iterdir())
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        lines = (line.split() for line in (folder / "net" / "udp").read_text().splitlines()[1:])
        return {int(line[1].rpartition(":")[2], 16) for line in lines if line[9] in inodes}

    @staticmethod
    def at_us(metric: Metric) -> float:
        """When a value was read."""
        return datetime.fromisoformat(metric.timestamp).timestamp() * 1e6

    def times(self, since_us: int, until_us: int) -> dict[str, list[float]]:
        """When each device was polled, in seconds from `since_us` on."""
        times: dict[str, list[float]] = {f"d{n}": [] for n in range(self.devices)}
        for metric in self.sandbox.store.metrics:
            if isinstance(metric, SensorReading):
                at_us = self.at_us(metric)
                if since_us <= at_us <= until_us:
                    times[metric.sensor_id.removesuffix("-s")].append((at_us - since_us) / 1e6)
        return {key: sorted(some) for key, some in times.items()}

    def judge(self, since_us: int, until_us: int, *, rounds: int, extra: float = 0.05) -> None:
        """No device is left out for more than so many rounds, nor has a time twice; polls beyond the due ones are at most this
        share of them.

        A gap is longer if its seconds say so, and if most other devices were polled more often meanwhile: on a machine that stood
        still, or polls late, they were not. If none is polled any more, it is longer once this process has run on for that time
        and half of it.
        """
        length_s = (until_us - since_us) / 1e6
        times = self.times(since_us, until_us)
        assert self.sandbox.store.duplicates() == {}
        ticks = [(at_us - since_us) / 1e6 for at_us in self._ticks_us]
        longest = {key: longest_wait(times, key, length_s, rounds, self.interval_s, ticks) for key in times}
        long = {key: waited for key, waited in longest.items() if waited > rounds}
        assert not long, f"{len(long)} gaps over {rounds} rounds, up to {max(long.values())}: {examples(times, long)}"
        due = math.ceil(length_s / self.interval_s)
        beyond = sum(max(len(some) - due, 0) for some in times.values())
        assert beyond <= extra * due * self.devices, f"{beyond} polls beyond the due ones, which were {due * self.devices}"


def longest_wait(
    times: Mapping[str, list[float]], key: str, length_s: float, rounds: int, interval_s: int, ticks: list[float]
) -> int:
    """For how many rounds this device was not polled at the most, from 0 to `length_s`; 0 if no gap has the seconds of more.

    `ticks`: when this process ran on, each TICK_S.
    """
    waits = [0]
    for before, after in pairwise([0.0, *times[key], length_s]):
        if after - before > (rounds + 0.5) * interval_s:
            ran_s = TICK_S * (bisect_left(ticks, after) - bisect_right(ticks, before))
            waits.append(max(rounds_between(times, before, after), math.floor(ran_s / interval_s / 1.5)))
    return max(waits)


def rounds_between(times: Mapping[str, list[float]], before: float, after: float) -> int:
    """How often at least half of the devices were polled between the two moments."""
    return median_low(bisect_left(some, after) - bisect_right(some, before) for some in times.values())


def examples(times: Mapping[str, list[float]], long: Mapping[str, int]) -> str:
    """When the devices with the longest gaps were polled, in seconds, for whoever has to find out why."""
    worst = sorted(long, key=long.__getitem__, reverse=True)[:3]
    return "; ".join(f"{key} at " + " ".join(f"{at:.1f}" for at in times[key]) for key in worst)


@asynccontextmanager
async def group_site(
    folder: Path,
    devices: int,
    interval_s: int,
    *,
    members: int = 3,
    by_links: bool = False,
    more: Mapping[str, tuple[Any, dict[str, Any]]] | None = None,
) -> AsyncIterator[GroupSite]:
    """Devices, sandbox and servers; the agents are to be started. What still runs at the end is killed.

    `more`: other devices by id, each with what its configuration adds.
    """
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(nats_cluster(folder, members, by_links=by_links))
        ground = Ground()
        loop = asyncio.get_running_loop()

        async def serve(key: str, answers: Answering) -> int:
            ground.answers[key] = 0
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Endpoint(key, answers, ground), local_addr=("127.0.0.1", 0)
            )
            stack.callback(transport.close)
            return cast(int, transport.get_extra_info("sockname")[1])

        items = [equipment(f"d{n}", await serve(f"d{n}", device().answer), interval_s) for n in range(devices)]
        items += [
            equipment(key, await serve(key, one.answer), interval_s, sensors=[], **of) for key, (one, of) in (more or {}).items()
        ]
        sandbox = Sandbox({"version": "1", "equipment": items}, TOKEN)
        url = await stack.enter_async_context(sandbox.serve())
        site = GroupSite(url, sandbox, nats, folder, devices, interval_s, ground, by_links)
        ticking = asyncio.create_task(site.tick())
        try:
            yield site
        finally:
            ticking.cancel()
            for agent in site.agents.values():
                await agent.kill()
