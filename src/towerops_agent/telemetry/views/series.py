"""Stored polls of one device -> its series: the values of each sensor, the rates of each interface, its pings, over time.

Pure. Values as delivered (the raw reading over the divisor); rates a second between two polls, by the rule of rates.py: of octets
in bits, of errors and discards in packets. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Final

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.model import INTERFACE_COLUMNS, LayoutKind, Number, Poll
from towerops_agent.telemetry.views.rates import longest_us, rates

SENSOR: Final = "sensor"
TRAFFIC: Final = ("in", "out")
TROUBLE: Final = ("errors in", "errors out", "discards in", "discards out")
RATES: Final = (*TRAFFIC, *TROUBLE)
"""The rates of an interface, in the order of INTERFACE_COLUMNS."""

PINGS: Final = {"ping loss": "%", "ping round trip": "ms", "ping jitter": "ms"}
"""What is shown of a device's rounds of pings, with the units. The round trip is a round's mean."""

Point = tuple[int, Number | None]
"""When, and the value; None if there is none."""


@dataclass(frozen=True, slots=True)
class Series:
    """One sensor, or one of the rates of one interface, or the pings of the device. `what`: SENSOR, or one of RATES or PINGS."""

    id: str
    what: str
    points: tuple[Point, ...]

    @property
    def values(self) -> list[Number]:
        """The values that there are."""
        return [value for _, value in self.points if value is not None]


def series_of(polls: Iterable[StoredPoll]) -> list[Series]:
    """The series of these polls of one device, in the layouts' order: sensors, interfaces, pings. Only those with a value."""
    sensors: dict[str, list[Point]] = {}
    counters: dict[str, list[tuple[int, tuple[int | None, ...]]]] = {}
    readings: list[StoredPoll] = []
    pings: dict[str, list[Poll]] = {}
    for one in polls:
        if one.layout.kind is LayoutKind.READINGS:
            readings.append(one)
        elif one.layout.kind is LayoutKind.PINGS:
            pings.setdefault(one.layout.equipment_id, []).append(one.poll)
    for layout, alike in groupby(readings, key=lambda one: one.layout):
        made = [stored.poll for stored in alike]
        times = list(zip(*(poll.item_times_us() for poll in made), strict=True))
        columns = list(zip(*(poll.values for poll in made), strict=True))
        for i, (sensor_id, divisor) in enumerate(layout.sensors):
            values = [None if raw is None else quotient(raw, divisor) for raw in columns[i]]
            sensors.setdefault(sensor_id, []).extend(zip(times[i], values, strict=True))
        at = len(layout.sensors)
        for i, interface_id in enumerate(layout.interfaces, at):
            rows = zip(*map(_counts, columns[at : at + len(INTERFACE_COLUMNS)]), strict=True)
            counters.setdefault(interface_id, []).extend(zip(times[i], rows, strict=True))
            at += len(INTERFACE_COLUMNS)
    found = [Series(sensor_id, SENSOR, tuple(points)) for sensor_id, points in sensors.items()]
    for interface_id, counted in counters.items():
        found += _rates_of(interface_id, counted)
    for equipment_id, rounds in pings.items():
        found += _pings_of(equipment_id, rounds)
    return [series for series in found if any(value is not None for _, value in series.points)]


def _pings_of(equipment_id: str, rounds: Sequence[Poll]) -> Iterator[Series]:
    times = [next(poll.item_times_us()) for poll in rounds]
    for what, column in zip(PINGS, zip(*map(_of_round, rounds), strict=True), strict=True):
        yield Series(equipment_id, what, tuple(zip(times, column, strict=True)))


def _of_round(poll: Poll) -> tuple[Number | None, ...]:
    """What is shown of a round, in the order of PINGS."""
    sent, received, _, mean_us, _, jitter_us = poll.values
    loss = None if not sent or received is None else 100 * (sent - received) / sent
    return loss, mean_us and mean_us / 1000, jitter_us and jitter_us / 1000


def usual_us(times: Sequence[int]) -> float:
    """The usual distance of neighbours, 0 if there is none."""
    spans = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    return median(spans) if spans else 0


def _counts(column: Sequence[Number | None]) -> Sequence[int | None]:
    return [None if raw is None else int(raw) for raw in column]


def _rates_of(interface_id: str, points: Sequence[tuple[int, tuple[int | None, ...]]]) -> Iterator[Series]:
    made = list(rates(points, longest_us(usual_us([at_us for at_us, _ in points]))))
    times = [at_us for at_us, _ in made]
    for what, column in zip(RATES, zip(*(values for _, values in made), strict=True), strict=False):  # no points, no columns
        scale = 8 if what in TRAFFIC else 1
        yield Series(interface_id, what, tuple((at_us, rate and rate * scale) for at_us, rate in zip(times, column, strict=True)))
