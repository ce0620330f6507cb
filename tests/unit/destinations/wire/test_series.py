"""Names and labels of series: told apart within a device, with the operator's labels, and never another item's."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.equipment import read_config
from towerops_agent.destinations.wire.series import PING_METRICS, in_order, sensor_metric, series_of
from towerops_agent.model import Layout, LayoutKind
from towerops_agent.polling.course.device import layout_of
from towerops_agent.site.document.site import compile_site

SITE = """\
devices:
  - address: 10.0.0.1
    name: "mast \\"7\\""
    labels: {site: north}
    sensors:
      - {name: board, oid: 1.3.6.1.4.1.1, unit: celsius, labels: {where: top}}
      - {name: signal, oid: 1.3.6.1.4.1.2, unit: dBm}
      - {name: count, oid: 1.3.6.1.4.1.3}
    interfaces: [ether1, {name: sfp1, index: 7}, {index: 9, labels: {uplink: "yes"}}]
  - {address: "2001:db8::1", port: 1161}
  - {address: radio.example, port: 162}
"""


def compiled():
    result = compile_site([("a.yaml", SITE.encode())], lambda *_: "")
    assert result.config is not None
    return result.config


def devices() -> list[dict]:
    return [msgspec.json.decode(text) for text in compiled().items()]


def test_each_value_of_a_layout_has_its_name_and_labels():
    device = devices()[0]
    (_, equipment), *_ = read_config(compiled()).equipment
    found = in_order(layout_of(equipment), series_of(device, {"agent": "a1", "site": "of the agent"}))
    own = {"agent": "a1", "device": 'mast "7"', "instance": "10.0.0.1", "site": "north"}
    sensors = [dict(labels) for labels in found[:3]]
    assert sensors == [
        {**own, "__name__": "snmp_sensor_celsius", "sensor": "board", "where": "top"},
        {**own, "__name__": "snmp_sensor_dbm", "sensor": "signal"},
        {**own, "__name__": "snmp_sensor", "sensor": "count"},
    ]
    octets = [dict(labels) for labels in found[3::6]]
    assert octets == [
        {**own, "__name__": "snmp_interface_in_octets_total", "ifName": "ether1"},
        {**own, "__name__": "snmp_interface_in_octets_total", "ifName": "sfp1", "ifIndex": "7"},
        {**own, "__name__": "snmp_interface_in_octets_total", "ifIndex": "9", "uplink": "yes"},
    ]
    assert len(found) == 3 + 3 * 6
    assert len(set(found)) == len(found)
    assert all(list(labels) == sorted(labels) for labels in found)


def test_a_state_has_two_series_and_a_port_of_its_own_is_in_the_instance():
    device = devices()[1]
    found = in_order(Layout(device["id"], kind=LayoutKind.STATE), series_of(device, {}))
    assert [dict(labels)["__name__"] for labels in found] == ["snmp_up", "snmp_response_seconds"]
    assert {dict(labels)["instance"] for labels in found} == {"[2001:db8::1]:1161"}


def test_a_port_of_its_own_behind_a_name():
    device = devices()[2]
    (labels, _) = series_of(device, {})["state", device["id"]]
    assert dict(labels)["instance"] == "radio.example:162"


def test_a_state_of_a_device_that_is_not_configured_any_more_has_no_labels():
    assert in_order(Layout("gone", kind=LayoutKind.STATE), {}) == [(), ()]


def test_an_item_that_is_not_configured_any_more_has_no_labels_and_moves_no_others():
    device = devices()[0]
    first, second = device["sensors"][:2]
    layout = Layout(device["id"], ((first["id"], 1), ("gone", 1), (second["id"], 1)), ("gone too", device["interfaces"][0]["id"]))
    found = in_order(layout, series_of(device, {}))
    assert [dict(labels).get("sensor") for labels in found[:3]] == ["board", None, "signal"]
    assert [dict(labels).get("ifName") for labels in found[3:]] == [None] * 6 + ["ether1"] * 6


API_DEVICE = {
    "id": "e1",
    "name": " North  Tower ",
    "ip_address": "[2001:db8::1]",
    "snmp": {"version": "2c", "port": 161},
    "labels": ["not", "ours"],
    "sensors": [
        {"id": "s1", "type": "temperature", "oid": "1.2.1", "unit": "C", "metadata": {"descr": "board"}},
        {"id": "s2", "type": "temperature", "oid": "1.2.2", "unit": "C", "metadata": {"descr": "board"}},
        {"id": "s3", "type": "voltage", "oid": "1.2.3", "unit": None},
        {"id": "s4", "oid": "1.2.4", "metadata": 7},
        {"id": "s5", "type": "", "oid": "1.2.4"},
        {"id": 9, "oid": "1.2.5"},
    ],
    "interfaces": [
        {"id": "i1", "if_index": 3, "if_name": "ether1"},
        {"id": "i2", "if_index": 3, "if_name": "ether1"},
        {"id": "i3"},
    ],
}


def test_a_device_of_the_api_has_labels_of_the_same_kind_and_items_alike_are_told_apart():
    """By what stays: the OID, or if several have it the id."""
    found = {item: dict(series[0]) for item, series in series_of(API_DEVICE, {"agent": "a1"}).items()}
    own = {"agent": "a1", "device": "North Tower", "instance": "2001:db8::1"}
    assert found == {
        ("state", "e1"): {**own, "__name__": "snmp_up"},
        ("pings", "e1"): {**own, "__name__": "ping_sent"},
        ("sensor", "s1"): {**own, "__name__": "snmp_sensor_celsius", "sensor": "board", "index": "1.2.1"},
        ("sensor", "s2"): {**own, "__name__": "snmp_sensor_celsius", "sensor": "board", "index": "1.2.2"},
        ("sensor", "s3"): {**own, "__name__": "snmp_sensor", "sensor": "voltage"},
        ("sensor", "s4"): {**own, "__name__": "snmp_sensor", "sensor": "1.2.4", "index": "s4"},
        ("sensor", "s5"): {**own, "__name__": "snmp_sensor", "sensor": "1.2.4", "index": "s5"},
        ("interface", "i1"): {
            **own,
            "__name__": "snmp_interface_in_octets_total",
            "ifName": "ether1",
            "ifIndex": "3",
            "index": "i1",
        },
        ("interface", "i2"): {
            **own,
            "__name__": "snmp_interface_in_octets_total",
            "ifName": "ether1",
            "ifIndex": "3",
            "index": "i2",
        },
        ("interface", "i3"): {**own, "__name__": "snmp_interface_in_octets_total"},
    }


def test_a_device_a_sensor_and_an_interface_may_have_the_same_id():
    """As on a server that counts each kind from 1: an interface's counters never stand under a sensor's name."""
    device = {
        "id": "1",
        "name": "tower",
        "ip_address": "10.0.0.1",
        "sensors": [{"id": str(n), "oid": f"1.2.{n}", "unit": "C"} for n in (1, 2)],
        "interfaces": [{"id": str(n), "if_index": n, "if_name": f"ether{n}"} for n in (2, 1)],
    }
    found = [dict(labels) for labels in in_order(Layout("1", (("1", 1), ("2", 1)), ("2", "1")), series_of(device, {}))]
    assert [labels.get("sensor") for labels in found] == ["1.2.1", "1.2.2"] + [None] * 12
    assert [labels.get("ifName") for labels in found] == [None] * 2 + ["ether2"] * 6 + ["ether1"] * 6
    state = in_order(Layout("1", kind=LayoutKind.STATE), series_of(device, {}))
    assert [dict(labels)["__name__"] for labels in state] == ["snmp_up", "snmp_response_seconds"]


def test_of_items_that_share_an_id_the_polled_one_gives_the_labels():
    sensors = [{"id": "s1", "oid": "1.2.1", "type": "first"}, {"id": "s1", "oid": "1.2.2", "type": "second"}]
    (labels,) = series_of({**API_DEVICE, "sensors": sensors}, {})["sensor", "s1"]
    assert dict(labels)["sensor"] == "first"


its_labels = st.dictionaries(st.sampled_from(["site", "where", "index"]), st.sampled_from(["", "x", "1"]))


@given(
    st.lists(
        st.fixed_dictionaries(
            {"oid": st.sampled_from(["1", "2"])},
            optional={
                "labels": its_labels,
                "type": st.sampled_from(["a", ""]),
                "unit": st.sampled_from(["", "C", "c"]),
                "metadata": st.just({"name": "a"}),
            },
        ),
        max_size=6,
    ),
    st.lists(its_labels, max_size=4),
    its_labels,
)
def test_no_two_series_of_a_device_have_the_same_labels(sensors, interfaces, own):
    """Whatever labels the operator gives to the device, and to some of its items once more."""
    device = {
        **API_DEVICE,
        "labels": own,
        "sensors": [{**sensor, "id": f"s{n}"} for n, sensor in enumerate(sensors)],
        "interfaces": [{"id": f"i{n}", "if_index": 1, "labels": labels} for n, labels in enumerate(interfaces)],
    }
    series = [labels for some in series_of(device, {"site": "x"}).values() for labels in some]
    assert len(set(series)) == len(series)


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("", "snmp_sensor"),
        ("C", "snmp_sensor_celsius"),
        ("°C", "snmp_sensor_celsius"),
        ("%", "snmp_sensor_percent"),
        ("V", "snmp_sensor_volts"),
        ("dBm", "snmp_sensor_dbm"),
        ("m/s", "snmp_sensor_m_per_s"),
        ("_rpm", "snmp_sensor_rpm"),
        ("µ", "snmp_sensor"),
    ],
)
def test_a_unit_is_a_part_of_the_name(unit, name):
    assert sensor_metric(unit) == name


def test_pings_have_series_of_their_own_and_a_device_without_snmp_has_only_those():
    device = {**API_DEVICE, "snmp": {"enabled": False}}
    pings, state = Layout(device["id"], kind=LayoutKind.PINGS), Layout(device["id"], kind=LayoutKind.STATE)
    names = [dict(labels)["__name__"] for labels in in_order(pings, series_of(device, {}))]
    assert names == list(PING_METRICS)
    assert in_order(pings, series_of(API_DEVICE, {})) == in_order(pings, series_of({**device, "snmp": None}, {}))
    assert in_order(state, series_of(device, {})) == [(), ()]
    assert in_order(pings, {}) == [()] * 6
