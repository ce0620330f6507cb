"""A small site for system tests: simulated devices on loopback and the configuration that polls them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from support.agent import environment
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.sandbox.changes import Changes
from towerops_lab.simulator.device import SimulatedDevice, table
from towerops_lab.simulator.server import serve

COMMUNITY = "site-community-5d0a"
SENSORS = 5


def simulated_device() -> SimulatedDevice:
    """A device with five sensors that tell the time (so that each reading is another one), and two interfaces."""
    rows = [(parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, lambda uptime_s: int(uptime_s * 100))]
    rows += [
        (parse_oid(f"1.3.6.1.4.1.99999.1.{i}.0"), ber.GAUGE32, lambda uptime_s, i=i: int(uptime_s * 1000) + i)
        for i in range(SENSORS)
    ]
    for if_index in (1, 2):
        for column in (6, 10):
            name = parse_oid(f"1.3.6.1.2.1.31.1.1.1.{column}.{if_index}")
            rows.append((name, ber.COUNTER64, lambda uptime_s: (1 << 40) + int(uptime_s * 1e6)))
        rows += [(parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.{if_index}"), ber.COUNTER32, 7) for column in (13, 14, 19, 20)]
    return SimulatedDevice(table(rows), COMMUNITY.encode())


class Radio:
    """A simulated device that can be switched off, and counts the requests that reach it."""

    def __init__(self) -> None:
        self.is_on = True
        self._device = simulated_device()
        self._requests = 0
        self._changes = Changes()

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | None:
        self._requests += 1
        self._changes.tell()
        return self._device.answer(datagram, uptime_s) if self.is_on else None

    async def asked(self, times: int) -> None:
        """Return when it has been asked so many times more."""
        wanted = self._requests + times
        await self._changes.until(lambda: self._requests >= wanted)


def equipment(key: str, port: int, interval_s: int = 1, **snmp: object) -> dict[str, Any]:
    """The configuration of one simulated device."""
    return {
        "id": key,
        "name": f"Device {key}",
        "ip_address": "127.0.0.1",
        "snmp": {"version": "2c", "community": COMMUNITY, "port": port, **snmp},
        "poll_interval_seconds": interval_s,
        "sensors": [
            {"id": f"{key}-s{i}", "type": "counter", "oid": f".1.3.6.1.4.1.99999.1.{i}.0", "divisor": 10} for i in range(SENSORS)
        ],
        "interfaces": [{"id": f"{key}-i{i}", "if_index": i, "if_name": f"eth{i}"} for i in (1, 2)],
    }


@asynccontextmanager
async def site(devices: int, interval_s: int = 1) -> AsyncIterator[dict[str, Any]]:
    """So many simulated devices, and the configuration that polls them all."""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(serve(simulated_device())) for _ in range(devices)]
        yield {"version": "1", "equipment": [equipment(f"d{i}", port, interval_s) for i, port in enumerate(ports)]}


METRICS_A_POLL = SENSORS + 2


def site_environment(path: Path, database: Path, **more: str) -> dict[str, str]:
    """The environment of an agent that has a site file in the API's place."""
    given = environment("", database, SITE_PATH=str(path), **more)
    return {name: value for name, value in given.items() if name not in ("TOWEROPS_API_URL", "TOWEROPS_AGENT_TOKEN")}


async def command(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """What `towerops-agent` prints with these arguments, both streams, and its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", *arguments),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
