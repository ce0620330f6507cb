"""The learned traits of the devices outlive a restart."""

import zlib
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support import devices
from towerops_agent.model import DeviceState, State
from towerops_agent.polling.course.device import decode_memory, encode_memory
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import AWAY, BY_NAME, NARROW, WIDE, Traits

LEARNED = Traits(
    max_varbinds=9,
    borne=9,
    refused_at=11,
    widths=bytes([WIDE, WIDE, NARROW, NARROW]),
    marks=bytes([BY_NAME, AWAY]),
    check=False,
    booted_at_us=1_700_000_000_000_000,
    mute=frozenset({b"\x2b\x06\x01"}),
    any_address=True,
    by_next=frozenset({b"\x2b\x06\x02"}),
    next_only=True,
    units=("Mbps",),
)


def polled(traits=LEARNED):
    device = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    device.traits, device.state = traits, DeviceState(State.UP, "", 0)
    device.plan = Planner().plan(device.plan.sensors, (4, 2), traits.widths, traits.max_varbinds)
    return device


def test_a_restart_knows_sizes_widths_names_and_when_the_device_started():
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(encode_memory([polled()])).recall(fresh, Planner())
    assert fresh.traits == LEARNED
    assert fresh.plan.if_indexes == (4, 2)
    assert max(len(ask.request.names) for ask in fresh.plan.asks) <= 9


def test_a_reboot_that_happened_while_the_agent_was_away_is_seen():
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(encode_memory([polled()])).recall(fresh, Planner())
    hour_us = 3_600_000_000
    assert not replace(fresh.traits).observe_uptime(360_000, LEARNED.booted_at_us + hour_us)
    assert fresh.traits.observe_uptime(360_000, LEARNED.booted_at_us + 2 * hour_us)


def test_traits_learned_under_another_configuration_are_not_used():
    fresh = devices.device(interfaces=[1, 2])
    fresh.digest = b"another"
    decode_memory(encode_memory([polled()])).recall(fresh, Planner())
    assert fresh.traits.max_varbinds != LEARNED.max_varbinds


def test_what_an_earlier_version_kept_is_read_without_units():
    device = polled()
    version, packed = (octets := encode_memory([device]))[:1], zlib.decompress(octets[1:])
    learned = msgspec.msgpack.decode(packed)
    del learned[device.id][-5:]
    fresh = devices.device(interfaces=[1, 2], sensors=["1.3.6.1.4.1.99999.1.0"])
    decode_memory(version + zlib.compress(msgspec.msgpack.encode(learned))).recall(fresh, Planner())
    assert fresh.traits == replace(LEARNED, units=(), by_next=frozenset(), next_only=False)


def test_nothing_is_kept_of_a_device_that_was_never_polled_and_nothing_new_is_the_same_octets():
    device = polled()
    assert encode_memory([device]) == encode_memory([device])
    device.state = None
    assert encode_memory([device]) == encode_memory([])


@given(st.binary())
def test_octets_that_are_not_a_memory_are_an_empty_one(octets):
    fresh = devices.device()
    before = replace(fresh.traits)
    decode_memory(octets).recall(fresh, Planner())
    decode_memory(b"\x01" + octets).recall(fresh, Planner())
    decode_memory(None).recall(fresh, Planner())
    assert fresh.traits == before


def test_units_are_remembered_of_a_device_whose_configuration_is_the_same():
    device = polled()
    memory = decode_memory(encode_memory([device]))
    assert memory.units({device.id: device.digest, "another": b""}) == {device.id: ("Mbps",)}
    assert memory.units({device.id: b"another"}) == {}
