"""What the page shows of a configuration is what the agent polls, whatever the configuration is like."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.errors import InvalidConfig
from towerops_lab.sandbox.equipment import MAX_DEVICES, MAX_ITEMS, ShownItem, read_equipment

SENSOR = {"id": "s", "oid": "1.3.6.1", "type": "voltage", "unit": "V", "metadata": {"descr": "Battery"}}
DEVICE = {
    "id": "a",
    "name": "Radio",
    "ip_address": "2001:db8::1",
    "sensors": [SENSOR],
    "interfaces": [{"id": "i", "if_index": 3}],
}


def shown(*equipment: object, **more: object):
    return read_equipment(json.dumps({"equipment": equipment, **more}).encode())


def test_a_device_has_the_names_of_the_configuration():
    (device,), count = shown(DEVICE)
    assert count == 1
    assert (device.name, device.address, device.snmp, device.interval_us) == ("Radio", "[2001:db8::1]:161", "v2c", 60_000_000)
    assert device.items == (ShownItem("s", "sensor", "Battery", "V"), ShownItem("i", "interface", "interface 3", "bit/s"))


def test_values_that_are_states_have_their_words():
    sensor = SENSOR | {"metadata": {"states": {"2": "on line", "3": "on battery", "4": 5}}}
    (device,), _ = shown(DEVICE | {"sensors": [sensor], "interfaces": []})
    assert device.items == (ShownItem("s", "state", "voltage", "V", {"2": "on line", "3": "on battery"}),)


def test_it_shows_as_many_devices_as_a_page_has_room_for():
    devices, count = shown(*({"id": str(i), "ip_address": "h"} for i in range(MAX_DEVICES + 50)))
    assert (len(devices), count) == (MAX_DEVICES, MAX_DEVICES + 50)
    many = [SENSOR | {"id": str(i)} for i in range(MAX_ITEMS)]
    devices, count = shown({"id": "1", "ip_address": "h", "sensors": many}, DEVICE)
    assert (len(devices), count) == (1, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"equipment": 7}',
        b'{"equipment": [7, null, "x", [], {"id": null}]}',
        b'{"poll_interval_seconds": "soon", "equipment": [{"id": "a", "ip_address": "h", "poll_interval_seconds": "x"}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "snmp": []}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "sensors": 5, "interfaces": {}}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "sensors": [{"id": ["x"], "oid": "1.3"}]}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "sensors": [{"id": "s", "oid": "1.3.6", "metadata": [1]}]}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "sensors": [{"id": "s", "oid": "1.3.6", "metadata": {"states": 3}}]}]}',
        b'{"equipment": [{"id": "a", "ip_address": "h", "name": 5, "sensors": [{"id": "s", "oid": "1.3.6", "unit": {}}]}]}',
    ],
)
def test_a_configuration_of_odd_shape_shows_what_the_agent_would_poll(body):
    agrees(body)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)


def either(*fields: str, **sound: object):
    """An object with these fields, each sound or of any shape."""
    return st.fixed_dictionaries({name: st.sampled_from([value]) | ODD for name, value in sound.items()})


EQUIPMENT = either(
    id="a",
    ip_address="127.0.0.1",
    name="A",
    snmp={"version": "2c"},
    poll_interval_seconds=5,
    interfaces=[{"id": "i", "if_index": 1}],
)
SENSORS = st.lists(either(id="s", oid="1.3.6.1", unit="V", metadata={"descr": "B", "states": {"1": "on"}}), max_size=2)


@given(st.lists(EQUIPMENT.flatmap(lambda one: SENSORS.map(lambda sensors: one | {"sensors": sensors})) | ODD, max_size=3), ODD)
def test_any_configuration_shows_what_the_agent_would_poll(equipment, interval):
    agrees(json.dumps({"equipment": equipment, "poll_interval_seconds": interval}).encode())


def agrees(body: bytes) -> None:
    try:
        polled = [equipment for _, equipment in read_config(config_text(body)).equipment]
    except InvalidConfig:
        polled = []
    devices, count = read_equipment(body)
    assert count == len(polled)
    assert [device.id for device in devices] == [equipment.id for equipment in polled]
    for device, equipment in zip(devices, polled, strict=True):
        ids = dict.fromkeys(each.id for each in (*equipment.sensors, *equipment.interfaces))
        assert {item.id for item in device.items} == set(ids)
