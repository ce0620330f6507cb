"""What our profiles make of what devices say, known from recordings: in which unit, and what means that there is nothing."""

from collections.abc import Mapping

import pytest

from support.discovered import ENTERPRISES, PROFILES, discovered, found, readings
from support.mib import FewValues
from support.recordings import explore
from towerops_agent.discovery.course.findings import FoundSensor
from towerops_agent.discovery.report.trial import trial_lines
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import is_within, parse_oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply
from towerops_agent.snmp.wire.message import ErrorStatus, PduType, Request, Version

SFP = f"{ENTERPRISES}.14988.1.1.19.1.1"
EMS = f"{ENTERPRISES}.318.1.1.10.3"
MODULES = f"{ENTERPRISES}.318.1.1.10.4.2"
SENTRY4 = f"{ENTERPRISES}.1718.4.1"
COMWARE = f"{ENTERPRISES}.25506.2.6.1.1.1.1"
ENTITY = "1.3.6.1.2.1.99.1.1.1"
NAMES = "1.3.6.1.2.1.47.1.1.1.1.7"
UPS = "1.3.6.1.2.1.33.1"


def test_a_cage_without_a_module_delivers_nothing_until_one_is_there():
    row = {6: 41, 7: 3312, 8: 7, 9: -2296, 10: -5031}
    there = {f"{SFP}.{column}.1": value for column, value in row.items()} | {f"{SFP}.2.1": "sfp1", f"{SFP}.2.2": "sfp2"}
    sensors = found("14988.1", there | {f"{SFP}.{column}.2": 0 for column in row})
    assert readings(sensors, "sfp1") == {
        "SFP temperature sfp1": (41, "celsius"),
        "SFP voltage sfp1": (3.312, "volts"),
        "SFP tx bias sfp1": (0.007, "amperes"),
        "SFP tx power sfp1": (-2.296, "dBm"),
        "SFP rx power sfp1": (-5.031, "dBm"),
    }
    measured = ("temperature", "voltage", "tx power", "rx power")
    assert {name for name in sensors if "sfp2" in name} == {f"SFP {what} sfp2" for what in (*measured, "tx bias")}
    assert {name for name, sensor in sensors.items() if 0 in sensor.skip} == {
        f"SFP {what} {cage}" for what in measured for cage in ("sfp1", "sfp2")
    }, "without a module there is no current either"
    nothing = discovered("14988.1", {f"{SFP}.2.2": "sfp2", f"{SFP}.7.2": 0})
    (profile,) = (each for each in PROFILES if each.name == "mikrotik")
    (line,) = (line for line in trial_lines(profile, nothing, nothing) if line.startswith("SFP voltage sfp2"))
    assert "nothing now" in line, "a profile that is tried shows no made-up 0 V"


@pytest.mark.parametrize(("scale", "unit"), [(0, "celsius"), (1, "fahrenheit"), (7, None), (None, None)])
def test_a_sentry4_says_in_which_unit_its_probes_are_and_which_are_not_found(scale: int | None, unit: str | None):
    values: dict[str, int | str] = {f"{SENTRY4}.9.3.1.1.1.1": 239, f"{SENTRY4}.9.3.1.1.1.2": -410}
    values |= {f"{SENTRY4}.9.2.1.3.1.{probe}": f"T{probe}" for probe in (1, 2)}
    values |= {f"{SENTRY4}.10.3.1.1.1.1": 37, f"{SENTRY4}.10.3.1.1.1.2": -1}
    values |= {f"{SENTRY4}.10.2.1.3.1.{probe}": f"H{probe}" for probe in (1, 2)}
    sensors = found("1718.4", values if scale is None else values | {f"{SENTRY4}.9.1.10.0": scale})
    assert readings(sensors, "temperature") == ({"probe temperature T1": (23.9, unit)} if unit else {}), "nothing is guessed"
    assert readings(sensors, "humidity") == {"probe humidity H1": (37, "percent")}


@pytest.mark.parametrize(("scale", "unit"), [(1, "celsius"), (2, "fahrenheit")])
def test_an_environment_monitor_says_in_which_unit_its_probes_are_and_which_it_has_heard(scale: int, unit: str):
    """Of a recording: 81 of a probe that is there, in Fahrenheit, and 0 of those that were never heard."""
    row = EMS + ".13.1.1"
    values: dict[str, int | str] = {f"{row}.2.1": "P1", f"{row}.3.1": 81, f"{row}.6.1": 40, f"{row}.10.1": 2}
    values |= {f"{row}.2.3": "P3", f"{row}.3.3": 0, f"{row}.6.3": -1, f"{row}.10.3": 1}
    values |= {f"{EMS}.12.11.0": scale, f"{MODULES}.1.0": scale, f"{MODULES}.3.1.3.0.1": "M1", f"{MODULES}.3.1.5.0.1": 69}
    sensors = found("318.1.3.8", values)
    assert readings(sensors, "probe") == {
        "EMS probe temperature P1": (81, unit),
        "EMS probe humidity P1": (40, "percent"),
        "module probe temperature M1": (69, unit),
    }


def test_of_a_switch_with_comware_a_part_without_a_processor_is_left_out_and_an_idle_one_is_at_0_percent():
    values: dict[str, int | str] = {f"{NAMES}.1": "board", f"{NAMES}.2": "fan", f"{NAMES}.3": "port"}
    values |= {f"{COMWARE}.6.1": 7, f"{COMWARE}.6.2": 0, f"{COMWARE}.12.1": 44, f"{COMWARE}.12.2": 65535, f"{COMWARE}.12.3": 0}
    sensors = found("25506.11.1", values)
    assert readings(sensors, "") == {"CPU load board": (7, "percent"), "temperature board": (44, "celsius")}
    assert [sorted(sensors[name].skip) for name in sorted(sensors)] == [[], [65535]], "0 % and 0 °C are readings from then on"


@pytest.mark.parametrize("said", [-128, (ber.GAUGE32, (1 << 32) - 128)])
def test_an_empty_cage_of_which_routeros_says_minus_128_degrees_delivers_nothing_until_a_module_is_there(
    said: int | tuple[int, int],
):
    """In a Gauge32, which has no sign."""
    sensors = found("14988.1", {f"{SFP}.2.1": "sfp1", f"{SFP}.6.1": said})
    assert sensors["SFP temperature sfp1"].skip == {0, -128}
    (frost,) = readings(found("14988.1", {f"{SFP}.2.1": "sfp1", f"{SFP}.6.1": (ber.GAUGE32, (1 << 32) - 7)}), "SFP").values()
    assert frost == (-7, "celsius")


@pytest.mark.parametrize(
    ("scale", "precision", "raw", "volts"), [(9, 3, 47_058, 47.058), (8, 3, 53_703, 53.703), (8, 0, 53_703, 53.703)]
)
def test_an_aviat_radio_s_volts_are_right_if_it_says_twice_how_small_they_are(scale: int, precision: int, raw: int, volts: float):
    row = {1: 4, 2: scale, 3: precision, 4: raw, 5: 1}
    values = {f"{ENTITY}.{part}.7": value for part, value in row.items()} | {f"{NAMES}.7": "DC input"}
    assert readings(found("2509.8.22.2.1", values), "DC input") == {"DC input voltage": (volts, "volts")}
    if scale == 8:
        assert readings(found("99999", values), "DC input") == {
            "DC input voltage": (pytest.approx(volts / 10**precision), "volts")
        }, "any other device means what RFC 3433 says"


HEALTH = f"{ENTERPRISES}.14988.1.1.3"


@pytest.mark.parametrize("single", ["5", "6", "7", "10", "11"])
def test_of_a_mikrotik_at_absolute_zero_the_temperature_is_read_again_later(single: str):
    """RouterOS says -273 degrees while it can't read its sensors."""
    (sensor,) = found("14988.1", {f"{HEALTH}.{single}.0": -2730}).values()
    assert sensor.skip == {-2730}
    gauges = {f"{HEALTH}.100.1.2.14": "temperature", f"{HEALTH}.100.1.4.14": 1}
    (sensor,) = found("14988.1", {**gauges, f"{HEALTH}.100.1.3.14": (ber.GAUGE32, (1 << 32) - 273)}).values()
    assert (sensor.value, sensor.skip) == (-273, {-273})
    (cold,) = found("14988.1", {f"{HEALTH}.{single}.0": -273}).values()
    assert readings({"cold": cold}, "cold") == {"cold": (-27.3, "celsius")}


def test_of_an_airmax_radio_whose_temperature_may_be_either_of_two_numbers_it_is_left_out():
    host = f"{ENTERPRISES}.41112.1.4"
    radio = {f"{host}.1.1.4.1": 5745, f"{host}.8.4.0": 20 << 24}
    discovery = discovered("10002.1", radio)
    assert [sensor.name for sensor in discovery.sensors] == ["frequency 1"]
    assert [(left.what, left.why) for left in discovery.left_out] == [("temperature", "it may mean either of two numbers")]
    assert found("10002.1", {**radio, f"{host}.8.4.0": 20})["temperature"].value == 20


@pytest.mark.parametrize(
    "odd", [(ber.OBJECT_IDENTIFIER, b"\x2b\x86"), (ber.OBJECT_IDENTIFIER, b""), (ber.OCTET_STRING, b"a\xff")]
)
def test_a_sys_object_id_that_is_not_an_oid_costs_nothing_of_what_a_profile_finds(odd: tuple[int, bytes]):
    values = {"1.3.6.1.2.1.1.2.0": odd, f"{ENTERPRISES}.14988.1.1.3.10.0": 330}
    usual = discovered("14988.1", values)
    (profile,) = (each for each in PROFILES if each.name == "mikrotik")
    assert next(trial_lines(profile, usual, usual)).endswith("sysObjectID none")


@pytest.mark.parametrize(
    ("hertz", "volts", "raw_hertz", "raw_volts"),
    [
        (59.9, 124, 599, 124),
        (60, 120, 60, 120),
        (50.01, 400, 5001, 400),
        (50, 230.2, 500, 2302),
        (0, 0, 0, 0),
        (400, 115, 4000, 115),
    ],
)
def test_in_which_unit_a_ups_has_frequency_and_voltage_is_known_by_what_mains_can_be(
    hertz: float, volts: float, raw_hertz: int, raw_volts: int
):
    """Tripp Lite has whole hertz, Huawei hundredths, Delta tenths of a volt; a converter for aircraft has 400 Hz."""
    frequencies = {f"{UPS}.{oid}": raw_hertz for oid in ("3.3.1.2.1", "4.2.0", "5.1.0")}
    voltages = {f"{UPS}.{oid}.1": raw_volts for oid in ("3.3.1.3", "4.4.1.2", "5.3.1.2")}
    sensors = found("99999", frequencies | voltages)
    assert readings(sensors, "frequency") == {
        "input frequency 1": (hertz, "hertz"),
        "output frequency": (hertz, "hertz"),
        "bypass frequency": (hertz, "hertz"),
    }
    assert readings(sensors, "voltage") == {f"{what} voltage 1": (volts, "volts") for what in ("input", "output", "bypass")}


@pytest.mark.parametrize(
    ("version", "amperes", "load"),
    [
        ("12.04.0055", 0.2, 150),
        ("12.04.0056", 2, 150),
        ("12.05.0001", 2, 150),
        ("12.06.0063", 2, 150),
        ("12.06.0064", 2, 15),
        ("12.06.0064.2791.2532", 2, 15),
        ("12.06.0067", 2, 150),
        ("12.06.0068", 0.2, 150),
        ("20.2.1", 0.2, 150),
        ("112.06.0064", 0.2, 150),
    ],
)
def test_some_versions_of_a_card_of_tripp_lite_have_whole_amperes(version: str, amperes: float, load: float):
    """Of NUT's issue 341: 253 W at 124 V, 15 % of the load, with 12.06.0064."""
    values: dict[str, int | str] = {f"{UPS}.1.4.0": version, f"{UPS}.2.6.0": 2, f"{UPS}.4.4.1.5.1": 150}
    values |= {f"{UPS}.{oid}.1": 2 for oid in ("3.3.1.4", "4.4.1.3", "5.3.1.3")}
    sensors = found("850.1", values)
    assert readings(sensors, "current") == {
        f"{what} current{row}": (amperes, "amperes")
        for what, row in (("battery", ""), ("input", " 1"), ("output", " 1"), ("bypass", " 1"))
    }
    assert readings(sensors, "load") == {"output load 1": (load, "percent")}


@pytest.mark.parametrize(
    ("version", "minutes"),
    [
        ("5.26", 20),
        ("6.9", 20),
        ("6.46.8", 20),
        ("6.46rc3", 20),
        ("6.47", 1200),
        ("6.49.17", 1200),
        ("7.1", 1200),
        ("7.16.2", 1200),
    ],
)
def test_a_ups_at_an_old_router_of_mikrotik_has_seconds_where_the_mib_has_minutes(version: str, minutes: float):
    sensors = found("14988.1", {f"{ENTERPRISES}.14988.1.1.4.4.0": version, f"{UPS}.2.3.0": 1200})
    assert readings(sensors, "runtime remaining") == {"runtime remaining": (minutes, "minutes")}


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_ups_that_does_not_say_as_it_should_what_it_lacks_has_its_time_left_and_its_currents(is_silent: bool):
    """It says noSuchName over SNMPv2c too, or nothing at all: of values of another vendor, or of one that it need not have."""
    router = parse_oid(f"{ENTERPRISES}.14988")
    device = FewValues({f"{UPS}.2.3.0": 20, f"{UPS}.4.4.1.3.1": 81, **({f"{UPS}.1.4.0": "1.0"} if is_silent else {})})

    def answer(request: Request) -> Answer:
        if is_silent and any(is_within(name, router) for name in request.names):
            return NoReply(Reason.TIMEOUT, 3)
        return device.answer(request, Version.V1 if request.type is PduType.GET and not is_silent else Version.V2C)

    sensors = {sensor.name: sensor for sensor in explore(answer, PROFILES, Version.V2C).sensors}
    assert readings(sensors, "") == {"runtime remaining": (20, "minutes"), "output current 1": (8.1, "amperes")}


def of_one_that_refuses(values: Mapping[str, int | str], object_id: str, status: ErrorStatus) -> dict[str, FoundSensor]:
    """The sensors of a device that answers so over SNMPv2c, too, if it lacks one of the values that it is asked for."""
    device = FewValues(values, object_id)

    def answer(request: Request) -> Answer:
        said = device.answer(request, Version.V1 if request.type is PduType.GET else Version.V2C)
        if said.pdu.error_status == ErrorStatus.noSuchName:
            said.pdu.error_status = status
        return said

    return {sensor.name: sensor for sensor in explore(answer, PROFILES, Version.V2C).sensors}


@pytest.mark.parametrize("status", [ErrorStatus.noSuchName, ErrorStatus.genErr])
def test_a_column_that_says_itself_how_it_counts_is_not_asked_for_as_a_value_which_some_cards_refuse(status: ErrorStatus):
    """The frequencies and voltages of such a UPS were not found."""
    rows = {"3.3.1.2": 5000, "3.3.1.3": 2301, "4.4.1.2": 230, "5.3.1.2": 2299}
    sensors = of_one_that_refuses({f"{UPS}.{column}.1": value for column, value in rows.items()}, f"{ENTERPRISES}.99999", status)
    assert readings(sensors, "") == {
        "input frequency 1": (50, "hertz"),
        "input voltage 1": (230.1, "volts"),
        "output voltage 1": (230, "volts"),
        "bypass voltage 1": (229.9, "volts"),
    }


def test_a_raritan_px2_that_says_no_such_name_of_its_decimals_has_those_that_most_have():
    inlet = f"{ENTERPRISES}.13742.6.5.2.3.1.4.1.1"
    for status, current in ((ErrorStatus.noSuchName, {"inlet 1 current": (0.118, "amperes")}), (ErrorStatus.genErr, {})):
        sensors = of_one_that_refuses({f"{inlet}.1": 118}, f"{ENTERPRISES}.13742.6", status)
        assert readings(sensors, "inlet") == current, "nothing is guessed"


def test_a_text_that_begins_with_a_number_is_not_a_state():
    """Netonix's MIB has the state of a PoE port as a text: 24 of 24V was delivered as a state that has no name."""
    ports = f"{ENTERPRISES}.46242.5.1.2"
    discovery = discovered("46242", {f"{ports}.1": "24V", f"{ports}.2": "Off", f"{ports}.3": 3, f"{ports}.4": "3"})
    assert {sensor.name: sensor.value for sensor in discovery.sensors} == {"PoE port 3": 3, "PoE port 4": 3}
    assert {left.what: left.why for left in discovery.left_out} == {
        "PoE port 1": "the text '24V', which is not a state that the profile knows",
        "PoE port 2": "not a number",
    }


def test_the_noise_floor_of_a_ptp_250_is_in_tenths_as_its_powers_are():
    sensors = found("17713.250", {f"{ENTERPRISES}.17713.250.5.{value}.0": -954 for value in (1, 15)})
    assert readings(sensors, "") == {"rx power": (-95.4, "dBm"), "noise floor": (-95.4, "dBm")}


def test_the_data_rates_of_a_ptp_250_are_in_tenths_of_a_megabit():
    """By its MIB: 25.6 Mbit/s were 256 kbit/s."""
    sensors = found("17713.250", {f"{ENTERPRISES}.17713.250.11.{value}.0": 256 for value in (1, 2, 3)})
    rate = (pytest.approx(25_600_000), "bps")
    assert readings(sensors, "") == {f"{what} data rate": rate for what in ("rx", "tx", "aggregate")}


@pytest.mark.parametrize(("flag", "amperes"), [(0, (20, -3)), (1, (2, -0.3)), (None, (20, -3))])
def test_an_eltek_says_whether_its_currents_are_in_tenths_and_those_of_its_rectifiers_are(
    flag: int | None, amperes: tuple[float, float]
):
    """Of recordings: 20 A in all with rectifiers at 86, 69 and 60, and 63 in all with rectifiers at 31 and 33."""
    system = f"{ENTERPRISES}.12148.10"
    values: dict[str, int | str] = {f"{system}.5.2.5.0": 20, f"{system}.10.6.5.0": -3, f"{system}.5.6.1.3.1": 86}
    values |= {f"{system}.9.2.5.0": 20, f"{system}.10.18.4.1.6.1.1": -3, f"{system}.15.6.5.0": -3, f"{system}.7.2.5.0": 20}
    sensors = found("12148.10", values if flag is None else values | {f"{system}.2.15.0": flag})
    assert readings(sensors, "current") == {
        "rectifiers current": (amperes[0], "amperes"),
        "load current": (amperes[0], "amperes"),
        "solar chargers current": (amperes[0], "amperes"),
        "battery current": (amperes[1], "amperes"),
        "battery bank current 1.1": (amperes[1], "amperes"),
        "battery group 2 current": (amperes[1], "amperes"),
        "rectifier output current 1": (8.6, "amperes"),
    }


@pytest.mark.parametrize(
    ("flag", "temperature", "capacity"), [(0, "celsius", "Ah"), (1, "fahrenheit", "percent"), (None, "celsius", "")]
)
def test_an_eltek_says_in_which_unit_its_temperatures_and_its_capacity_are(flag: int | None, temperature: str, capacity: str):
    system = f"{ENTERPRISES}.12148.10"
    places = {"5.18.5.0": "rectifiers", "10.7.5.0": "battery", "13.13.5.0": "ambient", "15.7.5.0": "battery group 2"}
    values: dict[str, int | str] = {f"{system}.{oid}": 70 for oid in (*places, "10.9.5.0", "10.18.3.1.6.1.1")}
    values |= {f"{system}.10.18.3.1.2.1.1": 1, f"{system}.10.18.3.1.3.1.1": "bank"}
    sensors = found("12148.10", values if flag is None else values | {f"{system}.2.16.0": flag, f"{system}.2.17.0": flag})
    assert readings(sensors, "temperature") == {f"{name} temperature": (70, temperature) for name in places.values()} | {
        "battery bank temperature bank": (70, temperature)
    }
    assert readings(sensors, "capacity left") == ({"battery capacity left": (70, capacity)} if capacity else {}), (
        "nothing is guessed"
    )


def test_three_monitors_of_tycon_are_told_apart():
    """A WEB2 and a solar controller have one sysObjectID, and other values at the same OIDs; a WEB3 has its own."""
    web2: dict[str, int | str] = {
        f"{ENTERPRISES}.45621.2.2.{oid}.0": text for oid, text in ((1, 1), (5, "12.5"), (9, "23.0"), (14, "31.0"))
    }
    sensors = found("45621.2", web2)
    assert readings(sensors, "") == {
        "relay 1": (1, ""),
        "voltage 1": (12.5, "volts"),
        "current 1": (2.3, "amperes"),
        "internal temperature": (31, "celsius"),
    }
    solar: dict[str, int | str] = {
        f"{ENTERPRISES}.45621.2.2.{oid}.0": value for oid, value in ((5, 1), (9, "52.1"), (12, "87"), (14, "3"))
    }
    solar |= {
        f"{ENTERPRISES}.45621.2.2.{oid}.0": value
        for oid, value in ((15, "61.0"), (17, 521), (18, 16), (20, 87), (22, 3), (23, 610))
    }
    sensors = found("45621.2", solar)
    assert readings(sensors, "") == {
        "port 5 power": (1, ""),
        "battery voltage": (52.1, "volts"),
        "battery current": (1.6, "amperes"),
        "load power": (87, "watts"),
        "battery status": (3, ""),
        "input voltage": (61, "volts"),
    }
    web3: dict[str, int | str] = {
        f"{ENTERPRISES}.45621.3.3.{oid}.0": value for oid, value in ((1, 2), (5, "12.5"), (15, 125), (19, 23), (24, 310))
    }
    sensors = found("45621.3", web3 | {f"{ENTERPRISES}.45621.3.10.17.0": 612})
    assert readings(sensors, "") == {
        "relay 1": (2, ""),
        "voltage 1": (12.5, "volts"),
        "current 1": (2.3, "amperes"),
        "internal temperature": (31, "celsius"),
        "panel voltage": (61.2, "volts"),
    }


@pytest.mark.parametrize(
    ("digits", "current", "voltage"),
    [({}, 0.118, 119), ({1: 3, 4: 0}, 0.118, 119), ({1: 1}, 11.8, 119), ({1: 2, 4: 1}, 1.18, 11.9), ({1: 0, 4: 2}, 118, 1.19)],
)
def test_a_raritan_px2_says_how_many_decimals_its_inlet_has(digits: dict[int, int], current: float, voltage: float):
    """Some have one for a current: it was read as a hundredth of what it is."""
    inlet, decimals = f"{ENTERPRISES}.13742.6.5.2.3.1.4.1.1", f"{ENTERPRISES}.13742.6.3.3.4.1.7.1.1"
    values: dict[str, int | str] = {f"{inlet}.1": 118, f"{inlet}.4": 119}
    sensors = found("13742.6", values | {f"{decimals}.{kind}": count for kind, count in digits.items()})
    assert readings(sensors, "inlet") == {
        "inlet 1 current": (pytest.approx(current), "amperes"),
        "inlet 1 voltage": (pytest.approx(voltage), "volts"),
    }


def test_a_raritan_px2_says_in_which_unit_its_probes_are():
    values, names = f"{ENTERPRISES}.13742.6.5.5.3.1.4.1", f"{ENTERPRISES}.13742.6.3.6.3.1"
    probes = {1: ("C", 10, 7, 229), 2: ("F", 10, 14, 741), 3: ("H", 11, 9, 15)}
    mib: dict[str, int | str] = {}
    for probe, (name, kind, unit, value) in probes.items():
        mib |= {f"{values}.{probe}": value, f"{names}.4.1.{probe}": name}
        mib |= {f"{names}.2.1.{probe}": kind, f"{names}.16.1.{probe}": unit}
    assert readings(found("13742.6", mib), "sensor") == {
        "sensor temperature C": (22.9, "celsius"),
        "sensor temperature F": (74.1, "fahrenheit"),
        "sensor humidity H": (15, "percent"),
    }


@pytest.mark.parametrize(
    ("object_id", "columns"),
    [
        ("33555.1", {7: "rx modulation", 8: "tx modulation"}),
        ("33555.4", {3: "rx", 4: "tx", 7: "rx modulation", 8: "tx modulation"}),
    ],
)
def test_a_racom_ray_has_what_it_receives_before_what_it_sends(object_id: str, columns: dict[int, str]):
    """RAY-MIB, RAY3-MIB: rxFreq is 3, txFreq 4, rxModulationIndex 7, txModulationIndex 8. They were called the other way."""
    base = f"{ENTERPRISES}.{object_id}"
    sensors = found(object_id, {f"{base}.1.3.1.0": 1, f"{base}.2.1.4.0": 24_190_000} | {f"{base}.2.1.{n}.0": n for n in columns})
    named = {name: sensor.oid[-2] for name, sensor in sensors.items() if name[:2] in ("rx", "tx")}
    assert {number: name.removesuffix(" frequency") for name, number in named.items()} == {4: "tx"} | columns
