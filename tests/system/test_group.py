"""Three agents with a nats-server beside each share the devices: whatever dies, the API's series go on.

Measured at the API: no gap over interval + 11 s + n / 200 s, no timestamp twice, few polls beyond the due ones.
"""

from pathlib import Path

from support.agent import environment, running
from support.group import group_site


async def test_a_member_is_killed_another_one_stops_and_both_return(tmp_path: Path):
    async with group_site(tmp_path, 60, 2) as site:
        await site.start("m0", "m1", "m2")
        await site.all_polled()
        since_us = site.now_us()
        await site.agents["m1"].kill()
        for member in ("m0", "m2"):
            await site.agents[member].logged("is lost")
        await site.quiet(3)
        await site.start("m1")
        await site.agents["m2"].stop()
        for member in ("m0", "m1"):
            await site.agents[member].logged("has left the group")
        await site.quiet(5)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, gap_s=2 + 11 + 60 / 200)


async def test_without_the_setting_nothing_of_a_group_is_imported(tmp_path: Path):
    """The agent does without nats-py then."""
    code = """
import sys
from towerops_agent.__main__ import main
import atexit
of_a_group = lambda name: name.split(".")[0] == "nats" or ".group" in name
atexit.register(lambda: print("imported:", list(filter(of_a_group, sys.modules)), file=sys.stderr))
main()
"""
    env = environment("http://127.0.0.1:9", tmp_path / "agent.db")
    async with running(env=env, code=code) as agent:
        await agent.logged("agent started")
        await agent.stop()
    (line,) = (line for line in agent.lines if line.startswith("imported:"))
    assert line == "imported: ['towerops_agent.telemetry.views.group']", "which is only how it would look"


async def test_without_nats_py_the_agent_says_what_to_install(tmp_path: Path):
    code = "import sys; sys.modules['nats'] = None; from towerops_agent.__main__ import main; main()"
    env = environment("http://127.0.0.1:9", tmp_path / "agent.db", GROUP_NATS_URLS="nats://127.0.0.1:4222")
    async with running(env=env, code=code) as agent:
        assert await agent.ended() == 2
    assert "nats-py is not installed: pip install 'towerops-agent[group]'" in agent.log
