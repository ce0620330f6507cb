"""`config check`, `show` and `diff`: mistakes with their places, no secret, and what a reload would change."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from towerops_agent.buffer.buffer import Buffer
from towerops_agent.cli.main import cli
from towerops_agent.config.kept import without_secrets
from towerops_agent.counters import Counters
from towerops_agent.site.files import SiteFiles

SECRET = "hushhush-77"
SITE = f"""\
credentials: {{a: {{community: {SECRET}}}}}
devices:
  - {{address: 10.0.0.1, name: one, credentials: a, sensors: [{{name: a, oid: 1.3.6.1.1}}]}}
  - {{address: 10.0.0.2, interfaces: [ether1, ether2]}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["config", *map(str, words)])


def test_check_counts_what_is_there_and_warns_of_secrets(site):
    result = run("check", "--site", site)
    warning = f"{site}:1:30: warning: community stands in the file: better community_file or community_env, which keep it out"
    assert (result.exit_code, result.output.splitlines()) == (0, [warning, "2 devices, 1 sensor, 2 interfaces"])


def test_check_lists_each_mistake_and_fails(site):
    site.write_text(SITE.replace("1.3.6.1.1", "1.3.x").replace("10.0.0.2", "10.0.0"))
    result = run("check", "--site", site)
    lines = result.output.splitlines()
    assert result.exit_code == 1
    assert [line.partition(": ")[0] for line in lines[1:3]] == [f"{site}:3:77", f"{site}:4:15"]
    assert lines[3] == "1 device, 0 sensors, 0 interfaces; 2 mistakes"


def test_one_broken_set_of_credentials_is_one_line_however_many_devices_name_it(site):
    devices = "".join(f"  - {{address: 10.0.0.{n}, name: radio {n}, credentials: a, interfaces: [1]}}\n" for n in range(1, 14))
    site.write_text(f"credentials: {{a: {{community_file: nowhere}}}}\ndevices:\n{devices}")
    result = run("check", "--site", site)
    cause, line, total = result.output.splitlines()
    assert result.exit_code == 1
    assert cause.startswith(f"{site}:1:35: the file {site.parent}/nowhere can't be read")
    named = "in 13 devices: radio 1, radio 2, radio 3, and 10 more"
    assert line == f"{site}:3:53: credentials is 'a', which can't be used: see {site}:1:35 ({named})"
    assert total == "0 devices, 0 sensors, 0 interfaces; 14 mistakes of 2 kinds"
    assert run("show", "--site", site).stderr.splitlines() == [cause, line]


def test_many_mistakes_of_one_device_or_of_none_are_one_line_too(site):
    sensors = ", ".join("{name: a, oid: 1.3.x}" for _ in range(20))
    sets = ", ".join(f"{name}: {{community_env: UNSET}}" for name in "abcdefghijk")
    site.write_text(f"credentials: {{{sets}}}\ndevices:\n  - {{address: 10.0.0.1, sensors: [{sensors}], interfaces: [1]}}\n")
    of_sets, of_sensors, total = run("check", "--site", site).output.splitlines()
    assert of_sets.endswith(": expected the secret in it (11 times)")
    assert of_sensors.endswith(" (20 times, in 1 device: 10.0.0.1)")
    assert total == "1 device, 0 sensors, 1 interface; 31 mistakes of 2 kinds"


def test_a_few_mistakes_of_one_kind_have_a_place_each(site):
    devices = "".join(f"  - {{address: 10.0.1.{n + 9}, interval: 0, interfaces: [1]}}\n" for n in range(1, 11))
    site.write_text(f"devices:\n{devices}")
    *lines, total = run("check", "--site", site).output.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{site}:{n}:36" for n in range(2, 12)]
    assert total == "0 devices, 0 sensors, 0 interfaces; 10 mistakes"


def test_show_prints_the_devices_without_secrets(site):
    result = run("show", "--site", site)
    assert (result.exit_code, SECRET in result.output) == (0, False)
    assert [device["name"] for device in json.loads(result.output)] == ["one", "10.0.0.2"]
    assert [device["ip_address"] for device in json.loads(run("show", "ONE", "--site", site).output)] == ["10.0.0.1"]
    absent = run("show", "two", "--site", site)
    assert (absent.exit_code, absent.output) == (1, "towerops-agent: no device has the name, id or address two\n")


def test_show_says_if_it_cant_read_what_was_discovered(tmp_path):
    site, database = tmp_path / "site.yaml", tmp_path / "agent.db"
    site.write_text("devices: [{address: 10.0.0.1, profile: auto}]")
    result = run("show", "--site", site, "--database-path", database)
    assert [device["sensors"] for device in json.loads(result.stdout)] == [[]]
    assert result.stderr.startswith(
        f"towerops-agent: what the agent has discovered is not shown: there is no database {database}:"
    )
    site.write_text(SITE)
    assert run("show", "--site", site, "--database-path", database).stderr == ""


def test_diff_without_what_was_discovered_is_a_failure_of_one_line(tmp_path):
    site, database = tmp_path / "site.yaml", tmp_path / "agent.db"
    site.write_text("devices: [{address: 10.0.0.1, profile: auto}]")
    result = run("diff", "--site", site, "--database-path", database)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert f"there is no database {database}" in result.output


@pytest.mark.parametrize(
    ("url", "shown"),
    [("ftp://x", " is 'ftp://x'"), ("localhost:9090", " is 'localhost:9090'"), ("", " is ''"), ("https://me:hushhush-77@x/", "")],
)
@pytest.mark.parametrize("command", [("config", "init", "127.0.0.1:1"), ("discover", "127.0.0.1")])
def test_a_url_that_no_site_file_could_have_is_bad_usage_before_any_device_is_asked(command, url, shown):
    result = CliRunner().invoke(cli, [*command, "--remote-write", url])
    wanted = "expected https://host/path or http://host/path, without user, query or fragment"
    assert (result.exit_code, result.output) == (2, f"towerops-agent: --remote-write{shown}: {wanted}\n")


def test_without_a_site_it_is_bad_usage_and_a_missing_one_a_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("SITE_PATH", raising=False)
    result = run("check")
    assert (result.exit_code, "SITE_PATH is not set" in result.output) == (2, True)
    missing = run("check", "--site", tmp_path / "none.yaml")
    assert (missing.exit_code, "can't be read: No such file" in missing.output) == (1, True)


async def test_diff_compares_with_what_the_agent_polls(site, tmp_path):
    database = tmp_path / "agent.db"
    async with Buffer(database, Counters(), clock_us=lambda: 1) as buffer:
        shown = SiteFiles(site).read().shown
        assert shown is not None
        await buffer.keep_config(without_secrets(shown))
    same = run("diff", "--site", site, "--database-path", database)
    assert (same.exit_code, same.output) == (0, "no difference\n")
    site.write_text(SITE.replace("name: one", "name: uno"))
    differs = run("diff", "--site", site, "--database-path", database)
    assert (differs.exit_code, differs.output) == (1, "~ uno (10.0.0.1:161): name one -> uno\n")
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("agent.db*"))


async def test_diff_needs_an_agent_that_had_site_files(site, tmp_path):
    database = tmp_path / "agent.db"
    async with Buffer(database, Counters(), clock_us=lambda: 1) as buffer:
        await buffer.keep_config(b"\x02sealed")
    result = run("diff", "--site", site, "--database-path", database)
    assert (result.exit_code, "has a configuration of the API, not of site files" in result.output) == (1, True)
