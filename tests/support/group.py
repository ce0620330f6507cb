"""A group of real agents on real servers: simulated devices, a sandbox, nats-servers, and what the sandbox received."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from support.agent import TOKEN, UNHURRIED, AgentProcess, environment, start
from support.nats import Nats, nats_cluster
from towerops_agent.api.wire.contract import Metric, SensorReading
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.device import SimulatedDevice, table

COMMUNITY = "group-community-77c1"
OID = "1.3.6.1.4.1.99999.1.0"


Answering = Callable[[bytes, float], bytes | list[bytes] | None]


class _Endpoint(asyncio.DatagramProtocol):
    """One device. It does not hear datagrams from `deaf_to`, ports of an agent that has lost its way to it."""

    def __init__(self, answers: Answering, deaf_to: set[int]) -> None:
        self._answers = answers
        self._deaf_to = deaf_to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's promise
        self._began_at = asyncio.get_running_loop().time()

    def datagram_received(self, datagram: bytes, peer: tuple[str, int]) -> None:
        if peer[1] in self._deaf_to:
            return
        answer = self._answers(datagram, asyncio.get_running_loop().time() - self._began_at)
        for octets in [answer] if isinstance(answer, bytes) else answer or []:
            self._transport.sendto(octets, peer)


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
    """`agents`: by member. `nats`: one server beside each. `sandbox`: the API."""

    def __init__(self, url: str, sandbox: Sandbox, nats: list[Nats], folder: Path, devices: int, interval_s: int) -> None:
        self.sandbox = sandbox
        self.nats = nats
        self.devices = devices
        self.interval_s = interval_s
        self.deaf_to: set[int] = set()
        self.agents: dict[str, AgentProcess] = {}
        self._url = url
        self._folder = folder

    def environment(self, member: str, **more: str) -> dict[str, str]:
        own = int(member[1:])
        urls = ",".join(server.url for server in self.nats[own:] + self.nats[:own])
        settings = {"GROUP_NATS_URLS": urls, "GROUP_MEMBER": member, "NO_PROXY": "*", **more}
        return environment(self._url, self._folder / f"{member}.db", **settings)

    async def start(self, *members: str, **more: str) -> None:
        """Start these members, and wait until each polls its share."""
        for member in members:
            self.agents[member] = await start("run", env=self.environment(member, **more), code=UNHURRIED)
        for member in members:
            await self.agents[member].logged('msg="joined the group"')

    async def all_polled(self) -> None:
        """Wait until each device has been polled once, as far as the members' logs show."""
        await self.quiet(self.interval_s + 1)

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

    def judge(self, since_us: int, until_us: int, *, gap_s: float, extra: float = 0.05) -> None:
        """No device has a longer gap, nor a time twice; polls beyond the due ones are at most this share of them."""
        length_s = (until_us - since_us) / 1e6
        times = self.times(since_us, until_us)
        assert self.sandbox.store.duplicates() == {}
        gaps = {key: max(after - before for before, after in pairwise([0.0, *some, length_s])) for key, some in times.items()}
        long = {key: gap for key, gap in gaps.items() if gap > gap_s}
        assert not long, f"{len(long)} gaps over {gap_s} s, up to {max(long.values()):.1f} s: {examples(times, long)}"
        due = math.ceil(length_s / self.interval_s)
        beyond = sum(max(len(some) - due, 0) for some in times.values())
        assert beyond <= extra * due * self.devices, f"{beyond} polls beyond the due ones, which were {due * self.devices}"


def examples(times: Mapping[str, list[float]], long: Mapping[str, float]) -> str:
    """When the devices with the longest gaps were polled, for whoever has to find out why."""
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
        deaf_to: set[int] = set()
        loop = asyncio.get_running_loop()

        async def serve(answers: Answering) -> int:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Endpoint(answers, deaf_to), local_addr=("127.0.0.1", 0))
            stack.callback(transport.close)
            return cast(int, transport.get_extra_info("sockname")[1])

        items = [equipment(f"d{n}", await serve(device().answer), interval_s) for n in range(devices)]
        items += [
            equipment(key, await serve(one.answer), interval_s, sensors=[], **of) for key, (one, of) in (more or {}).items()
        ]
        sandbox = Sandbox({"version": "1", "equipment": items}, TOKEN)
        url = await stack.enter_async_context(sandbox.serve())
        site = GroupSite(url, sandbox, nats, folder, devices, interval_s)
        site.deaf_to = deaf_to
        try:
            yield site
        finally:
            for agent in site.agents.values():
                await agent.kill()
