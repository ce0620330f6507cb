"""Which devices are to be pinged, and how; a mistake there costs only the pings."""

import json

import pytest

from towerops_agent.config.document.equipment import read_config
from towerops_agent.config.document.text import config_text
from towerops_agent.model import PingPlan

DEVICE = {"id": "e1", "name": "North", "ip_address": "10.0.0.1", "sensors": [{"id": "s1", "oid": "1.3.6.1.2.1.1.3.0"}]}


def read(*equipment: object):
    result = read_config(config_text(json.dumps({"poll_interval_seconds": 30, "equipment": equipment}).encode()))
    return [device for _, device in result.equipment], result


@pytest.mark.parametrize("ping", [None, {}, {"enabled": None}, {"enabled": False}, {"enabled": False, "count": -1}])
def test_a_device_is_pinged_only_if_it_is_to_be(ping):
    (device,), result = read(DEVICE | {"ping": ping})
    assert (device.ping, device.has_snmp, result.refusals) == (None, True, [])


@pytest.mark.parametrize(
    ("ping", "expected"),
    [
        ({"enabled": True}, PingPlan(5, 30)),
        ({"enabled": True, "count": None, "interval_seconds": None, "unknown": 1}, PingPlan(5, 30)),
        ({"enabled": True, "count": 20, "interval_seconds": 10}, PingPlan(20, 10)),
    ],
)
def test_it_is_pinged_five_times_an_interval_of_its_own_if_nothing_else_is_said(ping, expected):
    (device,), result = read(DEVICE | {"ping": ping})
    assert (device.ping, result.refusals) == (expected, [])


def test_the_devices_own_interval_is_the_one_of_its_pings():
    (device,), _ = read(DEVICE | {"ping": {"enabled": True}, "poll_interval_seconds": 10})
    assert device.ping == PingPlan(5, 10)


@pytest.mark.parametrize(
    ("ping", "reason"),
    [
        (7, "ping is 7: expected a JSON object"),
        ({"enabled": 1}, "ping.enabled is 1: expected true or false"),
        ({"enabled": "yes"}, "ping.enabled is 'yes': expected true or false"),
        ({"enabled": True, "count": 0}, "ping.count is 0: expected an integer from 1 to 20"),
        ({"enabled": True, "count": 21}, "ping.count is 21: expected an integer from 1 to 20"),
        ({"enabled": True, "count": 2.5}, "ping.count is 2.5: expected an integer from 1 to 20"),
        (
            {"enabled": True, "interval_seconds": 0},
            "ping.interval_seconds is 0: expected an integer from 1 to 2147483647",
        ),
    ],
)
def test_pings_that_cant_be_read_are_refused_and_the_device_is_polled(ping, reason):
    (device,), result = read(DEVICE | {"ping": ping})
    assert (device.ping, device.has_snmp, len(device.sensors)) == (None, True, 1)
    assert [(one.kind, one.equipment, one.item, one.reason) for one in result.refusals] == [("ping", "North", "", reason)]


def test_a_device_with_snmp_switched_off_is_one_to_be_pinged_or_none():
    off = DEVICE | {"snmp": {"enabled": False, "version": "9"}, "ping": {"enabled": True}}
    (device,), result = read(off, off | {"id": "e2", "ping": None})
    assert (device.id, device.host, device.ping, device.has_snmp) == ("e1", "10.0.0.1", PingPlan(5, 30), False)
    assert (device.sensors, device.interfaces) == ((), ())
    assert (result.disabled, result.refusals) == (1, [])
