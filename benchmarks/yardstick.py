"""How fast a core is at each moment: the CPU time of a fixed piece of work, the decoding of an answer about interfaces.

A core of a shared machine is up to twice as slow in one minute as in the next, by what its other tenants do, and CPU seconds say
nothing of that. So what must be compared over minutes is shown in this measure too. It takes 1 % of the core.

    python benchmarks/yardstick.py [--seconds 30]

Prints the least, the mean and the most of that time, in microseconds of CPU a varbind.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from codec import INTERFACE_VARBINDS, interfaces
from machine import heading, row

EACH_S = 0.5
TIMES = 250


class Yardstick:
    """A core's speed over time, as written to a file by the process that measures it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def us(self, since_s: float) -> float:
        """Microseconds of CPU a varbind since then, the mean; not a number before the first line."""
        lines = self._path.read_text().splitlines()[:-1]  # the last one may not be whole
        taken = [float(us) for at_s, us in map(str.split, lines) if float(at_s) > since_s]
        return mean(taken) if taken else float("nan")


@contextmanager
def measuring(folder: Path, cores: list[int]) -> Iterator[Yardstick]:
    """The speed of these cores, until the block ends."""
    path = folder / "yardstick"
    with path.open("wb") as file:
        process = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), sys.executable, __file__, "--lines"], stdout=file)
        try:
            yield Yardstick(path)
        finally:
            process.kill()
            process.wait()


def samples() -> Iterator[float]:
    """Microseconds of CPU a varbind, now and each half second, for good."""
    work = interfaces()
    while True:
        began_s = time.process_time()
        for _ in range(TIMES):
            work()
        yield (time.process_time() - began_s) / TIMES / INTERFACE_VARBINDS * 1e6
        time.sleep(EACH_S)


def main(seconds: float) -> None:
    heading(f"the machine's speed over {seconds:g} s: microseconds of CPU for a varbind")
    until_s, taken = time.monotonic() + seconds, []
    for us in samples():
        taken.append(us)
        if time.monotonic() > until_s:
            break
    row("", "least", "mean", "most")
    row("decoding", f"{min(taken):.2f}", f"{mean(taken):.2f}", f"{max(taken):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--lines", action="store_true", help="for good, one line for each: when (monotonic, s), and how long")
    options = parser.parse_args()
    if options.lines:
        for sample in samples():
            print(time.monotonic(), sample, flush=True)
    main(options.seconds)
