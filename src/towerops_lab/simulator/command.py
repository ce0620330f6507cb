"""`towerops-agent simulate`: serve a fleet of devices until SIGINT or SIGTERM. If the port is taken, another one is used."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import click
import msgspec

from towerops_agent.text import counted
from towerops_lab.port import serve_at
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, fleet_config, make_fleet
from towerops_lab.simulator.profiles import Profile


def run(
    profiles: Sequence[Profile],
    count: int,
    community: str,
    port: int,
    interval_s: int,
    write_config: Path | None,
    version: str | None = None,
) -> None:
    """Serve until a signal.

    `write_config`: the file for the devices' configuration, written once they answer, with this SNMP `version`.
    """

    def ready(bound: int) -> None:
        if write_config is not None:
            document = fleet_config(profiles, count, community, bound, interval_s, version)
            try:
                write_config.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
            except OSError as error:
                raise click.ClickException(f"--write-config is {write_config}: {error.strerror}") from None
        last = f" to {FIRST_ADDRESS + count - 1}" if count > 1 else ""
        click.echo(f"serving {counted(count, 'device')} at {FIRST_ADDRESS}{last}, port {bound}")

    server = FleetServer(make_fleet(profiles, count, community, time.time()))
    asyncio.run(_serve(server, port, ready))
    click.echo(f"stopped; {counted(server.answered, 'request')} answered")


async def _serve(server: FleetServer, port: int, ready: Callable[[int], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        try:
            bound, is_wanted = await serve_at(parts, server.serve, port)
        except OSError as error:
            raise click.ClickException(f"--port is {port}, of UDP on the loopback interface: {error.strerror or error}") from None
        if not is_wanted:
            click.echo(f"port {port} is in use; another one is used", err=True)
        ready(bound)
        await stop.wait()
