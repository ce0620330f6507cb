"""`towerops-agent doctor`: what is wrong, and what to do about it.

doctor/examination.py does the work, imported when it is needed, as in main.py.
Exit status: 0 nothing failed (there may be warnings) · 1 something failed, bad settings included · 2 bad usage.
"""

import os
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from towerops_agent.cli.options import NumberRange, settings_options

if TYPE_CHECKING:
    from towerops_agent.doctor.findings.check import Check

MANY = 10
"""From this number of devices on, a bar shows the progress."""


@click.command(
    short_help="Check all that the agent needs, and each device.", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--device", "devices", multiple=True, metavar="NAME", help="Check only this device: name, id or address. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--timeout",
    default=1.0,
    show_default=True,
    type=NumberRange(0.05, 30),
    help="Seconds to wait for a device's answer; the second attempt waits twice as long.",
)
@settings_options(secrets=False)  # not the token: every user of the machine can read a command line
def doctor(devices: tuple[str, ...], as_json: bool, timeout: float, **flags: Any) -> None:  # noqa: ANN401
    """Check settings, database, clock, the way to the API, token, configuration and each device: a line each, with what to do.

    Changes nothing, and may run beside the agent: in its container, as its user, with its settings. Exit status 1 if
    a check has failed. A line marked with ! deserves a look, but is not a failure.
    """
    import asyncio

    sys.exit(asyncio.run(_run(devices, as_json, timeout, flags)))


async def _run(devices: tuple[str, ...], as_json: bool, timeout_s: float, flags: dict[str, Any]) -> int:
    from towerops_agent.doctor.device import Waits
    from towerops_agent.doctor.examination import Orders, examine
    from towerops_agent.doctor.findings.check import Result
    from towerops_agent.telemetry import logs

    logs.configure("error", "logfmt", sys.stderr)  # else log lines would be mixed with the doctor's lines
    show = _Show(as_json)
    patience = max(timeout_s, 1.0)
    waits = Waits((timeout_s, 2 * timeout_s), read_s=20 * patience, all_s=40 * patience)
    orders = Orders(devices, waits, begin_devices=show.begin_devices, on_token=logs.hider())
    try:
        async with aclosing(examine(os.environ, flags, orders)) as checks:
            async for check in checks:
                show.take(check)
    finally:
        show.end_bar()
    show.end()
    return 1 if any(check.result is Result.FAILED for check in show.checks) else 0


class _Show:
    """Shows checks: as lines, devices together at the end, or all as JSON."""

    def __init__(self, as_json: bool) -> None:
        from towerops_agent.doctor.findings.check import Lines, Result
        from towerops_agent.telemetry.views.lines import Tone

        self.checks: list[Check] = []
        self._as_json = as_json
        self._lines = Lines(sys.stdout.encoding)
        self._tones = {Result.OK: Tone.GOOD, Result.WARNING: Tone.WARNING, Result.FAILED: Tone.BAD, Result.SKIPPED: Tone.PLAIN}
        self._first_device: int | None = None
        self._bar: Any = None  # click names no type for it

    def take(self, check: "Check") -> None:
        """The next check."""
        self.checks.append(check)
        if self._first_device is None and not self._as_json:
            self._print(check)

    def begin_devices(self, total: int) -> Callable[[], None]:
        """All checks from now on are of devices. Call the returned function after each."""
        from towerops_agent.text import counted

        self._first_device = len(self.checks)
        if total < MANY or not sys.stderr.isatty():
            return lambda: None
        self._bar = click.progressbar(length=total, label=counted(total, "device"), file=sys.stderr).__enter__()
        return lambda: self._bar.update(1)

    def end_bar(self) -> None:
        """Remove the bar, if there is one."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def end(self) -> None:
        """Show what has not been shown yet."""
        from towerops_agent.doctor.findings.check import checks_json, device_width, hints_once

        if self._as_json:
            click.echo(checks_json(self.checks))
            return
        devices = self.checks[len(self.checks) if self._first_device is None else self._first_device :]
        width = device_width(devices)
        for check in hints_once(devices):
            self._print(check, width)
        click.echo(self._lines.summary(self.checks))

    def _print(self, check: "Check", name_width: int | None = None) -> None:
        from towerops_agent.cli.terminal import painted, width
        from towerops_agent.doctor.findings.check import NAME_WIDTH

        columns = width()
        name_width = name_width or NAME_WIDTH
        lines = [self._lines.line(check, name_width)] if columns is None else self._lines.lines(check, name_width, columns)
        click.echo(painted(lines[0][0], self._tones[check.result]) + lines[0][1:])
        for line in lines[1:]:
            click.echo(line)
