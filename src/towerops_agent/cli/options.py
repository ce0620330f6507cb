"""Options of several commands."""

import os
from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from towerops_agent.cli.ending import fail
from towerops_agent.errors import InvalidConfig, SettingsError
from towerops_agent.setting import Setting
from towerops_agent.settings import SETTINGS, as_path

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from towerops_agent.model import Secret

Command = TypeVar("Command", bound=Callable[..., None])


class NumberRange(click.FloatRange):
    """A number from one to another; nan, which compares with neither end, is not in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's
        """The number. Raises click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"nan is not in the range {self._describe_range()}.", param, ctx)
        return number


FILE = click.Path(dir_okay=False, readable=False, path_type=Path)
"""Whether it can be read is found out by whoever reads it, who says what to do if not."""


class _SettingType(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no arguments for it
    """A setting's value as text: click shows and completes it as `shown` does, and only read_settings checks it.

    So all bad values are reported at once, and an option accepts what its variable accepts.
    """

    def __init__(self, shown: "click.ParamType[Any]") -> None:
        self.name = shown.name
        self._shown = shown

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self._shown.get_metavar(param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list["CompletionItem"]:
        return self._shown.shell_complete(ctx, param, incomplete)


def settings_options(secrets: bool) -> Callable[[Command], Command]:
    """An option for each of SETTINGS, absent unless given. `secrets`: with those that are secret."""

    def add(command: Command) -> Command:
        for one in reversed(SETTINGS):
            if secrets or not one.secret:
                command = _setting_option(one)(command)
        return command

    return add


def _setting_option(one: Setting) -> Callable[[Command], Command]:
    default = f" Default: {one.default}." if one.default and not one.is_flag else ""
    text = f"{one.help}{default} [{one.variable}]"
    if one.is_flag:
        return click.option(one.flag, one.name, is_flag=True, flag_value="1", default=None, help=text)
    return click.option(one.flag, one.name, default=None, type=_SettingType(_type_of(one)), help=text)


def _type_of(one: Setting) -> "click.ParamType[Any]":
    if one.choices:
        return click.Choice(one.choices)
    if one.bounds is not None:
        return click.IntRange(*one.bounds)
    return FILE if one.parse is as_path else click.STRING


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
    type=click.Path(readable=False, path_type=Path),  # a directory too: the agent then runs without it, and says why
    help=f"The agent's database. [{DATABASE.variable}]",
)


def _receiver(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    from towerops_agent.site.document.destination import receiver_url

    try:
        return None if text is None else receiver_url("--remote-write", text)
    except InvalidConfig as error:
        fail(SettingsError(str(error)))


def remote_write_option(text: str) -> Callable[[Command], Command]:
    """The URL of a site file's Prometheus: one that the site file could not have ends the command."""
    return click.option("--remote-write", metavar="URL", callback=_receiver, help=text)


def token_of_environment() -> "Secret | None":
    """The token in the environment; None if it is not there."""
    from towerops_agent.model import Secret

    text = os.environ.get("TOWEROPS_AGENT_TOKEN", "").strip()
    return Secret(text) if text else None


def indented(value: object) -> str:
    """`value` as JSON, as all commands print it: escaped is also what controls a terminal and JSON would leave (U+009B)."""
    import json

    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
