"""kill -9 at any moment: what was committed is delivered once, whatever the API did meanwhile."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.agent import TOKEN, committed_polls, environment, running
from support.site import Radio, equipment
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.server import serve

ROUNDS = 20


@pytest.mark.parametrize("seed", [1])
async def test_nothing_committed_is_lost_or_stored_twice_over_twenty_kills(tmp_path: Path, seed: int):
    """Twenty agents are killed at random moments, the API down or up; the last one delivers what all of them committed."""
    rng = random.Random(seed)
    database = tmp_path / "agent.db"
    committed: dict[int, int] = {}
    radios = [Radio() for _ in range(3)]
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(serve(radio.answer)) for radio in radios]
        sandbox = Sandbox({"version": "1", "equipment": [equipment(f"d{i}", port) for i, port in enumerate(ports)]}, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            env = environment(url, database, BUFFER_COMMIT_SECONDS="0")  # polls reach the tail in lives this short
            for round_ in range(ROUNDS):
                if round_ == 0 or rng.random() < 0.3:
                    proxy.come_up()
                else:
                    proxy.go_down()
                async with running(env=env) as agent:
                    if round_ == 0:
                        await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                    else:
                        await rng.choice(radios).asked(rng.randint(1, 2))
                        # The moment is what is tested, so time it is; what is asserted does not depend on it.
                        await asyncio.sleep(rng.uniform(0, 0.5))
                    await agent.kill()
                committed |= await asyncio.to_thread(committed_polls, database)
            proxy.come_up()
            async with running(env=env) as agent:
                expected = sum(committed.values())
                await sandbox.store.wait_until(lambda store: store.metric_count >= expected)
                assert await agent.stop() == 0
            committed |= await asyncio.to_thread(committed_polls, database)
    assert len(committed) > ROUNDS, "too few polls to mean anything"
    assert sandbox.store.duplicates() == {}
    assert sandbox.store.metric_count == sum(committed.values())
