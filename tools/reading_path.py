#!/usr/bin/env python3
"""Print through how many modules of the agent one reading passes, and which: `.venv/bin/python tools/reading_path.py`.

A sandbox and one simulated device, on loopback; beside them `towerops-agent run --once` as a process, with a profiler hook in
each of its threads. A module counts if one of its functions is called, other than while modules are imported. Three counts: of
the whole run (settings, log, database, configuration and stop among it); of what is called from the moment polling begins until
the batch is acknowledged in the database; and of that with the stop that follows, in which traits and a snapshot are kept.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = "towerops_agent"
FUNCTION = 1
"""The flag of code that is a function's, not a module's or a class's (inspect.CO_OPTIMIZED)."""


POLLING_BEGINS, DELIVERED = "Fleet.poll_all_once", "Store._mark_sent"


class Passed:
    """The modules that were passed so far, in any thread: of the whole run, until the batch was acknowledged, and since then."""

    def __init__(self) -> None:
        self.run: set[str] = set()
        self.reading: set[str] = set()
        self.stop: set[str] = set()
        self._part: set[str] | None = None

    def called(self, module: str, function: str) -> None:
        """A function of this module is called."""
        if function == POLLING_BEGINS:
            self._part = self.reading
        self.run.add(module)
        if self._part is not None:
            self._part.add(module)

    def returned(self, function: str) -> None:
        """A function has returned."""
        if function == DELIVERED:
            self._part = self.stop


class Hook:
    """A profiler hook for one thread."""

    def __init__(self, passed: Passed) -> None:
        self._passed = passed
        self._importing = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """What sys.setprofile calls."""
        code = frame.f_code
        if code.co_name == "<module>":
            self._importing += {"call": 1, "return": -1}.get(event, 0)
        elif event == "return":
            self._passed.returned(code.co_qualname)
        elif event == "call" and not self._importing and code.co_flags & FUNCTION:
            name = frame.f_globals.get("__name__", "")
            if name == PACKAGE or name.startswith(f"{PACKAGE}."):
                self._passed.called(name, code.co_qualname)


def watch() -> None:
    """Be the agent, under the hook; write the modules to the file named by the first argument."""
    result = Path(sys.argv.pop(1))
    passed = Passed()
    threading.setprofile(lambda *event: (hook := Hook(passed), sys.setprofile(hook), hook(*event)))
    from towerops_agent.cli.main import main

    sys.setprofile(Hook(passed))
    try:
        main()
    finally:
        sys.setprofile(None)
        result.write_text(json.dumps([sorted(passed.run), sorted(passed.reading), sorted(passed.stop)]))


def configuration(port: int) -> dict[str, Any]:
    """One device with one sensor and one interface."""
    return {
        "version": "1",
        "equipment": [
            {
                "id": "d",
                "name": "Device",
                "ip_address": "127.0.0.1",
                "snmp": {"version": "2c", "community": "public", "port": port},
                "sensors": [{"id": "s", "type": "uptime", "oid": "1.3.6.1.2.1.1.3.0", "divisor": 100}],
                "interfaces": [{"id": "i", "if_index": 1, "if_name": "eth0"}],
            }
        ],
    }


async def measure() -> tuple[list[str], list[str], list[str]]:
    """The modules that a run passes in which the readings of one device arrive; those of them of the reading, and of the stop."""
    from towerops_agent.snmp.wire import ber
    from towerops_agent.snmp.wire.ber import parse_oid
    from towerops_lab.sandbox.server import Sandbox
    from towerops_lab.simulator.device import SimulatedDevice, table
    from towerops_lab.simulator.server import serve

    rows: list[Any] = [(parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, 4711)]
    rows += [(parse_oid(name), ber.OCTET_STRING, b"eth0") for name in ("1.3.6.1.2.1.2.2.1.2.1", "1.3.6.1.2.1.31.1.1.1.1.1")]
    rows += [(parse_oid("1.3.6.1.2.1.31.1.5.0"), ber.TIME_TICKS, 0)]
    rows += [(parse_oid(f"1.3.6.1.2.1.31.1.1.1.{column}.1"), ber.COUNTER64, 1 << 40) for column in (6, 10)]
    rows += [(parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.1"), ber.COUNTER32, 7) for column in (13, 14, 19, 20)]
    rows += [(parse_oid("1.3.6.1.2.1.2.2.1.8.1"), ber.INTEGER, 1)]
    with tempfile.TemporaryDirectory() as folder:
        async with serve(SimulatedDevice(table(rows))) as port:
            sandbox = Sandbox(configuration(port), "token-of-the-path")
            async with sandbox.serve() as url:
                result = Path(folder) / "passed"
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, __file__, "--watch", str(result), "run", "--once"),
                    env={
                        "PATH": os.environ["PATH"],
                        "TOWEROPS_API_URL": url,
                        "TOWEROPS_AGENT_TOKEN": "token-of-the-path",
                        "DATABASE_PATH": f"{folder}/agent.db",
                        "LOG_LEVEL": "error",
                    },
                )
                if await process.wait() != 0 or sandbox.store.metric_count != 2:
                    raise SystemExit("the run did not deliver the two metrics of the device")
                run, reading, stop = json.loads(result.read_text())
                return run, reading, stop


def main() -> None:
    """Measure, print."""
    if sys.argv[1:2] == ["--watch"]:
        del sys.argv[1]
        watch()
        return
    run, reading, stop = asyncio.run(measure())
    packages = Counter(name.removeprefix(PACKAGE).strip(".").rpartition(".")[0] or "(top)" for name in reading)
    for name in run:
        print("*" if name in reading else " ", name)
    print(f"\n{len(run)} modules in the whole run; {len(reading)} (*) from the first request to the acknowledged batch:")
    print(", ".join(f"{package} {count}" for package, count in packages.most_common()))
    print(f"{len({*reading, *stop})} with the stop that follows")


if __name__ == "__main__":
    main()
