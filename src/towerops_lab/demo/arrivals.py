"""What has arrived at the demo's server: the last value of each sensor and interface, as rows of a table.

Pure. Rates are computed as the real server would: from two raw counters and their times; none after a reset.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from towerops_agent.api.wire.contract import InterfaceStat, Metric, SensorReading


@dataclass(slots=True)
class Row:
    """One line of the table. `count`: how many metrics of it have arrived."""

    device: str
    item: str
    value: str = "-"
    time: str = ""
    count: int = 0
    is_interface: bool = False


class Arrivals:
    """The rows, in the configuration's order, filled as metrics arrive."""

    def __init__(self, equipment: Iterable[dict[str, Any]]) -> None:
        self._rows: dict[str, Row] = {}
        self._units: dict[str, str] = {}
        self._last: dict[str, InterfaceStat] = {}
        for device in equipment:
            for sensor in device["sensors"]:
                self._rows[sensor["id"]] = Row(device["name"], (sensor.get("metadata") or {}).get("descr") or sensor["type"])
                self._units[sensor["id"]] = sensor["unit"]
            for interface in device["interfaces"]:
                self._rows[interface["id"]] = Row(device["name"], f"interface {interface['if_name']}", is_interface=True)

    @property
    def rows(self) -> list[Row]:
        """All rows, also those without a value yet."""
        return list(self._rows.values())

    def by_device(self) -> dict[str, list[Row]]:
        """The rows of each device, by its name."""
        found: dict[str, list[Row]] = {}
        for row in self._rows.values():
            found.setdefault(row.device, []).append(row)
        return found

    def take(self, metrics: Iterable[Metric]) -> list[Row]:
        """Add new metrics; returns the changed rows, each once."""
        changed: dict[str, Row] = {}
        for metric in metrics:
            match metric:
                case SensorReading(sensor_id=key, value=value):
                    text = f"{value:.5g} {self._units.get(key, '')}".rstrip()
                case InterfaceStat(interface_id=key):
                    text = self._rates(metric)
                    self._last[key] = metric
                case _:
                    continue
            row = self._rows.get(key)
            if row is not None:
                row.value, row.time, row.count = text, _clock(metric.timestamp), row.count + 1
                changed[key] = row
        return list(changed.values())

    def _rates(self, stat: InterfaceStat) -> str:
        last = self._last.get(stat.interface_id)
        seconds = _seconds(last, stat) if last else 0.0
        received = _rate(last.if_in_octets if last else None, stat.if_in_octets, seconds)
        sent = _rate(last.if_out_octets if last else None, stat.if_out_octets, seconds)
        return f"in {received}  out {sent}"


def _seconds(first: InterfaceStat, second: InterfaceStat) -> float:
    return (datetime.fromisoformat(second.timestamp) - datetime.fromisoformat(first.timestamp)).total_seconds()


def _rate(before: int | None, now: int | None, seconds: float) -> str:
    """The rate between two counters of octets, for people; the counter itself if there is no rate."""
    if now is None:
        return "not given"
    if before is None or now < before or seconds <= 0:
        return f"{now} octets"
    rate = (now - before) * 8 / seconds
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if rate < 1000:
            return f"{rate:.4g} {unit}"
        rate /= 1000
    return f"{rate:.4g} Gbit/s"


def _clock(timestamp: str) -> str:
    return timestamp[11:19]
