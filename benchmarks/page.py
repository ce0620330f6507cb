#!/usr/bin/env python3
"""What `towerops-agent page` takes to show a site of 50 and of 1,000 devices, each with 24 hours of polls, and how much it sends.

    .venv/bin/python benchmarks/page.py [DEVICES …]

Each device has 12 sensors and 9 interfaces, polled each minute; all but the last ten minutes is delivered, and packed as the
agent packs it. The database is the agent's own, written by its buffer in a moment. Seconds are of CPU, of the first view of a
process and of the best of three more; kB are of the answer, and of it compressed, as a browser gets it.
"""

import asyncio
import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import config_text
from towerops_agent.config.kept import seal
from towerops_agent.counters import Counters
from towerops_agent.model import INTERFACE_COLUMNS, Layout, Poll, Secret
from towerops_agent.page.site import Site

SENSORS, INTERFACES = 12, 9
MINUTE_US = 60_000_000
MINUTES = 24 * 60
WAITING = 10
TOKEN = Secret("benchmark-token")


def config(devices: int) -> bytes:
    """The API's configuration."""
    return msgspec.json.encode({"version": "1", "equipment": [_equipment(n) for n in range(devices)]})


def _equipment(n: int) -> dict[str, object]:
    return {
        "id": f"device-{n:04}",
        "name": f"Tower {n // 20} radio {n % 20}",
        "ip_address": f"10.0.{n // 250}.{n % 250}",
        "snmp": {"version": "2c", "community": "benchmark-community"},
        "sensors": [
            {"id": f"device-{n:04}-s{i}", "type": "temperature", "oid": f"1.3.6.1.4.1.9.{i}", "divisor": 10, "unit": "°C"}
            for i in range(SENSORS)
        ],
        "interfaces": [{"id": f"device-{n:04}-i{i}", "if_index": i, "if_name": f"ether{i}"} for i in range(1, INTERFACES + 1)],
    }


async def write(path: Path, devices: int, end_us: int) -> None:
    """A day of polls, up to `end_us`."""
    now_us = end_us - MINUTES * MINUTE_US
    buffer = Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us, max_octets=1 << 33)
    random = Random(1)
    async with buffer:
        layouts = await buffer.register_all(
            Layout(
                f"device-{n:04}",
                tuple((f"device-{n:04}-s{i}", 10.0) for i in range(SENSORS)),
                tuple(f"device-{n:04}-i{i}" for i in range(1, INTERFACES + 1)),
            )
            for n in range(devices)
        )
        await buffer.keep_config(seal(TOKEN, config_text(config(devices))))
        octets = [[random.randrange(1 << 40) for _ in range(2 * INTERFACES)] for _ in layouts]
        values = [[0] * (SENSORS + INTERFACES * len(INTERFACE_COLUMNS)) for _ in layouts]
        for minute in range(MINUTES):
            for layout, counters, row in zip(layouts, octets, values, strict=True):
                for i in range(SENSORS):
                    row[i] = 400 + random.randrange(40)
                for i in range(INTERFACES):
                    at = SENSORS + i * len(INTERFACE_COLUMNS)
                    for j in range(2):
                        counters[2 * i + j] += random.randrange(400_000_000)
                        row[at + j] = counters[2 * i + j]
                metrics = SENSORS + INTERFACES
                buffer.add(Poll(layout, now_us, tuple(row), ((SENSORS, 1_000), (INTERFACES, 2_000)), metrics))
            now_us += MINUTE_US
            if minute == MINUTES - WAITING or (minute % 30 == 29 and minute < MINUTES - WAITING):
                await buffer.flush()
                while (batch := await buffer.next_batch(100_000)) is not None:
                    await buffer.acknowledge(batch)
                await buffer.clean_up()


def measure(path: Path, devices: int, end_us: int) -> list[str]:
    """Lines of figures."""
    site = Site(path, lambda: TOKEN, lambda: end_us)
    first_s, octets = _timed(lambda: msgspec.json.encode(site.overview()))
    again_s = min(_timed(lambda: msgspec.json.encode(site.overview()))[0] for _ in range(3))
    size = f"database {path.stat().st_size / 1e6:.0f} MB"
    lines = [f"{devices:>5} devices: first view {first_s:.3f} s, again {again_s:.3f} s, {_kilobytes(octets)}; {size}"]
    device_s, octets = min(_timed(lambda: msgspec.json.encode(site.device("device-0007"))) for _ in range(3))
    lines.append(f"               24 h of a device {device_s:.3f} s, {_kilobytes(octets)}")
    return lines


def _timed(make: Callable[[], bytes]) -> tuple[float, bytes]:
    begun_s = time.process_time()
    made = make()
    return time.process_time() - begun_s, made


def _kilobytes(octets: bytes) -> str:
    return f"{len(octets) / 1000:.1f} kB ({len(gzip.compress(octets, 6)) / 1000:.1f} compressed)"


def main(counts: list[int]) -> None:
    """Print the figures for sites of so many devices."""
    for devices in counts:
        with tempfile.TemporaryDirectory() as folder:
            end_us = time.time_ns() // 1000
            path = Path(folder) / "agent.db"
            asyncio.run(write(path, devices, end_us))
            print("\n".join(measure(path, devices, end_us)))


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [50, 1_000])
