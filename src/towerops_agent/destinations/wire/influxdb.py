"""InfluxDB's line protocol: polls as lines, one for each sensor, interface, state and round of pings of a device.

    sensor,device=north,instance=10.1.0.2,sensor=board,unit=celsius value=41.5 1767986535123456000
    interface,device=north,ifName=ether1,instance=10.1.0.2 in_octets=1i,out_octets=2i,… 1767986535123456000
    device,device=north,instance=10.1.0.2 up=1i,response_seconds=0.0025 1767986535123456000
    ping,device=north,instance=10.1.0.2 sent=5i,received=4i,rtt_min_seconds=0.0021,… 1767986535123456000

A field never changes its type, or InfluxDB refuses it: a sensor's value is always a float, a counter always an integer. Its
integers end at 2^63: a counter that is larger is left out, and counted.
Pure. Nanoseconds since 1970. Source: docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from towerops_agent.destinations.wire.samples import COLUMNS, Part, Samples
from towerops_agent.destinations.wire.series import PING_METRICS, SENSOR_METRIC, Item, Labels, in_order
from towerops_agent.model import INTERFACE_COLUMNS, Layout, LayoutKind, Number

_END: Final = 1 << 63
_FIELDS: Final = tuple(column.removeprefix("if_") for column in INTERFACE_COLUMNS)
_WHOLE: Final = {
    LayoutKind.STATE: ("device", ("up", "response_seconds")),
    LayoutKind.PINGS: ("ping", tuple(metric.removeprefix("ping_") for metric in PING_METRICS)),
}
"""The measurement and the fields of a layout whose values are one line."""

_ESCAPES: Final = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\=", "\n": "\\n", "\r": "\\r"})


def heads_of(layout: Layout, found: Mapping[Item, list[Labels]]) -> list[bytes]:
    """What the line of each item of the layout begins with; b"" if its labels are not known."""
    series = in_order(layout, found)
    if layout.kind in _WHOLE:
        return [_head(_WHOLE[layout.kind][0], series[0])]
    sensors = len(layout.sensors)
    heads = [_head("sensor", labels) for labels in series[:sensors]]
    return heads + [_head("interface", labels) for labels in series[sensors::COLUMNS]]


def write_lines(parts: Iterable[Part]) -> tuple[bytes, int]:
    """The lines, not compressed; and how many counters are left out as they are 2^63 or more."""
    lines: list[bytes] = []
    beyond = 0
    for heads, layout, samples in parts:
        sensors = len(layout.sensors)
        if layout.kind in _WHOLE:
            _line(lines, heads[0], [(_WHOLE[layout.kind][1][slot], value) for slot, value, _ in samples], samples)
            continue
        item, at_us = -1, 0  # the interface whose counters come now
        fields: list[str] = []
        for slot, value, time_us in samples:
            if slot < sensors:
                if heads[slot]:
                    lines.append(b"%svalue=%s %d000\n" % (heads[slot], repr(float(value)).encode(), time_us))
                continue
            of, column = divmod(slot - sensors, COLUMNS)
            if of != item:
                _interface(lines, heads, sensors + item, fields, at_us)
                item, fields, at_us = of, [], time_us
            if value < _END:
                fields.append(f"{_FIELDS[column]}={value}i")
            else:
                beyond += 1
        _interface(lines, heads, sensors + item, fields, at_us)
    return b"".join(lines), beyond


def _interface(lines: list[bytes], heads: Sequence[bytes], item: int, fields: Sequence[str], time_us: int) -> None:
    if fields and heads[item]:
        lines.append(b"%s%s %d000\n" % (heads[item], ",".join(fields).encode(), time_us))


def _line(lines: list[bytes], head: bytes, fields: Sequence[tuple[str, Number]], samples: Samples) -> None:
    if head and fields:
        text = ",".join([f"{name}={value}i" if isinstance(value, int) else f"{name}={value!r}" for name, value in fields])
        lines.append(b"%s%s %d000\n" % (head, text.encode(), samples.times_us[0]))


def _head(measurement: str, labels: Labels) -> bytes:
    """The measurement and the tags, which are the labels; a sensor's unit, which its metric's name has, is one.

    It stands in place of an operator's label `unit`: sensors of one name and of two units would else be one series.
    """
    if not labels:
        return b""
    tags = dict(labels)
    unit = tags.pop("__name__").removeprefix(SENSOR_METRIC).removeprefix("_")
    if measurement == "sensor" and unit:
        tags["unit"] = unit
    pairs = [f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(tags.items()) if value]
    return ",".join((measurement, *pairs)).encode() + b" "


def _escaped(text: str) -> str:
    """As a tag's name or value. A backslash at the end would escape what follows: it is followed by an escaped blank."""
    escaped = text.translate(_ESCAPES)
    return f"{escaped}\\ " if text.endswith("\\") else escaped
