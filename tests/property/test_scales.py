"""Texts whose unit changes between polls: what they come to in the first one, or a reason; never off by a prefix."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.polling.course.interpret import INTEGRAL, Scales, carry_over
from towerops_agent.polling.course.numeral import parse_numeral
from towerops_agent.polling.course.units import BARE, conversion, find_unit
from towerops_agent.reasons import Reason

CHANGED = Reason.UNIT_CHANGED


def read_all(*texts):
    """What one sensor's texts come to, in turn."""
    scales = Scales(1)
    numerals = [parse_numeral(text.encode()) for text in texts]
    return [scales.read(0, numeral.value, numeral.unit) for numeral in numerals]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["980 Mbps", "1.2 Gbps", "990 Mbps"], [980, 1200.0, 990]),
        (["1.2 Gbps", "980 Mbps"], [1.2, 0.98]),
        (["980 Mbit/s", "1.2 Gbit/s"], [980, 1200.0]),
        (["980 mbps", "1.2 gbps"], [980, 1200.0]),
        (["1.1 V", "980 mV", "1100 µV"], [1.1, 0.98, 0.0011]),
        (["12 kW", "900 W"], [12, 0.9]),
        (["45 min", "2 hours"], [45, 120]),
        (["5.2 GHz", "5180 MHz"], [5.2, 5.18]),
        (["512 KiB", "2 MiB"], [512, 2048]),
        (["36 km/h", "10 m/s"], [36, pytest.approx(36)]),
        (["0 bps", "980 Mbps", "1.2 Gbps", "0 bps"], [0, 980, 1200.0, 0]),
        (["0", "980 Mbps"], [0, 980]),
        (["980 KB", "1.2 MB", "0 B"], [980, CHANGED, 0]),
        (["980 KB/s", "1.2 MB/s"], [980, CHANGED]),
        (["980 kb", "1.2 Mb"], [980, CHANGED]),
        (["980 MBPS", "1.2 GBPS"], [980, CHANGED]),
        (["980 MHZ", "1.2 GHZ"], [980, 1200.0]),
        (["980M", "1.2G"], [980, CHANGED]),
        (["999", "1.2K", "998"], [999, CHANGED, 998]),
        (["900 MW", "1.2 W"], [900, CHANGED]),
        (["980 Mbps", "980"], [980, CHANGED]),
        (["12 V", "3 A", "13 V"], [12, CHANGED, 13]),
        (["25 C", "77 F", "26 C", "0 F"], [25, CHANGED, 26, CHANGED]),
        (["-3 dBm", "0.5 mW", "0 mW"], [-3, CHANGED, CHANGED]),
        (["25", "25 C", "25"], [25, 25, 25]),
        (["25 C", "26", "27 °C: Normal"], [25, 26, 27]),
        (["1 user", "2 users", "no", "3"], [1, 2, None, 3]),
        (["980 kfoo", "1.2 Mfoo", "1200 foo"], [980, CHANGED, CHANGED]),
        (["12 foo", "1.2 kfoo"], [12, CHANGED]),
        (["12 foo", "13", "14 bars", "15 V", "16 kV"], [12, 13, 14, 15, CHANGED]),
        (["12 V", "12.5 VDC", "12.6 volts"], [12, 12.5, 12.6]),
    ],
    ids=lambda drawn: " -> ".join(map(str, drawn)).encode("ascii", "replace").decode(),
)
def test_a_text_goes_on_in_its_first_unit_or_is_missing(texts, expected):
    kept = [(text, value) for text, value in zip(texts, expected, strict=True) if value is not None]
    assert read_all(*[text for text, _ in kept]) == [value for _, value in kept]


PREFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "m": Fraction(1, 1000), "µ": Fraction(1, 10**6)}
BASES = ("bps", "bit/s", "Hz", "V", "A", "W", "Wh", "Ω", "pps", "B", "B/s", "m", "")


@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 3), st.sampled_from(list(PREFIXES))), min_size=2, max_size=5),
)
def test_no_reading_is_off_by_a_prefix(base, readings):
    """Whatever the prefixes: each is the quantity that was meant, in the first one's unit, or missing."""
    texts, quantities = [], []
    for digits, decimals, drawn in readings:
        number = Fraction(digits, 10**decimals)
        prefix = "k" if drawn in ("m", "µ") and base in ("bps", "bit/s", "Hz", "") else drawn
        texts.append(f"{float(number)!r} {prefix}{base}")
        quantities.append(number * PREFIXES[prefix])
    got = read_all(*texts)
    assert not isinstance(got[0], Reason)
    for value, quantity in zip(got[1:], quantities[1:], strict=True):
        if not isinstance(value, Reason):
            assert value / got[0] == pytest.approx(float(quantity / quantities[0]))


UNITS = ("V", "mV", "kW", "C", "F", "K", "dBm", "%", "h", "Mbps", "KB", "MiB", "M", BARE, "VDC", "ft", "MHZ", "MB/s")


@given(st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_what_converts_converts_back(one, other):
    there, back = conversion(one, other), conversion(other, one)
    assert (there is None) == (back is None)
    assert there is None or there * back == 1


def test_a_unit_that_nobody_can_be_sure_of_converts_only_into_itself():
    for word in ("KB", "Mb", "K", "M", "MW", "GB/s"):
        assert find_unit(word).factor is None
        assert conversion(word, word) == 1


def test_units_stay_with_their_oids_when_the_configuration_changes():
    assert carry_over(("V", "", "A"), [b"\1", b"\2", b"\3"], [b"\3", b"\4", b"\1", b"\2"]) == ("A", "", "V", "")
    assert carry_over(("V",), [b"\1"], [b"\2"]) == ()
    assert carry_over((), [b"\1"], [b"\1"]) == ()


def test_a_whole_number_whose_divisor_has_changed_need_not_go_on_as_one():
    """As after an update of the firmware that made it a text. Of a text the unit stays."""
    oids = [b"\1", b"\2", b"\3"]
    assert carry_over((INTEGRAL, "V", INTEGRAL), oids, oids, {b"\1", b"\2"}) == ("", "V", INTEGRAL)
