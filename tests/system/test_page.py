"""`page` beside a running agent: what changes at the site is seen, the agent does nothing for it, and no secret is in it."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from support.agent import TOKEN, environment, output_of, running
from support.hang import HANG_S
from support.site import COMMUNITY, site
from towerops_lab.sandbox.server import Sandbox


@asynccontextmanager
async def pages(env):
    """A process that serves the page; the block gets its URL."""
    command = [sys.executable, "-m", "towerops_agent", "page", "--listen", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = (await process.stdout.readline()).decode()
        assert line.startswith("the page is at http://127.0.0.1:"), line + (await process.stderr.read()).decode()
        yield line.split()[4]
    finally:
        process.terminate()
        assert await process.wait() == 0
        assert await process.stderr.read() == b""


async def until(client, url, condition):
    """The first answer that meets the condition."""
    async with asyncio.timeout(HANG_S):
        while True:
            answer = await client.get(url)
            answer.raise_for_status()
            if condition(answer.json()):
                return answer
            await asyncio.sleep(0.2)


def sockets_of(pid: int) -> set[str]:
    """What others may ask the process by: TCP sockets that listen, and sockets with a name and what is connected to them.

    Its own connections to the API come and go.
    """
    rows = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    named = {f"socket:[{row[6]}]" for row in rows if len(row) > 7}
    tcp = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in tcp if row[3] == "0A"}
    return {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()} & (named | listening)


async def test_a_running_agents_site_is_seen_as_it_changes(tmp_path: Path):
    async with site(2) as config, httpx2.AsyncClient(trust_env=False, timeout=HANG_S) as client:
        sandbox = Sandbox(config, TOKEN)
        database = tmp_path / "agent.db"
        async with sandbox.serve() as url:
            env = environment(url, database)
            async with running("run", env=env) as agent:
                await agent.logged("agent started")
                async with pages(env) as page:
                    before = sockets_of(agent.pid)
                    shown = await until(
                        client,
                        f"{page}site.json",
                        lambda body: len(body["events"]) >= 4 and all(one["state"] == "up" for one in body["devices"]),
                    )
                    body = shown.json()
                    assert body["runs"]
                    assert all(device["newest_us"] for device in body["devices"])
                    assert {event["kind"] for event in body["events"]} == {"agent", "config", "api"}
                    device = body["devices"][0]
                    view = await until(
                        client, f"{page}device.json?hours=1&id={device['id']}", lambda body: len(body["charts"]) >= 7
                    )
                    assert sockets_of(agent.pid) == before
                    for answer in (shown, view, await client.get(page)):
                        assert [secret for secret in (COMMUNITY, TOKEN) if secret in answer.text] == []
                await agent.stop()
        async with pages(env) as page:
            stopped = (await client.get(f"{page}site.json")).json()
            assert (stopped["runs"], stopped["tiles"]["agent"]["figure"]) == (False, "Stopped")
            assert stopped["events"][0]["text"] == "The agent stopped"
    html = await output_of("page", "--output", "-", env=env)
    assert [secret for secret in (COMMUNITY, TOKEN) if secret in html] == []
    assert json.dumps(device["name"]) in html
