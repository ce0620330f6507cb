"""README's second way to start: two commands, from a device to its values in a Prometheus."""

import asyncio
import sys
import time
from pathlib import Path

from support import prometheus
from support.agent import running
from support.snmpd import require_snmpd, run_snmpd


async def test_two_commands_lead_from_a_device_to_its_values_in_a_prometheus(tmp_path: Path):
    require_snmpd()
    env = {"PATH": "/usr/bin:/usr/sbin"}
    with prometheus.running(tmp_path / "prometheus") as receiver, run_snmpd(tmp_path / "snmpd") as snmpd:
        words = ("config", "init", f"127.0.0.1:{snmpd.port}", "--remote-write", receiver.write_url)
        with (tmp_path / "site.yaml").open("wb") as site:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "towerops_agent", *words, env=env, stdout=site)
            assert await process.wait() == 0
        command = ("run", "--site", str(tmp_path / "site.yaml"), "--database-path", str(tmp_path / "agent.db"))
        async with running(*command, env=env) as agent:
            there: dict = {}
            while not there:
                await asyncio.to_thread(time.sleep, 0.1)
                there = receiver.samples('{__name__="snmp_interface_in_octets_total",ifName="lo"}', time.time() + 60)
            assert await agent.stop() == 0
    ((labels, samples),) = there.items()
    assert dict(labels)["device"] == "tower-7"
    assert samples[0][1] > 0
