"""One noun, one thing: no two classes of the agent have the same name, and the glossary names what there is."""

import ast
import re
from collections import defaultdict
from pathlib import Path

from support.markdown import ROOT, code, read, rows, sections
from support.source import modules

CONTRACT = "api/wire/contract.py"
"""Its structs are called as the API's JSON calls them, and are written `contract.Sensor` outside of it."""


def classes() -> dict[str, set[str]]:
    """The modules that define a class of each name; one that defines it twice, for two versions of Python, is there once."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].add(module)
    return found


def test_no_two_classes_have_the_same_name():
    """But for the contract's, whose names are the wire's."""
    assert {name: places for name, places in classes().items() if len(places - {CONTRACT}) > 1} == {}


def test_a_name_of_the_contract_that_is_another_class_too_is_written_with_its_module():
    shared = {name for name, places in classes().items() if CONTRACT in places and len(places) > 1}
    assert shared == {"Accepts", "Equipment", "Interface", "Sensor"}
    imported = {
        (module, alias.name)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("wire.contract")
        for alias in node.names
    }
    assert {(module, name) for module, name in imported if name in shared} == set()


def test_the_glossary_has_each_word_once_and_names_classes_and_modules_that_exist():
    glossary = rows(sections(read("ARCHITECTURE.md"))["Glossary"])
    words = [word for word, _ in glossary]
    assert len(words) == len(set(words)) > 15
    named = {text for _, meaning in glossary for text in code(meaning)}
    assert {text for text in named if re.fullmatch(r"(?:[A-Z][a-z]+)+", text)} - set(classes()) == set()
    assert {text for text in named if text.endswith(".py")} - set(modules()) == set()


def test_each_file_that_the_source_mentions_exists():
    """In a docstring or a comment: by its name, or with the directories that tell it from another."""
    files = [f"/{path.relative_to(ROOT)}" for suffix in ("py", "sql", "md") for path in tracked(suffix)]
    mentioned = {
        (str(path.relative_to(ROOT)), name)
        for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.sql")]
        for name in re.findall(r"(?<![\w./{}-])(?:[\w-]+/)*[a-z0-9_-]+\.(?:py|sql|md)\b(?!\.)", path.read_text(encoding="utf-8"))
    }
    assert len(mentioned) > 100
    assert {(path, name) for path, name in mentioned if not any(file.endswith(f"/{name}") for file in files)} == set()


def test_the_decisions_that_the_schema_names_are_about_what_is_in_it():
    schema = (ROOT / "src/towerops_agent/buffer/schema.sql").read_text(encoding="utf-8")
    named = re.findall(r"\b(0\d{3}) \((\w+)", schema.partition("\nCREATE")[0])
    assert len(named) > 2
    for number, topic in named:
        (page,) = (ROOT / "docs/decisions").glob(f"{number}-*.md")
        assert topic.removesuffix("s") in page.read_text(encoding="utf-8")


def tracked(suffix: str) -> list[Path]:
    """The repository's files that end so, without those of the environment."""
    places = ("src", "tests", "tools", "docs", "benchmarks", "packaging")
    return [path for place in places for path in (ROOT / place).rglob(f"*.{suffix}")]
