"""What the answers mean: varbinds -> readings.

A reading is a number that the device sent, or it is missing with a reason; never a substitute. The divisor is not applied here:
polls keep raw readings, and delivery divides (docs/decisions/0005-raw-readings.md).
Pure. Sources: RFC 2578 §7.1 (types), RFC 2863 §6 (counters), snmp/wire/opaque.py.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from towerops_agent.model import Number, Poll
from towerops_agent.polling.course.numeral import parse_numeral
from towerops_agent.polling.course.octet_numbers import doubtful, octet_number
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.scales import Scales
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.oid import Oid  # noqa: TC001 - as all others
from towerops_agent.snmp.wire.opaque import opaque_number

_COUNTERS: Final = frozenset((ber.COUNTER32, ber.COUNTER64, ber.GAUGE32, ber.TIME_TICKS, ber.UINTEGER32))

_MISSING: Final = {
    ber.NO_SUCH_OBJECT: Reason.NO_SUCH_OBJECT,
    ber.NO_SUCH_INSTANCE: Reason.NO_SUCH_INSTANCE,
    ber.END_OF_MIB_VIEW: Reason.END_OF_MIB_VIEW,
    ber.NULL: Reason.NULL,
}

LARGEST_FLOAT: Final = 1e28
"""A float past this is not a reading, and could not be divided by the smallest divisor."""

SMALLEST_INTEGER: Final = -(1 << 63)
LARGEST_INTEGER: Final = (1 << 64) - 1
"""The integers that a poll can keep."""

_SIGN_UNKNOWN: Final = range(1 << 31, 1 << 32)
"""An INTEGER has 32 bits and a sign (RFC 2578 §7.1.1). Firmware that sends one of these means an unsigned number, or a negative
one that lost its sign in five octets; it is not known which."""


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A poll, and why each value that it lacks is missing: by its index in the poll's values.

    `units`: in which unit each sensor's text was first read (see scales.py), with what this poll has added.
    """

    poll: Poll
    missing: dict[int, str]
    units: tuple[str, ...] = ()


def interpret(
    progress: PollProgress,
    layout: int,
    started_at_us: int,
    withheld: Mapping[int, str] | None = None,
    units: tuple[str, ...] = (),
) -> Interpretation:
    """The poll that `progress` has read, in the order of the layout with this id.

    `withheld`: the interfaces, by their place in the plan, whose counters can't be trusted, and why.
    `units`: from earlier polls.
    """
    missing: dict[int, str] = {}
    slots, plan = progress.slots, progress.plan
    scales = Scales(plan.sensor_count, units)
    values = _read_sensors(progress, scales, missing)
    _read_counters(progress, values, missing)
    for interface, reason in (withheld or {}).items():
        for i in plan.interface_slots(interface):
            values[i], missing[i] = None, reason
    metric_count, received_us = 0, []
    for i in range(plan.sensor_count):
        metric_count += values[i] is not None
        received_us.append(progress.received_us[slots[i]])
    for interface in range(len(plan.if_indexes)):
        first = plan.interface_slots(interface).start
        has_in = values[first] is not None
        metric_count += has_in or values[first + 1] is not None
        received_us.append(progress.received_us[slots[first if has_in else first + 1]])
    times = tuple(_runs(received_us, started_at_us))
    return Interpretation(Poll(layout, started_at_us, tuple(values), times, metric_count), missing, scales.units)


def _read_sensors(progress: PollProgress, scales: Scales, missing: dict[int, str]) -> list[Number | None]:
    values: list[Number | None] = []
    texts: list[tuple[int, Oid, bytes]] = []
    for i in range(progress.plan.sensor_count):
        column = progress.slots[i]
        tag, held = progress.tags[column], progress.values[column]
        if tag == ber.OCTET_STRING and isinstance(held, bytes):
            name = progress.names[column]
            counter = octet_number(name, held)
            value = _number_in_text(held, i, scales) if counter is None else counter
            if counter is None:
                texts.append((i, name, held))
        else:
            value = number(tag, held)
        if isinstance(value, Reason):
            missing[i] = progress.failures.get(column, value)
            values.append(None)
        else:
            values.append(value)
    for i in doubtful(texts):
        if values[i] is not None:
            values[i], missing[i] = None, Reason.AMBIGUOUS
    return values


def _read_counters(progress: PollProgress, values: list[Number | None], missing: dict[int, str]) -> None:
    """Append the interfaces' counters to `values`."""
    slots = progress.slots[len(values) :]
    if isinstance(slots, range) and _COUNTERS.issuperset(progress.tags[slots.start : slots.stop]):  # the usual case
        values.extend(progress.values[slots.start : slots.stop])  # type: ignore[arg-type]  # these tags have integers
        return
    for column in slots:
        tag = progress.tags[column]
        value: Number | bytes | None = progress.values[column]
        if tag == ber.OPAQUE and isinstance(value, bytes) and (wrapped := opaque_number(value)) is not None:
            value = wrapped[1]  # a counter of 64 bits, from before there was Counter64
        if isinstance(value, int) and 0 <= value <= LARGEST_INTEGER:
            values.append(value)
            continue
        if isinstance(value, int):
            reason = Reason.NEGATIVE_COUNTER if value < 0 else Reason.OUT_OF_RANGE
        else:
            reason = _MISSING.get(tag, Reason.NOT_A_COUNTER)
        missing[len(values)] = progress.failures.get(column, reason)
        values.append(None)


def _runs(received_us: Sequence[int], started_at_us: int) -> Iterator[tuple[int, int]]:
    for at_us, run in groupby(received_us):
        yield sum(1 for _ in run), max(at_us - started_at_us, 0)


def number(tag: int, value: int | bytes | None) -> Number | Reason:
    """The number in a varbind's value, or the reason why it is not a number."""
    if isinstance(value, int):
        return Reason.AMBIGUOUS if tag == ber.INTEGER and value in _SIGN_UNKNOWN else value
    if isinstance(value, bytes):
        if tag == ber.OCTET_STRING:
            return _number_in_text(value, 0, Scales(1))
        if tag == ber.OPAQUE:
            return _number_in_opaque(value)
    return _MISSING.get(tag, Reason.NOT_A_NUMBER)


def _number_in_text(octets: bytes, place: int, scales: Scales) -> Number | Reason:
    numeral = parse_numeral(octets)
    if isinstance(numeral, Reason):
        return numeral
    value = _checked(numeral.value)
    if isinstance(value, Reason):
        return value
    scaled = scales.read(place, value, numeral.unit)
    return scaled if isinstance(scaled, Reason) else _checked(scaled)


def _number_in_opaque(octets: bytes) -> Number | Reason:
    wrapped = opaque_number(octets)
    return Reason.NOT_A_NUMBER if wrapped is None else _checked(wrapped[1])


def _checked(value: Number) -> Number | Reason:
    if isinstance(value, int):
        return value if SMALLEST_INTEGER <= value <= LARGEST_INTEGER else _checked(float(value))
    if not math.isfinite(value):
        return Reason.NOT_FINITE
    return value if abs(value) <= LARGEST_FLOAT else Reason.OUT_OF_RANGE
