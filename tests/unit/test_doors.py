"""Tests use what a part offers. Ruff's SLF001 sees `part._private`; this sees the ways around it."""

import ast
from collections.abc import Iterator

from support.markdown import ROOT

REPLACING = {"setattr", "delattr", "object", "getattr", "attrgetter"}
"""Functions that are given an attribute's name: monkeypatch's, unittest.mock's patch.object, the language's own."""


def is_private(name: object) -> bool:
    return isinstance(name, str) and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def private(tree: ast.AST) -> Iterator[str]:
    """The private names that are imported, replaced or got by their text."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=names):
                yield from (f"{module}.{alias.name}" for alias in names if is_private(alias.name))
            case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called), args=args) if called in REPLACING:
                yield from (str(arg.value) for arg in args[:2] if isinstance(arg, ast.Constant) and is_private(arg.value))


def test_no_test_imports_or_replaces_what_is_private():
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (names := list(private(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {}


def test_no_test_is_excused():
    excuse = "noqa: " + "SLF001"
    assert [str(path) for path in sorted((ROOT / "tests").rglob("*.py")) if excuse in path.read_text(encoding="utf-8")] == []


def test_the_ways_around_are_seen():
    planted = """
from a.b import _c, d
monkeypatch.setattr(part, "_ask", 1)
monkeypatch.setattr("a._b.c", 1)
patch.object(part, "__len__")
"""
    assert list(private(ast.parse(planted))) == ["a.b._c", "_ask", "a._b.c"]
