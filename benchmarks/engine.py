"""CPU of a GET of 1, 20 and 60 OIDs: this agent's SNMP client beside gufo-snmp, pysnmp and net-snmp's command, in one run.

    python benchmarks/engine.py [--gets 2000]

50 devices are asked side by side, each one request after the other. CPU seconds of the asking process (children included), the
least of three rounds. A library that is not installed is left out: they are in the extra `bench`. 60 OIDs pass what the agent
asks at once (see polling/course/traits.py).
"""

import argparse
import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from devices import FIRST, answering
from machine import heading, note, row

from towerops_agent.counters import Counters
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.exchange import Reply
from towerops_agent.snmp.wire.message import Community, Request, Version

SIZES = (1, 20, 60)
DEVICES = 50
ROUNDS = 3
COLUMNS = ("31.1.1.1.6", "31.1.1.1.10", "2.2.1.14", "2.2.1.20", "2.2.1.13", "2.2.1.19")
SHARE = {"pysnmp": 10, "net-snmp's snmpget": 10}
"""Slow ones make so many times fewer GETs."""


def oids(count: int) -> list[str]:
    """OIDs of interfaces, column by column as a poll asks them."""
    return [f"1.3.6.1.2.1.{COLUMNS[i % 6]}.{1 + i // 6}" for i in range(count)]


async def ours(port: int, names: list[str], gets: int) -> None:
    request, community = Request(tuple(map(parse_oid, names))), Community(Version.V2C, b"public")

    async with SnmpClient(Counters()) as client:

        async def one_device(n: int) -> None:
            peer = (str(FIRST + n), port)
            for _ in range(gets // DEVICES):
                answer = await client.ask(peer, community, request, (2.0, 2.0))
                assert isinstance(answer, Reply)
                assert len(answer.pdu.values) == len(names)

        await _all(one_device)


async def gufo(port: int, names: list[str], gets: int) -> None:
    from gufo.snmp import SnmpVersion
    from gufo.snmp.aio import SnmpSession

    async def one_device(n: int) -> None:
        async with SnmpSession(
            addr=str(FIRST + n), port=port, community="public", version=SnmpVersion.v2c, timeout=2.0
        ) as session:
            for _ in range(gets // DEVICES):
                values = await session.get_many(names)
                assert len(values) == len(names)

    await _all(one_device)


async def pysnmp(port: int, names: list[str], gets: int) -> None:
    from pysnmp.hlapi.v3arch import asyncio as hlapi

    engine = hlapi.SnmpEngine()

    async def one_device(n: int) -> None:
        target = await hlapi.UdpTransportTarget.create((str(FIRST + n), port), timeout=2, retries=1)
        for _ in range(gets // DEVICES):
            wanted = [hlapi.ObjectType(hlapi.ObjectIdentity(name)) for name in names]
            failure, status, _, values = await hlapi.get_cmd(
                engine, hlapi.CommunityData("public"), target, hlapi.ContextData(), *wanted, lookupMib=False
            )
            assert not failure, failure
            assert not status
            assert len(values) == len(names)

    await _all(one_device)
    engine.close_dispatcher()


async def command(port: int, names: list[str], gets: int) -> None:
    for n in range(gets):
        line = ["snmpget", "-v2c", "-cpublic", "-On", f"{FIRST + n % DEVICES}:{port}", *names]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


async def _all(one_device: Callable[[int], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(DEVICES):
            group.create_task(_awaited(one_device(n)))


async def _awaited(work: Awaitable[None]) -> None:
    await work


ENGINES = {"towerops-agent": ours, "gufo-snmp": gufo, "pysnmp": pysnmp, "net-snmp's snmpget": command}


def main(gets: int) -> None:
    heading(f"engine: us CPU a GET of so many OIDs, {gets:,} GETs a round, {DEVICES} devices at once")
    row("", *(f"{size} OID{'s' * (size > 1)}" for size in SIZES), "a value of 60")
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as devices:
        for name in ENGINES:
            if name == "net-snmp's snmpget" and not shutil.which("snmpget"):
                note(f"{name}: not installed")
                continue
            cost_s = [[_child(name, devices.port, size, gets) for _ in range(ROUNDS)] for size in SIZES]
            if any(None in rounds for rounds in cost_s):
                note(f"{name}: not installed, or it failed")
                continue
            least = [min(s for s in rounds if s is not None) * 1e6 for rounds in cost_s]
            row(name, *(f"{us:,.1f}" for us in least), f"{least[-1] / SIZES[-1]:.2f}")
        note(f"devices: {devices.kind}")


def _child(name: str, port: int, size: int, gets: int) -> float | None:
    """CPU seconds a GET, of a process of its own."""
    gets = max(gets // SHARE.get(name, 1), DEVICES)
    work = [sys.executable, __file__, "--engine", name, "--port", str(port), "--size", str(size), "--gets", str(gets)]
    done = subprocess.run(work, capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def measured(name: str, port: int, size: int, gets: int) -> float:
    """CPU seconds a GET, children's included; a few GETs before warm up."""
    asyncio.run(ENGINES[name](port, oids(size), DEVICES))
    before_s = _cpu_s()
    asyncio.run(ENGINES[name](port, oids(size), gets))
    return _cpu_s() - before_s


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gets", type=int, default=2000)
    parser.add_argument("--full", action="store_true", help="20,000 GETs")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        print(measured(options.engine, options.port, options.size, options.gets) / options.gets)
    else:
        main(20_000 if options.full else options.gets)
