"""A running agent discovers its devices: `profile: auto` in a site file, and not one OID."""

import json
import time
from pathlib import Path

from support.agent import running
from support.site import command, site_environment
from towerops_lab.simulator.fleet import FIRST_ADDRESS, FleetServer, make_fleet
from towerops_lab.simulator.profiles import PROFILES

COMMUNITY = "tower-community-51d2"


async def test_devices_are_discovered_polled_shown_and_known_after_a_restart(tmp_path: Path):
    path = tmp_path / "site.yaml"
    stations = make_fleet([PROFILES["mikrotik"], PROFILES["airmax"]], 2, COMMUNITY, time.time())
    async with FleetServer(stations).serve() as port:
        path.write_text(
            f"credentials: {{radios: {{community_env: RADIO_COMMUNITY}}}}\n"
            f"defaults: {{credentials: radios, interval: 1, port: {port}, profile: auto}}\n"
            f"devices: [{{address: {FIRST_ADDRESS}, name: router}}, {{address: {FIRST_ADDRESS + 1}, name: radio}}]\n"
        )
        env = site_environment(path, tmp_path / "agent.db", RADIO_COMMUNITY=COMMUNITY, LOG_LEVEL="info")
        before = await command("doctor", "--device", "router", "--json", env=env)
        async with running(env=env) as agent:
            await agent.logged("device is discovered", 2)
            await agent.until(lambda: sum("configuration applied" in line for line in agent.lines) >= 2, "what was found")
            while "signal" not in (history := await command("history", "radio", env=env))[1]:
                pass
            status = await command("status", env=env)
            shown = await command("config", "show", "router", env=env)
            same = await command("config", "diff", env=env)
            assert await agent.stop() == 0
        async with running(env=env) as agent:
            await agent.logged("configuration applied")
            while not json.loads((await command("status", "--json", env=env))[1])["snapshot"]["counters"].get("readings"):
                pass
            (first,) = json.loads((await command("devices", "router", "--json", env=env))[1])
            doctor = await command("doctor", "--device", "router", "--json", env=env)
            assert await agent.stop() == 0
            assert "device is discovered" not in agent.log
    assert "2 of 2 devices discovered" in status[1], status[1]
    (router,) = json.loads(shown[1])
    assert {"ether1"} <= {interface.get("if_name") for interface in router["interfaces"]}
    assert (first["sensors"], first["interfaces"]) == (len(router["sensors"]), len(router["interfaces"]))
    assert first["sensors"] > 5
    (undiscovered,), (examined,) = json.loads(before[1])["checks"], json.loads(doctor[1])["checks"]
    assert "its profile is auto, and nothing that was discovered of it is in the database" in undiscovered["found"]
    assert (undiscovered["result"], "a running agent discovers it" in undiscovered["hint"]) == ("warning", True)
    assert f"all {first['sensors'] + first['interfaces']} can be read" in examined["found"], examined
    assert same == (0, "no difference\n")
    assert COMMUNITY not in "".join((agent.log, history[1], status[1], shown[1]))
    assert COMMUNITY.encode() not in (tmp_path / "agent.db").read_bytes()
