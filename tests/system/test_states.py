"""The state of each device at the server, if it accepts states, and nothing of it if it does not."""

import asyncio
from pathlib import Path

from support.agent import TOKEN, UNHURRIED, environment, running
from support.site import equipment, simulated_device, site
from towerops_agent.api.wire.contract import Accepts
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.server import serve

TYPES = ["sensor_reading", "interface_stat", "equipment_status"]


async def test_a_device_goes_down_with_its_reason_and_comes_up_again(tmp_path: Path):
    device, alive = simulated_device(), asyncio.Event()
    alive.set()
    async with serve(lambda datagram, uptime_s: device.answer(datagram, uptime_s) if alive.is_set() else None) as port:
        sandbox = Sandbox({"version": "1", "equipment": [equipment("d", port)]}, TOKEN, Accepts(metric_types=TYPES))
        env = environment("", tmp_path / "agent.db", LOG_LEVEL="debug")
        async with sandbox.serve() as url, running(env={**env, "TOWEROPS_API_URL": url}, code=UNHURRIED) as agent:
            await agent.answered()
            alive.clear()
            await agent.logged("device does not answer")
            alive.set()
            await agent.logged("device has recovered")
            assert await agent.stop() == 0
    statuses = sandbox.store.statuses("d")
    states = [status.state for status in statuses]
    first = states.index("up")  # not the very first, if the device was slow
    assert "down" in states[first:]
    assert states[-1] == "up"
    assert {status.reason for status in statuses if status.state == "down"} == {"timeout"}
    assert all((status.response_time_ms is None) == (status.state == "down") for status in statuses)
    assert sandbox.store.duplicates() == {}


async def test_a_server_that_does_not_list_the_type_gets_none(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 0, agent.log
    assert sandbox.store.statuses("d0") == ()
