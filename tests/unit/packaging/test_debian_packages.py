"""tools/debian-packages installs what there is: a package that this release of Debian does not have costs only what needs it."""

import os
import subprocess
from pathlib import Path

import pytest

from support.markdown import ROOT

APT = """\
#!/bin/sh
[ "$1" = install ] || exit 0
shift
for word in "$@"; do case "$word" in -*) ;; *-of-another-release) exit 100 ;; esac; done
for word in "$@"; do case "$word" in -*) ;; *) echo "$word" >>"$INSTALLED" ;; esac; done
"""
SUDO = """\
#!/bin/sh
[ "$1" = -n ] && shift
case "$1" in env | apt-get | true) exec "$@" ;; esac
"""
"""It lets the script change nothing of this machine."""


@pytest.fixture
def run(tmp_path: Path):
    for name, text in (("apt-get", APT), ("sudo", SUDO), ("id", "#!/bin/sh\necho 1000\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(*pairs: str) -> tuple[list[str], str]:
        """What was installed, in order, and what was said."""
        installed = tmp_path / "installed"
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "INSTALLED": str(installed)}
        done = subprocess.run([ROOT / "tools/debian-packages", *pairs], env=environ, capture_output=True, text=True, check=True)
        return installed.read_text().split() if installed.exists() else [], done.stderr

    return run


def test_what_is_missing_is_installed_together(run):
    installed, said = run("no-such-command-1=one", "sh=dash", "no-such-command-2=two")
    assert installed == ["one", "two"]
    assert "could not install" not in said


def test_a_package_that_this_release_lacks_does_not_cost_the_others(run):
    installed, said = run("no-such-command-1=one", "no-such-command-2=two-of-another-release", "no-such-command-3=three")
    assert installed == ["one", "three"]
    assert "could not install two-of-another-release: what needs them is skipped" in said


def test_nothing_is_done_if_nothing_is_missing(run):
    assert run("sh=dash") == ([], "")
