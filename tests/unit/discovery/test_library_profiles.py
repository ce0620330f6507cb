"""The profiles that come with the agent: each can be read, no two of its columns say the same, and the page lists them."""

from collections import Counter
from pathlib import Path
from runpy import run_path

import pytest
from hatchling.builders.wheel import WheelBuilder

from towerops_agent.discovery.course.profile import Column, Profile
from towerops_agent.discovery.library import OURS, load_profiles
from towerops_agent.snmp.wire.ber import format_oid, is_within, parse_oid, subidentifiers

ROOT = Path(__file__).parents[3]
LIBRARY = load_profiles()
PROFILES = list(LIBRARY.profiles.values())

UNITS = {
    *("volts", "amperes", "watts", "VA", "kWh", "Ah", "hertz", "MHz", "celsius", "fahrenheit", "percent", "rpm", "bytes"),
    *("seconds", "minutes", "milliseconds", "weeks", "meters", "kilometers", "dBm", "dB", "bps", "kbps", "Mbps", "pps", "ppb"),
    *("kHz", "kPa", "cfm", "l/s", "l/min", "lux", "meters/second", "mm", "degrees", "microseconds", "nanoseconds"),
}


def each(check):
    return pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)(check)


def same(column: Column) -> str:
    """What no other column of the profile may be as well: those for some rows, or in place of another, are not the same."""
    return f"{format_oid(column.oid)} {column.where} {column.unless} {column.when}"


def test_each_can_be_read_without_a_mistake():
    assert [str(problem) for problem in LIBRARY.problems] == []
    assert {path.stem for path in OURS.iterdir()} == LIBRARY.profiles.keys()


@each
def test_no_oid_stands_twice(profile: Profile):
    assert [oid for oid, count in Counter(map(same, profile.columns)).items() if count > 1] == []


@each
def test_no_name_stands_twice_in_a_group_of_the_mib(profile: Profile):
    """But for a value in place of another. Models with a group of their own each may have a name for the same thing."""
    names = Counter(
        (subidentifiers(column.oid)[:-2], column.name)
        for column in profile.columns
        if column.unless is None and column.where is None and column.when is None
    )
    assert [name for (_, name), count in names.items() if count > 1] == []


@each
def test_units_are_words_that_the_others_use(profile: Profile):
    assert {column.unit for column in profile.columns} - UNITS <= {""}


@each
def test_a_state_has_no_unit(profile: Profile):
    assert [column.name for column in profile.columns if (column.states or column.type == "state") and column.unit] == []


@each
def test_a_name_is_short_and_printable(profile: Profile):
    for column in profile.columns:
        assert column.name.isprintable()
        assert len(column.name) <= 60


def test_of_two_profiles_none_is_for_exactly_the_same_devices():
    rules = Counter(
        (rule.object_id, rule.descr and rule.descr.pattern, rule.probe) for profile in PROFILES for rule in profile.rules
    )
    assert [format_oid(object_id or b"") for (object_id, _, _), count in rules.items() if count > 1] == []


def test_the_table_of_scripts_of_routeros_is_never_asked():
    """A script runs when its row is read."""
    scripts = parse_oid("1.3.6.1.4.1.14988.1.1.18")
    for column in LIBRARY.profiles["mikrotik"].columns:
        assert not is_within(column.oid, scripts)


def test_each_is_in_the_wheel():
    """And so in the image and the Debian package, which are made of it."""
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"towerops_agent/profiles/{name}.yaml" for name in LIBRARY.profiles} <= files


def test_the_page_lists_them():
    """`.venv/bin/python tools/profiles.py` writes it."""
    tool = run_path(str(ROOT / "tools" / "profiles.py"), run_name="profiles")
    assert (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8") == tool["page"]()
