"""schemathesis asks the sandbox all that its OpenAPI document allows and forbids, and finds no mismatch."""

import asyncio
import importlib.util
import os
import sys

import pytest

from towerops_agent.api.wire.contract import Accepts
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox

CONFIG = {
    "version": "1",
    "equipment": [
        {
            "id": "e",
            "ip_address": "10.0.0.1",
            "snmp": {"version": "2c", "community": "public"},
            "sensors": [{"id": "s", "oid": "1.3.6.1.2.1.1.3.0", "divisor": 100}],
            "interfaces": [{"id": "i", "if_index": 1, "if_name": "ether1"}],
        }
    ],
}
ACCEPTS = Accepts(content_encodings=["gzip"], metric_types=["sensor_reading", "interface_stat", "equipment_status"])

HOOKS = '''
from itertools import count

import schemathesis

numbers = count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key stands for one body: each call has its own."""
    if case.headers and "Idempotency-Key" in case.headers and case.meta and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = f"key-{next(numbers)}"
'''


async def test_schemathesis_finds_no_5xx_and_no_mismatch(tmp_path):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is needed: install the extra dev")
    (tmp_path / "hooks.py").write_text(HOOKS)
    sandbox = Sandbox(CONFIG, token="secret", accepts=ACCEPTS, site=Site())
    async with sandbox.serve() as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--header", "Authorization: Bearer secret", "--checks", "all", "--max-examples", "40", "--seed", "7"),
            *("--generation-database", "none", "--no-color", "--continue-on-failure"),
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert {exchange.status for exchange in sandbox.store.exchanges} >= {200, 400, 401, 405, 422}
    assert sandbox.store.metric_count > 0
