"""How fast a backlog is drained: the real buffer, courier and client over HTTP, a server at a distance that takes all it gets.

    python benchmarks/catch_up.py [devices] [minutes]

Prints, per size of a request: metrics a second, how many times faster than it grew (1,000 devices of 68 metrics, polled each
minute), requests under way, and the agent's CPU a metric (server included: it reads the bodies and no more).
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import structlog

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.model import Layout, Poll, Secret

ROUND_TRIP_S = 0.1
SENSORS, INTERFACES = 20, 48
METRICS = SENSORS + INTERFACES
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"status":"accepted"}'


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
            await asyncio.sleep(ROUND_TRIP_S)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.close()


async def fill(buffer: Buffer, devices: int, minutes: int) -> None:
    ids = [f"00000000-0000-4000-8000-{n:012d}" for n in range(METRICS)]
    layouts = await buffer.register_all(
        Layout(f"device-{n}", tuple((f"{name[:-4]}{n:04d}", 10.0) for name in ids[:SENSORS]), tuple(ids[SENSORS:]))
        for n in range(devices)
    )
    begin_us = time.time_ns() // 1000 - minutes * 60_000_000
    for minute in range(minutes):
        values = (*range(minute, minute + SENSORS), *(minute * 10**6 + n for n in range(6 * INTERFACES)))
        for layout in layouts:
            buffer.add(Poll(layout, begin_us + minute * 60_000_000, values, ((METRICS, 1000),), METRICS))
        await buffer.flush()


async def drain(accepts: Accepts, devices: int, minutes: int) -> None:
    counters = Counters()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ApiClient(url, TokenSource(Secret("t0ken"))) as client,
            Buffer(Path(folder) / "agent.db", counters, clock_us=lambda: time.time_ns() // 1000) as buffer,
        ):
            await fill(buffer, devices, minutes)
            await buffer.part_backlog()
            courier = Courier(buffer, client, counters, accepts=lambda: accepts)
            began_s, cpu_s = time.perf_counter(), time.process_time()
            assert await courier.deliver_pending()
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    server.close()
    metrics = counters.total(Count.METRICS_DELIVERED)
    grew = devices * METRICS / 60
    print(
        f"{accepts.max_metrics:6} a request{' gzip' if accepts.content_encodings else '':5}  {metrics / took_s:9,.0f} metrics/s"
        f"  {metrics / took_s / grew:5.0f} times faster than it grew  {courier.course.most_in_flight} under way"
        f"  {cpu_s / metrics * 1e6:4.2f} us CPU a metric"
    )


async def main(devices: int, minutes: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    for accepts in (
        Accepts(),
        Accepts(is_stated=True),
        Accepts(("gzip",), is_stated=True),
        Accepts((), 5000, 4 << 20, is_stated=True),
        Accepts(("gzip",), 5000, 4 << 20, is_stated=True),
    ):
        await drain(accepts, devices, minutes)


if __name__ == "__main__":
    devices, minutes = [*map(int, sys.argv[1:]), 1000, 10][:2] if len(sys.argv) != 2 else (int(sys.argv[1]), 10)
    asyncio.run(main(devices, minutes))
