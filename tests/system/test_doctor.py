"""`towerops-agent doctor` as a process, beside a running agent."""

import asyncio
import json
import sys
from pathlib import Path

from support.agent import TOKEN, environment, running
from support.site import COMMUNITY, equipment, site
from towerops_lab.sandbox.server import Sandbox


async def doctor(*arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    """Its exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", "doctor", *arguments),
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_doctor_examines_beside_a_running_agent_and_leaves_it_alone(tmp_path: Path):
    """It reports the agent, reads through its lock, and the agent goes on; then it reports an agent that is gone."""
    async with site(2) as config:
        config["equipment"].append(equipment("closed", port=9, community="hush-community"))
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url:
            env = environment(url, tmp_path / "agent.db")
            async with running(env=env) as agent:
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                status, out, err = await doctor("--json", env=env)
                before = sandbox.store.metric_count
                pid = agent.pid
                assert await agent.stop() == 0
                assert sandbox.store.metric_count > before  # what it polled meanwhile
            after = await doctor("--device", "d0", env=env)
            stopped = await doctor(env=env)
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    assert (status, err) == (1, "")
    assert f"an agent runs on this database (process {pid})" in found["agent"]["found"]
    assert {found[name]["result"] for name in ("database", "token", "config", "Device d0", "Device d1")} == {"ok"}
    assert "nothing listens on this port of the device: ICMP: port unreachable" in found["Device closed"]["found"]
    assert found["Device closed"]["found"].endswith("; in log and status: refused")
    assert after[0] == 0
    assert [line.split("  ")[0] for line in after[1].splitlines()] == ["✓ Device d0", "1 ok"]
    assert "no agent runs on this database now" in stopped[1]
    for secret in (TOKEN, COMMUNITY, "hush"):
        assert secret not in out + err + after[1] + after[2]
