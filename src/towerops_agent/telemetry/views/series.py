"""Stored polls of one device -> its series: the values of each sensor, the rates of each interface, its pings, over time.

Pure. Values as delivered (the raw reading over the divisor); rates a second between two polls, by the rules of rates.py and
pace.py: of octets in bits, of errors and discards in packets. Times in microseconds since 1970 (`_us`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.model import INTERFACE_COLUMNS, Layout, LayoutKind, Number, Poll
from towerops_agent.telemetry.views.pace import longest_each_us
from towerops_agent.telemetry.views.rates import rates_of_columns
from towerops_agent.telemetry.views.shelf import Entry, Shelf

SENSOR: Final = "sensor"
TRAFFIC: Final = ("in", "out")
TROUBLE: Final = ("errors in", "errors out", "discards in", "discards out")
RATES: Final = (*TRAFFIC, *TROUBLE)
"""The rates of an interface, in the order of INTERFACE_COLUMNS."""

PINGS: Final = {"ping loss": "%", "ping round trip": "ms", "ping jitter": "ms"}
"""What is shown of a device's rounds of pings, with the units. The round trip is a round's mean."""

VALUES_AT_ONCE: Final = 200_000
"""So many values of polls wait, some 8 MB, until they are turned round and put away."""


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


class DeviceSeries:
    """What was read of one device, of which its series are made. Small: a poll's values are in the open only as it is added."""

    def __init__(self, interval_us: float = 0) -> None:
        """`interval_us`: at which it is polled now, 0 if that is not known."""
        self._interval_us = interval_us
        self._sensors, self._interfaces = Shelf(), Shelf()
        self._pings: dict[str, list[Poll]] = {}
        self._layout: Layout | None = None
        self._polls: list[Poll] = []
        self._values = 0

    def add(self, stored: StoredPoll) -> None:
        """Take in a poll, later than those before it."""
        layout, poll = stored.layout, stored.poll
        if layout.kind is LayoutKind.PINGS:
            self._pings.setdefault(layout.equipment_id, []).append(poll)
        elif layout.kind is LayoutKind.READINGS:
            if self._values >= VALUES_AT_ONCE or layout != self._layout:
                self._put_away()
            self._layout = layout
            self._polls.append(poll)
            self._values += len(poll.values)

    def items(self) -> Iterator[list[Series]]:
        """The series, those of an item at a time, in the layouts' order: sensors, interfaces, pings. Only those with a value."""
        self._put_away()
        for sensor_id, stretches in self._sensors.items():
            yield _known([_of_sensor(sensor_id, stretches)])
        # What is read by one reply has the same times.
        longest_us = lru_cache(1)(lambda times_us: longest_each_us(times_us, self._interval_us))
        for interface_id, stretches in self._interfaces.items():
            yield _known(_of_interface(interface_id, stretches, longest_us))
        for equipment_id, rounds in self._pings.items():
            yield _known(_pings_of(equipment_id, rounds))

    def _put_away(self) -> None:
        layout, polls = self._layout, self._polls
        self._polls, self._values = [], 0
        if layout is None or not polls:
            return
        times = _item_times_us(polls)
        columns = list(zip(*(poll.values for poll in polls), strict=True))
        at = len(layout.sensors)
        self._sensors.add(
            (sensor_id, divisor, times[i], columns[i : i + 1]) for i, (sensor_id, divisor) in enumerate(layout.sensors)
        )
        each = len(INTERFACE_COLUMNS)
        self._interfaces.add(
            (interface_id, 1.0, times[at + i], columns[at + each * i : at + each * (i + 1)])
            for i, interface_id in enumerate(layout.interfaces)
        )


def series_of(polls: Iterable[StoredPoll]) -> list[Series]:
    """The series of these polls of one device, as DeviceSeries has them, all at once."""
    device = DeviceSeries()
    for stored in polls:
        device.add(stored)
    return [series for alike in device.items() for series in alike]


def _item_times_us(polls: Sequence[Poll]) -> Sequence[Sequence[int]]:
    """Of each item of these polls, whose layout is one, when its replies were received. Items of one reply have the same."""
    counts = [count for count, _ in polls[0].times]
    if any([count for count, _ in poll.times] != counts for poll in polls):
        return list(zip(*(poll.item_times_us() for poll in polls), strict=True))
    replies = zip(*(poll.times for poll in polls), strict=True)
    times: list[Sequence[int]] = []
    for count, runs in zip(counts, replies, strict=True):
        times += [[poll.started_at_us + offset_us for poll, (_, offset_us) in zip(polls, runs, strict=True)]] * count
    return times


def _known(found: Iterable[Series]) -> list[Series]:
    return [series for series in found if any(reading is not None for reading in series.readings)]


def _of_sensor(sensor_id: str, stretches: Iterable[Entry]) -> Series:
    times_us: list[int] = []
    values: list[Number | None] = []
    for _, divisor, some_us, (raws,) in stretches:
        times_us += some_us
        values += [None if raw is None else quotient(raw, divisor) for raw in raws]
    return Series(sensor_id, SENSOR, times_us, values)


def _of_interface(
    interface_id: str, stretches: Iterable[Entry], longest_us: Callable[[tuple[int, ...]], Sequence[int]]
) -> Iterator[Series]:
    times_us: list[int] = []
    counted: list[list[Number | None]] = [[] for _ in INTERFACE_COLUMNS]
    for _, _, some_us, columns in stretches:
        times_us += some_us
        for counts, raws in zip(counted, columns, strict=True):
            counts.extend(raws)
    made_of = rates_of_columns(times_us, counted, longest_us(tuple(times_us)))
    later_us = times_us[1:]
    for what, column in zip(RATES, made_of, strict=True):
        bits = [octets and 8 * octets for octets in column] if what in TRAFFIC and any(column) else column
        yield Series(interface_id, what, later_us, bits)


def _pings_of(equipment_id: str, rounds: Sequence[Poll]) -> Iterator[Series]:
    times = [next(poll.item_times_us()) for poll in rounds]
    for what, column in zip(PINGS, zip(*map(_of_round, rounds), strict=True), strict=True):
        yield Series(equipment_id, what, times, column)


def _of_round(poll: Poll) -> tuple[Number | None, ...]:
    """What is shown of a round, in the order of PINGS."""
    sent, received, _, mean_us, _, jitter_us = poll.values
    loss = None if not sent or received is None else 100 * (sent - received) / sent
    return loss, mean_us and mean_us / 1000, jitter_us and jitter_us / 1000
