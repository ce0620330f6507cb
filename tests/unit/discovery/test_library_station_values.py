"""What our profiles make of what stands beside the radios, as MIBs and recordings have it: power, switches, cellular routers."""

import pytest

from support.discovered import ENTERPRISES, discovered, found, readings
from support.mib import port

NAMES = "1.3.6.1.2.1.47.1.1.1.1.7"
TRIPP_LITE = f"{ENTERPRISES}.850.1.1.3"


@pytest.mark.parametrize(
    ("object_id", "column", "value", "name", "word"),
    [
        ("26854", "3.2.1.20.1.20.1.13.3.1.0", 3, "DC system mode", "AC failure"),
        ("26854", "3.2.1.20.1.20.1.13.3.72.0", 9, "battery test", "failed by no battery"),
        ("49075.1.1", "1.3.3.5.0", 3, "grid", "synchronized"),
        ("49075.1.1", "1.3.3.4.0", 0, "bypass relay", "grid"),
        ("49075.1.1", "1.3.6.5.0", 1, "over temperature", "warning"),
        ("28507.66", "66.1.5.10.0", 0, "PoE available", "no"),
        ("39145.12", "12.11.0", 1, "transfer relay", "inverter"),
        ("39145.12", "12.10.0", 2, "inverter control", "disabled"),
        ("13858", "2.1.6.1.5.1.2", 1, "module status", "alarm"),
        ("6574", "3.1.1.3.0", 11, "volume", "degraded"),
        ("6574", "2.1.1.13.0", 4, "disk health", "failing"),
        ("2272.232", "1.101.1.1.2.1.6.1", 3, "temperature state", "high critical"),
        ("2272.232", "1.4.8.1.1.2.2", 4, "power supply", "down"),
        ("9.1.1", "9.601.1.3.1.1.4.1", 2, "REP segment", "not complete"),
        ("9.1.1", "9.176.1.2.16.0", 8, "redundancy mode", "hot standby"),
        ("23695", "200.1.10.1.1.2.1.3.1.0", 4, "PepVPN", "connected"),
    ],
)
def test_a_state_has_the_word_of_its_mib(object_id: str, column: str, value: int, name: str, word: str):
    """Before it was a number."""
    [(its_name, sensor)] = found(object_id, {f"{ENTERPRISES}.{object_id.partition('.')[0]}.{column}": value}).items()
    assert its_name.startswith(name)
    assert (sensor.states or {})[value] == word


def test_the_relays_of_a_gude_are_named_by_its_operator():
    """As its outlets are."""
    relay = f"{ENTERPRISES}.28507.66.1.3.1.2.1"
    sensors = found("28507.66", {f"{relay}.2.1": "camera", f"{relay}.3.1": 1, f"{relay}.4.1": 12})
    assert sorted(sensors) == ["relay camera", "relay switchings camera"]


def test_of_a_switch_with_comware_the_parts_whose_power_is_measured_are_named():
    """There were 90 of them, all but one at 0 W."""
    power = f"{ENTERPRISES}.25506.2.6.1.3.1.1.3"
    values: dict[str, int | str] = {f"{power}.1": 0, f"{power}.2": 101000, f"{power}.12": 0, f"{NAMES}.2": "5900AF"}
    assert readings(found("25506.11.1.113", values), "power") == {"power 5900AF": (101, "watts")}


def test_the_modem_of_a_cisco_is_not_the_interface_that_has_the_same_number():
    """CISCO-WAN-3G-MIB: entPhysicalIndex."""
    modem = f"{ENTERPRISES}.9.9.661.1"
    values = {
        f"{modem}.1.1.12.13": 39,
        f"{modem}.3.1.1.6.13": 3,
        f"{modem}.3.4.1.1.1.13": -66,
        f"{NAMES}.13": "Modem on Cellular0",
    }
    sensors = found("9.1.1", port(13, "Vlan1") | values)
    assert sorted(sensors) == [
        "modem Modem on Cellular0",
        "modem RSSI Modem on Cellular0",
        "modem temperature Modem on Cellular0",
    ]
    assert (sensors["modem Modem on Cellular0"].states or {})[3] == "on line"


@pytest.mark.parametrize(("object_id", "enterprise"), [("23695", "23695"), ("27662", "23695"), ("27662", "27662")])
def test_a_cellular_router_of_peplink_has_its_signal_its_sources_and_its_temperature(object_id: str, enterprise: str):
    """Of a Pepwave nothing was found, of a Peplink its tunnels. -9999 and 0 dBm, of a Wi-Fi that is off, are left out."""
    base = f"{ENTERPRISES}.{enterprise}"
    wans = {0: ("WAN 1", 2, -9999), 2: ("Cellular 1", 3, -68), 7: ("Wi-Fi WAN", 1, 0)}
    values: dict[str, int | str] = {f"{base}.200.1.1.1.1.1.0": "Pepwave MAX HD4", f"{base}.200.1.1.1.4.4.1.0": 49000}
    for index, (name, state, signal) in wans.items():
        row = {2: name, 3: state, 5: signal}
        values |= {f"{base}.2.1.2.1.{column}.{index}": value for column, value in row.items()}
    values |= {f"{base}.200.1.12.1.1.1.{column}.0": value for column, value in {3: -68, 4: -9999, 5: 27, 7: -85, 8: -10}.items()}
    values |= {f"{base}.200.1.1.1.4.3.1.2.0": "DC Source A", f"{base}.200.1.1.1.4.3.1.3.0": 1, f"{base}.200.1.1.1.4.1.1.3.0": 15}
    values |= {f"{base}.200.1.1.1.3.1.0": 12, f"{base}.200.1.1.1.3.2.0": 2073488}
    if object_id != enterprise:  # Both are there.
        values |= {oid.replace(base, f"{ENTERPRISES}.{object_id}"): value for oid, value in values.items()}
    discovery = discovered(object_id, values)
    assert (discovery.vendor, discovery.model) == ("Peplink", "Pepwave MAX HD4")
    assert readings({sensor.name: sensor for sensor in discovery.sensors}, "") == {
        "temperature": (49, "celsius"),
        "WAN WAN 1": (2, ""),
        "WAN Cellular 1": (3, ""),
        "WAN Wi-Fi WAN": (1, ""),
        "WAN signal Cellular 1": (-68, "dBm"),
        "cellular SINR 0": (27, "dB"),
        "cellular RSRP 0": (-85, "dBm"),
        "cellular RSRQ 0": (-10, "dB"),
        "power source DC Source A": (1, ""),
        "power consumption 0": (15, "watts"),
        "CPU load": (12, "percent"),
        "memory total": (2073488 * 1024, "bytes"),
    }


def test_tripp_lite_measures_at_outlets_at_transfer_switches_and_in_the_room():
    """TRIPPLITE-PRODUCTS. Only PDUs were read, and of their outlets whether they are on."""
    outlet = f"{TRIPP_LITE}.1.3.5.1.1"
    load = f"{TRIPP_LITE}.2.3.3.1.1"
    values: dict[str, int | str] = {
        f"{outlet}.2.1.3": "radio",
        f"{outlet}.4.1.3": 2,
        f"{outlet}.7.1.3": 1199,
        f"{outlet}.8.1.3": 45,
    }
    values |= {f"{load}.2.1.1": "switch", f"{load}.8.1.1": 130, f"{load}.9.1.1": 150}
    values |= {f"{TRIPP_LITE}.4.3.1.2.1.5.1.2.1": 1201, f"{TRIPP_LITE}.4.3.2.1.1.5.1.1": 640}
    values |= {f"{TRIPP_LITE}.3.3.1.1.1.2": 235, f"{TRIPP_LITE}.3.3.2.1.1.2": 41}
    assert readings(found("850.1.1.1", values), "") == {
        "outlet radio": (2, ""),
        "outlet voltage radio": (119.9, "volts"),
        "outlet current radio": (0.45, "amperes"),
        "load current switch": (1.3, "amperes"),
        "load power switch": (150, "watts"),
        "source voltage 1.2.1": (120.1, "volts"),
        "switched current 1.1": (6.4, "amperes"),
        "ambient temperature 2": (23.5, "celsius"),
        "ambient humidity 2": (41, "percent"),
    }


def test_a_switch_with_voss_has_its_load_and_its_memory_by_slot():
    """RAPID-CITY's rcKhiSlotPerfTable, in KB; what its elder switches have (rcSys) it has not."""
    slot = f"{ENTERPRISES}.2272.1.85.10.1.1"
    assert readings(found("2272.232", {f"{slot}.3.1": 17, f"{slot}.6.1": 900000, f"{slot}.7.1": 1100000}), "") == {
        "CPU load of 5 minutes 1": (17, "percent"),
        "memory used 1": (900000 * 1024, "bytes"),
        "memory free 1": (1100000 * 1024, "bytes"),
    }


def test_a_panel_of_ict_with_two_buses_has_both_and_its_alarm_inputs():
    """ICT-DISTRIBUTION-PANEL-MIB. Of the modules only one for distribution has channels."""
    panel, power = f"{ENTERPRISES}.39145.10", f"{ENTERPRISES}.39145.13.10.1"
    values: dict[str, int | str] = {f"{panel}.10.1.2.1": "B", f"{panel}.10.1.3.1": "53.9", f"{panel}.10.1.4.1": "12.4"}
    values |= {f"{panel}.9.1.2.0": "door", f"{panel}.9.1.3.0": 3}
    sensors = found("39145.10", values)
    assert readings(sensors, "") == {
        "alarm input door": (3, ""),
        "bus voltage B": (53.9, "volts"),
        "bus current B": (12.4, "amperes"),
    }
    assert (sensors["alarm input door"].states or {})[3] == "alarm"
    modules = {f"{power}.3.1": 4, f"{power}.3.2": 2, f"{power}.10.1": 2, f"{power}.10.2": 2}
    assert readings(found("39145.13", modules), "channel") == {"module channel 2 1": (2, "")}


@pytest.mark.parametrize(("object_id", "sensors_at"), [("52674.500", "52674.500.4"), ("5528.100.20.10", "5528.100.4")])
def test_a_netbotz_has_its_doors_and_contacts(object_id: str, sensors_at: str):
    """NETBOTZV5-MIB and NETBOTZV2-MIB have the same words for both."""
    base = f"{ENTERPRISES}.{sensors_at}.2"
    sensors = found(
        object_id, {f"{base}.2.1.2.71": 0, f"{base}.2.1.4.71": "cabinet", f"{base}.1.1.2.72": 1, f"{base}.1.1.4.72": "genset"}
    )
    words = {name: (sensor.states or {})[int(sensor.value)] for name, sensor in sensors.items()}
    assert words == {"door switch cabinet": "open", "dry contact genset": "closed"}
