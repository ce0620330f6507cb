"""The gate finds I/O, a clock, a log or randomness in a pure directory, a circle and an arrow back up, wherever planted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.markdown import ROOT
from support.purity import pure_directories

TOOLS = Path(sys.executable).parent


IMPORTED = {
    "api/wire/outcomes.py": ("structlog", "import structlog\nstructlog.get_logger().info('now')"),
    "buffer/format/batch.py": ("time", "import time\ntime.monotonic()"),
    "config/document/fields.py": ("pathlib", "from pathlib import Path\nPath('/etc/hosts').read_text()"),
    "delivery/course/verdicts.py": ("random", "import random\nrandom.random()"),
    "page/views/columns.py": ("socket", "import socket\nsocket.gethostname()"),
    "polling/course/traits.py": ("os", "import os\nos.urandom(4)"),
    "snmp/wire/ber.py": ("secrets", "import secrets\nsecrets.token_bytes(4)"),
    "telemetry/views/history.py": ("asyncio", "from towerops_agent.telemetry.marks import boot_clock_s\nboot_clock_s()"),
}
"""Where what is planted, and which module's import the gate is to name; the last one comes in by another module of ours."""


def broken(folder: Path, planted: dict[str, str]) -> str:
    """What import-linter has against the sources with these lines added: module below the agent's package -> lines."""
    shutil.copytree(ROOT / "src", folder / "src")
    for path, lines in planted.items():
        module = folder / "src" / "towerops_agent" / path
        text = module.read_text() if module.exists() else ""
        module.write_text(f"{text}\n\n{lines}\n")
    found = subprocess.run(
        [TOOLS / "lint-imports", "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=folder / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    return " ".join(found.stdout.split())


def test_an_import_that_reaches_the_world_breaks_the_contract(tmp_path):
    said = broken(tmp_path, {path: planted for path, (_, planted) in IMPORTED.items()})
    for path, (named, _) in IMPORTED.items():
        module = f"towerops_agent.{path.removesuffix('.py').replace('/', '.')}"
        assert f"{module} is not allowed to import {named}" in said


def test_a_circle_an_arrow_back_up_and_a_module_without_a_layer_break_the_contract(tmp_path):
    said = broken(
        tmp_path,
        {
            "snmp/wire/ber.py": "def later():\n    from towerops_agent.snmp.wire import message",
            "buffer/room.py": "from towerops_agent.delivery.course import pace",
            "new.py": '"""A module that no layer has."""',
        },
    )
    assert "The import graph has no circle BROKEN" in said
    assert "towerops_agent.snmp.wire" in said
    assert "towerops_agent.buffer is not allowed to import towerops_agent.delivery" in said
    assert "not listed as layers: - towerops_agent.new" in said


@pytest.mark.parametrize("directory", pure_directories())
@pytest.mark.parametrize(
    "planted",
    [
        "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)",
        "from datetime import date\n\nTODAY = date.today()",
        "TEXT = open('/etc/hosts').read()",
        "from uuid import uuid4\n\nKEY = uuid4()",
        "print('polled')",
    ],
)
def test_a_call_that_reaches_the_world_is_an_error(directory, planted):
    path = f"src/{directory.replace('.', '/')}/planted.py"
    found = subprocess.run(
        [TOOLS / "ruff", "check", "--no-cache", "--stdin-filename", path, "-"],
        input=f'"""Planted."""\n\n{planted}\n',
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    assert any(rule in found.stdout for rule in ("TID251", "T201", "PTH123")), found.stdout
