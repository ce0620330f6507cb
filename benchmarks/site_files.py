"""How long it takes to compile site files, and how much memory: all of them, and after a change of one line.

.venv/bin/python benchmarks/site_files.py [devices]
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.text import ConfigText, encode_config
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Counters
from towerops_agent.polling.course.plan import Planner
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.scheduling.roster import Roster
from towerops_agent.site.document.site import Compiled, compile_site
from towerops_agent.site.files import SiteFiles
from towerops_agent.site.source import LOOK_EACH_S, SiteSource


def main() -> None:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    octets, changed = site(devices), site(devices, "name: changed, ")
    before_mb = peak_mb()
    whole, whole_s = timed(octets)
    peak = peak_mb()
    again, again_s = timed(changed, whole)
    assert whole.devices == again.devices == devices
    print(f"{len(octets) / 1e6:.1f} MB of YAML, {devices:,} devices of 68 items, seconds of CPU, the best of three")
    print(f"all       {whole_s:5.2f} s, at most {peak - before_mb:.0f} MB")
    print(f"one line  {again_s:5.2f} s")
    used_s = asyncio.run(in_use(octets, changed))
    print(f"one line, from the file to the timetable: {used_s:.2f} s, after {LOOK_EACH_S:.0f} s at most")


def site(devices: int, change: str = "") -> bytes:
    """`change`: of the device in the middle."""
    sensors = ", ".join(f"{{name: s{n}, oid: 1.3.6.1.4.1.99.{n}.0, divisor: 10}}" for n in range(20))
    ports = ", ".join(f"ether{n}" for n in range(48))
    items = f"sensors: [{sensors}], interfaces: [{ports}]"
    changes = [change if n == devices // 2 else "" for n in range(devices)]
    lines = [f"  - {{{changes[n]}address: 10.{n >> 8}.{n & 255}.2, {items}}}" for n in range(devices)]
    return "\n".join(["devices:", *lines]).encode()


async def in_use(octets: bytes, changed: bytes) -> float:
    """How long it takes until a changed file is what is polled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_bytes(octets)
        fleet = Fleet(None, Counters(), lambda _: None, now_us=lambda: 0)  # type: ignore[arg-type]  # it does not run
        async with Buffer(Path(folder) / "agent.db", Counters(), clock_us=lambda: time.time_ns() // 1000) as buffer:

            async def keep(config: ConfigText) -> None:
                await buffer.put_meta("config", encode_config(config))

            async def kept() -> None:
                return None

            roster = Roster(fleet, buffer, Planner())
            sync = ConfigSync(SiteSource(SiteFiles(path)), Counters(), apply=roster.apply, keep=keep, kept=kept)
            await sync.fetch_once()
            before = set(fleet.devices.values())
            path.write_bytes(changed)
            began = time.process_time()
            await sync.fetch_once()
            took_s = time.process_time() - began
        assert len(set(fleet.devices.values()) - before) == 1
    return took_s


def timed(octets: bytes, before: Compiled | None = None) -> tuple[Compiled, float]:
    """The result, and the least CPU time of three runs."""
    times = []
    for _ in range(3):
        began = time.process_time()
        compiled = compile_site([("site.yaml", octets)], lambda *_: "", before=before)
        times.append(time.process_time() - began)
    return compiled, min(times)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
