"""An agent at rest: CPU with its health checks, memory, and what it writes, with few devices.

    python benchmarks/rest.py [--devices 50] [--sensors 20] [--interfaces 48] [--minutes 5] [--directory /var/tmp]
                              [--python python3]

Devices of 68 metrics (308 values) each minute, or as few as that says, answered by responder.c. `towerops-agent health` is called
once a minute, as a container's health check is, by the Debian package's command (health.py); its CPU counts. What it writes is
write_bytes of /proc/PID/io, as of a database on `--directory`, which is to be on a disk; the time is real, so it includes what
the kernel writes of SQLite's shared memory.
"""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent_process import AgentProcess, running, wait_until
from api import serving
from devices import answering
from health import cpu_of, of_the_package
from machine import heading, note, row

SETTLE_S = 120  # by then the agent has learned the sizes of requests
HEALTH_EACH_S = 60  # as the Dockerfile and the manifest for Kubernetes have it
DAY_S = 86_400


def main(count: int, sensors: int, interfaces: int, minutes: float, directory: Path, python: Sequence[str]) -> None:
    heading("rest: an agent that has little to do")
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as all_of_them:
        oids = [f"1.3.6.1.4.1.99999.1.{i}.0" for i in range(1, sensors + 1)]
        devices = replace(all_of_them, sensors=oids, if_names=all_of_them.if_names[:interfaces])
        own = tempfile.TemporaryDirectory(dir=directory, prefix="rest-")
        health = of_the_package(Path(folder))
        with own, serving(devices.config(count, 60)) as api, running(Path(own.name), api.url, python=python) as agent:
            wait_until(lambda: api.tally()["batches"] > 0, 120, 0.1)
            time.sleep(SETTLE_S)
            began_s, cpu_s, octets = time.monotonic(), agent.cpu_s(), _written(agent)
            health_s: list[float] = []
            while time.monotonic() < began_s + minutes * 60:
                health_s.append(cpu_of(health, {"PATH": os.environ["PATH"], "DATABASE_PATH": str(agent.database)}))
                time.sleep(HEALTH_EACH_S)
            took_s, cpu_s, octets = time.monotonic() - began_s, agent.cpu_s() - cpu_s, _written(agent) - octets
            resident_mb, peak_mb = agent.resident_mb(), agent.peak_mb()
            agent.stop()
    row("", "agent", "health checks", "both", "a health check", "MB at rest", "MB peak", "to the disk a day")
    both = (cpu_s + sum(health_s)) / took_s
    row(
        f"{count} devices x {sensors + 6 * interfaces} values",
        *(f"{share:.2%} of a core" for share in (cpu_s / took_s, sum(health_s) / took_s, both)),
        f"{sum(health_s) / len(health_s) * 1000:.0f} ms",
        f"{resident_mb:.0f}",
        f"{peak_mb:.0f}",
        f"{octets / took_s * DAY_S / 1e6:.0f} MB",
    )
    note(f"the agent's Python: {' '.join(python)}")
    note("budget: 0.15 % of a core with health checks, 45 MB, 0.2 GB a day")


def _written(agent: AgentProcess) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{agent.pid}/io").read_text().splitlines())
    return int(fields["write_bytes"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--sensors", type=int, default=20)
    parser.add_argument("--interfaces", type=int, default=48)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--python", default=sys.executable, help="the agent's interpreter, as a command")
    arguments = parser.parse_args()
    what = arguments.devices, arguments.sensors, arguments.interfaces, arguments.minutes, arguments.directory
    main(*what, shlex.split(arguments.python))
