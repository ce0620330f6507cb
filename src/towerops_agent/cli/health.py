"""`towerops-agent health` with an option, or of an agent that does not answer; else __main__.py does it by a shorter way.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard output, where Docker keeps it.
"""

import sys
from pathlib import Path

import click

from towerops_agent.cli.ending import EXIT_FAILURE
from towerops_agent.cli.options import database_option
from towerops_agent.clocks import wall_us
from towerops_agent.errors import AgentError


@click.command()
@database_option
def health(database: Path) -> None:
    """Say whether the agent works, for Docker and Kubernetes.

    Exit status 0: it makes progress, or the last `run --once` had no problem. An API out of reach or a full disk
    is only a line.
    """
    from towerops_agent.cli.reports import left_snapshot
    from towerops_agent.telemetry import live_client
    from towerops_agent.telemetry.views.health import health_text, judge_left

    answer = live_client.health(str(database))
    if answer is not None:
        status, text = answer
        click.echo(text, nl=False)
        sys.exit(status)
    try:
        snapshot = left_snapshot(database)
    except AgentError as error:
        click.echo(str(error))
        sys.exit(EXIT_FAILURE)
    left = judge_left(snapshot, wall_us())
    click.echo(health_text(left), nl=False)
    sys.exit(EXIT_FAILURE if left.problems else 0)
