"""Silent devices among living ones: how late the others' polls start, and what a dead device costs.

    python benchmarks/dead.py [--devices 1000] [--interval 30]

None, then one in ten, then one in two never answers. Measured is when the silent ones are known, and probed once an interval;
"from start" has the minute before too, in which all attempts at them run out.
"""

import argparse
import tempfile
import time
from pathlib import Path

from agent_process import part, running
from api import serving
from devices import VALUES, answering
from machine import heading, note, row

SILENT_EVERY = (0, 10, 2)
ENOUGH = 0.5
"""The cost of a dead device is what is left of two runs' CPU: with fewer of them the runs differ by more than that."""


def main(count: int, interval_s: int, minutes: int) -> None:
    heading(f"dead: {count:,} devices x {VALUES} values every {interval_s} s, some silent")
    row("silent", "late p50", "late p99", "late max", "max from start", "CPU s/min", "CPU of a dead one")
    all_alive_s = 0.0
    for silent_every in SILENT_EVERY:
        with (
            tempfile.TemporaryDirectory() as folder,
            answering(Path(folder), silent_every) as devices,
            serving(devices.config(count, interval_s)) as api,
            running(Path(folder), api.url) as agent,
        ):
            agent.wait_for("configuration applied")
            began_s = time.monotonic()
            time.sleep(2 * interval_s + 10)
            settled_s, cpu_s = time.monotonic(), agent.cpu_s()
            time.sleep(60 * minutes)
            cpu_s = (agent.cpu_s() - cpu_s) / minutes
            from_start = agent.lateness_s(interval_s, began_s + count / 200)
            then = agent.lateness_s(interval_s, settled_s)
            states = agent.stop().states
        silent = count // silent_every if silent_every else 0
        all_alive_s = all_alive_s if silent else cpu_s
        shown = "-"
        if silent / count >= ENOUGH:
            polls = 60 / interval_s * silent
            shown = f"{(cpu_s - all_alive_s * (1 - silent / count)) / polls * 1e6:.0f} us/probe"
        row(
            f"{silent / count:.0%} ({states.get('down', 0)} down)",
            *(f"{late_s * 1000:.0f} ms" for late_s in (part(then, 0.5), part(then, 0.99), part(then, 1), part(from_start, 1))),
            f"{cpu_s:.2f}",
            shown,
        )
    note("budget: 10 % dead, and no other device's poll starts more than 1 s late")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=30)
    parser.add_argument("--full", action="store_true", help="every 60 s, five minutes of each")
    options = parser.parse_args()
    main(options.devices, *((60, 5) if options.full else (options.interval, 1)))
