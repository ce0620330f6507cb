"""Profiles as they are written: what each key means, and what a mistake costs."""

import re
from typing import Any

import pytest

from towerops_agent.discovery.course.profile import Column, Profile, Rule, read_profile
from towerops_agent.snmp.wire.ber import parse_oid

HEAD = "profile: x\nvendor: X\nmatch: {sysObjectID: [1.3.6.1.4.1.7]}\nbase: 1.3.6.1.4.1.7\n"


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


def test_a_profile_is_all_that_it_says_and_nothing_else():
    text = (
        "profile: x-1\nvendor: Ex\nbase: 1.3.6.1.4.1.7\nmatch: {sysDescr: airOS, probe: 1.3.6.2}\ngeneral: yes\nwithout: [a, b]\n"
        "model: [1.0, .1.3.6.1.9.0]\nmodel_in_sysDescr: 'OS (.+)'\ncolumns: [{oid: 4.1, name: y}]\n"
    )
    assert profile(text) == Profile(
        name="x-1",
        vendor="Ex",
        rules=(Rule(None, re.compile("airOS", re.IGNORECASE), parse_oid("1.3.6.2")),),
        columns=(Column(parse_oid("1.3.6.1.4.1.7.4.1"), "y"),),
        model=(parse_oid("1.3.6.1.4.1.7.1.0"), parse_oid("1.3.6.1.9.0")),
        model_pattern=re.compile("OS (.+)", re.IGNORECASE),
        general=True,
        without=frozenset(("a", "b")),
    )
    least = "profile: x\nvendor: X\nmatch: {sysObjectID: [1.3.6, 1.3.7], sysDescr: a}\n"
    pattern = re.compile("a", re.IGNORECASE)
    rules = tuple(Rule(parse_oid(oid), pattern, None) for oid in ("1.3.6", "1.3.7"))
    assert profile(least) == Profile("x", "X", rules, ())
    assert profile(least + "without: a\nmodel: 1.3.6.1.0\n") == Profile(
        "x", "X", rules, (), model=(parse_oid("1.3.6.1.0"),), without=frozenset("a")
    )


def test_a_column_has_all_that_it_says_and_else_what_is_usual():
    assert column("oid: 4.1, name: y") == Column(parse_oid("1.3.6.1.4.1.7.4.1"), "y")
    assert column("oid: 4.1, name: y, type: t, unit: V, index: MAC, skip: 0.5, where: {4.2: 3}, when: {.1.3.1: a}") == Column(
        parse_oid("1.3.6.1.4.1.7.4.1"),
        "y",
        type="t",
        unit="V",
        index="mac",
        skip=frozenset((0.5,)),
        where=(parse_oid("1.3.6.1.4.1.7.4.2"), frozenset((3,))),
        when=(parse_oid("1.3.1"), re.compile("a", re.IGNORECASE)),
    )


ABSOLUTE = "expected an object identifier, as in 1.3.6.1.4.1.9"
BELOW = "expected numbers with dots between, below base"
MATCH = "profile: x\nvendor: X\nmatch: {probe: 1.3.6}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty: expected profile, vendor and match"),
        ("[x]", "1:1: a profile is a list: expected a mapping, as in key: value"),
        ("vendor: X\n", "1:1: profile is missing: expected it in a profile"),
        (
            "profile: X y\nvendor: X\nmatch: {probe: 1.3.6}\n",
            "1:10: profile is 'X y': expected small letters, digits, - and _",
        ),
        ("profile: x\nmatch: {probe: 1.3.6}\n", "1:1: vendor is missing: expected it in a profile"),
        ("profile: x\nvendor: X\n", "1:1: match is missing: expected sysObjectID, sysDescr or probe in it"),
        ("profile: x\nvendor: X\nmatch: []\n", "1:1: match is missing: expected sysObjectID, sysDescr or probe in it"),
        ("profile: x\nvendor: X\nmatch: [7]\n", "3:9: match is a text: expected a mapping, as in key: value"),
        ("profile: x\nvendor: X\nmatch: {prob: 1}\n", "3:9: prob is not a key of match: expected probe"),
        (
            "profile: x\nvendor: X\nmatch: {}\n",
            "3:8: an empty rule would match each device: expected sysObjectID, sysDescr or probe",
        ),
        (
            "profile: x\nvendor: X\nmatch: [{probe: 1.3.6}, {sysObjectID: []}]\n",
            "3:25: an empty rule would match each device: expected sysObjectID, sysDescr or probe",
        ),
        ("profile: x\nvendor: X\nmatch: {probe: }\n", "3:9: probe is empty: expected a value, or no probe"),
        *(
            (f"profile: x\nvendor: X\nmatch: {{probe: 1.3.6, {key}: }}\n", f"3:23: {key} is empty: expected a value, or no {key}")
            for key in ("sysObjectID", "sysDescr")
        ),
        ("profile: x\nvendor: X\nmatch: {sysObjectID: mikrotik}\n", f"3:22: sysObjectID is 'mikrotik': {ABSOLUTE}"),
        ("profile: x\nvendor: X\nmatch: {sysObjectID: [1.3, [2]]}\n", "3:28: sysObjectID is a list: expected a text"),
        ("profile: x\nvendor: X\nmatch: {probe: x}\n", f"3:16: probe is 'x': {ABSOLUTE}"),
        (
            "profile: x\nvendor: X\nmatch: {sysDescr: '('}\n",
            "3:19: sysDescr is '(': expected a regular expression (missing ), unterminated subpattern at position 0)",
        ),
        (
            f"{MATCH}model_in_sysDescr: RouterOS\n",
            "4:20: model_in_sysDescr is 'RouterOS': expected a group in it, as in 'RouterOS (.+)'",
        ),
        (f"{MATCH}colums: []\n", "4:1: colums is not a key of a profile: expected columns"),
        (f"{MATCH}columns: {{}}\n", "4:10: columns is a mapping: expected a list"),
        (f"{MATCH}base: x\n", f"4:7: base is 'x': {ABSOLUTE}"),
        (f"{MATCH}base: 1.3.6.1\nmodel: x\n", f"5:8: model is 'x': {BELOW}"),
        (f"{MATCH}base: 1.3.6.1\nmodel: .x\n", f"5:8: model is '.x': {ABSOLUTE}"),
        (f"{MATCH}model: x\n", f"4:8: model is 'x': {ABSOLUTE}"),
        (f"{MATCH}model: [[1.3]]\n", "4:9: model is a list: expected a text"),
        (f"{MATCH}general: 1\n", "4:10: general is '1': expected true or false"),
        (f"{MATCH}without: [[a]]\n", "4:11: without is a list: expected a text"),
    ],
)
def test_a_mistake_in_the_profile_itself_is_one_sentence_at_its_place(text: str, said: str):
    read = read_profile("x.yaml", text.encode())
    assert read.profile is None
    assert [str(problem) for problem in read.problems] == [f"x.yaml:{said}"]


# The column, of its mistake the text at its place, and what is said.
COLUMNS = {
    "name: x": ("{", "oid is missing: expected it in a column"),
    "oid: 4.1": ("{", "name is missing: expected it in a column"),
    "oid: 4.1, nam: x": ("nam", "nam is not a key of a column: expected name"),
    "oid: volts, name: x": ("volts", f"oid is 'volts': {BELOW}"),
    "oid: .volts, name: x": (".volts", f"oid is '.volts': {ABSOLUTE}"),
    **{
        f"oid: 4.1, name: x, {key}: {word}": (f"{key}:", f"{key} is empty: expected a value, or no {key}")
        for key in ("divisor", "multiplier", "skip", "unused", "away", "where", "unless", "when")
        for word in ("", "~")
    },
    "oid: 4.1, name: x, divisor: 0": ("0}", "divisor is '0': expected a number other than 0"),
    "oid: 4.1, name: x, divisor: y": ("y}", "divisor is 'y': expected a number"),
    "oid: 4.1, name: x, multiplier: 0": ("0}", "multiplier is '0': expected a number other than 0"),
    "oid: 4.1, name: x, multiplier: 1e300, divisor: 1e-9": ("1e300", "multiplier is too large"),
    "oid: 4.1, name: x, single: 1": ("1}", "single is '1': expected true or false"),
    "oid: 4.1, name: x, index: ip": ("ip", "index is 'ip': expected number, port, mac, text"),
    "oid: 4.1, name: x, label: y": ("y}", f"label is 'y': {BELOW}"),
    "oid: 4.1, name: x, unless: y": ("y}", f"unless is 'y': {BELOW}"),
    "oid: 4.1, name: x, states: [1]": ("[1]", "states is a list: expected a mapping, as in key: value"),
    "oid: 4.1, name: x, states: {up: 1}": ("up", "state 'up': expected a whole number"),
    "oid: 4.1, name: x, states: {12345678901: a}": ("123", "state '12345678901': expected a whole number"),
    "oid: 4.1, name: x, states: {1: }": ("1: ", "1 is empty: expected a text"),
    **{
        f"oid: 4.1.0, name: x, {more}": ("{", "oid is a single value: expected no label, index or where")
        for more in ("label: 4.2", "index: port", "where: {4.2: 1}")
    },
    "oid: 4.1, single: yes, name: x, label: 4.2": ("{", "oid is a single value: expected no label, index or where"),
    "oid: 4.1, name: x, where: 4": ("4}", "where is a text: expected a mapping, as in key: value"),
    "oid: 4.1, name: x, where: {}": ("{}", "where: expected one column and its values, as in {4: [1, 2]}"),
    "oid: 4.1, name: x, where: {4.2: [1], 4.3: [1]}": ("{4.2", "where: expected one column and its values, as in {4: [1, 2]}"),
    "oid: 4.1, name: x, where: {4.2: up}": ("up", "where is 'up': expected a number"),
    "oid: 4.1, name: x, where: {4.2: [[1]]}": ("[1]", "where is a list: expected a number"),
    "oid: 4.1, name: x, where: {up: 1}": ("1}", f"up is 'up': {BELOW}"),
    "oid: 4.1, name: x, when: v8": ("v8", "when is a text: expected a mapping, as in key: value"),
    "oid: 4.1, name: x, when: {}": ("{}", "when: expected one OID and a pattern, as in {1.4.0: v8}"),
    "oid: 4.1, name: x, when: {4.2: }": ("{4.2", "when: expected one OID and a pattern, as in {1.4.0: v8}"),
    "oid: 4.1, name: x, when: {4.2: a, 4.3: b}": ("{4.2", "when: expected one OID and a pattern, as in {1.4.0: v8}"),
    "oid: 4.1, name: x, when: {4.2: '['}": (
        "'['",
        "4.2 is '[': expected a regular expression (unterminated character set at position 0)",
    ),
    "oid: 4.1, name: x, when: {4.x: a}": ("a}", f"4.x is '4.x': {BELOW}"),
    "oid: 4.1, name: x, skip: [1, none]": ("none", "skip is 'none': expected a number"),
    "oid: 4.1, name: x, skip: [1, 4], states: {4: off}": (
        "[1, 4]",
        "skip has 4, which is the state 'off': expected a number that is not a state",
    ),
    "oid: 4.1, name: x, away: 4, states: {4: off}": (
        "4, states",
        "away has 4, which is the state 'off': expected a number that is not a state",
    ),
    "oid: 4.1, name: x, unused: [1, none]": ("none", "unused is 'none': expected a number"),
    "oid: 4.1, name: x, states: {1: a, 01: b}": ("01", "state '01' is given twice: expected each number once"),
    "oid: 4.1, name: x, skip: [[1]]": ("[1]", "skip is a list: expected a number"),
}


@pytest.mark.parametrize("text", COLUMNS)
def test_a_mistake_in_a_column_is_one_sentence_at_its_place_and_costs_only_the_column(text: str):
    line = f"  - {{{text}}}"
    read: Any = read_profile("x.yaml", f"{HEAD}columns:\n{line}\n  - {{oid: 5.0, name: good}}\n".encode())
    assert [each.name for each in read.profile.columns] == ["good"]
    (problem,) = read.problems
    begin, said = COLUMNS[text]
    assert (problem.place.line, problem.text) == (6, said)
    assert line[problem.place.column - 1 :].startswith(begin)


def test_an_oid_of_thousands_of_digits_is_a_mistake():
    read = read_profile("x.yaml", f"{HEAD}columns: [{{oid: {'9' * 5000}, name: x}}]\n".encode())
    assert [problem.text.partition(":")[2] for problem in read.problems] == [f" {BELOW}"]
