"""Pings of the agent as a process: at the server, in the log, in history; with permission and without."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from support.agent import TOKEN, environment, running
from support.skips import NO_PING
from towerops_agent.api.wire.contract import Accepts
from towerops_lab.sandbox.server import Sandbox

TYPES = ["sensor_reading", "interface_stat", "equipment_status", "reachability"]


def may_ping() -> bool:
    """Whether this process may open a socket for pings, of either kind."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


def pinged(name: str, address: str, **more: object) -> dict[str, object]:
    return {"id": name, "name": name, "ip_address": address, "snmp": {"enabled": False}, "ping": {"enabled": True} | more}


@pytest.mark.skipif(not may_ping(), reason=NO_PING)
async def test_rounds_arrive_at_a_server_that_lists_them_and_snmp_that_is_silent_is_not_down(tmp_path: Path):
    plan = {"count": 2, "interval_seconds": 2}
    silent = {
        **pinged("silent", "127.1.0.3", **plan),
        "snmp": {"port": 9},
        "sensors": [{"id": "s", "oid": "1.3.6.1.2.1.1.3.0"}],
    }
    equipment = [pinged("v4", "127.1.0.2", **plan), pinged("v6", "::1", **plan), silent]
    config = {"version": "1", "poll_interval_seconds": 5, "equipment": equipment}
    sandbox = Sandbox(config, TOKEN, Accepts(metric_types=TYPES))
    database = tmp_path / "agent.db"
    async with sandbox.serve() as url, running(env=environment(url, database)) as agent:
        await agent.logged("device answers ping, not SNMP")
        await sandbox.store.wait_until(lambda store: all(store.records.of("reachability", one["id"]) for one in equipment))
        assert await agent.stop() == 0
    for one in equipment:
        rounds = sandbox.store.records.of("reachability", one["id"])
        # A busy machine may not come to send an echo in its round: what is not sent is not lost.
        assert all(each.received == each.sent in (1, 2) for each in rounds)
        assert all(0 < each.rtt_min_ms <= each.rtt_avg_ms <= each.rtt_max_ms for each in rounds)
    assert {(status.state, status.reason) for status in sandbox.store.statuses("v4")} == {("up", "")}
    assert {(status.state, status.reason) for status in sandbox.store.statuses("silent")} == {("degraded", "ping_only")}
    assert sandbox.store.duplicates() == {}
    env = {**os.environ, "TOWEROPS_AGENT_TOKEN": TOKEN, "COLUMNS": "120"}
    command = [sys.executable, "-m", "towerops_agent", "history", "v4", "--database-path", str(database)]
    shown = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    lines = (await shown.communicate())[0].decode()
    assert [line.split("]")[0] for line in lines.splitlines()[1:]] == ["ping loss [%", "ping round trip [ms", "ping jitter [ms"]
    assert "0 to 0, last 0" in lines


@pytest.mark.skipif(not may_ping(), reason=NO_PING)
async def test_a_single_run_pings_in_one_short_round(tmp_path: Path):
    config = {"version": "1", "equipment": [pinged("v4", "127.1.0.2"), pinged("gone", "name.invalid")]}
    sandbox = Sandbox(config, TOKEN, Accepts(metric_types=TYPES))
    async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
        assert await agent.ended() == 1
    (only,) = sandbox.store.records.of("reachability", "v4")
    assert (only.sent, only.received) == (5, 5)
    assert sandbox.store.records.of("reachability", "gone") == ()
    assert "gone (name.invalid) returned nothing: unresolved" in agent.log


async def test_a_server_that_does_not_list_rounds_gets_none(tmp_path: Path):
    sandbox = Sandbox({"version": "1", "equipment": [pinged("v4", "127.1.0.2")]}, TOKEN)
    async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
        await agent.ended()
    assert sandbox.store.records.of("reachability", "v4") == ()
    assert json.dumps(sandbox.store.duplicates()) == "{}"
