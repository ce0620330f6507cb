"""The charts of one device: its sensors, each interface's rates, errors and discards, its pings, in columns.

Series (telemetry/views/series.py) + Names -> Chart, as the page's JavaScript draws it. A chart of errors or discards is there
only if there were any: `note` says so otherwise.
Pure. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Final

import msgspec

from towerops_agent.config.document.names import Names
from towerops_agent.model import Number
from towerops_agent.page.views.columns import Window, extremes
from towerops_agent.telemetry.views.pace import longest_each_us, slowest_us
from towerops_agent.telemetry.views.series import PINGS, RATES, SENSOR, TRAFFIC, TROUBLE, Series

_DIGITS: Final = 4
"""Of a rate in a column; the newest has all of them, and a sensor's values do."""

_PACKETS: Final = "packets/s"


class ChartLine(msgspec.Struct, omit_defaults=True, frozen=True):
    """One line of a chart. `low`, `high`: of each column, None if it has no value; `high` is None if it is the same as `low`.

    `last`: the newest value.
    """

    low: list[Number | None]
    high: list[Number | None] | None = None
    last: Number | None = None


class Chart(msgspec.Struct, omit_defaults=True, frozen=True):
    """`kind`: "sensor", "state" if its values are words, or "interface": two lines, in and out. `states`: the word of each value.

    `note`: more about it, "" for nothing. `gap_us`: neighbours further apart are not joined; 0: those of the device's polls.
    """

    id: str
    kind: str
    label: str
    lines: list[ChartLine]
    unit: str = ""
    states: dict[str, str] = {}
    note: str = ""
    gap_us: int = 0


def charts_of(series: Sequence[Series], names: Names, window: Window) -> list[Chart]:
    """The charts, in the order of the series; only those with a value in this window."""
    edges_us = window.edges_us
    found = []
    for (item, kind), group in groupby(series, key=lambda one: (one.id, _kind(one))):
        alike = list(group)
        lines = _lines(alike, edges_us)
        if kind == SENSOR:
            found.append(_of_sensor(item, lines[SENSOR], names))
        elif kind == "pings":
            rounds_us = sorted(alike[0].times_us)
            gap_us = slowest_us(rounds_us, longest_each_us(rounds_us), window.from_us)
            found += [Chart(what, "sensor", what, [line], PINGS[what], gap_us=gap_us) for what, line in lines.items()]
        else:
            found += _of_interface(item, lines, names)
    return [chart for chart in found if any(value is not None for line in chart.lines for value in line.low)]


Thing = tuple[str, str]
"""A sensor, an interface or the pings of the device: what of the three, and its id."""


def things(series: Iterable[Series]) -> set[Thing]:
    """Of what the series are."""
    return {(_kind(one), one.id) for one in series}


def unread(read: Collection[Thing], names: Names) -> list[str]:
    """The names of the sensors and interfaces of the configuration of which there is no value at all."""
    every = ((SENSOR, names.sensors), ("interface", names.interfaces))
    return [label for kind, labels in every for item, label in labels.items() if (kind, item) not in read]


def _kind(series: Series) -> str:
    """Of what the series is: things of two kinds may have one id."""
    return SENSOR if series.what == SENSOR else "pings" if series.what in PINGS else "interface"


def _of_sensor(sensor: str, line: ChartLine, names: Names) -> Chart:
    words = names.words.get(sensor, {})
    if words:  # nothing is between two of them
        line = ChartLine(line.high or line.low, None, line.last)
    return Chart(
        sensor, "state" if words else "sensor", names.sensors.get(sensor, sensor), [line], names.units.get(sensor, ""), words
    )


def _of_interface(interface: str, lines: dict[str, ChartLine], names: Names) -> Iterable[Chart]:
    label = names.interfaces.get(interface, interface)
    trouble = {what: line for what, line in lines.items() if what in TROUBLE}
    noted = [name for name in ("errors", "discards") if (pair := _pair(trouble, name)) and not _any(pair)]
    note = f"no {' and no '.join(noted)}" if noted else ""
    yield Chart(interface, "interface", label, [lines.get(what, ChartLine([])) for what in TRAFFIC], "bit/s", note=note)
    for name in ("errors", "discards"):
        pair = _pair(trouble, name)
        if _any(pair):
            both = [lines.get(f"{name} {direction}", ChartLine([])) for direction in TRAFFIC]
            yield Chart(f"{interface} {name}", "interface", f"{label}, {name}", both, _PACKETS)


def _pair(trouble: dict[str, ChartLine], name: str) -> list[ChartLine]:
    return [line for what, line in trouble.items() if what.startswith(name)]


def _any(lines: Iterable[ChartLine]) -> bool:
    return any(value for line in lines for value in line.high or line.low)


def _lines(alike: Iterable[Series], edges_us: Sequence[int]) -> dict[str, ChartLine]:
    """The lines, by what they are of. Rates that are one list are one line: as of all counters that stand still."""
    lines: dict[str, ChartLine] = {}
    known: list[tuple[Series, ChartLine]] = []
    for one in alike:
        same = (line for other, line in known if one.readings is other.readings and one.times_us is other.times_us)
        lines[one.what] = line = next(same, None) or _line(one, edges_us)
        known.append((one, line))
    return lines


def _line(series: Series, edges_us: Sequence[int]) -> ChartLine:
    low, high = extremes(series, edges_us)
    if series.what in RATES:
        low, high = ([rate and _rounded(rate) for rate in column] for column in (low, high))
    last = next((reading for reading in reversed(series.readings) if reading is not None), None)
    return ChartLine(low, None if high == low else high, last)


def _rounded(rate: float) -> Number:
    rounded = float(f"{rate:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
