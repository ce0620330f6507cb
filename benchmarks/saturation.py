"""The most values a second on one core, and what gives beyond it: late polls are skipped and counted, the rest is delivered.

    python benchmarks/saturation.py [--devices 1000 1500 6000] [--seconds 60]

More and more polls are due, in the end more than the agent can do. It is kept to one core, all else to the others. Beyond its
limit it should deliver nearly as much as just below it, and all that it polls. The age is that of a batch's first value when it
arrives; values are submitted each 30 s.

`core`: how long the core took for a fixed piece of work meanwhile (yardstick.py). `of the most`: what was acknowledged, of what a
whole core would deliver at the cost of the first count, were it as fast in both windows.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent_process import AgentProcess, part, running
from api import Api, serving
from devices import METRICS, VALUES, Devices, answering
from machine import heading, note, row
from yardstick import Yardstick, measuring

INTERVAL_S = 3
GROWTH_S = 120


def main(counts: list[int], seconds: int) -> None:
    heading(f"saturation: devices x {VALUES} values every {INTERVAL_S} s on one core, {seconds} s measured")
    cores = sorted(os.sched_getaffinity(0))
    row(
        "",
        "values/s due",
        "polled",
        "acknowledged",
        "cores",
        "us CPU/acknowl.",
        "core, us",
        "of the most",
        "age p50",
        "age max",
        "skipped",
        "lost",
        "MB peak",
    )
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as devices:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])
        first: Cost | None = None
        for count in counts:
            with tempfile.TemporaryDirectory() as own, measuring(Path(own), cores[:1]) as yardstick:
                at = measure(Path(own), devices, count, seconds, cores[:1], yardstick, first)
                first = first or at
        note(f"lost: metrics read, neither acknowledged nor kept; {METRICS} metrics a poll; devices: {devices.kind}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a value that was acknowledged took, and the fixed piece of work meanwhile, in microseconds of CPU."""

    value_us: float
    core_us: float


def measure(
    folder: Path, devices: Devices, count: int, seconds: int, cores: list[int], yardstick: Yardstick, first: Cost | None
) -> Cost:
    """Print a line; the cost. `first`: that of the first count, None if this is it."""
    with serving(devices.config(count, INTERVAL_S)) as api, running(folder, api.url) as agent:
        for thread in Path(f"/proc/{agent.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)
        agent.wait_for("configuration applied")
        time.sleep(GROWTH_S)
        before, since_s, began_s = _state(agent, api), time.time(), time.monotonic()
        time.sleep(seconds)
        after = _state(agent, api)
        core_us = yardstick.us(began_s)
        took_s, cpu_s, polled, arrived = (b - a for a, b in zip(before, after, strict=True))
        ages = sorted(arrived_s - first_s for arrived_s, first_s, _, _ in api.tally()["arrivals"] if arrived_s > since_s)
        peak_mb = agent.peak_mb()
        snapshot = agent.stop()
        tally = api.tally()
        read = sum(snapshot.counters["readings"].values())
        lost = read - tally["sensors"] - tally["interfaces"] - snapshot.pending.metrics
    cost = Cost(cpu_s / (arrived or 1) * 1e6, core_us)
    most = 1e6 / ((first or cost).value_us / (first or cost).core_us * core_us)
    row(
        f"{count:,} devices",
        f"{count * VALUES / INTERVAL_S:,.0f}",
        f"{polled * VALUES / took_s:,.0f}",
        f"{arrived / took_s:,.0f}",
        f"{cpu_s / took_s:.2f}",
        f"{cost.value_us:.2f}",
        f"{core_us:.2f}",
        f"{arrived / took_s / most:.0%}",
        f"{part(ages, 0.5):.0f} s",
        f"{part(ages, 1):.0f} s",
        f"{sum(snapshot.counters.get('polls_skipped', {}).values()):,}",
        str(lost),
        f"{peak_mb:.0f}",
    )
    if unusual := {name: snapshot.counters[name] for name in ("bugs", "metrics_dropped") if name in snapshot.counters}:
        note(str(unusual))
    return cost


def _state(agent: AgentProcess, api: Api) -> tuple[float, float, int, int]:
    return time.monotonic(), agent.cpu_s(), agent.polls(), int(api.tally()["values"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[1000, 1500, 6000])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--full", action="store_true", help="ten minutes")
    options = parser.parse_args()
    main(options.devices, 600 if options.full else options.seconds)
