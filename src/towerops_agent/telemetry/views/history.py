"""The last hours of one device from the local database: its sensors' values and its interfaces' rates, over time.

Pure: stored polls in, series out. Values as delivered (the raw reading over the divisor); rates in bits a second between two
polls, by the rule of rates.py.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.config.document.names import Names
from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.model import INTERFACE_COLUMNS, Number
from towerops_agent.telemetry.views.rates import longest_us, rates

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.-=+*#@"
GAP: Final = " "
WIDTH: Final = 60
LEAST_WIDTH: Final = 60

_DIRECTIONS: Final = ("in", "out")
"""The order of an interface's first two counters."""

_END: Final = re.compile(r"(?: (?:in|out))? \[[^\[\]]*\]$")


@dataclass(frozen=True, slots=True)
class Series:
    """One sensor, or one direction of one interface. `points`: (microseconds since 1970, value; None if there is none)."""

    id: str
    what: str  # "sensor", "in", "out"
    points: tuple[tuple[int, Number | None], ...]

    @property
    def values(self) -> list[Number]:
        """The values that there are."""
        return [value for _, value in self.points if value is not None]


def series_of(polls: Iterable[StoredPoll]) -> list[Series]:
    """The series of these polls of one device, in the order of the layouts. A sensor that was never read has no series."""
    sensors: dict[str, list[tuple[int, Number | None]]] = {}
    counters: dict[str, list[tuple[int, tuple[int | None, ...]]]] = {}
    for stored in polls:
        layout, poll = stored.layout, stored.poll
        if layout.is_state:
            continue
        times = list(poll.item_times_us())
        for i, (sensor_id, divisor) in enumerate(layout.sensors):
            raw = poll.values[i]
            sensors.setdefault(sensor_id, []).append((times[i], None if raw is None else quotient(raw, divisor)))
        for i, interface_id in enumerate(layout.interfaces):
            first = len(layout.sensors) + len(INTERFACE_COLUMNS) * i
            at_us = times[len(layout.sensors) + i]
            octets = tuple(None if raw is None else int(raw) for raw in poll.values[first : first + len(_DIRECTIONS)])
            counters.setdefault(interface_id, []).append((at_us, octets))
    found = [Series(sensor_id, "sensor", tuple(points)) for sensor_id, points in sensors.items()]
    for interface, points in counters.items():
        made = list(_rates(points))
        for column, direction in enumerate(_DIRECTIONS):
            found.append(Series(interface, direction, tuple((at_us, values[column]) for at_us, values in made)))
    return [series for series in found if series.values]


def _rates(points: Sequence[tuple[int, tuple[int | None, ...]]]) -> Iterator[tuple[int, tuple[float | None, ...]]]:
    """In and out; the interval is the usual distance of the points."""
    spans = [later - earlier for (earlier, _), (later, _) in pairwise(points) if later > earlier]
    return rates(points, longest_us(median(spans)) if spans else 0)


def sparkline(series: Series, since_us: int, until_us: int, bars: str = BARS, width: int = WIDTH) -> str:
    """The series from `since_us` to `until_us` as `width` characters: the mean of each stretch; a gap is a blank."""
    stretches: list[list[Number]] = [[] for _ in range(width)]
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

    A sensor is called by its type and description with its unit, an interface by its name; by the id if there is no such name.
    """
    labels = [_label(one, names) for one in series]
    amounts = [f"{amount(min(one.values))} to {amount(max(one.values))}, last {amount(one.values[-1])}" for one in series]
    label_width, line_width = max(map(len, labels)), WIDTH
    if width is not None:
        free = max(width, LEAST_WIDTH) - max(map(len, amounts)) - 2 * len(GAP) * 2
        label_width = min(label_width, max(free - WIDTH, free // 2))
        line_width = min(WIDTH, free - label_width)
    return [
        f"{_cut(label, label_width, bars):<{label_width}}  {sparkline(one, since_us, until_us, bars, line_width)}  {text}"
        for label, one, text in zip(labels, series, amounts, strict=True)
    ]


def _label(series: Series, names: Names) -> str:
    label = names.labels.get(series.id, series.id)
    if series.what != "sensor":
        return f"{label} {series.what} [bit/s]"
    unit = names.units.get(series.id)
    return f"{label} [{unit}]" if unit else label


def _cut(label: str, width: int, bars: str) -> str:
    """The label in `width` columns. Its direction and unit are kept, and both ends of an id: ids of a device begin alike."""
    if len(label) <= width:
        return label
    dots = "…" if bars == BARS else "."
    end = _END.search(label)
    name, kept = (label[: end.start()], end[0]) if end else (label, "")
    free = max(width - len(kept) - len(dots), 0)
    tail = 0 if " " in name else free // 2
    return f"{name[: free - tail]}{dots}{name[len(name) - tail :]}{kept}"[:width]


def amount(value: float) -> str:
    """A number for people: four significant digits, with k, M or G from ten thousand on."""
    for unit in ("", "k", "M", "G"):
        if abs(value) < 10_000 or unit == "G":
            return f"{value:.4g}{unit}"
        value /= 1000
    return f"{value:.4g}"
