"""Texts as devices write them: the number, the unit, or that it is not a number."""

import pytest

from towerops_agent.polling.course.numeral import LONGEST_TEXT, Numeral, parse_numeral
from towerops_agent.polling.course.units import BARE
from towerops_agent.reasons import Reason


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("45", 45, BARE),
        ("45 deg", 45, "deg"),
        ("45 deg.", 45, "deg"),
        ("45 deg C", 45, "C"),
        ("45 ° C", 45, "C"),
        ("45 Degree F", 45, "F"),
        ("45 degree.K", 45, "K"),
        ("45deg.C (ok)", 45, "C"),
        ("45 deg.foo", 45, "deg.foo"),
        ("45 deg celsius (ok)", 45, "celsius"),
        ("7 (x) y", 7, BARE),
        ("7 (x) [y] z", 7, BARE),
        ("7 V (x) am", 7, "V"),
        ("45 degrees Celsius (113 F)", 45, "Celsius"),
        ("5 degree K", 5, "K"),
        ("5 deg foo", 5, "deg"),
        ("25°C/77°F", 25, "C"),
        ("12 V.D.C", 12, "VDC"),
        ("3 % RH", 3, "%"),
        ("7 C|45 F", 7, "C"),
        ("7 C, 45 F", 7, "C"),
        ("7 foo (bar)", 7, "foo"),
        ("7 (x)", 7, BARE),
        ("7: ok", 7, BARE),
        ("7 - ok", 7, BARE),
        ("45 *", 45, BARE),
        ("1.234,5 V", 1234.5, "V"),
        ("1,234.5 V", 1234.5, "V"),
        ("23,5", 23.5, BARE),
        ("1.5e3 W", 1500.0, "W"),
        ("\ufeff 12 \u2103", 12, "C"),
        ("-61 dBm (excellent)", -61, "dBm"),
    ],
)
def test_a_number_and_its_unit(text, value, unit):
    assert parse_numeral(text.encode()) == Numeral(value, unit)


@pytest.mark.parametrize(
    "text",
    [
        *("7 - foo", "7 (2r)", "12 V/3 A", "12 V = 3 A", "7 C, 45 V", "1A: x", "10.0.0.1", "1 day, 2:03:04", "12 am", "716GE"),
        *("4C:5E:0C", "2 of 5", "1.2.3", "7\x015", "x7", "7 (x) am", "7 (x)y", "7 V (x) a b c", "", "7 V 8 A and more"),
    ],
)
def test_a_text_that_is_not_a_number(text):
    assert parse_numeral(text.encode()) is Reason.NOT_A_NUMBER


def test_thousands_or_decimals_and_how_long_a_text_may_be():
    assert parse_numeral(b"1,234") is Reason.AMBIGUOUS
    assert parse_numeral(b"7" + b" " * (LONGEST_TEXT - 2) + b"V") == Numeral(7, "V")
    assert parse_numeral(b"7" + b" " * (LONGEST_TEXT - 1) + b"V") is Reason.NOT_A_NUMBER
