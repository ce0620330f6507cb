"""The simulator's devices by our profiles: both are after the vendors' MIBs, each by itself, so they have to agree."""

import pytest

from support.mib import FewValues
from support.recordings import explore
from towerops_agent.discovery.course.findings import Discovery
from towerops_agent.discovery.library import load_profiles
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, PduType, Request, Value, Version
from towerops_lab.simulator.profiles import PROFILES
from towerops_lab.simulator.station import Station
from towerops_lab.simulator.world import World

NOW_S = 1_767_986_535.0
OURS = list(load_profiles().profiles.values())

EPMP_SUBSCRIBERS = "1.3.6.1.4.1.17713.21.1.2.30.1"
"""Rows that come and go as subscribers register: our profile leaves them out."""


def explored(name: str) -> Discovery:
    """The discovery of a kind of device, from all that it answers."""
    station = Station(PROFILES[name].mib, World(NOW_S), NOW_S)
    values: dict[str, tuple[int, Value]] = {}
    at = parse_oid("1.0")
    while True:
        request = Request((at,), PduType.GET_BULK, 0, 20).pdu(0x01000001)
        answer = station.answer(Community(Version.V2C, b"public").wrap(request), NOW_S)
        assert answer is not None
        pdu = decode_message(answer).pdu
        for oid, tag, value in zip(pdu.names, pdu.tags, pdu.values, strict=True):
            if tag == ber.END_OF_MIB_VIEW:
                return explore(FewValues(values, PROFILES[name].object_id).answer, OURS)
            values[format_oid(oid)] = tag, value
            at = oid


@pytest.mark.parametrize("name", PROFILES)
def test_each_value_worth_a_chart_is_found(name: str):
    found = {format_oid(sensor.oid): sensor for sensor in explored(name).sensors}
    for sensor in PROFILES[name].sensors:
        if not sensor.oid.startswith(EPMP_SUBSCRIBERS):
            assert sensor.oid in found, sensor.label


UNITS = {
    "": ("", 1),
    "V": ("volts", 1),
    "A": ("amperes", 1),
    "mA": ("amperes", 1000),
    "W": ("watts", 1),
    "%": ("percent", 1),
    "°C": ("celsius", 1),
    "dBm": ("dBm", 1),
    "dB": ("dB", 1),
    "rpm": ("rpm", 1),
    "min": ("minutes", 1),
    "Mbit/s": ("bps", 1 / 1_000_000),
    "MiB": ("bytes", 1 / 1024**2),
}
"""What the profiles call the simulator's units, and how many of them are in one of the profiles'."""


@pytest.mark.parametrize("name", PROFILES)
def test_it_is_as_much_of_its_unit_as_the_simulator_says(name: str):
    found = {format_oid(sensor.oid): sensor for sensor in explored(name).sensors}
    for sensor in PROFILES[name].sensors:
        if ours := found.get(sensor.oid):
            unit, size = UNITS[sensor.unit]
            assert (ours.unit, ours.divisor) == (unit, pytest.approx(sensor.divisor * size)), sensor.label
