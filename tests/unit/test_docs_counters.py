"""docs/operations.md's table of counters is counters.py, and has each reason that the code counts under."""

import ast
from collections import defaultdict

import pytest

from support.markdown import ROOT, code, read, rows, sections
from support.source import constants, modules
from towerops_agent.counters import Count
from towerops_agent.polling.course.interpret import _MISSING
from towerops_agent.snmp.wire.message import ErrorStatus

TABLE = {code(cells[0])[0]: cells for cells in rows(sections(read("docs/operations.md"))["Counters"])}


def told(count: Count) -> set[str]:
    """The reasons that the table has."""
    return set(code(TABLE.get(count.value, ["", "", ""])[1]))


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
                found[Count[name]] |= constants(node.args[place + 1])
    return found


def made(module: str, *names: str) -> set[str]:
    """The first texts of all calls of these names in a module, which are reasons there."""
    tree = modules()[module]
    return {
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        for text in constants(node.args[0])
    }


@pytest.mark.parametrize("count", list(Count), ids=lambda count: count.value)
def test_each_reason_in_the_code_is_told(count):
    assert {reason for reason in counted()[count] if reason} - told(count) == set()


def test_reasons_of_discarded_datagrams_are_told():
    reasons = made("snmp/wire/exchange.py", "Discarded") | made("snmp/wire/usm.py", "Refused") | {"wrong_community"}
    assert reasons - told(Count.SNMP_DISCARDED) == set()


def test_reasons_of_missing_readings_are_told():
    reasons = {*_MISSING.values(), "noSuchName", "genErr", "tooBig", "not_a_number", "not_a_counter", "negative_counter"}
    assert {ErrorStatus[name].name for name in ("noSuchName", "genErr", "tooBig")} <= reasons
    reasons |= {"not_finite", "out_of_range", "unreadable", "omitted", "deadline", "unverified", "interface_away", "unresolved"}
    reasons |= made("snmp/wire/exchange.py", "NoReply")
    assert reasons - told(Count.READINGS_MISSING) == set()


def test_changes_of_engines_are_told():
    assert {"discovered", "replaced", "restarted", "boots_reset"} <= told(Count.SNMP_ENGINES)


def test_each_loop_that_may_meet_a_bug_is_told():
    loops = {
        text
        for node in ast.walk(modules()["agent.py"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_go_on"
        for text in constants(node.args[0])
    }
    assert len(loops) > 3
    assert loops - told(Count.BUGS) == set()


def test_the_source_is_where_it_is_looked_for():
    assert (ROOT / "src/towerops_agent/counters.py").exists()
    assert sum(len(reasons) for reasons in counted().values()) > 15
