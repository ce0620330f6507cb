"""The samples of a stored poll: which value of the layout, its number, and its time; the same for each kind of destination.

Pure. Microseconds since 1970-01-01 UTC (`_us`).
"""

from collections.abc import Iterator, Sequence
from typing import Final

from towerops_agent.delivery.course.parcel import quotient
from towerops_agent.model import INTERFACE_COLUMNS, PING_VALUES, STATES, Layout, LayoutKind, Number, Poll, State

Sample = tuple[int, Number, int]
"""The value's place in the layout (its slot), its number, and the time of its reply: microseconds since 1970.

A sensor's number and times are floats; counters, counts of pings, and whether the device is up are integers.
"""

Part = tuple[Sequence[bytes], Layout, Sequence[Sample]]
"""Samples of one poll, and what was encoded of its series before (a kind's `heads`)."""

COUNTS: Final = ("sent", "received")
"""The values of a round of pings that are not times."""

COLUMNS: Final = len(INTERFACE_COLUMNS)


def samples_of(layout: Layout, poll: Poll, first: int = 0, stop: int | None = None) -> Iterator[Sample]:
    """The samples of the metrics [first, stop) of the poll: which metrics there are, delivery/course/parcel.py says.

    A quotient that is not a finite number, and a counter that the device did not give, make no sample.
    """
    times = poll.item_times_us()
    place = 0

    def is_wanted() -> bool:
        return place >= first and (stop is None or place < stop)

    if layout.kind is LayoutKind.STATE:
        time_us = next(times)
        state, _, response_us = poll.values
        if is_wanted():
            # A degraded device without a round trip has only answered pings.
            word = STATES[state] if isinstance(state, int) else State.DOWN
            yield 0, int(word == State.UP or (word == State.DEGRADED and response_us is not None)), time_us
            if response_us is not None:
                yield 1, response_us / 1e6, time_us
        return
    if layout.kind is LayoutKind.PINGS:
        time_us = next(times)
        for slot, value in enumerate(poll.values):
            if value is not None and is_wanted():
                yield slot, value if PING_VALUES[slot] in COUNTS else value / 1e6, time_us
        return
    values = poll.values
    slot = 0
    for _, divisor in layout.sensors:
        time_us = next(times)
        raw = values[slot]
        if raw is not None:
            value = quotient(raw, divisor) if is_wanted() else None
            if value is not None:
                yield slot, float(value), time_us
            place += 1
        slot += 1
    for _ in layout.interfaces:
        time_us = next(times)
        counters: Sequence[Number | None] = values[slot : slot + COLUMNS]
        if counters[0] is not None or counters[1] is not None:
            if is_wanted():
                for column, counter in enumerate(counters, slot):
                    if counter is not None:
                        yield column, counter, time_us
            place += 1
        slot += COLUMNS
