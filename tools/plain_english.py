#!/usr/bin/env python3
"""Find the habits that docs/style.md rules out: `python tools/plain_english.py [FILE…]`, all files of the repository by default.

It reads documents except their code blocks; in Python the comments, the strings (docstrings, log messages, help texts, errors)
and the names of tests; other files as a whole. It finds a phrase across line breaks. Exit status 1 if it finds any.
"""

import ast
import io
import os
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".sql", ".toml", ".yml", ".yaml", ".html", ".js", ".css", ".service", ""}
SKIPPED = {
    "docs/style.md": "quotes the habits",
    "tools/plain_english.py": "lists them",
    "tests/unit/test_plain_english.py": "plants them",
    "LICENSE": "is not ours to word",
}
LEFT_OUT = {"__pycache__", "build", "data", "dist", "node_modules"}
BE = "(?:is|are|was|were|be|been|being)"
HABITS = {
    "where (?:it|they|there|an?|none|no|nothing|nobody|something|somebody|not|one|neither|both|all|some|any|each|he)": "if, when",
    "tells(?! (?:them )?apart)|told": "reports, shows, says",
    "(?:can|could|must|to|not|will) bear|bears|bore|borne": "accepts, handles, supports",
    "alone": "only",
    f"{BE} no": "is not a",
    "(?:is|are|was|were|has|have|had|gives?|gave) none": "is not one, has no …",
    "mend(?:s|ed|ing)?": "fix",
    "amid": "during, among, in",
    "part(?:s|ed|ing)? off": "split off",
    "sets? aside|setting aside": "quarantine, keep, reject",
    "(?:in|into) force": "applied, in use",
    "in trouble": "failing, degraded, down",
    f"(?:{BE}|all|goes|went|as|or|device|loop) well(?! as)": "healthy, up, works",
    "see(?:s|n)? to (?:the|it|that|its|your)": "check, make sure",
    "what (?:is|was|were|are) (?:configured|learned)": "the configured …, the learned …",
    "anew": "again, from the start",
    "its kin": "and the like",
}
"""What not to write, as a regular expression in which a space is any white space, and what to write instead."""

RIGHT = (
    f"where (?:it|they|each|one|all) (?:{BE}|stands?|stood|belongs?|came from|comes from|goes|starts?|ends?)(?: now)?[.,;:)`]",
    "(?:left|leave|leaves|stand|stands|lets|let|leaving) (?:[a-z]+ )?alone",
    "there (?:is|are|was|were|be) (?:no|none)",
    f"{BE} no (?:longer|more|less|fewer|later|sooner|different|other|worse)",
    "as well",
    "told apart",
    "WHERE NOT EXISTS",  # SQL
    "borne`",  # a field's name
    "alone`",  # an argument's
)
"""Where such a word is the right one."""

_HABIT = re.compile("|".join(rf"(?P<h{i}>\b(?:{habit})\b)".replace(" ", r"\s+") for i, habit in enumerate(HABITS)), re.IGNORECASE)
_RIGHT = re.compile("|".join(rf"\b(?:{right})(?!\w)".replace(" ", r"\s+") for right in RIGHT), re.IGNORECASE)
_INSTEAD = list(HABITS.values())


def habits(text: str) -> Iterator[tuple[int, str, str]]:
    """Of each habit in a text: its offset, the words found, what to write instead."""
    right = [match.span() for match in _RIGHT.finditer(text)]
    for match in _HABIT.finditer(text):
        if match.group().endswith("None") or any(start <= match.start() and match.end() <= end for start, end in right):
            continue
        yield match.start(), " ".join(match.group().split()), _INSTEAD[int(str(match.lastgroup)[1:])]


def prose(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """The pieces of a file that are English: (the line on which each begins, its text)."""
    if path.suffix == ".md":
        yield 1, re.sub(r"(?ms)^( *)```.*?^\1```", lambda block: "\n" * block.group().count("\n"), text)
    elif path.suffix == ".py":
        yield from _comments(text)
        yield from _strings(text)
    else:
        yield 1, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments; those on lines that follow each other are one text."""
    begun, lines = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if lines and line != begun + len(lines):
            yield begun, "\n".join(lines)
            lines = []
        if not lines:
            begun = line
        lines.append(token.string.lstrip("#"))
    if lines:
        yield begun, "\n".join(lines)


def _strings(source: str) -> Iterator[tuple[int, str]]:
    """Strings, what is formatted into them left out; and the names of tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")


def files() -> Iterator[Path]:
    """The repository's files that hold English; hidden directories, caches and what a build leaves are left out."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in SUFFIXES and not name.startswith("."))


def faults(paths: list[Path]) -> Iterator[str]:
    """A line for each habit in these files."""
    for path in paths:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        if name in SKIPPED:
            continue
        found = {
            (line + text.count("\n", 0, at), words, instead)
            for line, text in prose(path, path.read_text(encoding="utf-8"))
            for at, words, instead in habits(text)
        }
        for line, words, instead in sorted(found):
            yield f"{name}:{line}: '{words}': write {instead} (docs/style.md)"


def main(arguments: list[str]) -> int:
    """Print the habits found in the files named, or in all."""
    count = 0
    for fault in faults([Path(argument).resolve() for argument in arguments] or list(files())):
        sys.stdout.write(f"{fault}\n")
        count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
