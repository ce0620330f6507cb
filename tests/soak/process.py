"""The agent of a soak: the real process, started, stopped and killed again and again, and what all its runs have counted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ledger import Clock

from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.telemetry.live_client import ask
from towerops_agent.telemetry.views.snapshot import KEY, Snapshot, decode_snapshot

STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 30.0


class Agent:
    """`counted`: name and reason -> how many, of all runs that have ended.

    `ends`: how each ended, and when that began and was done, true time.
    """

    def __init__(self, folder: Path, database: Path, url: str, clock: Clock) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.ends: list[tuple[str, float, float]] = []
        self.failures: list[str] = []
        self._folder = folder
        self._database = database
        self._clock = clock
        self._clock_file = folder / "clock"
        self._clock_file.write_bytes(bytes(8))
        self._environment = (
            {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
            | {
                "TOWEROPS_API_URL": url,
                "TOWEROPS_AGENT_TOKEN": "soak-token-41c7",
                "DATABASE_PATH": str(database),
                "CONFIG_REFRESH_SECONDS": "10",
                "CLOCK_FILE": str(self._clock_file),
            }
            | self._preloaded()
        )
        self._process: asyncio.subprocess.Process | None = None

    def _preloaded(self) -> dict[str, str]:
        """The library that sets the clock, if there is a compiler."""
        library = self._folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return {}
        return {"LD_PRELOAD": str(library)}

    @property
    def has_clock(self) -> bool:
        """Whether its clock can be set."""
        return "LD_PRELOAD" in self._environment

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.returncode is None

    def set_clock(self, ahead_s: int) -> None:
        """Step its wall clock."""
        self._clock.set(ahead_s, time.time())
        with self._clock_file.open("r+b", buffering=0) as file:
            file.write(ahead_s.to_bytes(8, sys.byteorder, signed=True))

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "agent.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "towerops_agent", "run"), env=self._environment, stdout=log, stderr=log
            )
        until = time.monotonic() + STARTS_WITHIN_S
        while await self.snapshot() is None:
            if not self.is_running or time.monotonic() > until:
                raise SystemExit(f"the agent does not start:\n{self.log[-3000:]}")
            await asyncio.sleep(0.1)

    async def snapshot(self) -> Snapshot | None:
        """What it says of itself now; None if it does not answer."""
        try:
            answer = await asyncio.to_thread(ask, str(self._database), b"status")
        except TimeoutError:
            return None
        return None if answer is None else decode_snapshot(answer)

    async def run(self, *command: str) -> str:
        """What a command of `towerops-agent` prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "towerops_agent", *command),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return (await process.communicate())[0].decode()

    def reload(self) -> None:
        """SIGHUP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def kill(self) -> None:
        """As a power cut ends it. What it counted until just before is known."""
        assert self._process is not None
        began_s = time.time()
        before = await self.snapshot()
        self._process.kill()
        await self._process.wait()
        self.ends.append(("kill", began_s, time.time()))
        if before is None:
            self.failures.append("the agent did not answer before it was killed")
        else:
            self._count(before)

    async def stop(self) -> None:
        """As an operator ends it."""
        assert self._process is not None
        began_s = time.time()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(self._process.wait(), STOPS_WITHIN_S)
        except TimeoutError:
            self._process.kill()
            status = await self._process.wait()
        self.ends.append(("stop", began_s, time.time()))
        if status:
            self.failures.append(f"a stop ended with status {status}")
        with DatabaseReader(self._database) as reader:
            last = decode_snapshot(reader.meta(KEY) or b"")
        if last is None or last.stopped_us is None or last.pid != self._process.pid:
            self.failures.append("the agent left no snapshot at its stop")
        else:
            self._count(last)

    def end(self) -> None:
        """Kill it, if it still runs: the soak is over."""
        if self._process is not None and self.is_running:
            self._process.kill()

    def _count(self, snapshot: Snapshot) -> None:
        for name, reasons in snapshot.counters.items():
            for reason, count in reasons.items():
                self.counted[name, reason] += count

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self._folder / "agent.log").read_text(errors="replace")

    def bugs(self) -> Iterator[str]:
        """The lines of its log that no fault from outside explains."""
        for line in self.log.splitlines():
            if "because of a bug" in line or "Traceback" in line:
                yield line[:300]
