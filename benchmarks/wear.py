"""What the agent writes to its disk in a day: a buffer filled, delivered and cleaned up as the agent does, in its steady state.

.venv/bin/python benchmarks/wear.py [--devices 50] [--values 68] [--commit 5] [--events 0] [--directory /var/tmp]

Its clock is simulated: 24 hours go by first, so that deletions are part of the day that is measured. Each device is polled once a
minute at a second of its own; polls are committed as BUFFER_COMMIT_SECONDS says, delivered each 30 s in batches of 1,000, each
noted as sent by the commit that cuts the next, and cleaned up each five minutes; a status of its usual size is written each ten;
`--events`: so many changes of state an hour are noted. `written`: the octets of all writes (wchar of /proc/self/io), each counted
in full, much the same each time; `to the disk`: what the kernel passes on of that (write_bytes). That is less, as days go by in
seconds here and a page that is written again soon goes to the disk once; it is more if they take minutes, on a busy machine.
`--directory` is to be on a disk, not in memory.
"""

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll

T0_US = 1_767_986_535_000_000
SECOND_US = 1_000_000
DAY_S = 86_400
BATCH_EACH_S, CLEANED_EACH_S, STATUS_EACH_S = 30, 300, 600
STATUS_OCTETS = 6_000
MOST_METRICS = 1_000


class Day:
    """Devices with so many sensors, and the buffer that their polls go to."""

    def __init__(self, buffer: Buffer, devices: int, values: int) -> None:
        self.now_s = 0
        self.buffer = buffer
        self._values = values
        self._rng = random.Random(1)
        self._levels = [[self._rng.randrange(20, 3_000) for _ in range(values)] for _ in range(devices)]
        self._due_s = sorted((self._rng.randrange(60), device) for device in range(devices))

    async def register(self) -> None:
        """Store the devices' layouts."""
        sensors = [
            tuple((f"{self._rng.getrandbits(128):032x}", 10.0) for _ in range(self._values)) for _ in range(len(self._levels))
        ]
        self._ids = await self.buffer.register_all(Layout(f"eq-{i}", sensors=own) for i, own in enumerate(sensors))

    def _poll(self, device: int) -> Poll:
        levels = self._levels[device]
        for _ in range(self._values // 4):  # the rest stands still
            levels[self._rng.randrange(self._values)] += self._rng.randrange(-3, 4)
        times = ((self._values // 2, 20_000), (self._values - self._values // 2, 45_000))
        return Poll(self._ids[device], T0_US + self.now_s * SECOND_US, tuple(levels), times, self._values)

    async def run(self, until_s: int, commit_s: int, events: int) -> None:
        """Go on until then."""
        secured_s: int | None = None  # when the polls that came since the last commit are to be on the disk
        while self.now_s < until_s:
            for due_s, device in self._due_s:
                if due_s == self.now_s % 60:
                    self.buffer.add(self._poll(device))
                    secured_s = self.now_s + commit_s if secured_s is None else secured_s
            if events and self.now_s % (3_600 // events) == 0:
                device_id = f"{self._rng.getrandbits(128):032x}"
                self.buffer.note(Event(T0_US + self.now_s * SECOND_US, EventKind.STATE, device_id, "down", "timeout"))
            self.now_s += 1
            if self.now_s % BATCH_EACH_S == 0:
                secured_s = None
                taken = await self.buffer.take_batch(MOST_METRICS)
                while taken:  # the courier's way
                    taken = await self.buffer.take_batch(MOST_METRICS, sent=[(taken[0], ())])
            elif secured_s is not None and self.now_s >= secured_s:
                await self.buffer.secure()
                secured_s = None
            if self.now_s % STATUS_EACH_S == 7:
                await self.buffer.put_meta("status", self._rng.randbytes(STATUS_OCTETS))
            if self.now_s % CLEANED_EACH_S == 11:
                await self.buffer.clean_up()


def written() -> tuple[int, int]:
    """Octets that this process has written, and those that went to a disk."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"]), int(fields["write_bytes"])


async def measure(path: Path, arguments: argparse.Namespace) -> None:
    counters = Counters()
    day: Day | None = None

    def now_us() -> int:
        return T0_US + (0 if day is None else day.now_s) * SECOND_US

    async with Buffer(path, counters, clock_us=now_us, monotonic_us=now_us, commit_window_s=float(DAY_S)) as buffer:
        day = Day(buffer, arguments.devices, arguments.values)
        await day.register()
        began_s = time.perf_counter()
        await day.run(DAY_S + 3_600, arguments.commit, arguments.events)
        before = written()
        await day.run(DAY_S + 3_600 + arguments.measured * 3_600, arguments.commit, arguments.events)
        times = 24 / arguments.measured
        of_all, to_disk = (int((now - then) * times) for now, then in zip(written(), before, strict=True))
        polls = arguments.devices * 1_440
        size = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))
    print(f"{arguments.devices} devices x {arguments.values} values a minute, committed each {arguments.commit} s")
    print(f"  written {of_all / 1e6:.0f} MB a day, to the disk {to_disk / 1e6:.0f} MB, {of_all / polls:,.0f} octets a poll")
    print(f"  database {size / 1e6:.1f} MB with a day's polls; {time.perf_counter() - began_s:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--values", type=int, default=68)
    parser.add_argument("--commit", type=int, default=5, help="seconds")
    parser.add_argument("--events", type=int, default=0, help="an hour")
    parser.add_argument("--measured", type=int, default=24, help="hours: the journal is folded in each two to five")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="wear-") as directory:
        asyncio.run(measure(Path(directory) / "buffer.db", arguments))


if __name__ == "__main__":
    main()
