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


ELSEWHERE = {"26-": {f"FAIL 42 in the context, by {field}" for field in ("v3_context", "context_name", "context")}}
"""What can't be so: the case tries other names of the field than the contract has, and fields that it lacks are ignored."""


def marks(case: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if case.name.startswith(LONG) else []


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
    assert {line.partition(": ")[0] for line in verdicts if line.startswith("FAIL")} == ELSEWHERE.get(case.name[:3], set())
    assert any(line.startswith("PASS") for line in verdicts)
