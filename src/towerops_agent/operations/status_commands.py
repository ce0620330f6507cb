"""`towerops-agent status`, `health` and `history`: of a running or a stopped agent, from its database alone.

cli.py registers them. Imports are lazy, as there: `health` is run each half minute.
Exit status: 0, or 1 with the reason on standard error (health: on standard output, where Docker keeps it).
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from towerops_agent.errors import AgentError, SettingsError
from towerops_agent.settings import SETTINGS

if TYPE_CHECKING:
    from towerops_agent.model import Secret
    from towerops_agent.operations.history import Series
    from towerops_agent.operations.snapshot import Snapshot

EXIT_FAILURE = 1
WATCH_EACH_S = 2.0

_DATABASE = next(setting for setting in SETTINGS if setting.name == "database_path")
_TOKEN_FILE = next(setting for setting in SETTINGS if setting.name == "token_file")
_FILE = click.Path(dir_okay=False, path_type=Path)

_database_option = click.option(
    _DATABASE.flag,
    "database",
    envvar=_DATABASE.variable,
    default=_DATABASE.default,
    type=_FILE,
    help=f"The agent's database. [{_DATABASE.variable}]",
)


@click.command()
@_database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the snapshot, and the metrics that the server refused.")
@click.option("--watch", is_flag=True, help="Show it again each two seconds, until Ctrl-C.")
def status(database: Path, as_json: bool, watch: bool) -> None:
    """What the agent is doing: API, configuration, devices in trouble, backlog, losses. It need not be running."""
    while True:
        try:
            text = _status_json(database) if as_json else _status_text(database)
        except AgentError as error:
            _fail(error)
        if not watch:
            click.echo(text)
            return
        click.clear()
        click.echo(text)
        try:
            time.sleep(WATCH_EACH_S)
        except KeyboardInterrupt:
            return


@click.command()
@_database_option
def health(database: Path) -> None:
    """Whether the agent makes progress: exit status 0 where it does. An API out of reach is told, and is no failure."""
    from towerops_agent.operations.health import judge
    from towerops_agent.operations.marks import boot_clock_s

    try:
        snapshot = _snapshot(database)
    except AgentError as error:
        click.echo(str(error))
        sys.exit(EXIT_FAILURE)
    found = judge(snapshot, time.time_ns() // 1000, boot_clock_s())
    for line in (*found.problems, *found.remarks):
        click.echo(line)
    if found.problems:
        sys.exit(EXIT_FAILURE)
    if not found.remarks:
        click.echo("well")


@click.command()
@click.argument("device")
@_database_option
@click.option(_TOKEN_FILE.flag, "token_file", envvar=_TOKEN_FILE.variable, type=_FILE, help="To find a device by its name.")
@click.option("--hours", default=24.0, show_default=True, type=click.FloatRange(0.01, 48), help="How far back.")
@click.option("--csv", "as_csv", is_flag=True, help="Print time,id,what,value lines.")
def history(device: str, database: Path, token_file: Path | None, hours: float, as_csv: bool) -> None:
    """The last hours of DEVICE (an id or a name): its sensors, and its interfaces' rates in bits a second."""
    from towerops_agent.buffer.reader import Reader
    from towerops_agent.operations.history import series_of

    until_us = time.time_ns() // 1000
    since_us = until_us - round(hours * 3_600_000_000)
    try:
        with Reader(database) as reader:
            equipment_id, names = _find(device, database, token_file, set(reader.equipment()))
            series = series_of(reader.polls(equipment_id, since_us))
    except AgentError as error:
        _fail(error)
    if not series:
        click.echo(f"towerops-agent: nothing was read of {device} in the last {hours:g} hours", err=True)
        sys.exit(EXIT_FAILURE)
    if as_csv:
        _print_csv(series)
    else:
        _print_sparklines(series, names, since_us, until_us)


def _snapshot(database: Path) -> "Snapshot | None":
    from towerops_agent.buffer.reader import Reader
    from towerops_agent.operations.snapshot import KEY, decode_snapshot

    with Reader(database) as reader:
        octets = reader.meta(KEY)
    return None if octets is None else decode_snapshot(octets)


def _status_text(database: Path) -> str:
    from towerops_agent.operations.status import render

    snapshot = _snapshot(database)
    if snapshot is None:
        raise AgentError(f"no agent of this version has run on the database {database} yet: start it, then ask again")
    return render(snapshot, time.time_ns() // 1000)


def _status_json(database: Path) -> str:
    import msgspec

    from towerops_agent.buffer.reader import Reader

    snapshot = _snapshot(database)
    with Reader(database) as reader:
        refused = [
            {"metric": msgspec.Raw(metric.metric), "reason": metric.reason, "at_us": metric.at_us} for metric in reader.refused()
        ]
    return msgspec.json.encode({"snapshot": snapshot, "refused_metrics": refused}).decode()


def _find(device: str, database: Path, token_file: Path | None, known: set[str]) -> tuple[str, dict[str, str]]:
    """The id of the equipment that is called so, and the names of its interfaces by id. Raises AgentError."""
    from towerops_agent.api.bearer import TokenSource
    from towerops_agent.operations.kept_devices import is_called, read_devices

    token = TokenSource(_token_of_environment(), token_file)
    try:
        found = read_devices(database, lambda: token.token, is_called(device))
    except AgentError as error:
        if device in known:
            return device, {}  # by its id no configuration is needed
        hint = "give the token, so that the kept configuration can be read, or the device's id"
        raise AgentError(f"no device with the id {device}, and names can't be looked up ({error}): {hint}") from error
    if len(found) > 1:
        raise AgentError(f"{len(found)} devices are called {device}: give an id: {', '.join(item.id for item in found)}")
    if found:
        return found[0].id, {interface.id: interface.if_name for interface in found[0].interfaces if interface.if_name}
    if device in known:
        return device, {}
    raise AgentError(f"no device is called {device}: see the configuration's names and ids")


def _token_of_environment() -> "Secret | None":
    import os

    from towerops_agent.model import Secret

    text = os.environ.get("TOWEROPS_AGENT_TOKEN", "").strip()
    return Secret(text) if text else None


def _print_csv(series: "list[Series]") -> None:
    import csv

    from towerops_agent.delivery.metrics import timestamp

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("time", "id", "what", "value"))
    for one in series:
        for at_us, value in one.points:
            if value is not None:
                writer.writerow((timestamp(at_us), one.id, one.what if one.what == "sensor" else f"{one.what}_bit_s", value))


def _print_sparklines(series: "list[Series]", names: dict[str, str], since_us: int, until_us: int) -> None:
    from towerops_agent.operations.history import BARS, PLAIN_BARS, amount, sparkline
    from towerops_agent.operations.spans import moment

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


def _fail(error: AgentError) -> NoReturn:
    click.echo(f"towerops-agent: {error}", err=True)
    sys.exit(2 if isinstance(error, SettingsError) else EXIT_FAILURE)
