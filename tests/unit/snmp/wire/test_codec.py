"""Octets of real messages, by hand: what the codec makes of them, and which octet it calls the first bad one."""

import pytest

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid
from towerops_agent.snmp.wire.codec import decode_message, decode_varbinds
from towerops_agent.snmp.wire.message import UNREADABLE


def reply(value, *, head="020101 0406 7075626c6963", error="020100 020100", kind="a2"):
    """A response whose one varbind is sysUpTime.0 with this value (hexadecimal)."""
    octets = bytes.fromhex
    varbind = ber.encode(0x30, octets("0608 2b06010201010300") + octets(value))
    pdu = ber.encode(int(kind, 16), octets("0204 12345678") + octets(error) + ber.encode(0x30, varbind))
    return ber.encode(0x30, octets(head) + pdu)


@pytest.mark.parametrize(
    ("octets", "tag", "value"),
    [
        ("4301 07", ber.TIME_TICKS, 7),
        ("4305 00ffffffff", ber.TIME_TICKS, 2**32 - 1),
        ("4304 ffffffff", ber.TIME_TICKS, 2**32 - 1),  # without the leading zero: read as unsigned all the same
        ("4104 80000000", ber.COUNTER32, 2**31),
        ("4609 00ffffffffffffffff", ber.COUNTER64, 2**64 - 1),
        ("4608 ffffffffffffffff", ber.COUNTER64, 2**64 - 1),
        ("0201 ff", ber.INTEGER, -1),
        ("0204 ffffffff", ber.INTEGER, -1),
        ("0400", ber.OCTET_STRING, b""),
        ("0481 03 616263", ber.OCTET_STRING, b"abc"),  # a length in the long form where the short one would do
        ("0483 000003 616263", ber.OCTET_STRING, b"abc"),
        ("4004 0a0013fe", ber.IP_ADDRESS, b"\x0a\x00\x13\xfe"),
        ("0500", ber.NULL, None),
        ("8000", ber.NO_SUCH_OBJECT, None),
        ("8100", ber.NO_SUCH_INSTANCE, None),
        ("8200", ber.END_OF_MIB_VIEW, None),
    ],
)
def test_a_value_of_each_form_is_read(octets, tag, value):
    pdu = decode_message(reply(octets)).pdu
    assert (pdu.tags, pdu.values) == (bytes([tag]), [value])
    assert [format_oid(name) for name in pdu.names] == ["1.3.6.1.2.1.1.3.0"]


@pytest.mark.parametrize(
    "octets",
    [
        "4300",
        "4100",
        "4600",
        "4305 0100000000",
        "4609 010000000000000000",
        "0200",
        "0209 000000000000000001",
        "4801 00",
        "2403 040161",
    ],
)
def test_a_value_that_is_not_of_its_type_is_unreadable_and_costs_no_more(octets):
    """Empty numbers, numbers past their type, types that SNMP has not."""
    pdu = decode_message(reply(octets)).pdu
    assert (pdu.tags, pdu.values) == (bytes([UNREADABLE]), [None])


@pytest.mark.parametrize(
    "octets",
    [
        "0201 07 0500",  # two octets behind the value
        "0202 07",  # a value that goes on behind the varbind
        "0482 01c0" + "78" * 447,  # a text of an octet less than it says
        "0484 00000001",
        "0480 61 0000",  # the indefinite form
        "9f78 04 402000",  # a float's tag of two octets, with too few octets behind it
        "9f20 01 00",
        "02",
        "",
    ],
)
def test_a_value_of_another_length_than_it_says_is_unreadable_and_costs_no_more(octets):
    """The varbind says where the next one starts."""
    good = ber.encode(0x30, bytes.fromhex("0601 2b 0201 07"))
    bad = ber.encode(0x30, bytes.fromhex("0601 2b" + octets))
    data = good + bad + good
    assert decode_varbinds(data, 0, len(data)) == ([b"\x2b"] * 3, bytes([ber.INTEGER, UNREADABLE, ber.INTEGER]), [7, None, 7])


def test_a_number_that_belongs_in_an_opaque_is_read_without_one():
    octets = bytes.fromhex("9f7804 40200000")
    data = ber.encode(0x30, b"\x06\x01\x2b" + octets)
    assert decode_varbinds(data, 0, len(data)) == ([b"\x2b"], bytes([ber.OPAQUE]), [octets])


@pytest.mark.parametrize(
    ("octets", "what", "offset"),
    [
        ("30 06 0605 2b 0201 07", "a varbind's name is longer than the varbind", 4),
        ("30 07 0601 2b 0201 07", "a varbind is longer than its list", 0),  # a varbind that goes on behind the list
        ("30", "a varbind is longer than its list", 0),
        ("31 06 0601 2b 0201 07", "tag 0x31, expected a varbind", 0),
        ("30 06 0601 2b 0201 07 31 00", "tag 0x31, expected a varbind", 8),
        ("30 06 0401 2b 0201 07", "tag 0x04, expected a varbind's name", 2),
        ("30 03 0681", "a varbind is longer than its list", 0),
    ],
)
def test_a_varbind_whose_lengths_do_not_agree_is_malformed(octets, what, offset):
    """Though there are octets behind it that would fit."""
    data = bytes.fromhex(octets)
    with pytest.raises(MalformedMessage) as raised:
        decode_varbinds(data + bytes.fromhex("0500" * 4), 0, len(data))
    assert (raised.value.what, raised.value.offset) == (what, offset)


@pytest.mark.parametrize("octets", ["30", "3006", "30060601", "3006 06"])
def test_a_varbind_that_ends_with_the_datagram_is_cut_short(octets):
    data = bytes.fromhex(octets)
    with pytest.raises(MalformedMessage) as raised:
        decode_varbinds(data, 0, len(data) + 9)
    assert (raised.value.what, raised.value.offset) == ("a varbind is cut short", len(data))


def test_lengths_of_several_octets_are_read_as_those_of_one():
    short, long = bytes.fromhex("3006 0601 2b 0201 07"), bytes.fromhex("30820008 06820001 2b 0201 07")
    assert decode_varbinds(short, 0, len(short)) == decode_varbinds(long, 0, len(long)) == ([b"\x2b"], b"\x02", [7])


def test_error_status_and_index_are_read():
    pdu = decode_message(reply("0500", error="020102 020103")).pdu
    assert (pdu.error_status, pdu.error_index) == (2, 3)


@pytest.mark.parametrize(
    ("octets", "what", "offset"),
    [
        (b"", "a value is cut short", 0),
        (b"\x31\x00", "tag 0x31, expected 0x30", 0),
        (b"\x30\x05\x02\x01\x01", "a length of 5 octets, but 3 are left", 1),
        (b"\x30\x80\x00\x00", "length octet 0x80", 1),
        (b"\x30\x03\x02\x01\x03", "version 3, expected 0 or 1", 2),
        (b"\x30\x03\x02\x01\x02", "version 2, expected 0 or 1", 2),
        (b"\x30\x02\x02\x00", "tag 0x02 of 0 octets, expected an INTEGER", 2),
        (reply("0500", kind="a4"), "PDU type 0xa4", 13),
        (reply("0500", kind="30"), "PDU type 0x30", 13),
        (b"\x1f\x01\x00", "tag 0x1f of several octets", 0),
    ],
)
def test_what_is_not_a_message_is_refused_with_the_place_of_its_first_bad_octet(octets, what, offset):
    with pytest.raises(MalformedMessage) as raised:
        decode_message(octets)
    assert (raised.value.what, raised.value.offset) == (what, offset)
