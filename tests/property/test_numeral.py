"""Numbers in texts: what devices write, what only looks like a number, and that no text yields one it does not begin with."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from towerops_agent.polling.course.interpret import LARGEST_FLOAT, number
from towerops_agent.polling.course.numeral import Numeral, parse_numeral
from towerops_agent.polling.course.units import BARE
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber

NUMBERS = {
    "12.4 V": 12.4,
    "-61 dBm": -61,
    '"23"': 23,
    "'23.5'": 23.5,
    "-5.50E+01": -55.0,
    "46.0": 46.0,
    " 3800": 3800,
    "3800 ": 3800,
    "12" + " " * 300: 12,
    "+7": 7,
    "-0.5": -0.5,
    ".5": 0.5,
    "5.": 5.0,
    "0": 0,
    "007": 7,
    "1e3": 1000.0,
    "1e28": 1e28,
    "18446744073709551614": 18446744073709551614,
    "18446744073709551616": 18446744073709551616.0,
    "-9223372036854775808": -9223372036854775808,
    "-9223372036854775809": -9223372036854775809.0,
    # units
    "47%": 47,
    "1500rpm": 1500,
    "12.5V": 12.5,
    "-67dBm": -67,
    "100 Mbit/s": 100,
    "980 Mbps": 980,
    "12.5 m3/h": 12.5,
    "12.5 m³/h": 12.5,
    "55%RH": 55,
    "16 PERCENT": 16,
    "60 degree Celsius": 60,
    "45 deg C": 45,
    "45'C": 45,
    "4.2V DC": 4.2,
    "4.7 kΩ": 4.7,
    "12 µA": 12,
    "12 \u03bcA": 12,
    "230 V~": 230,
    "5 sec.": 5,
    "27.84 .C": 27.84,
    "3 days": 3,
    "12 clients": 12,
    "5 pkts/s": 5,
    # remarks
    "43.3 C: Normal": 43.3,
    "   29.1484 C: Normal": 29.1484,
    "33 (Normal)": 33,
    "33 [OK]": 33,
    "33, OK": 33,
    "33: Normal": 33,
    "33 - OK": 33,
    "25 C (77.00 F)": 25,
    "23 C / 73 F": 23,
    "23 C/73 F": 23,
    "25 C = 77 F": 25,
    "0.03 mW (-14.61 dBm)": 0.03,
    "0.5 mW / -3 dBm": 0.5,
    "0.77(A+)": 0.77,
    "-0.00(A-)": 0.0,
    "-61 dBm (excellent)": -61,
    "49.6 VDC, OK": 49.6,
    "50 C, limit 85 C": 50,
    "3.3 V (min 3.1, max 3.5)": 3.3,
    "36 (5180 MHz)": 36,
    "85 C!": 85,
    "23.5 C,": 23.5,
    "98.5 % of capacity": 98.5,
    "123 (0x7B)": 123,
    "1 user(s)": 1,
    "512 (50%)": 512,
    "+25.0 C (high = +80.0 C)": 25.0,
    "100 Mbps/Full": 100,
    # signs of other places
    "23,5": 23.5,
    "12,4 V": 12.4,
    "-0,5 A": -0.5,
    "0,125": 0.125,
    "1234,567": 1234.567,
    "1,234.5": 1234.5,
    "1.234,5 kWh": 1234.5,
    "\u221261 dBm": -61,
    "23.5 \u2103": 23.5,
    "23.5 &deg;C": 23.5,
    "23\uff05": 23,
    "23.5 摄氏度": 23.5,
    "\ufeff23": 23,
}

OCTETS = {
    b"42\0\0\0": 42,
    b"42" + bytes(254): 42,
    b"42 C\0": 42,
    b"12\r\n": 12,
    b"23.5 \xb0C": 23.5,  # Latin-1
    b"23.5 \xa1\xe6": 23.5,  # GB2312
    b"23.5 \xf8C": 23.5,  # code page 437
    b"23.5 \x81\x8e": 23.5,  # Shift JIS
    b"23.5 \xa2\x4a": 23.5,  # Big5
}

NO_NUMBERS = [
    *("", " ", "\0", "N/A", "n/a", "-", "--", ".", "+", "unknown", "nan", "inf", "-inf", "-Inf", "Infinity"),
    *("Temp: 33 C", "OK 33", "(12)", "~23", "<-90", ">100", "$12", "#1", "v7.12", "- 61", "--61", "\u0663", "\uff12\uff13"),
    *("1.2.3.4", "10.0.0.1/24", "2001:db8::1", "4c:dead:beef::1", "00:0c:42:aa:bb:cc", "4C:5E:0C:AA:BB:CC", "4C:AA:BB:CC:DD:EE"),
    *("4C 5E 0C 11 22 33", "4C5E.0C11.2233", "00 0c 42", "14a8bcba-7f30-11ed-9211", "0-00.00.00.00.00.00"),
    *("12:30", "12:30:15", "12:30 PM", "12 PM", "1d 02:03:04", "3 days, 02:03:04", "5 min 3 s", "12h30"),
    *("2026-01-01", "01/02/2026", "25.11.2026", "15-Mar-2019", "25 Nov 2026", "25 November", "2018-05-10T01:54:31.5464Z"),
    *("7.12.1", "7.12 (stable)", "2.4(REL)", "16.12(2r)", "12.4(24)T", "6.49rc1", "1.0-rc1", "3.2.0-4202-65ce34d93"),
    *(
        "1,1,1,1",
        "1,2,3",
        "1, 2",
        "1;2",
        "1 234",
        "12 34",
        "1_000",
        "12;",
        "12 V, 13 A",
        "12 V 13 A",
        "-61 dBm / -64 dBm",
        "-61/-64 dBm",
    ),
    *(
        "1-1",
        "1/2",
        "1/1/9",
        "1:1",
        "10-20",
        "10..20",
        "10 to 20",
        "5 of 10",
        "98 % of 10",
        "3 (4)",
        "100/Full",
        "8/8",
        "220/380 V",
        "3x16A",
    ),
    *("0x1F", "0xFF", "0XAB", "0x", "-0xFF", '"0xFF"', "7Fh", "71B1060EE89D"),
    *(
        "230VAC/50Hz",
        "21.3 C, 45 %RH",
        "1.3.6.1.4.1",
        "1w2d",
        "716GE",
        "5900AF",
        "1000BaseSX SFP",
        "10G_BASE_SR_SFP",
        "256QAM",
        "1A: MX204 (A)",
        "3A: BLANK 3A",
        "2: eth0",
        "1: lo",
    ),
    *("5' 11\"", "1½", "12²", "23.5±0.5", "12\0 V", "1\0002\0", "12\x1b[0m", "1st", "555-1234", "+49 30 1234567"),
    "110W AC Power Supply for a router",
    "12 this is a sentence, not a unit",
    "    5 Secs ( 96.4918%)   60 Secs ( 54.2271%)  300 Secs ( 38.2591%)",
    "9" * 65,
    "12 V" + " x" * 200,
]


@pytest.mark.parametrize("octets", [*map(str.encode, NUMBERS), *OCTETS])
def test_the_number_at_the_start_of_a_text_is_read(octets):
    expected = (OCTETS | {text.encode(): value for text, value in NUMBERS.items()})[octets]
    got = number(ber.OCTET_STRING, octets)
    assert (got, type(got)) == (expected, type(expected))


@pytest.mark.parametrize("octets", [*map(str.encode, NO_NUMBERS), b"\xff\xfe1\x002\x00", b"\x07\xe8\x01\x09", b"12\xb2"])
def test_a_text_that_only_begins_with_a_digit_is_not_a_number(octets):
    assert number(ber.OCTET_STRING, octets) == Reason.NOT_A_NUMBER


@pytest.mark.parametrize("text", ["1,234", "-1,234", "12,345 V", "1,234,567"])
def test_thousands_or_decimals_are_ambiguous(text):
    """As is a list of numbers."""
    assert number(ber.OCTET_STRING, text.encode()) == Reason.AMBIGUOUS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(b"1e999", "not_finite"), (b"-1e999", "not_finite"), (b"1e29", "out_of_range"), (b"9" * 30, "out_of_range")],
        (b"18446744073709551615", "ambiguous"),
    ],
)
def test_a_number_past_all_readings_is_missing_with_its_reason(text, reason):
    assert number(ber.OCTET_STRING, text) == reason


UNITS = (
    "",
    " V",
    "dBm",
    " %",
    '"',
    "\0\0",
    " °C",
    " Mbps",
    " C: Normal",
    " (OK)",
    "V (max 13)",
    " °F / 3 C",
    " mA, alarm at 5",
    " kW [3]",
)


@given(st.integers(-(2**63), 2**64 - 1), st.sampled_from(UNITS))
def test_integers_are_read_to_the_last_digit(value, unit):
    """Whatever the unit and the remark behind them. The last one of a type says that there is nothing, or more than fits."""
    is_last = value in [2**bits - 1 for bits in (31, 32, 63, 64)]
    assert number(ber.OCTET_STRING, f"{value}{unit}".encode()) == (Reason.AMBIGUOUS if is_last else value)


@given(st.floats(-LARGEST_FLOAT, LARGEST_FLOAT), st.sampled_from(UNITS))
def test_floats_are_read_as_python_does(value, unit):
    text = f"{value!r} {unit}"
    assert number(ber.OCTET_STRING, text.encode()) == value
    if "e" not in text:
        assert number(ber.OCTET_STRING, text.replace(".", ",", 1).encode()) in (value, Reason.AMBIGUOUS)


LOOKALIKES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex("-").upper()),
    st.dates().map(str),
    st.dates().map(lambda date: date.strftime("%d/%m/%Y")),
    st.dates().map(lambda date: date.strftime("%d.%m.%Y")),
    st.dates().map(lambda date: date.strftime("%d %b %Y")),
    st.times().map(str),
    st.datetimes().map(str),
    st.timedeltas().map(str),
    st.uuids().map(str),
    st.lists(st.integers(0, 999), min_size=3, max_size=9).map(lambda numbers: ".".join(map(str, numbers))),
    st.tuples(st.lists(st.integers(0, 9999), min_size=2, max_size=9), st.sampled_from("/;-: |")).map(
        lambda drawn: drawn[1].join(map(str, drawn[0]))
    ),
    st.lists(st.integers(0, 9999), min_size=2, max_size=9).map(lambda numbers: ", ".join(map(str, numbers))),
    st.tuples(
        st.integers(0, 48), st.sampled_from(("/Full", "/Half", "/1", "/0/3", "-1", ":0", "x16", "th", "GE", "BaseT", "-port"))
    ).map(lambda drawn: f"{drawn[0]}{drawn[1]}"),
)


@given(LOOKALIKES, st.sampled_from(("", " ", "\0", "\r\n")))
def test_an_address_a_date_a_time_a_version_a_list_or_a_port_is_not_a_number(text, end):
    if re.fullmatch(r"[0-9]+ days?", text) or re.fullmatch(r"[0-9]+[ab]?", text):
        return
    assert parse_numeral(f"{text}{end}".encode()) == Reason.NOT_A_NUMBER


TEXTS = st.one_of(
    st.binary(max_size=70),
    st.text(max_size=70).map(str.encode),
    st.text("0123456789.+-eE xX\0V,:/()kC%", max_size=40).map(str.encode),
    st.tuples(
        st.sampled_from([*NUMBERS, *NO_NUMBERS]), st.integers(0, 20), st.sampled_from(list("0123456789.,:/-() VCxe\0"))
    ).map(lambda drawn: (drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] :]).encode()),
)


QUOTES = "\"'`\u00b4\u2018\u2019\u201c\u201d"
DASHES = "\u2010-\u2013\u2212\ufe63\uff0d"


def at_the_start(octets):
    """The digits and signs that a text begins with, less blanks and quotes before them."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    text = re.sub(f"^[\ufeff\\s{QUOTES}]+", "", text)
    text = re.sub(f"^[{DASHES}]", "-", text)
    return re.match(r"[+-]?[0-9.,]*(?:[eE][+-]?[0-9]+)?", text)[0]


@given(TEXTS)
@example(b"1e5 0")
def test_no_text_yields_a_number_that_does_not_stand_at_its_start(octets):
    """Never an exception; and of the digits at the start all count, down to the last."""
    got = parse_numeral(octets)
    if isinstance(got, Reason):
        assert got in (Reason.NOT_A_NUMBER, Reason.AMBIGUOUS)
        return
    start = at_the_start(octets).rstrip(",")
    readings = {start, start.replace(",", "."), start.replace(",", ""), start.replace(".", "").replace(",", ".")}
    readings = {
        reading for reading in readings if re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", reading)
    }
    assert float(got.value) in set(map(float, readings))


@given(TEXTS)
def test_any_octets_are_a_sane_number_or_a_reason(octets):
    """Never an infinity, or an integer that the database can't keep."""
    got = number(ber.OCTET_STRING, octets)
    if isinstance(got, float):
        assert math.isfinite(got)
        assert abs(got) <= LARGEST_FLOAT
    elif isinstance(got, int):
        assert -(2**63) <= got < 2**64


@given(st.text(min_size=1, max_size=3), st.sampled_from(list(NUMBERS)))
def test_what_stands_before_a_number_makes_it_something_else(before, text):
    """A label, an operator, a currency: all but blanks, quotes, signs and digits."""
    if re.search(f"[\\s0-9{QUOTES}\ufeff.,+{DASHES}-]", before):
        return
    assert parse_numeral(f"{before}{text.strip()}".encode()) == Reason.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("text", "unit"),
    [("12", BARE), ("12 users", "users"), ("12 (OK)", BARE), ("980 Mbps", "Mbps"), ("45 deg C", "C"), ("23.5 °C", "C")],
)
def test_the_unit_is_the_word_behind_the_number(text, unit):
    assert parse_numeral(text.encode()) == Numeral(pytest.approx(float(re.match("[0-9.]+", text)[0])), unit)
