"""Run the demo: devices, sandbox and agent on loopback, each as it runs in production; page and terminal show what arrives.

The agent is a process of its own, as a customer starts it: settings in the environment, a database on disk, HTTP between.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from towerops_agent.api.wire.contract import Accepts
from towerops_agent.settings import SETTINGS
from towerops_lab.demo.arrivals import Arrivals
from towerops_lab.demo.machine import this_machine
from towerops_lab.demo.port import free_port
from towerops_lab.demo.tower import INTERVAL_S, tower
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox

PORT = 8700
SITE = Site("North Ridge", "A simulated tower site, polled by the Towerops agent on this machine")
ACCEPTS = Accepts(
    content_encodings=["gzip"],
    max_metrics=5000,
    max_body_bytes=4 << 20,
    metric_types=["sensor_reading", "interface_stat", "equipment_status"],
)
SYSTEMD_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
TOKEN = "demo-token"  # noqa: S105 - the demo's own, for a server on loopback that lives as long as the demo


async def run_demo(seconds: float | None = None, console: Console | None = None, port: int = PORT) -> int:
    """Show the demo until Ctrl-C, or for this many seconds. Returns the exit status: 0 if values arrived.

    `port`: of the page; if it is taken, another one is used.
    """
    console = console or Console()
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
        if sandbox.page is not None:
            sandbox.page.add(site.switches())
        bound = free_port(port)
        url = await parts.enter_async_context(sandbox.serve(port=bound))
        if port and not bound:
            console.print(f"Port {port} is in use; the page is at another one.")
        if site.elsewhere:
            console.print(f"Some devices answer on other ports than usual: {', '.join(site.elsewhere)}.")
        if machine is None:
            console.print("snmpd is not installed: this machine itself is left out; the other devices are simulated.")
        console.print(f"The page:    [bold]{url}/[/bold]\nThe API:     {url}/docs", soft_wrap=True)
        console.print(
            f"{len(equipment)} devices are polled every {INTERVAL_S} s; batches arrive at once, then every 30 s. "
            "Ctrl-C stops everything.\n"
        )
        arrivals = Arrivals(equipment)
        agent = await parts.enter_async_context(running_agent(url, folder))
        show = _live(console, arrivals, sandbox) if console.is_terminal else _lines(console, arrivals, sandbox)
        async with show:
            await _until(stop, agent, seconds)
        if agent.returncode is not None:
            console.print(f"The agent has ended with status {agent.returncode}; its log:")
            console.print((folder / "agent.log").read_text(), markup=False, highlight=False)
            return 1
        metrics, batches = sandbox.store.metric_count, len(sandbox.store.batches)
    console.print(f"\n{metrics} metrics arrived in {batches} batches. All stopped.")
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


async def _until(stop: asyncio.Event, agent: asyncio.subprocess.Process, seconds: float | None) -> None:
    """Wait until `stop` is set, the agent has ended, or the time is over."""
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(agent.wait())]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


@asynccontextmanager
async def _live(console: Console, arrivals: Arrivals, sandbox: Sandbox) -> AsyncIterator[None]:
    """A table that changes in place."""
    with Live(_table(arrivals, sandbox), console=console, auto_refresh=False) as live:

        def arrived(batch: Batch) -> None:
            arrivals.take(batch.metrics)
            live.update(_table(arrivals, sandbox), refresh=True)

        end = sandbox.store.listen(arrived)
        try:
            yield
        finally:
            end()


@asynccontextmanager
async def _lines(console: Console, arrivals: Arrivals, sandbox: Sandbox) -> AsyncIterator[None]:
    """A line for each value of each batch, if there is no terminal."""

    def arrived(batch: Batch) -> None:
        console.print(f"batch of {len(batch.metrics)} metrics")
        for row in arrivals.take(batch.metrics):
            console.print(
                f"  {row.time}  {row.device:<20}  {row.item:<20}  {row.value}", markup=False, highlight=False, soft_wrap=True
            )

    end = sandbox.store.listen(arrived)
    try:
        yield
    finally:
        end()


def _table(arrivals: Arrivals, sandbox: Sandbox) -> Table:
    """A line for each device: its first sensor and its first interface."""
    store = sandbox.store
    table = Table(title="What has arrived at the server", title_justify="left", caption_justify="left")
    table.caption = f"{store.metric_count} metrics in {len(store.batches)} batches, {len(store.heartbeats)} heartbeats"
    table.add_column("device")
    table.add_column("first sensor")
    table.add_column("first interface", min_width=32)
    table.add_column("read at (UTC)")
    table.add_column("values", justify="right")
    for device, rows in arrivals.by_device().items():
        sensor = next((row for row in rows if not row.is_interface), None)
        interface = next((row for row in rows if row.is_interface), None)
        table.add_row(
            device,
            f"{sensor.item}: {sensor.value}" if sensor else "",
            interface.value if interface else "",
            max(row.time for row in rows),
            str(sum(row.count for row in rows)),
        )
    return table
