"""`towerops-agent status`: of a running agent, as it answers; of a stopped one, from its database.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.options import database_option, fail
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.telemetry.views.snapshot import Snapshot

WATCH_EACH_S = 2.0


@click.command()
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the snapshot, and the metrics that the server refused.")
@click.option("--watch", is_flag=True, help="Repeat every two seconds, until Ctrl-C.")
def status(database: Path, as_json: bool, watch: bool) -> None:
    """Show what the agent is doing: API, configuration, failing devices, backlog, losses. It need not be running."""
    while True:
        try:
            text = _status_json(database) if as_json else _status_text(database)
        except AgentError as error:
            fail(error)
        if not watch:
            click.echo(text)
            return
        click.clear()
        click.echo(text)
        try:
            time.sleep(WATCH_EACH_S)
        except KeyboardInterrupt:
            return


def read_snapshot(database: Path) -> "tuple[Snapshot | None, bool]":
    """What the running agent says of itself now, or what it left in `database`, and whether it runs. Raises AgentError.

    None before it ever wrote anything.
    """
    from towerops_agent.telemetry import live_client
    from towerops_agent.telemetry.views.snapshot import decode_snapshot

    try:
        answer = live_client.ask(str(database), b"status")
    except TimeoutError:
        raise AgentError("the agent runs, and does not answer: see its log, and the load of this machine") from None
    return (left_snapshot(database), False) if answer is None else (decode_snapshot(answer), True)


def left_snapshot(database: Path) -> "Snapshot | None":
    """What the agent last wrote of itself into `database`; None before it ever did. Raises AgentError."""
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry.views.snapshot import KEY, decode_snapshot

    with DatabaseReader(database) as reader:
        octets = reader.meta(KEY)
    return None if octets is None else decode_snapshot(octets)


def _status_text(database: Path) -> str:
    from towerops_agent.telemetry.views.status import render

    snapshot, runs = read_snapshot(database)
    if snapshot is None:
        raise AgentError(f"no agent of this version has run on the database {database} yet: start it, then ask again")
    return render(snapshot, time.time_ns() // 1000, runs=runs)


def _status_json(database: Path) -> str:
    import msgspec

    from towerops_agent.buffer.reader import DatabaseReader

    snapshot, _ = read_snapshot(database)
    with DatabaseReader(database) as reader:
        refused = [
            {"metric": msgspec.Raw(metric.metric), "reason": metric.reason, "at_us": metric.at_us} for metric in reader.refused()
        ]
    return msgspec.json.encode({"snapshot": snapshot, "refused_metrics": refused}).decode()
