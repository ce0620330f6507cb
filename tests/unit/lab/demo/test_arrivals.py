"""The terminal's table shows the last value of each sensor and interface."""

from towerops_agent.api.wire.contract import InterfaceStat, SensorReading
from towerops_lab.demo.arrivals import Arrivals

EQUIPMENT = [
    {
        "name": "Radio",
        "sensors": [{"id": "s", "type": "signal", "unit": "dBm"}],
        "interfaces": [{"id": "i", "if_name": "eth0"}],
    }
]


def stat(second: int, octets: int | None) -> InterfaceStat:
    rest = dict.fromkeys(("if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards"))
    stamp = f"2026-01-09T19:22:{second:02}.000000Z"
    return InterfaceStat(interface_id="i", if_in_octets=octets, if_out_octets=None, timestamp=stamp, **rest)


def test_values_have_their_units_and_interfaces_their_rates():
    arrivals = Arrivals(EQUIPMENT)
    assert [row.value for row in arrivals.rows] == ["-", "-"]
    arrivals.take([SensorReading(sensor_id="s", value=-61.25, timestamp="2026-01-09T19:22:10.000000Z"), stat(10, 1000)])
    arrivals.take([stat(15, 2_001_000)])
    signal, eth0 = arrivals.rows
    assert (signal.value, signal.time, signal.count) == ("-61.25 dBm", "19:22:10", 1)
    assert (eth0.value, eth0.count) == ("in 3.2 Mbit/s  out not given", 2)


def test_after_a_reset_the_counter_is_shown_instead_of_a_rate():
    arrivals = Arrivals(EQUIPMENT)
    arrivals.take([stat(10, 2000), stat(15, 5)])
    assert arrivals.rows[1].value == "in 5 octets  out not given"


def test_what_is_not_configured_is_left_out():
    stranger = SensorReading(sensor_id="stranger", value=1, timestamp="2026-01-09T19:22:10.000000Z")
    assert Arrivals(EQUIPMENT).take([stranger]) == []


def test_rows_are_found_by_device():
    assert [row.is_interface for row in Arrivals(EQUIPMENT).by_device()["Radio"]] == [False, True]
