"""`towerops-agent run`, also the bare command: poll and deliver, for good or once.

The work is in process.py, which __main__.py calls itself if there are no options. Exit status: as there.
"""

import click

from towerops_agent.cli import process
from towerops_agent.cli.options import settings_options


@click.command()
@click.option("--once", is_flag=True, help="Fetch the configuration, poll every device once, submit everything, and exit.")
@settings_options(secrets=True)
def run(once: bool, **flags: str | None) -> None:
    """Poll and deliver, until SIGTERM or SIGINT. A second signal exits at once."""
    process.run(once, flags)
