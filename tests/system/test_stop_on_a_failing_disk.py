"""A stop, or a single run, when the last polls can't be written: what is on the disk is delivered all the same."""

import asyncio

import pytest
from structlog.testing import capture_logs

from support.agent import TOKEN
from support.inside import running
from towerops_agent.agent import Agent
from towerops_agent.counters import Count
from towerops_agent.model import Secret
from towerops_agent.settings import Settings
from towerops_lab.sandbox.server import Sandbox
from unit.buffer.samples import LAYOUT, T0_US, poll

FULL = "CREATE TEMP TRIGGER full BEFORE INSERT ON polls BEGIN SELECT RAISE(ABORT, 'no room'); END"


async def test_what_is_on_the_disk_is_delivered_at_a_stop_that_cannot_write_the_rest(tmp_path):
    sandbox = Sandbox({"equipment": []}, TOKEN)
    with capture_logs() as logs:
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            while not any(line["event"] == "agent started" for line in logs):  # noqa: ASYNC110 -- the log has no event
                await asyncio.sleep(0)
            layout = await agent.buffer.register(LAYOUT)
            agent.buffer.add(poll(layout, T0_US))
            await sandbox.store.wait_until(lambda store: store.metric_count == 3)  # the next turn is far
            agent.buffer.add(poll(layout, T0_US + 1))
            await agent.buffer.flush()
            await agent.buffer.ask(lambda store: store.connection.execute(FULL).rowcount)
            agent.buffer.add(poll(layout, T0_US + 2))
    (line,) = [line for line in logs if line["event"].startswith("last polls can't be written")]
    assert "no room" in line["error"]
    assert not any("stays for the next start" in line["event"] for line in logs)
    assert [line["metrics"] for line in logs if line["event"].startswith("polls lost")] == [3]
    assert [line["pending_kept"] for line in logs if line["event"] == "agent stopped"] == [0]
    assert sandbox.store.metric_count == 6
    assert agent.counters.total(Count.BUGS) == 0


async def test_a_single_run_says_why_the_metrics_of_polls_that_cannot_be_written_are_not_delivered(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    sandbox = Sandbox({"equipment": []}, TOKEN)

    async def poll_all_once(_fleet) -> dict[str, object]:
        layout = await agent.buffer.register(LAYOUT)
        await agent.buffer.ask(lambda store: store.connection.execute(FULL).rowcount)
        agent.buffer.add(poll(layout, T0_US))
        return {}

    monkeypatch.setattr("towerops_agent.scheduling.fleet.Fleet.poll_all_once", poll_all_once)
    async with sandbox.serve() as url:
        agent = Agent(Settings(api_url=url, token=Secret(TOKEN), database_path=tmp_path / "agent.db"))
        run = await agent.run_once()
    (problem,) = run.problems
    assert problem.startswith("not all metrics delivered, those that can't be written to the disk are lost: the database ")
    assert problem.endswith("no room")
    assert run.metrics == 0
