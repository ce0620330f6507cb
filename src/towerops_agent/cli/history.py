"""`towerops-agent history`: a device's last hours, from the database of a running or a stopped agent.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.options import EXIT_FAILURE, FILE, TOKEN_FILE, database_option, fail
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.model import Secret
    from towerops_agent.telemetry.views.history import Series


@click.command()
@click.argument("device")
@database_option
@click.option(TOKEN_FILE.flag, "token_file", envvar=TOKEN_FILE.variable, type=FILE, help="To find a device by its name.")
@click.option("--hours", default=24.0, show_default=True, type=click.FloatRange(0.01, 48), help="How far back.")
@click.option("--csv", "as_csv", is_flag=True, help="Print time,id,what,value lines.")
def history(device: str, database: Path, token_file: Path | None, hours: float, as_csv: bool) -> None:
    """Show the last hours of DEVICE (an id or a name): its sensors, and its interfaces' rates in bits a second."""
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry.views.history import series_of

    until_us = time.time_ns() // 1000
    since_us = until_us - round(hours * 3_600_000_000)
    try:
        with DatabaseReader(database) as reader:
            equipment_id, names = _find(device, database, token_file, set(reader.equipment()))
            series = series_of(reader.polls(equipment_id, since_us))
    except AgentError as error:
        fail(error)
    if not series:
        click.echo(f"towerops-agent: nothing was read from {device} in the last {hours:g} hours", err=True)
        sys.exit(EXIT_FAILURE)
    if as_csv:
        _print_csv(series)
    else:
        _print_sparklines(series, names, since_us, until_us)


def _find(device: str, database: Path, token_file: Path | None, known: set[str]) -> tuple[str, dict[str, str]]:
    """The id of the equipment with this name or id, and the names of its interfaces by id. Raises AgentError."""
    from towerops_agent.api.bearer import TokenSource
    from towerops_agent.config.kept import is_called, read_devices

    token = TokenSource(_token_of_environment(), token_file)
    try:
        found = read_devices(database, lambda: token.token, is_called(device))
    except AgentError as error:
        if device in known:
            return device, {}  # an id needs no configuration
        hint = "give the token, so that the agent's kept configuration can be read, or give the device's id"
        raise AgentError(f"no device with the id {device}, and names can't be looked up ({error}): {hint}") from error
    if len(found) > 1:
        raise AgentError(f"{len(found)} devices have the name {device}: give an id: {', '.join(item.id for item in found)}")
    if found:
        return found[0].id, {interface.id: interface.if_name for interface in found[0].interfaces if interface.if_name}
    if device in known:
        return device, {}
    raise AgentError(f"no device has the name or id {device}: use a name or an id of the configuration")


def _token_of_environment() -> "Secret | None":
    import os

    from towerops_agent.model import Secret

    text = os.environ.get("TOWEROPS_AGENT_TOKEN", "").strip()
    return Secret(text) if text else None


def _print_csv(series: "list[Series]") -> None:
    import csv

    from towerops_agent.delivery.course.metrics import timestamp

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("time", "id", "what", "value"))
    for one in series:
        for at_us, value in one.points:
            if value is not None:
                writer.writerow((timestamp(at_us), one.id, one.what if one.what == "sensor" else f"{one.what}_bit_s", value))


def _print_sparklines(series: "list[Series]", names: dict[str, str], since_us: int, until_us: int) -> None:
    from towerops_agent.telemetry.views.history import BARS, PLAIN_BARS, amount, sparkline
    from towerops_agent.text import moment

    encoding = sys.stdout.encoding or "ascii"
    try:
        BARS.encode(encoding)
        bars = BARS
    except UnicodeEncodeError:
        bars = PLAIN_BARS
    labels = [names.get(one.id, one.id) + ("" if one.what == "sensor" else f" {one.what} bit/s") for one in series]
    width = max(map(len, labels))
    click.echo(f"{moment(since_us)} to {moment(until_us)}")
    for label, one in zip(labels, series, strict=True):
        line = sparkline(one, since_us, until_us, bars)
        least, most, last = min(one.values), max(one.values), one.values[-1]
        click.echo(f"{label:<{width}}  {line}  {amount(least)} to {amount(most)}, last {amount(last)}")
