"""Whatever the API sends as its configuration, the agent survives, and good items survive bad neighbours."""

import json
from contextlib import suppress
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.errors import InvalidConfig
from towerops_agent.model import Equipment

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.just(10**400)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)

SNMP_FIELDS = (
    *("enabled", "version", "community", "port", "transport", "v3_security_level", "v3_username"),
    *("v3_auth_protocol", "v3_auth_password", "v3_priv_protocol", "v3_priv_password"),
)


def likely(*values):
    """Now and then a value that is right, else anything."""
    return st.sampled_from(values) | anything


def objects(**fields):
    return st.fixed_dictionaries({}, optional=fields) | anything


snmps = objects(**{name: likely("3", "authPriv", "SHA", "AES", "eight characters", 161) for name in SNMP_FIELDS})
sensors = objects(id=likely("s1", "s2"), oid=likely("1.3.6.1.2.1.1.3.0", ".1.3"), divisor=likely(0, 10, 1e-290))
interfaces = objects(id=likely("i1", "i2"), if_index=likely(1, 2), if_name=likely("ether1"))
devices = objects(
    id=likely("e1", "e2"),
    name=likely("Tower"),
    ip_address=likely("10.0.0.1", "::1", "tower.example.net"),
    snmp=snmps,
    poll_interval_seconds=likely(60),
    ping=objects(enabled=likely(True, False), count=likely(5, 21), interval_seconds=likely(10)),
    sensors=st.lists(sensors, max_size=3) | anything,
    interfaces=st.lists(interfaces, max_size=3) | anything,
)
configs = objects(
    version=likely("1"),
    poll_interval_seconds=likely(60),
    equipment=st.lists(devices, max_size=4) | anything,
    accepts=objects(content_encodings=anything, max_metrics=anything, max_body_bytes=anything, metric_types=anything),
)

GOOD = {
    "id": "good",
    "ip_address": "10.9.9.9",
    "sensors": [{"id": "s", "oid": "1.3.6.1"}],
    "interfaces": [{"id": "i", "if_index": 7}],
}


def check(equipment: Equipment) -> None:
    """What a poller relies on."""
    assert equipment.id
    assert equipment.name
    assert equipment.interval_s > 0
    assert 1 <= equipment.port <= 65535
    assert all(sensor.oid and sensor.divisor and abs(2**64 / sensor.divisor) < float("inf") for sensor in equipment.sensors)
    assert all(interface.if_index > 0 for interface in equipment.interfaces)
    for items in (equipment.sensors, equipment.interfaces):
        assert len({item.id for item in items}) == len(items)
    if equipment.host[0].isdigit() and equipment.host.count(".") == 3:
        ip_address(equipment.host)


@given(configs)
def test_any_json_is_read_or_is_not_a_configuration(config):
    try:
        read = read_config(config_text(json.dumps(config).encode()))
    except InvalidConfig:
        return
    devices = [equipment for _, equipment in read.equipment]
    for equipment in devices:
        check(equipment)
    assert len({equipment.id for equipment in devices}) == len(devices)
    assert read.accepts.max_metrics >= 1
    assert all(refusal.reason.isprintable() for refusal in read.refusals)


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_are_not_a_configuration(octets):
    for body in (octets, b'{"equipment":[' + octets + b"]}"):
        with suppress(InvalidConfig):
            list(read_config(config_text(body)).equipment)


@given(st.lists(devices, max_size=3), st.lists(devices, max_size=3))
def test_a_good_device_survives_its_neighbours(before, after):
    read = read_config(config_text(json.dumps({"equipment": [*before, GOOD, *after]}).encode()))
    (good,) = [equipment for _, equipment in read.equipment if equipment.id == "good"]
    assert good.host == "10.9.9.9"
    assert (len(good.sensors), len(good.interfaces)) == (1, 1)


@given(st.lists(sensors, max_size=4), st.lists(interfaces, max_size=4))
def test_good_items_survive_bad_neighbours(bad_sensors, bad_interfaces):
    device = GOOD | {
        "sensors": [*bad_sensors, {"id": "good", "oid": "1.3.6.1"}],
        "interfaces": [*bad_interfaces, {"id": "good", "if_index": 7}],
    }
    read = read_config(config_text(json.dumps({"equipment": [device]}).encode()))
    ((_, equipment),) = read.equipment
    assert "good" in [sensor.id for sensor in equipment.sensors]
    assert "good" in [interface.id for interface in equipment.interfaces]
