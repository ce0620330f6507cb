"""A device of a site file is the JSON object that the API would have for it, under ids that stay."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.errors import InvalidConfig
from towerops_agent.site.document.credentials import SnmpFields
from towerops_agent.site.document.device import (
    INHERITED,
    KEYS,
    NAMESPACE,
    Inherited,
    SiteDevice,
    inherited,
    interface_id,
    made_id,
    read_device,
    sensor_id,
    site_id,
)
from towerops_agent.site.document.nodes import Location, Mistake, Section, compose

SETS = {"a": SnmpFields({"version": "1", "community": "hush"}, frozenset({"community"})), "b": SnmpFields({"version": "2c"})}


def named(name: str) -> SnmpFields:
    if name not in SETS:
        raise InvalidConfig(f"credentials is {name}: expected another one")
    return SETS[name]


def section(text: str, known: tuple[str, ...] = KEYS) -> Section:
    return Section("a.yaml", "a device", compose("a.yaml", text.encode()), known)


def read(text: str, before: Inherited | None = None) -> SiteDevice:
    return read_device(section(text), before or Inherited(), named)


@given(st.text())
def test_an_id_is_the_uuid_of_version_5_that_python_makes(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    assert made_id(name) == str(uuid5(NAMESPACE, name))


def test_ids_never_change():
    """Values are stored and delivered under them."""
    assert UUID("6b0b4f3c-6d1b-5f0e-9c8e-2f7a0d3b5a11") == NAMESPACE
    assert site_id("Mast.Example", 161) == str(uuid5(NAMESPACE, "mast.example|161"))
    assert sensor_id("Mast.Example", 1161, "1.3.6.1") == str(uuid5(NAMESPACE, "mast.example|1161|1.3.6.1"))
    assert interface_id("10.0.0.1", 161, "Ether1") == str(uuid5(NAMESPACE, "10.0.0.1|161|interface Ether1"))
    assert interface_id("FE80::1", 161, 7) == str(uuid5(NAMESPACE, "fe80::1|161|interface 7"))


def test_a_device_that_says_nothing_but_its_address_is_polled_as_by_default():
    assert read("  address: 10.0.0.1\n") == SiteDevice(
        name="10.0.0.1",
        place=Location("a.yaml", 1, 12),
        host="10.0.0.1",
        port=161,
        wire={
            "id": site_id("10.0.0.1", 161),
            "name": "10.0.0.1",
            "ip_address": "10.0.0.1",
            "snmp": {"port": 161, "transport": "udp"},
            "poll_interval_seconds": 60,
            "labels": {},
            "sensors": [],
            "interfaces": [],
        },
        secret=frozenset(),
        refused=[],
        is_auto=False,
    )


FULL = """\
name: north
address: Mast.example
credentials: a
interval: 30
port: 1161
transport: TCP
profile: auto
labels: {z: '1', a: x}
ping: {count: 3, interval: 10}
sensors:
  - {name: tank, oid: .1.3.6.1.9, type: level, divisor: 10, unit: m, labels: {at: top}, states: {1: ok, -2: bad}, skip: [7, -1]}
  - {name: bare, oid: 1.3.6.1.8}
interfaces: [ether1, {name: sfp1, index: 7, labels: {to: south}}, {index: 9}]
"""


def test_a_device_has_all_that_it_says():
    at = "Mast.example", 1161
    device = read(FULL)
    assert (device.name, device.host, device.port, device.is_auto) == ("north", *at, True)
    assert (str(device.place), device.secret, device.refused) == ("a.yaml:2:10", {"community"}, [])
    assert device.wire == {
        "id": site_id(*at),
        "name": "north",
        "ip_address": "Mast.example",
        "snmp": {"version": "1", "community": "hush", "port": 1161, "transport": "tcp"},
        "poll_interval_seconds": 30,
        "labels": {"a": "x", "z": "1"},
        "ping": {"enabled": True, "count": 3, "interval_seconds": 10},
        "sensors": [
            {
                "id": sensor_id(*at, "1.3.6.1.9"),
                "type": "level",
                "oid": "1.3.6.1.9",
                "divisor": 10.0,
                "unit": "m",
                "skip": [-1, 7],
                "metadata": {"descr": "tank", "states": {"1": "ok", "-2": "bad"}},
                "labels": {"at": "top"},
            },
            {"id": sensor_id(*at, "1.3.6.1.8"), "oid": "1.3.6.1.8", "metadata": {"descr": "bare"}},
        ],
        "interfaces": [
            {"id": interface_id(*at, "ether1"), "if_index": 0, "if_name": "ether1"},
            {"id": interface_id(*at, "sfp1"), "if_index": 7, "if_name": "sfp1", "labels": {"to": "south"}},
            {"id": interface_id(*at, 9), "if_index": 9},
        ],
    }
    assert list(device.wire["labels"]) == ["a", "z"]


DEFAULTS = (
    "credentials: a\ninterval: 7\nport: 99\ntransport: tcp\nlabels: {a: b, c: d}\nping: {count: 2}\nsnmp: no\nprofile: auto\n"
)


def test_what_defaults_say_holds_unless_a_device_says_otherwise():
    first = inherited(section(DEFAULTS, INHERITED), Inherited())
    assert first == Inherited(
        "a", 7, 99, "tcp", {"a": "b", "c": "d"}, {"enabled": True, "count": 2}, has_snmp=False, is_auto=True
    )
    assert inherited(section("{}"), first) == first
    other = section("{credentials: b, interval: 8, port: 98, transport: udp, labels: {c: x}, ping: off, snmp: on, profile: none}")
    assert inherited(other, first) == Inherited(
        "b", 8, 98, "udp", {"a": "b", "c": "x"}, {"enabled": False}, has_snmp=True, is_auto=False
    )


@pytest.mark.parametrize(
    ("ping", "expected"),
    [
        ("true", {"enabled": True}),
        ("no", None),
        ("{}", {"enabled": True}),
        ("{count: 20}", {"enabled": True, "count": 20}),
        ("{interval: 86400}", {"enabled": True, "interval_seconds": 86_400}),
    ],
)
def test_a_device_is_pinged_as_it_says(ping, expected):
    assert (
        read(f"{{address: 10.0.0.1, ping: {ping}}}", Inherited(ping={"enabled": True, "count": 9})).wire.get("ping") == expected
    )


def test_a_device_without_snmp_is_only_pinged_and_never_discovered():
    device = read("{address: 10.0.0.1, snmp: no, ping: yes, profile: auto}")
    assert device.wire["snmp"] == {"port": 161, "transport": "udp", "enabled": False}
    assert device.wire["ping"] == {"enabled": True}
    assert not device.is_auto


@pytest.mark.parametrize(
    ("text", "before", "said"),
    [
        ("name: x", Inherited(), "1:1: address is missing: expected an IPv4 address, an IPv6 address or a DNS name"),
        ("name: x\naddress: ", Inherited(), "2:1: address is empty: expected an IPv4 address, an IPv6 address or a DNS name"),
        ("address: x", Inherited(credentials="c"), "1:10: credentials is c: expected another one"),
        ("{credentials: c, address: x}", Inherited(), "1:15: credentials is c: expected another one"),
        (
            "{address: x, credentials: }",
            Inherited(),
            "1:14: credentials is empty: expected the name of a set of credentials",
        ),
        (
            "address: x\ncredentials: ~",
            Inherited(credentials="c"),
            "2:1: credentials is empty: expected the name of a set of credentials",
        ),
        ("address: x", Inherited(has_snmp=False), "1:10: snmp is false: expected ping: true, or nothing is asked"),
        ("{address: x, snmp: no}", Inherited(), "1:20: snmp is false: expected ping: true, or nothing is asked"),
        (
            "{address: x, snmp: no}",
            Inherited(ping={"enabled": False}),
            "1:20: snmp is false: expected ping: true, or nothing is asked",
        ),
        (
            "{address: x, snmp: no, ping: on, sensors: []}",
            Inherited(),
            "1:43: sensors of a device whose snmp is false: expected none",
        ),
        (
            "{address: x, interfaces: [a]}",
            Inherited(has_snmp=False, ping={"enabled": True}),
            "1:26: interfaces of a device whose snmp is false: expected none",
        ),
        ("{address: x, interval: 86401}", Inherited(), "1:24: interval is '86401': expected a whole number from 1 to 86400"),
        ("{address: x, port: 0}", Inherited(), "1:20: port is '0': expected a whole number from 1 to 65535"),
        (
            "{address: x, credentials: !a }",
            Inherited(credentials="b"),
            "1:27: credentials begins with !, which YAML takes for a tag: expected it in quotes",
        ),
        ("{address: x, snmp: 1}", Inherited(), "1:20: snmp is '1': expected true or false"),
        ("{address: x, ping: {count: 0}}", Inherited(), "1:28: count is '0': expected a whole number from 1 to 20"),
        (
            "{address: x, ping: {interval: 0}}",
            Inherited(),
            "1:31: interval is '0': expected a whole number from 1 to 86400",
        ),
        ("{address: x, labels: [a]}", Inherited(), "1:22: labels is a list: expected a mapping, as in key: value"),
        (
            "{address: x, labels: {__a: b}}",
            Inherited(),
            "1:23: label '__a': expected letters, digits and _, as Prometheus allows",
        ),
        (
            "{address: x, labels: {a b: c}}",
            Inherited(),
            "1:23: label 'a b': expected letters, digits and _, as Prometheus allows",
        ),
        ("{address: x, labels: {a: }}", Inherited(), "1:23: a is empty: expected a text"),
        (
            "{address: x, labels: {job: b}}",
            Inherited(),
            "1:23: label job is one that the agent or Prometheus makes: expected another name",
        ),
    ],
)
def test_a_mistake_in_the_device_itself_refuses_it_at_the_place_of_the_mistake(text, before, said):
    with pytest.raises(Mistake) as caught:
        read(text, before)
    assert str(caught.value) == f"a.yaml:{said}"


# The item, as the contract's refusal calls it, and its problem

ITEMS = {
    "sensors: [7]": ("sensor", "#1", "2:11: a sensor is a text: expected a mapping, as in key: value"),
    "sensors: [{oid: 1.3.1}]": ("sensor", "#1", "2:11: name is missing: expected it in a sensor"),
    "sensors: [{name: , oid: 1.3.1}]": ("sensor", "#1", "2:12: name is empty: expected a text"),
    "sensors: [{name: n, oid: 1.3.1}, {nam: n}]": ("sensor", "#2", "2:35: nam is not a key of a sensor: expected name"),
    "sensors: [{name: n}]": ("sensor", "n", "2:11: oid is missing: expected it in a sensor"),
    "sensors: [{name: n, oid: x}]": (
        "sensor",
        "n",
        "2:26: oid is 'x': expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0",
    ),
    "sensors: [{name: n, oid: 1.3.1}, {name: n, oid: 1.3.2}]": (
        "sensor",
        "n",
        "2:41: name is 'n', which an earlier sensor of the device has",
    ),
    "sensors: [{name: n, oid: 1.3.1}, {name: m, oid: .1.3.1}]": (
        "sensor",
        "m",
        "2:49: oid is 1.3.1, which an earlier sensor of the device has",
    ),
    "sensors: [{name: n, oid: 1.3.1, divisor: }]": ("sensor", "n", "2:33: divisor is empty: expected a number"),
    "sensors: [{name: n, oid: 1.3.1, divisor: x}]": ("sensor", "n", "2:42: divisor is 'x': expected a number"),
    "sensors: [{name: n, oid: 1.3.1, divisor: -0.0}]": ("sensor", "n", "2:42: divisor is '-0.0': expected a number other than 0"),
    "sensors: [{name: n, oid: 1.3.1, unit: [m]}]": ("sensor", "n", "2:39: unit is a list: expected a text"),
    "sensors: [{name: n, oid: 1.3.1, type: [m]}]": ("sensor", "n", "2:39: type is a list: expected a text"),
    "sensors: [{name: n, oid: 1.3.1, labels: {le: x}}]": (
        "sensor",
        "n",
        "2:42: label le is one that the agent or Prometheus makes: expected another name",
    ),
    "sensors: [{name: n, oid: 1.3.1, states: [up]}]": (
        "sensor",
        "n",
        "2:41: states is a list: expected a mapping, as in key: value",
    ),
    "sensors: [{name: n, oid: 1.3.1, states: {up: 1}}]": ("sensor", "n", "2:42: state 'up': expected a whole number"),
    "sensors: [{name: n, oid: 1.3.1, states: {12345678901: x}}]": (
        "sensor",
        "n",
        "2:42: state '12345678901': expected a whole number",
    ),
    "sensors: [{name: n, oid: 1.3.1, skip: }]": ("sensor", "n", "2:33: skip is empty: expected a number, or a list of numbers"),
    "sensors: [{name: n, oid: 1.3.1, skip: [1, ~]}]": ("sensor", "n", "2:43: skip is empty: expected a number"),
    "sensors: [{name: n, oid: 1.3.1, skip: n/a}]": ("sensor", "n", "2:39: skip is 'n/a': expected a number"),
    "sensors: [{name: n, oid: 1.3.1, skip: [1, inf]}]": ("sensor", "n", "2:43: skip is 'inf': expected a number"),
    "sensors: [{name: n, oid: 1.3.1, skip: {1: off}}]": ("sensor", "n", "2:39: skip is a mapping: expected a number"),
    "sensors: [{name: n, oid: 1.3.1, skip: 4, states: {4: off}}]": (
        "sensor",
        "n",
        "2:39: skip has 4, which is the state 'off': expected a number that is not a state",
    ),
    "sensors: [{name: n, oid: 1.3.1, states: {1: }}]": ("sensor", "n", "2:42: 1 is empty: expected a text"),
    "interfaces: [[a]]": ("interface", "#1", "2:14: an interface is a list: expected a mapping, as in key: value"),
    "interfaces: [~]": ("interface", "#1", "2:14: an interface is empty: expected a mapping, as in key: value"),
    "interfaces: ['']": ("interface", "#1", "2:14: an interface is empty: expected a text"),
    "interfaces: [a, {labels: {a: b}}]": (
        "interface",
        "#2",
        "2:17: an interface without name and index: expected one of them, or both",
    ),
    "interfaces: [{indx: 1}]": ("interface", "#1", "2:15: indx is not a key of an interface: expected index"),
    "interfaces: [{index: 0}]": ("interface", "#1", "2:22: index is '0': expected a whole number from 1 to 4294967295"),
    "interfaces: [ether1, Ether1]": ("interface", "Ether1", "2:22: interface Ether1 is given twice: expected it once"),
    "interfaces: [{index: 3}, {index: 3}]": (
        "interface",
        "ifIndex 3",
        "2:26: interface ifIndex 3 is given twice: expected it once",
    ),
}


@pytest.mark.parametrize("text", ITEMS)
def test_a_mistake_in_an_item_refuses_only_that_by_its_name_or_its_number(text):
    kind, item, said = ITEMS[text]
    device = read(f"{{address: x, name: mast,\n{text}}}")
    (one,) = device.refused
    assert (one.kind, one.equipment, one.item, str(one.problem)) == (kind, "mast", item, f"a.yaml:{said}")
    given = section(f"{{address: x,\n{text}}}").items(f"{kind}s")
    assert len(device.wire[f"{kind}s"]) == len(given) - 1, "the others are polled"


def test_what_follows_a_refused_item_is_read():
    """And one that was refused claims neither its name nor its OID."""
    device = read(
        "{address: x, interfaces: [{indx: 1}, b, B, c],\n"
        "sensors: [{name: n, oid: 1.3.1, unit: []}, {name: n, oid: 1.3.1}, {name: n, oid: 1.3.2}, {name: m, oid: 1.3.3}]}"
    )
    assert [sensor["metadata"]["descr"] for sensor in device.wire["sensors"]] == ["n", "m"]
    assert [interface["if_name"] for interface in device.wire["interfaces"]] == ["b", "c"]
    assert [(one.kind, one.item) for one in device.refused] == [
        ("sensor", "n"),
        ("sensor", "n"),
        ("interface", "#1"),
        ("interface", "B"),
    ]


def test_an_interface_by_name_and_one_by_its_index_are_two():
    device = read("{address: x, interfaces: [{name: a, index: 3}, {index: 3}, b]}")
    assert (len(device.wire["interfaces"]), device.refused) == (3, [])
