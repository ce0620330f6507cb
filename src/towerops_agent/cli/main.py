"""The command `towerops-agent`: a group, with one file beside this one for each command.

Exit status: 0 success · 1 failure, with the reason on standard error · 2 a bad setting or bad usage.
Imports are lazy, so that --help does not wait for the libraries of the work itself.
"""

import sys
from typing import TYPE_CHECKING

import click

from towerops_agent import __version__
from towerops_agent.cli.config import config
from towerops_agent.cli.devices import devices
from towerops_agent.cli.discover import discover
from towerops_agent.cli.doctor import doctor
from towerops_agent.cli.ending import EXIT_FAILURE, fail
from towerops_agent.cli.health import health
from towerops_agent.cli.history import history
from towerops_agent.cli.output import OutputLost, check_output
from towerops_agent.cli.page import page
from towerops_agent.cli.process import hold_standard_streams
from towerops_agent.cli.profile import profile
from towerops_agent.cli.refused import refused
from towerops_agent.cli.run import run
from towerops_agent.cli.snmp import snmp
from towerops_agent.cli.status import status

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from click.shell_completion import CompletionItem

EXTENSIONS = "towerops_agent.commands"
"""The entry points through which another package adds commands, as the lab does."""

_OWN_OPTIONS = ("-h", "--help", "-V", "--version")


class _Commands(click.Group):
    """The commands of this package and those of the installed extensions.

    The bare command, with or without options, is `run`. Options of `run` may also stand before another command that has them:
    `towerops-agent --database-path X status`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_extensions().names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None:
            for extension in _extensions().select(name=cmd_name):
                found: click.Command = extension.load()
                return found
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] in _OWN_OPTIONS:
            return super().parse_args(ctx, args)
        end = _end_of_options(args)
        if end < len(args) and args[end] != "--":
            args = self._with_options_last(ctx, args[:end], args[end:])
        elif not (ctx.resilient_parsing and end == len(args)):  # while a shell completes, any command may still follow
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _with_options_last(self, ctx: click.Context, options: list[str], words: list[str]) -> list[str]:
        """The words that name the command, then `options`, then the rest."""
        command: click.Command | None = self
        names = 0
        while isinstance(command, click.Group) and names < len(words):
            command = command.get_command(ctx, words[names])
            names += 1
        return [*words[:names], *options, *words[names:]]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        """The commands; for the beginning of an option, the options of `run` too, which the bare command has."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            own = {item.value for item in found}
            found += [item for item in run.shell_complete(click.Context(run), incomplete) if item.value not in own]
        return found


def _extensions() -> "EntryPoints":
    from importlib.metadata import entry_points  # slow to import, and most commands do without

    return entry_points(group=EXTENSIONS)


def _end_of_options(args: list[str]) -> int:
    """How many of `args` are options of `run`, with their values, before the first other word; one more if a value lacks."""
    of_run = {name: option for option in run.params if isinstance(option, click.Option) for name in option.opts}
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] != "--":
        option = of_run.get(args[at])  # --name=value is not among them, and has its value with it
        at += 2 if option is not None and not option.is_flag else 1
    return at


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="%(version)s")
def cli() -> None:
    """The Towerops agent: polls SNMP devices, keeps readings through outages, submits them to the Towerops API
    or to receivers of your own.

    Without a command it does the same as `run`. Settings come from the environment; options win over it.
    """
    from towerops_agent.telemetry import logs

    logs.configure("warning", "logfmt", sys.stderr)  # `run` sets it up again from its settings


for command in (run, doctor, status, devices, health, history, page, refused, snmp, discover, profile, config):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    hold_standard_streams()
    check_output()
    try:
        try:
            cli(prog_name="towerops-agent")
        finally:
            sys.stdout.flush()
    except OutputLost as error:
        fail(error)
    except BrokenPipeError:  # nobody reads any more, as behind `| head`
        sys.exit(EXIT_FAILURE)
