"""Pings of 10,000 devices, five a minute each, beside fping, and beside the libraries that a program in Python would take.

    python benchmarks/ping.py [--devices 10000] [--seconds 60]

The devices are addresses of this machine (127.0.0.0/8): the kernel answers for them, at the cost of whoever sends, so its work is
in each figure. First the agent's part: each echo at its time, rounds kept as polls. Then as many echoes by fping (Debian's
package), at the same rate. Then, a burst each, by PingClient, icmplib and aioping if they are installed. Needs the right to ping.
"""

import argparse
import asyncio
import importlib.util
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from machine import heading, note, row

from towerops_agent.counters import Count, Counters
from towerops_agent.model import Equipment, PingPlan, Poll
from towerops_agent.ping.client import PingClient
from towerops_agent.ping.sockets import NotSent
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.polling.course.device import Device, make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.scheduling.echoes import Echoes
from towerops_agent.snmp.session import Resolver

PLAN = PingPlan(5, 60)
BURST = 2000
AT_ONCE = 500


def cpu_s(who: int = resource.RUSAGE_SELF) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def address(number: int) -> str:
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def device(number: int, planner: Planner) -> Device:
    made = make_device(Equipment(f"d{number}", f"d{number}", address(number), ping=PLAN, has_snmp=False), 1, b"", planner)
    made.ping_layout = 2
    return made


async def paced(count: int, seconds: float) -> None:
    """The agent's part, once it runs evenly."""
    counters, polls = Counters(), list[Poll]()
    async with PingClient(counters) as client:
        echoes = Echoes(client, Resolver().resolve, counters, polls.append, now_us=lambda: time.time_ns() // 1000)
        planner = Planner()
        for number in range(1, count + 1):
            echoes.follow(device(number, planner))
        running = asyncio.create_task(echoes.run())
        await asyncio.sleep(PLAN.interval_s / PLAN.count + 1)  # each has been sent its first echo
        sent, began, used = len(polls), time.monotonic(), cpu_s()
        await asyncio.sleep(seconds)
        took, used = time.monotonic() - began, cpu_s() - used
        running.cancel()
    rate = count * PLAN.count / PLAN.interval_s
    row("agent: cores", f"{used / took:.3f}")
    row("agent: CPU an echo", f"{used / took / rate * 1e6:.1f} µs")
    ended = polls[sent:]
    best = statistics.median(poll.values[2] or 0 for poll in ended) if ended else 0
    row("agent: rounds", f"{len(ended):,} ended, median of the least round trips {best:.0f} µs")
    for one in (Count.PINGS, Count.PINGS_DISCARDED, Count.PINGS_UNSENT):
        note(f"{one}: {', '.join(f'{n:,} {reason}' for reason, n in counters.by_reason(one).items()) or 'none'}")


def by_fping(count: int, seconds: float) -> None:
    """As many echoes as the agent sends in this time, at the same rate."""
    if shutil.which("fping") is None:
        note("fping is not installed: apt-get install fping")
        return
    each = max(round(seconds * PLAN.count / PLAN.interval_s), 1)
    period_ms = PLAN.interval_s * 1000 // PLAN.count
    used, began = cpu_s(resource.RUSAGE_CHILDREN), time.monotonic()
    command = ["fping", "-q", "-c", str(each), "-p", str(period_ms), "-i", "1"]
    hosts = "\n".join(address(number) for number in range(1, count + 1))
    said = subprocess.run(command, input=hosts, capture_output=True, text=True, check=False)
    used, took = cpu_s(resource.RUSAGE_CHILDREN) - used, time.monotonic() - began
    if said.returncode > 1:
        sys.exit(said.stderr)
    row("fping: CPU an echo", f"{used / (count * each) * 1e6:.1f} µs")
    row("fping: cores", f"{used / took:.3f} over {took:.0f} s")


async def burst(name: str, ping: Callable[[str], Coroutine[Any, Any, float | None]]) -> None:
    """One echo to each of BURST hosts, AT_ONCE at a time: the cost, and the round trips that are reported."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(host: str) -> float | None:
        async with places:
            return await ping(host)

    used = cpu_s()
    trips = await asyncio.gather(*(one(address(number)) for number in range(1, BURST + 1)))
    used = cpu_s() - used
    came = [trip for trip in trips if trip is not None]
    median = f"{statistics.median(came):.3f} ms" if came else "none"
    row(f"{name}: CPU an echo", f"{used / BURST * 1e6:.0f} µs", f"{len(came):,} answered", f"median {median}")


async def by_client() -> None:
    async with PingClient(Counters()) as client:

        async def ping(host: str) -> float | None:
            found = await client.ask((host, 0), 1, 0.0, 1.0, until_first=True)
            return None if not isinstance(found, Tally) or found.rtt_min_us is None else found.rtt_min_us / 1000

        await burst("PingClient", ping)


async def by_icmplib() -> None:
    import icmplib

    async def ping(host: str) -> float | None:
        found = await icmplib.async_ping(host, count=1, timeout=1)
        return found.min_rtt if found.is_alive else None

    await burst("icmplib", ping)


async def by_aioping() -> None:
    import aioping

    async def ping(host: str) -> float | None:
        try:
            return await aioping.ping(host, timeout=1) * 1000
        except (TimeoutError, OSError):
            return None

    await burst("aioping", ping)


async def may_ping() -> bool:
    async with PingClient(Counters()) as client:
        return not isinstance(await client.ask(("127.0.0.1", 0), 1, 0.0, 1.0), NotSent)


def main(count: int, seconds: float) -> None:
    if not asyncio.run(may_ping()):
        sys.exit("this process may not ping: see docs/ping.md")
    heading(f"pings: {count:,} devices x {PLAN.count} a minute")
    asyncio.run(paced(count, seconds))
    by_fping(count, seconds)
    asyncio.run(by_client())
    for name, run in (("icmplib", by_icmplib), ("aioping", by_aioping)):
        if importlib.util.find_spec(name) is None:
            note(f"{name} is not installed, and not compared")
        else:
            asyncio.run(run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    main(asked.devices, asked.seconds)
