"""The most values a second on one core, and what gives beyond it: late polls are skipped and counted, memory stays bounded.

    python benchmarks/saturation.py [--devices 6000] [--seconds 30]

More polls are due than the agent can do. It is kept to one core, all else to the others. CPU is given per value polled. That is
not the cost of a value from UDP to acknowledged: at saturation delivery falls behind, and what it lacks waits in the database.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from agent_process import AgentProcess, running
from api import serving
from devices import METRICS, VALUES, answering
from machine import heading, note, row

INTERVAL_S = 3
GROWTH_S = 20


def main(count: int, seconds: int) -> None:
    heading(f"saturation: {count:,} devices x {VALUES} values every {INTERVAL_S} s on one core, {seconds} s measured")
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as devices:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])
        with serving(devices.config(count, INTERVAL_S)) as api, running(Path(folder), api.url) as agent:
            for thread in Path(f"/proc/{agent.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores[:1])
            agent.wait_for("configuration applied")
            time.sleep(GROWTH_S)
            before = _state(agent)
            polls, arrived = agent.polls(), api.tally()["values"]
            time.sleep(seconds)
            after = _state(agent)
            polls, arrived = agent.polls() - polls, api.tally()["values"] - arrived
            took_s, cpu_s = after[0] - before[0], after[1] - before[1]
            row("", "values/s polled", "acknowledged/s", "cores", "us CPU/polled", "MB before", "MB after", "MB peak")
            row(
                "",
                f"{polls * VALUES / took_s:,.0f}",
                f"{arrived / took_s:,.0f}",
                f"{cpu_s / took_s:.2f}",
                f"{cpu_s / (polls * VALUES) * 1e6:.2f}",
                *(f"{mb:.0f}" for mb in (before[2], after[2], agent.peak_mb())),
            )
            counters = agent.stop().counters
            note(
                f"polls skipped: {counters.get('polls_skipped', {})}; bugs: {counters.get('bugs', {})};"
                f" values missing: {counters.get('readings_missing', {})}; dropped: {counters.get('metrics_dropped', {})};"
                f" SNMP requests: {counters.get('snmp_requests', {})}"
            )
            note(f"{polls * VALUES / (cpu_s or 1):,.0f} values a CPU second; {METRICS} metrics a poll; devices: {devices.kind}")


def _state(agent: AgentProcess) -> tuple[float, float, float]:
    return time.monotonic(), agent.cpu_s(), agent.resident_mb()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=6000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--full", action="store_true", help="ten minutes")
    options = parser.parse_args()
    main(options.devices, 600 if options.full else options.seconds)
