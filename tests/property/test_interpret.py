"""From what a device answers to numbers, and a reason for all that is not one. Texts: test_numeral.py."""

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.steps import SENSORS, reply
from support.strategies import VALUES
from towerops_agent.polling.course.interpret import LARGEST_FLOAT, interpret, means_nothing, number
from towerops_agent.polling.course.plan import make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import Traits
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import decode_varbinds


@given(VALUES, st.binary(max_size=12))
def test_any_value_is_a_sane_number_or_a_reason(held, octets):
    check_sane(number(*held))
    check_sane(number(ber.OPAQUE, octets))
    check_sane(number(0, None))


def check_sane(got):
    if isinstance(got, str):
        assert got in {
            "not_a_number", "not_finite", "out_of_range", "ambiguous", "noSuchObject", "noSuchInstance", "endOfMibView", "null",
        }  # fmt: skip
    elif isinstance(got, float):
        assert math.isfinite(got)
        assert abs(got) <= LARGEST_FLOAT
    else:
        assert -(2**63) <= got < 2**64


@given(VALUES)
def test_the_number_of_a_number_is_itself(held):
    tag, value = held
    if isinstance(value, int) and not may_be_negative(tag, value) and not is_an_end(tag, value):
        assert number(tag, value) == value


def is_an_end(tag, value):
    """Whether a number is the largest of 64 bits with a sign, or an INTEGER that is the largest of some type."""
    return value == 2**63 - 1 or (tag == ber.INTEGER and value in (2**31 - 1, 2**32 - 1, 2**64 - 1))


def may_be_negative(tag, value):
    """Whether a number without a sign is just below the largest of its type."""
    return value >= 2**64 - 2**44 or (tag in (ber.GAUGE32, ber.UINTEGER32) and value >= 2**32 - 1_000_000)


@given(st.floats(width=32))
def test_a_float_in_an_opaque_is_read(value):
    check_opaque(b"\x9f\x78\x04" + struct.pack(">f", value), value)


@given(st.floats())
def test_a_double_in_an_opaque_is_read(value):
    check_opaque(b"\x9f\x79\x08" + struct.pack(">d", value), value)


def check_opaque(octets, value):
    got = number(ber.OPAQUE, octets)
    if not math.isfinite(value):
        assert got == "not_finite"
    elif abs(value) > LARGEST_FLOAT:
        assert got == "out_of_range"
    else:
        assert got == value
    assert number(ber.OPAQUE, octets + b"\0") == number(ber.OPAQUE, octets[:-1]) == "not_a_number"


@given(st.integers(-(2**63), 2**64 - 1), st.sampled_from((0x76, 0x7A, 0x7B)))
@example(2**63 - 1, 0x76)
@example(2**63 - 1, 0x7A)
@example(2**63 - 1, 0x7B)
def test_an_integer_in_an_opaque_is_read(value, kind):
    """Int64 is signed, UInt64 and Counter64 are not."""
    value = max(min(value, 2**63 - 1), -(2**63)) if kind == 0x7A else abs(value)
    octets = ber.encode_integer(value)[1:]
    is_doubtful = may_be_negative(kind, value) or is_an_end(kind, value)
    assert number(ber.OPAQUE, bytes((0x9F, kind)) + octets) == ("ambiguous" if is_doubtful else value)
    assert number(ber.OPAQUE, bytes((0x9F, kind)) + octets + b"\0") == "not_a_number"


def test_an_integer_past_64_bits_in_an_opaque_is_a_float():
    assert number(ber.OPAQUE, bytes.fromhex("9f7b09 010000000000000000")) == 2.0**64
    assert number(ber.OPAQUE, bytes.fromhex("9f7b0a 00000000000000000001")) == "not_a_number"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("fffffc19", -999),
        ("fffffffc19", -999),
        ("fffffffffffffc19", -999),
        ("00fffffc19", "ambiguous"),  # -999 or 4294966297
        ("00000000fffffc19", "ambiguous"),
        ("0080000000", "ambiguous"),
        ("007ffffffe", 0x7FFFFFFE),
        ("7fffffff", "ambiguous"),  # nothing, or so much or more
        ("007fffffff", "ambiguous"),
        ("0100000000", 0x1_0000_0000),  # no number of 32 bits looks like it
        ("80000000", -0x8000_0000),
    ],
)
def test_an_integer_whose_sign_may_be_lost_or_that_is_the_last_of_its_type_is_missing(octets, expected):
    varbind = ber.encode(0x30, b"\x06\x01\x2b" + ber.encode(ber.INTEGER, bytes.fromhex(octets)))
    _, tags, values = decode_varbinds(varbind, 0, len(varbind))
    assert number(tags[0], values[0]) == expected


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (ber.NO_SUCH_OBJECT, "noSuchObject"),
        (ber.NO_SUCH_INSTANCE, "noSuchInstance"),
        (ber.END_OF_MIB_VIEW, "endOfMibView"),
        (ber.NULL, "null"),
    ],
)
def test_what_is_absent_says_how(tag, reason):
    assert number(tag, None) == reason


@pytest.mark.parametrize("tag", [ber.IP_ADDRESS, ber.OBJECT_IDENTIFIER, ber.NSAP_ADDRESS])
def test_addresses_and_oids_are_not_numbers_whatever_their_octets(tag):
    assert number(tag, b"1234") == "not_a_number"


SENTINELS = st.sampled_from([0, 1, -1, 65535, -1000, 2**64 - 1, -(2**31), 0.5])


@given(
    st.lists(
        st.one_of(VALUES, st.tuples(st.just(ber.INTEGER), st.sampled_from([0, 1, -1, 65535, -1000]))), min_size=1, max_size=5
    ),
    st.data(),
)
def test_numbers_that_mean_nothing_are_missing_and_change_no_other_value(held, data):
    plan = make_plan(SENSORS[: len(held)], (), b"", 24)
    progress = PollProgress(plan, Traits())
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, *(tag for tag, _ in held)])
    progress.take(ask, reply(ask.request.names, [1, *(value for _, value in held)], tags=tags))
    skips = [(place, data.draw(st.frozensets(SENTINELS, min_size=1))) for place in range(len(held)) if data.draw(st.booleans())]
    plain, result = interpret(progress, 1, 0), interpret(progress, 1, 0, skips=tuple(skips))
    nothing = {place for place, skip in skips if {held[place][1], number(*held[place])} & skip}
    assert nothing == {place for place, reason in result.missing.items() if reason == "nothing_there"}
    for place, value in enumerate(plain.poll.values):
        assert result.poll.values[place] == (None if place in nothing else value)
        if place not in nothing:
            assert result.missing.get(place) == plain.missing.get(place)
    assert result.poll.metric_count == sum(value is not None for value in result.poll.values)
    assert all(means_nothing(SENSORS[place], *held[place], skip) == (place in nothing) for place, skip in skips)
