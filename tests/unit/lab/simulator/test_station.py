"""A station is a device with a community, a start, and troubles."""

from itertools import pairwise
from random import Random

import pytest

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import Community, Request, Version
from towerops_lab.simulator.profiles import PROFILES
from towerops_lab.simulator.station import BOOT_S, Station
from towerops_lab.simulator.world import World

START = 1_800_000_000.0
UPTIME = parse_oid("1.3.6.1.2.1.1.3.0")
IN_OCTETS = parse_oid("1.3.6.1.2.1.31.1.1.1.6.1")


def station(**more) -> Station:
    return Station(PROFILES["mikrotik"].mib, World(START), START, **more)


def ask(of: Station, now_s: float, *names: bytes, community: bytes = b"public", version: Version = Version.V2C):
    answer = of.answer(Community(version, community).wrap(Request(names).pdu(0x01000001)), now_s)
    return None if answer is None else decode_message(answer).pdu.values


def test_it_answers_only_to_its_community():
    of = station(community="s3cret")
    assert ask(of, START, UPTIME) is None
    assert ask(of, START, UPTIME, community=b"s3cret") is not None


@pytest.mark.parametrize(
    "datagram", [b"", b"\x30", b"\x30\x80", b"hello", b"\x30\x03\x02\x01\x03", b"\x30\x05\x02\x01\x01\x04\x00"]
)
def test_what_is_not_a_request_is_not_answered(datagram):
    assert station().answer(datagram, START) is None


def test_switched_off_it_is_silent():
    of = station()
    of.is_on = False
    assert ask(of, START, UPTIME) is None
    of.is_on = True
    assert ask(of, START, UPTIME) is not None


def test_rebooted_it_is_silent_for_a_while_and_begins_again():
    of = station(old_s=1000.0)
    assert ask(of, START, UPTIME) == [100_000]
    (before,) = ask(of, START, IN_OCTETS)
    of.reboot(START)
    assert ask(of, START + BOOT_S - 1, UPTIME) is None
    assert ask(of, START + BOOT_S + 2, UPTIME) == [200]
    (after,) = ask(of, START + BOOT_S + 2, IN_OCTETS)
    assert 0 < after < before


def test_it_loses_the_given_share_of_requests():
    of = station(rng=Random(7))
    of.loss = 0.3
    lost = sum(ask(of, START, UPTIME) is None for _ in range(1000))
    assert 250 < lost < 350


def test_counters_rise_at_the_rate_of_their_traffic():
    of = station()
    (before,), (after,) = ask(of, START, IN_OCTETS), ask(of, START + 60, IN_OCTETS)
    assert 0.02 * 640e6 < (after - before) * 8 / 60 < 640e6


def test_a_32_bit_counter_wraps():
    of = Station(PROFILES["airmax"].mib, World(START), START)
    name = parse_oid("1.3.6.1.2.1.2.2.1.10.3")
    values = [ask(of, START + s, name, version=Version.V1)[0] for s in range(0, 1200, 10)]
    assert all(0 <= value < 2**32 for value in values)
    assert any(later < earlier for earlier, later in pairwise(values))


def test_the_ups_goes_on_battery_with_the_mains():
    world = World(START)
    of = Station(PROFILES["apc"].mib, world, START)
    status, charge = (parse_oid(f"1.3.6.1.4.1.318.1.1.1.{tail}") for tail in ("4.1.1.0", "2.3.1.0"))
    assert ask(of, START, status, charge) == [2, 1000]
    world.mains_out(True, START)
    assert ask(of, START + 180, status, charge) == [3, 900]


def test_the_signal_fades_with_the_rain():
    world = World(START)
    of = Station(PROFILES["mimosa"].mib, world, START)
    name = parse_oid("1.3.6.1.4.1.43356.2.1.2.6.6.0")
    (dry,) = ask(of, START, name)
    world.rain(True, START)
    (wet,) = ask(of, START + 60, name)
    assert wet < dry - 100


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_each_profile_answers_each_of_its_sensors_and_counters(profile):
    of = Station(profile.mib, World(START), START)
    version = Version.V1 if profile.version == "1" else Version.V2C
    for sensor in profile.sensors:
        values = ask(of, START, parse_oid(sensor.oid), version=version)
        assert isinstance(values and values[0], int), sensor.label
    columns = (
        ("1.3.6.1.2.1.31.1.1.1.6", "1.3.6.1.2.1.31.1.1.1.10")
        if profile.wide
        else ("1.3.6.1.2.1.2.2.1.10", "1.3.6.1.2.1.2.2.1.16")
    )
    columns += tuple(f"1.3.6.1.2.1.2.2.1.{column}" for column in (13, 14, 19, 20))
    for link in profile.links:
        values = ask(of, START, *(parse_oid(f"{column}.{link.if_index}") for column in columns), version=version)
        assert [type(value) for value in values or []] == [int] * 6, link.name


def test_the_benchmark_s_device_has_308_values():
    profile = PROFILES["mikrotik-48"]
    assert len(profile.sensors) + 6 * len(profile.links) == 308


def test_types_are_what_the_vendors_define():
    of = Station(PROFILES["apc"].mib, World(START), START)
    request = Community(Version.V2C, b"public").wrap(
        Request(tuple(parse_oid(f"1.3.6.1.4.1.318.1.1.1.{tail}") for tail in ("4.1.1.0", "2.3.1.0", "2.2.3.0"))).pdu(0x01000001)
    )
    answer = of.answer(request, START)
    assert answer is not None
    assert decode_message(answer).pdu.tags == bytes((ber.INTEGER, ber.GAUGE32, ber.TIME_TICKS))
