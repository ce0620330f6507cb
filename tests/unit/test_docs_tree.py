"""ARCHITECTURE.md's tree is the tree: each module is in it once, and what it calls pure does no I/O."""

import ast
import re
from collections import Counter

from support.markdown import ROOT, fences, read

SOURCE = ROOT / "src"
PACKAGES = ("towerops_agent", "towerops_lab")

EFFECTS = {"asyncio", "fcntl", "httpx2", "random", "signal", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"}
"""What a pure module may not import: waiting, the network, the disk, the clock, chance."""


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


def imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_what_is_drawn_as_pure_imports_nothing_that_waits_or_asks_the_world():
    impure = {path: sorted(imports(ast.parse((SOURCE / path).read_text())) & EFFECTS) for path, mark in drawn() if mark == "○"}
    assert {path: found for path, found in impure.items() if found} == {}


def test_each_python_module_is_marked():
    assert [path for path, mark in drawn() if path.endswith(".py") and not mark] == []
