"""Which sensors come of a profile's columns: one that says the same worse is left out, a value without an instance is found."""

from towerops_agent.discovery.course.asking import Questions
from towerops_agent.discovery.course.findings import FoundSensor, NotTaken
from towerops_agent.discovery.course.profile import Profile, read_profile
from towerops_agent.discovery.course.sensors import columns_of, find_sensors, values_of
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


def test_a_row_is_left_out_only_if_the_finer_column_has_that_row():
    both = profile("oid: 4.1, name: rounded, unless: 4.2", "oid: 4.2, name: fine")
    assert found(both, {f"{BASE}.4.1.7": 23, f"{BASE}.4.1.8": 24, f"{BASE}.4.2.8": 241}) == (
        ["rounded 7", "fine 8"],
        ["rounded 8"],
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
