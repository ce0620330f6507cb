"""Charts have the names of the configuration, all that was read, and errors only if there were any."""

from towerops_agent.config.document.names import Names
from towerops_agent.page.views.charts import charts_of, things, unread
from towerops_agent.page.views.columns import Window
from towerops_agent.telemetry.views.series import Series

WINDOW = Window(0, 4, 2)
NAMES = Names({"t": "temperature, board", "f": "fan", "x": "voltage"}, {"e": "ether1"}, {"t": "°C"}, {"f": {"1": "runs"}})


def made(item, what, *readings):
    return Series(item, what, list(range(len(readings))), list(readings))


def test_a_sensor_has_its_name_its_unit_and_its_newest_value_in_full():
    (chart,) = charts_of([made("t", "sensor", 41.123456789, 43, None, 42.5)], NAMES, WINDOW)
    assert (chart.label, chart.unit, chart.kind) == ("temperature, board", "°C", "sensor")
    (line,) = chart.lines
    assert (line.low, line.high, line.last) == ([41.123456789, 42.5], [43, 42.5], 42.5)


def test_without_names_things_are_called_by_their_ids():
    assert [chart.label for chart in charts_of([made("t", "sensor", 1), made("e", "in", 1.0)], Names(), WINDOW)] == ["t", "e"]


def test_a_sensor_an_interface_and_the_device_may_have_the_same_id():
    names = Names({"1": "board"}, {"1": "ether1", "2": "ether2"})
    series = [made("1", "sensor", 1), made("1", "in", 1.0), made("1", "ping loss", 0)]
    assert [chart.label for chart in charts_of(series, names, WINDOW)] == ["board", "ether1", "ping loss"]
    assert unread(things(series[1:]), names) == ["board", "ether2"]


def test_a_value_that_stands_for_a_state_has_its_word_and_is_never_between_two():
    (chart,) = charts_of([made("f", "sensor", 1, 2, 1, 1)], NAMES, WINDOW)
    assert (chart.kind, chart.states, chart.lines[0].low, chart.lines[0].high) == ("state", {"1": "runs"}, [2, 1], None)


def test_an_interface_without_errors_says_so_and_one_with_errors_has_a_chart_of_them():
    quiet = [made("e", "in", 1234567.89, 2.0), made("e", "out", 5.0, 5.0), made("e", "errors in", 0.0, 0.0)]
    (chart,) = charts_of([*quiet, made("e", "errors out", 0.0, 0.0)], NAMES, WINDOW)
    assert (chart.unit, chart.note, [line.last for line in chart.lines]) == ("bit/s", "no errors", [2.0, 5.0])
    assert chart.lines[0].high == [1_235_000, None]
    traffic, errors = charts_of([*quiet, made("e", "errors out", 0.0, 0.5)], NAMES, WINDOW)
    assert (traffic.note, errors.label, errors.unit) == ("", "ether1, errors", "packets/s")
    assert [line.last for line in errors.lines] == [0.0, 0.5]


def test_what_has_no_value_in_the_window_has_no_chart():
    late = Series("t", "sensor", [9], [1])
    assert charts_of([late], NAMES, WINDOW) == []
    assert unread(things([late]), NAMES) == ["fan", "voltage", "ether1"]


def test_pings_have_a_chart_each():
    found = charts_of([made("eq", "ping loss", 0, 20), made("eq", "ping round trip", 1.25)], NAMES, WINDOW)
    assert [(chart.label, chart.unit, chart.lines[0].last) for chart in found] == [
        *(("ping loss", "%", 20), ("ping round trip", "ms", 1.25)),
    ]
