"""`python -m towerops_agent.sandbox`: serve a configuration file and say what arrives, until SIGINT or SIGTERM."""

import asyncio
import signal
from pathlib import Path

import click

from towerops_agent.sandbox.server import Sandbox
from towerops_agent.sandbox.store import Batch

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--config", type=_FILE, help="The configuration to serve, as JSON; without it, one that has no equipment.")
@click.option("--token", default="sandbox-token", show_default=True, help="The token to accept.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65_535), help="The port; 0: any free one.")
@click.option("--certificate", type=_FILE, help="PEM file of the certificate chain, for HTTPS.")
@click.option("--key", type=_FILE, help="PEM file of the certificate's key.")
def main(config: Path | None, token: str, host: str, port: int, certificate: Path | None, key: Path | None) -> None:
    """A stand-in for the Towerops API, in memory."""
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    tls = (certificate, key) if certificate is not None and key is not None else None
    sandbox = Sandbox(b'{"equipment":[]}' if config is None else config.read_bytes(), token)
    asyncio.run(_serve(sandbox, host, port, tls))


async def _serve(sandbox: Sandbox, host: str, port: int, tls: tuple[Path, Path] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sandbox.store.listen(_say)
    async with sandbox.serve(host, port, tls) as url:
        click.echo(f"serving {url}")
        await stop.wait()
    click.echo(f"stopped; {sandbox.store.metric_count} metrics in {len(sandbox.store.batches)} batches")


def _say(batch: Batch) -> None:
    click.echo(f"accepted {len(batch.metrics)} metrics ({batch.size_octets} octets)")


if __name__ == "__main__":
    main()
