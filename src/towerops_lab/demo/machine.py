"""This machine as one device of the demo, by net-snmp's snmpd, if it is installed. The others are simulated: tower.py."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from towerops_lab.demo.tower import COMMUNITY, INTERVAL_S


def snmpd_path() -> str | None:
    """Where net-snmp's snmpd is; None if it is not installed."""
    return shutil.which("snmpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def this_machine(folder: Path) -> AsyncIterator[dict[str, Any] | None]:
    """Serve this machine's own MIB by snmpd on a free port of loopback; yields its equipment, None without snmpd."""
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
        start_new_session=True,  # only the demo handles Ctrl-C
    )
    try:
        yield _equipment("this-machine", f"This machine ({socket.gethostname()})", port, MACHINE_SENSORS, _interfaces())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


MACHINE_SENSORS = (
    # name, OID, divisor, unit
    ("load, 1 minute", "1.3.6.1.4.1.2021.10.1.3.1", 1, ""),
    ("processes", "1.3.6.1.2.1.25.1.6.0", 1, ""),
    ("memory free", "1.3.6.1.4.1.2021.4.6.0", 1024, "MiB"),
    ("uptime", "1.3.6.1.2.1.25.1.1.0", 8640000, "d"),
)


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
