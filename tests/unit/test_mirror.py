"""tests/unit is the tree of src/ again: what a module does is tested in the file of its name.

Files directly in tests/unit are about the documents and the tree; tests/unit/packaging is about packaging/.
"""

from pathlib import Path

import pytest

from support.markdown import ROOT

UNIT = ROOT / "tests" / "unit"
AGENT, LAB = ROOT / "src" / "towerops_agent", ROOT / "src" / "towerops_lab"


def place_of(path: Path) -> tuple[Path, str]:
    """The directory in src/ and the rest of the name, of a test's path below tests/unit."""
    place = path.parent
    package = LAB.joinpath(*place.parts[1:]) if place.parts[0] == "lab" else AGENT / place
    return package, path.stem.removeprefix("test_")


def is_of_a_module(package: Path, name: str) -> bool:
    """Whether `name` is a module or a package in there, or one with an aspect of it: client, client_usm."""
    words = name.split("_")
    stems = ("_".join(words[:n]) for n in range(len(words), 0, -1))
    return any((package / f"{stem}.py").is_file() or (package / stem).is_dir() for stem in stems)


def files() -> list[Path]:
    """Of tests of modules, below tests/unit."""
    below = (path.relative_to(UNIT) for path in UNIT.rglob("test_*.py"))
    return sorted(path for path in below if len(path.parts) > 1 and path.parts[0] != "packaging")


@pytest.mark.parametrize("path", files(), ids=str)
def test_each_file_is_named_for_the_module_that_it_tests(path: Path):
    assert is_of_a_module(*place_of(path)), f"no module for tests/unit/{path}"


def test_a_file_without_a_module_is_found():
    assert is_of_a_module(*place_of(Path("snmp/test_client_usm.py")))
    assert is_of_a_module(*place_of(Path("lab/sandbox/test_store.py")))
    assert not is_of_a_module(*place_of(Path("snmp/test_usm_client.py")))
    assert not is_of_a_module(*place_of(Path("lab/test_store.py")))
