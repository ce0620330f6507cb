"""What has arrived at the demo's server, as a table of text: a line for each device, of what the page knows of it.

Pure. Source of the values: sandbox/glance.py.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

_HEADS: Final = ("device", "state", "first sensor", "first interface", "read at (UTC)")


def table(devices: Sequence[dict[str, Any]]) -> list[str]:
    """The lines. `devices`: as Glance.glance returns them."""
    rows = [_HEADS, *map(_row, devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(device: dict[str, Any]) -> tuple[str, ...]:
    interface = next((item for item in device["items"] if item["kind"] == "interface"), None)
    sensor = next((item for item in device["items"] if item is not interface and item["kind"] != "interface"), None)
    return (
        device["name"],
        device["state"] + (f": {device['reason']}" if device["reason"] else ""),
        "" if sensor is None else f"{sensor['label']}: {_value(sensor)}",
        "" if interface is None else _rates(interface["value"]),
        _clock(device["newest_us"]),
    )


def _value(sensor: dict[str, Any]) -> str:
    (value,) = sensor["value"] or (None,)
    if value is None:
        return "-"
    return str(sensor["states"].get(str(value), f"{value:.5g} {sensor['unit']}".rstrip()))


def _rates(rates: Sequence[float | None]) -> str:
    received, sent = rates or (None, None)
    return f"in {_rate(received)}, out {_rate(sent)}"


def _rate(bps: float | None) -> str:
    if bps is None:
        return "-"
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if bps < 1000:
            return f"{bps:.4g} {unit}"
        bps /= 1000
    return f"{bps:.4g} Gbit/s"


def _clock(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%H:%M:%S") if time_us else "-"
