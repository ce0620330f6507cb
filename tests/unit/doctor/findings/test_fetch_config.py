"""The doctor's judgement of the configuration."""

import json

from support.configuration import config_of
from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.findings.fetch import MOST_REFUSALS, check_config, kept_config
from towerops_agent.model import Equipment, Interface, PingPlan, Sensor


def config(*equipment, **more):
    return config_text(json.dumps({"equipment": list(equipment), **more}).encode())


def test_a_configuration_is_counted_and_each_refused_item_is_reported_without_secrets():
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
    assert first.result is Result.WARNING
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


def test_devices_at_one_address_are_said_as_one_answers_for_all():
    """An address that was copied: both are up, and one has the other's values."""
    v3 = {"version": "3", "v3_username": "u", "v3_context_name": "vlan-2"}
    body = config(
        {"id": "1", "name": "North", "ip_address": "10.0.0.1"},
        {"id": "2", "name": "South", "ip_address": "10.0.0.1", "sensors": [{"id": "t", "oid": "1.3.6.1"}]},
        {"id": "3", "name": "Switch", "ip_address": "10.0.0.3", "snmp": v3},
        {"id": "4", "name": "Its VLAN 3", "ip_address": "10.0.0.3", "snmp": {**v3, "v3_context_name": "vlan-3"}},
        {"id": "5", "name": "Behind NAT", "ip_address": "10.0.0.1", "snmp": {"port": 1161}},
        {"id": "6", "name": "Pinged", "ip_address": "10.0.0.1", "snmp": {"enabled": False}, "ping": {"enabled": True}},
    )
    counts, check = check_config(body, lambda one: one.id == "5").checks
    assert counts.result is Result.OK
    assert check.result is Result.WARNING
    assert check.found == "North, South have one address, 10.0.0.1:161, and the same credentials: one device answers for all"
    assert check.hint == "if they are several, correct the address of the others in Towerops"
    assert check_config(body, lambda one: one.id == "5").of_devices == []
    assert check_config(body, lambda one: one.id == "2").of_devices == [check]


def test_many_devices_at_many_shared_addresses_are_cut():
    body = config(*({"id": str(i), "name": f"n{i:02}", "ip_address": f"10.0.0.{i % 8}"} for i in range(56)))
    _, first, *_, last = check_config(body, lambda _: True).checks
    assert first.found.startswith("n00, n08, n16, n24, n32 and 2 more have one address, 10.0.0.0:161, ")
    assert last.found == "and 3 more addresses of several devices"


def test_no_device_is_a_warning():
    (check,) = check_config(config(), lambda _: True).checks
    assert (check.result, check.hint) == (Result.WARNING, "assign devices to this agent in Towerops")


def test_only_the_wanted_devices_are_given():
    body = config(*({"id": str(i), "ip_address": "10.0.0.1"} for i in range(3)))
    configured = check_config(body, lambda equipment: equipment.id == "1")
    assert configured.total == 1
    assert [device.id for device in configured.devices()] == ["1"]
    assert configured.checks[0].found.startswith("3 devices")


def test_the_configuration_is_counted_over_all_devices():
    parts = {
        "sensors": [{"id": f"s{n}", "oid": "1.3.6.1"} for n in range(2)],
        "interfaces": [{"id": f"i{n}", "if_index": n + 1} for n in range(3)],
    }
    devices = [{"id": str(i), "ip_address": f"10.0.0.{i + 1}", **parts} for i in range(2)]
    assert check_config(config(*devices), lambda _: True).checks == [
        Check("config", Result.OK, "2 devices, 4 sensors, 6 interfaces"),
    ]


def test_refusals_have_a_line_each_up_to_a_number():
    bad = [{"id": str(i), "ip_address": "10.0.0"} for i in range(MOST_REFUSALS + 1)]
    good = {"id": "g", "ip_address": "10.0.0.1"}
    exactly = check_config(config(good, *bad[:-1]), lambda _: True).checks
    assert exactly[0] == Check("config", Result.WARNING, f"1 device, 0 sensors, 0 interfaces; {MOST_REFUSALS} refused")
    assert len(exactly) == 1 + MOST_REFUSALS
    one_more = check_config(config(good, *bad), lambda _: True).checks
    assert one_more[-1] == Check("config", Result.WARNING, "and 1 more refused")


def test_a_refusal_is_what_was_found_and_what_is_expected():
    (_, check) = check_config(config({"ip_address": "10.0.0.1"}), lambda _: True).checks
    assert (check.name, check.result) == ("config", Result.WARNING)
    assert check.found.startswith("equipment ")
    assert check.hint.startswith("correct it in Towerops")
    (_, quoting) = check_config(config({"id": "1", "ip_address": "x: expected y"}), lambda _: True).checks
    assert "x: expected y" in quoting.found
    assert quoting.hint.startswith("correct it in Towerops: expected an IPv4 address")
    (_, whole) = check_config(config(5), lambda _: True).checks
    assert whole == Check(
        "config", Result.WARNING, "equipment #1 refused: equipment is 5", "correct it in Towerops: expected a JSON object"
    )


def test_the_kept_configuration_stands_in():
    devices = [
        Equipment(str(i), str(i), "10.0.0.1", sensors=(Sensor("s", b"+"),), interfaces=(Interface("i", 1), Interface("j", 2)))
        for i in range(3)
    ]
    kept = kept_config(devices, lambda device: device.id != "1")
    found = "not fetched; the one kept in the database has 3 devices, 3 sensors, 6 interfaces"
    assert kept.checks == [Check("config", Result.WARNING, found, "the devices below are its")]
    assert kept.total == 2
    assert [device.id for device in kept.devices()] == ["0", "2"]


SENSOR = {"id": "s", "oid": "not an OID"}


def test_refused_items_are_counted_by_their_device_and_shown_with_it():
    """Two devices of one name are two; what is refused of a device that is refused itself is nobody else's."""
    devices = [
        {"id": "1", "name": "North", "ip_address": "10.0.0", "sensors": [SENSOR]},
        {"id": "2", "name": "North", "ip_address": "10.0.0.2", "sensors": [{"id": "t", "oid": "1.3.6.1"}]},
        {"id": "3", "name": "North", "ip_address": "10.0.0.3", "sensors": [SENSOR], "interfaces": [{"id": "i", "if_index": 0}]},
        {"id": "4", "name": "South", "ip_address": "10.0.0.4"},
    ]
    found = check_config(config(*devices), lambda device: device.name == "South")
    assert found.refused == {"3": 2}
    assert found.of_devices == []
    assert len(check_config(config(*devices), lambda device: device.id == "3").of_devices) >= 2
    by_name = check_config(config(*devices[:1]), lambda _: False, lambda name: name == "North").of_devices
    assert [check.found.split(" refused")[0] for check in by_name][-1] == "equipment North"


def test_pinged_devices_digests_and_what_was_refused_of_each():
    """What belongs to a device that is refused itself is not counted for the next one."""
    bad_items = {"sensors": [{"id": "s", "oid": "x"}], "interfaces": [{"id": "i", "if_index": 0}], "ping": 7}
    devices = [
        {"id": "1", "name": "North", "ip_address": "10.0.0.1", "ping": {"enabled": True}},
        {"id": "2", "name": "South", "ip_address": "10.0.0.2", **bad_items},
        {"id": "3", "name": "East", "ip_address": "10.0.0.3", **bad_items, "poll_interval_seconds": 60},
        {"id": "3", "name": "West", "ip_address": "10.0.0.4", **bad_items},
        {"id": "5", "name": "Mast", "ip_address": "10.0.0.5", "ping": {"enabled": True}, "sensors": [{"id": "s", "oid": "x"}]},
    ]
    body = config(*devices)
    configured = check_config(body, lambda equipment: equipment.name != "North")
    assert configured.refused == {"2": 3, "3": 3, "5": 1}
    assert (configured.total, configured.pinged) == (3, 1)
    assert check_config(body, lambda _: True).pinged == 2
    assert configured.digests == {
        equipment.id: digest for digest, equipment in read_config(body).equipment if equipment.name != "North"
    }


def test_what_the_compiler_of_site_files_refused_counts_for_its_device_and_once():
    text = config({"id": "1", "name": "North", "ip_address": "10.0.0.1", "sensors": [{"id": "s", "oid": "x"}]})
    kinds = ("sensor", "interface", "ping", "equipment")
    refused = json.dumps([[kind, "North", "s1", "a reason"] for kind in kinds]).encode()
    configured = check_config(config_of(text.members | {"site": refused}, text.items()), lambda _: True, place="the site file")
    assert configured.refused == {"1": 4}
    assert configured.of_devices[0] == Check(
        "config", Result.WARNING, "sensor s1 of North refused: a reason", "correct it in the site file"
    )
    assert configured.of_devices[-1].hint.startswith("correct it in the site file: expected numbers")


def test_the_kept_configuration_is_that_of_the_devices_below():
    pinged = Equipment("a", "A", "10.0.0.1", ping=PingPlan(5, 60))
    configured = kept_config([pinged, Equipment("b", "B", "10.0.0.2")], lambda _: True)
    check = Check(
        *("config", Result.WARNING, "not fetched; the one kept in the database has 2 devices, 0 sensors, 0 interfaces"),
        "the devices below are its",
    )
    assert (configured.checks, configured.of_devices) == ([check], [check])
    assert (configured.refused, configured.total, configured.pinged) == ({}, 2, 1)
