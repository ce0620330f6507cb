"""`run --once`: one round, everything submitted, and an exit status that says how it went."""

import re
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.agent import TOKEN, committed_polls, environment, running
from support.site import METRICS_A_POLL, equipment, site
from towerops_agent.cli.main import cli
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox


async def test_one_round_of_all_devices_arrives_once_and_it_exits_with_0(tmp_path: Path):
    async with site(4) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 0, agent.log
        assert sandbox.store.metric_count == 4 * METRICS_A_POLL
        assert sandbox.store.duplicates() == {}


async def test_an_api_out_of_reach_is_reported_with_its_reason(tmp_path: Path):
    proxy = Proxy()
    async with proxy.serve("http://127.0.0.1:9") as url:
        proxy.go_down()
        async with running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
    assert f"no configuration from {url}" in agent.log
    assert "will retry" not in agent.log, "it does not"
    assert "Traceback" not in agent.log


async def test_a_refused_token_is_reported(tmp_path: Path):
    sandbox = Sandbox({}, "another-token")
    async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
        assert await agent.ended() == 1
    assert "the token is refused (401)" in agent.log


async def test_a_silent_device_is_reported_and_the_rest_is_delivered(tmp_path: Path):
    """Exit status 1, with the device and the reason; the other device's metrics are all there."""
    async with site(1) as config:
        config["equipment"].append(equipment("dead", port=9, community="wrong-community-77"))
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
        assert sandbox.store.metric_count == METRICS_A_POLL
    assert "Device dead (127.0.0.1:9) returned nothing: refused" in agent.log
    assert "wrong-community-77" not in agent.log


async def test_a_device_that_answers_and_gives_no_metric_is_reported(tmp_path: Path):
    """Its sensors are another model's: exit status 1, with what its values lack."""
    async with site(1) as config:
        other = {"id": "x", "type": "gauge", "oid": "1.3.6.1.4.1.424242.1.0", "divisor": 1, "unit": None, "metadata": None}
        config["equipment"][0]["sensors"], config["equipment"][0]["interfaces"] = [other], []
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
    assert "answers, but gave no metric: 1 noSuchObject" in agent.log


async def test_a_bad_item_of_the_configuration_costs_only_that_item(tmp_path: Path):
    """A sensor with no OID is refused by name; everything else of that device arrives."""
    async with site(1) as config:
        config["equipment"][0]["sensors"][0]["oid"] = "not an OID"
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
        assert sandbox.store.metric_count == METRICS_A_POLL - 1
    assert "d0-s0" in agent.log
    assert "not an OID" in agent.log


async def test_a_mistake_that_many_devices_share_is_one_line_and_all_of_them_are_counted(tmp_path: Path):
    async with site(1) as config:
        wrong = {"snmp": {"version": "7"}, "sensors": [], "interfaces": [], "ip_address": "127.0.0.1"}
        config["equipment"] += [{**wrong, "id": f"w{n}", "name": f"w{n}"} for n in range(1200)]
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
    problems = [line for line in agent.lines if line.startswith("towerops-agent: ")]
    assert len(problems) == 2
    assert re.fullmatch(r"towerops-agent: configuration: equipment w0 refused: .*'7'.* \(and 999 more alike\)", problems[0])
    assert problems[1] == "towerops-agent: and 200 more refused"
    assert "refused=1200 refused_unlogged=1150" in agent.log
    status = CliRunner().invoke(cli, ["status", "--database-path", str(tmp_path / "agent.db")]).output
    assert "1,200 refused:" in status
    assert "(and 99 more alike)" in status


async def test_bad_settings_are_reported_a_line_each_and_exit_with_2(tmp_path: Path):
    env = environment("ftp://x", tmp_path / "agent.db", CONFIG_REFRESH_SECONDS="soon", TOWEROPS_AGENT_TOKEN="")
    async with running(env=env) as agent:
        assert await agent.ended() == 2
    assert len(agent.lines) == 3
    assert "TOWEROPS_API_URL is 'ftp://x': expected https://" in agent.log
    assert "CONFIG_REFRESH_SECONDS is 'soon'" in agent.log
    assert "TOWEROPS_AGENT_TOKEN is not set" in agent.log


async def test_beside_a_setting_that_is_missing_stands_the_variable_that_is_nearly_it(tmp_path: Path):
    env = environment("", tmp_path / "agent.db", TOWEROPS_AGENT_TOKEN="", TOWEROPS_TOKEN="token-by-another-name", TOWEROPS_X="1")
    async with running(env=env) as agent:
        assert await agent.ended() == 2
    assert len(agent.lines) == 4
    assert "TOWEROPS_AGENT_TOKEN is not set" in agent.log
    assert agent.lines[2:] == [
        "towerops-agent: the variable TOWEROPS_TOKEN is not a setting, ignored: did you mean TOWEROPS_AGENT_TOKEN?",
        "towerops-agent: the variable TOWEROPS_X is not a setting, ignored",
    ]
    assert "token-by-another-name" not in agent.log


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


async def test_a_database_that_cannot_be_opened_is_a_problem_and_all_else_is_done(tmp_path: Path):
    """A directory is in its place."""
    (tmp_path / "agent.db").mkdir()
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, tmp_path / "agent.db")) as agent:
            assert await agent.ended() == 1
        assert sandbox.store.metric_count == METRICS_A_POLL
    assert re.search(rf"^towerops-agent: .*{tmp_path}/agent\.db", agent.log, re.MULTILINE), agent.log


async def test_status_and_health_know_of_a_single_run(tmp_path: Path):
    """As cron starts it: well at first, then with the API away."""
    database = tmp_path / "agent.db"
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", "--once", env=environment(url, database)) as agent:
            assert await agent.ended() == 0, agent.log
    done = f"1 device polled, {METRICS_A_POLL} metrics delivered"
    for command in ("status", "health"):
        result = CliRunner().invoke(cli, [command, "--database-path", str(database)])
        assert (result.exit_code, done in result.output) == (0, True), result.output
    async with running("run", "--once", env=environment("http://127.0.0.1:9", database)) as agent:
        assert await agent.ended() == 1
    for command, exit_code in (("status", 0), ("health", 1)):
        result = CliRunner().invoke(cli, [command, "--database-path", str(database)])
        assert (result.exit_code, "no configuration from http://127.0.0.1:9" in result.output) == (exit_code, True), result.output


LINGERING = """
import asyncio

from towerops_agent.scheduling.fleet import Fleet

poll_all_once = Fleet.poll_all_once


async def poll_and_stay(fleet):
    await poll_all_once(fleet)
    await asyncio.Event().wait()


Fleet.poll_all_once = poll_and_stay

from towerops_agent.cli.main import main

main()
"""
"""A single run of which the last device never comes to an end."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_it_and_what_was_polled_is_kept(tmp_path: Path, number: signal.Signals):
    """As when the machine is shut down: the next run delivers it."""
    async with site(1) as config:
        env = {"BUFFER_COMMIT_SECONDS": "60", "LOG_LEVEL": "debug"}
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url:
            env = environment(url, tmp_path / "agent.db", **env)
            async with running("run", "--once", env=env, code=LINGERING) as agent:
                await agent.answered()
                agent.send(number)
                assert await agent.ended() == 128 + number
            assert list(committed_polls(tmp_path / "agent.db").values()) == [METRICS_A_POLL]
    said = f"{number.name} before the run was done: what was polled by then waits in the database for the next one"
    assert agent.lines[-1] == f"towerops-agent: {said}"


async def test_a_single_run_started_by_nohup_outlives_its_terminal(tmp_path: Path):
    async with site(1) as config, Sandbox(config, TOKEN).serve() as url:
        env = environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")
        code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{LINGERING}"
        async with running("run", "--once", env=env, code=code) as agent:
            await agent.answered()
            agent.send(signal.SIGHUP)
            agent.send(signal.SIGTERM)
            assert await agent.ended() == 128 + signal.SIGTERM
    assert agent.lines[-1].startswith("towerops-agent: SIGTERM before the run was done")


STUBBORN = LINGERING.replace(
    "    await asyncio.Event().wait()",
    """    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            os.write(2, b"stays\\n")""",
).replace("import asyncio", "import asyncio, os")


async def test_a_second_signal_ends_a_single_run_at_once(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url:
            env = environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")
            async with running("run", "--once", env=env, code=STUBBORN) as agent:
                await agent.answered()
                agent.send(signal.SIGTERM)
                await agent.logged("stays")
                agent.send(signal.SIGTERM)
                assert await agent.ended() == 128 + signal.SIGTERM
