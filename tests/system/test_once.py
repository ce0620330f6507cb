"""`run --once`: one round, everything submitted, and an exit status that tells."""

from pathlib import Path

from support.agent import TOKEN, environment, running
from support.site import METRICS_A_POLL, equipment, site
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox


async def test_one_round_of_all_devices_arrives_once_and_it_exits_with_0(tmp_path: Path):
    async with site(4) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 0, agent.log
        assert sandbox.store.metric_count == 4 * METRICS_A_POLL
        assert sandbox.store.duplicates() == {}


async def test_an_api_out_of_reach_is_told_with_its_reason(tmp_path: Path):
    proxy = Proxy()
    async with proxy.serve("http://127.0.0.1:9") as url:
        proxy.go_down()
        async with running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
    assert f"no configuration from {url}" in agent.log
    assert "will retry" not in agent.log, "it does not"
    assert "Traceback" not in agent.log


async def test_a_refused_token_is_told(tmp_path: Path):
    sandbox = Sandbox({}, "another-token")
    async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
        assert await agent.ended() == 1
    assert "the token is refused (401)" in agent.log


async def test_a_silent_device_is_told_and_the_rest_is_delivered(tmp_path: Path):
    """Exit status 1, with the device and the reason; the other device's metrics are all there."""
    async with site(1) as config:
        config["equipment"].append(equipment("dead", port=9, community="wrong-community-77"))
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
        assert sandbox.store.metric_count == METRICS_A_POLL
    assert "Device dead (127.0.0.1:9) returned nothing: timeout" in agent.log
    assert "wrong-community-77" not in agent.log


async def test_a_bad_item_of_the_configuration_costs_that_item_alone(tmp_path: Path):
    """A sensor with no OID is refused by name; everything else of that device arrives."""
    async with site(1) as config:
        config["equipment"][0]["sensors"][0]["oid"] = "not an OID"
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
        assert sandbox.store.metric_count == METRICS_A_POLL - 1
    assert "d0-s0" in agent.log
    assert "not an OID" in agent.log


async def test_bad_settings_are_told_a_line_each_and_exit_with_2(tmp_path: Path):
    env = environment("ftp://x", tmp_path / "agent.db", CONFIG_REFRESH_SECONDS="soon", TOWEROPS_AGENT_TOKEN="")
    async with running(env=env) as agent:
        assert await agent.ended() == 2
    assert len(agent.lines) == 3
    assert "TOWEROPS_API_URL is 'ftp://x': expected https://" in agent.log
    assert "CONFIG_REFRESH_SECONDS is 'soon'" in agent.log
    assert "TOWEROPS_AGENT_TOKEN is not set" in agent.log


async def test_a_token_on_the_command_line_works_with_a_warning(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        env = environment("https://overruled.example", tmp_path / "agent.db", TOWEROPS_AGENT_TOKEN="")
        async with sandbox.serve() as url, running("run", "--once", "--token", TOKEN, "--api-url", url, env=env) as agent:
            assert await agent.ended() == 0, agent.log
    assert "--token can be read by other users" in agent.log
    assert TOKEN not in agent.log


async def test_a_variable_that_is_nearly_a_setting_is_warned_of_without_its_value(tmp_path: Path):
    """With options before no command, which is `run`."""
    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve() as url:
        env = environment(url, tmp_path / "agent.db", LOG_LVL="debug-7c", TOWEROPS_AGENT_PORT="tcp://10.0.0.1:80")
        async with running("--log-level", "WARN", "--once", env=env) as agent:
            assert await agent.ended() == 0, agent.log
    assert 'msg="variable is not a setting, ignored" variable=LOG_LVL meant=LOG_LEVEL' in agent.log
    assert "debug-7c" not in agent.log
    assert "TOWEROPS_AGENT_PORT" not in agent.log, "it is Kubernetes'"
