"""What a value costs in the buffer, in octets and CPU: plain, packed, beside a row per metric as JSON; and how fast it drains.

.venv/bin/python benchmarks/buffer.py [--devices 20] [--hours 6] [--busy 0.7]

Devices have 48 interfaces and 20 sensors, 308 values a poll and one poll a minute. Traffic is a random walk around the
interface's own rate, errors and discards stand still but for one in a hundred polls, sensors are noisy. CPU is the process's.
"""

import argparse
import asyncio
import json
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.counters import Counters
from towerops_agent.delivery.course.parcel import encode, metrics_in
from towerops_agent.model import Layout, Poll

INTERFACES, SENSORS = 48, 20
VALUES = SENSORS + 6 * INTERFACES
METRICS = SENSORS + INTERFACES
T0_US = 1_767_986_535_000_000
MINUTE_US = 60_000_000
GAUGES = [(450, 8), (-62, 2), (2400, 15), (12000, 300), (97, 1), (33, 1)]
FAR_US = 1 << 50


def device(rng: random.Random, busy: float) -> Iterator[tuple[int, ...]]:
    """The readings of one device, a poll after the other. `busy`: the share of its interfaces that carry traffic."""
    sensors = [rng.choice(GAUGES) for _ in range(SENSORS)]
    octets_a_minute = [10 ** rng.uniform(2, 9) * 7.5 if rng.random() < busy else 0.0 for _ in range(2 * INTERFACES)]
    level = [1.0] * (2 * INTERFACES)
    octets = [rng.randrange(1 << 44) if rate else rng.choice([0, rng.randrange(1 << 20)]) for rate in octets_a_minute]
    errors = [[rng.choice([0, 0, 0, rng.randrange(5_000)]) for _ in range(4)] for _ in range(INTERFACES)]
    while True:
        for i, rate in enumerate(octets_a_minute):
            level[i] = min(4.0, max(0.1, level[i] * (1 + rng.gauss(0, 0.08))))
            octets[i] += int(rate * level[i] * max(0.2, 1 + rng.gauss(0, 0.1)))
        values = [round(rng.gauss(mean, deviation)) for mean, deviation in sensors]
        for i in range(INTERFACES):
            if rng.random() < 0.01:
                errors[i][rng.randrange(4)] += rng.randrange(1, 4)
            values += octets[2 * i : 2 * i + 2] + errors[i]
        yield tuple(values)


def layout(number: int) -> Layout:
    """A device's ids, as long as the API's."""
    ids = random.Random(number)

    def new_id() -> str:
        return f"{ids.getrandbits(128):032x}"

    return Layout(new_id(), tuple((new_id(), 10.0) for _ in range(SENSORS)), tuple(new_id() for _ in range(INTERFACES)))


def polls_of(devices: int, minutes: int, busy: float) -> list[list[Poll]]:
    """All polls, by minute; made before anything is measured."""
    walks = [device(random.Random(number), busy) for number in range(devices)]
    return [
        [
            Poll(
                number + 1,
                T0_US + minute * MINUTE_US + number * 1_000,
                next(walk),
                ((SENSORS, 20_000), (24, 45_000), (24, 70_000)),
                METRICS,
            )
            for number, walk in enumerate(walks)
        ]
        for minute in range(minutes)
    ]


def file_octets(path: Path) -> int:
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


class Meter:
    """CPU seconds since it was last asked."""

    def __init__(self) -> None:
        self._then = time.process_time()

    def lap_s(self) -> float:
        now = time.process_time()
        lap_s, self._then = now - self._then, now
        return lap_s


async def in_the_buffer(path: Path, by_minute: list[list[Poll]], layouts: list[Layout]) -> None:
    now_us = T0_US
    values = sum(len(polls) for polls in by_minute) * VALUES
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        assert await buffer.register_all(layouts) == list(range(1, len(layouts) + 1))
        meter = Meter()
        for polls in by_minute:
            now_us += MINUTE_US
            for poll in polls:
                buffer.add(poll)
            await buffer.flush()
        show("plain, a row per poll", meter.lap_s(), await octets_now(buffer, path), values)
        now_us += FAR_US  # all of it is no longer young
        meter.lap_s()
        while not (await buffer.ask(lambda store: store.pack())).done:
            pass
        packed_s = meter.lap_s()
        await buffer.ask(lambda store: store.connection.executescript("PRAGMA incremental_vacuum"))
        show("packed (CPU: the packing)", packed_s, await octets_now(buffer, path), values)
        await drain(buffer, len(layouts))


async def octets_now(buffer: Buffer, path: Path) -> int:
    await buffer.ask(lambda store: store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    return file_octets(path)


async def drain(buffer: Buffer, devices: int) -> None:
    """Cut, read, encode as JSON and acknowledge batches of 1,000, as the courier does but for the network."""
    await buffer.part_backlog()
    meter, begin_s = Meter(), time.perf_counter()
    metrics = 0
    while batch := await buffer.next_batch(1_000, Lane.BACKLOG):
        encode(metrics_in((p.layout, p.poll, p.first_metric, p.stop_metric) for p in await buffer.read(batch)))
        await buffer.acknowledge(batch)
        metrics += batch.metric_count
    cpu_s, took_s = meter.lap_s(), time.perf_counter() - begin_s
    rate = metrics / took_s
    print(
        f"drained from packs: {rate:,.0f} metrics/s, {cpu_s / metrics * METRICS / VALUES * 1e6:.2f} µs CPU a value with its JSON"
    )
    print(f"  {rate / (devices * METRICS / 60):,.0f} times as fast as these {devices} devices fill it", end="")
    print(f", {rate / (1_000 * METRICS / 60):,.0f} times as fast as 1,000 do")


def rows_of_json(path: Path, by_minute: list[list[Poll]], layouts: list[Layout]) -> None:
    """The way that is usual: a row per metric, the metric as JSON."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0)"
    )
    meter = Meter()
    for polls in by_minute:
        connection.execute("BEGIN")
        for poll in polls:
            body = encode(metrics_in([(layouts[poll.layout - 1], poll, 0, METRICS)]))
            rows = [(json.dumps(metric),) for metric in json.loads(body)["metrics"]]
            connection.executemany("INSERT INTO metrics (metric) VALUES (?)", rows)
        connection.execute("COMMIT")
    cpu_s = meter.lap_s()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    show("a row per metric, as JSON", cpu_s, file_octets(path), sum(len(polls) for polls in by_minute) * VALUES)
    connection.close()


def show(what: str, cpu_s: float, octets: int, values: int) -> None:
    print(f"{what:28} {octets / values:7.2f} octets a value {cpu_s / values * 1e6:7.3f} µs CPU a value {octets:13,} octets")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--hours", type=float, default=6.0, help="how much history each device has")
    parser.add_argument("--busy", type=float, default=0.7, help="the share of interfaces that carry traffic")
    arguments = parser.parse_args()
    by_minute = polls_of(arguments.devices, round(arguments.hours * 60), arguments.busy)
    layouts = [layout(number) for number in range(arguments.devices)]
    machine = f"{platform.machine()} {platform.system()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    print(f"{arguments.devices} devices x {VALUES} values ({METRICS} metrics), {len(by_minute)} polls each,", end="")
    print(f" {arguments.busy:.0%} of the interfaces busy")
    with tempfile.TemporaryDirectory(prefix="buffer-") as directory:
        asyncio.run(in_the_buffer(Path(directory) / "agent.db", by_minute, layouts))
        rows_of_json(Path(directory) / "json.db", by_minute[: max(len(by_minute) // 10, 1)], layouts)


if __name__ == "__main__":
    main()
