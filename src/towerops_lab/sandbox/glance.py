"""The site at a glance: what a server knows of each device from its configuration and the received metrics.

store -> Glance.take(batch) -> glance(now) -> page.py (JSON). A device's state comes from its equipment_status, else from the
age of its values compared with the other devices': a device that is silent while others are not is down. A time ahead of the
server's clock counts as the moment when it arrived, so that one device's wrong clock makes no other one look silent.
Pure. Times in microseconds since 1970-01-01 UTC (`_us`).
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric, Reachability, SensorReading
from towerops_agent.reasons import Reason, reason_of
from towerops_agent.telemetry.views.rates import longest_us, rates
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.equipment import ShownDevice, ShownItem, read_equipment
from towerops_lab.sandbox.series import Series, restarted_us

LATE_US: Final = 45_000_000
"""A value that arrives this long after it was read was held back: batches come every 30 s."""

WINDOW_US: Final = 30 * 60_000_000
"""The time span of the charts."""

SHORTEST_WINDOW_US: Final = 3 * 60_000_000
"""The span while less is known, so that a new chart is not a dot at the edge."""

SPARK_US: Final = 10 * 60_000_000
SPARK_POINTS: Final = 60
KEPT_BATCHES: Final = 60

RESTART_SHOWN_US: Final = 5 * 60_000_000
"""How long a device is shown as restarted."""

Point = tuple[int, tuple[float | None, ...], bool]
"""Its time, its values, and whether it arrived late."""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Item:
    """A sensor or an interface, and its values."""

    shown: ShownItem
    series: Series = field(default_factory=Series)


_PINGS = (
    ShownItem("ping_loss", "sensor", "Ping loss", "%"),
    ShownItem("ping_rtt", "sensor", "Ping round trip", "ms"),
    ShownItem("ping_jitter", "sensor", "Ping jitter", "ms"),
)


@dataclass(slots=True)
class _Device:
    """`newest_us`: the time of its newest value, not after its arrival; `response`: the response times of its polls.

    `pings`: what came of its rounds of pings. `awaited_us`: the others' newest value when it was first seen without a value.
    """

    shown: ShownDevice
    items: dict[str, _Item]
    newest_us: int = 0
    awaited_us: int = 0
    status: EquipmentStatus | None = None
    status_us: int = 0
    ping: Reachability | None = None
    ping_us: int = 0
    response: _Item = field(default_factory=lambda: _Item(ShownItem("response", "sensor", "Response time", "ms")))
    pings: tuple[_Item, ...] = field(default_factory=lambda: tuple(_Item(shown) for shown in _PINGS))


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A batch in short. `late`: how many of its values were held back; `oldest_s`: the age of its oldest value."""

    at_us: int
    metrics: int
    size_octets: int
    late: int
    oldest_s: float
    key: str


class Glance:
    """The current knowledge, for a configuration."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self._of: dict[str, tuple[_Device, _Item]] = {}
        self.arrivals: deque[_Arrival] = deque(maxlen=KEPT_BATCHES)
        self.late_count = 0
        self.device_count = 0

    def configure(self, body: bytes) -> None:
        """Show the equipment of this configuration; the data of those that were there before is kept."""
        known, before = self._of, self._devices
        shown, self.device_count = read_equipment(body)
        self._of, self._devices = {}, {}
        for each in shown:
            items = {item.id: _Item(item, known[item.id][1].series if item.id in known else Series()) for item in each.items}
            device = before.get(each.id) or _Device(each, {})
            device.shown, device.items = each, items
            self._devices[each.id] = device
            self._of.update({item_id: (device, item) for item_id, item in items.items()})

    def take(self, batch: Batch) -> None:
        """Add a new batch."""
        late, oldest_us = 0, batch.arrived_us
        for metric in batch.metrics:
            time_us = _time_us(metric.timestamp)
            is_late = batch.arrived_us - time_us > LATE_US
            late += is_late
            oldest_us = min(oldest_us, time_us)
            self._take(metric, min(time_us, batch.arrived_us), is_late)
        for device in self._devices.values():
            if not device.newest_us:
                device.awaited_us = device.awaited_us or self._newest_us
        self.late_count += late
        age_s = (batch.arrived_us - oldest_us) / 1e6
        self.arrivals.append(_Arrival(batch.arrived_us, len(batch.metrics), batch.size_octets, late, age_s, batch.key or ""))

    def _take(self, metric: Metric, time_us: int, late: bool) -> None:
        match metric:
            case SensorReading():
                self._place(metric.sensor_id, time_us, (metric.value,), late)
            case InterfaceStat():
                self._place(metric.interface_id, time_us, (metric.if_in_octets, metric.if_out_octets), late)
            case EquipmentStatus():
                if (device := self._devices.get(metric.equipment_id)) is not None:
                    if time_us >= device.status_us:
                        device.status, device.status_us = metric, time_us
                    device.response.series.add(time_us, (metric.response_time_ms,), late)
            case Reachability():
                if (device := self._devices.get(metric.equipment_id)) is not None:
                    if time_us >= device.ping_us:
                        device.ping, device.ping_us = metric, time_us
                    loss = 100 * (metric.sent - metric.received) / metric.sent if metric.sent else None
                    for item, value in zip(device.pings, (loss, metric.rtt_avg_ms, metric.jitter_ms), strict=True):
                        item.series.add(time_us, (value,), late)

    def _place(self, item_id: str, time_us: int, values: tuple[float | None, ...], late: bool) -> None:
        if (found := self._of.get(item_id)) is not None:
            device, item = found
            item.series.add(time_us, values, late)
            device.newest_us = max(device.newest_us, time_us)

    def expected_rate(self) -> float:
        """How many values a second the shown devices make if all are up."""
        return sum(len(device.items) / (device.shown.interval_us / 1e6) for device in self._devices.values())

    def gaps(self, now_us: int) -> int:
        """How many gaps the charts have, over all devices that are up."""
        return sum(
            item.series.gaps(now_us - WINDOW_US, _longest_us(device))
            for device in self._devices.values()
            for item in device.items.values()
        )

    def glance(self, now_us: int) -> list[dict[str, Any]]:
        """Each device in short: its state and reason, its values, a small chart of the first."""
        newest_us = self._newest_us
        return [self._short(device, newest_us, now_us) for device in self._devices.values()]

    @property
    def _newest_us(self) -> int:
        """The time of the newest value of all; 0: there is none."""
        return max((device.newest_us for device in self._devices.values()), default=0)

    def charts(self, device_id: str, now_us: int) -> dict[str, Any] | None:
        """All charts of one device; None if it is not shown."""
        device = self._devices.get(device_id)
        if device is None:
            return None
        first_us = min((item.series.first_us for item in device.items.values() if len(item.series)), default=now_us)
        since_us = now_us - min(WINDOW_US, max(SHORTEST_WINDOW_US, now_us - first_us))
        shown = [*device.items.values(), *(item for item in (device.response, *device.pings) if len(item.series))]
        return {
            "device": device_id,
            "from_us": since_us,
            "to_us": now_us,
            "gap_us": _longest_us(device),
            "restarted_us": _restarted_us(device, since_us),
            "charts": [{**_named(item), "points": _points(device, item, since_us)} for item in shown],
        }

    def _short(self, device: _Device, newest_us: int, now_us: int) -> dict[str, Any]:
        state, reason = _state(device, newest_us)
        first = next(iter(device.items.values()), None)
        shown, ping = device.shown, device.ping
        spark = [[time_us, values[0]] for time_us, values, _ in _points(device, first, now_us - SPARK_US)] if first else []
        step = max(1, -(-len(spark) // SPARK_POINTS))
        return {
            "id": shown.id,
            "name": shown.name,
            "address": shown.address,
            "snmp": shown.snmp,
            "interval_s": shown.interval_us / 1e6,
            "state": state,
            "reason": reason,
            "newest_us": device.newest_us,
            "restarted_us": _restarted_us(device, now_us - RESTART_SHOWN_US),
            "response_ms": device.status.response_time_ms if device.status else None,
            "ping": None if ping is None else {"sent": ping.sent, "received": ping.received, "rtt_ms": ping.rtt_avg_ms},
            "items": [{**_named(item), "value": _value(device, item, now_us)} for item in device.items.values()],
            "spark": spark[::-1][::step][::-1],
            "spark_gap_us": step * _longest_us(device),
        }


def _named(item: _Item) -> dict[str, Any]:
    shown = item.shown
    return {"id": shown.id, "kind": shown.kind, "label": shown.label, "unit": shown.unit, "states": shown.states}


def _restarted_us(device: _Device, since_us: int) -> int:
    """When it restarted, by its interfaces' counters; 0 if it has not since then."""
    interfaces = (item for item in device.items.values() if item.shown.kind == "interface")
    return max((restarted_us(item.series.since(since_us)) for item in interfaces), default=0)


def _state(device: _Device, newest_us: int) -> tuple[str, str]:
    """State and reason. A status counts until newer values say otherwise."""
    behind_us = newest_us - device.newest_us
    status = device.status
    if status is not None and (device.status_us >= device.newest_us or status.state != "down"):
        silent = behind_us > _longest_us(device) and device.status_us < newest_us - _longest_us(device)
        if not silent:
            return status.state, "" if status.state == "up" else _in_words(status.reason)
    if device.newest_us == 0:
        is_silent = device.awaited_us and newest_us - device.awaited_us > _longest_us(device)
        return ("down", "no values yet, while others answer") if is_silent else ("unknown", "no values yet")
    if behind_us > _longest_us(device):
        return "down", f"no values for {behind_us / 1e6:.0f} s"
    return "up", ""


def _in_words(reason: str) -> str:
    if reason == Reason.TIMEOUT:
        return "no answer"
    known = reason_of(reason)
    return reason if known is None else known.text


def _longest_us(device: _Device) -> int:
    return longest_us(device.shown.interval_us)


def _points(device: _Device, item: _Item, since_us: int) -> list[Point]:
    points = list(item.series.since(since_us))
    if item.shown.kind != "interface":
        return points
    made = rates(((time_us, counters) for time_us, counters, _ in points), _longest_us(device))
    return [
        (time_us, tuple(None if octets is None else 8 * octets for octets in values), late)
        for (time_us, values), (_, _, late) in zip(made, points[1:], strict=True)
    ]


def _value(device: _Device, item: _Item, now_us: int) -> list[float | None]:
    """The item's current reading: a value, or two rates."""
    if item.shown.kind != "interface":
        return list(item.series.newest)
    points = _points(device, item, now_us - SPARK_US)
    return list(points[-1][1]) if points else []


def _time_us(timestamp: str) -> int:
    return (datetime.fromisoformat(timestamp) - _EPOCH) // _MICROSECOND
