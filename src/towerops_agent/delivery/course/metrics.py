"""Stored polls -> the wire's metrics, as JSON.

courier.py reads a batch from the buffer and sends the result of encode_metrics.
Pure. Times in microseconds since 1970-01-01 UTC (`_us`). The wire's Structs cost 0.2 µs a metric to make and encode, so a
handmade template is not worth its risk; a time is formatted once.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from math import isfinite

import msgspec

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric, Metrics, SensorReading
from towerops_agent.model import INTERFACE_COLUMNS, STATES, Layout, Number, Poll
from towerops_agent.reasons import word_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


def timestamp(time_us: int) -> str:
    """The moment as RFC 3339: UTC, microseconds, "Z"."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds")[:26] + "Z"


def encode_metrics(parts: Iterable[tuple[Layout, Poll, int, int]]) -> bytes:
    """The body of POST /api/v1/agent/metrics; octet for octet the same each time.

    `parts`: polls with their layout, and which of its metrics, [first, stop), belong to the body.
    """
    return encode(metrics_in(parts))


def metrics_in(parts: Iterable[tuple[Layout, Poll, int, int]]) -> list[Metric]:
    """The metrics of these parts of polls, as in encode_metrics."""
    shown = cache(timestamp)
    return [metric for part in parts for metric in metrics_of(*part, timestamp=shown)]


def encode(metrics: list[Metric]) -> bytes:
    """The body that has these metrics."""
    return _encode(Metrics(metrics=metrics))


def metrics_of(
    layout: Layout, poll: Poll, first: int = 0, stop: int | None = None, *, timestamp: Callable[[int], str] = timestamp
) -> list[Metric]:
    """The metrics [first, stop) of `poll`, in the layout's order.

    They are the sensors with a value, then the interfaces with octets in or out. A quotient that is not a finite number is
    counted, but makes no metric.
    """
    if layout.is_state:
        wanted = first <= 0 and (stop is None or stop > 0)
        return [_equipment_status(layout, poll, timestamp(next(poll.item_times_us())))] if wanted else []
    metrics: list[Metric] = []
    place = 0
    values = poll.values
    times = poll.item_times_us()
    for (sensor_id, divisor), raw in zip(layout.sensors, values, strict=False):
        time_us = next(times)
        if raw is None:
            continue
        if place >= first and (stop is None or place < stop):
            value = quotient(raw, divisor)
            if value is not None:
                metrics.append(SensorReading(sensor_id=sensor_id, value=value, timestamp=timestamp(time_us)))
        place += 1
    begin = len(layout.sensors)
    width = len(INTERFACE_COLUMNS)
    for interface_id in layout.interfaces:
        time_us = next(times)
        counters = values[begin : begin + width]
        begin += width
        if counters[0] is None and counters[1] is None:
            continue
        if place >= first and (stop is None or place < stop):
            metrics.append(_interface_stat(interface_id, counters, timestamp(time_us)))
        place += 1
    return metrics


def _equipment_status(layout: Layout, poll: Poll, shown_time: str) -> EquipmentStatus:
    state, reason, response_us = poll.values
    return EquipmentStatus(
        equipment_id=layout.equipment_id,
        state=STATES[state] if isinstance(state, int) and 0 <= state < len(STATES) else "down",  # type: ignore[arg-type]  # STATES are the contract's
        reason=word_of(reason),
        response_time_ms=None if response_us is None else response_us / 1000,
        timestamp=shown_time,
    )


def _interface_stat(interface_id: str, counters: tuple[Number | None, ...], shown_time: str) -> InterfaceStat:
    in_octets, out_octets, in_errors, out_errors, in_discards, out_discards = counters
    return InterfaceStat(
        interface_id=interface_id,
        if_in_octets=in_octets,  # type: ignore[arg-type]  # counters are integers, as interpret.py makes them
        if_out_octets=out_octets,  # type: ignore[arg-type]
        if_in_errors=in_errors,  # type: ignore[arg-type]
        if_out_errors=out_errors,  # type: ignore[arg-type]
        if_in_discards=in_discards,  # type: ignore[arg-type]
        if_out_discards=out_discards,  # type: ignore[arg-type]
        timestamp=shown_time,
    )


def quotient(raw: Number, divisor: float) -> Number | None:
    """`raw` over `divisor`, as read where that is 1; None if it is not a finite number.

    Integers are divided as such, which rounds once: 2^63 + 1 over 10 would lose its last digits first as a float.
    """
    if divisor == 1:
        return raw if isfinite(raw) else None
    whole = int(divisor)
    try:
        value = raw / (whole if whole == divisor else divisor)
    except OverflowError:
        return None
    return value if isfinite(value) else None
