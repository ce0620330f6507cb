"""The kinds of metrics that the sandbox knows, in one table: their places in the database, their checks, their schemas.

Pure. Another kind is a Struct in api/wire/contract.py, its schema in openapi.py, and a line here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric, Reachability, SensorReading
from towerops_agent.model import INTERFACE_COLUMNS


@dataclass(frozen=True, slots=True)
class Kind:
    """`name`: the wire's `type`; `subject`: the field with the id of what was read; `problems`: what is wrong with a metric."""

    struct: type[Metric]
    name: str
    subject: str
    problems: Callable[[Any], Iterator[str]]


def kind_of(metric: Metric) -> Kind:
    """The metric's line of the table."""
    return _BY_STRUCT[type(metric)]


def subject_of(metric: Metric) -> str:
    """The id of what was read: a sensor's, an interface's or a device's."""
    return str(getattr(metric, kind_of(metric).subject))


def _reading(_: SensorReading) -> Iterator[str]:
    yield from ()


def _stat(stat: InterfaceStat) -> Iterator[str]:
    for column in INTERFACE_COLUMNS:
        value = getattr(stat, column)
        if value is not None and not 0 <= value < 2**64:
            yield f"{column} is {value}: expected null or 0 to {2**64 - 1}"
    if stat.if_in_octets is None and stat.if_out_octets is None:
        yield "if_in_octets and if_out_octets are null: expected no interface_stat at all"


def _status(status: EquipmentStatus) -> Iterator[str]:
    yield from _times_ms(status, "response_time_ms")


def _reachability(pings: Reachability) -> Iterator[str]:
    if not 1 <= pings.sent < 2**63:
        yield f"sent is {pings.sent}: expected 1 to {2**63 - 1}"
    if not 0 <= pings.received <= pings.sent:
        yield f"received is {pings.received}: expected 0 to {pings.sent}"
    yield from _times_ms(pings, "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "jitter_ms")
    for field in ("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms"):
        if (getattr(pings, field) is None) != (pings.received == 0):
            yield f"{field} is {getattr(pings, field)} with {pings.received} received: expected null if and only if that is 0"
            return
    low, middle, high = pings.rtt_min_ms, pings.rtt_avg_ms, pings.rtt_max_ms
    if low is not None and middle is not None and high is not None and not low <= middle <= high:
        yield f"rtt_min_ms, rtt_avg_ms and rtt_max_ms are {low}, {middle} and {high}: expected them in this order"


def _times_ms(metric: Metric, *fields: str) -> Iterator[str]:
    for field in fields:
        value = getattr(metric, field)
        if value is not None and not (isfinite(value) and value >= 0):
            yield f"{field} is {value}: expected 0 or more, or null"


KINDS: Final = (
    Kind(SensorReading, "sensor_reading", "sensor_id", _reading),
    Kind(InterfaceStat, "interface_stat", "interface_id", _stat),
    Kind(EquipmentStatus, "equipment_status", "equipment_id", _status),
    Kind(Reachability, "reachability", "equipment_id", _reachability),
)
"""The table. A kind's place in it is its number in the database: new ones go to the end."""

NAMES: Final = [kind.name for kind in KINDS]

_BY_STRUCT: Final = {kind.struct: kind for kind in KINDS}
