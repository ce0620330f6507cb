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
from towerops_agent.telemetry.views.rates import longest_us, rates_of_columns

SENSOR: Final = "sensor"
TRAFFIC: Final = ("in", "out")
TROUBLE: Final = ("errors in", "errors out", "discards in", "discards out")
RATES: Final = (*TRAFFIC, *TROUBLE)
"""The rates of an interface, in the order of INTERFACE_COLUMNS."""

PINGS: Final = {"ping loss": "%", "ping round trip": "ms", "ping jitter": "ms"}
"""What is shown of a device's rounds of pings, with the units. The round trip is a round's mean."""


@dataclass(frozen=True, slots=True)
class Series:
    """One sensor, or one of the rates of one interface, or the pings of the device. `what`: SENSOR, or one of RATES or PINGS.

    `times_us`, and the reading of each: None if there is none.
    """

    id: str
    what: str
    times_us: Sequence[int]
    readings: Sequence[Number | None]

    @property
    def points(self) -> Iterator[tuple[int, Number | None]]:
        """Each time with its reading."""
        return zip(self.times_us, self.readings, strict=True)

    @property
    def values(self) -> list[Number]:
        """The readings that there are."""
        return [reading for reading in self.readings if reading is not None]


def series_of(polls: Iterable[StoredPoll]) -> list[Series]:
    """The series of these polls of one device, in the layouts' order: sensors, interfaces, pings. Only those with a value."""
    sensors: dict[str, tuple[list[int], list[Number | None]]] = {}
    counters: dict[str, tuple[list[int], list[list[int | None]]]] = {}
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
            times_us, values = sensors.setdefault(sensor_id, ([], []))
            times_us += times[i]
            values += [None if raw is None else quotient(raw, divisor) for raw in columns[i]]
        at = len(layout.sensors)
        for i, interface_id in enumerate(layout.interfaces, at):
            times_us, counted = counters.setdefault(interface_id, ([], [[] for _ in INTERFACE_COLUMNS]))
            times_us += times[i]
            for counts, raws in zip(counted, columns[at : at + len(INTERFACE_COLUMNS)], strict=True):
                counts += [None if raw is None else int(raw) for raw in raws]
            at += len(INTERFACE_COLUMNS)
    found = [Series(sensor_id, SENSOR, *pair) for sensor_id, pair in sensors.items()]
    for interface_id, (times_us, counted) in counters.items():
        made_of = rates_of_columns(times_us, counted, longest_us(usual_us(times_us)))
        for what, column in zip(RATES, made_of, strict=True):
            bits = [octets and 8 * octets for octets in column] if what in TRAFFIC else column
            found.append(Series(interface_id, what, times_us[1:], bits))
    for equipment_id, rounds in pings.items():
        found += _pings_of(equipment_id, rounds)
    return [series for series in found if any(reading is not None for reading in series.readings)]


def _pings_of(equipment_id: str, rounds: Sequence[Poll]) -> Iterator[Series]:
    times = [next(poll.item_times_us()) for poll in rounds]
    for what, column in zip(PINGS, zip(*map(_of_round, rounds), strict=True), strict=True):
        yield Series(equipment_id, what, times, column)


def _of_round(poll: Poll) -> tuple[Number | None, ...]:
    """What is shown of a round, in the order of PINGS."""
    sent, received, _, mean_us, _, jitter_us = poll.values
    loss = None if not sent or received is None else 100 * (sent - received) / sent
    return loss, mean_us and mean_us / 1000, jitter_us and jitter_us / 1000


def usual_us(times: Sequence[int]) -> float:
    """The usual distance of neighbours, 0 if there is none."""
    spans = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    return median(spans) if spans else 0
