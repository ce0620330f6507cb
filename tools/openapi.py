#!/usr/bin/env python3
"""Write docs/openapi.json and the tables of fields in docs/api.md from the contract: `.venv/bin/python tools/openapi.py`.

The document is the sandbox's own (sandbox/openapi.py), held to api/wire/contract.py by tests. A test fails if they are stale.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from towerops_agent.api.wire.contract import Accepts
from towerops_lab.sandbox.docs import type_text
from towerops_lab.sandbox.kinds import NAMES
from towerops_lab.sandbox.openapi import document

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- from here on written by tools/openapi.py -->\n", "<!-- up to here -->\n"


def files() -> Iterator[tuple[Path, str]]:
    """Each file, and the text that it is to have."""
    api = document(Accepts(metric_types=NAMES), "https://app.towerops.example")
    yield DOCS / "openapi.json", json.dumps(api, indent=2, ensure_ascii=False) + "\n"
    prose = (DOCS / "api.md").read_text(encoding="utf-8")
    before, _, rest = prose.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(line for name, schema in api["components"]["schemas"].items() for line in _table(name, schema))
    yield DOCS / "api.md", f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _table(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield f"{schema['description']}\n"
    yield "| field | type | |"
    yield "|---|---|---|"
    for field, kind in schema["properties"].items():
        needed = ["Required."] if field in schema.get("required", ()) else []
        yield f"| `{field}` | {_type(kind)} | {' '.join(needed + _notes(kind))} |"
    yield ""


def _type(kind: dict[str, Any]) -> str:
    return type_text(kind, lambda name: f"[{name}](#{name.lower()})", lambda value: f"`{value}`")


def _notes(kind: dict[str, Any]) -> list[str]:
    notes = []
    if "description" in kind:
        notes.append(kind["description"])
    if "exclusiveMinimum" in kind:
        notes.append(f"Above {kind['exclusiveMinimum']}.")
    elif kind.get("maximum") == 2**64 - 1:
        notes.append("From 0, 64 bits.")
    elif "minimum" in kind and "maximum" in kind and kind["maximum"] <= 65_535:
        notes.append(f"{kind['minimum']} to {kind['maximum']}.")
    elif "minimum" in kind and kind["minimum"] >= 0:
        notes.append(f"At least {kind['minimum']}.")
    if "minLength" in kind:
        notes.append("Not empty.")
    if "maxItems" in kind:
        notes.append("At most as many as `accepts.max_metrics` says.")
    if "default" in kind:
        notes.append(f"Default: `{json.dumps(kind['default'])}`.")
    if "examples" in kind:
        notes.append(f"Such as {', '.join(f'`{json.dumps(each)}`' for each in kind['examples'])}.")
    return notes


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
