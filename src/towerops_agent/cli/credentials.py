"""The options by which credentials are given on the command line, as net-snmp's commands have them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from towerops_agent.cli.ending import complain
from towerops_agent.cli.options import FILE
from towerops_agent.model import AuthProtocol, PrivProtocol, Secret, SnmpVersion

if TYPE_CHECKING:
    from towerops_agent.snmptool.credentials import CredentialOptions, CredentialSource

_VISIBLE = ("community", "auth_password", "priv_password")
"""The options that hold a secret."""

Command = TypeVar("Command", bound=Callable[..., None])

CREDENTIAL_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--ask", is_flag=True, help="Prompt for the community, or for the SNMPv3 passwords."),
    click.option("-c", "--community", help="The community. Every user of the machine can read it: prefer -C."),
    click.option(
        "-C",
        "--community-file",
        type=click.Path(dir_okay=False, readable=False, path_type=Path, allow_dash=True),
        help="A file that holds the community; - prompts for it. Else: SNMP_COMMUNITY.",
    ),
    click.option("-u", "--user", help="The SNMPv3 user."),
    click.option(
        "-l",
        "--level",
        type=click.Choice(("noAuthNoPriv", "authNoPriv", "authPriv"), case_sensitive=False),
        help="Default: follows from the passwords.",
    ),
    click.option("-n", "--context", help="The SNMPv3 context. Default: the default context."),
    click.option("-a", "--auth-protocol", help=f"One of {', '.join(AuthProtocol)}; or SHA256."),
    click.option("-x", "--priv-protocol", help=f"One of {', '.join(PrivProtocol)}; or AES128."),
    click.option("-A", "--auth-password", help="Every user of the machine can read it: prefer the file."),
    click.option("-X", "--priv-password", help="Every user of the machine can read it: prefer the file."),
    click.option("--auth-password-file", type=FILE, help="A file that holds it. Else: SNMP_AUTH_PASSWORD."),
    click.option("--priv-password-file", type=FILE, help="A file that holds it. Else: SNMP_PRIV_PASSWORD."),
)


_OF_A_DEVICE: Sequence[Callable[[Any], Any]] = (
    click.option("--port", type=click.IntRange(1, 65535), default=161, show_default=True, help="The devices' UDP port."),
    click.option(
        *("-v", "--version"), type=click.Choice([str(version) for version in SnmpVersion]), help="Default: 2c, or 3 with --user."
    ),
)


def with_credentials(command: Command) -> Command:
    """`command` with options for the port and for all credentials."""
    for option in reversed((*_OF_A_DEVICE, *CREDENTIAL_OPTIONS)):
        command = option(command)
    return command


def credential_options(options: dict[str, Any]) -> "CredentialOptions":
    """The given options, taken out of `options`; a secret that others can read gets a warning."""
    from towerops_agent.snmptool.credentials import CredentialOptions

    names = [name for name in CredentialOptions.__dataclass_fields__ if name in options]
    taken = {name: options.pop(name) for name in names}
    for name in _VISIBLE:
        if taken[name] is not None:
            taken[name] = Secret(taken[name])
            option = f"--{name.replace('_', '-')}"
            complain(f"warning: {option} can be read by other users of this machine; prefer {option}-file, or --ask")
    version = taken.pop("version")
    return CredentialOptions(version=None if version is None else SnmpVersion(version), **taken)


def source_of(given: "CredentialOptions", otherwise: str = "") -> "CredentialSource":
    """What makes credentials of them, of the environment and of prompts. `otherwise`: as CredentialSource's."""
    from towerops_agent.snmptool.credentials import CredentialSource

    return CredentialSource(given, os.environ, _prompt, otherwise)


def _prompt(text: str) -> str:
    answer: str = click.prompt(text, hide_input=True, err=True)
    return answer
