"""`towerops-agent devices`: each device of a running agent, or of one that was stopped as it left them; to filter and to sort.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

from pathlib import Path

import click

from towerops_agent.cli.ending import fail
from towerops_agent.cli.options import database_option, indented
from towerops_agent.cli.reports import devices_to_show
from towerops_agent.clocks import wall_us
from towerops_agent.errors import AgentError

STATES = ("up", "degraded", "down", "unknown")
ORDERS = ("state", "name", "address", "rtt", "missing", "since")


@click.command()
@click.argument("text", default="")
@database_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only devices in this state. Repeatable.")
@click.option("--lacking", is_flag=True, help="Only devices whose last poll lacked some values.")
@click.option("--sort", default="state", show_default=True, type=click.Choice(ORDERS), help="What to sort by, the worst first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list with an object for each device.")
def devices(text: str, database: Path, states: tuple[str, ...], lacking: bool, sort: str, as_json: bool) -> None:
    """List the devices, those with problems first.

    For each: state, address, round trip, and what its last poll lacked. With TEXT only those that have it in
    their name, id or address.
    """
    from towerops_agent.cli.terminal import painted, width
    from towerops_agent.telemetry.views.devices import select, table

    try:
        found = select(devices_to_show(database), states=states, lacking=lacking, text=text, order=sort)
    except AgentError as error:
        fail(error)
    if as_json:
        click.echo(indented(found))
        return
    for line, tone in table(found, wall_us(), width()):
        click.echo(painted(line, tone))
