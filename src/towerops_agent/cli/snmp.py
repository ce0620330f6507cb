"""`towerops-agent snmp get|walk|probe`: ask a device by hand, with the agent's SNMP engine.

snmptool/run.py does the work, imported when it is needed, as in main.py.
Exit status as in main.py: 0, or 1 with the reason on standard error, or 2 for bad usage.
"""

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from towerops_agent.cli.credentials import CREDENTIAL_OPTIONS, credential_options, source_of
from towerops_agent.cli.ending import fail
from towerops_agent.cli.options import FILE, NumberRange
from towerops_agent.errors import AgentError
from towerops_agent.model import SnmpVersion, Transport
from towerops_agent.settings import SETTINGS

if TYPE_CHECKING:
    from towerops_agent.snmp.wire.ber import Oid
    from towerops_agent.snmptool.target import Target


DEFAULT_OID = "1.3.6.1.2.1"

Command = TypeVar("Command", bound=Callable[..., None])

_SETTING = {setting.name: setting for setting in SETTINGS}


def _setting_option(name: str) -> Callable[[Command], Command]:
    setting = _SETTING[name]
    return click.option(setting.flag, name, type=FILE, help=f"{setting.help} [{setting.variable}]")


_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.argument("host"),
    click.option(
        "-v",
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
        "-t", "--timeout", default=2.0, show_default=True, type=NumberRange(0.05, 60), help="Seconds to wait, each attempt."
    ),
    click.option("-r", "--retries", default=2, show_default=True, type=click.IntRange(0, 10), help="Attempts after the first."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--direct", is_flag=True, help="HOST is an address, to be asked with the given credentials, configured or not."),
    *CREDENTIAL_OPTIONS,
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
    `run`. Secrets come from the environment (SNMP_COMMUNITY, SNMP_AUTH_PASSWORD, SNMP_PRIV_PASSWORD), a file or a prompt (--ask).
    Options of net-snmp work too, as in -v2c -c public; it warns of secrets that other users of the machine can read.
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

    port, transport = options.pop("port"), options.pop("transport")
    direct = options.pop("direct")
    database, token_file = options.pop("database_path"), options.pop("token_file")
    source = source_of(credential_options(options), "name a configured device")
    devices = snmp_run.kept_devices(os.environ, database, token_file)
    return snmp_run.choose_target(host, port, None if transport is None else Transport(transport), source, devices, direct=direct)


def _parse_oids(texts: Sequence[str]) -> list["Oid"]:
    from towerops_agent.snmptool.names import named_oid

    try:
        return [named_oid(text) for text in texts]
    except ValueError as error:  # InvalidOid, or a number of thousands of digits
        raise click.UsageError(str(error)) from None


def _timeouts_s(timeout_s: float, retries: int) -> tuple[float, ...]:
    return (timeout_s,) * (1 + retries)


def _exit(work: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Do the work, and exit with its status."""
    import asyncio

    try:
        sys.exit(asyncio.run(work()))
    except AgentError as error:
        fail(error)
