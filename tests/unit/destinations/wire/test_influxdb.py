"""Lines as InfluxDB reads them: types that never change, escapes, and nothing left of what was not read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.destinations.wire.influxdb import heads_of, write_lines
from towerops_agent.destinations.wire.samples import samples_of
from towerops_agent.destinations.wire.series import series_of
from towerops_agent.model import Layout, LayoutKind, Poll

NOW_US = 1_767_986_535_123_456
DEVICE = {
    "id": "e",
    "name": "north tower",
    "ip_address": "10.1.0.2",
    "labels": {"site": "a,b=c"},
    "sensors": [
        {"id": "s1", "unit": "C", "metadata": {"descr": "board"}},
        {"id": "s2", "metadata": {"descr": "count"}},
        {"id": "s3", "unit": "V", "metadata": {"descr": "in"}},
    ],
    "interfaces": [{"id": "i1", "if_index": 3, "if_name": "ether1"}, {"id": "i2", "if_index": 4}],
}
LAYOUT = Layout("e", (("s1", 10), ("s2", 1), ("s3", 1)), ("i1", "i2"))
HEADS = heads_of(LAYOUT, series_of(DEVICE, {"agent": "a1"}))
TAGS = r"agent=a1,device=north\ tower"


def lines(values: tuple, layout: Layout = LAYOUT, heads: list[bytes] = HEADS) -> tuple[list[str], int]:
    poll = Poll(1, NOW_US, values, ((layout.item_count, 0),), 1)
    octets, beyond = write_lines([(heads, layout, samples_of(layout, poll))])
    return octets.decode().splitlines(), beyond


def test_sensors_of_one_name_and_two_units_are_two_series_whatever_labels_there_are():
    layout = Layout("e1", (("s1", 1), ("s2", 1)))
    sensors = [{"id": f"s{n}", "oid": f"1.2.{n}", "type": "battery", "unit": unit} for n, unit in ((1, "V"), (2, "A"))]
    heads = heads_of(layout, series_of({**DEVICE, "sensors": sensors, "labels": {"unit": "3"}}, {}))
    assert len(set(heads)) == 2


def test_an_interface_is_one_line_and_what_was_not_read_is_absent():
    octets = "in_octets=1099511627776i,out_octets=5i,in_errors=0i,in_discards=3i,out_discards=4i"
    found, beyond = lines((415, None, 2, *(1 << 40, 5, 0, None, 3, 4), *(None, None, 1, 1, 1, 1)))
    assert found == [
        rf"sensor,{TAGS},instance=10.1.0.2,sensor=board,site=a\,b\=c,unit=celsius value=41.5 {NOW_US}000",
        rf"sensor,{TAGS},instance=10.1.0.2,sensor=in,site=a\,b\=c,unit=volts value=2.0 {NOW_US}000",
        rf"interface,{TAGS},ifIndex=3,ifName=ether1,instance=10.1.0.2,site=a\,b\=c {octets} {NOW_US}000",
    ]
    assert beyond == 0


def test_a_state_is_a_line_of_its_device():
    layout = Layout("e", kind=LayoutKind.STATE)
    heads = heads_of(layout, series_of(DEVICE, {}))
    assert lines((0, 0, 2500), layout, heads)[0] == [
        rf"device,device=north\ tower,instance=10.1.0.2,site=a\,b\=c up=1i,response_seconds=0.0025 {NOW_US}000"
    ]
    assert lines((2, 1, None), layout, heads)[0][0].endswith(f" up=0i {NOW_US}000")


def test_a_round_of_pings_is_a_line_of_its_device_without_what_was_not_measured():
    layout = Layout("e", kind=LayoutKind.PINGS)
    heads = heads_of(layout, series_of(DEVICE, {}))
    times = "rtt_min_seconds=0.0021,rtt_avg_seconds=0.0022,rtt_max_seconds=0.0025,jitter_seconds=0.0002"
    assert lines((5, 4, 2100, 2200, 2500, 200), layout, heads)[0] == [
        rf"ping,device=north\ tower,instance=10.1.0.2,site=a\,b\=c sent=5i,received=4i,{times} {NOW_US}000"
    ]
    assert lines((5, 0, None, None, None, None), layout, heads)[0][0].endswith(f" sent=5i,received=0i {NOW_US}000")


def test_a_counter_of_2_to_the_63_and_more_is_left_out_and_counted():
    found, beyond = lines((1, 1, 1, *((1 << 63) - 1, 1 << 63, (1 << 64) - 1, 0, 0, 0), *([None] * 6)))
    assert found[3].split(" ")[-2] == "in_octets=9223372036854775807i,out_errors=0i,in_discards=0i,out_discards=0i"
    assert beyond == 2
    found, beyond = lines((None, None, None, *(1 << 63, None, None, None, None, None), *([None] * 6)))
    assert (found, beyond) == ([], 1)


def test_what_has_no_labels_makes_no_line():
    heads = heads_of(LAYOUT, {})
    assert lines((1, 1, 1, *range(12)), LAYOUT, heads) == ([], 0)


@given(st.one_of(st.integers(0, (1 << 64) - 1), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_sensors_value_is_a_float_whatever_the_device_sent(value):
    found, _ = lines((None, value, None, *([None] * 12)))
    text = found[0].split(" ")[-2].removeprefix("value=")
    assert not text.endswith("i")
    assert float(text) == float(value)


@pytest.mark.parametrize("name", ["a b", "a,b", "a=b", "a\\", "a\\,b", 'a"b', "ä✓", "a\nb"])
def test_a_name_stays_within_its_tag(name):
    """As InfluxDB splits a line: at blanks and commas that have no backslash before them."""
    device = {**DEVICE, "name": name, "labels": {}}
    (line,) = lines(
        (0, 0, None), Layout("e", kind=LayoutKind.STATE), heads_of(Layout("e", kind=LayoutKind.STATE), series_of(device, {}))
    )[0]
    key, fields, at = re.split(r"(?<!\\) ", line)
    measurement, device_tag, instance = re.split(r"(?<!\\),", key)
    assert (measurement, instance, fields, at) == ("device", "instance=10.1.0.2", "up=1i", f"{NOW_US}000")
    shown = re.sub(r"\\([ ,=])", r"\1", device_tag.removeprefix("device="))
    assert shown == {"a\\": "a\\ ", "a\nb": "a b"}.get(name, name)
