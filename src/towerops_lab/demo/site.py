"""Run the demo: devices, sandbox and agent on loopback, each as it runs in production; page and terminal show what arrives.

The agent is a process of its own, as a customer starts it: settings in the environment, a database on disk, HTTP between.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import click

from towerops_agent.api.wire.contract import Accepts
from towerops_agent.cli.output import OutputLost
from towerops_agent.cli.terminal import on_terminal, width
from towerops_agent.settings import SETTINGS
from towerops_agent.text import counted
from towerops_lab.demo.arrivals import table
from towerops_lab.demo.group import has_server, running_group
from towerops_lab.demo.machine import this_machine
from towerops_lab.demo.tower import INTERVAL_S, tower
from towerops_lab.port import serve_at
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.glance import Glance
from towerops_lab.sandbox.kinds import NAMES
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox

PORT = 8700
SITE = Site("North Ridge", "A simulated tower site, polled by the Towerops agent on this machine")
ACCEPTS = Accepts(
    content_encodings=["gzip", "zstd"],
    max_metrics=5000,
    max_body_bytes=4 << 20,
    metric_types=NAMES,
)
SYSTEMD_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
TOKEN = "demo-token"  # noqa: S105 - the demo's own, for a server on loopback that lives as long as the demo


async def run_demo(seconds: float | None, port: int, group: int) -> int:
    """Show the demo until Ctrl-C, or for this many seconds. Returns the exit status: 0 if values arrived.

    `port`: of the page; if it is taken, another one is used. `group`: how many agents share the devices; 0: there is one.
    """
    server = has_server() if group else ""
    if server is None:
        click.echo("nats-server is needed for a group of agents; on Debian: apt-get install nats-server", err=True)
        return 1
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # Ctrl-C, kill, the terminal closed
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="towerops-demo-")))
        site = await parts.enter_async_context(tower())
        machine = await parts.enter_async_context(this_machine(folder / "snmpd"))
        equipment = [*site.equipment, *([machine] if machine else [])]
        sandbox = Sandbox(demo_config(equipment), TOKEN, ACCEPTS, path=folder / "sandbox.db", site=SITE)
        parts.callback(sandbox.store.records.close)
        page = sandbox.page
        assert page is not None  # noqa: S101 - it has a site
        page.add(site.switches())
        try:
            url, is_wanted = await serve_at(parts, lambda port: sandbox.serve(port=port), port)
        except OSError as error:
            click.echo(
                f"the page can't be at port {port}: {error.strerror or error}; expected another one, as in --port 8700", err=True
            )
            return 1
        if not is_wanted:
            click.echo(f"Port {port} is in use; the page is at another one.")
        if site.elsewhere:
            click.echo(f"Some devices answer on other ports than usual: {', '.join(site.elsewhere)}.")
        if machine is None:
            click.echo("snmpd is not installed: this machine itself is left out; the other devices are simulated.")
        click.echo(
            f"The page:    {click.style(f'{url}/', bold=True)}\nThe API:     {url}/docs\n"
            f"Polled every {INTERVAL_S} s: {counted(len(equipment), 'device')}. Batches arrive at once, then every 30 s. "
            "Ctrl-C stops everything.\n"
        )
        agent: asyncio.subprocess.Process | None = None
        if group:
            boxes = running_group(group, server, folder, agent_environment(url, folder, os.environ))
            page.add([box.switch() for box in await parts.enter_async_context(boxes)])
            click.echo(f"{group} agents share the devices. The page has a switch for each that kills it.\n")
        else:
            agent = await parts.enter_async_context(running_agent(url, folder))
        parts.callback(sandbox.store.listen(_show(page.glance)))
        await _until(stop, agent, seconds)
        if agent is not None and agent.returncode is not None:
            click.echo(f"The agent has ended with status {agent.returncode}; its log:\n{(folder / 'agent.log').read_text()}")
            return 1
        metrics, batches = sandbox.store.metric_count, len(sandbox.store.batches)
    click.echo(f"\n{counted(metrics, 'metric')} arrived in {counted(batches, 'batch', 'batches')}. All stopped.")
    return 0 if metrics else 1


def demo_config(equipment: list[dict[str, Any]]) -> dict[str, Any]:
    """The agent's configuration."""
    return {"version": "demo", "poll_interval_seconds": INTERVAL_S, "equipment": equipment}


def agent_environment(url: str, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the demo's agent: the caller's without any setting of an agent, and the demo's own settings."""
    settings = {setting.variable for setting in SETTINGS} | set(SYSTEMD_VARIABLES)
    inherited = {name: value for name, value in environ.items() if name not in settings}
    return inherited | {"TOWEROPS_API_URL": url, "TOWEROPS_AGENT_TOKEN": TOKEN, "DATABASE_PATH": str(folder / "agent.db")}


@asynccontextmanager
async def running_agent(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The agent, as a process; at the end it is stopped and waited for."""
    with (folder / "agent.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "towerops_agent", "run"),
            env=agent_environment(url, folder, os.environ),
            stdout=output,
            stderr=output,
            start_new_session=True,  # only the demo handles Ctrl-C
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until(stop: asyncio.Event, agent: asyncio.subprocess.Process | None, seconds: float | None) -> None:
    """Wait until `stop` is set, the agent, if there is only one, has ended, or the time is over."""
    waits: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if agent is not None:
        waits.append(asyncio.create_task(agent.wait()))
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def _show(glance: Glance) -> Callable[[Batch], None]:
    """Shows each batch that arrives: on a terminal as a table that changes in place, else as lines."""
    in_place = on_terminal()
    drawn = 0

    def show(batch: Batch) -> None:
        nonlocal drawn
        lines = [f"a batch of {counted(len(batch.metrics), 'metric')} has arrived", *table(glance.glance(batch.arrived_us))]
        columns = width()
        above = f"\x1b[{drawn}A\x1b[J" if in_place and drawn else ""
        with suppress(BrokenPipeError, OutputLost):  # nobody reads it, as behind `| head`: no reason to answer the agent with 500
            click.echo(above + "\n".join(line[:columns] for line in lines))
        drawn = len(lines)

    return show
