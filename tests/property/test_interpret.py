"""From what a device answers to numbers: the numbers of real devices' texts, and a reason for all that is none."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import VALUES
from towerops_agent.polling.course.interpret import LARGEST_FLOAT, number, number_in_text
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import decode_varbinds

TEXTS = {
    b"12.4 V": 12.4,
    b"-61 dBm": -61,
    b'"23"': 23,
    b"'23.5'": 23.5,
    b"-5.50E+01": -55.0,
    b"46.0": 46.0,
    b" 3800": 3800,
    b"3800 ": 3800,
    b"+7": 7,
    b"-0.5": -0.5,
    b".5": 0.5,
    b"5.": 5.0,
    b"0": 0,
    b"007": 7,
    b"47%": 47,
    b"1500rpm": 1500,
    b"100 Mbit/s": 100,
    b"42\0\0\0": 42,
    b"42 C\0": 42,
    b"23.5 \xb0C": 23.5,  # latin-1
    "23.5 °C".encode(): 23.5,
    "12 µA".encode(): 12,
    "12 μA".encode(): 12,
    "4.7 kΩ".encode(): 4.7,
    b"12\r\n": 12,
    b"18446744073709551615": 18446744073709551615,
    b"18446744073709551616": 18446744073709551616.0,
    b"-9223372036854775808": -9223372036854775808,
    b"-9223372036854775809": -9223372036854775809.0,
    b"1e28": 1e28,
}

NO_NUMBERS = [
    b"",
    b" ",
    b"\0",
    b"N/A",
    b"n/a",
    b"-",
    b"--",
    b".",
    b"+",
    b"unknown",
    b"nan",
    b"inf",
    b"-inf",
    b"Infinity",
    b"1.2.3.4",
    b"12:30:15",
    b"2026-01-01",
    b"01/02/2026",
    b"1,234",
    b"12,4 V",
    b"1 234",
    b"12 34",
    b"1_000",
    b"v7.12",
    b"7.12.1",
    b"5-10",
    b"- 61",
    b"--61",
    b"0x1F",
    b"0xFF",
    b"0XAB",
    b"0x",
    b"-0xFF",
    b'"0xFF"',
    b"00:0c:42:aa:bb:cc",
    b"12\0 V",
    b"12 V 13 A",
    b"(12)",
    b"12;",
    b"\xff\xfe",
    b"\x07\xe8\x01\x09",
    "٣".encode(),
    b"9" * 65,
    b"12" + b" " * 70,
    b"12 this is a sentence, not a unit",
]


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_a_number_with_or_without_a_unit_is_read(text):
    got = number_in_text(text)
    assert (got, type(got)) == (TEXTS[text], type(TEXTS[text]))
    assert number(ber.OCTET_STRING, text) == TEXTS[text]


@pytest.mark.parametrize("text", NO_NUMBERS, ids=repr)
def test_a_text_with_anything_else_is_no_number(text):
    """A hexadecimal number above all: what begins it is no zero."""
    assert number_in_text(text) == "not_a_number"


@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"1e999", "not_finite"), (b"-1e999", "not_finite"), (b"1e29", "out_of_range"), (b"9" * 30, "out_of_range")],
)
def test_a_number_past_all_readings_is_missing_with_its_reason(text, reason):
    assert number_in_text(text) == reason


@given(st.integers(-(2**63), 2**64 - 1), st.sampled_from(("", " V", "dBm", " %", '"', "\0\0", " °C")))
def test_integers_are_read_to_the_last_digit(value, unit):
    assert number_in_text(f"{value}{unit}".encode()) == value


@given(st.floats(-LARGEST_FLOAT, LARGEST_FLOAT), st.sampled_from(("", " V", "dBm", " %")))
def test_floats_are_read_as_python_does(value, unit):
    assert number_in_text(f"{value!r}{unit}".encode()) == value


@given(st.one_of(st.binary(max_size=70), st.text("0123456789.+-eE xX\0V,:", max_size=70).map(str.encode)))
def test_any_octets_are_a_sane_number_or_a_reason(octets):
    """Never an exception, an infinity, or an integer that the database can't keep."""
    check_sane(number_in_text(octets))


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
    if isinstance(value, int):
        assert number(tag, value) == value


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
def test_an_integer_in_an_opaque_is_read(value, kind):
    """Int64 is signed, UInt64 and Counter64 are not."""
    value = max(min(value, 2**63 - 1), -(2**63)) if kind == 0x7A else abs(value)
    octets = ber.encode_integer(value)[1:]
    assert number(ber.OPAQUE, bytes((0x9F, kind)) + octets) == value
    assert number(ber.OPAQUE, bytes((0x9F, kind)) + octets + b"\0") == "not_a_number"


def test_an_integer_past_64_bits_in_an_opaque_is_missing():
    assert number(ber.OPAQUE, bytes.fromhex("9f7b09 010000000000000000")) == "out_of_range"
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
        ("007fffffff", 0x7FFFFFFF),
        ("0100000000", 0x1_0000_0000),  # no number of 32 bits looks like it
        ("80000000", -0x8000_0000),
    ],
)
def test_an_integer_whose_sign_may_be_lost_is_missing(octets, expected):
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
def test_addresses_and_oids_are_no_numbers_whatever_their_octets(tag):
    assert number(tag, b"1234") == "not_a_number"
