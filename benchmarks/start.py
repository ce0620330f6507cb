"""Process start to first value submitted, memory at rest, and the import time of the command.

    python benchmarks/start.py [--devices 50 10000]

"At rest" is five seconds after the first delivery, with polls each hour. The second start has the configuration and the learned
traits in the first one's database.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from agent_process import AS_INSTALLED, running, wait_until
from api import serving
from devices import answering
from machine import heading, note, row

RUNS = 5


def main(fleets: list[int]) -> None:
    heading("start: process start to first value submitted; memory at rest; import time")
    row("", "first start", "second start", "CPU until then", "MB at rest", "MB peak")
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder)) as devices:
        for count in fleets:
            with tempfile.TemporaryDirectory() as own, serving(devices.config(count, 3600)) as api:
                took_s = []
                for _ in range(2):
                    batches = api.tally()["batches"]
                    with running(Path(own), api.url) as agent:
                        wait_until(lambda before=batches: api.tally()["batches"] > before, 120, 0.02)
                        took_s.append(time.monotonic() - agent.began_s)
                        cpu_s = agent.cpu_s()
                        time.sleep(5)
                        at_rest_mb, peak_mb = agent.resident_mb(), agent.peak_mb()
                        agent.stop()
                row(
                    f"{count:,} devices", *(f"{s:.2f} s" for s in took_s), f"{cpu_s:.2f} s", f"{at_rest_mb:.0f}", f"{peak_mb:.0f}"
                )
    for what, code in (("towerops-agent --help", "--help"), ("towerops-agent --version", "--version")):
        cpu_s = [_cpu_of([sys.executable, "-m", "towerops_agent", code]) for _ in range(RUNS)]
        note(f"{what}: {min(cpu_s) * 1000:.0f} ms CPU at least, {median(cpu_s) * 1000:.0f} ms in the median of {RUNS}")
    imports = [_cpu_of([sys.executable, "-c", f"{AS_INSTALLED}\nimport towerops_agent.agent"]) for _ in range(RUNS)]
    bare = [_cpu_of([sys.executable, "-c", "pass"]) for _ in range(RUNS)]
    note(f"all that `run` imports: {min(imports) * 1000:.0f} ms CPU at least; only the interpreter: {min(bare) * 1000:.0f} ms")
    note("budget: start to first value submitted under 3 s")


def _cpu_of(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[50, 10_000])
    parser.add_argument("--full", action="store_true", help="the same")
    main(parser.parse_args().devices)
