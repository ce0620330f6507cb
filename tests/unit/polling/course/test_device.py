"""A polled device: made from the configuration, again from another one, and what it shows."""

from dataclasses import replace

import pytest

from support import devices
from towerops_agent.model import (
    AuthProtocol,
    Credentials,
    DeviceState,
    Interface,
    Layout,
    PingPlan,
    PrivProtocol,
    Secret,
    Sensor,
    SnmpVersion,
    State,
    Transport,
    UsmUser,
)
from towerops_agent.polling.course.device import (
    PACED_SHARE,
    SHARE_OF_INTERVAL,
    Device,
    first_width,
    layout_of,
    make_device,
    make_security,
    replan,
)
from towerops_agent.polling.course.evidence import octets_at_most
from towerops_agent.polling.course.interpret import INTEGRAL
from towerops_agent.polling.course.plan import NO_WATCH, Planner, Watch, make_plan
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.traits import (
    AWAY,
    BY_DESCR,
    BY_NAME,
    NARROW,
    UNKNOWN,
    UNVERIFIABLE,
    USELESS,
    WIDE,
    Traits,
)
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import Community, Version
from towerops_agent.snmp.wire.oddities import Oddity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, Principal, PrivScheme

OIDS = ("1.3.6.1.4.1.99999.1.0", "1.3.6.1.4.1.99999.2.0")
EQUIPMENT = replace(
    devices.equipment(sensors=OIDS, host="192.0.2.1", port=1161, interval_s=30),
    name="tower",
    interfaces=(Interface("a", 3, "ether3"), Interface("b", 4)),
    ping=PingPlan(5, 60),
)
V3 = Credentials(SnmpVersion.V3, user=UsmUser("u", (AuthProtocol.SHA, Secret("password")), None))


def made(equipment=EQUIPMENT, before: Device | None = None, planner: Planner | None = None) -> Device:
    return make_device(equipment, 7, b"digest", planner or Planner(), before)


def known(equipment=EQUIPMENT, **traits) -> Device:
    """A device that has been polled, with these traits."""
    device = made(equipment)
    device.traits = replace(device.traits, most_answered=9, **traits)
    device.peer, device.peers = ("192.0.2.1", 1161), (("192.0.2.1", 1161), ("192.0.2.2", 1161))
    device.state = DeviceState(State.UP, "", 0)
    return device


def test_a_device_is_what_the_configuration_says():
    device = made()
    assert (device.id, device.name, device.host, device.port) == ("eq-1", "tower", "192.0.2.1", 1161)
    assert (device.interval_s, device.layout, device.digest) == (30, 7, b"digest")
    assert (device.if_indexes, device.if_names) == ((3, 4), ("ether3", ""))
    assert (device.ping, device.has_snmp, device.over_tcp) == (PingPlan(5, 60), True, False)
    assert device.plan == make_plan([parse_oid(oid) for oid in OIDS], (3, 4), bytes(4), 24)
    assert device.traits == Traits(widths=bytes([UNKNOWN] * 4), standings=bytes(2))
    assert (device.peer, device.peers, device.state, device.octets) == (None, (), None, None)
    assert device.security.is_like(Community(Version.V2C, b"public"))
    assert made(replace(EQUIPMENT, transport=Transport.TCP)).over_tcp
    assert made(replace(EQUIPMENT, has_snmp=False)).has_snmp is False


@pytest.mark.parametrize(("version", "width"), [("1", NARROW), ("2c", UNKNOWN), ("3", UNKNOWN)])
def test_over_snmpv1_there_are_no_wide_counters(version, width):
    credentials = V3 if version == "3" else Credentials(SnmpVersion(version), Secret("public"))
    device = made(replace(EQUIPMENT, credentials=credentials))
    assert device.traits.widths == bytes([width] * 4)
    assert first_width(device.security.version) == width
    assert device.security.version == {"1": Version.V1, "2c": Version.V2C, "3": Version.V3}[version]


def test_the_same_machine_is_known_under_another_configuration():
    before = known(widths=bytes([WIDE] * 4), standings=bytes([BY_NAME, AWAY]), by_if_name=0b10, check=False, units=("V", "A"))
    after = made(replace(EQUIPMENT, name="mast", interval_s=60, sensors=(EQUIPMENT.sensors[1], Sensor("n", b"\x2b\x07"))), before)
    assert after.traits == replace(before.traits, check=True, units=("A", ""))
    assert (after.peer, after.state, after.security) == (before.peer, before.state, before.security)
    assert (after.name, after.interval_s) == ("mast", 60)
    assert after.plan.if_indexes == (3, 4)


@pytest.mark.parametrize(("divisor", "units"), [(10.0, (INTEGRAL, "V")), (1.0, ("", "V"))])
def test_a_sensor_with_another_divisor_is_no_longer_held_to_be_a_whole_number(divisor, units):
    """It was tenths; now it may be a text, and the operator has seen that. All else is as it was."""
    first, second = EQUIPMENT.sensors
    before = known(units=(INTEGRAL, "V"), equipment=replace(EQUIPMENT, sensors=(replace(first, divisor=10.0), second)))
    after = made(replace(EQUIPMENT, sensors=(replace(first, divisor=divisor), second)), before)
    assert after.traits.units == units


@pytest.mark.parametrize(
    "other",
    [
        {"host": "192.0.2.9"},
        {"port": 161},
        {"transport": Transport.TCP},
        {"credentials": Credentials(SnmpVersion.V1, Secret("public"))},
    ],
    ids=["address", "port", "transport", "version"],
)
def test_another_machine_or_way_is_not_known_but_its_series_go_on(other):
    """In the units in which they were first read."""
    before = known(widths=bytes([WIDE] * 4), units=("V", "A"))
    after = made(replace(EQUIPMENT, **other), before)
    fresh = made(replace(EQUIPMENT, **other))
    assert after.traits == replace(fresh.traits, units=("V", "A"))
    assert (after.peer, after.state) == (None, None)
    assert after.security is not before.security


def test_an_interface_that_is_renamed_in_the_configuration_is_another_one():
    before = known(widths=bytes([WIDE] * 4), standings=bytes([BY_NAME, BY_NAME]), by_if_name=0b11)
    after = made(replace(EQUIPMENT, interfaces=(Interface("a", 3, "other"), Interface("b", 4))), before)
    assert after.traits.by_if_name == 0b10
    assert after.traits.widths == bytes([UNKNOWN, UNKNOWN, WIDE, WIDE])
    assert after.traits.standings == bytes([0, BY_NAME])


def test_devices_with_the_same_names_share_them():
    planner = Planner()
    assert made(planner=planner).if_names is made(planner=planner).if_names


def test_numbers_that_mean_nothing_are_by_place_and_one_object_for_all_devices_of_a_kind():
    planner = Planner()
    skips = [frozenset(), frozenset({-1, 65535}), frozenset(), frozenset({0})]
    sensors = tuple(Sensor(f"s{i}", parse_oid(f"1.3.6.1.{i}"), 1, skip) for i, skip in enumerate(skips))
    equipment = [replace(EQUIPMENT, id=each, sensors=sensors) for each in "ab"]
    first, second = (made(each, planner=planner) for each in equipment)
    assert first.skips == ((1, skips[1]), (3, skips[3]))
    assert first.skips is second.skips
    assert made(planner=planner).skips == ()


# Security


def with_community(text, version=SnmpVersion.V2C):
    return replace(EQUIPMENT, credentials=Credentials(version, Secret(text)))


def test_what_is_odd_about_a_device_s_replies_is_known_as_long_as_its_community_is_the_same():
    before = made(with_community("ö\udcff"))
    before.accept_odd([Oddity.EXTRA_ZERO])
    assert before.odd_replies == {Oddity.EXTRA_ZERO}
    assert before.security.is_like(Community(Version.V2C, b"\xc3\xb6\xff"))
    assert made(with_community("ö\udcff"), before).odd_replies == {Oddity.EXTRA_ZERO}
    assert made(with_community("other"), before).odd_replies == frozenset()
    assert made(with_community("ö\udcff", SnmpVersion.V1), before).odd_replies == frozenset()
    assert made(replace(EQUIPMENT, host="192.0.2.9"), before).odd_replies == frozenset()


def test_replies_over_snmpv3_are_never_odd():
    device = made(replace(EQUIPMENT, credentials=V3))
    device.accept_odd([Oddity.EXTRA_ZERO])
    assert device.odd_replies == frozenset()


def test_an_engine_is_known_as_long_as_the_user_is_the_same():
    equipment = replace(EQUIPMENT, credentials=V3)
    before = made(equipment)
    assert made(equipment, before).security is before.security
    assert made(replace(equipment, host="192.0.2.9"), before).security is not before.security
    other = replace(V3, user=UsmUser("other"))
    assert made(replace(equipment, credentials=other), before).security.user.name == b"other"
    assert made(EQUIPMENT, before).security.version is Version.V2C


# What it shows


def test_the_address_of_a_device_is_shown_with_the_one_that_is_asked_if_its_name_has_several():
    device = made(replace(EQUIPMENT, host="tower.example"))
    assert device.address == "tower.example:1161"
    device.peers = (("192.0.2.1", 1161), ("192.0.2.2", 1161))
    assert device.address == "tower.example:1161"
    device.peer = ("192.0.2.2", 1161)
    assert device.address == "tower.example:1161 at 192.0.2.2"
    device.peers = ()
    assert device.address == "tower.example:1161"


def test_the_address_of_a_device_that_is_only_pinged_has_no_port():
    assert made(replace(EQUIPMENT, has_snmp=False, sensors=(), interfaces=())).address == "192.0.2.1"


def test_the_layouts_of_a_device_are_those_that_it_has():
    device = made()
    assert device.layouts == (7,)
    device.ping_layout = 9
    assert device.layouts == (7, 9)
    device.state_layout = 0
    assert device.layouts == (7, 0, 9)


def test_a_device_that_is_asked_at_its_own_pace_has_nearly_its_whole_interval():
    device = made()
    assert device.share == SHARE_OF_INTERVAL
    device.traits.spacing = Spacing(2.0)
    assert device.share == PACED_SHARE


def test_a_device_that_was_polled_elsewhere_meanwhile_has_no_counters_to_compare():
    device = known(check=False)
    device.octets, device.samples = object(), {1: 2}
    device.distrust()
    assert (device.traits.check, device.octets, device.samples) == (True, None, {})


# Names that are asked in each poll


def replanned(standings, version="2c", names=("ether3", ""), if_indexes=(8, 4), **traits):
    credentials = Credentials(SnmpVersion(version), Secret("public"))
    interfaces = tuple(Interface(name, 3 + i, name) for i, name in enumerate(names))
    device = made(replace(EQUIPMENT, credentials=credentials, interfaces=interfaces))
    device.traits = Traits(widths=bytes(2 * len(names)), standings=bytes(standings), **traits)
    replan(device, Planner(), if_indexes)
    return device.plan


def planned(watch, if_indexes=(8, 4), size=24):
    return make_plan([parse_oid(oid) for oid in OIDS], if_indexes, bytes(4), size, watch=watch)


OCTETS = octets_at_most(("ether3", ""))


@pytest.mark.parametrize(
    ("standings", "version", "watch"),
    [
        ([BY_NAME, BY_DESCR], "2c", Watch(bytes([BY_NAME, BY_DESCR]), OCTETS)),
        ([BY_NAME, UNVERIFIABLE], "2c", Watch(bytes([BY_NAME, UNVERIFIABLE]), OCTETS)),
        ([BY_NAME, UNVERIFIABLE], "1", Watch(bytes([BY_NAME, 0]), OCTETS)),
        ([AWAY, BY_NAME], "2c", Watch(bytes([0, BY_NAME]), OCTETS)),
        ([AWAY, 0], "2c", NO_WATCH),
        ([UNVERIFIABLE, 0], "1", NO_WATCH),
    ],
)
def test_names_that_were_compared_are_asked_in_each_poll(standings, version, watch):
    """Over SNMPv1 not those that are not there: that would cost the whole request."""
    assert replanned(standings, version) == planned(watch)


@pytest.mark.parametrize(("last_change", "asked"), [(None, False), (USELESS, False), (0, True), (7, True)])
@pytest.mark.parametrize("standings", [[0, 0], [BY_NAME, 0]])
def test_when_rows_came_or_went_is_asked_if_that_is_of_use(last_change, asked, standings):
    watch = Watch(bytes(standings), OCTETS, last_change=asked) if asked or any(standings) else NO_WATCH
    assert replanned(standings, last_change=last_change) == planned(watch)
    assert bool(replanned(standings, last_change=last_change).last_change) is asked


MANY = tuple(f"ether{n}" for n in range(48))


@pytest.mark.parametrize(
    ("names", "traits", "riding"),
    [
        (MANY, {}, False),
        (MANY, {"riding": True}, True),
        (MANY, {"hurried": True}, True),
        (("ppp0", *MANY[1:]), {}, True),
    ],
)
def test_names_ride_with_their_counters_if_interfaces_move_come_and_go_or_a_poll_did_not_end_in_time(names, traits, riding):
    plan = replanned([BY_NAME] * 48, names=names, if_indexes=range(1, 49), **traits)
    assert any(ask.proves for ask in plan.asks) is not riding


def test_a_plan_follows_the_learned_widths_and_sizes():
    device = made()
    device.traits = Traits(widths=bytes([NARROW, WIDE, WIDE, NARROW]), max_varbinds=5)
    replan(device, Planner(), (3, 4))
    assert device.plan == make_plan([parse_oid(oid) for oid in OIDS], (3, 4), device.traits.widths, 5)


def test_the_layout_of_a_device_has_each_sensor_with_its_divisor_and_each_interface():
    equipment = replace(
        devices.equipment(equipment_id="e", interfaces=[3, 4]),
        sensors=(Sensor("s", b"\x2b\x01", 10.0), Sensor("t", b"\x2b\x02")),
    )
    assert layout_of(equipment) == Layout("e", (("s", 10.0), ("t", 1)), ("i3", "i4"))


def test_the_security_of_a_v3_device_has_its_user_with_protocols_and_passwords_as_octets():
    user = UsmUser("ö", (AuthProtocol.SHA_256, Secret("äuth")), (PrivProtocol.AES_256_C, Secret("prïv")))
    credentials = Credentials(SnmpVersion.V3, user=user, context_name="vlan-7")
    security = make_security(credentials)
    octets = [text.encode() for text in ("ö", "äuth", "prïv")]
    assert security.user == Principal(octets[0], AuthScheme.SHA_256, octets[1], PrivScheme.AES_256_C, octets[2])
    assert security.context == b"vlan-7"
    assert make_security(credentials, security) is security
    assert make_security(replace(credentials, context_name=""), security) is not security
    bare = make_security(Credentials(SnmpVersion.V3, user=UsmUser("u")))
    assert bare.user == Principal(b"u", None, b"", None, b"")
    with pytest.raises(ValueError, match="without a user"):
        make_security(Credentials(SnmpVersion.V3))
