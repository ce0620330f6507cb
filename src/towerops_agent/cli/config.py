"""`towerops-agent config`: site files checked, shown, and compared with what the agent polls. Nothing is sent to anyone.

Imports are lazy, as in main.py. Exit status: 0, or 1 if the files have a mistake, or (diff) differ; 2 bad usage.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.ending import EXIT_FAILURE, EXIT_SETTINGS, complain, fail
from towerops_agent.cli.options import FILE, database_option, indented, remote_write_option, setting
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.site.document.site import Compiled

_SITE = setting("site")

site_option = click.option(
    _SITE.flag,
    "site",
    envvar=_SITE.variable,
    type=click.Path(path_type=Path),
    help=f"The site file, or the directory of them. [{_SITE.variable}]",
)


@click.group()
def config() -> None:
    """Check, show and compare site files.

    A site file says what to poll, in YAML, without the Towerops API.
    """


@config.command()
@click.argument("host")
@click.option("-v", "--version", type=click.Choice(("1", "2c")), default="2c", help="SNMP version. Default: 2c.")
@click.option(
    "-C",
    "--community-file",
    type=FILE,
    help="A file that holds the community, which the site file then names. Else: SNMP_COMMUNITY, else public.",
)
@remote_write_option("The Prometheus to deliver to, as in http://127.0.0.1:9090/api/v1/write.")
def init(host: str, version: str, community_file: Path | None, remote_write: str | None) -> None:
    """Print a first site file for HOST: asks the device for its name and its interfaces, over SNMPv1 or v2c.

    HOST is 10.0.0.1, 10.0.0.1:1161, [::1]:161 or a DNS name. The community does not come into the file.
    """
    import asyncio
    import os

    from towerops_agent.model import Credentials, Secret, SnmpVersion
    from towerops_agent.snmptool.credentials import read_secret
    from towerops_agent.snmptool.draft import draft_site
    from towerops_agent.snmptool.target import parse_place, target_at

    try:
        community, text = ("community", "public"), "public"
        if community_file is not None:
            community = ("community_file", str(community_file.absolute()))
            text = read_secret(community_file, "--community-file").reveal()
        elif os.environ.get("SNMP_COMMUNITY"):
            community, text = ("community_env", "SNMP_COMMUNITY"), os.environ["SNMP_COMMUNITY"]
        target = target_at(parse_place(host), Credentials(SnmpVersion(version), Secret(text)), None)
        click.echo(asyncio.run(draft_site(target, community, remote_write, (2.0, 2.0, 2.0))), nl=False)
        if community[0] == "community_env":
            click.echo(f"the file names the variable {community[1]}: set it for the agent too", err=True)
    except AgentError as error:
        fail(error)


@config.command()
@site_option
def check(site: Path | None) -> None:
    """Check the site files: a line for each mistake, as FILE:LINE:COLUMN, and what is in them. Exit status 1 if there is one.

    Of a device, a sensor or a set of credentials with several mistakes the first one is shown; of one mistake made many times
    the first place, and how many there are.
    """
    from towerops_agent.site.document.alike import mistake_lines, mistakes_counted
    from towerops_agent.text import counted

    compiled = _compiled(site)
    for warning in compiled.warnings:
        click.echo(f"{warning.place}: warning: {warning.text}")
    for line in mistake_lines(compiled):
        click.echo(line)
    parts = [(compiled.devices, "device"), (compiled.sensors, "sensor"), (compiled.interfaces, "interface")]
    found = ", ".join(counted(count, kind) for count, kind in parts)
    wrong = f"; {mistakes_counted(compiled)}" if compiled.problems else ""
    click.echo(f"{found}{wrong}")
    sys.exit(EXIT_FAILURE if compiled.problems else 0)


@config.command()
@click.argument("device", required=False)
@site_option
@database_option
def show(device: str | None, site: Path | None, database: Path) -> None:
    """Show the configuration that the site files make, or that of DEVICE (a name, an id or an address), as JSON.

    Secrets are shown as asterisks. Of a device with `profile: auto` it has what the agent has discovered, by its database.
    """
    import msgspec

    from towerops_agent.buffer.reader import NotReadable

    try:
        compiled = _compiled(site, database)
    except NotReadable as error:
        complain(f"what the agent has discovered is not shown: {error}")
        compiled = _compiled(site)
    _complain(compiled)
    found = []
    for octets in compiled.shown.items() if compiled.shown else ():
        one = msgspec.json.decode(octets)
        if device is None or device.casefold() in (one[key].casefold() for key in ("id", "name", "ip_address")):
            found.append(one)
    if device is not None and not found:
        fail(AgentError(f"no device has the name, id or address {device}"))
    click.echo(indented(found))
    sys.exit(EXIT_FAILURE if compiled.problems else 0)


@config.command()
@site_option
@database_option
def diff(site: Path | None, database: Path) -> None:
    """Show what the agent would change if it read the site files now: + a device added, - removed, ~ changed.

    Compared with what the agent has kept in its database, without secrets: a changed secret is not shown. Exit status 1 if
    anything differs, or the files have a mistake.
    """
    from towerops_agent.config.kept import read_open
    from towerops_agent.site.document.changes import changes

    try:
        compiled = _compiled(site, database)
        _complain(compiled)
        if compiled.shown is None:
            sys.exit(EXIT_FAILURE)
        lines = list(changes(read_open(database), compiled.shown))
    except AgentError as error:
        fail(error)
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("no difference")
    sys.exit(EXIT_FAILURE if lines or compiled.problems else 0)


def _complain(compiled: "Compiled") -> None:
    from towerops_agent.site.document.alike import mistake_lines

    for line in mistake_lines(compiled):
        click.echo(line, err=True)


def _compiled(site: Path | None, database: Path | None = None) -> "Compiled":
    """What the site files say, with what was discovered, if a database is named. Raises NotReadable, if they need that."""
    from towerops_agent.site.files import SiteFiles, SiteUnreadable

    if site is None:
        complain(f"{_SITE.variable} is not set: expected a site file or a directory, or {_SITE.flag}")
        sys.exit(EXIT_SETTINGS)
    files = SiteFiles(site)
    try:
        if database is None:
            return files.read()
        from towerops_agent.discovery.kept import read_site

        return read_site(files, database)
    except SiteUnreadable as error:
        fail(error)
