"""`towerops-agent refused`: what the server refuses is kept with its reason, and sent again once the operator asks for it."""

import json
from pathlib import Path
from typing import Any

from support.agent import TOKEN, environment, output_of, running
from support.site import site
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters
from towerops_lab.sandbox.server import Sandbox

TURNS_EACH_SECOND = """
from towerops_agent.delivery.courier import Courier
Courier.__init__.__kwdefaults__["interval_s"] = 1.0
from towerops_agent.cli.main import main
main()
"""
SERIES = "d0-s1"


async def test_what_was_refused_is_delivered_after_a_retry_once_the_server_takes_it(tmp_path: Path):
    """While the server still refuses it, a retry changes nothing. Then each metric of it arrives once, as the others have."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        fault = sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == SERIES, "no such sensor")
        async with sandbox.serve() as url:
            env = environment(url, tmp_path / "agent.db")
            async with running("run", env=env, code=TURNS_EACH_SECOND) as agent:
                await agent.logged("metric refused, kept with the reason")
                await sandbox.store.wait_until(lambda store: bool(store.readings("d0-s2")))
                shown = await output_of("refused", env=env)
                assert f"sensor_reading {SERIES}: " in shown
                assert "no such sensor" in shown
                hits = fault.hits
                assert " 1 series " in await output_of("refused", "--retry", env=env)
                await fault.met(hits + 1)
                assert not sandbox.store.readings(SERIES)
                kept = await kept_metrics(env)
                fault.clear()
                while await kept_metrics(env):
                    await output_of("refused", "--retry", env=env)
                assert await agent.stop() == 0
            left = len(await kept_metrics(env))  # of a batch that was on its way when the server came to accept them
    arrived = sandbox.store.readings(SERIES)
    assert kept
    assert {metric["timestamp"] for metric in kept} <= {metric.timestamp for metric in arrived}
    assert {metric["sensor_id"] for metric in kept} == {SERIES}
    assert sandbox.store.duplicates() == {}
    assert len(arrived) + left == len(sandbox.store.readings("d0-s2"))


async def kept_metrics(env: dict[str, str]) -> list[dict[str, Any]]:
    """The refused metrics that are kept now."""
    return [one["metric"] for one in json.loads(await output_of("refused", "--json", env=env))]


async def test_a_retry_without_a_running_agent_says_so(tmp_path: Path):
    env = environment("http://127.0.0.1:9", tmp_path / "agent.db")
    async with Buffer(tmp_path / "agent.db", Counters(), clock_us=lambda: 0):
        pass
    assert "no agent runs on the database" in await output_of("refused", "--retry", env=env)
