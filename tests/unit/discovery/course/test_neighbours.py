"""Neighbours as the device has heard them, each once a port, named as well as the tables allow."""

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import Neighbour
from towerops_agent.discovery.course.neighbours import CDP, LLDP, MNDP, TABLES, columns_of, find_neighbours
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid
from towerops_agent.snmp.wire.message import Version

MAC = b"\0\x11\x22\x33\x44\x55"
OURS = "1.0.8802.1.1.2.1.3.7.1"
L, C, M = map(format_oid, TABLES)


def neighbours(values: dict[str, int | bytes], ports: dict[int, str] | None = None) -> list[Neighbour]:
    questions = Questions(Version.V2C)
    columns = columns_of(list(TABLES))
    for oid, value in values.items():
        (column,) = [one for one in columns if oid.startswith(f"{format_oid(one)}.")]
        index = tuple(map(int, oid.removeprefix(f"{format_oid(column)}.").split(".")))
        questions.columns[column][index] = (ber.INTEGER if isinstance(value, int) else ber.OCTET_STRING, value)
    return find_neighbours(list(TABLES), questions, ports or {})


def test_only_the_columns_of_tables_that_are_there_are_needed():
    assert columns_of([]) == []
    assert [format_oid(column) for column in columns_of([CDP])] == [f"{C}.{part}" for part in (6, 7, 8)]
    assert [format_oid(column) for column in columns_of([MNDP])] == [f"{M}.{part}" for part in (3, 5, 6, 8)]
    assert [format_oid(column) for column in columns_of([LLDP])] == [
        *(f"{L}.{part}" for part in (5, 7, 8, 9, 10)),
        *(f"{OURS}.{part}" for part in (4, 3)),
    ]
    assert columns_of([CDP, MNDP]) == [*columns_of([CDP]), *columns_of([MNDP])]
    assert find_neighbours([], Questions(Version.V2C), {}) == []


def test_by_lldp_a_port_is_its_description_else_its_id_else_the_interface_else_its_number():
    chassis = {f"{L}.5.0.{port}.1": b"far" for port in (1, 2, 3, 4)}
    own = {f"{OURS}.4.1": b"described", f"{OURS}.3.1": b"id1", f"{OURS}.3.2": b"id2", f"{OURS}.4.2": b""}
    found = neighbours(chassis | own, {1: "a", 2: "b", 3: "ether3"})
    assert [each.port for each in found] == ["described", "id2", "ether3", "port 4"]
    assert {each.protocol for each in found} == {"LLDP"}


def test_by_lldp_a_neighbour_is_its_name_else_its_chassis_and_its_port_the_description_else_the_id():
    values = {
        f"{L}.5.0.1.1": MAC,
        f"{L}.7.0.1.1": b"id",
        f"{L}.8.0.1.1": b"uplink",
        f"{L}.9.0.1.1": b"core",
        f"{L}.10.0.1.1": b"OS",
        f"{L}.5.0.2.1": MAC,
        f"{L}.7.0.2.1": MAC,
        f"{L}.8.0.2.1": b"",
        f"{L}.9.0.2.1": b"",
    }
    assert neighbours(values) == [
        Neighbour("port 1", "core", "uplink", "OS", "LLDP"),
        Neighbour("port 2", "00:11:22:33:44:55", "00:11:22:33:44:55", "", "LLDP"),
    ]


def test_a_row_of_lldp_without_its_three_indexes_is_left_out_and_costs_no_other():
    rows = {f"{L}.5.0.1": b"short", f"{L}.5.0.1.1": b"right", f"{L}.5.0.1.1.9": b"long"}
    assert [each.name for each in neighbours(rows)] == ["right"]


def test_by_cdp_the_first_index_is_the_interface():
    values = {f"{C}.6.3.1": b"sw1", f"{C}.7.3.1": b"Gi0/1", f"{C}.8.3.1": b"cisco", f"{C}.6.9.1": b"sw2"}
    assert neighbours(values, {3: "ether3"}) == [
        Neighbour("ether3", "sw1", "Gi0/1", "cisco", "CDP"),
        Neighbour("interface 9", "sw2", "", "", "CDP"),
    ]


def test_by_mndp_a_column_is_the_interface_and_without_it_no_port_is_made_up():
    values = {
        f"{M}.3.1": MAC,
        f"{M}.5.1": b"MikroTik",
        f"{M}.6.1": b"north",
        f"{M}.8.1": 3,
        f"{M}.3.2": MAC,
        f"{M}.8.2": 9,
        f"{M}.3.3": MAC,
        f"{M}.6.3": b"lost",
        f"{M}.8.3": b"ether3",
        f"{M}.3.4": MAC,
        f"{M}.6.4": b"none",
    }
    assert neighbours(values, {3: "ether3", 0: "wrong", 1: "wrong"}) == [
        Neighbour("ether3", "north", "", "MikroTik", "MNDP"),
        Neighbour("interface 9", "00:11:22:33:44:55", "", "", "MNDP"),
        Neighbour("", "lost", "", "", "MNDP"),
        Neighbour("", "none", "", "", "MNDP"),
    ]


def test_six_octets_are_an_address_unless_they_are_a_word():
    values = {
        f"{C}.6.{n}.1": text for n, text in enumerate((MAC, b"switch", b"\0\x11\x22\x33\x44", b"\0\x11\x22\x33\x44\x55\x66"))
    }
    assert [each.name for each in neighbours(values)] == ["00:11:22:33:44:55", "switch", "", ""]


def test_one_that_is_heard_twice_on_a_port_is_one_and_the_later_row_says_of_which_platform():
    values = {f"{C}.6.3.1": b"sw", f"{C}.6.3.2": b"sw", f"{C}.8.3.2": b"cisco", f"{C}.6.4.1": b"sw", f"{L}.5.0.1.1": b"far"}
    assert [(each.port, each.name, each.platform, each.protocol) for each in neighbours(values, {3: "a"})] == [
        ("port 1", "far", "", "LLDP"),
        ("a", "sw", "cisco", "CDP"),
        ("interface 4", "sw", "", "CDP"),
    ]


def test_the_tables_are_where_their_mibs_have_them():
    """LLDP-MIB: lldpRemTable; CISCO-CDP-MIB: cdpCacheTable; MIKROTIK-MIB: mtxrNeighborTable."""
    places = ["1.0.8802.1.1.2.1.4.1.1", "1.3.6.1.4.1.9.9.23.1.2.1.1", "1.3.6.1.4.1.14988.1.1.11.1.1"]
    assert [format_oid(table) for table in (LLDP, CDP, MNDP)] == places
