"""What a field must be, and the words of the error if it is not: the field, what it is, what was expected."""

import re

import msgspec
import pytest

from towerops_agent.config.document import fields
from towerops_agent.errors import InvalidConfig


def refused(check, *arguments, **options):
    with pytest.raises(InvalidConfig) as error:
        check(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "absent"), (True, "true"), (False, "false"), ({}, "an object"), ([1], "a list"), (7, "7"), (1.5, "1.5"),
        ("ü\n", r"'\xfc\n'"), ("x" * 78, "'" + "x" * 78 + "'"), ("x" * 79, "'" + "x" * 75 + "…"),
        (fields.UNREADABLE, "a JSON value that can't be decoded"),
    ],
)  # fmt: skip
def test_a_value_is_shown_in_a_short_line(value, shown):
    assert fields.shown(value) == shown


@pytest.mark.parametrize(
    ("raw", "got"),
    [(b"null", "absent"), (b"7", "7"), (b"[]", "a list"), (b'"hush-h"', "a text"), (b"[", "a JSON value that can't be decoded")],
)  # fmt: skip
def test_what_is_not_an_object_is_said_to_be_so_and_a_text_is_not_shown(raw, got):
    assert refused(fields.members, msgspec.Raw(raw), "snmp") == f"snmp is {got}: expected a JSON object"


def test_the_members_of_an_object_are_not_decoded():
    found = fields.members(msgspec.Raw(b'{"a": [1, 2], "b": null}'), "it")
    assert {name: bytes(raw) for name, raw in found.items()} == {"a": b"[1, 2]", "b": b"null"}
    assert [fields.value_of(found[name]) for name in "ab"] == [[1, 2], None]
    assert fields.value_of(None) is None
    assert fields.value_of(msgspec.Raw(b"1e999999x")) is fields.UNREADABLE


def test_a_text_is_not_empty_and_a_secret_is_not_shown():
    assert fields.text("name", "North") == "North"
    assert refused(fields.text, "name", 7) == "name is 7: expected a text"
    assert refused(fields.text, "name", "") == "name is '': expected a text"
    assert refused(fields.text, "community", 7_731_009, secret=True) == "community is not one: expected a text"
    assert refused(fields.text, "community", None, secret=True) == "community is absent: expected a text"
    assert refused(fields.text, "community", "", secret=True) == "community is '': expected a text"


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None, 2**31])
def test_an_integer_is_from_1_to_its_limit(value):
    got = fields.shown(value)
    assert refused(fields.integer, "port", value) == f"port is {got}: expected an integer from 1 to 2147483647"


def test_the_limits_of_an_integer_are_integers_too():
    assert (fields.integer("port", 1), fields.integer("port", 9, most=9), fields.integer("i", 2**31 - 1)) == (1, 9, 2**31 - 1)
    assert refused(fields.integer, "port", 10, most=9) == "port is 10: expected an integer from 1 to 9"


@pytest.mark.parametrize(("value", "found"), [("2C", "v2"), (" 2c ", "v2"), (3, "v3"), ("3", "v3")])
def test_a_choice_is_a_text_in_any_case_or_an_integer(value, found):
    assert fields.choice("version", value, {"2c": "v2", "3": "v3"}, "2c or 3") == found


@pytest.mark.parametrize("value", [True, 3.0, None, [], "4"])
def test_what_is_not_among_the_choices_is_refused_with_them(value):
    said = refused(fields.choice, "version", value, {"2c": "v2", "3": "v3", "true": "x"}, "2c or 3")
    assert said == f"version is {fields.shown(value)}: expected 2c or 3"


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (" 10.0.0.1 ", "10.0.0.1"), ("[2001:db8::1]", "2001:db8::1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("10.0.0.1.", "10.0.0.1"),
        ("radio.example.", "radio.example."), ("a" * 63 + ".b", "a" * 63 + ".b"), ("_x-1.example", "_x-1.example"), ("x1", "x1"),
        (".".join(["a" * 62] * 4) + ".b", ".".join(["a" * 62] * 4) + ".b"),
    ],
)  # fmt: skip
def test_a_host_is_an_address_or_a_name(value, host):
    assert fields.host("ip_address", value) == host


@pytest.mark.parametrize(
    "value",
    [7, "", "[radio]", "-x", "x-", "a..b", "a" * 64, "10.0.1", "1.2.3.4.5", "0x7f", "a.0x1F", "ü", "a b",
     ".".join(["a" * 62] * 4) + ".bc"],
)  # fmt: skip
def test_what_is_not_a_host_is_refused_in_words(value):
    said = refused(fields.host, "ip_address", value)
    assert re.fullmatch(r"ip_address is .*: expected an IPv4 address, an IPv6 address or a DNS name", said)
