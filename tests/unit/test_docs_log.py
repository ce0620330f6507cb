"""docs/operations.md's table of log events is what the source logs: message, level and fields."""

import ast
from collections import defaultdict
from dataclasses import dataclass, field

import pytest

from support.markdown import code, read, rows, sections
from support.source import constants, modules

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error", "critical": "critical"}


@dataclass
class Event:
    """One message: at which levels, and with which fields it is logged. `open_ended`: there may be more fields."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    open_ended: bool = False
    places: set[str] = field(default_factory=set)


def levels(function: ast.expr, loggers: set[str]) -> set[str]:
    """The levels that a call of `function` logs at: `log.info`, or `(log.error if … else log.warning)`."""
    match function:
        case ast.IfExp():
            return levels(function.body, loggers) | levels(function.orelse, loggers)
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in loggers and attr in LEVELS:
            return {LEVELS[attr]}
    return set()


def bound(tree: ast.Module) -> dict[str, set[str]]:
    """The loggers of a module: their names, and the fields that each line of theirs has."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name)):
            continue
        called = ast.unparse(node.value.func)
        if called == "structlog.get_logger" or called.endswith(".bind"):
            found[node.targets[0].id] = {keyword.arg for keyword in node.value.keywords if keyword.arg}
    return found


def texts(node: ast.expr, tree: ast.Module) -> set[str]:
    """What a message may be: a text, one of two, or one of a module's dictionary of texts."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        for statement in tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == node.value.id for t in targets):
                values = getattr(statement, "value", None)
                if isinstance(values, ast.Dict):
                    return {text for value in values.values for text in constants(value)}
    return constants(node)


def events() -> dict[str, Event]:
    found: dict[str, Event] = defaultdict(Event)
    for module, tree in modules().items():
        loggers = bound(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not (at := levels(node.func, set(loggers))):
                continue
            place = f"{module}:{node.lineno}"
            messages = texts(node.args[0], tree) if node.args else set()
            assert messages, f"{place}: expected a constant message"
            name = next(n.id for n in ast.walk(node.func) if isinstance(n, ast.Name) and n.id in loggers)
            for message in messages:
                event = found[message]
                event.levels |= at
                event.fields |= {k.arg for k in node.keywords if k.arg and k.arg != "exc_info"} | loggers[name]
                event.open_ended |= any(k.arg is None for k in node.keywords)
                event.places.add(place)
    return found


EVENTS = events()
TABLE = {code(cells[0])[0]: cells for cells in rows(sections(read("docs/operations.md"))["Log events"]) if code(cells[0])}


def test_each_message_is_in_the_table():
    lacking = {message: sorted(EVENTS[message].places) for message in EVENTS.keys() - TABLE.keys()}
    assert lacking == {}, "add a row for each to docs/operations.md, Log events"


def test_each_row_of_the_table_is_logged_somewhere():
    assert TABLE.keys() - EVENTS.keys() == set(), "remove the row, or correct its message"


@pytest.mark.parametrize("message", sorted(TABLE.keys() & EVENTS.keys()))
def test_level_and_fields_are_documented_as_they_are(message):
    event, (_, level, fields, *_) = EVENTS[message], TABLE[message]
    assert set(level.replace(" or ", ",").replace(" ", "").split(",")) == event.levels
    told = set(code(fields))
    assert event.fields - told == set()
    assert event.open_ended or told - event.fields == set()


def test_what_is_worth_a_warning_says_what_to_do():
    assert [message for message, (_, level, _, todo) in TABLE.items() if level in ("warning", "error") and not todo] == []


def test_the_scan_finds_the_log():
    assert len(EVENTS) > 30
