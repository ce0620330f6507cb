"""How the doctor shows what it found: one line each that any stream can print, or JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.doctor.findings.check import Check, Lines, Result, checks_json, device_width, hints_once
from towerops_agent.text import printable

CHECKS = [
    Check("database", Result.OK, "fine"),
    Check("clock", Result.FAILED, "9 days ahead", "set it …"),
    Check("TLS", Result.WARNING, "soon"),
    Check("proxy", Result.SKIPPED, "none"),
]


def test_a_check_is_one_aligned_line_with_its_hint():
    lines = Lines("utf-8")
    assert [lines.line(check) for check in CHECKS] == [
        "✓ database      fine",
        "✗ clock         9 days ahead → set it …",
        "! TLS           soon",
        "– proxy         none",  # noqa: RUF001 - a dash, as it is set
    ]
    assert lines.summary(CHECKS) == "1 ok, 1 to look at, 1 failed, 1 skipped"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None, "no-such-encoding"])
def test_a_stream_without_the_marks_gets_ascii(encoding):
    assert Lines(encoding).line(CHECKS[1]) == "x clock         9 days ahead -> set it ..."


@given(st.text(), st.text(), st.sampled_from(["ascii", "latin-1", "utf-8", "cp1252"]))
def test_whatever_a_name_holds_is_one_line_that_the_stream_can_print(name, found, encoding):
    line = Lines(encoding).line(Check(name, Result.OK, found))
    line.encode(encoding)
    assert line.isprintable()


def test_control_characters_are_shown():
    assert printable("a\x1b[31m\nb\x00") == "a\\x1b[31m\\nb\\x00"


def test_json_is_indented_and_a_hint_is_printable():
    text = checks_json([Check("a", Result.OK, "b", "c\x1b")])
    assert text.startswith('{\n  "ok": true,\n  "checks": [\n    {\n')
    assert json.loads(text)["checks"] == [{"name": "a", "result": "ok", "found": "b", "hint": "c\\x1b"}]


def test_what_the_stream_lacks_is_escaped():
    assert Lines("latin-1").line(Check("é", Result.OK, "Ł")) == "+ é             \\u0141"
    assert Lines("no-such-encoding").line(Check("é", Result.OK, "")) == "+ \\xe9             "
    assert Lines(None).line(Check("é", Result.OK, "")) == "+ \\xe9             "


def test_json_has_all_of_it():
    got = json.loads(checks_json(CHECKS))
    assert got["ok"] is False
    assert got["checks"][1] == {"name": "clock", "result": "failed", "found": "9 days ahead", "hint": "set it …"}
    assert json.loads(checks_json(CHECKS[2:]))["ok"] is True


def test_long_names_of_devices_widen_their_lines_within_reason():
    assert device_width([]) == device_width(CHECKS) == 12
    assert device_width([Check("x" * 20, Result.OK, "")]) == 20
    assert device_width([Check("x" * 90, Result.OK, "")]) == 32


def test_names_of_wide_characters_take_their_columns():
    checks = [Check("北塔回程无线电", Result.OK, "answers"), Check("North", Result.OK, "answers")]
    assert device_width(checks) == 14
    assert [Lines("utf-8").line(check, 14) for check in checks] == ["✓ 北塔回程无线电  answers", "✓ North           answers"]


LONG = Check("North", Result.FAILED, "10.0.0.1:161: " + "found " * 20, "look " * 30)


@given(st.integers(40, 200), st.sampled_from(["ascii", "utf-8"]))
def test_a_check_fits_the_terminal_word_for_word(columns, encoding):
    lines = Lines(encoding).lines(LONG, 12, columns)
    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()) == " ".join(Lines(encoding).line(LONG).split())


def test_a_hint_begins_a_line_of_its_own_if_there_is_no_room_for_both():
    check = Check("TLS", Result.FAILED, "the certificate has expired", "renew it at the server")
    assert Lines("utf-8").lines(check, 12, 40) == [
        "✗ TLS           the certificate has",
        "                expired",
        "                → renew it at the server",
    ]
    assert len(Lines("utf-8").lines(check, 12, 80)) == 1


def test_one_hint_of_many_devices_is_given_once_and_then_named():
    checks = [
        Check("a", Result.FAILED, "x", "fix the route"),
        Check("b", Result.FAILED, "y", "fix the route"),
        Check("c", Result.OK, "z"),
    ]
    assert [check.hint for check in hints_once(checks)] == ["fix the route", "as for a", ""]


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_long_name_leaves_what_was_found_a_column_that_can_be_read(columns):
    check = Check("x" * 70, Result.FAILED, "answers in 0.5 ms over SNMPv2c", "correct it in Towerops")
    above, *lines = Lines("utf-8").lines(check, 32, columns)
    assert above == f"✗ {'x' * 70}"
    assert lines == [f"    {check.found}", f"    → {check.hint}"]
