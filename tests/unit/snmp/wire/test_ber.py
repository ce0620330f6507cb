"""BER as SNMP uses it: lengths and integers at their limits, and the place of a bad value."""

import struct

import pytest

from towerops_agent.errors import InvalidOid, MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid


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
    assert ber.read_long_length(bytes.fromhex("ff 81 03"), 1, 3) == (3, 3)
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
    assert str(raised.value).startswith(words)


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


OIDS = {
    "0.0": "00",
    "0.39": "27",
    "1.0": "28",
    "1.3": "2b",
    "1.39": "4f",
    "2.0": "50",
    "2.47": "7f",
    "2.48": "8100",
    "2.999.3": "883703",
    "1.3.6.1.2.1.1.3.0": "2b06010201010300",
    "1.3.127.128.16383.16384": "2b7f8100ff7f818000",
    "1.3.4294967295": "2b8fffffff7f",
}


@pytest.mark.parametrize("text", OIDS)
def test_an_oid_is_its_octets_and_its_text(text):
    oid = bytes.fromhex(OIDS[text])
    numbers = tuple(map(int, text.split(".")))
    assert ber.parse_oid(text) == ber.parse_oid(f" .{text} ") == ber.encode_oid(numbers) == oid
    assert ber.subidentifiers(oid) == numbers
    assert ber.format_oid(oid) == text
    assert ber.child(oid, 5, 300) == oid + bytes.fromhex("05 822c")
    assert ber.is_within(ber.child(oid, 5), oid)
    assert not ber.is_within(oid, ber.child(oid, 5))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1,), "an OID of 1 sub-identifiers: expected 2 to 128"),
        ((1, 3) + (1,) * 127, "an OID of 129 sub-identifiers: expected 2 to 128"),
        ((3, 0), "an OID that begins with 3.0: expected 0.0 to 0.39, 1.0 to 1.39 or 2.x"),
        ((-1, 0), "an OID that begins with -1.0: "),
        ((0, 40), "an OID that begins with 0.40: "),
        ((1, 40), "an OID that begins with 1.40: "),
        ((1, 3, -1), "sub-identifiers from -1 to 3 in an OID: expected 0 to 4294967295"),
        ((1, 3, 1 << 32), "sub-identifiers from 1 to 4294967296 in an OID: "),
    ],
)
def test_numbers_that_are_not_an_oid_are_refused_with_what_is_wrong(numbers, words):
    with pytest.raises(InvalidOid) as raised:
        ber.encode_oid(numbers)
    assert str(raised.value).startswith(words)


def test_an_oid_has_as_many_sub_identifiers_as_the_rfc_allows():
    numbers = (1, 3) + (1,) * 126
    assert ber.subidentifiers(ber.encode_oid(numbers)) == numbers


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1..3", "1.3.x", "1.3.-1", "a" * 100, "1." + "9" * 21])
def test_a_text_that_is_not_an_oid_is_refused_and_shown_in_part(text):
    with pytest.raises(InvalidOid) as raised:
        ber.parse_oid(text)
    assert str(raised.value) == f"OID {text[:80]!r}: expected numbers with dots between, as in 1.3.6.1.2.1.1.3.0"


@pytest.mark.parametrize("octets", ["", "2b86", "80"])
def test_octets_that_are_not_an_oid_are_refused_and_shown(octets):
    with pytest.raises(InvalidOid) as raised:
        ber.subidentifiers(bytes.fromhex(octets))
    assert str(raised.value) == f"octets {bytes.fromhex(octets).hex(' ')!r} are not an OID"


def test_numbers_past_32_bits_that_a_device_sends_are_kept():
    assert ber.subidentifiers(bytes.fromhex("2b 9080808000")) == (1, 3, 1 << 32)


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
