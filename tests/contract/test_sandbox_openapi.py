"""schemathesis asks the sandbox all that its OpenAPI document allows and forbids, and finds no mismatch."""

import asyncio
import importlib.util
import os
import sys

import pytest

from towerops_agent.api.wire.contract import Accepts
from towerops_lab.sandbox.kinds import NAMES
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
ALL = Accepts(content_encodings=["gzip", "zstd"], metric_types=NAMES)

HOOKS = '''
from itertools import count

import schemathesis

TIMES = ("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms")

numbers = count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """What JSON Schema can't say: a key stands for one body; no reading is of after now; pings that came back have times."""
    if not (case.meta and case.meta.generation.mode.is_positive):
        return
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"key-{next(numbers)}"
    if not isinstance(case.body, dict):
        return
    for metric in case.body.get("metrics", ()):
        metric["timestamp"] = "2001" + metric["timestamp"][4:]
        if metric["type"] == "reachability":
            metric["received"] = min(metric["received"], metric["sent"])
            times = sorted(metric[name] or 0 for name in TIMES) if metric["received"] else [None] * 3
            metric.update(zip(TIMES, times))
'''


@pytest.mark.parametrize("accepts", [ALL, Accepts(), Accepts(metric_types=["reachability"])], ids=["all", "plain", "pings"])
async def test_schemathesis_finds_no_5xx_and_no_mismatch(tmp_path, accepts):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is needed: install the extra dev")
    (tmp_path / "hooks.py").write_text(HOOKS)
    sandbox = Sandbox(CONFIG, token="secret", accepts=accepts, site=Site())
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
