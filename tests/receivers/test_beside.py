"""The agent as a process, of the Towerops API, with destinations beside it: all have the same values, at the same times."""

import asyncio
import json
import sys
import time
from pathlib import Path

from support import otlp, prometheus
from support.agent import TOKEN, environment, running
from support.site import SENSORS, site
from towerops_agent.api.wire.contract import SensorReading
from towerops_lab.sandbox.server import Sandbox

SECRET = "secret-of-the-collector-71"


def write(folder: Path, prometheus_url: str, otlp_url: str) -> dict[str, str]:
    """The file of destinations; what it adds to the agent's environment."""
    (folder / "key").write_text(SECRET)
    (folder / "key").chmod(0o600)
    (folder / "destinations.yaml").write_text(
        f"destinations:\n  - {{remote_write: {prometheus_url}, name: p}}\n"
        f"  - {{otlp: {otlp_url}, name: o, labels: {{agent: a1}}, headers: {{X-Key_file: key}}}}\n"
    )
    return {"DESTINATIONS_PATH": str(folder / "destinations.yaml")}


def at_sandbox(sandbox: Sandbox) -> dict[tuple[str, str], list[tuple[str, float]]]:
    """By device and OID, the times in microseconds and the values."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for batch in sandbox.store.batches:
        for metric in batch.metrics:
            if isinstance(metric, SensorReading):
                device, _, number = metric.sensor_id.partition("-s")
                key = f"Device {device}", f".1.3.6.1.4.1.99999.1.{number}.0"
                found.setdefault(key, []).append((metric.timestamp, float(metric.value)))
    return {key: sorted(values) for key, values in found.items()}


def shown(time_ns: int) -> str:
    whole, micros = divmod(time_ns // 1000, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micros:06d}Z"


async def test_the_api_and_each_destination_have_the_same_values(tmp_path: Path):
    """Also what the API does not accept, the states of devices, goes to the destinations."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        with prometheus.running(tmp_path / "prometheus") as receiver, otlp.receiving() as collector:
            more = write(tmp_path, receiver.write_url, collector.url)
            async with sandbox.serve() as url:
                env = environment(url, tmp_path / "agent.db", **more)
                async with running(env=env) as agent:
                    while not (sandbox.store.batches and collector.received and samples(receiver)):
                        await asyncio.to_thread(time.sleep, 0.1)
                    assert await agent.stop() == 0, agent.log
            there = samples(receiver)
            ups = receiver.samples('{__name__="snmp_up"}', time.time() + 60, 3600)
    wanted = at_sandbox(sandbox)
    assert len(wanted) == 2 * SENSORS
    points = {
        (dict(labels)["device"], dict(labels)["index"]): [(shown(time_ns), value) for time_ns, value in sorted(values.items())]
        for labels, values in collector.points.items()
        if "sensor" in dict(labels)
    }
    assert points == wanted
    assert collector.bad == []
    assert {key: [value for _, value in values] for key, values in there.items()} == {
        key: [value for _, value in values] for key, values in wanted.items()
    }
    assert len(ups) == 2
    assert sandbox.store.statuses("d0") == ()
    assert sandbox.store.duplicates() == {}
    assert SECRET not in agent.log


def samples(receiver: prometheus.Prometheus) -> dict[tuple[str, str], list[tuple[int, float]]]:
    found = receiver.samples('{__name__="snmp_sensor"}', time.time() + 60, 3600)
    return {(dict(labels)["device"], dict(labels)["index"]): values for labels, values in found.items()}


async def test_what_status_shows_of_destinations_names_them(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        with otlp.receiving() as collector:
            more = write(tmp_path, "http://127.0.0.1:9/api/v1/write", collector.url)
            async with sandbox.serve() as url:
                env = environment(url, tmp_path / "agent.db", **more)
                async with running(env=env) as agent:
                    await agent.logged("destination does not accept metrics, will retry")
                    while not (sandbox.store.batches and collector.received):
                        await asyncio.to_thread(time.sleep, 0.1)
                    snapshot = await printed("status", "--json", env=env)
                    text = await printed("status", env=env)
                    health = await printed("health", env=env)
                    assert await agent.stop() == 0, agent.log
    state = json.loads(snapshot)["snapshot"]
    assert state["dealings"]["destination o"]["works"] is True
    assert state["dealings"]["destination p"]["works"] is False
    assert state["destinations"]["p"]["metrics"] > 0
    assert "destination p: fails for" in text
    assert "p: " in text.partition("destinations")[2]
    assert "degraded: destination p fails: " in health


async def test_a_destination_that_is_added_between_two_runs_gets_the_values(tmp_path: Path):
    """Under a configuration that did not change: the second run has it from the first, and the API's is the same."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        with otlp.receiving() as collector:
            async with sandbox.serve() as url:
                env = environment(url, tmp_path / "agent.db")
                async with running(env=env) as agent:
                    await agent.logged("configuration applied")
                    while not sandbox.store.batches:
                        await asyncio.to_thread(time.sleep, 0.1)
                    assert await agent.stop() == 0, agent.log
                (tmp_path / "destinations.yaml").write_text(f"destinations: [{{otlp: {collector.url}, name: o}}]\n")
                async with running(env={**env, "DESTINATIONS_PATH": str(tmp_path / "destinations.yaml")}) as agent:
                    while not collector.points and "metrics can't be delivered, dropped" not in agent.log:
                        await asyncio.to_thread(time.sleep, 0.1)
                    assert await agent.stop() == 0, agent.log
    assert len({dict(labels)["index"] for labels in collector.points if "sensor" in dict(labels)}) == SENSORS
    assert "unlabelled" not in agent.log


async def printed(*words: str, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "towerops_agent", *words, env=env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()
