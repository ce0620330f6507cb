"""Profiles as they are written: what each key means, and what a mistake costs."""

import re
from typing import Any

import pytest

from towerops_agent.discovery.course.profile import Column, Profile, read_profile
from towerops_agent.snmp.wire.ber import parse_oid

HEAD = "profile: x\nvendor: X\nmatch: {sysObjectID: [1.3.6.1.4.1.7]}\nbase: 1.3.6.1.4.1.7\n"


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_profile("x.yaml", text.encode()).problems]


def profile(text: str) -> Profile:
    read = read_profile("x.yaml", text.encode())
    assert read.problems == ()
    assert read.profile is not None
    return read.profile


def column(text: str) -> Column:
    (one,) = profile(f"{HEAD}columns:\n  - {{{text}}}\n").columns
    return one


def test_an_oid_is_below_the_base_or_with_a_dot_absolute():
    assert column("oid: 4.1.3, name: supply").oid == parse_oid("1.3.6.1.4.1.7.4.1.3")
    assert column("oid: .1.3.6.1.4.1.8.4.1.3, name: supply").oid == parse_oid("1.3.6.1.4.1.8.4.1.3")


def test_an_oid_that_ends_in_0_is_a_single_value():
    assert column("oid: 4.1.0, name: supply").is_scalar
    assert not column("oid: 4.10, name: supply").is_scalar
    assert not column("oid: 4.128, name: supply").is_scalar
    assert column("oid: 4.128, single: true, name: supply").is_scalar


def test_a_raw_value_is_multiplied_and_divided():
    assert column("oid: 4.1, name: x, divisor: 100").divisor == 100
    assert column("oid: 4.1, name: x, multiplier: 4, divisor: 2").divisor == 0.5


def test_all_that_a_column_may_say():
    found = column(
        "oid: 4.3, name: x, unit: volts, label: 4.2, states: {1: on, -2: off}, skip: [0, -1], where: {4.4: [1, 2]}, unless: 4.5, "
        "when: {1.5.0: v8}"
    )
    assert found.label == parse_oid("1.3.6.1.4.1.7.4.2")
    assert found.states == {1: "on", -2: "off"}
    assert found.skip == {0, -1}
    assert found.where == (parse_oid("1.3.6.1.4.1.7.4.4"), frozenset((1, 2)))
    assert found.unit == "volts"
    assert found.unless == parse_oid("1.3.6.1.4.1.7.4.5")
    assert found.when == (parse_oid("1.3.6.1.4.1.7.1.5.0"), re.compile("v8", re.IGNORECASE))


def test_rules_are_a_list_or_one_and_may_name_several_sysobjectids():
    made = profile(
        "profile: x\nvendor: X\nmatch:\n  - {sysObjectID: [1.3.6.1, 1.3.7.1], sysDescr: airOS}\n  - {probe: 1.3.6.2}\n"
    )
    assert [(rule.object_id is not None, rule.descr is not None, rule.probe is not None) for rule in made.rules] == [
        (True, True, False),
        (True, True, False),
        (False, False, True),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vendor: X\n", "profile is missing"),
        ("profile: X y\nvendor: X\nmatch: {probe: 1.3.6}\n", "profile is 'X y': expected small letters"),
        ("profile: x\nvendor: X\n", "match is missing"),
        ("profile: x\nvendor: X\nmatch: {}\n", "an empty rule would match each device"),
        ("profile: x\nvendor: X\nmatch: {sysObjectID: mikrotik}\n", "sysObjectID is 'mikrotik': expected an object identifier"),
        ("profile: x\nvendor: X\nmatch: {sysDescr: '('}\n", "expected a regular expression"),
        ("profile: x\nvendor: X\nmatch: {probe: 1.3.6}\nmodel_in_sysDescr: RouterOS\n", "expected a group in it"),
        ("profile: x\nvendor: X\nmatch: {probe: 1.3.6}\ncolums: []\n", "colums is not a key of a profile: expected columns"),
    ],
)
def test_a_mistake_in_the_profile_itself_has_its_place(text: str, said: str):
    read = read_profile("x.yaml", text.encode())
    assert read.profile is None
    (problem,) = read.problems
    assert str(problem).startswith("x.yaml:")
    assert said in str(problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x", "oid is missing"),
        ("oid: volts, name: x", "oid is 'volts': expected numbers with dots between"),
        ("oid: 4.1, name: x, divisor: 0", "divisor is '0': expected a number other than 0"),
        ("oid: 4.1, name: x, index: ip", "index is 'ip': expected number, port, mac, text"),
        ("oid: 4.1, name: x, states: {up: 1}", "state 'up': expected a whole number"),
        ("oid: 4.1.0, name: x, label: 4.2", "a single value: expected no label"),
        ("oid: 4.1, name: x, where: {4.2: [1], 4.3: [1]}", "expected one column and its values"),
        ("oid: 4.1, name: x, when: {4.2: a, 4.3: b}", "expected one OID and a pattern"),
        ("oid: 4.1, name: x, when: {4.2: '('}", "4.2"),
        ("oid: 4.1, name: x, when: {4.x: a}", "expected numbers with dots between"),
        ("oid: 4.1, name: x, skip: [none]", "skip is 'none': expected a number"),
    ],
)
def test_a_mistake_in_a_column_costs_only_the_column(text: str, said: str):
    read: Any = read_profile("x.yaml", f"{HEAD}columns:\n  - {{{text}}}\n  - {{oid: 5.0, name: good}}\n".encode())
    assert [each.name for each in read.profile.columns] == ["good"]
    (problem,) = read.problems
    assert problem.place.line == 6
    assert said in str(problem)
