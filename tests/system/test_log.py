"""The log of a full run at info: calm, complete, without a secret. What happens once is logged once, whoever sees it."""

import json
import re
import signal
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from support.agent import TOKEN, UNHURRIED, AgentProcess, environment, running
from support.site import COMMUNITY, Radio, equipment, site
from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.server import serve

NEW_TOKEN = "second-token-of-the-agent-b204"
WRONG_COMMUNITY = "wrong-community-77e1"
SECRETS = (TOKEN, NEW_TOKEN, COMMUNITY, WRONG_COMMUNITY)

HASTY = (
    """
from towerops_agent.config import sync as config_sync
from towerops_agent.delivery import courier, heartbeat

config_sync.FIRST_RETRY_S = 0.5
courier.Courier.__init__.__kwdefaults__["interval_s"] = 0.5
heartbeat.INTERVAL_S = 0.5
"""
    + UNHURRIED
)
"""The agent with half seconds for its half minutes and minutes; how it deals with devices is as it is."""

DOWN = "device does not answer, will be probed once each interval"
WELL = "device has recovered"
LEVELS = {
    "agent started": "info",
    "configuration item refused, the rest is used": "warning",
    "configuration applied": "info",
    "API accepts metrics": "info",
    DOWN: "warning",
    WELL: "info",
    "configuration not fetched, will retry": "warning",
    "batch not delivered, will retry": "warning",
    "heartbeat not accepted, will retry": "warning",
    "configuration fetched again": "info",
    "heartbeats are accepted again": "info",
    "reloading token, certificates and configuration": "info",
    "token file holds a new token, in use from now on": "info",
    "state": "info",
    "agent stopping, submitting what is pending": "info",
    "agent stopped": "info",
}
"""All that may be logged in this run."""


def parse(line: str) -> dict[str, str]:
    """One line, logfmt or JSON, as field -> text. Fails if it is neither, or names a field twice."""
    if line.startswith("{"):
        return {name: str(value) for name, value in json.loads(line).items()}
    pairs = re.findall(r'([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)', line)
    assert " ".join(f"{name}={value}" for name, value in pairs) == line, f"no logfmt: {line}"
    assert len(dict(pairs)) == len(pairs)
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


class Reader:
    """Reads a running agent's log chapter by chapter."""

    def __init__(self, agent: AgentProcess) -> None:
        self._agent = agent
        self._read = 0

    def _news(self) -> Counter[str]:
        """The messages since the last chapter, each with its device if it is about one."""
        lines = [parse(line) for line in self._agent.lines[self._read :]]
        return Counter(" · ".join(filter(None, (line["msg"], line.get("device")))) for line in lines if line["msg"] != "state")

    async def chapter(self, *messages: str) -> None:
        """These messages have been logged since the last chapter, and nothing else: waits for those that are still to come."""
        wanted = Counter(messages)
        await self._agent.until(lambda: wanted <= self._news(), str(wanted))
        assert self._news() == wanted, "\n".join(self._agent.lines[self._read :])
        self._read = len(self._agent.lines)


async def a_round(sandbox: Sandbox) -> None:
    """Return when each loop has ended a request more: what it sends from now on, it begins with what it knows now."""
    before = Counter(exchange.path for exchange in sandbox.store.exchanges)
    for path in (METRICS_PATH, HEARTBEAT_PATH):
        await sandbox.store.wait_until(lambda store, path=path: sum(it.path == path for it in store.exchanges) > before[path])


async def test_a_full_run_is_reported_line_by_line_and_no_line_more(tmp_path: Path):
    """A dead device that comes back, a wrong community, a refused sensor, an outage, a new token: from the start to the stop."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    flaky, wrong = Radio(), Radio()
    flaky.is_on = False
    async with site(2) as config, serve(flaky.answer) as flaky_port, serve(wrong.answer) as wrong_port:
        config["equipment"] += [equipment("flaky", flaky_port), equipment("wrong", wrong_port, community=WRONG_COMMUNITY)]
        config["equipment"][1]["sensors"][0]["oid"] = "bad"
        sandbox = Sandbox(config, TOKEN)
        sandbox.store.tokens.add(NEW_TOKEN)
        env = environment("", tmp_path / "agent.db", CONFIG_REFRESH_SECONDS="5")
        env |= {"TOWEROPS_AGENT_TOKEN": "", "TOWEROPS_AGENT_TOKEN_FILE": str(tmp_path / "token")}
        async with sandbox.serve() as url, running(env=env | {"TOWEROPS_API_URL": url}, code=HASTY) as agent:
            reader = Reader(agent)

            await agent.logged(DOWN, times=2)
            await sandbox.store.wait_until(lambda store: len(store.readings("d0-s0")) >= 3 and len(store.heartbeats) >= 2)
            await wrong.asked(3)
            await reader.chapter(
                "agent started",
                "configuration item refused, the rest is used",
                "configuration applied",
                "API accepts metrics",
                f"{DOWN} · Device flaky",
                f"{DOWN} · Device wrong",
            )

            flaky.is_on = True
            await sandbox.store.wait_until(lambda store: len(store.readings("flaky-s0")) >= 2)
            await reader.chapter(f"{WELL} · Device flaky")

            outage = [sandbox.faults.answer(503, path=path) for path in (CONFIG_PATH, METRICS_PATH, HEARTBEAT_PATH)]
            for fault in outage:
                await fault.met(2)
            await reader.chapter(
                "configuration not fetched, will retry", "batch not delivered, will retry", "heartbeat not accepted, will retry"
            )

            sandbox.faults.clear()
            for message in ("configuration fetched again", "heartbeats are accepted again"):
                await agent.logged(message)
            await agent.logged("API accepts metrics", times=2)
            await reader.chapter("configuration fetched again", "heartbeats are accepted again", "API accepts metrics")

            (tmp_path / "token").write_text(f"{NEW_TOKEN}\n")
            sandbox.store.set_config(config | {"version": "2"})
            agent.send(signal.SIGHUP)
            await agent.logged("configuration applied", times=2)
            await a_round(sandbox)  # no request is under way with the token before
            sandbox.store.tokens.discard(TOKEN)
            await a_round(sandbox)
            await reader.chapter(
                "reloading token, certificates and configuration",
                "token file holds a new token, in use from now on",
                "configuration applied",
            )

            agent.send(signal.SIGUSR1)
            await agent.logged(f"(pid {agent.pid})")
            assert await agent.stop() == 0
            await reader.chapter("agent stopping, submitting what is pending", "agent stopped")
    check([parse(line) for line in agent.lines], agent.log)


def check(lines: list[Mapping[str, str]], text: str) -> None:
    """What holds for each line."""
    moments = [datetime.fromisoformat(line["time"]) for line in lines]
    assert moments == sorted(moments)
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert all(list(line)[:3] == ["time", "level", "msg"] for line in lines)
    assert {(line["msg"], line["level"]) for line in lines} == set(LEVELS.items())
    of_devices = [line for line in lines if line["msg"].startswith("device ")]
    assert all(line["device"].startswith("Device ") and re.fullmatch(r"127\.0\.0\.1:\d+", line["address"]) for line in of_devices)
    assert {line["reason"] for line in of_devices if line["msg"] == DOWN} == {"timeout"}
    assert [line["reason_before"] for line in of_devices if line["msg"] == WELL] == ["timeout"]
    (refused,) = [line for line in lines if "refused, the rest is used" in line["msg"]]
    assert (refused["equipment"], refused["item"]) == ("Device d1", "d1-s0")
    outage = [line for line in lines if line["msg"].endswith("will retry")]
    assert {line["status"] for line in outage} == {"503"}
    assert lines[-1]["msg"] == "agent stopped"
    assert lines[-1]["pending_kept"] == "0"
    state = [i for i, line in enumerate(lines) if line["msg"] == "state"]
    assert state == list(range(state[0], state[-1] + 1)), "in one piece"
    assert "3 up, 0 degraded, 1 down" in "".join(lines[i]["line"] for i in state)
    assert not [secret for secret in SECRETS if secret in text]
    assert "Traceback" not in text


async def test_as_json_each_line_is_one_object_with_the_same_fields(tmp_path: Path):
    """Numbers are numbers there, and what a line is about is as in logfmt."""
    async with site(1) as config:
        config["equipment"][0]["sensors"][0]["oid"] = "bad"
        sandbox = Sandbox(config, TOKEN)
        env = environment("", tmp_path / "agent.db", LOG_FORMAT="json")
        async with sandbox.serve() as url, running(env={**env, "TOWEROPS_API_URL": url}, code=UNHURRIED) as agent:
            await agent.logged("API accepts metrics")
            assert await agent.stop() == 0
    lines = [json.loads(line) for line in agent.lines]
    assert [line["msg"] for line in lines] == [
        "agent started",
        "configuration item refused, the rest is used",
        "configuration applied",
        "API accepts metrics",
        "agent stopping, submitting what is pending",
        "agent stopped",
    ]
    assert all(line["level"] == LEVELS[line["msg"]] for line in lines)
    assert (lines[1]["equipment"], lines[1]["item"], lines[-1]["pending_kept"]) == ("Device d0", "d0-s0", 0)
    assert [parse(line)["time"] for line in agent.lines] == sorted(line["time"] for line in lines)


async def test_nothing_but_errors_is_reported_at_error_and_the_start_is_silent_then(tmp_path: Path):
    """LOG_LEVEL=error: a run in which nothing goes wrong leaves an empty log."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db", LOG_LEVEL="error")) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0 and bool(store.heartbeats))
            assert await agent.stop() == 0
    assert agent.log == ""
