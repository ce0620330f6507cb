"""`towerops-agent refused`: the metrics that the server refused, by series, and their way back to it.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.ending import fail
from towerops_agent.cli.options import database_option, indented
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from towerops_agent.buffer.format.batch import RefusedMetric

ALL = 1_000_000


@click.command()
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: each metric, with the server's reason.")
@click.option("--retry", is_flag=True, help="Have the running agent send them again.")
def refused(database: Path, as_json: bool, retry: bool) -> None:
    """Show the metrics that the server refused, or send them again.

    A line for each series: how many of its metrics are kept, and when and why the newest one was refused.
    """
    from towerops_agent.buffer.reader import DatabaseReader

    try:
        if retry:
            click.echo(_retry(database))
            return
        with DatabaseReader(database) as reader:
            kept = reader.refused(ALL)
    except AgentError as error:
        fail(error)
    click.echo(_json(kept) if as_json else _text(kept))


def _retry(database: Path) -> str:
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry import live_client

    try:
        answer = live_client.ask(str(database), b"retry refused")
    except TimeoutError:
        raise AgentError("the agent runs, and does not answer: see its log, and the load of this machine") from None
    if answer is None:
        with DatabaseReader(database):  # a user who can't read it can't see the agent either, and learns that instead
            raise AgentError(f"no agent runs on the database {database}: start it, then ask again, as its user")
    return (
        f"the agent sends the newest metric of {answer.decode()} series by itself within a minute; "
        "what the server accepts is followed by the rest of its series"
    )


def _json(kept: "Iterable[RefusedMetric]") -> str:
    import msgspec

    metrics = [
        {
            "equipment_id": one.equipment_id,
            "metric": msgspec.Raw(one.metric),
            "reason": one.reason,
            "at_us": one.at_us,
            "destination": one.destination,
        }
        for one in kept
    ]
    return indented(metrics)


def _text(kept: "Iterable[RefusedMetric]") -> str:
    """A line for each series: how many of its metrics are kept, and when and why the newest one was refused."""
    from towerops_agent.delivery.course.parcel import series_of_json
    from towerops_agent.text import moment, printable

    newest: dict[tuple[str, str, str], RefusedMetric] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for one in kept:  # the latest first
        key = one.equipment_id, series_of_json(one.metric) or "(a metric that can't be read)", one.destination
        newest.setdefault(key, one)
        counts[key] = counts.get(key, 0) + 1
    if not newest:
        return "no metric is kept that the server refused"
    return "\n".join(
        printable(
            f"{equipment} {series}: {counts[equipment, series, by]} kept, the last one refused {moment(one.at_us)}"
            f"{f' by {by}' if by else ''}: {one.reason}"
        )
        for (equipment, series, by), one in newest.items()
    )
