"""Delivery by itself: CPU a value to keep polls, and to deliver them, with and without HTTP.

    python benchmarks/delivery.py [--devices 1000] [--turns 12] [--python python3] [--beside SRC ...]

The real buffer, courier and client in one process, a server in another. In each turn half of the devices have been polled, as in
30 s of devices each 60 s; the least of the turns counts, as other work of the machine only adds to it. `--beside`: by turns with
another source tree, for a change to be measured beside what was before.
"""

import argparse
import asyncio
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog
from api import serving
from devices import INTERFACES, METRICS, SENSORS, VALUES, uuid
from machine import heading, note, row

from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.outcomes import Accepted, Outcome
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.model import Layout, Poll, Secret

HERE = Path(__file__).resolve().parent
SOURCE = str(HERE.parent / "src")
ROUNDS = 3
TOGETHER = 17
"""Polls that end together: of 1,000 devices each 60 s so many begin a second."""


class Accepting:
    """In place of HTTP: accepts everything."""

    async def post_metrics(self, _body: bytes, _key: str, _encoding: str | None = None) -> Outcome:
        await asyncio.sleep(0)
        return Accepted()

    def reread_token(self) -> bool:
        return False


async def delivered(url: str, devices: int, turns: int) -> tuple[float, float]:
    """Microseconds of CPU a value: to keep it, to deliver it. `url`: of the server; "": without HTTP."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    counters = Counters()
    took = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ApiClient(url or "http://127.0.0.1", TokenSource(Secret("t0ken"))) as client,
            Buffer(Path(folder) / "agent.db", counters, clock_us=lambda: time.time_ns() // 1000) as buffer,
        ):
            ids = await buffer.register_all(map(layout_of, range(devices)))
            for turn in range(turns + 1):
                polls = [poll_of(layout, n) for n, layout in enumerate(ids[turn % 2 :: 2])]
                courier = Courier(buffer, client if url else Accepting(), counters, accepts=Accepts)
                began_s = time.process_time()
                for first in range(0, len(polls), TOGETHER):
                    for poll in polls[first : first + TOGETHER]:
                        buffer.add(poll)
                    await asyncio.sleep(0.002)
                kept_s = time.process_time()
                if not await courier.deliver_pending():
                    raise SystemExit("the server did not accept it")
                took.append((kept_s - began_s, time.process_time() - kept_s))
    keeping, delivering = zip(*took[1:], strict=True)  # the first turn learns
    values = len(polls) * VALUES
    return min(keeping) / values * 1e6, min(delivering) / values * 1e6


def layout_of(device: int) -> Layout:
    sensors = tuple((uuid(device, 1 + n), 10.0) for n in range(SENSORS))
    return Layout(uuid(device, 0), sensors, tuple(uuid(device, 100 + n) for n in range(INTERFACES)))


def poll_of(layout: int, nth: int) -> Poll:
    sensors = [random.randrange(200, 500) for _ in range(SENSORS)]
    counters = [random.randrange(1 << (44 if n % 6 < 2 else 8)) for n in range(6 * INTERFACES)]
    runs = ((20, 5_000), (24, 9_000), (METRICS - 44, 12_000))
    return Poll(layout, time.time_ns() // 1000 + nth, (*sensors, *counters), runs, METRICS)


def measured(url: str, devices: int, turns: int) -> None:
    """Print what `delivered` returns; in a process of its own."""
    print(json.dumps(asyncio.run(delivered(url, devices, turns))))


def main(options: argparse.Namespace) -> None:
    heading(f"delivery: {options.devices:,} devices x {VALUES} values, half of them each turn, least of {options.turns} turns")
    row("us CPU/value", "kept", "delivered", "without HTTP")
    with serving(b"{}") as api:
        for _ in range(ROUNDS):
            for source in (SOURCE, *options.beside):
                cells = []
                for url in (api.url, ""):
                    code = f"import sys; sys.path[:0] = {[source, str(HERE)]}; import delivery as one\n"
                    code += f"one.measured({url!r}, {options.devices}, {options.turns})"
                    command = [*shlex.split(options.python), "-c", code]
                    kept, taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                    cells += [f"{kept:.3f}", f"{taken:.3f}"]
                row("" if source == SOURCE else source[-22:], cells[0], cells[1], cells[3])
    note(f"Python: {options.python}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--python", default=sys.executable, help="the interpreter, as a command")
    parser.add_argument("--beside", action="append", default=[], metavar="SRC", help="also this source tree")
    main(parser.parse_args())
