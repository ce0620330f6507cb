"""The agent as a process, a site file, a real Prometheus: a value's labels. test_answered.py has which values are there."""

import asyncio
import time
from pathlib import Path

from support import prometheus
from support.agent import environment, running
from support.site import COMMUNITY, SENSORS, site


def write(path: Path, config: dict, receiver: prometheus.Prometheus) -> dict[str, str]:
    """A site file of the devices of `config`; the agent's environment."""
    lines = [f"credentials: {{a: {{community: {COMMUNITY}}}}}", "defaults: {credentials: a, interval: 1}", "devices:"]
    items = ", ".join(f"{{name: s{n}, oid: 1.3.6.1.4.1.99999.1.{n}.0}}" for n in range(SENSORS))
    for device in config["equipment"]:
        port = device["snmp"]["port"]
        lines.append(
            f"  - {{address: 127.0.0.1, port: {port}, name: {device['name']}, sensors: [{items}], interfaces: [{{index: 1}}]}}"
        )
    lines.append(f"destinations: [{{remote_write: {receiver.write_url}, name: p, labels: {{agent: a1}}}}]")
    path.write_text("\n".join(lines))
    given = environment("", path.with_name("agent.db"), SITE_PATH=str(path))
    return {name: value for name, value in given.items() if name not in ("TOWEROPS_API_URL", "TOWEROPS_AGENT_TOKEN")}


def delivered(receiver: prometheus.Prometheus, metric: str = "snmp_sensor") -> dict[prometheus.Labels, list[tuple[int, float]]]:
    return receiver.samples(f'{{__name__="{metric}"}}', time.time() + 60, 3600)


async def until(condition) -> None:
    """Return once the Prometheus has it."""
    while not await asyncio.to_thread(condition):
        await asyncio.to_thread(time.sleep, 0.1)


async def test_values_arrive_with_their_labels_and_a_device_is_up(tmp_path: Path):
    async with site(1) as config:
        with prometheus.running(tmp_path / "prometheus") as receiver:
            env = write(tmp_path / "site.yaml", config, receiver)
            async with running(env=env) as agent:
                await until(lambda: delivered(receiver))
                assert await agent.stop() == 0
            series = [dict(labels) for labels in delivered(receiver)]
            (up,) = delivered(receiver, "snmp_up").values()
            octets = delivered(receiver, "snmp_interface_in_octets_total")
    assert {one["sensor"] for one in series} == {f"s{n}" for n in range(SENSORS)}
    assert {(one["device"], one["agent"]) for one in series} == {("Device d0", "a1")}
    assert {value for _, value in up} == {1.0}
    assert [dict(labels)["ifIndex"] for labels in octets] == ["1"]
    assert COMMUNITY not in agent.log
