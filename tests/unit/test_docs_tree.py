"""ARCHITECTURE.md's tree is the tree: each module is in it once, and what it calls pure is what the gate holds pure."""

import re
from collections import Counter

from support.markdown import ROOT, fences, read
from support.purity import pure_directories, pure_modules

SOURCE = ROOT / "src"
PACKAGES = ("towerops_agent", "towerops_lab")


def drawn() -> list[tuple[str, str]]:
    """(path below src/, mark) of each module in the drawing. A mark stands for the modules before it on its line."""
    (tree,) = [block for block in fences(read("ARCHITECTURE.md"), "") if block.startswith("src/towerops_agent/")]
    found = []
    package = folder = ""
    for line in tree.splitlines():
        if not line:
            continue
        if line.startswith("src/"):
            package, folder = line.split()[0].removeprefix("src/"), ""
            continue
        if not line.startswith(" "):
            break  # tests/ and the like
        match = re.match(r"( +)((?:[\w/]+/)?)((?: ?\w+\.(?:py|sql))*) *([○●]?)", line)
        assert match, f"not understood: {line!r}"
        indent, into, names, mark = match.groups()
        if into:
            folder = into
        elif len(indent) == 2:
            folder = ""
        found += [(f"{package}{folder}{name}", mark) for name in names.split()]
    return found


def files(suffix: str) -> set[str]:
    return {str(path.relative_to(SOURCE)) for package in PACKAGES for path in (SOURCE / package).rglob(f"*{suffix}")}


def test_each_module_is_in_the_tree_once_and_nothing_else_is():
    there = {path for path in files(".py") if not path.endswith("__init__.py")} | files(".sql")
    counts = Counter(path for path, _ in drawn())
    assert counts.keys() - there == set(), "these are not there any more"
    assert there - counts.keys() == set(), "these are to be drawn"
    assert [path for path, n in counts.items() if n > 1] == []


def test_what_is_drawn_as_pure_is_what_the_gate_holds_pure():
    """A directory is pure or it is not. The lab's modules are marked, and not held."""
    directories = {name.replace(".", "/") for name in pure_directories()}
    modules = {f"{name.replace('.', '/')}.py" for name in pure_modules() if name not in pure_directories()}
    drawn_as_pure = {path for path, mark in drawn() if mark == "○" and path.startswith("towerops_agent/")}
    held = {
        path for path in files(".py") if path.rpartition("/")[0] in directories and not path.endswith("__init__.py")
    } | modules
    assert drawn_as_pure == held


def test_each_python_module_is_marked():
    assert [path for path, mark in drawn() if path.endswith(".py") and not mark] == []
