"""The whole agent beside a bare loop: CPU a value of both, in one window, against the same devices.

    python benchmarks/peers.py [--devices 1000] [--interval-s 60] [--round-trip-ms 0] [--apart]
        [--python python3] [--beside SRC ...]

The loop is peers.go: it asks by gosnmp and keeps nothing. The agent polls, keeps, delivers, and is acknowledged. Both have the
same devices, the same interval, and starts in bunches of the same size; both run all the time, so whatever else the machine does
meets both. An interval of 60 s is paced, one of 5 s dense. `--beside` adds the agent of another source tree, for a change to be
measured beside what was before. A request has 1,000 metrics, or what the server says that it accepts (`--most-metrics`).
The devices and the servers are processes of this machine too, and take the CPU from what is measured as often as it sends
something, which those of a network do not; `--apart` keeps them on a CPU of their own.
Needs gcc, Go and gosnmp (Debian: golang-go, golang-github-gosnmp-gosnmp-dev).
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol

from agent_process import AgentProcess, cpu_s_of, running
from api import Api, serving
from devices import INTERFACES, SENSORS, VALUES, Devices, answering
from fleet import LEARNING_LEAST_S, LEARNING_POLLS, LEARNING_POLLS_A_SECOND
from machine import heading, note, row

from towerops_agent.scheduling.timetable import step

GOPATH = Path("/usr/share/gocode")
GOSNMP = GOPATH / "src/github.com/gosnmp/gosnmp"
SOURCE = Path(__file__).resolve().parent.parent / "src"


QUIET_S = 2.0
"""A turn of delivery is over when nothing has arrived for so long."""


class Contender(Protocol):
    """What is measured."""

    name: str

    def cpu_s(self) -> float: ...

    def values(self) -> int: ...

    def peak_mb(self) -> float: ...

    def failed(self) -> int: ...


class Loop:
    """peers.go, running."""

    name = "gosnmp loop"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def cpu_s(self) -> float:
        return cpu_s_of(self._process.pid)

    def peak_mb(self) -> float:
        return float("nan")

    def values(self) -> int:
        return self._counts()[0]

    def failed(self) -> int:
        return self._counts()[1]

    def _counts(self) -> tuple[int, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        values, failed = self._process.stdout.readline().split()
        return int(values), int(failed)


class Agent:
    """An agent and its server."""

    def __init__(self, name: str, process: AgentProcess, api: Api) -> None:
        self.name = name
        self.process = process
        self.api = api

    def cpu_s(self) -> float:
        return self.process.cpu_s()

    def peak_mb(self) -> float:
        return self.process.peak_mb()

    def values(self) -> int:
        return int(self.api.tally()["values"])

    def failed(self) -> int:
        return 0


@contextmanager
def on(cpus: Collection[int]) -> Iterator[None]:
    """What is started in the block runs on these CPUs only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def looping(folder: Path, devices: Devices, count: int, interval_s: int) -> Iterator[Loop]:
    """The loop, until the block ends."""
    binary = folder / "loop"
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "go")}
    source = Path(__file__).with_name("peers.go")
    subprocess.run(["go", "build", "-o", binary, source], check=True, env=environment)
    step_ms = round(step(count / interval_s) * 1000)
    numbers = (devices.port, count, interval_s * 1000, step_ms, SENSORS, INTERFACES)
    command = [str(binary), *map(str, numbers)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Loop(process)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Variant:
    """An agent to be measured. `source`: its tree; `patch`: Python to run first; `python`: the interpreter's command."""

    name: str
    source: str = str(SOURCE)
    patch: str = ""
    python: str = sys.executable


@contextmanager
def settled(
    folder: Path,
    devices: Devices,
    count: int,
    interval_s: int,
    variants: Sequence[Variant],
    most_metrics: int | None = None,
    servers_on: Collection[int] = (),
) -> Iterator[list[Agent]]:
    """Agents, each with a server of its own, that know all the devices and poll each at its own time.

    `most_metrics`: how many the servers say that they accept in a request, if they do. `servers_on`: their CPUs; none: all.
    """
    learning_s = max(LEARNING_LEAST_S, count // LEARNING_POLLS_A_SECOND)
    with ExitStack() as stack:
        agents = []
        for n, variant in enumerate(variants):
            own = folder / str(n)
            own.mkdir()
            with on(servers_on or os.sched_getaffinity(0)):
                api = stack.enter_context(serving(devices.config(count, min(learning_s, interval_s), most_metrics)))
            python = shlex.split(variant.python)
            how = running(own, api.url, variant.patch, python=python, PYTHONPATH=variant.source)
            agents.append(Agent(variant.name, stack.enter_context(how), api))
        for agent in agents:
            agent.process.wait_for("configuration applied")
        time.sleep(count / 200 + LEARNING_POLLS * learning_s)
        if learning_s < interval_s:
            for agent in agents:
                agent.api.configure(devices.config(count, interval_s, most_metrics))
                agent.process.reload()
            for agent in agents:
                agent.process.wait_for("configuration applied", 2)
        time.sleep(max(1.5 * interval_s, 31))
        yield agents


def measure(contenders: Sequence[Contender], agents: Sequence[Agent], turns: int, due_a_second: float) -> None:
    """Print a line for each; the first one's cost is 1. Each agent's time is so many whole turns of its own delivery.

    The cost is that of a value that is due, at `due_a_second`: how many just arrive in that time depends on when a turn begins.
    """
    row("", "us CPU/value", "of the first's", "due", "arrived", "cores", "MB peak", "polls failed")
    ends = _ends_of_turns(agents, contenders, turns)
    first_us = 0.0
    for each in contenders:
        of = each if isinstance(each, Agent) else agents[0]
        took_s, cpu_s, values, failed = (b - a for a, b in zip(ends[of][0][each], ends[of][-1][each], strict=True))
        due = due_a_second * took_s
        value_us = cpu_s / due * 1e6
        first_us = first_us or value_us
        cells = f"{value_us:.2f}", f"{value_us / first_us:.2f}", f"{due:,.0f}", f"{values:,.0f}", f"{cpu_s / took_s:.3f}"
        row(each.name, *cells, f"{each.peak_mb():.0f}", f"{failed:.0f}")


Counts = tuple[float, float, int, int]


def _ends_of_turns(
    agents: Sequence[Agent], contenders: Sequence[Contender], turns: int
) -> dict[Agent, list[dict[Contender, Counts]]]:
    """By agent, what all had used and done whenever its delivery had just become quiet, at least `turns` + 1 times."""
    ends: dict[Agent, list[dict[Contender, Counts]]] = {agent: [] for agent in agents}
    seen = {agent: (agent.values(), inf) for agent in agents}
    deadline_s = time.monotonic() + 120 + 60 * turns
    while min(map(len, ends.values())) <= turns and time.monotonic() < deadline_s:
        time.sleep(0.5)
        for agent in agents:
            values, changed_s = agent.values(), time.monotonic()
            if values != seen[agent][0]:
                seen[agent] = values, changed_s
            elif changed_s - seen[agent][1] > QUIET_S and len(ends[agent]) <= turns:
                ends[agent].append({each: _counts(each) for each in contenders})
                seen[agent] = values, inf
    return ends


def _counts(contender: Contender) -> Counts:
    return time.monotonic(), contender.cpu_s(), contender.values(), contender.failed()


def main(options: argparse.Namespace) -> None:
    count, interval_s = options.devices, options.interval_s
    distance = f"1 to {options.round_trip_ms} ms away" if options.round_trip_ms else "which answer at once"
    heading(f"peers: {count:,} devices {distance}, {VALUES} values each {interval_s} s, {options.turns} turns measured")
    if not (shutil.which("go") and GOSNMP.is_dir()):
        note("there is no Go, or no gosnmp")
        return
    variants = [Variant("agent", python=options.python)]
    variants += [Variant(f"agent of {source}", source, python=options.python) for source in options.beside]
    cpus = sorted(os.sched_getaffinity(0))
    if options.apart and len(cpus) < 2:
        note("there is one CPU only")
        return
    theirs, ours = (cpus[-1:], cpus[:-1]) if options.apart else (cpus, cpus)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        with on(theirs):
            devices = stack.enter_context(answering(folder, 0, options.round_trip_ms))
        with on(ours):
            loop = stack.enter_context(looping(folder, devices, count, interval_s))
            settling = settled(folder, devices, count, interval_s, variants, options.most_metrics, theirs)
            agents = stack.enter_context(settling)
        measure([loop, *agents], agents, options.turns, count * VALUES / interval_s)
    note(f"the agent's Python: {options.python}; devices: {devices.kind}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--interval-s", type=int, default=60)
    parser.add_argument("--round-trip-ms", type=int, default=0, help="each device answers after 1 to so many ms of its own")
    parser.add_argument("--turns", type=int, default=2, help="of delivery, 30 s each")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the agent, as a command")
    parser.add_argument(
        "--most-metrics", type=int, help="what the server says that it accepts in a request; else it does not say"
    )
    parser.add_argument("--apart", action="store_true", help="devices and servers have the last CPU, what is measured the others")
    parser.add_argument("--beside", action="append", default=[], metavar="SRC", help="also the agent of this source tree")
    main(parser.parse_args())
