"""The way of a newcomer: discover a tower, run what was written, ask a Prometheus for a radio's signal. No OID is typed."""

import asyncio
import sys
import time
from pathlib import Path

from support import prometheus
from support.agent import running
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, make_fleet
from towerops_lab.simulator.profiles import PROFILES

COMMUNITY = "tower-community-3e90"


async def test_a_radios_signal_is_in_a_prometheus_without_one_oid_typed(tmp_path: Path):
    env = {"PATH": "/usr/bin", "SNMP_COMMUNITY": COMMUNITY, "XDG_STATE_HOME": str(tmp_path / "state")}
    stations = make_fleet(list(PROFILES.values()), len(PROFILES), COMMUNITY, time.time())
    with prometheus.running(tmp_path / "prometheus") as receiver:
        async with FleetServer(stations).serve() as port:
            words = ("discover", f"{FIRST_ADDRESS}-{FIRST_ADDRESS + len(stations) - 1}", "--port", str(port))
            words += ("--write", str(tmp_path / "site.yaml"), "--remote-write", receiver.write_url)
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "towerops_agent", *words, env=env)
            assert await process.wait() == 0
            command = ("run", "--site", str(tmp_path / "site.yaml"), "--database-path", str(tmp_path / "agent.db"))
            async with running(*command, env=env) as agent:
                there: dict = {}
                while not there:
                    await asyncio.to_thread(time.sleep, 0.1)
                    there = receiver.samples('{__name__="snmp_sensor_dbm",sensor=~".*signal.*"}', time.time() + 60)
                assert await agent.stop() == 0
    devices = {dict(labels)["device"] for labels in there}
    assert any(device.startswith("airmax") for device in devices), devices
    assert all(-100 < value < 0 for samples in there.values() for _, value in samples)
