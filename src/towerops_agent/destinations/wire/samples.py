"""The samples of a stored poll: which value of the layout, its number, and its time; the same for each kind of destination.

Pure. Microseconds since 1970-01-01 UTC (`_us`).
"""

from collections.abc import Sequence
from itertools import repeat
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


def samples_of(layout: Layout, poll: Poll, first: int = 0, stop: int | None = None) -> list[Sample]:
    """The samples of the metrics [first, stop) of the poll: which metrics there are, delivery/course/parcel.py says.

    A quotient that is not a finite number, and a counter that the device did not give, make no sample.
    """
    if layout.kind is not LayoutKind.READINGS:
        if first > 0 or (stop is not None and stop < 1):
            return []
        time_us = next(poll.item_times_us())
        return _of_state(poll, time_us) if layout.kind is LayoutKind.STATE else _of_pings(poll, time_us)
    last = len(poll.values) if stop is None else stop
    times = poll.item_times_us()
    values = poll.values
    found: list[Sample] = []
    place = slot = 0
    for _, divisor in layout.sensors:
        time_us = next(times)
        raw = values[slot]
        if raw is not None:
            value = quotient(raw, divisor) if first <= place < last else None
            if value is not None:
                found.append((slot, float(value), time_us))
            place += 1
        slot += 1
    for _ in layout.interfaces:
        time_us = next(times)
        counters = values[slot : slot + COLUMNS]
        if counters[0] is not None or counters[1] is not None:
            if first <= place < last:
                if None in counters:
                    found += [(column, counter, time_us) for column, counter in enumerate(counters, slot) if counter is not None]
                else:  # as good as always, and half the time
                    found += zip(range(slot, slot + COLUMNS), counters, repeat(time_us))  # type: ignore[arg-type]
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
