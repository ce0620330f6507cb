"""The command in the image: as root it takes the volume and gives root up for good; as anybody else it leaves all as it is."""

import os
import subprocess
import sys

import pytest

from support.skips import NOT_READABLE, NOT_ROOT
from towerops_agent import container

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason=NOT_ROOT)
TWO_FILES = ("towerops-agent.db", "towerops-agent.db-wal")

STARTED = """
import sys
from pathlib import Path
from towerops_agent import container
container.VOLUME = sys.argv.pop(1)
def start_again(words):
    print(words)
    print(Path("/proc/self/status").read_text())
    try:
        container.os.setuid(0)
    except PermissionError:
        print("no way back")
    sys.exit()
container._start_again = start_again
container.main()
"""

HEALTH_SHOWS_ITS_STATUS = """
import towerops_agent.__main__
towerops_agent.__main__.main = lambda: print(Path("/proc/self/status").read_text())
container.main()
"""


def started(volume, *words):
    done = subprocess.run(
        [sys.executable, "-c", STARTED, volume, *words], capture_output=True, text=True, check=False, env={**os.environ}
    )
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    return done, status


def owner(path):
    seen = path.lstat()
    return seen.st_uid, seen.st_gid


@pytest.fixture
def volume(tmp_path):
    """As Docker makes it: root's, 0755. Below a path that user 10001 may pass."""
    for part in (tmp_path, *tmp_path.parents[:3]):
        part.chmod(part.stat().st_mode | 0o111)
    made = tmp_path / "data"
    made.mkdir(mode=0o755)
    return made


@ROOT_ONLY
def test_the_volume_and_the_databases_files_become_the_agents(volume):
    for name in (*TWO_FILES, "ca.pem"):
        (volume / name).touch()
    assert container.take(volume) is None
    assert owner(volume) == (container.UID, container.UID)
    assert [owner(volume / name) for name in TWO_FILES] == [(container.UID, container.UID)] * 2
    assert owner(volume / "ca.pem") == (0, 0)


@ROOT_ONLY
def test_what_is_linked_from_elsewhere_is_not_taken(volume, tmp_path):
    """Neither by a symbolic link nor by a hard one: another's file is not given away."""
    foreign = tmp_path / "foreign"
    foreign.touch()
    (volume / "towerops-agent.db").symlink_to(foreign)
    (volume / "towerops-agent.db-wal").hardlink_to(foreign)
    assert container.take(volume) is None
    assert owner(foreign) == (0, 0)


@ROOT_ONLY
def test_no_file_is_taken_if_the_path_names_a_directory(volume, monkeypatch):
    """Each name begins with no name: all that lies in the volume would become the agent's."""
    monkeypatch.setenv("DATABASE_PATH", f"{volume}/")
    (volume / "ca.pem").touch()
    assert container.take(volume) is None
    assert owner(volume / "ca.pem") == (0, 0)


def test_a_volume_that_is_not_there_is_an_error_that_is_returned(tmp_path):
    assert isinstance(container.take(tmp_path / "none"), FileNotFoundError)


@ROOT_ONLY
def test_root_is_given_up_for_good(volume):
    done, status = started(volume, "run", "--log-level", "debug")
    assert done.stderr == ""
    assert done.stdout.startswith("['run', '--log-level', 'debug']\n")
    assert set(f"{status['Uid']}\t{status['Gid']}".split()) == {str(container.UID)}
    assert status["Groups"].split() == []
    held = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert set(held.values()) == {0}, held
    assert status["NoNewPrivs"] == "1"
    assert "no way back" in done.stdout
    assert owner(volume) == (container.UID, container.UID)


@ROOT_ONLY
@pytest.mark.parametrize(("words", "taken"), [([], True), (["--once"], True), (["run"], True), (["status"], False)])
def test_only_run_takes_the_volume(volume, words, taken):
    started(volume, *words)
    assert (owner(volume)[0] == container.UID) == taken


@ROOT_ONLY
def test_health_becomes_the_user_without_a_second_start(volume):
    program = STARTED.replace("container.main()", HEALTH_SHOWS_ITS_STATUS)
    done = subprocess.run([sys.executable, "-c", program, volume, "health"], capture_output=True, text=True, check=False)
    assert not done.stdout.startswith("['health']")
    assert f"\nUid:\t{container.UID}\t{container.UID}\t{container.UID}\t{container.UID}\n" in done.stdout
    assert "\nCapEff:\t0000000000000000\n" in done.stdout
    assert owner(volume) == (0, 0)


@ROOT_ONLY
def test_without_the_capability_it_says_what_to_do_and_does_not_run(volume):
    done = subprocess.run(
        ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-c", STARTED, volume],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == container.EXIT_FAILURE
    assert "--user 10001:10001" in done.stderr
    assert done.stdout == ""


@ROOT_ONLY
def test_a_volume_that_stays_anothers_is_reported_and_the_agent_runs(volume):
    """As on a share that refuses chown: here for want of the capability."""
    done = subprocess.run(
        ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+setuid,+setgid,+setpcap", sys.executable, "-c", STARTED, volume],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "its owner can't be changed (Operation not permitted)" in done.stderr
    assert f"\nUid:\t{container.UID}\t" in done.stdout


@ROOT_ONLY
def test_another_user_stays_that_user_and_takes_nothing(volume):
    done = subprocess.run(
        ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", sys.executable, "-c", STARTED, volume, "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    if any(sign in done.stderr for sign in ("Permission denied", "No module", "loading shared libraries")):
        pytest.skip(NOT_READABLE)
    assert done.returncode == 0, done.stderr
    assert owner(volume) == (0, 0)
