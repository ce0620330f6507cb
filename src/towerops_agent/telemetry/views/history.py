"""The last hours of one device as lines of text: its sensors' values, its interfaces' rates and its pings, over time.

Pure: series in (series.py), sparklines out.
"""

import re
from collections.abc import Sequence
from typing import Final

from towerops_agent.config.document.names import Names
from towerops_agent.telemetry.views.lines import columns, cut, padded
from towerops_agent.telemetry.views.series import PINGS, SENSOR, TRAFFIC, Series
from towerops_agent.text import printable

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.-=+*#@"
GAP: Final = " "
WIDTH: Final = 60
LEAST_WIDTH: Final = 60

SHOWN: Final = (SENSOR, *TRAFFIC, *PINGS)
"""Which series are drawn, by what they are."""

_TEN_THOUSAND: Final = 9_999.5
"""In four digits: 9999.5 and more are rounded to it, and 1e+04 is not for people."""

_END: Final = re.compile(r"(?: (?:in|out))? \[[^\[\]]*\]$")


def sparkline(series: Series, since_us: int, until_us: int, bars: str = BARS, width: int = WIDTH) -> str:
    """The series from `since_us` to `until_us` as `width` characters: the mean of each stretch; a gap is a blank."""
    stretches: list[list[float]] = [[] for _ in range(width)]
    for at_us, value in series.points:
        if value is not None and since_us <= at_us < until_us:
            stretches[(at_us - since_us) * width // (until_us - since_us)].append(value)
    means = [sum(stretch) / len(stretch) if stretch else None for stretch in stretches]
    known = [mean for mean in means if mean is not None]
    if not known:
        return GAP * width
    least, most = min(known), max(known)
    steps = (len(bars) - 1) / (most - least) if most > least else 0.0
    return "".join(GAP if mean is None else bars[round((mean - least) * steps)] for mean in means)


def span(series: Sequence[Series]) -> tuple[int, int]:
    """From the first point to right after the last, of all of them."""
    times = [at_us for one in series for at_us, value in one.points if value is not None]
    return min(times), max(times) + 1


def chart(
    series: Sequence[Series], names: Names, since_us: int, until_us: int, bars: str = BARS, width: int | None = None
) -> list[str]:
    """A line for each series: what it is, its sparkline, its least, most and last value. Within `width` columns, from 60 on.

    A sensor is called by its type and description with its unit, an interface by its name;
    by the id if there is no such name.
    """
    labels = [printable(_label(one, names)) for one in series]
    amounts = [f"{amount(min(one.values))} to {amount(max(one.values))}, last {amount(one.values[-1])}" for one in series]
    label_width, line_width = max(map(columns, labels)), WIDTH
    if width is not None:
        free = max(width, LEAST_WIDTH) - max(map(len, amounts)) - 2 * len(GAP) * 2
        label_width = min(label_width, max(free - WIDTH, free // 2))
        line_width = min(WIDTH, free - label_width)
    return [
        f"{padded(_cut(label, label_width, bars), label_width)}  {sparkline(one, since_us, until_us, bars, line_width)}  {text}"
        for label, one, text in zip(labels, series, amounts, strict=True)
    ]


def _label(series: Series, names: Names) -> str:
    if series.what in PINGS:
        return f"{series.what} [{PINGS[series.what]}]"
    if series.what != "sensor":
        return f"{names.interfaces.get(series.id, series.id)} {series.what} [bit/s]"
    label = names.sensors.get(series.id, series.id)
    unit = names.units.get(series.id)
    return f"{label} [{unit}]" if unit else label


def _cut(label: str, width: int, bars: str) -> str:
    """The label in `width` columns. Its direction and unit are kept, and both ends of an id: ids of a device begin alike."""
    if columns(label) <= width:
        return label
    dots = "…" if bars == BARS else "."
    end = _END.search(label)
    name, kept = (label[: end.start()], end[0]) if end else (label, "")
    if not name.isascii():
        return cut(cut(name, width - columns(kept), dots) + kept, width, "")
    free = max(width - len(kept) - len(dots), 0)
    tail = 0 if " " in name else free // 2
    return f"{name[: free - tail]}{dots}{name[len(name) - tail :]}{kept}"[:width]


def amount(value: float) -> str:
    """A number for people: four significant digits, with k, M, G, T, P or E from ten thousand on."""
    unit, *larger = ("", "k", "M", "G", "T", "P", "E")
    while abs(value) >= _TEN_THOUSAND and larger:
        unit, *larger = larger
        value /= 1000
    return f"{value:.4g}{unit}"
