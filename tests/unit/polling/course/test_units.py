"""Which words are units, of what, and how much of it; and which nobody can be sure of."""

from fractions import Fraction

import pytest

from towerops_agent.polling.course.units import BARE, Unit, conversion, find_unit, is_nothing, same_quantity


@pytest.mark.parametrize(
    ("words", "unit"),
    [
        ("V VDC volts volt", Unit("V")),
        ("mV", Unit("V", 0.001)),
        ("kV KV", Unit("V", 1000.0)),
        ("kHz KHz KHZ", Unit("Hz", 1000.0)),
        ("MHz MHZ mHz", Unit("Hz", 1e6)),  # no device has thousandths of a hertz
        ("Gbps gbps Gbit/s", Unit("bit/s", 1e9)),
        ("KiB", Unit("byte", 1024.0)),
        ("MiB", Unit("byte", 1048576.0)),
        ("ml", Unit("l", 0.001)),
        ("cm", Unit("m", 0.01)),
        ("cl", Unit("l", 0.01)),
        ("hPa", Unit("Pa", 100.0)),
        ("pF", Unit("F", 1e-12)),
        ("mg", Unit("g", 0.001)),
        ("kΩ kohm", Unit("Ω", 1000.0)),
        ("kva kVA", Unit("VA", 1000.0)),
        ("MVA", Unit("VA", 1e6)),
        ("min minutes", Unit("s", 60.0)),
        ("h hours", Unit("s", 3600.0)),
        ("dBm dbm DBM", Unit("dBm", proportional=False)),
        ("C c celsius", Unit("°C", proportional=False)),
        ("m/s", Unit("m/s")),
        ("ft", Unit("m", 0.3048)),
        ("1", Unit(BARE)),
    ],
)
def test_words_of_one_unit(words, unit):
    assert {word: find_unit(word) for word in words.split()} == dict.fromkeys(words.split(), unit)


@pytest.mark.parametrize(
    ("words", "dimension"),
    [("kB KB TB PB MB", "byte"), ("MV MW", ""), ("BPS KBPS", "bit/s"), ("kb Mb Gb Tb Kb", ""), ("k K M G T", "")],
)
def test_words_whose_size_nobody_can_be_sure_of(words, dimension):
    """Octets by thousands or by 1,024; mega, or milli in a text in capitals; bits, or octets."""
    for word in words.split():
        unit = find_unit(word)
        assert unit is not None
        assert unit.factor is None
        assert dimension in ("", unit.dimension)


@pytest.mark.parametrize("word", ["b", "xb", "hW", "cV", "dV", "Kib", "xyz", "V/x", "x/s", "kfoo", "", "PV", "pW"])
def test_words_that_are_not_units(word):
    assert find_unit(word) is None


def test_a_quotient_of_units_has_the_quotient_of_their_sizes():
    speed, unsure = find_unit("km/h"), find_unit("KB/s")
    assert speed is not None
    assert (speed.dimension, speed.factor) == ("m/s", pytest.approx(1000 / 3600))
    assert unsure is not None
    assert unsure.factor is None


@pytest.mark.parametrize(
    ("word", "first", "factor"),
    [
        ("V", "V", 1),
        ("foo", "foo", 1),
        ("mV", "V", Fraction(1, 1000)),
        ("V", "mV", 1000),
        ("user", "users", 1),
        ("users", "user", 1),
        ("kfoo", "foo", None),
        ("foo", "kfoo", None),
        ("kfoo", "Mfoo", None),
        ("V", "foo", 1),
        ("kV", "foo", None),
        ("foo", "kV", None),
        ("KB", "MB", None),
        ("V", "A", None),
        ("C", "F", None),
        (BARE, "V", 1),
        ("V", BARE, 1),
        ("kV", BARE, None),
    ],
)
def test_a_conversion_is_known_or_none(word, first, factor):
    assert conversion(word, first) == factor


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("C", "F", True), ("C", "kelvin", True), ("mW", "dBm", True), ("psi", "bar", True), ("V", "A", False), ("C", "dBm", False)],
)
def test_a_text_may_say_one_quantity_in_two_units(one, other, same):
    first, second = find_unit(one), find_unit(other)
    assert first is not None
    assert second is not None
    assert same_quantity(first, second) is same_quantity(second, first) is same


@pytest.mark.parametrize(("word", "nothing"), [("V", True), ("", True), ("foo", True), ("C", False), ("dBm", False)])
def test_zero_is_nothing_unless_the_scale_begins_elsewhere(word, nothing):
    assert is_nothing(word) is nothing
