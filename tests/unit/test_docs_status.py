"""docs/operations.md describes each field that `status --json` prints, and no other; and files and signals as they are."""

import ast
from typing import get_args, get_type_hints

import msgspec
import pytest

from support.markdown import code, read, rows, sections
from support.source import modules
from towerops_agent.buffer.buffer import DAY_S, REFUSED_KEPT_S
from towerops_agent.buffer.place import SUFFIXES
from towerops_agent.buffer.quarantine import CORRUPT_KEPT
from towerops_agent.telemetry.views import health, snapshot

OPERATIONS = sections(read("docs/operations.md"))
PARTS = {
    name: struct
    for name, kind in get_type_hints(snapshot.Snapshot).items()
    for struct in (kind, *get_args(kind))
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct)
}
"""What a snapshot is made of: the name of the field, and the type of it or of its items."""


def fields(struct: type[msgspec.Struct]) -> set[str]:
    return {each.encode_name for each in msgspec.structs.fields(struct)}


def told(part: str = "") -> set[str]:
    """The fields in the table: the snapshot's own, or those of a part of it."""
    found = set()
    for cells in rows(OPERATIONS["Status"]):
        is_part = len(cells) == 3
        if is_part == bool(part) and (not part or part in code(cells[0])):
            found |= set(code(cells[1] if is_part else cells[0]))
    return found


def test_the_fields_of_the_snapshot_are_documented():
    assert told() == fields(snapshot.Snapshot)


@pytest.mark.parametrize("part", PARTS)
def test_the_fields_of_its_parts_are_documented(part):
    assert told(part) == fields(PARTS[part])


def test_the_files_beside_the_database_are_documented():
    names = " ".join(code(OPERATIONS["Files"]))
    for suffix in (*SUFFIXES, ".lock", ".corrupt-"):
        assert f"towerops-agent.db{suffix}" in names
    assert CORRUPT_KEPT == 3
    assert "The last three are kept" in OPERATIONS["Files"]


def test_the_signals_that_are_handled_are_documented():
    nodes = ast.walk(modules()["cli/process.py"])
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("SIG")}
    handled = named - {"SIG_DFL"}  # no signal: what is done with one by default
    assert {name for cells in rows(OPERATIONS["Signals"]) for name in cells[0].split(", ")} == handled


def test_spans_are_documented_as_they_are():
    assert f"{DAY_S // 3600} hours" in OPERATIONS["What is kept"]
    assert f"{REFUSED_KEPT_S // DAY_S} days" in OPERATIONS["What is kept"]
    assert f"{health.SLACK_S:g} s of grace" in OPERATIONS["Health"]
