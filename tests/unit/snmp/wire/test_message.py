"""Octets of real messages, by hand: what the codec makes of them, and which octet it calls the first bad one."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from towerops_agent.errors import InvalidOid, MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.message import (
    UNREADABLE,
    Community,
    Pdu,
    PduType,
    Request,
    Version,
    decode_message,
    decode_usual,
    decode_varbinds,
    encode_pdu,
    error_name,
    message_version,
)

SYS_UP_TIME = parse_oid("1.3.6.1.2.1.1.3.0")
GET_SYS_UP_TIME = bytes.fromhex(
    "30 29 020101 0406 7075626c6963 a0 1c 0204 12345678 020100 020100 30 0e 30 0c 0608 2b06010201010300 0500"
)
"""As snmpget -v2c sends it."""


def reply(value, *, head="020101 0406 7075626c6963", error="020100 020100", kind="a2"):
    """A response whose one varbind is sysUpTime.0 with this value (hexadecimal)."""
    octets = bytes.fromhex
    varbind = ber.encode(0x30, octets("0608 2b06010201010300") + octets(value))
    pdu = ber.encode(int(kind, 16), octets("0204 12345678") + octets(error) + ber.encode(0x30, varbind))
    return ber.encode(0x30, octets(head) + pdu)


def test_a_request_is_the_octets_that_net_snmp_sends():
    request = Request((parse_oid("1.3.6.1.2.1.1.3.0"),))
    assert Community(Version.V2C, b"public").wrap(request.pdu(0x12345678)) == GET_SYS_UP_TIME


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


def test_the_version_of_a_datagram_is_read_without_the_rest():
    assert [message_version(bytes.fromhex(octets)) for octets in ("30030201 00", "3003020101", "30050201030000")] == [0, 1, 3]
    with pytest.raises(MalformedMessage):
        message_version(b"\x31\x03\x02\x01\x01")


def test_an_answer_that_is_the_same_each_time_reads_as_any_other():
    for ticks in (0x0102, 0x0102, 0x0103):
        octets = reply(f"4302 {ticks:04x}")
        for steady_from in (None, 1, 0):
            one = Awaiting(Request((SYS_UP_TIME,), steady_from=steady_from), Community(Version.V2C, b"public"))
            usual = decode_usual(octets, {0x12345678: one})
            assert usual is not None
            assert (usual[0], usual[1].values, usual[1].tags) == (one, [ticks], b"\x43")


def test_error_status_and_index_are_read():
    pdu = decode_message(reply("0500", error="020102 020103")).pdu
    assert (pdu.error_status, pdu.error_index) == (2, 3)
    assert [error_name(status) for status in (0, 1, 2, 5, 18, 19, -1)] == [
        "noError", "tooBig", "noSuchName", "genErr", "inconsistentName", "error-19", "error--1",
    ]  # fmt: skip


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1",
        "1.",
        ".1",
        "1..3",
        "1.3.",
        "a.b",
        "1.3.x",
        "1.3.-1",
        "3.1",
        "0.40",
        "1.40",
        "1.3.4294967296",
        "1,3",
        "1.3 .6",
        "1" + ".1" * 128,
    ],
)
def test_a_text_that_is_not_an_oid_is_refused(text):
    with pytest.raises(InvalidOid):
        parse_oid(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("1.3", "2b"),
        (".1.3.6.1", "2b0601"),
        ("2.999.3", "883703"),
        ("1.3.128", "2b8100"),
        (" 1.3.6 ", "2b06"),
        ("1.3.4294967295", "2b8fffffff7f"),
        ("0.0", "00"),
    ],
)
def test_an_oid_is_encoded_as_x_690_has_it(text, octets):
    assert parse_oid(text).hex() == octets


class Awaiting(NamedTuple):
    """A request that awaits its answer."""

    request: Request
    security: Community


def framed(tag, contents, octets_of_length):
    """One tag-length-value, its length in so many octets: 1, or that and one behind the one that says how many there are."""
    if octets_of_length == 1:
        return bytes((tag, len(contents))) + contents
    return bytes((tag, 0x80 | octets_of_length - 1)) + len(contents).to_bytes(octets_of_length - 1, "big") + contents


@pytest.mark.parametrize("octets", [1, 100, 121, 122, 123, 124, 125, 127, 128, 300])
def test_a_long_name_is_asked_as_it_is_and_its_answer_read_in_any_way(octets):
    """A varbind of up to 127 octets has a length of one octet: the name's tag and length, and three of the value, are in it."""
    request_id, name = 0x12345678, b"\x2b" + b"\x01" * (octets - 1)
    request, community = Request((name,)), Community(Version.V2C, b"public")
    assert decode_message(community.encode(request, request_id, 0.0)).pdu.names == [name]
    pdu = Pdu(PduType.RESPONSE, request_id, 0, 0, [name], b"\x43", [5])
    answer = community.wrap(encode_pdu(pdu))
    usual = decode_usual(answer, {request_id: Awaiting(request, community)})
    assert (usual is not None) == (octets <= 122)
    assert decode_message(answer).pdu == pdu


@pytest.mark.parametrize(
    "octets_of_length", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 2, 1), (1, 3, 2), (4, 1, 1), (1, 4, 1), (1, 1, 4)]
)
@pytest.mark.parametrize("names", [(), (SYS_UP_TIME,), (SYS_UP_TIME, SYS_UP_TIME[:-1])])
def test_an_answer_of_which_any_octet_is_another_reads_the_same_if_it_is_a_usual_one(names, octets_of_length):
    """With one octet replaced by each other one, left out or put in, or more octets behind all."""
    request_id, one = 0x12345678, Awaiting(Request(names), Community(Version.V2C, b"public"))
    varbinds = b"".join(ber.encode(0x30, ber.encode(0x06, name) + b"\x43\x02\x01\x02") for name in names)
    of_message, of_pdu, of_list = octets_of_length
    body = b"\x02\x04" + request_id.to_bytes(4, "big") + b"\x02\x01\x00\x02\x01\x00" + framed(0x30, varbinds, of_list)
    octets = framed(0x30, one.security.head + framed(0xA2, body, of_pdu), of_message)
    others = [octets[:at] + bytes((octet,)) + octets[at + 1 :] for at in range(len(octets)) for octet in range(256)]
    others += [octets[:at] + octets[at + 1 :] for at in range(len(octets))]
    others += [octets[:at] + bytes((octet,)) + octets[at:] for at in range(len(octets) + 1) for octet in (0, 1, 0x30, 0x80)]
    assert (decode_usual(octets, {request_id: one}) is not None) == (max(octets_of_length) <= 3)
    assert decode_message(octets).pdu.tags == b"\x43" * len(names)
    for other in others:
        usual = decode_usual(other, {request_id: one})
        if usual is not None:
            general = decode_message(other)
            assert one.security.refuses(general) is None
            assert replace(usual[1], names=list(usual[1].names)) == general.pdu
            assert usual[1].names is names


def test_a_community_is_like_another_of_its_version_and_name():
    public = Community(Version.V2C, b"public")
    assert public.is_like(Community(Version.V2C, b"public"))
    assert not public.is_like(Community(Version.V1, b"public"))
    assert not public.is_like(Community(Version.V2C, b"private"))
