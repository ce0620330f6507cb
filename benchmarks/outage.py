"""An outage of the API: what the backlog takes on disk, how fast it is delivered, how late fresh values are meanwhile.

    python benchmarks/outage.py [--devices 1000] [--minutes 60]

The backlog is made by the real path, faster than real time: the devices are polled every 2 s instead of every 60, and what the
agent does after minutes (packing) is set to do so 30 times sooner. Then they get their 60 s, the API comes back, and the drain is
measured while they are polled on. A metric counts as fresh if it was read after the API came back.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from agent_process import part, running, wait_until
from api import serving
from devices import METRICS, VALUES, answering
from machine import heading, note, row

INTERVAL_S = 60
FASTER_S = 2
TIMES = INTERVAL_S / FASTER_S
PATCH = f"""
from towerops_agent.buffer import packer, upkeep
packer.PLAIN_S /= {TIMES}
upkeep.CLEANUP_INTERVAL_S /= {TIMES}
"""
MOST_S = 600.0
SLOWEST = 20_000  # metrics a second


def main(count: int, minutes: int) -> None:
    heading(f"outage: {minutes} min of {count:,} devices x {VALUES} values a minute, then the drain")
    with (
        tempfile.TemporaryDirectory() as folder,
        answering(Path(folder)) as devices,
        serving(devices.config(count, FASTER_S)) as api,
        running(Path(folder), api.url, PATCH) as agent,
    ):
        api.down(True)
        agent.wait_for("configuration applied")
        polls = count * minutes
        wait_until(lambda: agent.polls() >= polls, 20 + 3 * polls * FASTER_S / count)
        api.configure(devices.config(count, INTERVAL_S))
        agent.reload()
        agent.wait_for("configuration applied", 2)
        time.sleep(2 * 300 / TIMES)  # the rest of it is packed
        due = agent.metrics()  # fewer than METRICS a poll if devices were late to answer
        octets_a_value = agent.file_mb() * (1 << 20) / (due * VALUES / METRICS)
        agent.forget_peak()
        cpu_s, readings = agent.cpu_s(), 0
        api.down(False)
        back_s, back_monotonic_s = time.time(), time.monotonic()
        wait_until(lambda: sum(arrival[3] for arrival in _backlog(api.tally(), back_s)) >= due, max(MOST_S, due / SLOWEST), 1.0)
        cpu_s = agent.cpu_s() - cpu_s
        time.sleep(31)  # a turn of fresh values
        peak_mb, late = agent.peak_mb(), agent.lateness_s(INTERVAL_S, back_monotonic_s)
        tally = api.tally()
        snapshot = agent.stop()
        readings = sum(snapshot.counters["readings"].values())
        lost = readings - tally["sensors"] - tally["interfaces"] - snapshot.pending.metrics
        tally_at_end = api.tally()
    backlog = _backlog(tally, back_s)
    fresh = sorted(arrived - first for arrived, first, _, _ in tally["arrivals"] if first >= back_s)
    began_s, ended_s = backlog[0][0], backlog[-1][0]
    metrics = sum(arrival[3] for arrival in backlog)
    rate = metrics / (ended_s - began_s)
    lost -= tally_at_end["sensors"] + tally_at_end["interfaces"] - tally["sensors"] - tally["interfaces"]
    row(
        "",
        "octets a value",
        "values/s drained",
        "x growth",
        "us CPU/value",
        "fresh p50",
        "fresh max",
        "starts late max",
        "MB peak",
        "lost",
    )
    row(
        f"{metrics * VALUES // METRICS:,} values",
        f"{octets_a_value:.2f}",
        f"{rate * VALUES / METRICS:,.0f}",
        f"{rate / (count * METRICS / INTERVAL_S):.0f}",
        f"{cpu_s / (metrics * VALUES / METRICS) * 1e6:.2f}",
        f"{part(fresh, 0.5):.0f} s",
        f"{part(fresh, 1):.0f} s",
        f"{part(late, 1) * 1000:.0f} ms",
        f"{peak_mb:.0f}",
        str(lost),
    )
    note(f"drained in {ended_s - back_s:.0f} s from the API's return; the first batch arrived {began_s - back_s:.1f} s after it")
    note("the values move little from poll to poll here, so that they pack well; benchmarks/buffer.py has walks at random")
    note("budgets: under 4 octets a value, drained at least 50 times faster than it grew, fresh values first")


def _backlog(tally: dict[str, Any], back_s: float) -> list[tuple[float, float, float, int]]:
    """The batches that begin with a metric read before the API came back. The courier logs no end of so short a drain."""
    return [arrival for arrival in tally["arrivals"] if arrival[1] < back_s]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--full", action="store_true", help="24 hours: takes one")
    options = parser.parse_args()
    main(options.devices, 24 * 60 if options.full else options.minutes)
