"""What `make` says on a machine that lacks what it needs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "src/towerops_lab/pyproject.toml", "constraints.txt")


pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def lay_out(clone: Path) -> None:
    """A clone, as far as make looks at it before there is a virtual environment."""
    for name in ("Makefile", *NEEDED):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)


def run_make(clone: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """What make says and returns there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # as `make test` sets them
    return subprocess.run(["make", *words], cwd=clone, env=env, capture_output=True, text=True, check=False)


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
    lay_out(tmp_path)
    python = tmp_path / "python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    made = run_make(tmp_path, f"PYTHON={python}", "demo")
    lines = [line for line in (made.stdout + made.stderr).splitlines() if not line.startswith("make: ")]
    assert made.returncode == 2
    assert [line for line in lines if line != "Python 3.9.2"] == [said.format(python=python)]


@pytest.mark.parametrize(
    ("home", "python", "stays"), [("{clone}", "exit 0", True), ("/where/it/was", "exit 0", False), ("{clone}", "exit 1", False)]
)
def test_a_virtual_environment_of_another_place_or_python_is_made_again(tmp_path: Path, home: str, python: str, stays: bool):
    """After `mv` of the clone, and after an upgrade of the system, each target failed: "not found", "No module named"."""
    clone = tmp_path / "the clone"
    lay_out(clone)
    commands = clone / ".venv/bin"
    commands.mkdir(parents=True)
    (commands / "towerops-agent").write_text(f"#!{home.format(clone=clone)}/.venv/bin/python\n")
    (commands / "python").write_text(f"#!/bin/sh\n{python}\n")
    (commands / "python").chmod(0o755)
    (clone / ".venv/demo.stamp").touch()
    made = run_make(clone, "PYTHON=/nowhere/python", ".venv/demo.stamp")
    assert (made.returncode == 0, commands.exists()) == (stays, stays)
    assert stays or "/nowhere/python is not installed" in made.stdout
