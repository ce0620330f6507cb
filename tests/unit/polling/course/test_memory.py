"""The learned traits of the devices outlive a restart."""

import zlib
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import devices
from towerops_agent.model import (
    DeviceState,
    State,
)
from towerops_agent.polling.course.device import Device
from towerops_agent.polling.course.memory import decode_memory, encode_memory, encode_traits, recall_traits
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.traits import (
    AWAY,
    BY_NAME,
    NARROW,
    WIDE,
    BootClock,
    Traits,
)
from towerops_agent.snmp.wire.oddities import Oddity

LEARNED = Traits(
    max_varbinds=9,
    most_answered=9,
    refused_at=11,
    widths=bytes([WIDE, WIDE, NARROW, NARROW]),
    standings=bytes([BY_NAME, AWAY]),
    by_if_name=0b11,
    check=False,
    booted_at_us=1_700_000_000_000_000,
    mute=frozenset({b"\x2b\x06\x01"}),
    any_address=True,
    by_next=frozenset({b"\x2b\x06\x02"}),
    next_only=True,
    units=("Mbps",),
)


HOUR_US = 3_600_000_000
CLOCK = BootClock(b"this boot", 1_700_000_000_000_000)


def polled(traits=LEARNED):
    device = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    device.traits, device.state = traits, DeviceState(State.UP, "", 0)
    device.plan = Planner().plan(device.plan.sensors, (4, 2), traits.widths, traits.max_varbinds)
    return device


def test_a_restart_knows_sizes_widths_names_and_when_the_device_started():
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(encode_memory([polled()], CLOCK)).recall(fresh, Planner(), CLOCK)
    assert fresh.traits == LEARNED
    assert fresh.plan.if_indexes == (4, 2)
    assert max(len(ask.request.names) for ask in fresh.plan.asks) <= 9


def test_a_reboot_that_happened_while_the_agent_was_away_is_seen():
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(encode_memory([polled()], CLOCK)).recall(fresh, Planner(), CLOCK)
    hour_us = 3_600_000_000
    assert not replace(fresh.traits).observe_uptime(360_000, LEARNED.booted_at_us + hour_us)
    assert fresh.traits.observe_uptime(360_000, LEARNED.booted_at_us + 2 * hour_us)


def clock(boot: bytes, machine_started_us: int, wall_is_off_us: int) -> BootClock:
    return BootClock(boot, machine_started_us + wall_is_off_us)


def seems_restarted(kept_by: BootClock, read_by: BootClock, machines_us: tuple[int, int], rebooted_after_us: int = 0) -> bool:
    """What is believed of a device that started at 5 h of true time, was read by one run of the agent, and at 100 h by another.

    `machines_us`: when the machine of each run started.
    """
    started_us, now_us = 5 * HOUR_US, 100 * HOUR_US
    then, now = machines_us
    memory = encode_memory([polled(replace(LEARNED, booted_at_us=started_us - then))], kept_by)
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(memory).recall(fresh, Planner(), read_by)
    return fresh.traits.observe_uptime((now_us - started_us - rebooted_after_us) // 10_000, now_us - now)


offsets = st.integers(-60 * 365 * 24 * HOUR_US, 60 * 365 * 24 * HOUR_US)


@given(offsets, offsets, st.integers(0, 4 * HOUR_US))
def test_a_clock_that_was_set_since_makes_no_device_restart(before, after, machine):
    assert not seems_restarted(clock(b"a", machine, before), clock(b"a", machine, after), (machine, machine))
    assert seems_restarted(clock(b"a", machine, before), clock(b"a", machine, after), (machine, machine), HOUR_US)


@pytest.mark.parametrize("boots", [(b"a", b"b"), (b"", b"")], ids=["another boot", "an unknown boot"])
@given(off=offsets, machine=st.integers(0, 99 * HOUR_US))
def test_over_a_start_of_the_machine_the_wall_clock_as_it_is_when_written_and_when_read_decides(boots, off, machine):
    """So a clock that was set forward in between does not either: it is as true when the memory is written as when it is read."""
    kept_by, read_by = clock(boots[0], 0, off), clock(boots[1], machine, off)
    assert not seems_restarted(kept_by, read_by, (0, machine))
    assert seems_restarted(kept_by, read_by, (0, machine), HOUR_US)


@pytest.mark.parametrize("count", [64, 65, 600])
def test_more_interfaces_than_an_integer_has_bits_are_remembered_and_passed_on(count):
    """As those of a stack of switches."""
    named = (1 << count) - 1 - (1 << 7)
    device, kept, other = (devices.device(interfaces=range(1, count + 1)) for _ in range(3))
    device.traits = replace(device.traits, standings=bytes([BY_NAME] * count), by_if_name=named)
    device.state = DeviceState(State.UP, "", 0)
    decode_memory(encode_memory([device], CLOCK)).recall(kept, Planner(), CLOCK)
    assert recall_traits(other, Planner(), encode_traits(device, CLOCK), CLOCK)
    for recalled in (kept, other):
        assert (recalled.traits.standings, recalled.traits.by_if_name) == (bytes([BY_NAME] * count), named)


def test_the_clock_of_what_an_earlier_version_kept_is_the_wall_clock():
    device = polled()
    version, packed = (octets := encode_memory([device], CLOCK))[:1], zlib.decompress(octets[1:])
    learned = msgspec.msgpack.decode(packed)
    del learned[device.id][-4:]  # boot, ahead_us, hurried and by_its_if_name
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(version + zlib.compress(msgspec.msgpack.encode(learned))).recall(fresh, Planner(), CLOCK)
    assert fresh.traits.booted_at_us == LEARNED.booted_at_us - CLOCK.ahead_us


def test_another_member_counts_a_device_s_start_on_the_clock_of_its_own_machine():
    device = polled(replace(LEARNED, booted_at_us=-HOUR_US))
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    assert recall_traits(fresh, Planner(), encode_traits(device, clock(b"a", 7 * HOUR_US, 0)), clock(b"b", 2 * HOUR_US, 0))
    assert abs(fresh.traits.booted_at_us - 4 * HOUR_US) <= 10_000_000


def test_traits_learned_under_another_configuration_are_not_used():
    fresh = devices.device(interfaces=[1, 2])
    fresh.digest = b"another"
    decode_memory(encode_memory([polled()], CLOCK)).recall(fresh, Planner(), CLOCK)
    assert fresh.traits.max_varbinds != LEARNED.max_varbinds


def test_what_an_earlier_version_kept_is_read_without_units():
    device = polled()
    version, packed = (octets := encode_memory([device], CLOCK))[:1], zlib.decompress(octets[1:])
    learned = msgspec.msgpack.decode(packed)
    del learned[device.id][-9:]
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(version + zlib.compress(msgspec.msgpack.encode(learned))).recall(fresh, Planner(), CLOCK)
    started_us = LEARNED.booted_at_us - CLOCK.ahead_us
    assert fresh.traits == replace(LEARNED, units=(), by_next=frozenset(), next_only=False, by_if_name=0, booted_at_us=started_us)


def test_nothing_is_kept_of_a_device_that_was_never_polled_and_nothing_new_is_the_same_octets():
    device = polled()
    assert encode_memory([device], CLOCK) == encode_memory([device], CLOCK)
    device.state = None
    assert encode_memory([device], CLOCK) == encode_memory([], CLOCK)


@given(st.binary())
def test_octets_that_are_not_a_memory_are_an_empty_one(octets):
    fresh = devices.device()
    before = replace(fresh.traits)
    decode_memory(octets).recall(fresh, Planner(), CLOCK)
    decode_memory(b"\x01" + octets).recall(fresh, Planner(), CLOCK)
    decode_memory(None).recall(fresh, Planner(), CLOCK)
    assert fresh.traits == before


def test_units_are_remembered_of_a_device_whose_configuration_is_the_same():
    device = polled()
    memory = decode_memory(encode_memory([device], CLOCK))
    assert memory.units({device.id: device.digest, "another": b""}) == {device.id: ("Mbps",)}
    assert memory.units({device.id: b"another"}) == {}


def test_another_configuration_keeps_the_traits_of_the_interfaces_that_are_in_both():
    """Their names are compared again before they count."""
    planner = Planner()
    before = devices.device(planner, interfaces=[1, 2, 3])
    before.traits = replace(
        LEARNED, widths=bytes([WIDE, NARROW, NARROW, NARROW, WIDE, WIDE]), standings=bytes([BY_NAME, AWAY, BY_NAME])
    )
    after = devices.device(planner, before, interfaces=[4, 3, 1])
    assert after.traits.widths == bytes([0, 0, WIDE, WIDE, WIDE, NARROW])
    assert after.traits.standings == bytes([0, BY_NAME, BY_NAME])
    assert after.traits.check is True
    assert after.traits.max_varbinds == LEARNED.max_varbinds


def test_a_state_goes_on_under_another_configuration_unless_another_machine_is_asked():
    planner = Planner()
    before = devices.device(planner, host="192.0.2.1", interfaces=[1])
    before.state, before.peer = DeviceState(State.DOWN, "timeout", 7), ("192.0.2.1", 161)
    same = devices.device(planner, before, host="192.0.2.1", interfaces=[1, 2])
    assert (same.state, same.peer) == (before.state, before.peer)
    other = devices.device(planner, before, host="192.0.2.2", interfaces=[1])
    assert (other.state, other.peer) == (None, None)


def test_the_widths_of_interfaces_in_another_order_stay_as_many_as_they_are():
    planner = Planner()
    before = devices.device(planner, interfaces=[1, 2, 3])
    before.traits = replace(LEARNED, widths=bytes([WIDE, NARROW, NARROW, WIDE, WIDE, WIDE]), standings=bytes([BY_NAME] * 3))
    after = devices.device(planner, before, interfaces=[2, 1, 3])
    assert after.traits.widths == bytes([NARROW, WIDE, WIDE, NARROW, WIDE, WIDE])


def test_how_far_apart_a_device_wants_its_requests_outlives_a_restart():
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    before = polled(replace(LEARNED, spacing=Spacing.recalled(2.0)))
    decode_memory(encode_memory([before], CLOCK)).recall(fresh, Planner(), CLOCK)
    assert fresh.traits.gap_s == before.traits.gap_s == 2.0
    other = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(encode_memory([polled()], CLOCK)).recall(other, Planner(), CLOCK)
    assert other.traits.spacing is None


def fresh() -> Device:
    return devices.device(interfaces=[3, 4], sensors=["1.3.6.1.4.1.99999.1.0", "1.3.6.1.4.1.99999.2.0"])


def known(**traits) -> Device:
    """Such a device that has been polled, with these traits."""
    device = fresh()
    device.traits = replace(device.traits, most_answered=9, **traits)
    device.state = DeviceState(State.UP, "", 0)
    return device


def test_traits_for_another_agent_are_the_same_octets_though_a_start_differs_by_milliseconds():
    starts = [known(booted_at_us=at) for at in (5_000_000, 5_700_000)]
    assert encode_traits(starts[0], CLOCK) == encode_traits(starts[1], CLOCK)
    assert encode_traits(known(booted_at_us=35_000_000), CLOCK) != encode_traits(starts[0], CLOCK)
    assert encode_traits(known(), CLOCK) != encode_traits(starts[0], CLOCK)


def test_the_learned_oids_are_the_same_octets_in_whatever_order_they_came():
    names = [b"%d" % n for n in range(500)]
    one, other = (known(mute=frozenset(each)) for each in (names, names[::-1]))
    assert list(one.traits.mute) != list(other.traits.mute), "they differ in nothing but this"
    assert encode_traits(one, CLOCK) == encode_traits(other, CLOCK)
    assert encode_memory([one], CLOCK) == encode_memory([other], CLOCK)


def test_traits_from_another_agent_are_used_with_the_same_configuration_only():
    octets = encode_traits(known(index_lies=True, spacing=Spacing(2.0, is_certain=True)), CLOCK)
    device = fresh()
    assert recall_traits(device, Planner(), octets, CLOCK)
    assert (device.traits.index_lies, device.traits.most_answered, device.traits.gap_s) == (True, 9, 2.0)
    for other in ({"digest": b"other"}, {"if_indexes": (3,)}):
        device = fresh()
        for name, value in other.items():
            setattr(device, name, value)
        assert recall_traits(device, Planner(), octets, CLOCK)
        assert device.traits == fresh().traits


@pytest.mark.parametrize("octets", [b"", b"\x02", b"\x02x", b"\x01", b"\xff"])
def test_octets_that_are_not_traits_are_not_understood(octets):
    device = fresh()
    assert not recall_traits(device, Planner(), octets, CLOCK)
    assert device.traits == fresh().traits


def test_traits_of_another_version_are_not_understood():
    octets = encode_traits(known(), CLOCK)
    assert not recall_traits(fresh(), Planner(), bytes([octets[0] + 1]) + octets[1:], CLOCK)


def test_a_memory_has_each_trait_that_is_kept_and_odd_replies():
    """What is only of this run is not kept: sizes that are suspected, round trips, stumbles."""
    name = frozenset({b"\x2b\x01"})
    before = known(
        max_varbinds=11,
        refused_at=12,
        suspect_at=10,
        srtt_s=0.3,
        widths=bytes([WIDE, NARROW, WIDE, NARROW]),
        standings=bytes([BY_NAME, AWAY]),
        last_change=5,
        riding=True,
        hurried=True,
        bulk=False,
        check=False,
        mute=name,
        refused_names=name,
        suspects=name,
        index_lies=True,
        absence_holds=True,
        by_next=name,
        once_by_next=dict.fromkeys(name, 3),
        not_by_next=name,
        next_only=True,
        any_address=True,
        units=("V", ""),
        clean_polls=7,
        stumbles=2,
    )
    before.accept_odd([Oddity.CUT_REQUEST_ID])
    device = fresh()
    decode_memory(encode_memory([before], CLOCK)).recall(device, Planner(), CLOCK)
    this_run = {
        "suspect_at": None,
        "srtt_s": None,
        "suspects": frozenset(),
        "once_by_next": {},
        "not_by_next": frozenset(),
    }
    assert device.traits == replace(before.traits, **this_run, clean_polls=0, stumbles=0)
    assert device.odd_replies == {Oddity.CUT_REQUEST_ID}
    assert device.traits.spacing is None


def test_units_of_devices_that_are_not_in_the_memory_or_have_no_units_are_not_there():
    memory = decode_memory(encode_memory([known()], CLOCK))
    assert memory.units({"eq-1": b"digest", "another": b"digest"}) == {}
