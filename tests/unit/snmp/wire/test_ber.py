"""BER as SNMP uses it: lengths and integers at their limits, and the place of a bad value."""

import struct

import pytest

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber


@pytest.mark.parametrize(
    ("length", "octets"),
    [(0, "00"), (0x7F, "7f"), (0x80, "8180"), (0xFF, "81ff"), (0x100, "820100"), (0xFFFF, "82ffff"), (0x10000, "83010000")],
)
def test_a_length_takes_the_shortest_form(length, octets):
    assert ber.encode_length(length).hex() == octets


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (-1, "0201ff"),
        (-128, "020180"),
        (-129, "0202ff7f"),
        (32767, "02027fff"),
        (32768, "0203008000"),
        (-32768, "02028000"),
    ],
)
def test_an_integer_takes_the_fewest_octets_and_is_read_back(number, octets):
    encoded = ber.encode_integer(number)
    assert encoded.hex() == octets
    assert ber.read_integer(encoded, 0, len(encoded)) == (number, len(encoded))
    assert ber.encode_integer(number, ber.GAUGE32)[0] == ber.GAUGE32


def test_contents_are_between_their_header_and_the_next_value():
    data = bytes.fromhex("ff 04 03 616263 05 00")
    assert ber.read_header(data, 1, len(data)) == (ber.OCTET_STRING, 3, 6)
    assert ber.read_contents(data, 1, len(data), ber.OCTET_STRING) == (3, 6)
    assert ber.read_header(data, 6, len(data)) == (ber.NULL, 8, 8)
    long = bytes.fromhex("04 82 0003 616263")
    assert ber.read_header(long, 0, len(long)) == (ber.OCTET_STRING, 4, 7)
    assert ber.read_long_length(bytes.fromhex("04 88 0000000000000003"), 1, 10) == (3, 10)


@pytest.mark.parametrize(
    ("octets", "read", "offset", "words"),
    [
        ("ff 04", ber.read_header, 1, "a value is cut short"),
        ("ff 1f 01 00", ber.read_header, 1, "tag 0x1f of several octets"),
        ("ff bf 01 00", ber.read_header, 1, "tag 0xbf of several octets"),
        ("ff 04 03 6162", ber.read_header, 2, "a length of 3 octets, but 2 are left"),
        ("ff 04 80 0000", ber.read_header, 2, "length octet 0x80"),
        ("ff 04 89 000000000000000001 61", ber.read_header, 2, "length octet 0x89"),
        ("ff 04 82 00", ber.read_header, 2, "length octet 0x82"),
        ("ff 04 01 61", ber.read_integer, 1, "tag 0x04 of 1 octets, expected an INTEGER"),
        ("ff 02 00", ber.read_integer, 1, "tag 0x02 of 0 octets, expected an INTEGER"),
        ("ff 02 09 000000000000000001", ber.read_integer, 1, "tag 0x02 of 9 octets, expected an INTEGER"),
    ],
)
def test_a_bad_value_is_reported_with_its_place(octets, read, offset, words):
    data = bytes.fromhex(octets)
    with pytest.raises(MalformedMessage) as raised:
        read(data, 1, len(data))
    assert raised.value.offset == offset
    assert words in str(raised.value)


def test_a_value_of_another_type_is_reported_with_both():
    with pytest.raises(MalformedMessage, match="tag 0x02, expected 0x30") as raised:
        ber.read_contents(bytes.fromhex("ff 02 01 05"), 1, 4, ber.SEQUENCE)
    assert raised.value.offset == 1


def test_an_integer_of_eight_octets_is_read():
    assert ber.read_integer(bytes.fromhex("02 08 7fffffffffffffff"), 0, 10) == (2**63 - 1, 10)


def wrapped(kind, contents, length=None):
    return bytes((0x9F, kind, len(contents) if length is None else length)) + contents


@pytest.mark.parametrize(
    ("octets", "number"),
    [
        (wrapped(0x78, struct.pack(">f", 12.5)), ("Float", 12.5)),
        (wrapped(0x79, struct.pack(">d", -0.1)), ("Double", -0.1)),
        (wrapped(0x76, b"\xff" * 8), ("Counter64", 2**64 - 1)),
        (wrapped(0x76, b"\x00" + b"\xff" * 8), ("Counter64", 2**64 - 1)),
        (wrapped(0x7A, b"\xff"), ("Int64", -1)),
        (wrapped(0x7B, b"\xff"), ("UInt64", 255)),
        (wrapped(0x7B, b"\x00" * 10), None),
        (wrapped(0x78, b"\x00" * 5), None),
        (wrapped(0x79, b"\x00" * 4), None),
        (wrapped(0x77, b"\x01"), None),
        (wrapped(0x76, b""), None),
        (wrapped(0x76, b"\x01\x02", 1), None),
        (b"\x9e" + wrapped(0x76, b"\x01")[1:], None),
        (b"", None),
    ],
)
def test_a_number_in_an_opaque_is_read_if_it_is_one(octets, number):
    assert ber.opaque_number(octets) == number
