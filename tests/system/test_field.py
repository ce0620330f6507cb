"""The agent against small devices that do what people who poll real ones have reported: nothing that must be so fails.

The cases are not part of the project: a checkout without the folder `shared` beside it skips these tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.skips import NO_RECORDINGS, RECORDINGS

FIELD = RECORDINGS.parent / "field"
CASES = sorted(path.parent for path in FIELD.glob("[0-9]*/case.py"))
LONG = ("10-", "13-", "15-", "16-", "18-", "21-", "22-", "34-")
"""Each takes half a minute or more."""

pytestmark = pytest.mark.skipif(not CASES, reason=NO_RECORDINGS)


OPEN = ("26-",)
"""Field names that the contract does not have."""


def marks(case: Path) -> list[pytest.MarkDecorator]:
    slow = [pytest.mark.slow] if case.name.startswith(LONG) else []
    return [*slow, pytest.mark.xfail(strict=True)] if case.name.startswith(OPEN) else slow


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=marks(case)) for case in CASES])
def test_what_must_be_so_is(case: Path):
    agent = Path(sys.executable).parent / "towerops-agent"
    run = subprocess.run(
        [sys.executable, "case.py"],
        cwd=case,
        env={**os.environ, "AGENT": str(agent)},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = [line for line in run.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    assert verdicts, run.stdout + run.stderr
    assert [line for line in verdicts if line.startswith("FAIL")] == []
