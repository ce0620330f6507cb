"""`towerops-agent discover`: who is in an address range, and what can be polled of them.

discovery/ does the work, imported when it is needed, as in main.py. Exit status: 0 a device was found (or --dry-run), 1 none was,
it was interrupted, or a file can't be written; 2 bad usage.
"""

import os
import sys
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from towerops_agent.cli.config import site_option
from towerops_agent.cli.credentials import credential_options, source_of, with_credentials
from towerops_agent.cli.ending import EXIT_FAILURE, complain, fail
from towerops_agent.cli.options import FILE, indented, remote_write_option
from towerops_agent.errors import AgentError, SettingsError

if TYPE_CHECKING:
    from towerops_agent.discovery.report.entry import Discovered
    from towerops_agent.discovery.run import Sets
    from towerops_agent.discovery.sweep import Progress
    from towerops_agent.discovery.writing import Places
    from towerops_agent.snmptool.credentials import CredentialOptions

_OF_OPTIONS: Final = "discovered"
"""What the set of credentials of the command line is called in a site file."""

_OTHERWISE: Final = "name a set of the site file (--credentials)"

_INTERRUPTED: Final = "interrupted: what was tried is remembered"

_BAR_WIDTH: Final = 30
_LOOK_AT: Final = "check the range, the credentials, and that SNMP is on and allows this machine"


@click.command()
@click.argument("ranges", nargs=-1, required=True, metavar="RANGE...")
@with_credentials
@click.option(
    "--credentials", "names", multiple=True, metavar="NAME", help="A set of credentials of the site file; several may be."
)
@site_option
@click.option("--large", is_flag=True, help="Accept ranges over 4,096 addresses (a /20).")
@click.option("--dry-run", is_flag=True, help="Show how many datagrams would be sent, and send none.")
@click.option("--json", "as_json", is_flag=True, help="Print the devices as the API's configuration has them.")
@click.option("--secrets", is_flag=True, help="With the communities and passwords in the JSON, in place of asterisks.")
@click.option("--write", type=FILE, metavar="FILE", help="Write a site file that polls what was found.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@remote_write_option("The Prometheus that the site file delivers to.")
@click.option(
    "--profiles", "directory", type=click.Path(file_okay=False, path_type=Path), help="A directory of your own profiles."
)
@click.option("--forget", is_flag=True, help="Forget what was tried earlier, at all addresses, and try again.")
def discover(
    ranges: tuple[str, ...],
    port: int,
    names: tuple[str, ...],
    site: Path | None,
    large: bool,
    dry_run: bool,
    as_json: bool,
    secrets: bool,
    write: Path | None,
    force: bool,
    remote_write: str | None,
    directory: Path | None,
    forget: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Find the devices in RANGE and what can be polled of each.

    RANGE is 10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.20 or 10.0.0.10-20. It asks by SNMP, one request at a time a device, and
    changes nothing. Credentials are those of the command line, as for `snmp get`, or sets of the site file. A device that does
    not answer sees three messages a day at most.
    """
    from towerops_agent.discovery import run, writing
    from towerops_agent.discovery.course.ranges import addresses_in
    from towerops_agent.discovery.library import load_profiles, profiles_beside, read_profiles

    try:
        hosts = addresses_in(ranges, large=large)
        given = credential_options(options)
        sets, places = _sets(given, names, site)
        if write is not None and not force:
            writing.refuse_existing(write)
        library = load_profiles(directory) if directory else profiles_beside(site) if site else load_profiles()
        for problem in library.problems:
            complain(str(problem))
        if directory is not None and not read_profiles((directory,)).profiles:
            raise SettingsError(f"--profiles: no profile in {directory} can be used: expected *.yaml or *.yml files in it")
        if dry_run:
            click.echo("\n".join(_plan(len(hosts), sets)))
            return
        if forget:
            run.forget(os.environ)
        visited = _swept(hosts, sets, library.profiles, port)
        entries = run.entries_of(visited, port)
        done, of = len(visited), len(hosts)
        interrupted = f"{_INTERRUPTED}; {done:,} of {of:,} addresses are done" if done < of else ""
        if interrupted and not entries:
            raise AgentError(interrupted)
        _report(entries, [each.silence for each in visited if each.found is None], as_json=as_json, secrets=secrets)
        if interrupted and write is not None and write.is_file():
            raise AgentError(f"{interrupted}; {write} stays as it was")
        if write is not None and entries:
            elsewhere = frozenset(names) if _is_beside(write, site) else frozenset[str]()
            part = ", which was interrupted" if interrupted else ""
            head = f"Written by `towerops-agent discover {' '.join(ranges)}`{part}. Remove what you do not need; it is yours now."
            written = writing.write_site(
                *(write, head, entries, places), elsewhere=elsewhere, remote_write=remote_write, overwrite=force
            )
            for one in written:
                click.echo(f"wrote {one}", err=True)
            for variable in _variables(places, {entry.credentials for entry in entries}):
                click.echo(f"{write} names the variable {variable}: set it for the agent too", err=True)
        if interrupted:
            raise AgentError(interrupted)
    except AgentError as error:
        fail(error)
    if not entries:
        sent = {name for each in visited for name in each.tried}
        tried = [each for each in sets if each.name in sent]
        complain(f"no device found: {f'{_tried(tried, port)}; {_LOOK_AT}' if tried else 'no address was asked, see above'}")
        sys.exit(EXIT_FAILURE)


def _swept(hosts: list[str], sets: "Sets", profiles: Any, port: int) -> Any:  # noqa: ANN401 - imported lazily
    import asyncio

    from towerops_agent.discovery import run

    bar = _Bar()
    try:
        return asyncio.run(run.sweep(hosts, sets, profiles, port, os.environ, bar.show, complain))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise AgentError(_INTERRUPTED) from None
    finally:
        bar.clear()


def _sets(given: "CredentialOptions", names: tuple[str, ...], site: Path | None) -> "tuple[Sets, dict[str, Places]]":
    """The sets of credentials, and where the secrets of the command line's are. Raises SettingsError, SiteUnreadable."""
    from towerops_agent.discovery.run import named_sets
    from towerops_agent.discovery.sweep import CredentialSet
    from towerops_agent.snmptool.credentials import AUTH_VARIABLE, COMMUNITY_VARIABLE, PRIV_VARIABLE, PROMPT

    sets: list[CredentialSet] = []
    if names:
        if site is None:
            raise SettingsError("--credentials names a set of a site file: expected --site or SITE_PATH")
        sets += named_sets(site, dict.fromkeys(names))
    if names and not given.has_credentials:
        return sets, {}
    sets.append(CredentialSet(_OF_OPTIONS, source_of(given, _OTHERWISE).of_options()))
    places: dict[str, tuple[str, str]] = {}
    for key, variable in (("community", COMMUNITY_VARIABLE), ("auth_password", AUTH_VARIABLE), ("priv_password", PRIV_VARIABLE)):
        file = getattr(given, f"{key}_file")
        if file is not None and file != PROMPT:
            places[key] = ("file", str(file.absolute()))
        elif file is None and getattr(given, key) is None and not given.ask and os.environ.get(variable):
            places[key] = ("env", variable)
    return sets, {_OF_OPTIONS: places}


def _variables(places: "dict[str, Places]", used: set[str]) -> list[str]:
    """The variables that a site file with these sets names."""
    return [name for each in sorted(used & places.keys()) for how, name in places[each].values() if how == "env"]


def _is_beside(file: Path, site: Path | None) -> bool:
    """Whether `file` is in the directory of site files `site`, and so read together with them."""
    return site is not None and site.is_dir() and file.absolute().parent == site.absolute()


def _plan(addresses: int, sets: "Sets") -> list[str]:
    from towerops_agent.discovery.course.tries import MOST_ATTEMPTS, MOST_MESSAGES
    from towerops_agent.discovery.sweep import PER_SECOND
    from towerops_agent.text import counted, duration

    messages = min(MOST_MESSAGES, MOST_ATTEMPTS * len(sets))
    minutes = min(MOST_MESSAGES, len(sets)) - 1
    names = ", ".join(f"{each.name} (SNMPv{each.credentials.version})" for each in sets)
    lasting = duration(ceil(addresses / PER_SECOND) + 3 + 60 * minutes)
    asked = f"{counted(addresses, 'address', 'addresses')} with {counted(len(sets), 'set')} of credentials: {names}"
    most = f"at most {counted(addresses * messages, 'datagram')} to addresses that do not answer, in about {lasting}"
    plan = [asked, f"{most}; a device that answers is asked some 10 to 40 times"]
    if len(sets) > MOST_MESSAGES:
        plan.append(f"an address that does not answer is asked as {MOST_MESSAGES} of them a day: as the others another day")
    return plan


def _tried(sets: "Sets", port: int) -> str:
    return f"tried {', '.join(f'{each.name} over SNMPv{each.credentials.version}' for each in sets)} at UDP port {port}"


def _report(entries: "list[Discovered]", silent: list[str], *, as_json: bool, secrets: bool) -> None:
    if as_json:
        from towerops_agent.config.document.equipment import DEFAULT_INTERVAL_S
        from towerops_agent.discovery.report.equipment import document

        click.echo(indented(document(entries, DEFAULT_INTERVAL_S, reveal=secrets)))
        return
    from towerops_agent.discovery.report.table import report_lines

    for line in report_lines(entries, silent):
        click.echo(line)


class _Bar:
    """A line on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._width = 0

    def show(self, progress: "Progress") -> None:
        from towerops_agent.text import counted

        if not self._is_shown:
            return
        done = progress.visited / max(progress.addresses, 1)
        filled = int(_BAR_WIDTH * done)
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        addresses = counted(progress.addresses, "address", "addresses")
        text = f"[{bar}] {progress.visited:,} of {addresses}, {counted(progress.found, 'device')}"
        if progress.waiting:
            text += f", {progress.waiting:,} to ask with the next credentials in a minute"
        click.echo(f"\r{text.ljust(self._width)}", nl=False, err=True)
        self._width = len(text)

    def clear(self) -> None:
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", nl=False, err=True)
