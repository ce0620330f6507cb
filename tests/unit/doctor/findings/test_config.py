"""The doctor's judgement of the configuration."""

import json

from towerops_agent.config.document.text import config_text
from towerops_agent.doctor.findings.check import Mark
from towerops_agent.doctor.findings.config import MOST_REFUSALS, check_config


def config(*equipment, **more):
    return config_text(json.dumps({"equipment": list(equipment), **more}).encode())


def test_a_configuration_is_counted_and_each_refused_item_is_told_without_secrets():
    body = config(
        {
            "id": "1",
            "name": "North",
            "ip_address": "10.0.0.1",
            "sensors": [{"id": "t", "oid": "x"}, {"id": "u", "oid": "1.3.6.1"}],
        },
        {"id": "2", "ip_address": "10.0.0"},
        {"id": "3", "ip_address": "10.0.0.3", "snmp": {"community": ["hush"]}},
        {"id": "4", "ip_address": "10.0.0.4", "snmp": {"enabled": False}},
        version="7",
    )
    configured = check_config(body, lambda _: True)
    first, *refused = configured.checks
    assert first.found == "version 7: 1 device, 1 sensor, 0 interfaces; 1 more with SNMP switched off; 3 refused"
    assert first.mark is Mark.WARNING
    told = [(check.found, check.hint) for check in refused]
    assert told[1] == (
        "equipment 2 refused: ip_address is '10.0.0'",
        "correct it in Towerops: expected an IPv4 address, an IPv6 address or a DNS name",
    )
    assert "sensor t of North refused: oid is 'x'" in told[0][0]
    assert "hush" not in str(told)
    assert [device.name for device in configured.devices()] == [device.name for device in configured.devices()] == ["North"]


def test_many_refusals_are_cut():
    configured = check_config(config(*({"id": str(i), "ip_address": "10.0.0"} for i in range(30))), lambda _: True)
    assert len(configured.checks) == 1 + MOST_REFUSALS + 1
    assert configured.checks[-1].found == "and 10 more refused"


def test_no_device_is_a_warning():
    (check,) = check_config(config(), lambda _: True).checks
    assert (check.mark, check.hint) == (Mark.WARNING, "assign devices to this agent in Towerops")


def test_only_the_wanted_devices_are_given():
    body = config(*({"id": str(i), "ip_address": "10.0.0.1"} for i in range(3)))
    configured = check_config(body, lambda equipment: equipment.id == "1")
    assert configured.total == 1
    assert [device.id for device in configured.devices()] == ["1"]
    assert configured.checks[0].found.startswith("3 devices")
