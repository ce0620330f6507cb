"""`towerops-agent sandbox`: serve a configuration file and print what arrives, until SIGINT or SIGTERM."""

import asyncio
import signal
import sqlite3
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import click

from towerops_agent.cli.output import OutputLost
from towerops_agent.text import counted
from towerops_lab.port import serve_at
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox


def run(
    config: Path | None, token: str, database: Path | None, host: str, port: int, certificate: Path | None, key: Path | None
) -> None:
    """Serve until a signal. If the port is taken, another one is used."""
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    tls = (certificate, key) if certificate is not None and key is not None else None
    document = b'{"equipment":[]}' if config is None else config.read_bytes()
    try:
        sandbox = Sandbox(document, token, path=database or ":memory:", site=Site())
    except sqlite3.Error as error:
        raise click.ClickException(f"--database is {database}: {error}; expected a file of a sandbox, or a new one") from None
    try:
        asyncio.run(_serve(sandbox, host, port, tls))
    finally:
        sandbox.store.records.close()


async def _serve(sandbox: Sandbox, host: str, port: int, tls: tuple[Path, Path] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sandbox.store.listen(_say)
    async with AsyncExitStack() as parts:
        try:
            url, is_wanted = await serve_at(parts, lambda port: sandbox.serve(host, port, tls), port)
        except ssl.SSLError:
            wanted = "expected PEM files of a certificate chain and of its key, without a passphrase"
            raise click.ClickException(f"--certificate and --key can't be used together: {wanted}") from None
        except OSError as error:
            raise click.ClickException(f"--host is {host}, --port {port}: {error.strerror or error}") from None
        if not is_wanted:
            click.echo(f"port {port} is in use; another one is used", err=True)
        click.echo(f"serving {url}")
        await stop.wait()
    metrics, batches = sandbox.store.metric_count, len(sandbox.store.batches)
    click.echo(f"stopped; {counted(metrics, 'metric')} in {counted(batches, 'batch', 'batches')}")


def _say(batch: Batch) -> None:
    with suppress(BrokenPipeError, OutputLost):  # nobody reads it, as behind `| head`: no reason to answer the agent with 500
        click.echo(f"accepted {counted(len(batch.metrics), 'metric')} ({batch.size_octets} octets)")
