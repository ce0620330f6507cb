"""`towerops-agent profile`: profiles of devices checked, and tried at a device.

discovery/ does the work, imported when it is needed, as in main.py. Exit status: 0, or 1 if a profile has a mistake or the device
does not answer; 2 bad usage.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from towerops_agent.cli.credentials import credential_options, source_of, with_credentials
from towerops_agent.cli.ending import EXIT_FAILURE, complain, fail
from towerops_agent.errors import AgentError


@click.group()
def profile() -> None:
    """Check profiles of devices, and try one at a device.

    A profile says which devices it is about and what to poll of them, for `discover`.
    """


@profile.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
def check(paths: tuple[Path, ...]) -> None:
    """Check the profiles in PATH, a file or a directory of *.yaml and *.yml files; without one, those that come with the agent.

    Prints a line for each mistake, as FILE:LINE:COLUMN.
    """
    from towerops_agent.discovery.library import OURS, read_profiles
    from towerops_agent.text import counted

    library = read_profiles(paths or (OURS,))
    for problem in library.problems:
        click.echo(str(problem))
    if not (library.profiles or library.problems):
        fail(AgentError(f"no file that ends in .yaml or .yml in {', '.join(map(str, paths))}: expected one at least"))
    columns = sum(len(each.columns) for each in library.profiles.values())
    wrong = f"; {counted(len(library.problems), 'mistake')}" if library.problems else ""
    click.echo(f"{counted(len(library.profiles), 'profile')}, {counted(columns, 'column')}{wrong}")
    sys.exit(EXIT_FAILURE if library.problems else 0)


@profile.command(name="try")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("host")
@with_credentials
def try_(file: Path, host: str, port: int, **options: Any) -> None:  # noqa: ANN401
    """Show what the profile in FILE finds at HOST, an address, and whether `discover` would use it there."""
    import asyncio

    from towerops_agent.discovery import run
    from towerops_agent.discovery.course.ranges import addresses_in
    from towerops_agent.discovery.library import load_profiles, read_profiles
    from towerops_agent.discovery.report.trial import trial_lines
    from towerops_agent.discovery.sweep import CredentialSet

    tried = read_profiles((file,))
    for problem in tried.problems:
        click.echo(str(problem), err=True)
    try:
        (host,) = addresses_in([host])
        if not tried.profiles:
            raise AgentError(f"{file} has no profile that can be used")
        (mine,) = tried.profiles.values()
        sets = [CredentialSet("given", source_of(credential_options(options)).of_options())]
        library = load_profiles(file).profiles

        def found_with(profiles: Any) -> Any:  # noqa: ANN401 - imported lazily
            (visited,) = asyncio.run(run.sweep([host], sets, profiles, port, os.environ, lambda _: None, complain))
            if visited.found is None:
                raise AgentError(f"{host} does not answer: {visited.silence}")
            return visited.found

        usual = found_with(library)
        found = usual if mine.name in usual.profiles else found_with({mine.name: run.for_any_device(mine)})
    except AgentError as error:
        fail(error)
    for line in trial_lines(mine, usual, found):
        click.echo(line)
    sys.exit(EXIT_FAILURE if tried.problems else 0)
