"""What destinations cost: CPU to encode and compress polls of 20 sensors and 48 interfaces, octets a value, and memory.

.venv/bin/python benchmarks/destinations.py           # CPU, of each kind
.venv/bin/python benchmarks/destinations.py --memory  # 10,000 devices of 68 labelled items: over Towerops JSON, of each kind
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import msgspec

from towerops_agent.api.wire.outcomes import Accepted, Outcome
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import ConfigWriter
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.model import INTERFACE_COLUMNS, Layout, Poll

SENSORS, INTERFACES, POLLS = 20, 48, 100
VALUES = SENSORS + INTERFACES * len(INTERFACE_COLUMNS)
NOW_US = 1_767_986_535_000_000
KINDS = ("remote_write", "influxdb", "otlp")

DEVICES, ROUNDS = 10_000, 1


def device(number: int) -> dict[str, Any]:
    """A switch, as the configuration has it."""
    return {
        "id": f"e{number}",
        "name": f"north tower switch {number}",
        "ip_address": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "snmp": {"port": 161},
        "labels": {"site": "north", "region": "brook county"},
        "sensors": [
            {"id": f"e{number}-s{n}", "oid": f"1.3.6.1.4.1.{n + 1}", "unit": "celsius", "metadata": {"descr": f"sensor {n}"}}
            for n in range(SENSORS)
        ],
        "interfaces": [{"id": f"e{number}-i{n}", "if_index": n + 1, "if_name": f"sfp-sfpplus{n}"} for n in range(INTERFACES)],
    }


def layout(number: int) -> Layout:
    """Of the device's polls."""
    sensors = tuple((f"e{number}-s{n}", 10.0) for n in range(SENSORS))
    return Layout(f"e{number}", sensors, tuple(f"e{number}-i{n}" for n in range(INTERFACES)))


def poll(layout_id: int, n: int) -> Poll:
    """One of which all was read."""
    values = tuple((n * 7919 + k) ** 2 for k in range(VALUES))
    return Poll(layout_id, NOW_US + n * 60_000_000, values, ((SENSORS + INTERFACES, 1500),), SENSORS + INTERFACES)


def cpu() -> None:
    """Of each kind, the best of five runs."""
    # Not at the top: an agent of the API does not load them, and the memory of one is measured too.
    from towerops_agent.destinations import kinds  # noqa: PLC0415
    from towerops_agent.destinations.wire.samples import samples_of  # noqa: PLC0415
    from towerops_agent.destinations.wire.series import series_of  # noqa: PLC0415

    of = layout(0)
    polls = [poll(1, n) for n in range(POLLS)]
    found = series_of(device(0), {"agent": "a1"})
    for name in KINDS:
        kind = kinds.KINDS[name]
        heads = kind.heads_of(of, found)
        best_s = {"encode": 1e9, "compress": 1e9}
        for _ in range(5):
            began = time.process_time()
            body, _ = kind.encode((heads, of, samples_of(of, one)) for one in polls)
            encoded = time.process_time()
            packed = kind.compress(body)
            ended = time.process_time()
            best_s["encode"] = min(best_s["encode"], encoded - began)
            best_s["compress"] = min(best_s["compress"], ended - encoded)
        values = VALUES * POLLS
        each = ", ".join(f"{what} {seconds / values * 1e6:.2f}" for what, seconds in best_s.items())
        total = sum(best_s.values()) / values * 1e6
        print(
            f"{name:<12} {total:.2f} ms of CPU per 1,000 values ({each}), "
            f"{len(body) / values:.0f} octets a value, {len(packed) / values:.1f} compressed"
        )


class Sink:
    """Accepts everything, as the API or as a receiver."""

    ahead_s: float | None = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, body: bytes) -> Accepted:  # noqa: ARG002
        return Accepted()

    async def post_metrics(self, body: bytes, key: str, encoding: object = None) -> Outcome:  # noqa: ARG002
        return Accepted()

    def reread_token(self) -> bool:
        return False


def resident_mb(name: str) -> float:
    """VmRSS, or VmHWM, the most that it ever was."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024


async def memory_of(kind: str) -> None:
    """Deliver a poll of each device, and print what is resident then, and at most was."""
    counters = Counters()
    with tempfile.TemporaryDirectory() as folder:
        async with Buffer(Path(folder) / "agent.db", counters, clock_us=lambda: time.time_ns() // 1000) as buffer:
            writer = ConfigWriter()
            for number in range(DEVICES):
                writer.add(msgspec.json.encode(device(number)))
            config = writer.finish({})
            ids: list[int] = []
            for first in range(0, DEVICES, 500):
                ids += await buffer.register_all([layout(number) for number in range(first, first + 500)])
            if kind == "towerops":
                deliver = Courier(buffer, Sink(), counters, accepts=lambda: Accepts(content_encodings=("gzip",), is_stated=True))
            else:
                from towerops_agent.destinations.couriers import Couriers  # noqa: PLC0415
                from towerops_agent.site.document.destination import Destination  # noqa: PLC0415

                deliver = Couriers(  # type: ignore[assignment]
                    buffer,
                    counters,
                    loop="delivery",
                    sleeper=lambda _: asyncio.sleep,
                    forget=lambda _: None,
                    client=lambda _: Sink(),
                )
                await deliver.use([Destination("d", "http://127.0.0.1:9/", kind=kind)])  # type: ignore[attr-defined]
                parts = [digest for digest, _ in read_config(config).equipment]
                layouts = {digest: (one,) for digest, one in zip(parts, ids, strict=True)}
                await deliver.learn(config, layouts)  # type: ignore[attr-defined]
            for n in range(ROUNDS):
                for first in range(0, DEVICES, 500):
                    for one in ids[first : first + 500]:
                        buffer.add(poll(one, n))
                    await buffer.flush()
                    assert await deliver.deliver_pending()
            assert counters.total(Count.METRICS_DELIVERED) == ROUNDS * DEVICES * (SENSORS + INTERFACES)
    print(resident_mb("VmRSS"), resident_mb("VmHWM"))


def memory() -> None:
    """Of each kind in a process of its own."""
    found = {}
    for kind in ("towerops", *KINDS):
        done = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True)
        found[kind] = [float(word) for word in done.stdout.splitlines()[-1].split()]
    now_mb, most_mb = found.pop("towerops")
    print(f"{'Towerops':<12} {now_mb:.0f} MB resident, {most_mb:.0f} at most")
    for kind, (resident, most) in found.items():
        print(f"{kind:<12} {resident:.0f} MB resident, {most:.0f} at most: {resident - now_mb:+.0f} and {most - most_mb:+.0f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--memory"]:
        memory()
    elif sys.argv[1:]:
        asyncio.run(memory_of(sys.argv[1]))
    else:
        cpu()
