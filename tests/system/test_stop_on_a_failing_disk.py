"""A stop when the last polls can't be written: what is on the disk is delivered all the same."""

import asyncio

from structlog.testing import capture_logs

from support.agent import TOKEN
from support.inside import running
from towerops_agent.counters import Count
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
    (line,) = [line for line in logs if line["event"].startswith("buffer can't be read, what is pending stays")]
    assert "no room" in line["error"]
    assert [line["metrics"] for line in logs if line["event"].startswith("polls lost")] == [3]
    assert [line["pending_kept"] for line in logs if line["event"] == "agent stopped"] == [0]
    assert sandbox.store.metric_count == 6
    assert agent.counters.total(Count.BUGS) == 0
