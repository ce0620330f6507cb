"""The agent under measurement: the real process, `python -m towerops_agent run`, on a database of its own.

CPU seconds are the process's, user and system, all threads. Memory is resident, in MB of 2^20 octets, as Linux counts it.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from towerops_agent.buffer.format.codec import decode_layout
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.scheduling.timetable import phase, step
from towerops_agent.telemetry.live_client import ask
from towerops_agent.telemetry.views.snapshot import KEY, Snapshot, decode_snapshot

AS_INSTALLED = "import sys; sys.modules['rich'] = sys.modules['greenlet'] = None"
"""structlog loads these two if they are there, 8 MB: development tools bring them, the agent does not."""

MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""How the image and the unit set the C library's allocator."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_MB = 1 << 20


class AgentProcess:
    """A running agent. `began_s`: when it was started, on the monotonic clock."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, began_s: float) -> None:
        self._process = process
        self._log = folder / "agent.log"
        self.database = folder / "agent.db"
        self.began_s = began_s

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        return cpu_s_of(self.pid)

    def resident_mb(self) -> float:
        """Memory now."""
        return self._status("VmRSS")

    def peak_mb(self) -> float:
        """The most memory since the start, or since forget_peak."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin peak_mb again."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise SystemExit(f"the agent ended before its time; its log:\n{self.log()[-3000:]}")

    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1, within_s: float = 120.0) -> None:
        """Return once it has logged `text` so often."""
        until = time.monotonic() + within_s
        while self.log().count(text) < times:
            if time.monotonic() > until or self._process.poll() is not None:
                raise SystemExit(f"the agent did not log {text!r} within {within_s:g} s; its log:\n{self.log()[-3000:]}")
            time.sleep(0.02)

    def reload(self) -> None:
        """Have it fetch the configuration now."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> Snapshot:
        """As an operator stops it; what it said of itself at the end."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        return self.snapshot()

    def send(self, number: signal.Signals) -> None:
        """Send it this signal."""
        self._process.send_signal(number)

    def snapshot(self) -> Snapshot:
        """What it says of itself: now, while it runs; once it has ended, what it left in the database."""
        if self._process.poll() is None:
            octets = ask(str(self.database), b"status")
        else:
            with DatabaseReader(self.database) as reader:
                octets = reader.meta(KEY)
        snapshot = decode_snapshot(octets or b"")
        assert snapshot is not None
        return snapshot

    def polls(self) -> int:
        """How many polls it has stored so far; within a day, in which none is removed."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT coalesce(max(id) - min(id) + 1, 0) FROM polls").fetchone()[0]

    def metrics(self) -> int:
        """How many metrics the polls make that are stored now."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT coalesce(sum(metric_count), 0) FROM polls").fetchone()[0]

    def file_mb(self) -> float:
        """What the database takes, its journal included."""
        return sum(part.stat().st_size for part in self.database.parent.glob(f"{self.database.name}*")) / _MB

    def lateness_s(self, interval_s: int, since_s: float) -> list[float]:
        """How late each poll began that was due after `since_s` (monotonic), sorted.

        A silent device stores no polls.
        """
        offset_s = time.time() - time.monotonic()
        late = []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            layouts = connection.execute("SELECT id, body FROM layouts").fetchall()
            step_s = step(len(layouts) / interval_s)
            phases = {layout: phase(decode_layout(body).equipment_id, interval_s, step_s) for layout, body in layouts}
            for layout, started_at_us in connection.execute("SELECT layout_id, started_at_us FROM polls ORDER BY id"):
                began_s = started_at_us / 1e6 - offset_s
                if began_s > since_s:
                    late.append((began_s - phases[layout]) % interval_s)
        return sorted(late)


def cpu_s_of(pid: int) -> float:
    """CPU seconds of this process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


@contextmanager
def running(
    folder: Path, url: str, patch: str = "", *, python: Sequence[str] = (sys.executable,), **settings: str
) -> Iterator[AgentProcess]:
    """An agent that is killed at the end of the block, if it still runs then.

    `patch`: Python to run first, for a clock that has to go faster than a benchmark can wait. `python`: the interpreter.
    """
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
        "TOWEROPS_API_URL": url,
        "TOWEROPS_AGENT_TOKEN": "benchmark-token",
        "DATABASE_PATH": str(folder / "agent.db"),
        "CONFIG_REFRESH_SECONDS": "3600",
        "BUFFER_MAX_MB": "65536",
        **MALLOC,
        **settings,
    }
    how = ["-c", f"{AS_INSTALLED}\n{patch}\nfrom towerops_agent.__main__ import main\nmain()"]
    with (folder / "agent.log").open("wb") as log:
        began_s = time.monotonic()
        process = subprocess.Popen([*python, *how, "run"], env=environment, stdout=log, stderr=log)
        try:
            yield AgentProcess(process, folder, began_s)
        finally:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], within_s: float, each_s: float = 0.1) -> None:
    """Return once `condition` holds."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"waited {within_s:g} s for nothing")
        time.sleep(each_s)


def part(ordered: list[float], share: float) -> float:
    """The value below which this share of the sorted values is."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")
