"""The wall clock steps by hours, either way, under a running agent: polls go on as they were, nothing is lost, it is logged."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest
import structlog

from support.agent import TOKEN
from support.hang import HANG_S
from support.inside import polls_of, running
from support.site import METRICS_A_POLL, site
from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.counters import Count
from towerops_agent.telemetry.live_client import ask
from towerops_agent.telemetry.views.snapshot import decode_snapshot
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

HOUR_S = 3600
HOUR_NS = HOUR_S * 1_000_000_000


class WallClock:
    """The process's wall clock, which can be set."""

    def __init__(self, monkeypatch) -> None:
        self.step_ns = 0
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + self.step_ns)
        monkeypatch.setattr(time, "time", lambda: (real() + self.step_ns) / 1e9)
        self.true_s = lambda: real() / 1e9
        self.latest_us = lambda: (real() + max(self.step_ns, 0)) // 1000
        """A server's clock that none of the readings is ahead of: those before the step are not either."""


@pytest.fixture
def wall(monkeypatch):
    return WallClock(monkeypatch)


@pytest.mark.parametrize("hours", [-30, -3, 3, 30])
async def test_a_step_neither_stops_nor_bunches_polls_and_loses_nothing(tmp_path: Path, wall: WallClock, hours: int):
    """During an outage: what was polled before the step is delivered with what is polled after it, also beyond a day's step."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN, clock_us=wall.latest_us)
        outage = sandbox.faults.answer(503, path=METRICS_PATH)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await outage.met()
            await polls_of(agent, "d0", 1)
            due_s = agent.fleet.timetable.entry("d0").due_at
            wall.step_ns = hours * HOUR_NS
            await polls_of(agent, "d0", 3)
            assert asyncio.get_running_loop().time() >= due_s + 2, "three polls of one device are two intervals of a second apart"
            await agent.buffer.clean_up()
            outage.clear()
            await sandbox.store.wait_until(
                lambda store: store.metric_count > 0
            )  # a stop tries once: not beside an attempt that fails
            assert agent.counters.by_reason(Count.METRICS_EXPIRED) == {}
            assert agent.fleet.latest_s < HOUR_S
        assert agent.counters.total(Count.POLLS_SKIPPED) < HOUR_S, "a machine that stalls may cost some, the step none"
        assert sandbox.store.metric_count == agent.counters.get(Count.READINGS)
        assert sandbox.store.metric_count >= 5 * METRICS_A_POLL
        assert sandbox.store.duplicates() == {}


async def test_a_clock_that_differs_from_the_server_s_is_warned_of_once(tmp_path: Path, wall: WallClock):
    """And reported when it agrees again; the state is there for the status."""
    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve() as url, running(url, tmp_path) as agent:
        await sandbox.store.wait_until(lambda store: bool(store.exchanges))
        date = format_datetime(datetime.now(UTC), usegmt=True)
        sandbox.faults.answer(200, headers={"date": date}, body=sandbox.store.config_body, path=CONFIG_PATH)
        agent.upstream.source.now = lambda: datetime.now(UTC) + timedelta(microseconds=wall.step_ns / 1000)
        with structlog.testing.capture_logs() as lines:
            for hours in (0, 2, 2, 5, 0, 0):
                wall.step_ns = hours * HOUR_NS
                await agent.sync.fetch_once()
        told = [(line["log_level"], round(line["ahead_s"] / 3600)) for line in lines if "ahead_s" in line]
        assert told == [("warning", 2), ("info", 0)]
        assert agent.sync.clock_skew.is_wrong is False


@pytest.mark.parametrize("years", [-50, 50])
async def test_a_step_is_not_a_restart_of_every_device(tmp_path: Path, wall: WallClock, years: int):
    """A box without a clock of its own starts in 1970, and learns the time when the network is there: no device has restarted.

    Without interfaces, as counters that go on would show it too.
    """
    async with site(2) as config:
        for device in config["equipment"]:
            device["interfaces"] = []
        sandbox = Sandbox(config, TOKEN)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            with structlog.testing.capture_logs() as lines:
                await polls_of(agent, "d0", 2)
                wall.step_ns = years * 365 * 24 * HOUR_NS
                await polls_of(agent, "d0", 3)
    assert [line["event"] for line in lines if "restart" in line["event"]] == []


async def test_a_box_that_starts_in_1970_delivers_what_it_read_as_of_when_it_read_it(tmp_path: Path, wall: WallClock):
    """The clock is set after some polls, in an outage of the configuration's API; each reading then has its own right time."""
    real = time.time_ns
    wall.step_ns = -real()
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        dateless = sandbox.faults.answer(200, headers={"date": "nonsense"}, body=sandbox.store.config_body, path=CONFIG_PATH)
        began_s = time.clock_gettime(time.CLOCK_REALTIME)
        async with sandbox.serve() as url, running(url, tmp_path) as agent:
            await dateless.met()
            await polls_of(agent, "d0", 3)
            wall.step_ns = 0
            await polls_of(agent, "d0", 5)
        ended_s = time.clock_gettime(time.CLOCK_REALTIME)
        stamps = [datetime.fromisoformat(reading.timestamp).timestamp() for reading in sandbox.store.readings("d0-s0")]
        assert len(stamps) >= 5
        assert began_s - 1 <= min(stamps) <= max(stamps) <= ended_s + 1
        assert sandbox.store.metric_count == agent.counters.get(Count.READINGS)


async def test_the_configuration_works_for_as_long_as_it_does_though_the_clock_was_set(tmp_path: Path, wall: WallClock):
    """On a machine whose clock starts in the past: the first fetch is not older than the agent itself."""
    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve() as url, running(url, tmp_path) as agent:
        await sandbox.store.wait_until(lambda store: bool(store.exchanges))
        await agent.sync.fetch_once()
        wall.step_ns = 30 * HOUR_NS
        seen = decode_snapshot(await asyncio.to_thread(ask, str(tmp_path / "agent.db"), b"status") or b"")
        assert seen is not None
        works = seen.dealings["configuration"]
        for time_us in (works.since_us, works.last_success_us, seen.configuration.fetched_us):
            assert time_us is not None
            assert seen.started_us <= time_us <= seen.written_us


async def keep_configuration(url: str, folder: Path) -> None:
    """Run the agent until it has what it needs for a start without the API."""
    async with running(url, folder) as agent:
        await polls_of(agent, "d0", 1)
        while await agent.buffer.kept_config() is None:
            await agent.sync.fetch_once()


async def test_a_box_that_starts_hours_behind_delivers_what_it_read_as_of_when_it_read_it(
    tmp_path: Path, wall: WallClock, monkeypatch
):
    """Its uplink comes later, the agent is started twice meanwhile, and only the API shows the time."""
    monkeypatch.setattr("towerops_agent.agent.is_synced", lambda: False)
    async with site(1) as config:
        sandbox, proxy = Sandbox(config, TOKEN), Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            await keep_configuration(url, tmp_path)
            began_s, known = time.clock_gettime(time.CLOCK_REALTIME), len(sandbox.store.readings("d0-s0"))
            wall.step_ns = -5 * HOUR_NS
            proxy.go_down()
            async with running(url, tmp_path) as agent:
                await polls_of(agent, "d0", 2)
            async with running(url, tmp_path) as agent:
                agent.upstream.source.now = lambda: datetime.fromtimestamp(time.time(), UTC)
                await polls_of(agent, "d0", 2)
                date = {"date": formatdate(wall.true_s(), usegmt=True)}
                sandbox.faults.answer(200, headers=date, body=sandbox.store.config_body, path=CONFIG_PATH)
                proxy.come_up()
                await agent.reload()
                await sandbox.store.wait_until(lambda store: len(store.readings("d0-s0")) >= known + 4)
                wall.step_ns = 0  # NTP comes late
                await polls_of(agent, "d0", 2)
        ended_s = time.clock_gettime(time.CLOCK_REALTIME)
        stamps = [datetime.fromisoformat(reading.timestamp).timestamp() for reading in sandbox.store.readings("d0-s0")][known:]
        assert len(stamps) >= 6
        assert began_s - 2 <= min(stamps) <= max(stamps) <= ended_s + 2, "the API shows whole seconds"
        assert sandbox.store.duplicates() == {}
        with DatabaseReader(tmp_path / "agent.db") as reader:
            assert min(stored.poll.started_at_us for stored in reader.polls("d0", 0)) / 1e6 >= began_s - 60


async def test_destinations_beside_an_api_that_is_away_get_what_is_read_though_nothing_keeps_the_clock_right(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("towerops_agent.agent.is_synced", lambda: False)
    monkeypatch.setattr("towerops_agent.agent.API_WITHIN_S", 0.0)
    delivered = asyncio.Event()

    async def answer(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                if len(await reader.readexactly(length)) > 1:  # not the question for its time
                    delivered.set()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async with site(1) as config, await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        destinations = tmp_path / "destinations.yaml"
        destinations.write_text(f"destinations:\n  - name: p\n    remote_write: http://127.0.0.1:{port}/\n")
        sandbox, proxy = Sandbox(config, TOKEN), Proxy()
        async with sandbox.serve() as target, proxy.serve(target) as url:
            await keep_configuration(url, tmp_path)
            proxy.go_down()
            async with running(url, tmp_path, destinations):
                await asyncio.wait_for(delivered.wait(), HANG_S)
