"""ARCHITECTURE.md's tree is the tree: each module is in it once, and what it calls pure does no I/O."""

import ast
import re
from collections import Counter

from support.markdown import fences, read
from support.source import PACKAGE, modules

EFFECTS = {"asyncio", "fcntl", "httpx2", "random", "signal", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"}
"""What a pure module may not import: waiting, the network, the disk, the clock, chance."""


def drawn() -> list[tuple[str, str]]:
    """(path within the package, mark) of each module in the drawing. A mark stands for the modules before it on its line."""
    (tree,) = [block for block in fences(read("ARCHITECTURE.md"), "") if block.startswith("src/towerops_agent/")]
    found = []
    folder = ""
    for line in tree.splitlines()[1:]:
        if not line:
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
        found += [(f"{folder}{name}", mark) for name in names.split()]
    return found


def test_each_module_is_in_the_tree_once_and_nothing_else_is():
    there = {path for path in modules() if not path.endswith("__init__.py")}
    there |= {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.sql")}
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
    impure = {path: sorted(imports(modules()[path]) & EFFECTS) for path, mark in drawn() if mark == "○"}
    assert {path: found for path, found in impure.items() if found} == {}


def test_each_python_module_is_marked():
    assert [path for path, mark in drawn() if path.endswith(".py") and not mark] == []
