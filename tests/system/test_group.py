"""Three agents with a nats-server beside each share the devices: whatever dies, the API's series go on.

Measured at the API: no gap over interval + 11 s + n / 200 s, counted in polls of the devices that go on; no timestamp twice, few
polls beyond the due ones.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.agent import environment, running
from support.group import COMMUNITY, GroupSite, group_site
from support.renumbering import RenumberingDevice, Row, owner
from towerops_agent.api.wire.contract import InterfaceStat


async def test_a_member_is_killed_another_one_stops_and_both_return(tmp_path: Path):
    """And interfaces that have moved are read at their right index after a takeover: each counter shows whose it is."""
    boxes = {f"box{n}": moving() for n in range(6)}
    more = {key: (box, {"interfaces": interfaces(key)}) for key, box in boxes.items()}
    async with group_site(tmp_path, 60, 2, more=more) as site:
        await site.start("m0", "m1", "m2")
        for box in boxes.values():
            box.rows, box.ticks = {7: box.rows[1], 1: box.rows[2]}, 1
        await site.all_polled()
        since_us = site.now_us()
        await site.agents["m1"].kill()
        await site.logged("is lost", "m0", "m2")
        lost_us = site.now_us()
        await site.all_polled()
        await site.start("m1")
        await site.agents["m2"].stop()
        await site.logged("has left the group", "m0", "m1")
        await site.all_polled()
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=takeover(66, 2))
        stats = [metric for metric in site.sandbox.store.metrics if isinstance(metric, InterfaceStat)]
        after = {one.interface_id for one in stats if site.at_us(one) > lost_us}
        assert after == {one["id"] for key in boxes for one in interfaces(key)}, "all are read after the takeover"
        for one in stats:
            assert one.if_in_octets is not None
            assert owner(one.if_in_octets) == int(one.interface_id[-1]), f"{one.interface_id} has another one's counters"


def takeover(lost: int, interval_s: int) -> int:
    """In rounds, the longest gap that is promised if a member with so many devices is lost: interval + 11 s + lost / 200 s."""
    return round((interval_s + 11 + lost / 200) / interval_s)


def moving() -> RenumberingDevice:
    return RenumberingDevice({1: Row(1, b"ether1"), 2: Row(2, b"sfp1")}, community=COMMUNITY.encode())


def interfaces(key: str) -> list[dict[str, Any]]:
    return [{"id": f"{key}-i{n}", "if_index": n, "if_name": name} for n, name in ((1, "ether1"), (2, "sfp1"))]


# The same in full, minutes long: 600 devices each 5 s.

full = pytest.mark.slow


@asynccontextmanager
async def three(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[GroupSite, int]]:
    """Three members in step, and since when."""
    async with group_site(tmp_path, 600, 5, **options) as site:
        await site.start("m0", "m1", "m2")
        await site.quiet(12)
        yield site, site.now_us()


@full
async def test_full_a_member_is_killed_and_returns(tmp_path: Path):
    async with three(tmp_path) as (site, since_us):
        await site.agents["m1"].kill()
        await site.logged("is lost", "m0", "m2")
        await site.quiet(12)
        await site.start("m1")
        await site.quiet(12)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=takeover(300, 5))


@full
async def test_full_a_member_is_frozen_and_thaws(tmp_path: Path):
    async with three(tmp_path) as (site, since_us):
        site.agents["m1"].send(signal.SIGSTOP)
        await site.logged("is lost", "m0", "m2")
        await site.quiet(12)
        site.agents["m1"].send(signal.SIGCONT)
        await site.quiet(17)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=takeover(300, 5))


@full
@pytest.mark.parametrize("frozen", [1, 2])
async def test_full_servers_freeze_and_then_a_member_is_killed(tmp_path: Path, frozen: int):
    async with three(tmp_path) as (site, since_us):
        for server in site.nats[:frozen]:
            server.freeze()
        await site.quiet(20)
        frozen_us = site.now_us()
        await site.agents["m2"].kill()
        await site.logged("member=m2", "m0", "m1")
        await site.quiet(15)
        await site.start("m2")
        await site.quiet(7)
        until_us = site.now_us()
        await site.deliver_all()
        stored_us = frozen_us - 3_000_000  # what the killed member polled after that may be lost with it
        site.judge(since_us, stored_us, rounds=1)
        site.judge(since_us, until_us, rounds=takeover(300, 5))


@full
async def test_full_all_servers_go_away_and_come_back(tmp_path: Path):
    async with three(tmp_path) as (site, since_us):
        for server in site.nats:
            server.kill()
        await site.logged("engine is away", "m0", "m1", "m2")
        await site.quiet(50)
        kept_us = site.now_us()
        await site.logged("engine is still away", "m0", "m1", "m2")
        await site.quiet(10)
        for server in site.nats:
            await server.start()
        await site.logged("engine is back", "m0", "m1", "m2")
        await site.quiet(6)
        back_us = site.now_us()
        await site.quiet(15)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, kept_us, rounds=1)
        site.judge(since_us, until_us, rounds=1, extra=2.0)
        site.judge(back_us, until_us, rounds=1)


@full
async def test_full_a_partition(tmp_path: Path):
    async with three(tmp_path, by_links=True) as (site, since_us):
        site.nats[2].cut_off()
        await site.logged("is lost", "m0", "m1", "m2")
        await site.quiet(15)
        site.nats[2].reconnect()
        for member in ("m0", "m1", "m2"):
            await site.agents[member].logged("member has joined", times=3)
        await site.quiet(3)
        healed_us = site.now_us()
        await site.quiet(15)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=takeover(300, 5), extra=1.0)
        site.judge(healed_us, until_us, rounds=1)


@full
async def test_full_a_rolling_restart(tmp_path: Path):
    async with three(tmp_path) as (site, since_us):
        for member in ("m0", "m1", "m2"):
            await site.agents[member].stop()
            await site.start(member)
            await site.quiet(5)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=1)


@full
async def test_full_a_member_loses_its_way_to_the_devices(tmp_path: Path):
    async with three(tmp_path) as (site, since_us):
        site.ground.deaf_to |= site.ports("m1")
        await site.logged("silent only here", "m1")
        await site.quiet(12)
        assert "does not answer" not in site.agents["m1"].log
        site.ground.deaf_to.clear()
        await site.logged("devices answer here again", "m1")
        await site.quiet(12)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=4)


@full
async def test_full_another_token_in_one(tmp_path: Path):
    async with group_site(tmp_path, 600, 5) as site:
        site.sandbox.store.tokens.add("another-token-1b7d")
        await site.start("m0", "m1")
        await site.start("m2", TOWEROPS_AGENT_TOKEN="another-token-1b7d")
        await site.logged("another token", "m0", "m1", "m2")
        await site.quiet(12)
        since_us = site.now_us()
        await site.quiet(20)
        until_us = site.now_us()
        await site.deliver_all()
        site.judge(since_us, until_us, rounds=1, extra=1.1)


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
