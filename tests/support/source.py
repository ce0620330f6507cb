"""The agent's source as syntax trees, for tests that hold documents to it."""

import ast
from functools import cache

from support.markdown import ROOT

PACKAGE = ROOT / "src" / "towerops_agent"


@cache
def modules() -> dict[str, ast.Module]:
    """Each module of the package, by its path within it."""
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def constants(node: ast.expr) -> set[str]:
    """The texts that an expression may be: a text, or one of two."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return constants(node.body) | constants(node.orelse)
        case ast.BinOp(op=ast.Add()):
            return set()
        case _:
            return set()
