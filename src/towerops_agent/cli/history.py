"""`towerops-agent history`: a device's last hours, from the database of a running or a stopped agent.

Imports are lazy, as in main.py. Exit status: 0, or 1 with the reason on standard error.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.cli.ending import EXIT_FAILURE, complain, fail
from towerops_agent.cli.options import FILE, TOKEN_FILE, NumberRange, database_option, token_of_environment
from towerops_agent.clocks import wall_us
from towerops_agent.errors import AgentError

if TYPE_CHECKING:
    from towerops_agent.config.document.names import Names
    from towerops_agent.telemetry.views.series import Series


@click.command()
@click.argument("device")
@database_option
@click.option(
    TOKEN_FILE.flag, "token_file", envvar=TOKEN_FILE.variable, type=FILE, help="To read the names in the configuration."
)
@click.option("--hours", type=NumberRange(0.01, 48), help="How far back; without it, all that there is.")
@click.option("--csv", "as_csv", is_flag=True, help="Print time,id,what,value,name,unit lines.")
def history(device: str, database: Path, token_file: Path | None, hours: float | None, as_csv: bool) -> None:
    """Show the last hours of a device as small charts.

    DEVICE is an id or a name. Shown are its sensors, its interfaces' rates in bits a second, and its pings.
    """
    from towerops_agent.buffer.reader import DatabaseReader
    from towerops_agent.telemetry.views.history import SHOWN, span
    from towerops_agent.telemetry.views.series import DeviceSeries

    until_us = wall_us()
    since_us = 0 if hours is None else until_us - round(hours * 3_600_000_000)
    try:
        with DatabaseReader(database) as reader:
            equipment_id, names, doubt = _find(device, database, token_file, set(reader.equipment()))
            device_series = DeviceSeries()
            for stored in reader.polls(equipment_id, since_us):
                device_series.add(stored)
        series = [one for alike in device_series.items() for one in alike if one.what in SHOWN]
    except AgentError as error:
        fail(error)
    if not series:
        when = (
            "in the days that the database keeps" if hours is None else f"in the last {hours:g} hour{'' if hours == 1 else 's'}"
        )
        complain(f"nothing was read from {device} {when}")
        sys.exit(EXIT_FAILURE)
    if doubt:
        complain(f"sensors and interfaces are shown by their ids: {doubt}")
    if as_csv:
        _print_csv(series, names)
        return
    if hours is None:
        since_us, until_us = span(series)
    _print_sparklines(series, names, since_us, until_us)


def _find(device: str, database: Path, token_file: Path | None, known: set[str]) -> "tuple[str, Names, str]":
    """The id of the equipment with this name or id, its names, and why there are none, if so. Raises AgentError."""
    from towerops_agent.api.bearer import TokenSource
    from towerops_agent.config.document.names import Names, names_of
    from towerops_agent.config.kept import devices_of, is_called, read_names

    token = TokenSource(token_of_environment(), token_file)
    try:
        config = read_names(database, lambda: token.token)
    except AgentError as error:
        if equipment_id := device if device in known else _reported_id(device, database):
            return equipment_id, Names(), str(error)  # an id needs no configuration
        hint = "give the token, so that the agent's kept configuration can be read, or give the device's id"
        raise AgentError(f"no device with the id {device}, and names can't be looked up ({error}): {hint}") from error
    found = devices_of(config, is_called(device))
    if len(found) > 1:
        raise AgentError(f"{len(found)} devices have the name {device}: give an id: {', '.join(item.id for item in found)}")
    if not found and device not in known:
        raise AgentError(f"no device has the name or id {device}: use a name or an id of the configuration")
    equipment_id = found[0].id if found else device
    return equipment_id, names_of(config, equipment_id), ""


def _reported_id(device: str, database: Path) -> str:
    """The id of the one device that the agent, running or stopped, reports under this name or address; "" if there is not one."""
    from towerops_agent.cli.reports import read_devices
    from towerops_agent.telemetry.views.devices import is_named

    try:
        ids = [report.id for report in read_devices(database) if is_named(report, device)]
    except AgentError:
        return ""
    return ids[0] if len(ids) == 1 else ""


def _print_csv(series: "list[Series]", names: "Names") -> None:
    import csv

    from towerops_agent.cli.terminal import on_terminal
    from towerops_agent.delivery.course.parcel import timestamp
    from towerops_agent.telemetry.views.series import PINGS
    from towerops_agent.text import printable

    shown = printable if on_terminal() else str  # a program gets an id as it is
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("time", "id", "what", "value", "name", "unit"))
    for one in series:
        if one.what in PINGS:
            what, unit, labels = one.what.replace(" ", "_"), PINGS[one.what], {}
        elif one.what == "sensor":
            what, unit, labels = one.what, names.units.get(one.id, ""), names.sensors
        else:
            what, unit, labels = f"{one.what}_bit_s", "bit/s", names.interfaces
        for at_us, value in one.points:
            if value is not None:
                writer.writerow((timestamp(at_us), shown(one.id), what, value, labels.get(one.id, ""), unit))


def _print_sparklines(series: "list[Series]", names: "Names", since_us: int, until_us: int) -> None:
    from towerops_agent.cli.terminal import width
    from towerops_agent.telemetry.views.history import BARS, PLAIN_BARS, chart
    from towerops_agent.text import duration, moment

    encoding = sys.stdout.encoding or "ascii"
    try:
        f"{BARS}…".encode(encoding)
        bars = BARS
    except UnicodeEncodeError:
        bars = PLAIN_BARS
    click.echo(f"{moment(since_us)} to {moment(until_us)}, {duration((until_us - since_us) / 1e6)}")
    for line in chart(series, names, since_us, until_us, bars, width()):
        click.echo(line)
