"""Run the demo: devices, sandbox and agent on loopback, each as it runs in earnest, and show what arrives at the server.

The agent is a process of its own, as a customer starts it: settings in the environment, a database on disk, HTTP between.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from towerops_agent.demo.arrivals import Arrivals
from towerops_agent.demo.devices import INTERVAL_S, radio, this_machine
from towerops_agent.sandbox.server import Sandbox
from towerops_agent.sandbox.store import Batch

TOKEN = "demo-token"  # noqa: S105 - the demo's own, for a server on loopback that lives as long as the demo


async def run_demo(seconds: float | None = None, console: Console | None = None) -> int:
    """Show the demo until Ctrl-C, or for so many seconds; the exit status: 0 where values arrived."""
    console = console or Console()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="towerops-demo-")))
        machine = await parts.enter_async_context(this_machine(folder / "snmpd"))
        equipment = [*([machine] if machine else []), await parts.enter_async_context(radio())]
        sandbox = Sandbox({"version": "demo", "poll_interval_seconds": INTERVAL_S, "equipment": equipment}, TOKEN)
        url = await parts.enter_async_context(sandbox.serve())
        arrivals = Arrivals(equipment)
        console.print(
            f"A stand-in for the Towerops API at {url}, {_devices(equipment, machine is not None)}, and the agent.",
            soft_wrap=True,
        )
        console.print(
            f"Devices are polled every {INTERVAL_S} s; batches arrive at once, then every 30 s. Ctrl-C stops everything.\n"
        )
        agent = await parts.enter_async_context(_agent(url, folder))
        show = _live(console, arrivals, sandbox) if console.is_terminal else _lines(console, arrivals, sandbox)
        async with show:
            await _until(stop, agent, seconds)
        if agent.returncode is not None:
            console.print(f"The agent has ended with status {agent.returncode}; its log:")
            console.print((folder / "agent.log").read_text(), markup=False, highlight=False)
            return 1
    store = sandbox.store
    console.print(f"\n{store.metric_count} metrics arrived in {len(store.batches)} batches. All stopped.")
    return 0 if store.metric_count else 1


@asynccontextmanager
async def _agent(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The agent, as a process; told to stop, and waited for, at the end."""
    settings = {"TOWEROPS_API_URL": url, "TOWEROPS_AGENT_TOKEN": TOKEN, "DATABASE_PATH": str(folder / "agent.db")}
    with (folder / "agent.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "towerops_agent", "run"),
            env={**os.environ, **settings},
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is the demo's to handle
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until(stop: asyncio.Event, agent: asyncio.subprocess.Process, seconds: float | None) -> None:
    """Until `stop` is set, the agent has ended, or the time is over."""
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
    """A line for each value of each batch, where there is no terminal."""

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
    store = sandbox.store
    table = Table(title="What has arrived at the server", title_justify="left", caption_justify="left")
    table.caption = f"{store.metric_count} metrics in {len(store.batches)} batches, {len(store.heartbeats)} heartbeats"
    table.add_column("device")
    table.add_column("sensor or interface")
    table.add_column("last value", min_width=36)
    table.add_column("read at (UTC)")
    table.add_column("arrived", justify="right")
    device = ""
    for row in arrivals.rows:
        table.add_row("" if row.device == device else row.device, row.item, row.value, row.time, str(row.count))
        device = row.device
    return table


def _devices(equipment: list[dict[str, Any]], real: bool) -> str:
    names = [device["name"] for device in equipment]
    if real:
        return f"net-snmp's snmpd for this machine ({names[0]}), a simulated radio"
    return "a simulated radio (snmpd is not installed: this machine itself is left out)"
