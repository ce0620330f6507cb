"""Which sensors come of a profile's columns: one that says the same worse is left out, a value without an instance is found."""

from dataclasses import replace

import pytest

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import FoundSensor, NotTaken
from towerops_agent.discovery.course.profile import Column, Profile, read_profile
from towerops_agent.discovery.course.sensors import apart, columns_of, find_sensors, label_at, sensor_or_not, text_of, values_of
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import format_oid, parse_oid
from towerops_agent.snmp.wire.message import PduType, Version

BASE = "1.3.6.1.4.1.7"
HEAD = f"profile: x\nvendor: X\nmatch: {{sysObjectID: {BASE}}}\nbase: {BASE}\ncolumns:\n"


def profile(*columns: str) -> Profile:
    read = read_profile("x.yaml", (HEAD + "".join(f"  - {{{column}}}\n" for column in columns)).encode())
    assert read.problems == ()
    assert read.profile is not None
    return read.profile


def typed(value: int | str) -> tuple[int, int | bytes]:
    return (ber.INTEGER, value) if isinstance(value, int) else (ber.OCTET_STRING, value.encode())


def found(made: Profile, values: dict[str, int | str]) -> tuple[list[str], list[str]]:
    """The names of the sensors and of what is left out, in a device with these values."""
    questions = Questions(Version.V2C)
    for oid in values_of(made):
        if (value := values.get(format_oid(oid))) is not None:
            questions.values[oid] = typed(value)
    for column in columns_of(made):
        prefix = f"{format_oid(column)}."
        questions.columns[column] = {
            tuple(map(int, oid.removeprefix(prefix).split("."))): typed(value)
            for oid, value in values.items()
            if oid.startswith(prefix)
        }
    questions.read = {*values_of(made), *columns_of(made)}
    each = list(find_sensors(made, questions, {}))
    return [one.name for one in each if isinstance(one, FoundSensor)], [one.what for one in each if isinstance(one, NotTaken)]


def test_a_value_is_left_out_if_a_finer_one_is_there():
    both = profile("oid: 1.0, name: rounded, unless: 2.0", "oid: 2.0, name: fine, skip: -1")
    assert found(both, {f"{BASE}.1.0": 23, f"{BASE}.2.0": 231}) == (["fine"], ["rounded"])
    assert found(both, {f"{BASE}.1.0": 23}) == (["rounded"], [])


def test_a_finer_value_that_means_nothing_does_not_replace_one():
    both = profile("oid: 1.0, name: rounded, unless: 2.0", "oid: 2.0, name: fine, skip: -1")
    assert found(both, {f"{BASE}.1.0": 23, f"{BASE}.2.0": -1}) == (["rounded"], ["fine"])


def test_a_gauge_is_found_with_the_sign_that_it_means_and_without_one_as_what_shows_that_there_is_nothing():
    plain, away = profile("oid: 1.0, name: t"), profile("oid: 1.0, name: t, away: 4294967295")
    gauge, none = parse_oid("1.3.6.1.4.1.14988.1.1.3.100.1.3.14"), parse_oid(f"{BASE}.1.0")
    below_0 = sensor_or_not(gauge, ber.GAUGE32, (1 << 32) - 3, plain.columns[0], "t", "x")
    assert isinstance(below_0, FoundSensor)
    assert below_0.value == -3
    assert isinstance(sensor_or_not(none, ber.GAUGE32, (1 << 32) - 1, plain.columns[0], "t", "x"), NotTaken)
    assert isinstance(sensor_or_not(none, ber.GAUGE32, (1 << 32) - 1, away.columns[0], "t", "x"), FoundSensor)


def test_a_row_is_left_out_only_if_the_finer_column_has_that_row():
    both = profile("oid: 4.1, name: rounded, unless: 4.2", "oid: 4.2, name: fine")
    assert found(both, {f"{BASE}.4.1.7": 23, f"{BASE}.4.1.8": 24, f"{BASE}.4.2.8": 241}) == (
        ["rounded 7", "fine 8"],
        ["rounded 8"],
    )


def test_a_row_whose_index_is_over_32_bits_is_left_out():
    """As of firmware that writes -1 in 64 bits: a site file could not name it."""
    values = {f"{BASE}.4.1.{index}": 23 for index in (7, (1 << 32) - 1, 1 << 32, (1 << 64) - 1)}
    assert found(profile("oid: 4.1, name: x"), values) == (
        ["x 7", "x 4294967295"],
        ["x 4294967296", "x 18446744073709551615"],
    )


def test_a_value_is_there_only_when_a_text_of_the_device_says_so():
    old = profile("oid: 1.0, name: old, when: {9.0: 'v8[.]7'}", "oid: 4.1, name: other, when: {9.0: 'v9'}")
    assert found(old, {f"{BASE}.1.0": 23, f"{BASE}.4.1.1": 1, f"{BASE}.9.0": "XC.v8.7.6"}) == (["old"], [])
    assert found(old, {f"{BASE}.1.0": 23, f"{BASE}.4.1.1": 1, f"{BASE}.9.0": "XC.v9.0"}) == (["other 1"], [])
    assert found(old, {f"{BASE}.1.0": 23, f"{BASE}.4.1.1": 1}) == ([], [])


def test_the_text_may_be_in_any_row_of_a_column():
    old = profile("oid: 1.0, name: old, when: {9.4: 'v8[.]7'}")
    assert found(old, {f"{BASE}.1.0": 23, f"{BASE}.9.4.10": "XC.v8.7.6"}) == (["old"], [])
    assert found(old, {f"{BASE}.1.0": 23, f"{BASE}.9.4.10": "XC.v9"}) == ([], [])


def test_a_single_value_need_not_end_in_0():
    assert values_of(profile("oid: 27.5.3, single: true, name: power")) == [parse_oid(f"{BASE}.27.5.3")]


def test_a_v1_device_is_asked_for_what_comes_before_a_single_value():
    """By GETNEXT, since a GET of several with one that is not there has no value in the answer."""
    request = next(Questions(Version.V1).ask_values([parse_oid(f"{BASE}.27.5.3"), parse_oid(f"{BASE}.1.0")]))
    assert request.type == PduType.GET_NEXT
    assert [format_oid(name) for name in request.names] == [f"{BASE}.27.5.2", f"{BASE}.1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (-1, "-1"),
        (b"a  b\n c ", "a b c"),
        (b"a\0", "a"),
        (b"", ""),
        (b"\x01\x02", ""),
        (None, ""),
        ("caf\u00e9".encode(), "caf\u00e9"),
    ],
)
def test_a_value_as_text_is_one_line_or_nothing(value, text):
    assert text_of(value) == text


def test_a_rows_label_is_its_own_else_that_of_the_row_it_belongs_to():
    labels = {(1,): (ber.OCTET_STRING, b"outer"), (1, 2): (ber.OCTET_STRING, b"inner"), (3,): (ber.OCTET_STRING, b"")}
    assert [label_at(labels, index) for index in ((1, 2), (1, 3), (1,), (2,), (3, 1))] == ["inner", "outer", "outer", "", ""]


def test_a_label_of_an_address_is_shown_as_one_where_the_profile_says_so():
    """A station of MikroTik's was ÔÊmÀáò; six letters are a name."""
    labels = {(index,): (ber.OCTET_STRING, value) for index, value in enumerate((bytes.fromhex("d4ca6dc0e1f2"), b"tower1", b""))}
    assert [label_at(labels, index, is_mac=True) for index in labels] == ["d4:ca:6d:c0:e1:f2", "tower1", ""]


def test_what_a_profile_needs_is_its_values_and_columns_with_their_labels_and_conditions():
    made = profile(
        "oid: 1.0, name: a, when: {8.0: x}",
        "oid: 4.1, name: b, label: 4.2, where: {4.3: 1}, when: {9.4: x}",
        "oid: 5.1, name: c",
    )
    assert [format_oid(oid) for oid in values_of(made)] == [f"{BASE}.8.0", f"{BASE}.9.4", f"{BASE}.1.0"]
    assert [format_oid(oid) for oid in columns_of(made)] == [f"{BASE}.{part}" for part in ("4.1", "4.2", "4.3", "5.1", "9.4")]


def test_a_sensor_is_all_that_its_column_says():
    column = Column(parse_oid(BASE), "x", unit="V", divisor=10.0, type="", states=None, skip=frozenset((0,)))
    assert sensor_or_not(b"oid", ber.INTEGER, 5, column, "called", "of") == FoundSensor(
        b"oid", "called", "count", "V", 10.0, 5, "of", skip=frozenset((0,))
    )
    assert sensor_or_not(b"oid", ber.INTEGER, 0, column, "called", "of") == NotTaken("called", "0 means that there is nothing")
    assert sensor_or_not(b"oid", ber.OCTET_STRING, b"n/a", column, "called", "of") == NotTaken("called", "not a number")
    assert sensor_or_not(b"oid", ber.OCTET_STRING, b"0.0 V", column, "called", "of") == NotTaken(
        "called", "0.0 means that there is nothing"
    )
    sleeping = replace(column, skip=frozenset(), unused=frozenset((-2147483648,)))
    assert sensor_or_not(b"oid", ber.INTEGER, -2147483648, sleeping, "called", "of") == NotTaken(
        "called", "-2147483648 means that it is not in use"
    )
    found = sensor_or_not(b"oid", ber.INTEGER, -2147483648, replace(column, skip=frozenset((-2147483648,))), "called", "of")
    assert found == NotTaken("called", "-2147483648 means that there is nothing")
    found = sensor_or_not(b"oid", ber.INTEGER, 0, sleeping, "called", "of")
    assert isinstance(found, FoundSensor)
    assert found.skip == frozenset(), "what is not in use now may deliver the same number later"


@pytest.mark.parametrize(
    ("unit", "type"),
    [
        *(
            ("celsius", "temperature"),
            ("Fahrenheit", "temperature"),
            ("volts", "voltage"),
            ("amperes", "current"),
            ("watts", "power"),
        ),
        *(("hertz", "frequency"), ("dBm", "dbm"), ("percent", "percent"), ("RPM", "fanspeed"), ("seconds", "runtime")),
        *(("minutes", "runtime"), ("", "count"), ("furlongs", "count")),
    ],
)
def test_the_type_follows_from_the_unit(unit, type):  # noqa: A002 - as a sensor has it
    one = sensor_or_not(b"oid", ber.INTEGER, 5, Column(b"", "x", unit=unit), "x", "of")
    assert isinstance(one, FoundSensor)
    assert (one.type, one.unit) == (type, unit)


def sensor(oid: str, name: str) -> FoundSensor:
    return FoundSensor(parse_oid(oid), name, "count", "", 1.0, 5, "of")


def test_one_oid_is_one_sensor_the_first_and_names_differ_by_as_much_of_their_oids_as_it_takes():
    given = [
        *(sensor("1.3.1.7", "a"), sensor("1.3.2.7", "a"), sensor("1.3.1.8", "b"), sensor("1.3.1.7", "again")),
        *(sensor("1.3.1.1", "c"), sensor("1.3.1.2", "c"), sensor("1.3.5.1", "c 1")),
    ]
    assert [(format_oid(one.oid), one.name) for one in apart(given)] == [
        *(("1.3.1.7", "a 1.7"), ("1.3.2.7", "a 2.7"), ("1.3.1.8", "b")),
        *(("1.3.1.1", "c 1.1"), ("1.3.1.2", "c 1.2"), ("1.3.5.1", "c 1")),
    ]
    assert apart([]) == []
