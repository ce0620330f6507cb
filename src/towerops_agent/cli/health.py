"""`towerops-agent health`: the health of a running agent, read only from its database.

Imports are lazy, as in main.py: Docker runs this each half minute.
Exit status: 0, or 1 with the reason on standard output, where Docker keeps it.
"""

import sys
import time
from pathlib import Path

import click

from towerops_agent.cli.options import EXIT_FAILURE, database_option
from towerops_agent.cli.status import read_snapshot
from towerops_agent.errors import AgentError


@click.command()
@database_option
def health(database: Path) -> None:
    """Report whether the agent makes progress: exit status 0 if it does.

    An API that can't be reached is reported, but is not a failure.
    """
    from towerops_agent.telemetry.marks import boot_clock_s
    from towerops_agent.telemetry.views.health import judge

    try:
        snapshot = read_snapshot(database)
    except AgentError as error:
        click.echo(str(error))
        sys.exit(EXIT_FAILURE)
    found = judge(snapshot, time.time_ns() // 1000, boot_clock_s())
    for line in (*found.problems, *found.remarks):
        click.echo(line)
    if found.problems:
        sys.exit(EXIT_FAILURE)
    if not found.remarks:
        click.echo("healthy")
