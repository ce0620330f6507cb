"""`towerops-agent run`, which is the bare command too: poll and deliver, for good or once.

Imports are lazy, as in main.py. Exit status: 0 all went well · 1 it did not, with the reason on standard error · 2 a bad setting.
"""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.options import EXIT_FAILURE, fail
from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.settings import SETTINGS, Settings, read_settings

if TYPE_CHECKING:
    from towerops_agent.agent import Agent, OnceReport


def _settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each of SETTINGS, absent unless given."""
    for setting in reversed(SETTINGS):
        default = f" Default: {setting.default}." if setting.default else ""
        text = f"{setting.help}{default} [{setting.variable}]"
        command = click.option(setting.flag, setting.name, default=None, metavar="TEXT", help=text)(command)
    return command


@click.command()
@click.option("--once", is_flag=True, help="Fetch the configuration, poll every device once, submit everything, and exit.")
@_settings_options
def run(once: bool, **flags: str | None) -> None:
    """Poll and deliver, until SIGTERM or SIGINT. A second signal exits at once."""
    import asyncio

    from towerops_agent.agent import Agent

    settings = _read_settings(flags)
    try:
        agent = Agent(settings)
        if once:
            sys.exit(_report(asyncio.run(agent.run_once())))
        asyncio.run(_run_until_signalled(agent))
    except AgentError as error:
        fail(error)


async def _run_until_signalled(agent: "Agent") -> None:
    """Run `agent` until SIGTERM or SIGINT; SIGHUP has it read again what it was given, SIGUSR1 log its state."""
    import asyncio

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    errands: set[asyncio.Task[None]] = set()

    def run_errand(errand: Callable[[], Coroutine[object, object, None]]) -> None:
        task = asyncio.create_task(errand())
        errands.add(task)
        task.add_done_callback(errands.discard)

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)  # the second one: whatever hangs, this does not
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGHUP, run_errand, agent.reload)
    loop.add_signal_handler(signal.SIGUSR1, run_errand, agent.log_state)
    await agent.run(stop)


def _read_settings(flags: Mapping[str, object]) -> Settings:
    """The settings, and the log set up by them; exits where they are no good."""
    from towerops_agent.telemetry import logs

    try:
        settings = read_settings(os.environ, flags)
    except SettingsError as error:
        fail(error)
    if flags.get("token") is not None:
        click.echo("towerops-agent: warning: --token can be read by other users of this machine; prefer --token-file", err=True)
    logs.configure(settings.log_level, settings.log_format, sys.stderr, secrets=[settings.token] if settings.token else [])
    return settings


def _report(report: "OnceReport") -> int:
    """Tell what came of a single run; its exit status."""
    for problem in report.problems:
        click.echo(f"towerops-agent: {problem}", err=True)
    click.echo(f"{report.devices} devices polled, {report.metrics} metrics delivered")
    return EXIT_FAILURE if report.problems else 0
