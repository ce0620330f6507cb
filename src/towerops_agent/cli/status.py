"""`towerops-agent status`: of a running agent, as it answers; of a stopped one, from its database.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.ending import complain, fail
from towerops_agent.cli.options import database_option, indented
from towerops_agent.cli.reports import devices_to_show, read_snapshot
from towerops_agent.clocks import wall_us
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.telemetry.views.snapshot import DeviceReport

WATCH_EACH_S = 2.0


@click.command()
@database_option
@click.option("--device", "device", metavar="NAME", help="Show only this device, at length: by name, id or address.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the snapshot, and the metrics that the server refused.")
@click.option("--watch", is_flag=True, help="Repeat every two seconds, until Ctrl-C.")
def status(database: Path, device: str | None, as_json: bool, watch: bool) -> None:
    """Show what the agent is doing, and what is wrong.

    API, configuration, failing devices, backlog, losses. It need not be running.
    """
    from towerops_agent.cli.terminal import fitted, on_terminal, show_for_good
    from towerops_agent.telemetry.views.lines import Line, Tone

    def texts() -> list[str]:
        notes: list[str] = []
        note = notes.append if watch and on_terminal() else complain  # in place it would overwrite what standard error has
        if device is not None:
            shown = (_device_json if as_json else _device_texts)(database, device, note)
        else:
            shown = _status_json(database, note) if as_json else _status_texts(database)
        return [*fitted(Line(note, Tone.WARNING, "note") for note in notes), *shown]

    try:
        if watch:
            show_for_good(texts, lambda: time.sleep(WATCH_EACH_S))
        else:
            click.echo("\n".join(texts()))
    except AgentError as error:
        fail(error)


def _status_texts(database: Path) -> list[str]:
    from towerops_agent.cli.terminal import fitted
    from towerops_agent.telemetry.views.status import status_lines

    snapshot, runs = read_snapshot(database)
    if snapshot is None:
        raise AgentError(f"no agent of this version has run on the database {database} yet: start it, then ask again")
    return fitted(status_lines(snapshot, wall_us(), runs=runs))


def _device_texts(database: Path, name: str, note: Callable[[str], None]) -> list[str]:
    from towerops_agent.cli.terminal import fitted
    from towerops_agent.telemetry.views.devices import device_lines

    now_us = wall_us()
    return [text for device in _devices_named(database, name, note) for text in fitted(device_lines(device, now_us))]


def _device_json(database: Path, name: str, note: Callable[[str], None]) -> list[str]:
    return [indented(_devices_named(database, name, note))]


def _devices_named(database: Path, name: str, note: Callable[[str], None]) -> "list[DeviceReport]":
    from towerops_agent.telemetry.views.devices import is_named

    found = [device for device in devices_to_show(database, note) if is_named(device, name)]
    if not found:
        raise AgentError(f"no device has the name, id or address {name}: `towerops-agent devices` lists them")
    return found


def _status_json(database: Path, note: Callable[[str], None]) -> list[str]:
    import msgspec

    from towerops_agent.buffer.reader import DatabaseReader

    snapshot, runs = read_snapshot(database)
    refused: list[dict[str, object]] = []
    try:
        with DatabaseReader(database) as reader:
            refused += (
                {
                    "metric": msgspec.Raw(metric.metric),
                    "reason": metric.reason,
                    "at_us": metric.at_us,
                    "destination": metric.destination,
                }
                for metric in reader.refused()
            )
    except AgentError as error:
        if not runs:
            raise
        note(f"without the metrics that the server refused: {error}")
    return [indented({"snapshot": snapshot, "refused_metrics": refused})]
