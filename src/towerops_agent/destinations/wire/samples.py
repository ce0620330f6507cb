"""The samples of a stored poll: which value of the layout, its number, and its time; the same for each kind of destination.

As columns and not as rows, so that an encoder handles all of a poll's numbers in a few calls.
Pure. Microseconds since 1970-01-01 UTC (`_us`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from typing import Final

from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.model import INTERFACE_COLUMNS, PING_VALUES, STATES, Layout, LayoutKind, Number, Poll, State

Sample = tuple[int, Number, int]


@dataclass(slots=True)
class Samples:
    """Samples of one poll, in three columns: the values' places in the layout (slots), in order; numbers; times of the replies.

    A sensor's number and times are floats; counters, counts of pings, and whether the device is up are integers.
    """

    slots: list[int] = field(default_factory=list)
    values: list[Number] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Sample]:
        """One by one."""
        return zip(self.slots, self.values, self.times_us, strict=True)

    def pick(self, of_slots: Sequence[bytes]) -> Sequence[bytes]:
        """Of what belongs to each slot, that of the samples."""
        return of_slots if len(of_slots) == len(self.slots) else [of_slots[slot] for slot in self.slots]

    @classmethod
    def of(cls, rows: Iterable[Sample]) -> "Samples":
        """These, one by one."""
        slots, values, times_us = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
        return cls(list(slots), list(values), list(times_us))


Part = tuple[Sequence[bytes], Layout, Samples]
"""Samples of one poll, and what was encoded of its series before (a kind's `heads`)."""

COUNTS: Final = ("sent", "received")
"""The values of a round of pings that are not times."""

COLUMNS: Final = len(INTERFACE_COLUMNS)


def samples_of(layout: Layout, poll: Poll, first: int = 0, stop: int | None = None) -> Samples:
    """The samples of the metrics [first, stop) of the poll: which metrics there are, delivery/course/parcel.py says.

    A quotient that is not a finite number, and a counter that the device did not give, make no sample.
    """
    if layout.kind is not LayoutKind.READINGS:
        if first > 0 or (stop is not None and stop < 1):
            return Samples()
        time_us = next(poll.item_times_us())
        return Samples.of(_of_state(poll, time_us) if layout.kind is LayoutKind.STATE else _of_pings(poll, time_us))
    last = len(poll.values) if stop is None else stop
    times = poll.item_times_us()
    values = poll.values
    found = Samples()
    slots, numbers, times_us = found.slots, found.values, found.times_us
    place = slot = 0
    for _, divisor in layout.sensors:
        time_us = next(times)
        raw = values[slot]
        if raw is not None:
            value = quotient(raw, divisor) if first <= place < last else None
            if value is not None:
                slots.append(slot)
                numbers.append(float(value))
                times_us.append(time_us)
            place += 1
        slot += 1
    if None not in values[slot:]:  # as good as always, and half the time
        chosen = range(max(first - place, 0), max(min(last - place, len(layout.interfaces)), 0))
        of_all = slice(slot + COLUMNS * chosen.start, slot + COLUMNS * max(chosen.stop, chosen.start))
        slots += range(of_all.start, of_all.stop)
        numbers += values[of_all]  # type: ignore[arg-type]
        times_us += chain.from_iterable(map(repeat, islice(times, chosen.start, chosen.stop), repeat(COLUMNS)))
        return found
    for _ in layout.interfaces:
        time_us = next(times)
        counters = values[slot : slot + COLUMNS]
        if counters[0] is not None or counters[1] is not None:
            if first <= place < last:
                given = [(at, counter) for at, counter in enumerate(counters, slot) if counter is not None]
                slots += [at for at, _ in given]
                numbers += [counter for _, counter in given]
                times_us += repeat(time_us, len(given))
            place += 1
        slot += COLUMNS
    return found


def _of_state(poll: Poll, time_us: int) -> list[Sample]:
    state, _, response_us = poll.values
    # A degraded device without a round trip has only answered pings.
    word = STATES[state] if isinstance(state, int) else State.DOWN
    is_up: Sample = (0, int(word == State.UP or (word == State.DEGRADED and response_us is not None)), time_us)
    return [is_up] if response_us is None else [is_up, (1, response_us / 1e6, time_us)]


def _of_pings(poll: Poll, time_us: int) -> list[Sample]:
    return [
        (slot, value if PING_VALUES[slot] in COUNTS else value / 1e6, time_us)
        for slot, value in enumerate(poll.values)
        if value is not None
    ]
