"""`towerops-agent snmp get|walk|probe`: ask a device by hand, with the agent's SNMP engine.

snmptool/run.py does the work, imported when it is needed, as in main.py.
Exit status as in main.py: 0, or 1 with the reason on standard error, or 2 for bad usage.
"""

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.model import AuthProtocol, PrivProtocol, SnmpVersion, Transport
from towerops_agent.settings import SETTINGS

if TYPE_CHECKING:
    from towerops_agent.snmp.wire.oid import Oid
    from towerops_agent.snmptool.target import Target

EXIT_FAILURE = 1
EXIT_USAGE = 2

DEFAULT_OID = "1.3.6.1.2.1"

Command = TypeVar("Command", bound=Callable[..., None])

_SETTING = {setting.name: setting for setting in SETTINGS}
_FILE = click.Path(dir_okay=False, path_type=Path)


def _setting_option(name: str) -> Callable[[Command], Command]:
    setting = _SETTING[name]
    return click.option(setting.flag, name, type=_FILE, help=f"{setting.help} [{setting.variable}]")


_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.argument("host"),
    click.option(
        "--version",
        type=click.Choice([str(version) for version in SnmpVersion]),
        help="Default: the configured device's, else 2c (3 with --user).",
    ),
    click.option("--port", type=click.IntRange(1, 65535), help="Default: the configured device's, else 161."),
    click.option(
        "--transport",
        type=click.Choice([str(transport) for transport in Transport]),
        help="Default: the configured device's, else udp.",
    ),
    click.option(
        "--timeout", default=2.0, show_default=True, type=click.FloatRange(0.05, 60), help="Seconds to wait, each attempt."
    ),
    click.option("--retries", default=2, show_default=True, type=click.IntRange(0, 10), help="Attempts after the first."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--ask", is_flag=True, help="Prompt for the community, or for the SNMPv3 passwords."),
    click.option("--community-file", type=_FILE, help="A file that holds the community. Else: SNMP_COMMUNITY."),
    click.option("--user", help="The SNMPv3 user."),
    click.option("--level", help="noAuthNoPriv, authNoPriv or authPriv. Default: follows from the passwords."),
    click.option("--context", help="The SNMPv3 context. Default: the default context."),
    click.option("--auth-protocol", help=f"One of {', '.join(AuthProtocol)}."),
    click.option("--priv-protocol", help=f"One of {', '.join(PrivProtocol)}."),
    click.option("--auth-password-file", type=_FILE, help="A file that holds it. Else: SNMP_AUTH_PASSWORD."),
    click.option("--priv-password-file", type=_FILE, help="A file that holds it. Else: SNMP_PRIV_PASSWORD."),
    _setting_option("database_path"),
    _setting_option("token_file"),
)


def _options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def snmp() -> None:
    """Ask a device by hand, with the agent's own engine.

    HOST is 10.0.0.1, 10.0.0.1:1161, [::1]:161, a DNS name, or the name or id of a configured device. For a configured device
    it uses the credentials of the agent's kept configuration, which it finds by DATABASE_PATH and opens with the agent's token,
    like
    `run`. Secrets come from the environment, a file or a prompt, never from arguments: SNMP_COMMUNITY,
    SNMP_AUTH_PASSWORD, SNMP_PRIV_PASSWORD, --…-file, --ask.
    """


@snmp.command(short_help="Print the values of OIDs, as snmpget -On does.")
@_options
@click.argument("oids", nargs=-1, required=True)
def get(host: str, oids: tuple[str, ...], timeout: float, retries: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Print the values of OIDS at HOST, as snmpget -On does."""
    from towerops_agent.snmptool import run as snmp_run

    names = _parse_oids(oids)
    _exit(lambda: snmp_run.print_get(_target(host, options), names, _timeouts_s(timeout, retries), as_json))


@snmp.command(short_help="Print everything below an OID, as snmpwalk -On does.")
@_options
@click.argument("oid", default=DEFAULT_OID)
@click.option("--max-rows", default=1_000_000, show_default=True, type=click.IntRange(1), help="Stop after so many rows.")
def walk(
    host: str,
    oid: str,
    timeout: float,
    retries: int,
    as_json: bool,
    max_rows: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Print everything that HOST has below OID (default: 1.3.6.1.2.1), as snmpwalk -On does."""
    from towerops_agent.snmptool import run as snmp_run

    (root,) = _parse_oids((oid,))
    _exit(lambda: snmp_run.print_walk(_target(host, options), root, _timeouts_s(timeout, retries), as_json, max_rows))


@snmp.command(short_help="Show what a device is and what it supports.")
@_options
def probe(host: str, timeout: float, retries: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show what HOST is, the versions and sizes it supports, its round trips, its 64-bit counters. Sends some 100 requests."""
    from towerops_agent.snmptool import run as snmp_run

    pinned = options["version"] is not None
    _exit(lambda: snmp_run.print_probe(_target(host, options), _timeouts_s(timeout, retries), as_json, pinned))


def _target(host: str, options: dict[str, Any]) -> "Target":
    from towerops_agent.snmptool import run as snmp_run
    from towerops_agent.snmptool.credentials import CredentialOptions, CredentialSource

    port, transport, version = options.pop("port"), options.pop("transport"), options.pop("version")
    database, token_file = options.pop("database_path"), options.pop("token_file")
    given = CredentialOptions(version=None if version is None else SnmpVersion(version), **options)
    source = CredentialSource(given, os.environ, _prompt)
    devices = snmp_run.kept_devices(os.environ, database, token_file)
    return snmp_run.choose_target(host, port, None if transport is None else Transport(transport), source, devices)


def _parse_oids(texts: Sequence[str]) -> list["Oid"]:
    from towerops_agent.snmp.wire.oid import parse_oid

    try:
        return [parse_oid(text) for text in texts]
    except ValueError as error:  # InvalidOid, or a number of thousands of digits
        raise click.UsageError(str(error)) from None


def _timeouts_s(timeout_s: float, retries: int) -> tuple[float, ...]:
    if isnan(timeout_s):  # which lies in every range
        raise click.UsageError("--timeout is nan: expected seconds from 0.05 to 60")
    return (timeout_s,) * (1 + retries)


def _prompt(text: str) -> str:
    answer: str = click.prompt(text, hide_input=True, err=True)
    return answer


def _exit(work: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Do the work, and exit with its status."""
    import asyncio

    try:
        sys.exit(asyncio.run(work()))
    except AgentError as error:
        for line in str(error).splitlines():
            click.echo(f"towerops-agent: {line}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILURE)
