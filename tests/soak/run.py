#!/usr/bin/env python3
"""Soak the agent: devices, API, disk, clock and process fail at random, and each value is accounted for in the end.

    python tests/soak/run.py [--minutes 30] [--devices 500] [--seed 1]
    python tests/soak/run.py --short [--seed 1]                            (some 30 s, 40 devices; part of the suite)

    sent by the devices = delivered + counted by the agent with a reason + in memory when the agent was killed or stopped

What was sent and what was acknowledged is kept here, outside of the agent (ledger.py). A value that is delivered twice, that no
device sent, that is another device's or another time's is a failure, and so are a bug line in the log and a stop with a bad
status. It needs namespaces of its own for the network, whose lost datagrams it counts, and for a small disk that fills; exit
status 77 if the machine does not allow them. Without a C compiler the clock is not stepped. Linux.
"""

import argparse
import asyncio
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from account import account, lost_datagrams
from devices import Device, Weather, answering, configuration
from ledger import Clock, Ledger
from process import Agent
from server import FAULTS, Api

SKIPPED = 77
INSIDE = "TOWEROPS_SOAK_INSIDE"

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
"""How loopback is brought up in a new network namespace (netdevice(7))."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what happens, and for how long, in seconds."""

    api_pause: Range
    api_fault: Range
    device_pause: Range
    device_fault: Range
    end_pause: Range
    step_pause: Range
    disk_pause: Range
    disk_full: Range
    disk_mb: int


LONG = Pace((5, 25), (4, 45), (2, 12), (3, 20), (45, 120), (40, 120), (120, 240), (20, 60), 96)
SHORT = Pace((1, 2), (1, 4), (0.5, 2), (1, 4), (5, 8), (3, 6), (3, 5), (2, 4), 12)

SETTLED_WITHIN_S = 300.0


class Soak:
    """One soak."""

    def __init__(self, agent: Agent, api: Api, devices: list[Device], disk: Path, pace: Pace, seed: int) -> None:
        self._agent = agent
        self._api = api
        self._devices = devices
        self._disk = disk
        self._pace = pace
        self._seed = seed
        self._upright = asyncio.Lock()  # held while the disk is full: a stop then loses what is in memory, as it says
        self.happened: dict[str, int] = {}

    async def run(self, seconds: float) -> None:
        """Let all fail for so long, each in its own rhythm; then let all work."""
        begun = [self._api_fails, self._devices_fail, self._agent_ends, self._disk_fills]
        begun += [self._clock_steps] if self._agent.has_clock else []
        tasks = [asyncio.create_task(work(Random(f"{self._seed} {work.__name__}"))) for work in begun]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _note(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)

    async def _api_fails(self, rng: Random) -> None:
        faults: list[str] = []
        try:
            while True:
                await asyncio.sleep(rng.uniform(*self._pace.api_pause))
                if not faults:
                    faults = rng.sample(FAULTS, len(FAULTS))
                self._api.fault = faults.pop()
                self._api.refuses = set(rng.sample(range(len(self._devices)), 2))
                self._note(f"API: {self._api.fault}")
                await asyncio.sleep(rng.uniform(*self._pace.api_fault))
                self._api.fault = ""
        finally:
            self._api.fault = ""

    async def _devices_fail(self, rng: Random) -> None:
        kinds = {
            "silent": Weather(silent=True),
            "lose": Weather(loss=0.3),
            "late": Weather(late=0.5),
            "twice": Weather(twice=0.5),
            "garbled": Weather(garbled=0.5),
        }
        names: list[str] = []
        try:
            while True:
                await asyncio.sleep(rng.uniform(*self._pace.device_pause))
                names = names or rng.sample(list(kinds), len(kinds))
                kind = names.pop()
                some = rng.sample(self._devices, max(1, round(len(self._devices) * rng.uniform(0.02, 0.3))))
                self._note(f"devices: {kind}")
                for device in some:
                    device.weather = kinds[kind]
                await asyncio.sleep(rng.uniform(*self._pace.device_fault))
                for device in some:
                    device.weather = Weather()
        finally:
            for device in self._devices:
                device.weather = Weather()

    async def _agent_ends(self, rng: Random) -> None:
        ways: list[str] = []
        while True:
            await asyncio.sleep(rng.uniform(*self._pace.end_pause))
            ways = ways or rng.sample(["kill", "stop", "kill", "reload"], 4)
            way = ways.pop()
            async with self._upright:
                self._note(f"agent: {way}")
                await asyncio.shield(self._end(way))

    async def _end(self, way: str) -> None:
        if way == "reload":
            self._agent.reload()
            return
        await (self._agent.kill() if way == "kill" else self._agent.stop())
        await self._agent.start()

    async def _clock_steps(self, rng: Random) -> None:
        while True:
            await asyncio.sleep(rng.uniform(*self._pace.step_pause))
            hours = rng.choice((-30, -3, -1, 0, 1, 3, 30))
            self._note(f"clock: {hours:+} h")
            self._agent.set_clock(hours * 3600)

    async def _disk_fills(self, rng: Random) -> None:
        neighbour = self._disk / "neighbour"
        try:
            while True:
                await asyncio.sleep(rng.uniform(*self._pace.disk_pause))
                async with self._upright:
                    self._note("disk: full")
                    until = time.monotonic() + rng.uniform(*self._pace.disk_full)
                    with neighbour.open("ab", buffering=0) as file:
                        while time.monotonic() < until:
                            with suppress(OSError):
                                while file.write(bytes(1 << 16)):
                                    await asyncio.sleep(0)
                            await asyncio.sleep(0.2)
                    neighbour.unlink()
                    await asyncio.shield(self._on_disk())
        finally:
            neighbour.unlink(missing_ok=True)

    async def _on_disk(self) -> None:
        """Until the agent is back on the disk."""
        until = time.monotonic() + SETTLED_WITHIN_S
        while (now := await self._agent.snapshot()) is None or now.in_memory_because:
            if time.monotonic() > until:
                raise SystemExit("the disk has room, and the agent works in memory still")
            await asyncio.sleep(0.5)

    async def settle(self) -> None:
        """Silence the devices, and wait until all is delivered, what was refused too; then stop the agent."""
        for device in self._devices:
            device.weather = Weather(silent=True)
        await self._on_disk()
        await self._until_nothing_pending()
        print((await self._agent.run("refused", "--retry")).strip(), flush=True)
        until = time.monotonic() + SETTLED_WITHIN_S
        while "no metric is kept" not in await self._agent.run("refused"):
            if time.monotonic() > until:
                raise SystemExit(f"still refused: {await self._agent.run('refused')}")
            await asyncio.sleep(1)
        await self._agent.stop()

    async def _until_nothing_pending(self) -> None:
        until = time.monotonic() + SETTLED_WITHIN_S
        empty = 0
        while empty < 3:
            now = await self._agent.snapshot()
            empty = empty + 1 if now is not None and not now.pending.metrics else 0
            if time.monotonic() > until:
                raise SystemExit(f"not delivered: {now and now.pending}")
            await asyncio.sleep(0.5)


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[str]:
    """The API's URL, until the block ends."""
    server = await asyncio.start_server(api.converse, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def soak(seconds: float, count: int, seed: int, pace: Pace, keep: Path | None) -> list[str]:
    """Soak for so long; what is wrong."""
    clock = Clock()
    ledger = Ledger(count, clock)
    with tempfile.TemporaryDirectory() as name:
        disk = Path(name) / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pace.disk_mb}m", "tmpfs", disk], check=True)
        api = Api(configuration(count, 1), ledger)
        async with answering(count, ledger, Random(seed)) as devices, serving(api) as url:
            agent = Agent(Path(name), disk / "agent.db", url, clock)
            try:
                await agent.start()
                run = Soak(agent, api, devices, disk, pace, seed)
                await run.run(seconds)
                await run.settle()
                wrong = account(ledger, agent, lost_datagrams())
                print(", ".join(f"{what} {times}" for what, times in sorted(run.happened.items())))
                return wrong
            finally:
                agent.end()
                if keep is not None:
                    for file in (Path(name) / "agent.log", *disk.glob("agent.db*")):
                        shutil.copy(file, keep)
                subprocess.run(["umount", "--lazy", disk], check=False)


def in_namespaces() -> None:
    """Become this program again, in namespaces of its own; return if it runs in them already."""
    if os.environ.get(INSIDE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))
        return
    command = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    allowed = (
        shutil.which("unshare")
        and subprocess.run([*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode == 0
    )
    if not allowed:
        print("this machine allows no namespaces: nothing is soaked")
        sys.exit(SKIPPED)
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


def main() -> None:
    """Soak; exit with 1 if a value is unaccounted for, or wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="30 s, 40 devices")
    parser.add_argument("--keep", type=Path, help="a directory for the agent's log and database")
    asked = parser.parse_args()
    in_namespaces()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the agent ends with it
    seconds, count, pace = (25.0, 40, SHORT) if asked.short else (asked.minutes * 60, asked.devices, LONG)
    print(f"seed {asked.seed}, {count} devices each second, {seconds:g} s", flush=True)
    wrong = asyncio.run(soak(seconds, count, asked.seed, pace, asked.keep))
    for line in wrong[:60]:
        print(f"WRONG: {line}")
    print(f"{len(wrong)} wrong" if wrong else "each value is accounted for")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
