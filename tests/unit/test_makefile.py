"""What `make` says on a machine that lacks what it needs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "src/towerops_lab/pyproject.toml", "constraints.txt")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "Python 3.11 or later is needed, and {python} is not installed. Try: make PYTHON=python3.12 demo"),
        (
            "echo Python 3.9.2; exit 1",
            "Python 3.11 or later is needed; {python} is Python 3.9.2. Try: make PYTHON=python3.12 demo",
        ),
    ],
)
def test_a_python_that_is_missing_or_too_old_is_one_line(tmp_path: Path, script: str | None, said: str):
    for name in ("Makefile", *NEEDED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # as `make test` sets them
    command = ["make", f"PYTHON={python}", "demo"]
    made = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    lines = [line for line in (made.stdout + made.stderr).splitlines() if not line.startswith("make: ")]
    assert made.returncode == 2
    assert [line for line in lines if line != "Python 3.9.2"] == [said.format(python=python)]
