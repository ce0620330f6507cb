"""The command `towerops-agent`: a group, with one file beside this one for each command.

Exit status: 0 success · 1 failure, with the reason on standard error · 2 a bad setting or bad usage.
Imports are lazy, so that --help does not wait for the libraries of the work itself.
"""

import os
import sys
from importlib.metadata import entry_points

import click

from towerops_agent import __version__
from towerops_agent.cli.doctor import doctor
from towerops_agent.cli.health import health
from towerops_agent.cli.history import history
from towerops_agent.cli.run import run
from towerops_agent.cli.snmp import snmp
from towerops_agent.cli.status import status

EXTENSIONS = "towerops_agent.commands"
"""The entry points through which another package adds commands, as the lab does."""


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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """The Towerops agent: polls SNMP devices, keeps the readings through outages, submits them to the Towerops API.

    Without a command it does the same as `run`. Settings come from the environment; options win over it.
    """
    from towerops_agent.telemetry import logs

    logs.configure("warning", "logfmt", sys.stderr)  # `run` sets it up again from its settings


for command in (run, doctor, status, health, history, snmp):
    cli.add_command(command)


def hold_standard_streams() -> None:
    """Open /dev/null as each of standard input, output and error that is closed (`2>&-`).

    Else the next file to be opened, the database, would get that number, and output to standard error would go into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, os.fdopen(descriptor, mode))


def main() -> None:
    """Run the command line."""
    hold_standard_streams()
    cli(prog_name="towerops-agent")
