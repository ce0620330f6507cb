"""The agent as a process, against simulated devices and the sandbox: `run`, its loops, its stop."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.agent import TOKEN, UNHURRIED, committed_polls, environment, output_of, running
from support.hang import HANG_S
from support.site import COMMUNITY, site
from towerops_agent import __version__
from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.sandbox.store import Store


def all_of_each_device(store: Store, config: dict[str, Any]) -> bool:
    """Whether each sensor and each interface of the configuration has arrived."""
    return all(
        all(store.readings(sensor["id"]) for sensor in device["sensors"])
        and all(store.records.of("interface_stat", interface["id"]) for interface in device["interfaces"])
        for device in config["equipment"]
    )


async def test_values_and_a_heartbeat_arrive_and_sigterm_ends_it_well(tmp_path: Path):
    """All metrics of each device arrive, a heartbeat with the version too; SIGTERM submits what is pending and exits with 0."""
    async with site(3) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db"), code=UNHURRIED) as agent:
            await sandbox.store.wait_until(lambda store: bool(store.heartbeats) and all_of_each_device(store, config))
            assert await agent.stop() == 0, agent.log
        assert sandbox.store.heartbeats[0].version == __version__
        assert sandbox.store.duplicates() == {}
        assert (tmp_path / "agent.db").stat().st_mode & 0o777 == 0o600
    assert 'msg="agent stopped"' in agent.log
    assert "pending_kept=0" in agent.log


async def test_sigint_stops_it_as_sigterm_does(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running("run", env=environment(url, tmp_path / "agent.db")) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            agent.send(signal.SIGINT)
            assert await agent.ended() == 0


async def test_the_stop_submits_what_was_polled_since_the_last_delivery(tmp_path: Path):
    """All that is in the buffer at SIGTERM is at the server at the exit: the 30 s to the next delivery are not waited for."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        env = environment("", tmp_path / "a.db", LOG_LEVEL="debug")
        async with sandbox.serve() as url, running(env={**env, "TOWEROPS_API_URL": url}, code=UNHURRIED) as agent:
            await sandbox.store.wait_until(lambda store: len(store.batches) >= 1)
            before = sandbox.store.metric_count
            await agent.answered(2)
            assert await agent.stop() == 0
            assert sandbox.store.metric_count >= before
        assert "pending_kept=0" in agent.log


async def test_a_second_signal_exits_at_once(tmp_path: Path):
    """The first stop hangs in a delivery that is never answered; the second does not wait for it."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db")) as agent:
            hold = sandbox.faults.hold(path="/api/v1/agent/metrics")
            await hold.met()
            agent.send(signal.SIGTERM)
            await agent.logged("agent stopping")
            agent.send(signal.SIGTERM)
            assert await agent.ended() == 128 + signal.SIGTERM


async def test_a_stop_with_the_api_away_keeps_what_is_pending(tmp_path: Path):
    """With nobody to submit to, the stop ends by itself within its limit, and says what is kept."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with (
            sandbox.serve() as target,
            proxy.serve(target) as url,
            running(env=environment(url, tmp_path / "agent.db", CONFIG_REFRESH_SECONDS="5")) as agent,
        ):
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            proxy.go_down()
            await agent.logged("configuration not fetched")
            assert await agent.stop() == 0
    assert 'msg="agent stopped"' in agent.log


PATIENT = f"""
from towerops_agent.api import client

client.ANSWER_WITHIN_S = client.CONFIG_WITHIN_S = {2 * HANG_S}
client.ApiClient.__init__.__kwdefaults__["read_timeout_s"] = {2 * HANG_S}

from towerops_agent.cli.main import main

main()
"""
"""The agent, which waits for an answer of the API longer than the test does: only the stop's own limit ends that."""


async def test_a_stop_ends_although_the_api_hangs_and_keeps_what_is_pending(tmp_path: Path):
    """The API accepts requests and answers none: of the configuration, of metrics, of the heartbeat. What it has not acknowledged
    is on the disk, as many metrics as the log says, and the next agent delivers it, once."""
    database = tmp_path / "agent.db"
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url:
            env = environment(url, database, CONFIG_REFRESH_SECONDS="5")
            hanging = [sandbox.faults.hold(path=path) for path in (METRICS_PATH, HEARTBEAT_PATH)]
            async with running(env=env, code=PATIENT) as first, asyncio.timeout(HANG_S):
                for hold in hanging:
                    await hold.met()
                await sandbox.faults.hold(path=CONFIG_PATH).met()
                assert await first.stop() == 0, first.log
            (stopped,) = [line for line in first.lines if 'msg="agent stopped"' in line]
            kept = sum(committed_polls(database).values())
            assert kept > 0
            assert f"pending_kept={kept}" in stopped.split()
            assert sandbox.store.metric_count == 0
            sandbox.faults.clear()
            async with running(env=env, code=UNHURRIED) as second:
                await sandbox.store.wait_until(lambda store: store.metric_count > kept)
                assert await second.stop() == 0, second.log
        assert sandbox.store.duplicates() == {}
        assert sandbox.store.metric_count == sum(committed_polls(database).values())


async def test_a_restart_during_an_outage_polls_by_the_kept_configuration(tmp_path: Path):
    """The second agent has never reached the API, polls all the same, and delivers when the API is there."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        proxy = Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            env = environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")
            async with running(env=env) as first:
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                await first.stop()
            proxy.go_down()
            before = sandbox.store.metric_count
            async with running(env=env) as second:
                await second.logged("configuration not fetched")
                assert "2 devices, kept from before" in await output_of("status", env=env)
                await second.answered(2)
                assert sandbox.store.metric_count == before
                proxy.come_up()
                await sandbox.store.wait_until(lambda store: store.metric_count > before)
                await second.stop()
        assert sandbox.store.duplicates() == {}


async def test_nothing_secret_is_logged_or_left_in_the_clear(tmp_path: Path):
    """Neither the token nor a community is in the log at debug level, in the process's arguments, or in the files."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db", LOG_LEVEL="debug")) as agent:
            await sandbox.store.wait_until(lambda store: bool(store.heartbeats) and store.metric_count > 0)
            arguments = await asyncio.to_thread(Path(f"/proc/{agent.pid}/cmdline").read_bytes)
            files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
            await agent.stop()
    for secret in (TOKEN, COMMUNITY):
        assert secret not in agent.log
        assert secret.encode() not in arguments
        assert secret.encode() not in files
        assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_two_agents_on_one_database_are_one_too_many(tmp_path: Path):
    """The second one says so, and exits with 1; the first goes on."""
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(env=environment(url, tmp_path / "agent.db")) as first:
            await first.logged("agent started")
            async with running(env=environment(url, tmp_path / "agent.db")) as second:
                assert await second.ended() == 1
                assert "agent.db" in second.log
                assert "Traceback" not in second.log
            assert await first.stop() == 0


FEW_FILES = """
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from towerops_agent.cli.main import main

main()
"""


async def test_too_few_file_descriptors_are_one_line_and_an_exit(tmp_path: Path):
    async with running(
        "run", env=environment("http://127.0.0.1:1", tmp_path / "a.db"), code=FEW_FILES.format(soft=20, hard=20)
    ) as agent:
        assert await agent.ended() == 2
    assert agent.lines == [
        "towerops-agent: only 20 files may be open at once: expected 32 or more; see ulimit -n, or LimitNOFILE="
    ]


LITTLE_MEMORY = """
import resource
from pathlib import Path

import towerops_agent.agent, towerops_agent.cli.process
from towerops_agent.__main__ import main

(taken,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, ((taken << 10) + ({left_mb} << 20),) * 2)
main()
"""


@pytest.mark.parametrize("left_mb", [1, 10])
async def test_too_little_memory_is_one_line_and_an_exit(tmp_path: Path, left_mb: int):
    """Not enough for a thread's stack, or for the second's."""
    env = environment("http://127.0.0.1:1", tmp_path / "agent.db")
    async with running(env=env, code=LITTLE_MEMORY.format(left_mb=left_mb)) as agent:
        assert await agent.ended() == 1
    assert agent.lines == ["towerops-agent: out of memory; what is in the database stays there: give it more, or fewer devices"]


def test_an_agent_of_the_api_loads_nothing_of_site_files_and_destinations():
    code = "import sys, towerops_agent.agent; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = ("yaml", "click", "prometheus_client", "towerops_agent.site", "towerops_agent.destinations", "towerops_agent.doctor")
    assert [name for name in loaded if name.startswith(heavy)] == []


async def test_a_low_limit_that_may_be_raised_is_raised(tmp_path: Path):
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        code = FEW_FILES.format(soft=20, hard=4096)
        async with sandbox.serve() as url, running("run", env=environment(url, tmp_path / "a.db"), code=code) as agent:
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            limits = Path(f"/proc/{agent.pid}/limits").read_text()
            assert await agent.stop() == 0
    assert next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files")) == "4096"


async def test_the_least_number_of_file_descriptors_is_enough(tmp_path: Path):
    async with site(3) as config:
        sandbox = Sandbox(config, TOKEN)
        code = FEW_FILES.format(soft=32, hard=32)
        async with sandbox.serve() as url, running("run", env=environment(url, tmp_path / "a.db"), code=code) as agent:
            await sandbox.store.wait_until(lambda store: all(store.readings(f"d{i}-s0") for i in range(3)))
            assert await agent.stop() == 0
    assert "Too many open files" not in agent.log


DEAD_NAME_SERVER = """
import socket, sys, threading

known = socket.getaddrinfo

def getaddrinfo(host, *more, **options):
    if host not in ("api.example", b"api.example"):
        return known(host, *more, **options)
    print("asked by a daemon" if threading.current_thread().daemon else "asked by a thread that is waited for", file=sys.stderr)
    if not threading.current_thread().daemon:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    threading.Event().wait()

socket.getaddrinfo = getaddrinfo

from towerops_agent.cli.main import main

main()
"""
"""The agent on a machine whose name server never answers; a thread for which the end would wait is spared that."""


async def test_a_name_server_that_does_not_answer_holds_up_no_stop(tmp_path: Path):
    async with running("run", env=environment("https://api.example", tmp_path / "agent.db"), code=DEAD_NAME_SERVER) as agent:
        await agent.logged("asked by")
        assert await agent.stop() == 0
    assert "asked by a thread" not in agent.log
