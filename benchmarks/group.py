"""A group of three agents, with a nats-server beside each: what membership costs, and how long a takeover takes.

    python benchmarks/group.py [--devices 1000] [--interval 20]

First one agent without a group polls a third of the devices; then three share all of them. One is killed (SIGKILL) and started
again, one is stopped (SIGTERM). Polls are those in the members' databases. Needs nats-server.
"""

import argparse
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path

from agent_process import AgentProcess, part, running
from api import serving
from devices import VALUES, answering
from machine import heading, note, row

from towerops_agent.buffer.format.codec import decode_layout
from towerops_agent.group.course.share import Share

MEMBERS = 3
SERVER = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin:/sbin")
MEASURED_S = 60


def main(count: int, interval_s: int) -> None:
    if SERVER is None:
        sys.exit("nats-server is needed: apt-get install nats-server")
    heading(f"group: {count:,} devices x {VALUES} values every {interval_s} s, {MEMBERS} members")
    with tempfile.TemporaryDirectory() as place, answering(Path(place)) as devices:
        third = devices.config(count // MEMBERS, interval_s)
        with serving(third) as api, running(Path(place), api.url) as alone:
            alone.wait_for("configuration applied")
            time.sleep(interval_s + 10)
            single = _cost(alone.pid, MEASURED_S)
        with serving(devices.config(count, interval_s)) as api, ExitStack() as stack:
            servers = stack.enter_context(_servers(Path(place)))
            folders = [Path(place) / f"m{n}" for n in range(MEMBERS)]
            for folder in folders:
                folder.mkdir()
            agents = [stack.enter_context(running(folder, api.url, **_settings(servers, n))) for n, folder in enumerate(folders)]
            for agent in agents:
                agent.wait_for('msg="joined the group"')
            time.sleep(2 * interval_s + 10)
            row("", "CPU, cores", "resident MB")
            row(f"a single agent, {count // MEMBERS:,} devices", f"{single[0]:.4f}", f"{single[1]:.0f}")
            began = [_cpu_s(pid) for pid in (*(agent.pid for agent in agents), *servers.values())]
            time.sleep(MEASURED_S)
            ended = [_cpu_s(pid) for pid in (*(agent.pid for agent in agents), *servers.values())]
            shares = [(after - before) / MEASURED_S for before, after in zip(began, ended, strict=True)]
            for n, agent in enumerate(agents):
                row(f"member {n}, {_owned(agent):,} devices", f"{shares[n]:.4f}", f"{agent.resident_mb():.0f}")
            for n, pid in enumerate(servers.values()):
                row(f"server {n}", f"{shares[MEMBERS + n]:.4f}", f"{_resident_mb(pid):.0f}")
            _takeovers(agents, folders, interval_s, count, stack, api.url, servers)


def shares() -> None:
    """What it costs to share devices out again when a member comes."""
    heading("group: a fourth member comes")
    row("devices", "CPU ms")
    for count in (1_000, 10_000, 100_000):
        share = Share("m0")
        share.change({"m0": 1.0, "m1": 1.0, "m2": 1.0})
        keys = [f"5b1f0c9e-0d8e-4c3e-9f55-{n:012d}" for n in range(count)]
        for key in keys:
            share.owns(key)
        began_s = time.process_time()
        share.change({f"m{n}": 1.0 for n in range(4)})
        sum(share.owns(key) for key in keys)
        row(f"{count:,}", f"{(time.process_time() - began_s) * 1000:.0f}")


def _takeovers(
    agents: list[AgentProcess],
    folders: list[Path],
    interval_s: int,
    count: int,
    stack: ExitStack,
    url: str,
    servers: dict[str, int],
) -> None:
    began_us = time.time_ns() // 1000
    killed_us = time.time_ns() // 1000
    agents[1].send(signal.SIGKILL)
    for n in (0, 2):
        agents[n].wait_for("is lost, its devices are taken over")
    known_s = (time.time_ns() // 1000 - killed_us) / 1e6
    time.sleep(2 * interval_s)
    returned_us = time.time_ns() // 1000
    folders[1].joinpath("agent.log").rename(folders[1] / "agent.log.1")
    again = stack.enter_context(running(folders[1], url, **_settings(servers, 1)))
    again.wait_for('msg="joined the group"')
    time.sleep(2 * interval_s)
    stopped_us = time.time_ns() // 1000
    agents[2].send(signal.SIGTERM)
    for agent in (agents[0], again):
        agent.wait_for("has left the group")
    left_s = (time.time_ns() // 1000 - stopped_us) / 1e6
    time.sleep(2 * interval_s)
    until_us = time.time_ns() // 1000
    time.sleep(1)
    times = _polls(folders)
    row("", "known after", "gap p50", "gap p99", "longest gap", "extra polls")
    for what, after_s, since_us, to_us in (
        ("killed", known_s, began_us, returned_us),
        ("started again", 0.0, returned_us, stopped_us),
        ("stopped", left_s, stopped_us, until_us),
    ):
        gaps = sorted(max(_gaps_s(some, since_us, to_us)) for some in times.values())
        due = (to_us - since_us) / 1e6 / interval_s * count
        made = sum(since_us < at < to_us for some in times.values() for at in some)
        row(
            what,
            f"{after_s:.1f} s" if after_s else "-",
            *(f"{part(gaps, share):.1f} s" for share in (0.5, 0.99, 1)),
            f"{max(made - due, 0) / due:.1%}",
        )
    twice = sum(len(some) - len(set(some)) for some in times.values())
    promised_s = interval_s + 11 + count / MEMBERS / 200
    note(f"polls of one device at one time: {twice}; promised: no gap over {promised_s:.1f} s after a kill")


def _gaps_s(times: list[int], since_us: int, to_us: int) -> list[float]:
    """The gaps before the polls of this time."""
    return [(after - before) / 1e6 for before, after in pairwise(times) if since_us < after < to_us] or [float("inf")]


def _settings(servers: dict[str, int], n: int) -> dict[str, str]:
    urls = list(servers)
    return {"GROUP_NATS_URLS": ",".join(urls[n:] + urls[:n]), "GROUP_MEMBER": f"m{n}"}


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, int]]:
    """Three nats-servers with routes between them: their process ids, by URL."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2 * MEMBERS)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    processes = []
    try:
        for n in range(MEMBERS):
            routes = ",".join(f"nats-route://127.0.0.1:{port}" for port in ports[MEMBERS:])
            words = ["--addr", "127.0.0.1", "--port", str(ports[n]), "--cluster_name", "bench", "--routes", routes]
            words += ["--cluster", f"nats-route://127.0.0.1:{ports[MEMBERS + n]}", "--log", str(folder / f"nats-{n}.log")]
            processes.append(subprocess.Popen([str(SERVER), *words]))
        yield {f"nats://127.0.0.1:{ports[n]}": process.pid for n, process in enumerate(processes)}
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _cost(pid: int, seconds: float) -> tuple[float, float]:
    began = _cpu_s(pid)
    time.sleep(seconds)
    return (_cpu_s(pid) - began) / seconds, _resident_mb(pid)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _owned(agent: AgentProcess) -> int:
    lines = [line for line in agent.log().splitlines() if "share of the devices has changed" in line]
    return int(lines[-1].split("polled=")[1].split()[0])


def _polls(folders: list[Path]) -> dict[str, list[int]]:
    """When each device was polled, by any of them, in microseconds since 1970."""
    times: dict[str, list[int]] = defaultdict(list)
    for folder in folders:
        with closing(sqlite3.connect(f"file:{folder / 'agent.db'}?mode=ro", uri=True)) as connection:
            layouts = dict(connection.execute("SELECT id, body FROM layouts"))
            keys = {layout: decode_layout(body).equipment_id for layout, body in layouts.items()}
            for layout, at_us in connection.execute("SELECT layout_id, started_at_us FROM polls"):
                times[keys[layout]].append(at_us)
    return {key: sorted(some) for key, some in times.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=20)
    parser.add_argument("--full", action="store_true", help="10,000 devices each 60 s")
    parser.add_argument("--shares", action="store_true", help="only what it costs to share devices out again")
    options = parser.parse_args()
    shares()
    if not options.shares:
        main(*((10_000, 60) if options.full else (options.devices, options.interval)))
