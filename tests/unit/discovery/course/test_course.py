"""What is found of a device, and what is left out."""

from collections.abc import Callable, Mapping

import pytest

from support.mib import IF, IFX, FewValues, port
from support.recordings import explore
from towerops_agent.discovery.course.asking import MOST_LOST
from towerops_agent.discovery.course.findings import Discovery, Neighbour, System
from towerops_agent.discovery.course.profile import Profile, read_profile
from towerops_agent.discovery.library import load_profiles
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import is_within, parse_oid, subidentifiers
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import Pdu, PduType, Request, Version

OURS = "1.3.6.1.4.1.99999"
SILENCE = NoReply(Reason.TIMEOUT, 3)
GENERAL = [profile for profile in load_profiles().profiles.values() if profile.general]


def profile(text: str) -> Profile:
    read = read_profile("x.yaml", text.encode())
    assert read.problems == ()
    assert read.profile is not None
    return read.profile


def made(columns: str, name: str = "x", match: str = "{sysObjectID: 1.3.6.1.4.1.99999}") -> Profile:
    return profile(f"profile: {name}\nvendor: X\nmatch: {match}\nbase: 1.3.6.1.4.1.99999\ncolumns:\n{columns}")


def sensors(found: Discovery) -> dict[str, tuple[float, str]]:
    return {sensor.name: (sensor.value / sensor.divisor, sensor.unit) for sensor in found.sensors}


def left_out(found: Discovery) -> dict[str, str]:
    return {left.what: left.why for left in found.left_out}


# Interfaces


def test_ports_are_kept_and_what_is_not_worth_polling_has_its_reason():
    device = FewValues(
        port(1, "ether1")
        | port(2, "wlan1", 71)
        | port(3, "gre1", 131)
        | port(4, "bond0", 161)
        | port(5, "lo", 24)
        | port(6, "ether6", admin=2)
        | port(7, "veth12")
        | port(8, "<pppoe-user>", 23)
        | port(9, "Nu0", 1, descr="Null0")
        | {f"{IF}.2.10": "serial", f"{IF}.7.10": 1}
    )
    found = explore(device.answer, [])
    assert [(each.if_index, each.name) for each in found.ports] == [(1, "ether1"), (2, "wlan1"), (3, "gre1"), (4, "bond0")]
    assert left_out(found) == {
        "interface lo": "loopback",
        "interface ether6": "administratively down",
        "interface veth12": "virtual, within the device",
        "interface <pppoe-user>": "a session that comes and goes",
        "interface Nu0": "virtual, within the device",
        "interface serial": "without octet counters",
    }


def test_a_port_without_wide_counters_is_kept_for_its_narrow_ones():
    found = explore(FewValues(port(1, "eth0", wide=False) | port(2, "eth1")).answer, [])
    assert [each.name for each in found.ports] == ["eth0", "eth1"]


class Cut(FewValues):
    """A device that ends a column at the first row without a value, and answers a GET for the rows behind it."""

    def __init__(self, values, ends: dict[str, int]) -> None:
        super().__init__(values)
        self._cut = {subidentifiers(parse_oid(column)): index for column, index in ends.items()}

    def _next(self, oid):
        found = super()._next(oid)
        while found is not None and found[-1] > self._cut.get(found[:-1], found[-1]):
            found = super()._next(found)
        return found


@pytest.mark.parametrize("wide", [True, False])
def test_ports_behind_a_row_without_counters_are_found_though_the_columns_end_there(wide):
    ports = port(1, "Ethernet0", wide=wide) | port(2, "Ethernet4", wide=wide) | port(1001, "PortChannel1", wide=wide)
    for counter in (f"{IFX}.6.2", f"{IF}.10.2"):
        ports.pop(counter, None)
    device = Cut(ports, {f"{IFX}.6": 1, f"{IF}.10": 1})
    found = explore(device.answer, [])
    assert [(each.if_index, each.name) for each in found.ports] == [(1, "Ethernet0"), (1001, "PortChannel1")]
    assert left_out(found) == {"interface Ethernet4": "without octet counters"}


def test_a_port_that_has_only_wide_counters_is_found_behind_their_end():
    ports = {oid: value for oid, value in (port(1, "a") | port(3, "b")).items() if not oid.startswith(f"{IF}.10.")}
    found = explore(Cut(ports, {f"{IFX}.6": 1}).answer, [])
    assert [each.name for each in found.ports] == ["a", "b"]


def test_only_rows_behind_the_end_of_the_counters_are_asked_for_one_by_one():
    """A row that is skipped is not there. What is not polled anyway is not asked for."""
    sent = []
    device = FewValues(
        port(1, "a") | {f"{IF}.2.2": "vlan", f"{IF}.2.5": "x", f"{IF}.2.6": "y", f"{IF}.2.7": "veth1"} | port(3, "b")
    )

    def answer(request: Request) -> Answer:
        sent.append(request)
        return device.answer(request)

    explore(answer, [])
    assert sent[-1] == Request((parse_oid(f"{IF}.10.5"), parse_oid(f"{IF}.10.6")))


def test_ports_of_one_name_are_told_apart_by_ifdescr_or_else_by_index():
    found = explore(
        FewValues(port(1, "lan", descr="eth1") | port(2, "lan", descr="eth2") | port(3, "wan") | port(4, "WAN")).answer, []
    )
    assert [(each.if_index, each.name, each.label) for each in found.ports] == [
        (1, "eth1", "eth1"),
        (2, "eth2", "eth2"),
        (3, "", "wan"),
        (4, "", "WAN"),
    ]


def test_the_one_port_without_a_name_has_its_description():
    nameless = {oid: value for oid, value in port(2, "").items() if oid != f"{IFX}.1.2"} | {f"{IF}.2.2": "radio"}
    found = explore(FewValues(port(1, "lan") | nameless | port(3, "wan", descr=" ")).answer, [])
    assert [(each.if_index, each.name) for each in found.ports] == [(1, "lan"), (2, "radio"), (3, "wan")]


def test_a_description_that_is_another_port_s_name_names_only_that_one():
    """By that name the agent finds the other port, and would report its counters as the first one's."""
    found = explore(FewValues(port(1, "lan", descr="wan") | port(2, "lan", descr="x") | port(3, "wan", descr="y")).answer, [])
    assert [(each.if_index, each.name, each.label) for each in found.ports] == [(1, "", "lan"), (2, "x", "x"), (3, "wan", "wan")]


def numbered_apart(
    numbers: Mapping[int, int], named: Callable[[int], str] = "0/{}".format
) -> dict[str, int | str | tuple[int, int]]:
    """Ports by their numbers in ifTable and in ifXTable, as of a UniFi USC-8."""
    rows: dict[str, int | str | tuple[int, int]] = {}
    for own, other in numbers.items():
        rows |= {f"{IF}.2.{own}": f"Port {own}", f"{IF}.3.{own}": 6, f"{IF}.7.{own}": 1, f"{IF}.10.{own}": (ber.COUNTER32, 7)}
        rows |= {f"{IFX}.6.{other}": (ber.COUNTER64, 7)} | ({f"{IFX}.1.{other}": named(own)} if named(own) else {})
    return rows


def test_a_port_that_has_another_number_in_each_table_is_one_port_with_its_wide_counters():
    rows = numbered_apart({n: 1_000_000 + n for n in range(1, 5)}) | {f"{IF}.7.3": 2}
    found = explore(FewValues(rows | {f"{IF}.2.9": "CPU", f"{IF}.10.9": (ber.COUNTER32, 7)}).answer, [])
    assert [(each.if_index, each.name, each.type) for each in found.ports] == [
        (9, "CPU", 0),
        (1_000_001, "0/1", 6),
        (1_000_002, "0/2", 6),
        (1_000_004, "0/4", 6),
    ]
    assert left_out(found)["interface 0/3"] == "administratively down"
    assert left_out(found)["interface Port 1"] == "it is number 1000001 of ifXTable, which has its 64-bit counters"


@pytest.mark.parametrize("named", [lambda _: "", "Port {}".format], ids=["nameless", "called alike"])
def test_of_ports_with_two_numbers_the_label_is_known_and_a_value_at_the_port_has_it(named: Callable[[int], str]):
    rows = numbered_apart({1: 101, 2: 102, 3: 103}, named) | {f"{OURS}.7.2": 30}
    found = explore(FewValues(rows).answer, [made("  - {oid: 7, name: PoE, index: port}\n")])
    assert [(each.if_index, each.name, each.label) for each in found.ports] == [
        (100 + n, named(n), f"Port {n}") for n in (1, 2, 3)
    ], "by ifDescr the agent would find the other row"
    assert [sensor.name for sensor in found.sensors] == ["PoE Port 2"]


@pytest.mark.parametrize(
    "numbers",
    [{1: 101, 2: 102, 3: 104}, {1: 2, 2: 3, 3: 4}, {1: 101}],
    ids=["not all as far", "some in common", "only one"],
)
def test_ports_of_which_it_is_not_certain_which_is_which_are_all_polled(numbers: Mapping[int, int]):
    found = explore(FewValues(numbered_apart(numbers)).answer, [])
    assert {each.if_index for each in found.ports} == {*numbers, *numbers.values()}


# The standard MIBs


def entity(
    index: int, kind: int, scale: int, precision: int, value: int, name: str = "", status: int = 1
) -> dict[str, int | str]:
    base = "1.3.6.1.2.1.99.1.1.1"
    row = {f"{base}.{part}.{index}": each for part, each in enumerate((kind, scale, precision, value, status), start=1)}
    return row | ({f"1.3.6.1.2.1.47.1.1.1.1.7.{index}": name} if name else {})


def test_scale_and_precision_become_the_divisor():
    """RFC 3433: 9 is units, 8 is milli; a precision is a number of decimals, a negative one changes nothing."""
    device = FewValues(
        entity(1, 8, 9, 0, 41, "Board")
        | entity(2, 4, 8, 0, 12_040, "Supply")
        | entity(3, 4, 9, 2, 330, "Rail")
        | entity(4, 7, 11, 0, 2, "Clock")
        | entity(5, 6, 8, 1, 125, "Inlet power")
        | entity(6, 10, 9, -2, 2300, "Tray")
    )
    assert sensors(explore(device.answer, [])) == {
        "Board temperature": (41, "celsius"),
        "Supply voltage": (12.04, "volts"),
        "Rail voltage": (3.3, "volts"),
        "Clock frequency": (2_000_000, "hertz"),
        "Inlet power": (0.0125, "watts"),
        "Tray fan": (2300, "rpm"),
    }


def test_a_sensor_that_the_device_calls_broken_is_left_out():
    device = FewValues(
        entity(1, 8, 9, 0, 0, "Board", status=3) | entity(2, 8, 9, 0, 0, "Inlet", status=2) | entity(3, 8, 99, 0, 0, "Odd")
    )
    found = explore(device.answer, [])
    assert found.sensors == ()
    assert set(left_out(found)) == {"Board", "Inlet", "Odd"}


def test_a_sensor_with_a_scale_that_does_not_exist_costs_no_other():
    """RFC 3433: scales from yocto (1) to yotta (17), a precision from -8 to 9."""
    odd = [(0, 0), (18, 0), (9, -9), (9, 10)]
    good = [(1, 0), (17, 0), (9, -8), (9, 9)]
    rows = {}
    for index, (scale, precision) in enumerate([*odd, *good], start=1):
        rows |= entity(index, 8, scale, precision, 41, f"t{index}")
    found = explore(FewValues(rows).answer, [])
    assert {sensor.name: sensor.divisor for sensor in found.sensors} == {
        "t5 temperature": 1e24,
        "t6 temperature": 1e-24,
        "t7 temperature": 1.0,
        "t8 temperature": 1e9,
    }
    assert left_out(found) == {
        f"t{index}": f"a scale of {scale} and a precision of {precision}, which RFC 3433 does not have"
        for index, (scale, precision) in enumerate(odd, start=1)
    }


def test_a_sensor_that_does_not_say_what_it_measures_costs_no_other():
    first = entity(1, 8, 9, 0, 41, "Board")
    del first["1.3.6.1.2.1.99.1.1.1.1.1"]
    found = explore(FewValues(first | entity(2, 8, 9, 0, 42, "Inlet")).answer, [])
    assert sensors(found) == {"Inlet temperature": (42, "celsius")}
    assert left_out(found) == {"Board": "the device does not say what it measures"}


def test_a_ups_by_its_standard_mib_and_the_states_in_words():
    ups = "1.3.6.1.2.1.33.1"
    device = FewValues(
        {f"{ups}.2.1.0": 2, f"{ups}.2.5.0": 545, f"{ups}.4.1.0": 3, f"{ups}.4.4.1.2.1": 230, f"{ups}.4.4.1.2.2": 231}
    )
    found = explore(device.answer, GENERAL)
    assert sensors(found) == {
        "battery status": (2, ""),
        "battery voltage": (54.5, "volts"),
        "output source": (3, ""),
        "output voltage 1": (230, "volts"),
        "output voltage 2": (231, "volts"),
    }
    assert next(sensor.states for sensor in found.sensors if sensor.name == "output source")[3] == "normal"


def test_storage_is_in_octets_whatever_its_units():
    table = "1.3.6.1.2.1.25.2.3.1"
    device = FewValues(
        {f"{table}.3.1": "RAM", f"{table}.4.1": 4096, f"{table}.5.1": 1000, f"{table}.6.1": 250}
        | {f"{table}.3.2": "none", f"{table}.4.2": 0, f"{table}.5.2": 5}
    )
    found = explore(device.answer, [])
    assert sensors(found) == {"RAM used": (1_024_000, "bytes"), "RAM size": (4_096_000, "bytes")}
    assert {(sensor.type, sensor.source) for sensor in found.sensors} == {("storage", "host-resources")}
    assert left_out(found) == {"none": "without a size"}


# Profiles


def test_the_longest_sysobjectid_wins_then_the_rule_that_asks_for_more():
    short = made("  - {oid: 1.0, name: a}\n", "short", "{sysObjectID: 1.3.6.1.4.1}")
    long = made("  - {oid: 1.0, name: a}\n", "long")
    described = made("  - {oid: 1.0, name: a}\n", "described", "{sysObjectID: 1.3.6.1.4.1.99999, sysDescr: AIROS}")
    probed = made("  - {oid: 1.0, name: a}\n", "probed", "{sysObjectID: 1.3.6.1.4.1.99999, probe: 1.3.6.1.4.1.99999.7}")
    all_of_them = [short, long, described, probed]
    assert explore(FewValues({"1.3.6.1.2.1.1.1.0": "Linux"}).answer, all_of_them).profiles == ("long",)
    assert explore(FewValues({"1.3.6.1.2.1.1.1.0": "airOS 8"}).answer, all_of_them).profiles == ("described",)
    assert explore(FewValues({"1.3.6.1.4.1.99999.7.1.0": 1}).answer, all_of_them).profiles == ("probed",)
    assert explore(FewValues({}, object_id="1.3.6.1.4.1.5").answer, all_of_them).profiles == ("short",)
    assert explore(FewValues({}, object_id="1.3.6.1.4").answer, all_of_them).profiles == ()


def test_a_general_profile_is_used_beside_the_devices_own_unless_that_says_no():
    ups = {"1.3.6.1.2.1.33.1.2.1.0": 2}
    own = made("  - {oid: 1.0, name: a}\n")
    without = profile("profile: y\nvendor: Y\nwithout: [ups-mib]\nmatch: {sysObjectID: 1.3.6.1.4.1.99999.1}\n")
    assert explore(FewValues(ups).answer, [own, *GENERAL]).profiles == ("x", "ups-mib")
    assert explore(FewValues(ups, object_id="1.3.6.1.4.1.99999.1").answer, [own, without, *GENERAL]).profiles == ("y",)


def test_a_row_is_named_by_its_label_or_its_index():
    base = "1.3.6.1.4.1.99999"
    device = FewValues(
        port(7, "sfp1")
        | {f"{base}.4.3.1": 1204, f"{base}.4.3.2": 1, f"{base}.4.2.1": "A \0", f"{base}.4.2.2": ""}
        | {f"{base}.5.2.7": 2, f"{base}.5.2.9": 1}
        | {f"{base}.6.1.24.232.41.30.48.222": 8, f"{base}.6.1.24.232.41.30.48.223.1": 9, f"{base}.6.1.6.24.232.41.30.48.224": 9}
        | {f"{base}.7.1.3.97.98.99": 5, f"{base}.8.1.1.4": 6, f"{base}.8.2.1": "outer"}
    )
    columns = (
        "  - {oid: 4.3, name: supply, label: 4.2, divisor: 100, unit: volts}\n"
        "  - {oid: 5.2, name: poe, index: port, states: {1: 'off', 2: 24 V}}\n"
        "  - {oid: 6.1, name: rate, index: mac}\n"
        "  - {oid: 7.1, name: word, index: text}\n"
        "  - {oid: 8.1, name: inner, label: 8.2}\n"
    )
    assert sensors(explore(device.answer, [made(columns)])) == {
        "supply A": (12.04, "volts"),
        "supply 2": (0.01, "volts"),
        "poe sfp1": (2, ""),
        "poe 9": (1, ""),
        "rate 18:e8:29:1e:30:de": (8, ""),
        "rate 18:e8:29:1e:30:df 1": (9, ""),
        "rate 18:e8:29:1e:30:e0": (9, ""),
        "word abc": (5, ""),
        "inner outer": (6, ""),
    }


def test_rows_of_several_kinds_are_told_apart_by_a_column():
    base = "1.3.6.1.4.1.99999"
    device = FewValues({f"{base}.1.3.1": 415, f"{base}.1.4.1": 1, f"{base}.1.3.2": 240, f"{base}.1.4.2": 3, f"{base}.1.3.3": 9})
    columns = (
        "  - {oid: 1.3, name: temperature, unit: celsius, divisor: 10, where: {1.4: 1}}\n"
        "  - {oid: 1.3, name: voltage, unit: volts, divisor: 10, where: {1.4: [2, 3]}}\n"
    )
    assert sensors(explore(device.answer, [made(columns)])) == {"temperature 1": (41.5, "celsius"), "voltage 2": (24, "volts")}


def test_what_means_nothing_or_is_not_a_number_is_left_out():
    base = "1.3.6.1.4.1.99999"
    device = FewValues({f"{base}.1.0": -32768, f"{base}.2.0": "12.4 V", f"{base}.3.0": "never", f"{base}.4.0": (ber.GAUGE32, 0)})
    columns = "".join(f"  - {{oid: {i}.0, name: s{i}, skip: [-32768]}}\n" for i in range(1, 6))
    found = explore(device.answer, [made(columns)])
    assert {name: value for name, (value, _) in sensors(found).items()} == {"s2": 12.4, "s4": 0}
    assert left_out(found) == {"s1": "-32768 means that there is nothing", "s3": "not a number"}


def test_sensors_of_one_name_get_the_ends_of_their_oids_and_one_oid_is_one_sensor():
    base = "1.3.6.1.4.1.99999"
    device = FewValues({f"{base}.1.3.1": 1, f"{base}.1.3.2": 2, f"{base}.1.2.1": "A", f"{base}.1.2.2": "A", f"{base}.5.0": 7})
    columns = "  - {oid: 1.3, name: s, label: 1.2}\n  - {oid: 5.0, name: t}\n  - {oid: 5.0, name: u}\n"
    assert set(sensors(explore(device.answer, [made(columns)]))) == {"s A 1", "s A 2", "t"}


def test_the_model_is_a_value_or_a_part_of_sysdescr():
    base = "1.3.6.1.4.1.99999"
    head = f"profile: x\nvendor: X\nbase: {base}\nmodel: [9.1.0, 9.2.0]\nmodel_in_sysDescr: 'Radio (\\S+)'\n"
    one = profile(f"{head}match: {{sysObjectID: {base}}}\n")
    assert explore(FewValues({f"{base}.9.2.0": "R2"}).answer, [one]).model == "R2"
    assert explore(FewValues({"1.3.6.1.2.1.1.1.0": "Radio R3 7.1"}).answer, [one]).model == "R3"
    assert explore(FewValues({}).answer, [one]).model == ""


# Neighbours


def test_neighbours_by_lldp_cdp_and_mndp():
    lldp, cdp, mndp = "1.0.8802.1.1.2.1", "1.3.6.1.4.1.9.9.23.1.2.1.1", "1.3.6.1.4.1.14988.1.1.11.1.1"
    device = FewValues(
        port(3, "ether3")
        | {f"{lldp}.3.7.1.4.9": "ether1", f"{lldp}.4.1.1.5.0.9.1": b"\0\x11\x22\x33\x44\x55", f"{lldp}.4.1.1.7.0.9.1": "sfp1"}
        | {f"{lldp}.4.1.1.9.0.9.1": "core", f"{lldp}.4.1.1.10.0.9.1": "RouterOS"}
        | {f"{lldp}.4.1.1.5.0.8.2": b"\0\x11\x22\x33\x44\x66"}
        | {f"{cdp}.6.3.1": "switch", f"{cdp}.7.3.1": "Gi0/1", f"{cdp}.8.3.1": "cisco"}
        | {f"{mndp}.3.1": b"\0\x11\x22\x33\x44\x77", f"{mndp}.5.1": "MikroTik", f"{mndp}.6.1": "", f"{mndp}.8.1": 3}
    )
    assert set(explore(device.answer, []).neighbours) == {
        Neighbour("ether1", "core", "sfp1", "RouterOS", "LLDP"),
        Neighbour("port 8", "00:11:22:33:44:66", "", "", "LLDP"),
        Neighbour("ether3", "switch", "Gi0/1", "cisco", "CDP"),
        Neighbour("ether3", "00:11:22:33:44:77", "", "MikroTik", "MNDP"),
    }


def test_over_snmpv1_the_same_is_found():
    base = "1.3.6.1.4.1.99999"
    device = FewValues(
        port(1, "eth0", wide=False) | {f"{base}.1.0": 5, f"{base}.2.1.1": 6, f"{base}.2.1.2": 7, f"{IFX}.18.1": "uplink"}
    )
    one = made("  - {oid: 1.0, name: a}\n  - {oid: 2.1, name: b}\n  - {oid: 3.0, name: c}\n  - {oid: 9.1, name: d}\n")
    first = explore(lambda request: device.answer(request, Version.V1), [one], Version.V1)
    second = explore(device.answer, [one])
    assert (first.sensors, first.ports, first.profiles) == (second.sensors, second.ports, second.profiles)
    assert [sensor.oid for sensor in first.sensors] == [parse_oid(f"{base}.{end}") for end in ("1.0", "2.1.1", "2.1.2")]
    assert first.ports[0].alias == "uplink"


def test_a_v1_device_is_never_asked_by_getbulk():
    """RFC 3584 §4.2.2.2: no device of SNMPv1 knows it."""
    asked = set()
    device = FewValues(port(1, "eth0") | {f"{OURS}.1.0": 5})

    def answer(request):
        asked.add(request.type)
        return device.answer(request, Version.V1)

    explore(answer, [made("  - {oid: 1.0, name: a}\n")], Version.V1)
    assert asked == {PduType.GET_NEXT}


def test_of_a_device_that_never_answers_nothing_is_found():
    found = explore(lambda request: SILENCE, [made("  - {oid: 1.0, name: a}\n")])
    assert found == Discovery(
        System(), left_out=found.left_out, requests=MOST_LOST, broken="it stopped answering: timeout", again=True
    )


def test_an_index_without_its_length_is_a_text_too():
    """A table whose index is IMPLIED has no length before its octets (RFC 2578 §7.7)."""
    device = FewValues({f"{OURS}.1.1.97.98.99": 1, f"{OURS}.1.1.3.100.101.102": 2, f"{OURS}.1.1.2.97": 3})
    found = explore(device.answer, [made("  - {oid: 1.1, name: word, index: text}\n")])
    assert set(sensors(found)) == {"word abc", "word def", "word 2.97"}


def test_a_device_that_goes_silent_at_any_request_costs_only_what_it_did_not_say():
    made_of = made("  - {oid: 1.0, name: one}\n  - {oid: 2.1, name: two, where: {2.2: 1}}\n")
    device = FewValues(port(1, "eth0") | {f"{OURS}.1.0": 5, f"{OURS}.2.1.1": 6, f"{OURS}.2.2.1": 1})
    whole = explore(device.answer, [made_of])
    for answers in range(whole.requests):
        left = iter(range(answers))
        found = explore(lambda request, left=left: SILENCE if next(left, None) is None else device.answer(request), [made_of])
        assert found.broken or found.left_out or found.requests > whole.requests
        assert set(found.sensors) <= set(whole.sensors)


@pytest.mark.parametrize(
    ("version", "when"), [(Version.V2C, "9.0"), (Version.V2C, "9.4"), (Version.V1, "9.0"), (Version.V1, "9.4")]
)
def test_a_value_is_not_taken_if_what_says_how_it_counts_could_not_be_read(version, when):
    """By the second column it would be ten million times too large."""
    columns = (
        f"  - {{oid: 1.0, name: temperature, divisor: 10000000, when: {{{when}: v8}}}}\n  - {{oid: 1.0, name: temperature}}\n"
    )
    row = f"{OURS}.{when}" + ("" if when.endswith(".0") else ".1")
    device = FewValues({f"{OURS}.1.0": 430_000_000, row: "v8"})
    asked = parse_oid(f"{OURS}.{when}")
    before = parse_oid(f"{OURS}.{when}".removesuffix(".0"))  # what a v1 device is asked for

    def silent_there(request):
        return SILENCE if any(is_within(name, asked) or name == before for name in request.names) else device.answer(request)

    assert sensors(explore(device.answer, [made(columns)], version)) == {"temperature": (43, "")}
    cut_short = explore(silent_there, [made(columns)], version)
    assert sensors(cut_short) == {}
    assert left_out(cut_short)["temperature"] == "what says how the device counts it could not be read"
    older = FewValues({f"{OURS}.1.0": 43})
    assert sensors(explore(older.answer, [made(columns)], version)) == {"temperature": (43, "")}


def test_what_the_device_says_of_itself_and_why_the_discovery_ended_early():
    device = FewValues(
        {"1.3.6.1.2.1.1.1.0": "AIROS 8", "1.3.6.1.2.1.1.3.0": (ber.TIME_TICKS, 4711)}
        | {"1.3.6.1.2.1.1.5.0": "north", "1.3.6.1.2.1.1.6.0": "the \n mast"}
    )
    found = explore(device.answer, [])
    assert (found.system.name, found.system.descr, found.system.location) == ("north", "AIROS 8", "the mast")
    assert (found.system.uptime, found.system.object_id) == (4711, parse_oid(OURS))
    assert (found.broken, found.again) == ("", False)
    left = iter([True])
    cut = explore(lambda request: device.answer(request) if next(left, False) else SILENCE, [])
    assert cut.system == found.system
    assert (cut.broken, cut.again) == ("it stopped answering: timeout", True)


def test_a_value_without_a_unit_is_a_count_and_one_with_states_a_state():
    columns = (
        "  - {oid: 1.0, name: a}\n  - {oid: 2.0, name: b, unit: Celsius}\n  - {oid: 3.0, name: c, states: {7: on}}\n"
        "  - {oid: 4.0, name: d, unit: celsius, type: dewpoint}\n  - {oid: 5.0, name: e, unit: furlongs}\n"
    )
    device = FewValues({f"{OURS}.{n}.0": 7 for n in range(1, 6)})
    types = {sensor.name: sensor.type for sensor in explore(device.answer, [made(columns)]).sensors}
    assert types == {"a": "count", "b": "temperature", "c": "state", "d": "dewpoint", "e": "count"}


def test_an_index_that_is_not_a_text_or_an_address_is_shown_as_numbers():
    columns = "  - {oid: 1.1, name: word, index: text}\n  - {oid: 2.1, name: rate, index: mac}\n"
    device = FewValues({f"{OURS}.1.1.1.7": 1, f"{OURS}.1.1.300": 2, f"{OURS}.2.1.1.2.3": 3, f"{OURS}.2.1.1.2.3.4.5.256": 4})
    assert set(sensors(explore(device.answer, [made(columns)]))) == {"word 1.7", "word 300", "rate 1.2.3", "rate 1.2.3.4.5.256"}


def test_a_value_that_another_says_better_is_left_out_with_that_reason():
    columns = "  - {oid: 1.0, name: rounded, unless: 2.0}\n  - {oid: 2.0, name: fine}\n"
    found = explore(FewValues({f"{OURS}.1.0": 23, f"{OURS}.2.0": 231}).answer, [made(columns)])
    assert left_out(found) == {"rounded": "another value of the device says the same better"}


def test_a_device_that_answers_no_get_is_found_by_getnext():
    device = FewValues(port(1, "ether1") | {f"{OURS}.1.0": 7, "1.3.6.1.2.1.1.5.0": "north"}, OURS)

    def answer(request: Request) -> Answer:
        if request.type is not PduType.GET:
            return device.answer(request)
        count = len(request.names)
        return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, request.names, bytes([ber.NO_SUCH_OBJECT]) * count, [None] * count), 0.1, 0)

    found = explore(answer, [made("  - {oid: 1.0, name: x}")])
    assert (found.system.name, found.profiles, sensors(found)) == ("north", ("x",), {"x": (7, "")})
    assert [each.name for each in found.ports] == ["ether1"]


SAYS = {"1.3.6.1.2.1.1.1.0": "radio 7", "1.3.6.1.2.1.1.5.0": "north", "1.3.6.1.2.1.1.6.0": "the mast"}


def test_a_device_that_gives_the_first_value_for_each_oid_is_asked_one_at_a_time():
    """Its description is not its name, nor the OID by which its profile is found."""
    device = FewValues(port(1, "ether1") | {f"{OURS}.1.0": 7} | SAYS, OURS)

    def answer(request: Request) -> Answer:
        pdu = device.answer(request).pdu
        if request.type is not PduType.GET:
            return Reply(pdu, 0.1, 0)
        count = len(request.names)
        return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, request.names, pdu.tags[:1] * count, pdu.values[:1] * count), 0.1, 0)

    found = explore(answer, [made("  - {oid: 1.0, name: x}")])
    assert (found.system.descr, found.system.name, found.system.location) == ("radio 7", "north", "the mast")
    assert (found.profiles, sensors(found)) == (("x",), {"x": (7, "")})


def test_a_device_whose_sysobjectid_is_a_text_is_asked_for_as_much_as_any_other():
    values = SAYS | {f"{OURS}.{n}.0": n for n in range(1, 30)}
    columns = "".join(f"  - {{oid: {n}.0, name: n{n}}}\n" for n in range(1, 30))
    wanted = made(columns, match="{sysDescr: radio}")
    usual = explore(FewValues(values).answer, [wanted])
    odd = explore(FewValues(values | {"1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.99999"}).answer, [wanted])
    assert (odd.system.name, odd.sensors) == ("north", usual.sensors)
    assert odd.requests == usual.requests + 3
