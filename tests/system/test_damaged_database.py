"""A database that is damaged beside a running agent: its loops go on, and it stops in an orderly way."""

import asyncio

import pytest
from structlog.testing import capture_logs

from support.inside import running
from towerops_agent.counters import Count
from towerops_agent.errors import BufferFailure
from unit.buffer.samples import LAYOUT, T0_US, corrupt_error, poll


async def test_a_stop_on_a_damaged_ledger_is_orderly(tmp_path):
    """Twice within a minute, so that the second time there is no new file."""
    with capture_logs() as logs:
        async with running("http://127.0.0.1:9", tmp_path) as agent:
            while not any(line["event"] == "agent started" for line in logs):  # noqa: ASYNC110 -- the log has no event
                await asyncio.sleep(0)
            layout = await agent.buffer.register(LAYOUT)
            agent.buffer.add(poll(layout, T0_US))
            with pytest.raises(BufferFailure):
                await agent.buffer.ask(corrupt_error)
            agent.buffer.add(poll(layout, T0_US + 1))
            await agent.buffer.flush()
            await agent.buffer.ask(lambda store: store.connection.execute("UPDATE uncut SET polls = polls + 7").rowcount)
            with pytest.raises(BufferFailure):
                await agent.buffer.pending()
    assert [line for line in logs if line["log_level"] in ("error", "critical") and "exc_info" in line] == []
    assert agent.counters.total(Count.BUGS) == 0
    assert [line["pending_kept"] for line in logs if line["event"] == "agent stopped"] == [None]
