"""What `towerops-agent snmp` does: choose the device, ask it, print the answer; each returns the exit status.

cli/snmp.py -> here -> tool.py and probe.py (SNMP), as_text.py, as_json.py and probe_report.py (words).
I/O: SNMP, the kept configuration, standard output and error. Times in seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towerops_agent.api.bearer import TokenSource
from towerops_agent.config.kept import NoKeptDevices, devices_of, read_devices
from towerops_agent.model import Equipment, Secret, SnmpVersion
from towerops_agent.settings import SETTINGS
from towerops_agent.site.files import SiteFiles
from towerops_agent.site.source import unusable
from towerops_agent.snmp.wire import ber
from towerops_agent.snmptool.choice import Devices, choose_target
from towerops_agent.snmptool.probe import probe
from towerops_agent.snmptool.target import Target
from towerops_agent.snmptool.tool import AskFailed, TargetSession, get, open_session, walk_as_net_snmp
from towerops_agent.snmptool.views.as_json import JsonArray, varbinds_json
from towerops_agent.snmptool.views.as_text import END_OF_MIB_V1, varbind_text
from towerops_agent.snmptool.views.probe_report import report_json, report_text

if TYPE_CHECKING:
    from towerops_agent.snmp.wire.ber import Oid

__all__ = ["choose_target", "kept_devices", "print_get", "print_probe", "print_walk"]

_SETTING = {setting.name: setting for setting in SETTINGS}


async def print_get(target: Target, names: Sequence["Oid"], timeouts_s: tuple[float, ...], as_json: bool) -> int:
    """Print the values of `names`. Raises as tool.py does."""
    async with open_session(target, timeouts_s) as session:
        result = await get(session, names)
        _report_address(session)
    for complaint in result.complaints:
        click.echo(complaint, err=True)
    if as_json:
        click.echo(varbinds_json(result.varbinds))
    else:
        for varbind in result.varbinds:
            click.echo(varbind_text(varbind))
    return 1 if result.complaints else 0


async def print_walk(target: Target, root: "Oid", timeouts_s: tuple[float, ...], as_json: bool, max_rows: int) -> int:
    """Print everything below `root` as it arrives, `max_rows` at most. Raises as tool.py does; rows until then are printed."""
    v1 = target.credentials.version is SnmpVersion.V1
    array = JsonArray()
    rows = 0
    try:
        async with open_session(target, timeouts_s) as session:
            async for varbind in walk_as_net_snmp(session, root):
                if rows == max_rows:
                    raise AskFailed(f"the walk of {target.address} was stopped after {max_rows} rows: see --max-rows")
                rows += 1
                if as_json:
                    click.echo(array.item(varbind), nl=False)
                elif v1 and varbind.tag == ber.END_OF_MIB_VIEW:
                    click.echo(END_OF_MIB_V1)
                else:
                    click.echo(varbind_text(varbind))
            _report_address(session)
    finally:
        if as_json and rows:
            click.echo(array.end())
    if as_json and not rows:
        click.echo(array.end())
    return 0


async def print_probe(target: Target, timeouts_s: tuple[float, ...], as_json: bool, pinned: bool) -> int:
    """Print the report about the device. Raises as probe does."""
    report = await probe(target, timeouts_s, pinned=pinned)
    click.echo(report_json(report) if as_json else report_text(report))
    return 0


def _report_address(session: TargetSession) -> None:
    """Say on standard error that the device answered from another address, if it did."""
    if session.answers_from is not None:
        click.echo(f"{session.target.address} answers from another address, {session.answers_from[0]}: accepted", err=True)


def devices_of_site(site: Path, wanted: Callable[[Equipment], bool]) -> list[Equipment]:
    """The devices of the site files that are `wanted`. Raises NoKeptDevices, SiteUnreadable."""
    compiled = SiteFiles(site).read()
    if compiled.config is None:
        raise NoKeptDevices(f"the site files can't be used: {unusable(compiled)}")
    return devices_of(compiled.config, wanted)


def kept_devices(environ: Mapping[str, str], database: Path | None, token_file: Path | None) -> Devices:
    """How to read the configuration: site files, else the kept one; from the options' path, else the environment's, as `run`."""

    def setting(name: str) -> str:
        return environ.get(_SETTING[name].variable, "").strip() or _SETTING[name].default

    def token() -> Secret:
        text, path = setting("token"), setting("token_file")
        if token_file is not None:
            return TokenSource(path=token_file).token
        return TokenSource(Secret(text) if text else None, Path(path) if path else None).token

    def devices(wanted: Callable[[Equipment], bool]) -> list[Equipment]:
        if setting("site"):
            return devices_of_site(Path(setting("site")), wanted)
        return read_devices(database or Path(setting("database_path")), token, wanted)

    return devices
