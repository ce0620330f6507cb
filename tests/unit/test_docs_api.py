"""docs/openapi.json and the tables in docs/api.md are what tools/openapi.py writes, and the prose has the contract's numbers."""

import importlib.util
import json
from types import ModuleType

import pytest

from support.markdown import ROOT, code, read, rows, sections
from towerops_agent.api.wire import contract
from towerops_agent.api.wire.outcomes import MOST_RETRY_AFTER_S
from towerops_agent.config.document import accepts
from towerops_agent.delivery import heartbeat
from towerops_agent.delivery.course import course, verdicts
from towerops_agent.model import STATES
from towerops_agent.reasons import STATE_WORDS


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("openapi_script", ROOT / "tools" / "openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_and_the_tables_are_what_the_script_writes(script):
    stale = [path.name for path, text in script.files() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run .venv/bin/python tools/openapi.py"


def test_the_document_has_each_path_of_the_contract():
    paths = json.loads(read("docs/openapi.json"))["paths"]
    assert set(paths) == {contract.CONFIG_PATH, contract.METRICS_PATH, contract.HEARTBEAT_PATH}


def test_each_field_of_the_configuration_is_in_the_table(script):
    text = read("docs/api.md")
    for name, struct in (("Snmp", contract.Snmp), ("Sensor", contract.Sensor), ("Accepts", contract.Accepts)):
        told = {code(cells[0])[0] for cells in rows(sections(text)[name])}
        assert told == set(struct.__struct_fields__)


def test_the_prose_has_the_numbers_of_the_code():
    text = " ".join(read("docs/api.md").split())
    assert f"every {course.INTERVAL_S:g} s" in text
    assert f"every {heartbeat.INTERVAL_S:g} s" in text
    assert f"{verdicts.LEAST_S:g} to {verdicts.MOST_S:g} s" in text
    assert f"{MOST_RETRY_AFTER_S / 60:g} minutes" in text
    assert f"{accepts.MOST_METRICS:,}" in text
    assert f"{accepts.Accepts().max_metrics:,} metrics" in text


def test_states_and_their_reasons_are_documented():
    told = set(code(sections(read("docs/api.md"))["The metrics"]))
    assert {*STATES, *STATE_WORDS, '""'} - {""} - told == set()
