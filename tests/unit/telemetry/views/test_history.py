"""Sparklines of series."""

from dataclasses import replace

import pytest

from support.snapshots import MINUTE_US
from towerops_agent.buffer.format.batch import StoredPoll
from towerops_agent.config.document.names import Names
from towerops_agent.model import Layout, Poll
from towerops_agent.telemetry.views import history
from towerops_agent.telemetry.views.series import Series, series_of

LAYOUT = Layout("eq", (("temp", 10.0), ("never", 1.0)), ("eth0",))


def stored(minute, raw, octets_in):
    poll = Poll(1, minute * MINUTE_US, (raw, None, octets_in, None, 0, 0, 0, 0), ((3, 0),), 2)
    return StoredPoll(minute, LAYOUT, poll, 0, 2)


def read(polls):
    """The series that are drawn."""
    return [one for one in series_of(polls) if one.what in history.SHOWN]


def made(item, what, points):
    return Series(item, what, *zip(*points, strict=True))


def test_a_sparkline_goes_from_least_to_most_and_leaves_gaps():
    (temp, *_) = read([stored(0, 0, 0), stored(1, 70, 0), stored(3, 35, 0)])
    assert history.sparkline(temp, 0, 4 * MINUTE_US, width=4) == "▁█ ▅"
    assert history.sparkline(temp, 0, 4 * MINUTE_US, history.PLAIN_BARS, 4) == "_@ +"
    assert history.sparkline(temp, 9 * MINUTE_US, 10 * MINUTE_US, width=4) == "    "
    flat = replace(temp, times_us=(0, MINUTE_US), readings=(5.0, 5.0))
    assert history.sparkline(flat, 0, 2 * MINUTE_US, width=2) == "▁▁"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12.345678, "12.35"), (9999, "9999"), (10_000, "10k"), (1.25e9, "1250M"), (-5e12, "-5000G"), (5e13, "50T")],
)
def test_amounts_are_short(value, text):
    assert history.amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-9999.9, "-10k"),
        (9999.4, "9999"),
        (10_000_000, "10M"),
        (9_999_000, "9999k"),
        (2e10, "20G"),
        (2**64, "18.45E"),
        (0.00123456, "0.001235"),
    ],
)
def test_amounts_have_four_digits(value, text):
    assert history.amount(value) == text


def test_a_stretch_is_the_mean_of_what_is_in_it_and_ends_before_its_end():
    series = made("a", "sensor", ((0, 0), (1, 4), (2, None), (5, 1), (9, 2), (10, 100), (-1, 100)))
    assert history.sparkline(series, 0, 10, width=2) == "█▁"
    assert history.sparkline(series, 0, 10, history.PLAIN_BARS, 10) == "_@   -   +"
    assert len(history.sparkline(series, 0, 10)) == 60
    assert len(history.sparkline(series, 50, 60)) == 60


def test_a_sparkline_is_drawn_from_its_own_beginning():
    series = made("a", "sensor", ((100, 0), (101, 4), (105, 10), (199, 3)))
    assert history.sparkline(series, 100, 110, history.PLAIN_BARS, 2) == "_@"
    uneven = made("a", "sensor", ((0, 3), (1, 3), (2, 3), (5, 4), (9, 5)))
    assert history.sparkline(uneven, 0, 10, history.PLAIN_BARS, 2) == "_@"
    assert history.sparkline(made("a", "sensor", ((0, 1e9),)), 0, 10, width=1) == "▁"


NAMES = Names({"temp": "temperature, board of the radio on the northern mast"}, {"eth0": "sfp-sfpplus1"}, {"temp": "C"})


def test_a_chart_calls_things_by_the_names_of_the_configuration():
    """And by the id, if there is none."""
    series = read([stored(0, 410, 0), stored(1, 420, 7500)])
    temp, eth0 = history.chart(series, NAMES, *history.span(series))
    assert temp.startswith("temperature, board of the radio on the northern mast [C]  ")
    assert temp.endswith("  41 to 42, last 42")
    assert eth0.startswith("sfp-sfpplus1 in [bit/s] ")
    assert history.chart(series, Names(), *history.span(series))[0].startswith("temp  ")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_chart_fits_the_terminal_and_keeps_units_and_amounts(width):
    series = read([stored(0, 410, 0), stored(1, 420, 7_500_000_000)])
    lines = history.chart(series, NAMES, *history.span(series), width=width)
    assert max(map(len, lines)) <= width
    assert "[C]  " in lines[0]
    assert lines[0].endswith("41 to 42, last 42")


def test_an_id_that_would_control_the_terminal_is_shown_without():
    """Names are cleaned as they are read; an id is what is left if the configuration can't be read."""
    (line,) = history.chart([made("s\x1b[2J\r\n\x9b1m", "sensor", [(0, 1.0)])], Names(), 0, 9)
    assert line.startswith(r"s\x1b[2J\r\n\x9b1m  ")


def test_the_span_is_from_the_first_value_to_the_last():
    series = read([stored(3, 410, 0), stored(9, 420, 7500), stored(12, None, 0)])
    assert history.span(series[:1]) == (3 * MINUTE_US, 9 * MINUTE_US + 1)


def test_ids_and_directions_can_be_told_apart_in_a_narrow_chart():
    """A device's ids begin alike, and an interface has two series."""
    ids = [f"0f6c2f3e-93b1-4d0e-8f0e-2a1d3c9b6a{i}{direction}" for i in range(2) for direction in ("", " in", " out")]
    series = [made(one.split()[0], [*one.split(), "sensor"][1], ((0, 1.0), (1, 2.0))) for one in ids]
    labels = [line.split("  ")[0] for line in history.chart(series, Names(), 0, 2, width=80)]
    assert len(set(labels)) == len(series)
    assert [label.endswith(" in [bit/s]") for label in labels] == [False, True, False] * 2


@pytest.mark.parametrize(
    ("item", "what", "bars", "cut"),
    [
        ("temperature of board", "sensor", history.BARS, "temperature of board "),
        ("temperature of the board", "sensor", history.BARS, "temperature of t… [C]"),
        ("temperature of the board", "sensor", history.PLAIN_BARS, "temperature of t. [C]"),
        ("0f6c2f3e-93b1-4d0e", "in", history.BARS, "0f6c2…4d0e in [bit/s]"),
        ("0f6c2f3e-93b1-4d0e-8f0e", "none", history.BARS, "0f6c2f3e-9…-4d0e-8f0e"),
    ],
)
def test_a_label_keeps_its_unit_and_an_id_both_its_ends(item, what, bars, cut):
    names = Names({item: item}, {item: item}, {item: "C"} if what == "sensor" and "the" in item else {})
    series = [made(item, "sensor" if what == "none" else what, ((0, 1.0), (1, 1.0)))]
    (line,) = history.chart(series, names, 0, 2, bars, width=60)
    assert line[:21] == cut
    assert line.endswith("  1 to 1, last 1")
    assert len(line) == 60
