"""An outage of the API under a running agent: fresh values first, the backlog beside them, and the log says how far it is."""

import time
from pathlib import Path

from support.agent import TOKEN, UNHURRIED, committed_polls, environment, running
from support.inside import polls_of
from support.inside import running as running_inside
from support.site import METRICS_A_POLL, site
from towerops_agent.api.wire.contract import METRICS_PATH
from towerops_agent.counters import Count
from towerops_agent.delivery.course import course
from towerops_agent.delivery.course.parcel import timestamp
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox


async def test_fresh_values_go_first_after_an_outage_and_nothing_is_missing(tmp_path: Path, monkeypatch):
    """At most one batch of the outage, the probe, goes before what was polled last; the rest follows, each metric once."""
    monkeypatch.setattr(course, "PART_AFTER_S", 0.5)
    async with site(3) as config:
        sandbox = Sandbox(config | {"accepts": {"max_metrics": METRICS_A_POLL}}, TOKEN)
        outage = sandbox.faults.answer(503, path=METRICS_PATH)
        async with sandbox.serve() as url, running_inside(url, tmp_path) as agent:
            await outage.met(2)
            await polls_of(agent, "d0", 1)
            assert agent.courier.backlog is not None
            monkeypatch.setattr(course, "PART_AFTER_S", 3600.0)  # what is polled from now on is fresh
            await agent.buffer.part_backlog()
            parted = timestamp(time.time_ns() // 1000)
            await polls_of(agent, "d0", 1)
            gathered = agent.counters.get(Count.READINGS)
            outage.clear()
            await sandbox.store.wait_until(lambda store: store.metric_count >= gathered)
        stamps = [max(metric.timestamp for metric in batch.metrics) for batch in sandbox.store.batches]
        assert max(stamps[:2]) > parted, "a fresh one is first, or follows the probe"
        assert min(stamps[2:]) < parted, "and the backlog follows it"
        assert sandbox.store.metric_count == agent.counters.get(Count.READINGS)
        assert sandbox.store.duplicates() == {}


async def test_a_backlog_of_an_earlier_run_is_reported_and_delivered_beside_fresh_values(tmp_path: Path):
    """The uplink is down for the whole first run; the second one delivers what both have polled."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            env = environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")
            async with running("run", "--once", env=env) as agent:
                assert await agent.ended() == 0
            known = sandbox.store.metric_count
            proxy.go_down()
            async with running(env=env) as first:
                await first.logged("batch not delivered, will retry")
                await first.stop()
            assert "pending_kept=" in first.log
            assert sandbox.store.metric_count == known
            proxy.come_up()
            async with running(env=env, code=UNHURRIED) as second:
                await second.logged("lane=backlog")
                await second.logged("lane=fresh")
                assert await second.stop() == 0
        assert "pending_kept=0" in second.log
        assert sandbox.store.duplicates() == {}
        assert sandbox.store.metric_count == sum(committed_polls(tmp_path / "agent.db").values())
