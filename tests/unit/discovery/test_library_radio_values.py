"""What our profiles make of what radios say, as their MIBs and recordings have it: which value is which, in which unit."""

from collections import ChainMap

import pytest

from support.discovered import ENTERPRISES, discovered, found, readings
from support.mib import port
from towerops_agent.snmp.wire import ber

SAF = f"{ENTERPRISES}.7571.100.1.1"
CANOPY = f"{ENTERPRISES}.161.19.3"
ALCOMA = f"{ENTERPRISES}.12140.2"


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (1, {1: "modem", 2: "MSE", 5: "modem temperature", 10: "rx capacity", 11: "tx capacity", 13: "carrier offset"}),
        (2, {1: "modem", 2: "MSE", 10: "rx capacity", 11: "tx capacity", 14: "signal quality"}),
        (9, {1: "modem", 2: "MSE", 6: "modem temperature", 11: "rx capacity", 12: "tx capacity", 14: "carrier offset"}),
    ],
)
def test_each_saf_integra_numbers_its_modem_s_values_in_its_own_way(kind: int, numbers: dict[int, str]):
    """SAF-INTEGRAB-MIB, -W-, -E-. An Integra-E has the text of its modulation at 10: its rx capacity was called tx."""
    modem: dict[str, int | str] = {f"{SAF}.7.{kind}.3.{number}.0": number for number in range(1, 15)}
    sensors = found(f"7571.100.1.1.7.{kind}", modem)
    assert {sensor.oid[-2]: name for name, sensor in sensors.items()} == numbers


def test_the_peers_of_a_freemile_60_are_known_by_their_addresses_and_named_by_their_names():
    """The table of peers that is numbered is not asked. SAF-FREEMILE60-MIB; rates are in Mbit/s, as a Tachyon's."""
    mac = [17, *b"00:04:A6:80:00:01"]
    row = {6: -57, 7: 2310, 8: 18, 10: 9, 13: 1480}
    values: dict[str, int | str] = {f"{SAF}.12.2.7.1.{column}.{'.'.join(map(str, mac))}": value for column, value in row.items()}
    unnamed = found("7571.100.1.1.12", values)
    assert readings(unnamed, "rx power") == {"peer rx power 00:04:A6:80:00:01": (-57, "dBm")}
    values |= {f"{SAF}.12.2.7.1.20.{'.'.join(map(str, mac))}": "roof", f"{SAF}.12.2.6.1.6.1": -57}
    assert readings(found("7571.100.1.1.12", values), "") == {
        "peer rx power roof": (-57, "dBm"),
        "peer tx rate roof": (pytest.approx(2_310_000_000), "bps"),
        "peer SNR roof": (18, "dB"),
        "peer tx MCS roof": (9, ""),
        "peer distance roof": (1.48, "kilometers"),
    }


@pytest.mark.parametrize(
    ("raw", "megahertz"),
    [
        (5735, 5735),
        (9024, 902.4),
        (24150, 2415),
        (573500, 5735),
        (366500, 3665),
        (915000, 915),
        (3650000, 3650),
        (5525000, 5525),
    ],
)
def test_in_which_unit_a_canopy_has_its_frequency_is_known_by_the_bands_that_there_are(raw: int, megahertz: float):
    """FSK has MHz, at 900 MHz and 2.4 GHz 100 kHz; OFDM has 10 kHz, later kHz. 5735 was taken for 5.735 MHz."""
    sensors = found("161.19.250.256", {f"{CANOPY}.1.7.37.0": raw, f"{CANOPY}.3.1.2.0": "110615 (DES, Sched, US/ETSI)"})
    assert readings(sensors, "frequency") == {"carrier frequency": (pytest.approx(megahertz), "MHz")}


def test_a_canopy_subscriber_does_not_have_its_polarizations_the_other_way():
    """WHISP-SM-MIB: radioDbmHorizontal is 117, radioDbmVertical 118."""
    sensors = found("161.19.250.256", {f"{CANOPY}.2.2.117.0": "-61.2", f"{CANOPY}.2.2.118.0": "-64.9"})
    assert readings(sensors, "rx power") == {"horizontal rx power": (-61.2, "dBm"), "vertical rx power": (-64.9, "dBm")}


@pytest.mark.parametrize(("tracked", "visible"), [("1.3.7", "1.3.8"), ("4.4.8", "4.4.7"), ("6.3.8", "6.3.7")])
def test_an_access_point_a_cmm3_and_a_cmm4_have_their_satellites_at_oids_of_their_own(tracked: str, visible: str):
    """WHISP-APS-MIB, CMM3-MIB, CMM4-MIB: texts."""
    sensors = found("161.19.250.256", {f"{CANOPY}.{tracked}.0": "8", f"{CANOPY}.{visible}.0": "11"})
    assert readings(sensors, "") == {"GPS satellites tracked": (8, ""), "GPS satellites visible": (11, "")}


def test_a_port_of_a_cmm4_is_named_by_what_the_operator_calls_it():
    """Its number is not an ifIndex. -1 is a fault, as CMM4-MIB says, and not nothing."""
    values: dict[str, int | str] = {f"{CANOPY}.6.3.1.1.4.{port}": state for port, state in ((1, 1), (2, -1), (3, 0))}
    sensors = found("161.19.250.256", values | {f"{CANOPY}.6.2.7.1.2.{port}": f"sector {port}" for port in (1, 2)})
    assert {name: (sensor.states or {})[int(sensor.value)] for name, sensor in sensors.items()} == {
        "CMM4 port power sector 1": "on",
        "CMM4 port power sector 2": "PoE fault",
        "CMM4 port power 3": "off",
    }


@pytest.mark.parametrize("model", [7, 11])
def test_a_ptp_650_or_670_has_its_distance_and_the_words_of_its_modulation(model: int):
    base = f"{ENTERPRISES}.17713.{model}.12"
    sensors = found(f"17713.{model}", {f"{base}.3.0": -285, f"{base}.8.0": 5742, f"{base}.13.0": 124, f"{base}.14.0": 24})
    assert (sensors["rx modulation"].states or {})[24] == "256QAM 0.81 dual"
    assert readings(sensors, "") == {
        "vector error": (-28.5, "dB"),
        "tx frequency": (5742, "MHz"),
        "distance": (12.4, "kilometers"),
        "rx modulation": (24, ""),
    }


@pytest.mark.parametrize("model", [7, 11])
def test_the_link_of_a_ptp_650_or_670_is_up_while_its_modem_is_registering(model: int):
    """The MIB: "'Registering' means that the modem has locked to an OFDM signal, and the wireless link is up"."""
    sensors = found(f"17713.{model}", {f"{ENTERPRISES}.17713.{model}.12.16.0": 0})
    assert sensors["wireless link"].states == {0: "up", 1: "searching", 2: "acquiring"}


def test_a_link_of_a_cnwave_is_named_by_the_address_of_its_other_end():
    row = f"{ENTERPRISES}.17713.60.1.1.1"
    values: dict[str, int | str] = {
        f"{row}.4.1": "00:04:56:88:31:01",
        f"{row}.5.1": 13,
        f"{row}.6.1": 10,
        f"{row}.7.1": -64,
        f"{row}.7.2": -70,
    }
    assert readings(found("17713.60.1", values), "") == {
        "MCS 00:04:56:88:31:01": (13, ""),
        "SNR 00:04:56:88:31:01": (10, "dB"),
        "RSSI 00:04:56:88:31:01": (-64, "dBm"),
        "RSSI 2": (-70, "dBm"),
    }


def test_an_alcoma_has_its_levels_and_nothing_while_the_unit_is_not_reached():
    """ALCOMA-MIB; before, only the temperature was found."""
    values: dict[str, int | str] = {
        f"{ALCOMA}.3.1.0": "10301.5",
        f"{ALCOMA}.3.3.0": 12,
        f"{ALCOMA}.3.4.0": -47,
        f"{ALCOMA}.4.2.0": "33.2",
    }
    values |= {f"{ALCOMA}.3.9.0": 21, f"{ALCOMA}.4.6.0": 11}
    assert readings(found("12140.2", values), "") == {
        "tx frequency": (10301.5, "MHz"),
        "tx power": (12, "dBm"),
        "rx level": (-47, "dBm"),
        "internal temperature": (21, "celsius"),
        "SNR": (33.2, "dB"),
        "modulation": (11, ""),
    }
    offline = discovered("12140.2", {f"{ALCOMA}.3.4.0": -128, f"{ALCOMA}.3.9.0": -1}).sensors
    assert [(sensor.name, sensor.skip) for sensor in offline] == [("rx level", {-128}), ("internal temperature", {-1})]


def test_the_radios_of_a_mikrotik_are_named_as_its_interfaces_and_a_station_by_its_address():
    """As MIKROTIK-MIB's index and LibreNMS have it. Before, they were numbers."""
    wireless = f"{ENTERPRISES}.14988.1.1.1"
    names = {1: "wlan1", 2: "wlan2", 7: "wlan60-1", 9: "lte1"}
    values: dict[str, int | str | tuple[int, bytes]] = {
        f"{wireless}.1.1.4.1": -61,
        f"{wireless}.3.1.6.2": 7,
        f"{wireless}.8.1.12.7": -55,
    }
    values |= {f"{wireless}.9.1.9.4": -54, f"{wireless}.9.1.3.4": (ber.OCTET_STRING, bytes.fromhex("d4ca6dc0e1f2"))}
    values |= {f"{ENTERPRISES}.14988.1.1.16.1.1.4.9": -98}
    ports = [port(index, name) for index, name in names.items()]
    sensors = found("14988.1", dict(ChainMap(values, *ports)))
    assert readings(sensors, "") == {
        "station signal wlan1": (-61, "dBm"),
        "access point clients wlan2": (7, ""),
        "60 GHz RSSI wlan60-1": (-55, "dBm"),
        "LTE RSRP lte1": (-98, "dBm"),
        "60 GHz station RSSI d4:ca:6d:c0:e1:f2": (-54, "dBm"),
    }


def test_a_mikrotik_says_0_of_a_station_without_a_link_and_of_the_ccq_that_nv2_has_not():
    """The signal is read again later; of CCQ there is not a row."""
    station = f"{ENTERPRISES}.14988.1.1.1.1.1"
    sensors = found("14988.1", {f"{station}.{column}.1": 0 for column in (2, 3, 4, 7, 9, 10)})
    assert {name: sensor.skip for name, sensor in sensors.items() if "rate" not in name} == {
        "station signal 1": frozenset((0,)),
        "station frequency 1": frozenset((0,)),
    }


@pytest.mark.parametrize(("degrees", "names"), [(0, ["frequency 1"]), (41, ["frequency 1", "temperature"])])
def test_an_airmax_radio_without_a_thermometer_has_no_sensor_of_one(degrees: int, names: list[str]):
    """A LiteBeam 5AC says 0 (a recording of LibreNMS)."""
    airmax = f"{ENTERPRISES}.41112.1.4"
    assert sorted(found("10002.1", {f"{airmax}.8.4.0": degrees, f"{airmax}.1.1.4.1": 5745})) == names
