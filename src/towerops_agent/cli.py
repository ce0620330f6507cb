"""The command `towerops-agent`: one function a command.

Exit status: 0 all went well · 1 it did not, with the reason on standard error · 2 a bad setting or bad usage.
Imports are lazy, so that --help does not wait for the libraries of the work itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click

from towerops_agent import __version__
from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.operations.doctor_commands import doctor
from towerops_agent.operations.snmp_commands import snmp
from towerops_agent.operations.status_commands import health, history, status
from towerops_agent.settings import SETTINGS, Settings, read_settings

if TYPE_CHECKING:
    from towerops_agent.agent import Agent, OnceReport

EXIT_FAILURE = 1
EXIT_SETTINGS = 2


EXTENSIONS = "towerops_agent.commands"
"""The entry points by which another package adds commands, as the lab does."""


class _Commands(click.Group):
    """The commands of this package and those of the installed extensions; the bare command, with or without options, is `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=EXTENSIONS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None:
            for extension in entry_points(group=EXTENSIONS, name=cmd_name):
                found: click.Command = extension.load()
                return found
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h", "--version")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each of SETTINGS, absent unless given."""
    for setting in reversed(SETTINGS):
        default = f" Default: {setting.default}." if setting.default else ""
        text = f"{setting.help}{default} [{setting.variable}]"
        command = click.option(setting.flag, setting.name, default=None, metavar="TEXT", help=text)(command)
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """The Towerops agent: polls SNMP devices, keeps the readings through outages, submits them to the Towerops API.

    Without a command it does what `run` does. Settings come from the environment; options win over it.
    """
    from towerops_agent.operations import logs

    logs.configure("warning", "logfmt", sys.stderr)  # `run` sets it up anew, as its settings say


@cli.command()
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
        _fail(error)


for command in (doctor, status, health, history, snmp):
    cli.add_command(command)


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
    from towerops_agent.operations import logs

    try:
        settings = read_settings(os.environ, flags)
    except SettingsError as error:
        for line in str(error).splitlines():
            click.echo(f"towerops-agent: {line}", err=True)
        sys.exit(EXIT_SETTINGS)
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


def _fail(error: AgentError) -> None:
    for line in str(error).splitlines():
        click.echo(f"towerops-agent: {line}", err=True)
    sys.exit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILURE)


def main() -> None:
    """Run the command line."""
    cli(prog_name="towerops-agent")
