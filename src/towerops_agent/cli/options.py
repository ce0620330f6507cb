"""Options of several commands, and how a command ends that cannot do its work."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.settings import SETTINGS, Setting

EXIT_FAILURE = 1
EXIT_SETTINGS = 2

Command = TypeVar("Command", bound=Callable[..., None])

FILE = click.Path(dir_okay=False, path_type=Path)


def setting(name: str) -> Setting:
    """The setting with this name in SETTINGS."""
    return next(one for one in SETTINGS if one.name == name)


DATABASE = setting("database_path")
TOKEN_FILE = setting("token_file")

database_option = click.option(
    DATABASE.flag,
    "database",
    envvar=DATABASE.variable,
    default=DATABASE.default,
    type=FILE,
    help=f"The agent's database. [{DATABASE.variable}]",
)


def fail(error: AgentError) -> NoReturn:
    """End the command: print `error` on standard error, line by line, and exit with the matching status."""
    for line in str(error).splitlines():
        click.echo(f"towerops-agent: {line}", err=True)
    sys.exit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILURE)
