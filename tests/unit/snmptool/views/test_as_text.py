"""Varbinds as text and as JSON; that the text is net-snmp's is shown in tests/snmpd/test_snmp_commands.py."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import UNREADABLE, Varbind
from towerops_agent.snmptool.views.as_json import text_of, varbind_object, varbinds_json
from towerops_agent.snmptool.views.as_text import BAD_TYPE, error_text, oid_text, value_text, varbind_text

NAME = parse_oid("1.3.6.1.2.1.1.3.0")

TAGS_OF_OCTETS = (ber.OCTET_STRING, ber.OBJECT_IDENTIFIER, ber.IP_ADDRESS, ber.OPAQUE, ber.NSAP_ADDRESS)
TAGS_OF_NUMBERS = (ber.INTEGER, ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS, ber.COUNTER64, ber.UINTEGER32)
TAGS_OF_NOTHING = (ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW, UNREADABLE)

VARBINDS = st.one_of(
    st.builds(Varbind, st.just(NAME), st.sampled_from(TAGS_OF_OCTETS), st.binary(max_size=80)),
    st.builds(Varbind, st.just(NAME), st.sampled_from(TAGS_OF_NUMBERS), st.integers(0, 2**64 - 1)),
    st.builds(Varbind, st.just(NAME), st.sampled_from(TAGS_OF_NOTHING), st.none()),
)


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        (ber.TIME_TICKS, 123, "Timeticks: (123) 0:00:01.23"),
        (ber.TIME_TICKS, 8_640_000, "Timeticks: (8640000) 1 day, 0:00:00.00"),
        (ber.TIME_TICKS, 2**32 - 1, "Timeticks: (4294967295) 497 days, 2:27:52.95"),
        (ber.OCTET_STRING, b"", '""'),
        (ber.OCTET_STRING, b'say "\\"', r'STRING: "say \"\\\""'),
        (ber.OCTET_STRING, b"\x00\x1b", "Hex-STRING: 00 1B "),
        (ber.OCTET_STRING, b"\xff" * 17, f"Hex-STRING: {'FF ' * 16}\nFF "),
        (ber.OPAQUE, bytes.fromhex("9f780441480000"), "Opaque: Float: 12.500000"),
        (ber.OPAQUE, bytes.fromhex("9f780541480000"), "OPAQUE: 9F 78 05 41 48 00 00 "),
        (ber.IP_ADDRESS, b"\x0a\x00\x00\x01", "IpAddress: 10.0.0.1"),
        (ber.IP_ADDRESS, b"\x0a", BAD_TYPE),
        (UNREADABLE, None, BAD_TYPE),
        (ber.NO_SUCH_INSTANCE, None, "No Such Instance currently exists at this OID"),
    ],
)
def test_a_value_is_written_as_net_snmp_writes_it(tag, value, text):
    assert value_text(tag, value) == text


@given(VARBINDS)
def test_any_value_makes_a_line_that_a_terminal_can_show(varbind):
    """Only ASCII, and no control character but those that net-snmp lets through: no escape sequence reaches the terminal."""
    text = varbind_text(varbind)
    assert text.startswith(".1.3.6.1.2.1.1.3.0 = ")
    assert all(" " <= character <= "~" or character in "\t\n\v\f\r" for character in text)


@given(st.binary(max_size=200))
def test_a_string_in_hexadecimal_or_in_quotes_is_all_there(octets):
    """What is printed can be read back: nothing is cut, replaced or ambiguous."""
    text = value_text(ber.OCTET_STRING, octets)
    if text.startswith("Hex-STRING: "):
        assert bytes.fromhex(text.removeprefix("Hex-STRING: ")) == octets
        assert all(len(line) <= 48 for line in text.removeprefix("Hex-STRING: ").split("\n"))
    else:
        inner = text.removeprefix("STRING: ")[1:-1]
        assert inner.replace('\\"', '"').replace("\\\\", "\\").encode() == octets


@given(st.lists(VARBINDS, max_size=5))
def test_json_is_one_array_with_an_object_a_line(varbinds):
    text = varbinds_json(varbinds)
    rows = json.loads(text)
    assert [set(row) for row in rows] == [{"oid", "type", "value"}] * len(varbinds)
    assert len(text.splitlines()) == (len(varbinds) + 2 if varbinds else 1)


@pytest.mark.parametrize(
    ("tag", "value", "kind", "shown"),
    [
        (ber.OCTET_STRING, "Füllstand".encode(), "OCTET STRING", "Füllstand"),
        (ber.OCTET_STRING, b"line\r\nline", "OCTET STRING", "line\r\nline"),
        (ber.OCTET_STRING, b"\x1b[31m", "OCTET STRING", {"hex": "1b5b33316d"}),
        (ber.OCTET_STRING, b"\xff", "OCTET STRING", {"hex": "ff"}),
        (ber.COUNTER64, 2**64 - 1, "Counter64", 2**64 - 1),
        (ber.OBJECT_IDENTIFIER, NAME, "OBJECT IDENTIFIER", "1.3.6.1.2.1.1.3.0"),
        (ber.IP_ADDRESS, b"\x0a\x00\x00\x01", "IpAddress", "10.0.0.1"),
        (ber.IP_ADDRESS, b"\x0a", "IpAddress", {"hex": "0a"}),
        (ber.OPAQUE, bytes.fromhex("9f780441480000"), "Opaque Float", 12.5),
        (ber.OPAQUE, bytes.fromhex("9f78047fc00000"), "Opaque", {"hex": "9f78047fc00000"}),
        (ber.NO_SUCH_OBJECT, None, "noSuchObject", None),
        (UNREADABLE, None, "unreadable", None),
    ],
)
def test_json_has_text_where_octets_are_text_and_hexadecimal_elsewhere(tag, value, kind, shown):
    assert varbind_object(Varbind(NAME, tag, value)) == {"oid": "1.3.6.1.2.1.1.3.0", "type": kind, "value": shown}


@given(st.binary(max_size=40))
def test_octets_taken_for_a_text_are_that_text(octets):
    text = text_of(octets)
    assert text is None or text.encode() == octets


def test_what_is_not_a_name_is_shown_as_octets():
    """Some firmware answers with a name that is cut within a sub-identifier."""
    assert oid_text(b"\x2b\x86") == "(no OID: 2B 86)"
    assert oid_text(b"") == ".0"


def test_an_error_names_the_object_that_it_blames():
    assert error_text(2, NAME).splitlines()[2] == "Failed object: .1.3.6.1.2.1.1.3.0"
    assert error_text(2, NAME).endswith(".1.3.6.1.2.1.1.3.0\n")
    assert error_text(5, None) == "Error in packet\nReason: (genError) A general failure occured"
    assert error_text(99, None) == "Error in packet\nReason: error-99"


@pytest.mark.parametrize(
    ("octets", "text"),
    [("ffc00000", "-nan"), ("7fc00000", "nan"), ("c0200000", "-2.500000"), ("80000000", "-0.000000"), ("40200000", "2.500000")],
)
def test_a_float_keeps_its_sign_as_c_prints_it(octets, text):
    assert value_text(ber.OPAQUE, bytes.fromhex(f"9f7804{octets}")) == f"Opaque: Float: {text}"
