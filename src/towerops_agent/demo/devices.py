"""The devices of the demo: this machine by net-snmp's snmpd where it is installed, and a simulated radio."""

import asyncio
import math
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from towerops_agent.simulator.device import Live, SimulatedDevice, table
from towerops_agent.simulator.server import serve
from towerops_agent.snmp import ber
from towerops_agent.snmp.oid import parse_oid

COMMUNITY = "demo-community"
INTERVAL_S = 5


def snmpd_path() -> str | None:
    """Where net-snmp's snmpd is; None where it is not installed."""
    return shutil.which("snmpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def this_machine(folder: Path) -> AsyncIterator[dict[str, Any] | None]:
    """Serve this machine's own MIB by snmpd on a free port of loopback; gives its equipment, None without snmpd."""
    snmpd = snmpd_path()
    if snmpd is None:
        yield None
        return
    config = _write_config(folder)
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        *(snmpd, "-f", "-r", "-C", "-c", str(config), "-Lf", str(folder / "snmpd.log"), "-I", "-smux"),
        f"udp:127.0.0.1:{port}",
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder)},
        start_new_session=True,  # Ctrl-C is the demo's to handle
    )
    try:
        yield _equipment("this-machine", socket.gethostname(), port, MACHINE_SENSORS, _interfaces())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def radio() -> AsyncIterator[dict[str, Any]]:
    """Serve a simulated point-to-point radio on a free port of loopback; gives its equipment."""
    async with serve(SimulatedDevice(table(_radio_rows()), COMMUNITY.encode())) as port:
        yield _equipment("radio", "Simulated radio", port, RADIO_SENSORS, {"eth0": 1, "wlan0": 2})


MACHINE_SENSORS = (
    # name, OID, divisor, unit
    ("load, 1 minute", "1.3.6.1.4.1.2021.10.1.3.1", 1, ""),
    ("processes", "1.3.6.1.2.1.25.1.6.0", 1, ""),
    ("memory free", "1.3.6.1.4.1.2021.4.6.0", 1024, "MiB"),
    ("uptime", "1.3.6.1.2.1.25.1.1.0", 8640000, "d"),
)

_RADIO = "1.3.6.1.4.1.99999.1"  # a number that nobody has: this radio is of our making
RADIO_SENSORS = (
    ("signal", f"{_RADIO}.1.0", 1, "dBm"),
    ("temperature", f"{_RADIO}.2.0", 10, "C"),
    ("supply", f"{_RADIO}.3.0", 1, "V"),
)


def _radio_rows() -> list[tuple[bytes, int, Live]]:
    rows: list[tuple[bytes, int, Live]] = [
        (parse_oid("1.3.6.1.2.1.1.1.0"), ber.OCTET_STRING, b"Simulated point-to-point radio"),
        (parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, lambda s: int(s * 100)),
        (parse_oid(f"{_RADIO}.1.0"), ber.OCTET_STRING, lambda s: b"%d dBm" % round(-61 + 3 * math.sin(s / 40))),
        (parse_oid(f"{_RADIO}.2.0"), ber.INTEGER, lambda s: round(412 + 15 * math.sin(s / 90))),
        (parse_oid(f"{_RADIO}.3.0"), ber.OCTET_STRING, lambda s: b"%.1f V" % (24.1 + 0.2 * math.cos(s / 25))),
    ]
    for if_index, (in_rate, out_rate) in enumerate(((1_250_000, 310_000), (305_000, 1_270_000)), start=1):
        rows.append((parse_oid(f"1.3.6.1.2.1.31.1.1.1.6.{if_index}"), ber.COUNTER64, _growing(1 << 40, in_rate)))
        rows.append((parse_oid(f"1.3.6.1.2.1.31.1.1.1.10.{if_index}"), ber.COUNTER64, _growing(1 << 39, out_rate)))
        rows += [(parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.{if_index}"), ber.COUNTER32, 0) for column in (13, 14, 19, 20)]
    return rows


def _growing(start: int, octets_a_second: int) -> Live:
    return lambda uptime_s: start + int(uptime_s * octets_a_second)


def _equipment(
    key: str, name: str, port: int, sensors: tuple[tuple[str, str, int, str], ...], interfaces: dict[str, int]
) -> dict[str, Any]:
    return {
        "id": key,
        "name": name,
        "ip_address": "127.0.0.1",
        "snmp": {"version": "2c", "community": COMMUNITY, "port": port},
        "poll_interval_seconds": INTERVAL_S,
        "sensors": [
            {"id": f"{key}/{sensor}", "type": sensor, "oid": oid, "divisor": divisor, "unit": unit}
            for sensor, oid, divisor, unit in sensors
        ],
        "interfaces": [
            {"id": f"{key}/{if_name}", "if_index": if_index, "if_name": if_name} for if_name, if_index in interfaces.items()
        ],
    }


def _interfaces() -> dict[str, int]:
    return {if_name: if_index for if_index, if_name in socket.if_nameindex()[:8]}


def _write_config(folder: Path) -> Path:
    folder.mkdir()
    config = folder / "snmpd.conf"
    config.write_text(f"rocommunity {COMMUNITY} 127.0.0.1\n")
    return config


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
