"""With CI set, a skipped test is a failure, unless no package to be installed could have it run."""

import os
import shutil
import subprocess
import sys

import pytest

from support import skips
from support.markdown import ROOT

PLANTED = """
import pytest
from support.skips import NO_MOUNT

def test_in_its_body():
    pytest.skip("snmpd is missing")

@pytest.mark.skipif(True, reason="snmpd is missing")
def test_by_a_mark():
    pass

@pytest.fixture
def snmpd():
    pytest.skip("snmpd is missing")

def test_by_a_fixture(snmpd):
    pass

def test_for_the_machine():
    pytest.skip(NO_MOUNT)
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "4 skipped in"), ("1", "1 failed, 1 skipped, 2 errors in")])
def test_a_skip_fails_where_ci_is_set(tmp_path, ci, outcome):
    """In the test, by a mark or by a fixture; one that is permitted does not."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_planted.py").write_text(PLANTED)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            os.devnull,
            "--rootdir",
            tmp_path,
            "-o",
            f"pythonpath={ROOT / 'tests'}",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CI": ci},
    )
    assert outcome in ran.stdout.splitlines()[-1], ran.stdout
    assert ("fails where CI is set: snmpd is missing" in ran.stdout) is bool(ci)


def test_recordings_that_are_there_must_be_used(tmp_path):
    assert skips.objection(skips.NO_RECORDINGS, {"CI": "1"}, tmp_path) == f"skipped though {tmp_path} is there"
    assert skips.objection(skips.NO_RECORDINGS, {"CI": "1"}, tmp_path / "absent") is None
    assert skips.objection(skips.NO_RECORDINGS, {}, tmp_path) is None


def test_ci_run_sets_it():
    assert "export CI=1\n" in (ROOT / ".ci" / "run").read_text().replace("  #", "\n#")
