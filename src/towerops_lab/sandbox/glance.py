"""The site at a glance: what a server knows of each device from its configuration and the received metrics.

store -> Glance.take(batch) -> glance(now) -> page.py (JSON). A device's state comes from its equipment_status, else from the
age of its values compared with the other devices': a device that is silent while others are not is down.
Pure. Times in microseconds since 1970-01-01 UTC (`_us`).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, Metric, SensorReading
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.series import Series, rates

MAX_DEVICES: Final = 100
"""The page shows this many, the first ones; the API accepts any number."""

MAX_ITEMS: Final = 1_500
"""And no more sensors and interfaces than this."""

LATE_US: Final = 45_000_000
"""A value that arrives this long after it was read was held back: batches come every 30 s."""

WINDOW_US: Final = 30 * 60_000_000
"""The time span of the charts."""

SHORTEST_WINDOW_US: Final = 3 * 60_000_000
"""The span while less is known, so that a new chart is not a dot at the edge."""

SPARK_US: Final = 10 * 60_000_000
SPARK_POINTS: Final = 60
KEPT_BATCHES: Final = 60

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Item:
    """A sensor or an interface. `late`: how many of its values were held back."""

    id: str
    kind: str
    label: str
    unit: str
    series: Series = field(default_factory=Series)


@dataclass(slots=True)
class _Device:
    id: str
    name: str
    address: str
    version: str
    interval_us: int
    items: dict[str, _Item] = field(default_factory=dict)
    newest_us: int = 0
    status: EquipmentStatus | None = None
    status_us: int = 0


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

    def configure(self, document: Mapping[str, Any]) -> None:
        """Show the equipment of this configuration; the data of those that were there before is kept."""
        known = self._of
        default_s = document.get("poll_interval_seconds") or 60
        self._of, devices = {}, {}
        equipment = [each for each in document.get("equipment") or [] if isinstance(each, dict)]
        self.device_count = len(equipment)
        for each in equipment[:MAX_DEVICES]:
            device = _device(each, default_s)
            if len(self._of) + len(device.items) > MAX_ITEMS:
                break
            before = self._devices.get(device.id)
            if before is not None:
                device.newest_us, device.status, device.status_us = before.newest_us, before.status, before.status_us
            devices[device.id] = device
            for item in device.items.values():
                if item.id in known:
                    item.series = known[item.id][1].series
                self._of[item.id] = device, item
        self._devices = devices

    def take(self, batch: Batch) -> None:
        """Add a new batch."""
        late, oldest_us = 0, batch.arrived_us
        for metric in batch.metrics:
            time_us = _time_us(metric.timestamp)
            is_late = batch.arrived_us - time_us > LATE_US
            late += is_late
            oldest_us = min(oldest_us, time_us)
            self._take(metric, time_us, is_late)
        self.late_count += late
        age_s = (batch.arrived_us - oldest_us) / 1e6
        self.arrivals.append(_Arrival(batch.arrived_us, len(batch.metrics), batch.size_octets, late, age_s, batch.key or ""))

    def _take(self, metric: Metric, time_us: int, late: bool) -> None:
        match metric:
            case SensorReading():
                found, values = self._of.get(metric.sensor_id), (metric.value,)
            case InterfaceStat():
                found, values = self._of.get(metric.interface_id), (metric.if_in_octets, metric.if_out_octets)  # type: ignore[assignment]
            case EquipmentStatus():
                device = self._devices.get(metric.equipment_id)
                if device is not None and time_us >= device.status_us:
                    device.status, device.status_us = metric, time_us
                return
        if found is not None:
            device, item = found
            item.series.add(time_us, values, late)
            device.newest_us = max(device.newest_us, time_us)

    def expected_rate(self) -> float:
        """How many values a second the shown devices make if all are up."""
        return sum(len(device.items) / (device.interval_us / 1e6) for device in self._devices.values())

    def gaps(self, now_us: int) -> int:
        """How many gaps the charts have, over all devices that are up."""
        return sum(
            item.series.gaps(now_us - WINDOW_US, _longest_us(device))
            for device in self._devices.values()
            for item in device.items.values()
        )

    def glance(self, now_us: int) -> list[dict[str, Any]]:
        """Each device in short: its state and reason, its values, a small chart of the first."""
        newest_us = max((device.newest_us for device in self._devices.values()), default=0)
        return [self._short(device, newest_us, now_us) for device in self._devices.values()]

    def charts(self, device_id: str, now_us: int) -> dict[str, Any] | None:
        """All charts of one device; None if it is not shown."""
        device = self._devices.get(device_id)
        if device is None:
            return None
        first_us = min((item.series.first_us for item in device.items.values() if len(item.series)), default=now_us)
        since_us = now_us - min(WINDOW_US, max(SHORTEST_WINDOW_US, now_us - first_us))
        return {
            "device": device.id,
            "from_us": since_us,
            "to_us": now_us,
            "gap_us": _longest_us(device),
            "charts": [
                {"id": item.id, "kind": item.kind, "label": item.label, "unit": item.unit, "points": _points(item, since_us)}
                for item in device.items.values()
            ],
        }

    def _short(self, device: _Device, newest_us: int, now_us: int) -> dict[str, Any]:
        state, reason = _state(device, newest_us)
        first = next(iter(device.items.values()), None)
        return {
            "id": device.id,
            "name": device.name,
            "address": device.address,
            "snmp": device.version,
            "interval_s": device.interval_us / 1e6,
            "state": state,
            "reason": reason,
            "newest_us": device.newest_us,
            "response_ms": device.status.response_time_ms if device.status else None,
            "items": [
                {"id": item.id, "kind": item.kind, "label": item.label, "unit": item.unit, "value": _value(item, now_us)}
                for item in device.items.values()
            ],
            "spark": _thinned([[time_us, values[0]] for time_us, values, _ in _points(first, now_us - SPARK_US)])
            if first
            else [],
        }


def _device(each: Mapping[str, Any], default_s: float) -> _Device:
    snmp = each.get("snmp") or {}
    device = _Device(
        str(each.get("id")),
        str(each.get("name") or each.get("id")),
        f"{each.get('ip_address')}:{snmp.get('port') or 161}",
        f"v{snmp.get('version') or '2c'}",
        int((each.get("poll_interval_seconds") or default_s) * 1e6),
    )
    for sensor in each.get("sensors") or []:
        if isinstance(sensor, dict) and sensor.get("id"):
            label = (sensor.get("metadata") or {}).get("descr") or sensor.get("type") or sensor["id"]
            device.items[sensor["id"]] = _Item(sensor["id"], "sensor", str(label), str(sensor.get("unit") or ""))
    for interface in each.get("interfaces") or []:
        if isinstance(interface, dict) and interface.get("id"):
            label = interface.get("if_name") or f"interface {interface.get('if_index')}"
            device.items[interface["id"]] = _Item(interface["id"], "interface", str(label), "bit/s")
    return device


def _state(device: _Device, newest_us: int) -> tuple[str, str]:
    """State and reason. A status counts until newer values say otherwise."""
    behind_us = newest_us - device.newest_us
    status = device.status
    if status is not None and (device.status_us >= device.newest_us or status.state != "down"):
        silent = behind_us > _longest_us(device) and device.status_us < newest_us - _longest_us(device)
        if not silent:
            return status.state, "" if status.state == "up" else status.reason
    if device.newest_us == 0:
        return ("down", "no values yet, while others answer") if newest_us else ("unknown", "no values yet")
    if behind_us > _longest_us(device):
        return "down", f"no values for {behind_us / 1e6:.0f} s"
    return "up", ""


def _longest_us(device: _Device) -> int:
    """The longest distance between neighbours: a missed poll is a gap."""
    return device.interval_us * 9 // 4 + 1_000_000


def _points(item: _Item, since_us: int) -> list[tuple[int, tuple[float | None, ...], bool]]:
    points = item.series.since(since_us)
    return rates(points) if item.kind == "interface" else list(points)


def _value(item: _Item, now_us: int) -> list[float | None]:
    """The item's current reading: a value, or two rates."""
    if item.kind == "sensor":
        return list(item.series.newest)
    points = rates(item.series.since(now_us - SPARK_US)[-4:])
    return list(points[-1][1]) if points else []


def _thinned(points: list[list[float | None]]) -> list[list[float | None]]:
    step = max(1, -(-len(points) // SPARK_POINTS))
    return points[::-1][::step][::-1]


def _time_us(timestamp: str) -> int:
    return (datetime.fromisoformat(timestamp) - _EPOCH) // _MICROSECOND
