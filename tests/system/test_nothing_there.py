"""A radio whose link drops says -100 dBm in place of a level: no reading, but one that is missing with its reason."""

import csv
import json
from pathlib import Path
from typing import Any

from support.agent import running
from support.site import command, site_environment
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.simulator.device import SimulatedDevice, table
from towerops_lab.simulator.server import serve

COMMUNITY = "link-community-83d0"
MIMOSA = "1.3.6.1.4.1.43356"
LEVEL = f"{MIMOSA}.2.1.2.6.1.1.3.1"
TEMPERATURE = f"{MIMOSA}.2.1.2.1.8.0"
NOTHING = -1000


class Radio:
    """A Mimosa with a level in tenths of a dBm, and a temperature that nothing befalls."""

    def __init__(self) -> None:
        self.level = -548
        self.device = SimulatedDevice(
            table(
                [
                    (parse_oid("1.3.6.1.2.1.1.2.0"), ber.OBJECT_IDENTIFIER, parse_oid(f"{MIMOSA}.1.1.1")),
                    (parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, lambda uptime_s: int(uptime_s * 100)),
                    (parse_oid(TEMPERATURE), ber.INTEGER, 412),
                    (parse_oid(LEVEL), ber.INTEGER, lambda _uptime_s: self.level),
                ]
            ),
            COMMUNITY.encode(),
        )


async def missing(env: dict[str, str]) -> dict[str, int]:
    status, out = await command("status", "--json", env=env)
    counters: dict[str, dict[str, int]] = json.loads(out)["snapshot"]["counters"] if status in (0, 1) else {}
    return counters.get("readings_missing", {})


async def levels(device: str, env: dict[str, str]) -> list[float]:
    """The levels that are stored."""
    _, out = await command("history", device, "--csv", env=env)
    rows: list[dict[str, Any]] = list(csv.DictReader(out.splitlines()))
    return [float(row["value"]) for row in rows if "level" in row["name"] or "chain rx power" in row["name"]]


async def test_a_level_that_means_nothing_is_missing_until_the_link_is_back(tmp_path: Path):
    """Both of a device that was discovered, over a restart of the agent too, and of one whose site file says `skip`."""
    path, radio = tmp_path / "site.yaml", Radio()
    async with serve(radio.device) as found, serve(radio.device) as written:
        path.write_text(
            "credentials: {radios: {community_env: RADIO_COMMUNITY}}\n"
            "defaults: {credentials: radios, interval: 1}\n"
            f"devices:\n  - {{address: 127.0.0.1, port: {found}, name: found, profile: auto}}\n"
            f"  - {{address: 127.0.0.1, port: {written}, name: written, sensors: "
            f"[{{name: level, oid: {LEVEL}, divisor: 10, skip: {NOTHING}}}]}}\n"
        )
        env = site_environment(path, tmp_path / "agent.db", RADIO_COMMUNITY=COMMUNITY, LOG_LEVEL="info")
        async with running(env=env) as agent:
            await agent.logged("device is discovered")
            while not (await levels("found", env) and await levels("written", env)):
                pass
            assert "nothing_there" not in await missing(env)
            radio.level = NOTHING
            while (await missing(env)).get("nothing_there", 0) < 4:
                pass
            _, doctor = await command("doctor", env=env)
            _, devices = await command("devices", "found", env=env)
            assert await agent.stop() == 0
        async with running(env=env) as agent:
            while (await missing(env)).get("nothing_there", 0) < 4:
                pass
            radio.level = -501
            while not all(level[-1] == -50.1 for level in (await levels("found", env), await levels("written", env))):
                pass
            assert await agent.stop() == 0
            assert "device is discovered" not in agent.log
        for device in ("found", "written"):
            assert set(await levels(device, env)) == {-54.8, -50.1}
    assert "a number by which the device says that there is nothing to read" in doctor, doctor
    assert "degraded" not in devices, devices
    assert "nothing_there" in devices, devices
