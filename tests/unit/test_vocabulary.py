"""One noun, one thing: no two classes of the agent have the same name, and the glossary names what there is."""

import ast
import re
from collections import defaultdict

from support.markdown import code, read, rows, sections
from support.source import modules

CONTRACT = "api/wire/contract.py"
"""Its structs are called as the API's JSON calls them, and are written `contract.Sensor` outside of it."""


def classes() -> dict[str, list[str]]:
    """The modules that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    return found


def test_no_two_classes_have_the_same_name():
    """But for the contract's, whose names are the wire's."""
    assert {name: places for name, places in classes().items() if len([p for p in places if p != CONTRACT]) > 1} == {}


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
