"""What an operator sees of a running and of a stopped agent: status, health, history, signals, systemd."""

import asyncio
import json
import re
import signal
import socket
from pathlib import Path

import httpx2

from support.agent import TOKEN, environment, running
from support.site import COMMUNITY, equipment, site
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

LOOPS = {"config", "polling", "pings", "delivery", "heartbeat", "database", "cleanup", "memory", "status", "layouts"}
"""Those that leave a mark, in an agent without more than the API."""


async def command(*arguments: str, database: Path, **env: str) -> tuple[int, str]:
    """What `towerops-agent` prints with these arguments, both streams, and its exit status."""
    import sys

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", *arguments),
        env={**environment("https://unused.example", database), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def loops_of(address: str) -> set[str]:
    """The loops that leave their marks, by the page of metrics that is served there."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        page = (await client.get(f"http://{address}/metrics")).text
    return set(re.findall(r'^towerops_agent_loop_overdue_seconds\{loop="(\w+)"\}', page, re.MULTILINE))


async def snapshot_when(database: Path, condition) -> dict:
    """The snapshot, once it is as wanted."""
    while True:
        status, text = await command("status", "--json", database=database)
        if status == 0 and (snapshot := json.loads(text)["snapshot"]) and condition(snapshot):
            return snapshot


async def test_status_reports_failing_devices_and_what_was_refused(tmp_path: Path):
    """The whole story of a small site: one device dead, one sensor refused, the others well; and then that it was stopped."""
    database = tmp_path / "agent.db"
    async with site(2) as config:
        config["equipment"].append(equipment("dead", port=9, community="another-secret-9"))
        config["equipment"][0]["sensors"][0]["oid"] = "bad"
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, database)) as agent:
            await agent.logged("device does not answer")
            await sandbox.store.wait_until(lambda store: bool(store.heartbeats) and store.metric_count > 0)
            assert await agent.stop() == 0
        status, text = await command("status", database=database)
        snapshot = await snapshot_when(database, lambda _: True)
    assert status == 0
    assert "2 up, 0 degraded, 1 down" in text
    assert "Device dead (127.0.0.1:9)  refused" in text
    assert "sensor Device d0 d0-s0: oid is" in text
    assert "stopped" in text
    assert "all is delivered" in text
    assert snapshot["counters"]["metrics_delivered"][""] == sandbox.store.metric_count
    assert not any(secret in text for secret in (COMMUNITY, TOKEN, "another-secret-9"))


async def test_an_agent_whose_database_is_a_directory_says_so_itself(tmp_path: Path):
    """As Docker makes one for the volume of a file that is not there."""
    database = tmp_path / "agent.db"
    database.mkdir()
    said = f"{database} is a directory: expected a file, choose another DATABASE_PATH"
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, database)) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            status, text = await command("status", database=database)
            assert (status, f"polls are in memory only: {said}" in text) == (0, True), text
            status, text = await command("status", "--json", database=database)
            note, _, document = text.partition("\n")
            assert status == 0
            assert note.startswith("towerops-agent: without the metrics that the server refused: ")
            assert json.loads(document)["snapshot"]["in_memory_because"] == said
            assert json.loads(document)["refused_metrics"] == []
            await agent.stop()
    for name in ("status", "devices", "health", "refused"):
        status, text = await command(name, database=database)
        assert (status, f"{database} is not a file: give the path of the file itself in DATABASE_PATH" in text) == (1, True), text


async def test_health_is_good_while_it_runs_also_without_the_api_and_bad_when_it_is_gone(tmp_path: Path):
    database = tmp_path / "agent.db"
    status, text = await command("health", database=database)
    assert (status, "no database" in text) == (1, True)
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            given = {"CONFIG_REFRESH_SECONDS": "5", "METRICS_LISTEN": "127.0.0.1:0"}
            async with running(env=environment(url, database, **given)) as agent:
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                assert await loops_of(await agent.metrics_address()) == LOOPS | {"metrics"}
                assert await command("health", database=database) == (0, "healthy\n")
                proxy.go_down()
                await agent.logged("configuration not fetched")
                await snapshot_when(database, lambda snapshot: snapshot["dealings"]["configuration"]["works"] is False)
                status, text = await command("health", database=database)
                assert status == 0
                assert "configuration fails" in text
                await agent.stop()
            status, text = await command("health", database=database)
            assert (status, "was stopped" in text) == (1, True)


async def test_history_shows_what_was_read_by_id_and_by_name(tmp_path: Path):
    database = tmp_path / "agent.db"
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, database)) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            await agent.stop()
    status, text = await command("history", "Device d0", database=database)
    assert status == 0
    assert len([line for line in text.splitlines() if line.startswith("counter (d0-s")]) == 5, text
    status, lines = await command("history", "d0", "--csv", database=database, TOWEROPS_AGENT_TOKEN="")
    delivered = {(reading.timestamp, f"{reading.value}") for reading in sandbox.store.readings("d0-s1")}
    shown = {tuple(line.split(",")[::3]) for line in lines.splitlines() if ",d0-s1," in line}
    assert delivered <= shown
    status, text = await command("history", "nobody", database=database)
    assert (status, "no device has the name or id nobody" in text) == (1, True)


async def test_sighup_fetches_the_configuration_at_once_and_sigusr1_logs_the_state(tmp_path: Path):
    """Without it the next fetch would be in five minutes; a device that the new configuration has is polled."""
    async with site(2) as config:
        first = {**config, "equipment": config["equipment"][:1]}
        sandbox = Sandbox(first, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")) as agent:
            await agent.logged("configuration applied")
            sandbox.store.set_config(config)
            agent.send(signal.SIGHUP)
            await agent.answered(2)
            agent.send(signal.SIGUSR1)
            await agent.logged("msg=state")
            assert await agent.stop() == 0
        assert sandbox.store.readings("d1-s0")


SIGNALLED_WHILE_IT_CLOSES = """
import asyncio
import os
import signal

from towerops_agent.buffer.writer import Writer
from towerops_agent.cli.main import main

stop = Writer.stop

async def stopping(self):
    stopped = asyncio.ensure_future(stop(self))
    await asyncio.sleep(0)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        os.kill(os.getpid(), number)
    for _ in range(100):  # turns of the loop, in which the signals are seen
        await asyncio.sleep(0)
    await stopped

Writer.stop = stopping
main()
"""


async def test_a_signal_while_the_database_is_being_closed_does_nothing(tmp_path: Path):
    """A reload of all services that stops some of them, and an operator who asks a slow one what it does."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url:
            env = environment(url, tmp_path / "agent.db")
            async with running(env=env, code=SIGNALLED_WHILE_IT_CLOSES) as agent:
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                assert await agent.stop() == 0
    assert "agent stopped" in agent.log
    assert "because of a bug" not in agent.log


async def test_systemd_is_notified_when_it_is_ready_alive_and_stopping(tmp_path: Path):
    """As sd_notify(3) has it, by the socket that systemd gives; the watchdog is fed while the loops move."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.bind(str(tmp_path / "notify"))
        loop = asyncio.get_running_loop()
        async with site(1) as config:
            sandbox = Sandbox(config, TOKEN)
            async with sandbox.serve() as url:
                given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000", "METRICS_LISTEN": "127.0.0.1:0"}
                env = environment(url, tmp_path / "agent.db", **given)
                async with running(env=env) as agent:
                    told = [await loop.sock_recv(manager, 100) for _ in range(3)]
                    assert sorted(set(told)) == [b"READY=1", b"WATCHDOG=1"]
                    loops = await loops_of(await agent.metrics_address())
                    assert loops == LOOPS | {"watchdog", "metrics"}, "these loops leave their marks too"
                    agent.send(signal.SIGTERM)
                    while told[-1] != b"STOPPING=1":
                        told.append(await loop.sock_recv(manager, 100))
                    assert await agent.ended() == 0


async def test_an_agent_whose_disk_is_full_is_degraded_and_not_dead(tmp_path: Path):
    """It answers from memory: Kubernetes must not kill what holds its polls there."""
    database = tmp_path / "agent.db"
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        env = environment("", database)
        async with sandbox.serve() as url, running(env={**env, "TOWEROPS_API_URL": url}) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            database.unlink()
            status, text = await command("health", database=database)
            assert status == 0, text
            status, text = await command("status", database=database)
            assert (status, "running for" in text) == (0, True)
            await agent.kill()
        status, text = await command("health", database=database)
        assert status == 1


async def test_devices_and_status_of_one_show_what_it_lacks_while_the_agent_runs_and_after(tmp_path: Path):
    """One device healthy, one dead, one that lacks a sensor: as the agent answers, and as it left them at its stop."""
    database = tmp_path / "agent.db"
    async with site(2) as config:
        config["equipment"].append(equipment("dead", port=9, community="another-secret-9"))
        config["equipment"][0]["sensors"][0]["oid"] = "1.3.6.1.4.1.99999.1.0"
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, database)) as agent:
            await agent.logged("device does not answer")
            await agent.logged("lacks some configured readings")
            status, text = await command("devices", database=database)
            assert (status, len(text.splitlines())) == (0, 4), text
            assert text.splitlines()[1].split()[:4] == ["down", "Device", "dead", "127.0.0.1:9"]
            _, lacking = await command("devices", "--lacking", "--json", database=database)
            _, one = await command("status", "--device", "Device d0", database=database)
            status, nobody = await command("status", "--device", "Device d9", database=database)
            assert (status, "no device has the name" in nobody) == (1, True)
            await agent.stop()
        _, after = await command("devices", "d0", "--json", database=database)
    (device,) = json.loads(lacking)
    assert (device["name"], device["state"], device["missing"]) == ("Device d0", "up", {"noSuchInstance": 1})
    assert lacking == json.dumps(json.loads(lacking), indent=2) + "\n"
    assert "lacks      1 value: not there (noSuchInstance)" in one
    warning, _, left = after.partition("\n")
    assert "the agent does not run: this is what it knew of its devices" in warning
    assert [device["name"] for device in json.loads(left)] == ["Device d0"]
    assert "another-secret-9" not in text + lacking + one + after
