"""The scripts of the Debian package: the service starts as an operator of Debian expects, and stays off if it was switched off.

They run with the deb-systemd-helper and deb-systemd-invoke of this machine, in a tree of their own; systemctl writes down what it
is asked.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.markdown import ROOT, read
from support.skips import NO_DEBIAN, NO_MOUNT

UNIT = "towerops-agent.service"
ENABLED = f"etc/systemd/system/multi-user.target.wants/{UNIT}"
TOOLS = ("deb-systemd-helper", "deb-systemd-invoke")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=NO_DEBIAN)

SYSTEMCTL = """\
#!/bin/sh
case "$*" in
*is-enabled*) if [ -L "$DPKG_ROOT/{enabled}" ]; then echo enabled; else echo disabled; exit 1; fi ;;
*is-active*) [ -e "$DPKG_ROOT/runs" ] ;;
*restart*) echo restart >>"$DPKG_ROOT/done"; touch "$DPKG_ROOT/runs" ;;
*stop*) echo stop >>"$DPKG_ROOT/done"; rm -f "$DPKG_ROOT/runs" ;;
esac
"""


class Box:
    """A machine with Debian on which the package is installed, removed and purged, as far as its scripts do that."""

    def __init__(self, root: Path, booted: bool = True) -> None:
        self.root = root
        self.etc = root / "etc/towerops-agent"
        self.version = ""
        (root / "commands").mkdir()
        self._command("systemctl", SYSTEMCTL.format(enabled=ENABLED))
        for name in ("adduser", "deluser", "getent"):
            self._command(name, "#!/bin/sh\n")
        if booted:
            (root / "run/systemd/system").mkdir(parents=True)

    def _command(self, name: str, text: str) -> None:
        (self.root / "commands" / name).write_text(text)
        (self.root / "commands" / name).chmod(0o755)

    def script(self, name: str, *words: str, within: Sequence[str] = ()) -> str:
        """`within`: the command that runs it, as in a namespace."""
        text = read(f"packaging/debian/{name}")
        for path in ("/etc/towerops-agent", "/var/lib/towerops-agent", "/run/systemd"):
            text = text.replace(path, f"{self.root}{path}")
        environ = {
            "PATH": f"{self.root}/commands:{os.environ['PATH']}",
            "DPKG_ROOT": str(self.root),
            "DPKG_MAINTSCRIPT_PACKAGE": "towerops-agent",
        }
        done = subprocess.run([*within, "sh", "-c", text, name, *words], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, version: str) -> str:
        """As dpkg does: the second word is the version that was configured last, also if it was removed meanwhile."""
        unit = self.root / "usr/lib/systemd/system" / UNIT
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text(read("packaging/towerops-agent.service"))
        self.etc.mkdir(parents=True, exist_ok=True)
        if not (self.etc / "agent.env").exists():
            shutil.copy(ROOT / "packaging/debian/agent.env", self.etc)
        before, self.version = self.version, version
        return self.script("postinst", "configure", before)

    def remove(self) -> None:
        self.script("prerm", "remove")
        (self.root / "usr/lib/systemd/system" / UNIT).unlink()
        self.script("postrm", "remove")

    @property
    def enabled(self) -> bool:
        return (self.root / ENABLED).is_symlink()

    def disable(self) -> None:
        (self.root / ENABLED).unlink()
        (self.root / "runs").unlink(missing_ok=True)

    def done(self) -> list[str]:
        """What was done with the service since the last call."""
        path = self.root / "done"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text.split()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_first_installation_is_enabled_and_waits_for_its_token(box: Box):
    assert "write the token to" in box.install("1")
    assert box.enabled
    assert box.done() == []
    assert (box.etc / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("given", ["token", "site files"])
def test_an_upgrade_restarts_it_with_a_token_or_with_site_files(box: Box, given: str):
    """Else the old version would go on, and load what it has not loaded yet from the new one's files."""
    box.install("1")
    if given == "token":
        (box.etc / "token").write_text("secret")
    else:
        (box.etc / "agent.env").write_text("SITE_PATH=/etc/towerops-agent/site.yaml\n")
    assert box.install("2") == ""
    assert box.done() == ["restart"]


def test_what_runs_is_restarted_however_it_was_configured(box: Box):
    """As by a drop-in of the operator's."""
    box.install("1")
    (box.root / "runs").touch()
    box.install("2")
    assert box.done() == ["restart"]


def test_one_that_was_removed_and_installed_again_starts_at_boot(box: Box):
    box.install("1")
    (box.etc / "token").write_text("secret")
    box.remove()
    assert box.done() == ["stop"]
    box.install("1")
    assert box.enabled
    assert box.done() == ["restart"]


def test_one_that_was_disabled_is_not_started_by_an_upgrade(box: Box):
    """As on a box whose agent has moved to another one: two would submit everything twice."""
    box.install("1")
    (box.etc / "token").write_text("secret")
    box.disable()
    box.install("2")
    assert not box.enabled
    assert box.done() == []
    box.remove()
    box.done()
    box.install("3")
    assert not box.enabled
    assert box.done() == []


def test_it_is_enabled_also_if_no_systemd_runs(tmp_path: Path):
    """As in a chroot in which the image of a card is made."""
    box = Box(tmp_path, booted=False)
    box.install("1")
    assert box.enabled
    assert box.done() == []


def test_a_purge_leaves_nothing(box: Box):
    box.install("1")
    (box.etc / "token").write_text("secret")
    box.remove()
    (box.etc / "agent.env").unlink()  # as dpkg does
    box.script("postrm", "purge")
    assert not box.enabled
    assert not box.etc.exists()
    assert [path for path in (box.root / "var/lib").rglob("*") if path.is_file()] == []


def test_a_purge_empties_a_disk_that_is_mounted_where_the_database_is(box: Box, tmp_path: Path):
    """As docs/deployment.md shows: a mount point can't be removed, and dpkg would not end the purge."""
    state, disk = box.root / "var/lib/towerops-agent", tmp_path / "disk"
    state.mkdir(parents=True)
    disk.mkdir()
    (disk / "towerops-agent.db").touch()
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    within = ["unshare", "--mount", *user, "sh", "-c", f'mount --bind {disk} {state} && exec "$@"', "mounted"]
    if not shutil.which("unshare") or subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip(NO_MOUNT)
    box.script("postrm", "purge", within=within)
    assert list(disk.iterdir()) == []


def test_it_is_built_for_the_python_that_its_command_runs_on():
    """Debian's, and not the one that is first in PATH: the package depends on its version, and its libraries are for it."""
    interpreter = re.match(r"#!(\S+)", read("packaging/debian/towerops-agent"))[1]
    assert read("packaging/build-deb").startswith(f"#!{interpreter}\n")
