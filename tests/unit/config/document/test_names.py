"""What a device's sensors and interfaces are called, for people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.names import Names, names_of
from towerops_agent.config.document.text import config_text

SENSORS = [
    {"id": "s1", "type": "temperature", "unit": "C", "metadata": {"descr": "board"}, "oid": "1.3.6.1"},
    {"id": "s2", "type": "voltage", "unit": " ", "oid": "1.3.6.1"},
    {"id": "s3", "metadata": {"description": "fan\n2\x1b[31m"}},
    {"id": "s4"},
    {"id": 5, "type": "x"},
    "no sensor",
]
INTERFACES = [{"id": "i1", "if_index": 3, "if_name": "sfp1"}, {"id": "i2", "if_index": 4}, {"id": "i3", "if_index": "4"}]


def names(*devices, wanted="d1") -> Names:
    return names_of(config_text(json.dumps({"equipment": list(devices)}).encode()), wanted)


def test_a_sensor_is_called_by_type_and_description_an_interface_by_name_or_index():
    other = {"id": "d2", "sensors": [{"id": "s1", "type": "other, of d1"}]}
    found = names(other, {"id": "d1", "sensors": SENSORS, "interfaces": INTERFACES})
    assert found.sensors == {"s1": "temperature, board", "s2": "voltage", "s3": "fan 2 [31m", "s4": "s4"}
    assert found.interfaces == {"i1": "sfp1", "i2": "interface 4", "i3": "i3"}
    assert found.units == {"s1": "C"}


def test_two_sensors_of_one_name_are_told_apart_by_their_ids():
    sensors = [{"id": i, "type": "fan"} for i in ("5b1f0c9e-0d8e", "5b1f0c9f-0d8e", "5b1f0c9e-ffff")]
    assert names({"id": "d1", "sensors": [*sensors, {"id": "t", "type": "temperature"}]}).sensors == {
        "5b1f0c9e-0d8e": "fan (5b1f0c9e-0d8e)",
        "5b1f0c9f-0d8e": "fan (5b1f0c9f)",
        "5b1f0c9e-ffff": "fan (5b1f0c9e-ffff)",
        "t": "temperature",
    }


def test_a_sensor_and_an_interface_of_one_id_have_a_name_each():
    sensors, interfaces = [{"id": "7", "type": "fan"}], [{"id": "7", "if_index": 7, "if_name": "ether7"}]
    found = names({"id": "d1", "sensors": sensors, "interfaces": interfaces})
    assert (found.sensors, found.interfaces) == ({"7": "fan"}, {"7": "ether7"})


def test_a_device_that_is_not_there_has_no_names():
    assert names({"id": "d2", "name": "d1"}) == Names()


def test_an_id_is_found_in_whatever_way_it_is_escaped():
    text = b'{"equipment": [{"id": "\\u0064\\u0031", "sensors": [{"id": "s", "type": "t"}]}]}'
    assert names_of(config_text(text), "d1").sensors == {"s": "t"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "metadata", "descr"]), inner),
    max_leaves=8,
)


@given(json_values, json_values)
def test_whatever_the_server_sends_names_are_texts_of_one_line(sensors, interfaces):
    found = names({"id": "d1", "sensors": sensors, "interfaces": interfaces})
    assert all(label.isprintable() for label in (*found.sensors.values(), *found.units.values()))


@pytest.mark.parametrize("metadata", [None, [], "board", {"descr": 7}, {"descr": ""}])
def test_metadata_without_words_adds_none(metadata):
    assert names({"id": "d1", "sensors": [{"id": "s", "type": "t", "metadata": metadata}]}).sensors == {"s": "t"}


def test_two_of_one_name_are_enough_to_have_their_ids_shown_and_states_have_words():
    sensors = [
        {"id": i, "type": "fan", "metadata": {"states": {"1": "on", "2": 7, "3": ""}}} for i in ("5b1f0c9e-0d8e", "5b1f0c9f-0d8e")
    ]
    found = names({"id": "d1", "sensors": sensors})
    assert found.sensors == {"5b1f0c9e-0d8e": "fan (5b1f0c9e)", "5b1f0c9f-0d8e": "fan (5b1f0c9f)"}
    assert found.words == {"5b1f0c9e-0d8e": {"1": "on"}, "5b1f0c9f-0d8e": {"1": "on"}}
