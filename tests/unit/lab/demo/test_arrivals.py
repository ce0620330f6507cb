"""The terminal's table has a line for each device, of what the page knows of it."""

from datetime import UTC, datetime

import msgspec

from towerops_agent.api.wire.contract import EquipmentStatus, InterfaceStat, SensorReading
from towerops_lab.demo.arrivals import table
from towerops_lab.sandbox.batch import Batch
from towerops_lab.sandbox.glance import Glance

CONFIG = {
    "equipment": [
        {
            "id": name,
            "name": name.title(),
            "ip_address": "127.0.0.1",
            "sensors": [{"id": f"{name}/s", "oid": "1.3.6.1", "type": "signal", "unit": "dBm", "metadata": metadata}],
            "interfaces": [{"id": f"{name}/i", "if_index": 1, "if_name": "eth0"}],
        }
        for name, metadata in (("radio", {}), ("ups", {"states": {"2": "on line"}}))
    ]
}
NOW_US = int(datetime(2026, 1, 9, 19, 22, 20, tzinfo=UTC).timestamp() * 1e6)


def stamp(second: int) -> str:
    return f"2026-01-09T19:22:{second:02}.000000Z"


def stat(second: int, octets: int) -> InterfaceStat:
    rest = dict.fromkeys(("if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards"))
    return InterfaceStat(interface_id="radio/i", if_in_octets=octets, if_out_octets=None, timestamp=stamp(second), **rest)


def test_values_have_their_units_or_words_and_interfaces_their_rates():
    known = Glance()
    known.configure(msgspec.json.encode(CONFIG))
    known.take(
        Batch(
            None,
            (
                SensorReading(sensor_id="radio/s", value=-61.25, timestamp=stamp(10)),
                SensorReading(sensor_id="ups/s", value=2, timestamp=stamp(9)),
                stat(10, 1000),
                stat(15, 2_001_000),
                EquipmentStatus(equipment_id="ups", state="down", reason="timeout", response_time_ms=None, timestamp=stamp(15)),
            ),
            100,
            NOW_US,
        )
    )
    heads, radio, ups = table(known.glance(NOW_US))
    assert heads.split("  ")[0] == "device"
    assert cells(radio) == ["Radio", "up", "signal: -61.25 dBm", "in 3.2 Mbit/s, out -", "19:22:15"]
    assert cells(ups) == ["Ups", "down: no answer", "signal: on line", "in -, out -", "19:22:09"]


def test_no_value_is_made_up_for_a_device_without():
    known = Glance()
    known.configure(msgspec.json.encode(CONFIG))
    assert cells(table(known.glance(NOW_US))[1]) == ["Radio", "unknown: no values yet", "signal: -", "in -, out -", "-"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]
