"""`towerops-agent discover` as an operator runs it: simulated devices, real datagrams, a process."""

import asyncio
import json
import random
import signal
import socket
import stat
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, make_fleet
from towerops_lab.simulator.profiles import PROFILES
from towerops_lab.simulator.server import serve

COMMUNITY = "tower-community-77c1"


async def discover(
    tmp_path: Path, *words: str, community: str | None = COMMUNITY, command: str = "discover"
) -> tuple[int, str, str]:
    """Run the command; exit status, standard output and error. The community is in no argument."""
    env = {"PATH": "/usr/bin", "XDG_STATE_HOME": str(tmp_path / "state")} | ({"SNMP_COMMUNITY": community} if community else {})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", command, *words),
        env=env,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def some_of_a_24() -> dict[bytes, Any]:
    """40 of the 254 devices at 127.1.0.1 to 127.1.0.254."""
    stations = make_fleet(list(PROFILES.values()), 254, COMMUNITY, time.time())
    return dict(random.Random(7).sample(sorted(stations.items(), key=lambda each: each[0]), 40))


async def test_a_sweep_of_a_24_finds_the_40_devices_that_are_there(tmp_path):
    stations = some_of_a_24()
    async with FleetServer(stations).serve() as port:
        status, out, err = await discover(tmp_path, "127.1.0.0/24", "--port", str(port), "--json")
    equipment = json.loads(out)["equipment"]
    assert status == 0, err
    assert {each["ip_address"] for each in equipment} == {str(IPv4Address(address)) for address in stations}
    assert all(each["interfaces"] for each in equipment)
    assert COMMUNITY not in out + err


async def test_what_is_written_is_a_site_file_and_the_community_stands_beside_it(tmp_path):
    stations = make_fleet(list(PROFILES.values()), len(PROFILES), COMMUNITY, time.time())
    last = FIRST_ADDRESS + len(stations) - 1
    secret = tmp_path / "community"
    secret.write_text(f"{COMMUNITY}\n")
    secret.chmod(0o600)
    async with FleetServer(stations).serve() as port:
        words = (f"{FIRST_ADDRESS}-{last}", "--port", str(port))
        written = await discover(tmp_path, *words, "-C", "community", "--write", "site.yaml", community=None)
        again = await discover(tmp_path, *words, "--write", "site.yaml")
        other = await discover(tmp_path, *words, "-c", COMMUNITY, "--write", "other.yaml", "--force", community=None)
    assert written[0] == 0, written
    assert "variable" not in written[2] + other[2], "the file names files"
    assert again[0] == 2
    assert "site.yaml exists: expected another name, or --force to overwrite it" in again[2]
    assert other[0] == 0, other
    site = (tmp_path / "site.yaml").read_text()
    assert COMMUNITY not in site + (tmp_path / "other.yaml").read_text() + written[1] + written[2] + other[1] + other[2]
    assert f'community_file: "{secret}"' in site
    beside = tmp_path / "other.discovered.community"
    assert beside.read_text() == f"{COMMUNITY}\n"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    for name in ("site.yaml", "other.yaml"):
        status, out, err = await discover(tmp_path, "check", "--site", name, command="config", community=None)
        assert (status, err) == (0, ""), out
        assert out.startswith(f"{len(stations)} devices, ")
        assert "mistake" not in out


async def test_the_variable_that_the_file_names_is_said_as_the_agent_needs_it_too(tmp_path):
    """README's command sets it for discover only: the agent then refused each device."""
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        status, _, err = await discover(tmp_path, str(FIRST_ADDRESS), "--port", str(port), "--write", "site.yaml")
    assert status == 0
    assert err.splitlines() == [
        "wrote site.yaml",
        "site.yaml names the variable SNMP_COMMUNITY: set it for the agent too",
    ]
    status, out, _ = await discover(tmp_path, "check", "--site", "site.yaml", command="config", community=None)
    assert (status, "the variable SNMP_COMMUNITY is not set, or empty" in out) == (1, True)


async def test_an_address_of_a_link_that_is_not_there_costs_no_other(tmp_path):
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        words = ("fe80::1%nolink0", str(FIRST_ADDRESS), "--port", str(port))
        status, out, err = await discover(tmp_path, *words)
        alone = await discover(tmp_path, *words[:1])
    assert (status, err) == (0, ""), err
    assert "1 device" in out
    assert "unresolved" in out
    assert alone[0] == 1
    assert "Traceback" not in alone[2]


async def test_a_device_that_is_silent_sees_three_messages_a_day(tmp_path):
    """However often the command is run; another address is asked all the same."""
    seen: list[bytes] = []
    async with serve(lambda datagram, _: seen.append(datagram)) as port:
        words = ("127.0.0.1", "--port", str(port), "-v2c")
        first = await discover(tmp_path, *words, "-c", "wrong-0", community=None)
        assert len(seen) == 2
        ledger = tmp_path / "state" / "towerops-agent" / "discovery.json"
        before = json.loads(ledger.read_text())
        (place,) = before
        ledger.write_text(json.dumps({place: {"worked": "", "sent": [at - 61 for at in before[place]["sent"]]}}))
        await discover(tmp_path, *words, "-c", "wrong-1", community=None)
        third = await discover(tmp_path, *words, "-c", "wrong-2", community=None)
    assert len(seen) == 3
    assert first[0] == third[0] == 1
    assert "no device found: tried discovered over SNMPv2c at UDP port" in first[2]
    assert "3 messages without an answer today" in third[1]
    assert "wrong" not in first[1] + first[2].replace("prefer", "") + ledger.read_text()


async def test_what_can_not_be_remembered_is_said_and_costs_no_device(tmp_path):
    """As in a container without a home, or if the state's directory is another user's."""
    (tmp_path / "state").write_text("")
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        status, out, err = await discover(tmp_path, str(FIRST_ADDRESS), "--port", str(port), "--json")
    assert status == 0
    assert len(json.loads(out)["equipment"]) == 1
    assert "not remembered for the next run" in err


async def test_a_dry_run_sends_nothing(tmp_path):
    seen: list[bytes] = []
    async with serve(lambda datagram, _: seen.append(datagram)) as port:
        status, out, _ = await discover(tmp_path, "127.0.0.0/28", "127.0.0.1", "--port", str(port), "--dry-run")
    assert status == 0
    assert seen == []
    assert out.startswith("14 addresses with 1 set of credentials: discovered (SNMPv2c)\nat most 28 datagrams to addresses that")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("10.0.0.5/24",), "10.0.0.5 is within 10.0.0.0/24: expected 10.0.0.0/24, or 10.0.0.5 only"),
        (("10.0.0.0/16",), "65,534 addresses: expected at most 4,096 (a /20), or --large if it is meant"),
        (("10.0.0.1", "--credentials", "radios"), "--credentials names a set of a site file: expected --site or SITE_PATH"),
        (("10.0.0.1", "--write", "nowhere/site.yaml"), "nowhere is not a directory"),
    ],
)
async def test_bad_usage_is_said_before_anything_is_sent(tmp_path, words, said):
    status, _, err = await discover(tmp_path, *words)
    assert status == 2
    assert said in err


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("discover", ("10.0.0.1",), "--community-file or --ask, or name a set of the site file (--credentials)\n"),
        (
            "discover",
            ("10.0.0.1", "-v", "3"),
            "no user for SNMPv3: give --user, or name a set of the site file (--credentials)\n",
        ),
        ("profile", ("try", "mine.yaml", "10.0.0.1"), "no community: set SNMP_COMMUNITY, or give --community-file or --ask\n"),
        ("snmp", ("get", "10.0.0.1", "1.3.6.1.2.1.1.3.0"), "--community-file or --ask, or name a configured device\n"),
    ],
)
async def test_without_credentials_each_command_says_what_it_takes(tmp_path, command, words, said):
    """A device that is configured is what `snmp get` may be given, and not what `discover` looks for."""
    (tmp_path / "mine.yaml").write_text(PROFILE)
    status, _, err = await discover(tmp_path, *words, community=None, command=command)
    assert status != 0
    assert said in err


async def test_a_set_of_the_site_file_is_named_and_not_copied(tmp_path):
    """A file that is written beside the others refers to it."""
    stations = make_fleet(list(PROFILES.values()), 2, COMMUNITY, time.time())
    folder = tmp_path / "site"
    folder.mkdir()
    (tmp_path / "secret").write_text(COMMUNITY)
    (folder / "sets.yaml").write_text("credentials:\n  radios: {version: 2c, community_file: ../secret}\n")
    async with FleetServer(stations).serve() as port:
        words = (f"{FIRST_ADDRESS}-{FIRST_ADDRESS + 1}", "--port", str(port), "--site", "site", "--credentials", "radios")
        status, _, err = await discover(tmp_path, *words, "--write", "site/found.yaml", community=None)
        assert status == 0, err
        unknown = await discover(tmp_path, *words, "--credentials", "radio", community=None)
    assert 'credentials: "radios"' in (folder / "found.yaml").read_text()
    assert not list(folder.glob("*.community"))
    assert (await discover(tmp_path, "check", "--site", "site", command="config", community=None))[0] == 0
    assert unknown[0] == 2
    assert "--credentials is 'radio': expected a set of site (radios" in unknown[2]


PROFILE = """\
profile: mine
vendor: Mine
match: {sysObjectID: 1.3.6.1.4.1.14988}
base: 1.3.6.1.2.1
columns:
  - {oid: 1.3.0, name: up, unit: seconds, divisor: 100}
  - {oid: 2.2.1.8, name: link, index: port, states: {1: up, 2: down}}
  - {oid: 99.77.0, name: nothing}
"""


async def test_a_profile_is_checked_and_tried_at_a_device(tmp_path):
    """Each of its sensors is shown with its value, and what lacks one; a mistake has its place."""
    (tmp_path / "mine.yaml").write_text(PROFILE)
    (tmp_path / "bad.yaml").write_text(PROFILE.replace("name: nothing", "nam: nothing"))
    ours = await discover(tmp_path, "check", command="profile")
    bad = await discover(tmp_path, "check", "mine.yaml", "bad.yaml", command="profile")
    assert ours[0] == 0, ours[1]
    assert bad[0] == 1
    assert bad[1] == "bad.yaml:8:20: nam is not a key of a column: expected name\n1 profile, 2 columns; 1 mistake\n"
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        words = ("try", "mine.yaml", str(FIRST_ADDRESS), "--port", str(port))
        status, out, err = await discover(tmp_path, *words, command="profile")
        (tmp_path / "mine.yaml").write_text(PROFILE.replace("14988", "14989"))
        elsewhere = await discover(tmp_path, *words, command="profile")
    assert (status, err) == (0, ""), err
    lines = out.splitlines()
    assert "discover uses mine here" in lines
    assert any(line.startswith("up ") and "seconds" in line for line in lines), out
    assert any(line.startswith("link ether1") and "1 (up)" in line for line in lines), out
    assert any(line.startswith("  nothing") for line in lines), out
    assert "discover does not use mine here, but mikrotik" in elsewhere[1]
    assert any(line.startswith("up ") and "seconds" in line for line in elsewhere[1].splitlines())


async def test_an_operators_profile_replaces_ours_of_its_name(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mikrotik.yaml").write_text(PROFILE.replace("profile: mine", "profile: mikrotik"))
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        words = (str(FIRST_ADDRESS), "--port", str(port), "--json", "--profiles", "profiles")
        status, out, err = await discover(tmp_path, *words)
    assert status == 0, err
    sensors = json.loads(out)["equipment"][0]["sensors"]
    assert "up" in {sensor["metadata"]["descr"] for sensor in sensors}


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
async def test_profiles_that_are_not_there_end_it_before_a_device_is_asked(tmp_path, more):
    """Else devices would be asked, and reported, as if the operator had no profiles."""
    (tmp_path / "empty").mkdir()
    expected = "expected *.yaml or *.yml files in it\n"
    for name, before in (("empty", ""), ("nowhere", "towerops-agent: nowhere: can't be read: No such file or directory\n")):
        status, out, err = await discover(tmp_path, "127.0.0.1", "--port", "9", "--profiles", name, *more)
        assert (status, out) == (2, "")
        assert err == f"{before}towerops-agent: --profiles: no profile in {name} can be used: {expected}"
    status, out, err = await discover(tmp_path, "check", "empty", command="profile")
    assert (status, out) == (1, "")
    assert err == "towerops-agent: no file that ends in .yaml or .yml in empty: expected one at least\n"


INTERRUPTED_AT_THE_FIRST = """
import signal

from towerops_agent.cli import discover
from towerops_agent.cli.main import main


def show(self, progress):
    if progress.found:
        signal.raise_signal(signal.SIGINT)


discover._Bar.show = show
main()
"""


@pytest.mark.parametrize("is_there", [False, True])
async def test_what_was_found_until_an_interrupt_is_shown_and_written_and_replaces_nothing(tmp_path, is_there):
    """A sweep may take an hour and a half. What is there may be of one that was not interrupted, and in use by an agent."""
    site = tmp_path / "site.yaml"
    if is_there:
        site.write_text("of all devices")
    async with FleetServer(make_fleet([PROFILES["mikrotik"]], 1, COMMUNITY, time.time())).serve() as port:
        words = ("discover", f"{FIRST_ADDRESS}-250", "--port", str(port), "--write", "site.yaml", *["--force"] * is_there)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", INTERRUPTED_AT_THE_FIRST, *words),
            env={"PATH": "/usr/bin", "XDG_STATE_HOME": str(tmp_path / "state"), "SNMP_COMMUNITY": COMMUNITY},
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    last = err.decode().splitlines()[-1]
    assert process.returncode == 1, err
    assert last.startswith("towerops-agent: interrupted: what was tried is remembered; ")
    assert last.endswith(f" of 250 addresses are done{'; site.yaml stays as it was' if is_there else ''}")
    assert str(FIRST_ADDRESS) in out.decode()
    if is_there:
        assert site.read_text() == "of all devices"
    else:
        assert str(FIRST_ADDRESS) in site.read_text()
        assert ", which was interrupted. " in site.read_text()
    known = json.loads((tmp_path / "state" / "towerops-agent" / "discovery.json").read_text())
    assert known[f"{FIRST_ADDRESS} {port}"]["worked"] == "discovered"


def ignore_interrupts() -> None:
    """As a script's `&` starts a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, None), (signal.SIGTERM, None), (signal.SIGHUP, None), (signal.SIGTERM, ignore_interrupts)],
)
async def test_what_was_sent_counts_though_the_sweep_is_ended_before_an_answer(tmp_path, number, before):
    """Else a device would see more than three messages a day, of whoever starts again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        port = silent.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "towerops_agent", "discover", "127.0.0.1", "--port", str(port)),
            env={"PATH": "/usr/bin", "XDG_STATE_HOME": str(tmp_path), "SNMP_COMMUNITY": COMMUNITY},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=before,
        )
        await asyncio.get_running_loop().sock_recv(silent, 2000)
        process.send_signal(number)
        _, err = await process.communicate()
    assert b"interrupted: what was tried is remembered" in err
    known = json.loads((tmp_path / "towerops-agent" / "discovery.json").read_text())
    assert len(known[f"127.0.0.1 {port}"]["sent"]) == 2
