"""The devices of the benchmarks: one process that answers for all of them, and the configuration that has them polled.

Each has 20 sensors and 48 interfaces: 308 values a poll, 68 metrics. If there is gcc, responder.c answers, at every address
127.x.y.z; the source of another one that takes the same arguments can be given in RESPONDER_SOURCE. Without gcc it is
`towerops-agent simulate`, which handles some 7,700 requests a second.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import msgspec

from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import Community, Request, Version
from towerops_lab.simulator.profiles import PROFILES

SENSORS, INTERFACES = 20, 48
VALUES = SENSORS + 6 * INTERFACES
METRICS = SENSORS + INTERFACES
FIRST = IPv4Address("127.1.0.1")
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Devices:
    """What answers."""

    kind: str
    port: int
    sensors: list[str]
    if_names: list[str]

    def config(self, count: int, interval_s: int, most_metrics: int | None = None) -> bytes:
        """The API's configuration for so many of them: 7.8 KB each, with ids as the API has them.

        `most_metrics`: what the API says that it accepts in a request; None: it does not say.
        """
        equipment = [self._equipment(n, interval_s) for n in range(count)]
        accepts = {} if most_metrics is None else {"accepts": {"max_metrics": most_metrics, "max_body_bytes": 4 << 20}}
        return msgspec.json.encode({"version": f"{count}/{interval_s}", "equipment": equipment, **accepts})

    def _equipment(self, n: int, interval_s: int) -> dict[str, object]:
        name = f"Tower {n // 20} switch {n % 20}"
        return {
            "id": uuid(n, 0),
            "name": name,
            "ip_address": str(FIRST + n),
            "snmp": {"enabled": True, "version": "2c", "community": "public", "port": self.port},
            "poll_interval_seconds": interval_s,
            "sensors": [
                {"id": uuid(n, 1 + i), "type": "temperature", "oid": oid, "divisor": 10, "unit": "C", "metadata": {"descr": "x"}}
                for i, oid in enumerate(self.sensors)
            ],
            "interfaces": [
                {"id": uuid(n, 100 + i), "if_index": i + 1, "if_name": if_name} for i, if_name in enumerate(self.if_names)
            ],
        }


@contextmanager
def answering(folder: Path, silent_every: int = 0, round_trip_ms: int = 0) -> Iterator[Devices]:
    """Devices that answer until the block ends; with `silent_every` 10 one in ten does not. `folder`: for the binary.

    `round_trip_ms`: each answers after a time of its own, from 1 to so many milliseconds; 0: at once.
    """
    port = _free_port()
    source = Path(os.environ.get("RESPONDER_SOURCE") or Path(__file__).with_name("responder.c"))
    if shutil.which("gcc"):
        binary = folder / "responder"
        subprocess.run(["gcc", "-O2", "-o", binary, source], check=True)
        options = [silent_every, round_trip_ms] if round_trip_ms else [silent_every] if silent_every else []
        command = [str(binary), str(port), str(INTERFACES), *map(str, options)]
        sensors = [f"1.3.6.1.4.1.99999.1.{i}.0" for i in range(1, SENSORS + 1)]
        devices = Devices(source.name, port, sensors, [f"Gi0/{i}" for i in range(1, INTERFACES + 1)])
    elif silent_every or round_trip_ms:
        raise SystemExit("silent and distant devices need gcc, for benchmarks/responder.c")
    else:
        profile = PROFILES["mikrotik-48"]
        simulated = ("--devices", str(MOST), "--profile", profile.name, "--port", str(port))
        command = [sys.executable, "-m", "towerops_agent", "simulate", *simulated]
        devices = Devices(
            "towerops-agent simulate", port, [sensor.oid for sensor in profile.sensors], [link.name for link in profile.links]
        )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_answered(port)
        yield devices
    finally:
        process.kill()
        process.wait()


def _wait_until_answered(port: int) -> None:
    question = Community(Version.V2C, b"public").encode(Request((parse_oid("1.3.6.1.2.1.1.3.0"),)), 0x01020304, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                for n in range(2):  # of two neighbours one answers at least
                    sock.sendto(question, (str(FIRST + n), port))
                sock.recv(2048)
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise SystemExit("the devices do not answer: is loopback there, all of 127.0.0.0/8?")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        return sock.getsockname()[1]


def uuid(device: int, item: int) -> str:
    """The id of an item of a device, as the API has them."""
    return str(UUID(int=(device * 1000 + item) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128), version=4))
