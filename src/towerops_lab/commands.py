"""The commands that the lab adds to `towerops-agent`: `demo`, `sandbox` and `simulate` (entry points in pyproject.toml).

Imports are lazy, as in the agent's command line, and so is the exit status: 0, 1 or 2.
"""

import asyncio
import sys
from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_PORT = click.IntRange(0, 65_535)


@click.command()
@click.option("--seconds", type=float, default=None, help="Stop after this many seconds; without it, at Ctrl-C.")
@click.option("--port", default=8700, show_default=True, type=_PORT, help="The page's port; 0: any free one.")
@click.option("--group", default=0, type=click.IntRange(0, 5), metavar="N", help="N agents share the devices; see docs/group.md.")
def demo(seconds: float | None, port: int, group: int) -> None:
    """Show the agent at work, on loopback, with a web page.

    A simulated tower, a stand-in for the API, the agent between them, and a page of what arrives.
    """
    from towerops_lab.demo.site import run_demo

    sys.exit(asyncio.run(run_demo(seconds, port=port, group=group)))


@click.command()
@click.option("--config", type=_FILE, help="The configuration to serve, as JSON; without it, an empty one.")
@click.option("--token", default="sandbox-token", show_default=True, help="The token to accept.")
@click.option("--database", type=_NEW_FILE, help="Keep received data in this file; else in memory.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8700, show_default=True, type=_PORT, help="The port; 0: any free one.")
@click.option("--certificate", type=_FILE, help="PEM file of the certificate chain, for HTTPS.")
@click.option("--key", type=_FILE, help="PEM file of the certificate's key.")
def sandbox(
    config: Path | None, token: str, database: Path | None, host: str, port: int, certificate: Path | None, key: Path | None
) -> None:
    """Serve a stand-in for the Towerops API, until Ctrl-C.

    With a web page of what arrives, and the API's document at /docs.
    """
    from towerops_lab.sandbox.command import run

    run(config, token, database, host, port, certificate, key)


@click.command()
@click.option("--devices", default=7, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--profile", "profiles", multiple=True, help="Kind of device; repeat it to alternate. Default: one of each.")
@click.option("--community", default="public", show_default=True, help="The community that they accept.")
@click.option("--port", default=16161, show_default=True, type=_PORT, help="UDP port of each; 0: any free one.")
@click.option(
    "--interval", default=60, show_default=True, type=click.IntRange(1), help="Seconds between polls, for --write-config."
)
@click.option("--write-config", type=_NEW_FILE, help="Write their configuration, as JSON, for the sandbox.")
@click.option(
    "--snmp", type=click.Choice(["1", "2c", "3"]), help="SNMP version for --write-config; default: the usual one of each kind."
)
@click.option("--list", "list_profiles", is_flag=True, help="List the kinds, and exit.")
def simulate(
    devices: int,
    profiles: tuple[str, ...],
    community: str,
    port: int,
    interval: int,
    write_config: Path | None,
    snmp: str | None,
    list_profiles: bool,
) -> None:
    """Serve simulated devices, until Ctrl-C.

    They are at 127.1.0.1 and the addresses after it. Their values change: traffic, weather, power. They
    answer SNMPv1 and v2c, and v3 for the user towerops with SHA-256 (towerops-auth) and AES-128 (towerops-priv).
    """
    from towerops_agent.text import counted
    from towerops_lab.simulator.command import run
    from towerops_lab.simulator.profiles import PROFILES, USUAL

    if list_profiles:
        for profile in PROFILES.values():
            has = f"{counted(len(profile.sensors), 'sensor')}, {counted(len(profile.links), 'interface')}"
            click.echo(f"{profile.name:<12} {profile.title}: {has}")
        return
    unknown = [name for name in profiles if name not in PROFILES]
    if unknown:
        raise click.UsageError(f"--profile is {unknown[0]!r}: expected one of {', '.join(PROFILES)}")
    chosen = [PROFILES[name] for name in profiles] or USUAL
    run(chosen, devices, community, port, interval, write_config, snmp)
