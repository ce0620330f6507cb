"""docs/operations.md's table of counters is counters.py, and has each reason that the code counts under."""

import ast
from collections import defaultdict

import pytest

from support.markdown import ROOT, code, read, rows, sections
from support.source import constants, modules
from towerops_agent.counters import Count
from towerops_agent.reasons import Discard, Loss, Reason, Skip, Stray, Unsent

SECTIONS = sections(read("docs/operations.md"))
TABLE = {code(cells[0])[0]: cells for cells in rows(SECTIONS["Counters"])}
KINDS = {
    "Of a reading or a device": Reason,
    "Of a datagram": Discard,
    "Of a poll": Skip,
    "Of a ping": Unsent,
    "Of an echo reply": Stray,
    "Of metrics": Loss,
}
ENUMS = {enum.__name__: enum for enum in KINDS.values()}


def anchor(title: str) -> str:
    return "#" + title.lower().replace(" ", "-")


def told(count: Count) -> set[str]:
    """The reasons that the table has, or the section that it refers to."""
    cell = TABLE.get(count.value, ["", "", ""])[1]
    return set(code(cell)).union(*(enum for title, enum in KINDS.items() if f"({anchor(title)})" in cell))


def test_each_counter_is_in_the_table_and_nothing_else_is():
    assert set(TABLE) == {count.value for count in Count}


def test_each_counter_is_explained():
    assert [name for name, (_, _, meaning) in TABLE.items() if not meaning] == []


def counted() -> dict[Count, set[str]]:
    """The reasons that stand in the code as texts, by counter."""
    found: dict[Count, set[str]] = defaultdict(set)
    for tree in modules().values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = next((arg.attr for arg in node.args if ast.unparse(arg).startswith("Count.")), None)  # type: ignore[attr-defined]
            if name is None:
                continue
            place = [ast.unparse(arg).startswith("Count.") for arg in node.args].index(True)
            if len(node.args) > place + 1:
                found[Count[name]] |= constants(node.args[place + 1]) | words(node.args[place + 1])
    return found


def words(node: ast.expr) -> set[str]:
    """The word of an expression such as `Skip.LATE`."""
    match node:
        case ast.Attribute(value=ast.Name(id=enum), attr=member) if enum in ENUMS:
            return {ENUMS[enum][member]}
        case _:
            return set()


@pytest.mark.parametrize("count", list(Count), ids=lambda count: count.value)
def test_each_reason_in_the_code_is_documented(count):
    assert {reason for reason in counted()[count] if reason} - told(count) == set()


@pytest.mark.parametrize(("title", "reasons"), KINDS.items())
def test_each_reason_is_explained_as_the_code_has_it(title, reasons):
    """In the code's order: its word, where to look first, what happened, what to do."""
    wanted = [[f"`{reason}`", str(reason.fault), reason.text, reason.hint] for reason in reasons]
    assert rows(SECTIONS[title]) == wanted


def test_changes_of_engines_are_documented():
    assert {"discovered", "replaced", "restarted", "boots_reset"} <= told(Count.SNMP_ENGINES)


def test_each_loop_that_may_meet_a_bug_is_documented():
    loops = {
        text
        for node in ast.walk(modules()["agent.py"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_go_on"
        for text in constants(node.args[0])
    }
    assert len(loops) > 3
    assert loops - told(Count.BUGS) == set()


def test_the_source_is_in_the_place_that_is_searched():
    assert (ROOT / "src/towerops_agent/counters.py").exists()
    assert sum(len(reasons) for reasons in counted().values()) > 15
