"""Config sync, buffer, courier and client against the sandbox: each row of the answers' table, from end to end."""

import asyncio
import time
from pathlib import Path

import pytest

from contract.scripted_server import ScriptedServer, answer
from support.hang import HANG_S
from support.patience import Patience
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH, Accepts
from towerops_agent.api.wire.outcomes import ConfigFetched, NotModified, Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.config.kept import seal, unseal
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Count, Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.heartbeat import HeartbeatLoop
from towerops_agent.model import Layout, Poll, Secret
from towerops_lab.sandbox.server import Sandbox

TOKEN = Secret("sandbox-token")
LAYOUT = Layout("e1", tuple((f"s{n}", 10.0) for n in range(20)), ("i1", "i2"))
BAD = Layout("e2", (("bad", 10.0),))
CONFIG = {"version": "1", "equipment": [{"id": "e1", "ip_address": "10.0.0.1", "snmp": {"community": "s3cret"}}]}
NOW, LATER = "Fri, 09 Jan 2026 19:22:15 GMT", "Fri, 09 Jan 2026 19:23:45 GMT"
ACCEPTS = Accepts(content_encodings=["gzip"], max_metrics=50)


class Impatient:
    """An ApiClient for the courier. A request that the fault `held` will meet is given up after a moment; no other one is."""

    def __init__(self, client, hasty):
        self.held = None
        self._client = client
        self._hasty = hasty
        self._given_up = 0

    async def post_metrics(self, *batch):
        if self.held is None or not self.held.fits(METRICS_PATH):
            return await self._client.post_metrics(*batch)
        outcome = await self._hasty.post_metrics(*batch)
        self._given_up += 1
        await self.held.met(self._given_up)  # though this process may have been too slow to read it before
        return outcome

    def reread_token(self):
        self._client.reread_token()


class Agent:
    """What of the agent speaks with the API."""

    def __init__(self, url, path, token=None):
        self.counters = Counters()
        self.applied = []
        self.time = Patience(lambda: self.courier.in_flight)
        token = token or TokenSource(TOKEN)
        self.client = ApiClient(url, token, read_timeout_s=HANG_S)
        self.hasty = ApiClient(url, token, read_timeout_s=0.05)
        self.sink = Impatient(self.client, self.hasty)
        self.buffer = Buffer(path, self.counters, clock_us=lambda: time.time_ns() // 1000, commit_window_s=0.0)
        self.sync = ConfigSync(self.client, self.counters, apply=self.apply, keep=self.keep, kept=self.kept)
        self.courier = Courier(
            self.buffer,
            self.sink,
            self.counters,
            accepts=lambda: self.sync.accepts,
            sleep=self.time.sleep,
            jitter=lambda: 0.0,
            monotonic_s=self.time.monotonic_s,
        )

    @property
    def waited_s(self):
        return self.time.pauses

    async def apply(self, read):
        self.applied.append([equipment.id for _, equipment in read.equipment])

    async def keep(self, config):
        await self.buffer.keep_config(seal(TOKEN, config))

    async def kept(self):
        sealed = await self.buffer.kept_config()
        return None if sealed is None else unseal(TOKEN, sealed)

    async def add(self, polls, layout=LAYOUT):
        layout_id = await self.buffer.register(layout)
        started_us = time.time_ns() // 1000
        values = (*range(len(layout.sensors)), *(7,) * 6 * len(layout.interfaces))
        for number in range(polls):
            self.buffer.add(Poll(layout_id, started_us + number, values, ((layout.item_count, 5),), layout.item_count))
        await self.buffer.flush()


@pytest.fixture
def sandbox():
    return Sandbox(CONFIG, accepts=ACCEPTS)


@pytest.fixture
async def agent(sandbox, tmp_path):
    async with sandbox.serve() as url:
        made = Agent(url, tmp_path / "agent.db")
        async with made.client, made.hasty, made.buffer:
            yield made


async def test_what_was_polled_arrives_in_batches_of_the_size_the_server_takes(sandbox, agent):
    assert isinstance(await agent.sync.fetch_once(), ConfigFetched)
    assert agent.applied == [["e1"]]
    await agent.add(10)
    assert await agent.courier.deliver_pending() is True
    assert sandbox.store.metric_count == 220
    assert [reading.value for reading in sandbox.store.readings("s15")] == [1.5] * 10
    assert len(sandbox.store.stats("i2")) == 10
    assert agent.counters.get(Count.METRICS_DELIVERED) == 220
    assert isinstance(await agent.sync.fetch_once(), NotModified)


FAULTS = {
    "408": lambda faults: faults.answer(408, times=2, path=METRICS_PATH),
    "429": lambda faults: faults.answer(429, retry_after=7, times=2, path=METRICS_PATH),
    "429 with a date": lambda faults: faults.answer(429, retry_after=LATER, headers={"date": NOW}, times=2, path=METRICS_PATH),
    "500": lambda faults: faults.answer(500, times=2, path=METRICS_PATH),
    "502": lambda faults: faults.answer(502, times=2, path=METRICS_PATH),
    "503": lambda faults: faults.answer(503, times=2, path=METRICS_PATH),
    "503 for a day": lambda faults: faults.answer(503, retry_after=86_400, times=2, path=METRICS_PATH),
    "504": lambda faults: faults.answer(504, times=2, path=METRICS_PATH),
    "401": lambda faults: faults.answer(401, times=2, path=METRICS_PATH),
    "403": lambda faults: faults.answer(403, times=2, path=METRICS_PATH),
    "404": lambda faults: faults.answer(404, times=2, path=METRICS_PATH),
    "302": lambda faults: faults.redirect("https://elsewhere.example", times=2),
    "no JSON": lambda faults: faults.garbage(times=2),
    "null": lambda faults: faults.garbage(b"null", times=2),
    "a list": lambda faults: faults.garbage(b"[]", times=2),
    "an error with status 200": lambda faults: faults.garbage(b'{"status": "error", "received": 44}', times=2),
    "cut": lambda faults: faults.cut(taken=False, times=2),
    "cut after it was taken": lambda faults: faults.cut(taken=True, times=2),
    "hung": lambda faults: faults.hold(taken=False, times=2),
    "hung after it was taken": lambda faults: faults.hold(taken=True, times=2),
}


@pytest.mark.parametrize(
    ("fault", "waits_s"),
    [
        ("408", [1.0, 2.0]),
        ("429", [7.0, 7.0]),
        ("429 with a date", [90.0, 90.0]),
        ("500", [1.0, 2.0]),
        ("502", [1.0, 2.0]),
        ("503", [1.0, 2.0]),
        ("503 for a day", [600.0, 600.0]),
        ("504", [1.0, 2.0]),
        ("401", [60.0, 60.0]),
        ("403", [60.0, 60.0]),
        ("404", [60.0, 60.0]),
        ("302", [60.0, 60.0]),
        ("no JSON", [1.0, 2.0]),
        ("null", [1.0, 2.0]),
        ("a list", [1.0, 2.0]),
        ("an error with status 200", [1.0, 2.0]),
        ("cut", [1.0, 2.0]),
        ("cut after it was taken", [1.0, 2.0]),
        ("hung", [1.0, 2.0]),
        ("hung after it was taken", [1.0, 2.0]),
    ],
)
async def test_what_fails_is_sent_again_and_arrives_once(sandbox, agent, fault, waits_s):
    """The same batch under the same key, after the pauses of the contract."""
    await agent.add(2)
    made = FAULTS[fault](sandbox.faults)
    agent.sink.held = made if fault.startswith("hung") else None
    assert await agent.courier.deliver_pending(attempts=9) is True
    assert agent.waited_s == waits_s
    assert sandbox.store.metric_count == 44
    assert sandbox.store.duplicates() == {}
    posts = [exchange for exchange in sandbox.store.exchanges if exchange.path == METRICS_PATH]
    assert len({exchange.headers["idempotency-key"] for exchange in posts}) == 1
    assert len(posts) == 3


async def test_a_2xx_with_an_empty_body_is_an_acknowledgement(sandbox, agent):
    await agent.add(2)
    sandbox.faults.garbage(b"", times=1)
    assert await agent.courier.deliver_pending() is True
    assert agent.waited_s == []
    assert agent.counters.get(Count.METRICS_DELIVERED) == 44
    assert sandbox.store.metric_count == 0


async def test_a_refused_token_is_replaced_by_the_one_in_the_file(sandbox, tmp_path):
    """The 401 ends when the operator has written the new token down: no restart, nothing lost."""
    file = tmp_path / "token"
    file.write_text(TOKEN.reveal())
    async with sandbox.serve() as url:
        made = Agent(url, tmp_path / "agent.db", TokenSource(path=file))
        async with made.client, made.buffer:
            await made.add(2)
            sandbox.store.tokens = {"a-new-token"}
            assert await made.courier.deliver_pending() is False
            file.write_text("a-new-token\n")
            assert await made.courier.deliver_pending() is True
    assert sandbox.store.metric_count == 44


async def test_certificates_that_are_read_again_cut_no_request_and_leave_no_connection(sandbox, agent):
    """Each reload comes while the server holds a request back: it is answered then, and what it went over is closed."""
    open_files = []
    for _ in range(10):
        hold = sandbox.faults.hold()
        await agent.add(1)
        delivered = asyncio.ensure_future(agent.courier.deliver_pending())
        await hold.met()
        await agent.client.reread_certificates()
        hold.clear()
        assert await delivered is True
        open_files.append(len(list(Path("/proc/self/fd").iterdir())))
    assert agent.waited_s == []
    assert sandbox.store.metric_count == 220
    assert open_files[-1] - open_files[0] < 5


async def test_a_redirect_takes_the_token_to_no_other_host(sandbox, agent):
    """Neither at once nor later, whatever the kind of redirect and however often."""
    elsewhere = ScriptedServer([answer(200, {"status": "accepted", "received": 1})])
    async with elsewhere.serve() as target:
        await agent.add(2)
        for status in (301, 302, 303, 307, 308):
            sandbox.faults.redirect(target, status=status, times=1)
        assert await agent.courier.deliver_pending(attempts=9) is True
        assert isinstance(await agent.sync.fetch_once(), ConfigFetched)
    assert elsewhere.connections == 0
    assert f"redirected to {target} (308), not followed" in agent.courier.availability.last_failure
    assert sandbox.store.metric_count == 44


async def test_one_bad_metric_of_hundreds_is_kept_apart_and_blocks_nothing(sandbox, agent):
    await agent.sync.fetch_once()
    sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == "bad", "out of range", status=400)
    await agent.add(10)
    await agent.add(1, BAD)
    await agent.add(10)
    assert await agent.courier.deliver_pending() is True
    assert agent.waited_s == []
    (refused,) = await agent.buffer.refused()
    assert refused.equipment_id == "e2"
    assert refused.reason == 'status 400: {"error":"metrics[0]: out of range"}'
    assert sandbox.store.metric_count == 20 * 22
    assert agent.counters.get(Count.METRICS_REFUSED) == 1


async def test_a_batch_that_the_server_breaks_over_holds_up_no_other(sandbox, agent):
    """500 as often as that batch comes: all others arrive meanwhile, and this one once the server is fixed, under its key."""
    await agent.sync.fetch_once()
    broken = sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == "bad", "bug", status=500)
    await agent.add(1, BAD)
    await agent.add(20)
    assert await agent.courier.deliver_pending(attempts=4) is False
    waiting = await agent.buffer.next_batch(1)
    assert sandbox.store.metric_count == 441 - waiting.metric_count
    assert waiting.metric_count <= 50
    broken.clear()
    assert await agent.courier.deliver_pending() is True
    assert sandbox.store.metric_count == 441
    assert sandbox.store.batches[-1].key == waiting.key
    assert sandbox.store.duplicates() == {}


async def test_a_limit_that_was_not_stated_is_learned(sandbox, agent):
    sandbox.faults.limit(max_metrics=12)
    await agent.add(5)
    assert await agent.courier.deliver_pending() is True
    assert sandbox.store.metric_count == 110
    assert agent.waited_s == []


async def test_refused_metrics_are_kept_apart_and_the_rest_arrives(sandbox, agent):
    sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == "s3", "no such sensor")
    await agent.add(3)
    assert await agent.courier.deliver_pending() is True
    refused = await agent.buffer.refused()
    assert len(refused) == 3
    assert all(b'"sensor_id":"s3"' in item.metric and "no such sensor" in item.reason for item in refused)
    assert sandbox.store.metric_count == 63


async def test_an_agent_that_starts_during_an_outage_has_its_last_configuration(sandbox, agent):
    await agent.sync.fetch_once()
    later = ConfigSync(agent.client, agent.counters, apply=agent.apply, keep=agent.keep, kept=agent.kept)
    sandbox.faults.answer(503, path=CONFIG_PATH)
    assert await later.load_kept() is True
    assert isinstance(await later.fetch_once(), Unavailable)
    assert agent.applied == [["e1"], ["e1"]]
    assert b"s3cret" not in await agent.buffer.kept_config()


async def test_heartbeats_are_heard(sandbox, agent):
    await HeartbeatLoop(agent.client, agent.counters, "poller-1").send_once()
    assert agent.counters.get(Count.HEARTBEATS, "sent") == 1


async def test_a_server_that_refuses_everything_loses_nothing(sandbox, agent):
    """A bad deployment answers 400 to each batch: few requests, nothing quarantined, and all arrives once it is repaired."""
    await agent.sync.fetch_once()
    deployment = sandbox.faults.answer(400, path=METRICS_PATH)
    await agent.add(20)
    assert await agent.courier.deliver_pending(attempts=5) is False
    posts = [exchange for exchange in sandbox.store.exchanges if exchange.path == METRICS_PATH]
    assert len(posts) < 40
    assert agent.waited_s == [1.0, 2.0, 4.0, 8.0]
    assert await agent.buffer.refused() == []
    assert agent.courier.availability.works is False
    deployment.clear()
    assert await agent.courier.deliver_pending() is True
    assert sandbox.store.metric_count == 440
    assert sandbox.store.duplicates() == {}


async def test_a_series_that_the_server_does_not_know_is_not_sent_with_every_batch(sandbox, agent):
    await agent.sync.fetch_once()
    sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == "s3", "no such sensor")
    await agent.add(10)
    assert await agent.courier.deliver_pending() is True
    refused_before = sum(exchange.status == 422 for exchange in sandbox.store.exchanges)
    await agent.add(40)
    assert await agent.courier.deliver_pending() is True
    assert sum(exchange.status == 422 for exchange in sandbox.store.exchanges) == refused_before
    assert len(await agent.buffer.refused(1000)) == 50
    assert sandbox.store.metric_count == 50 * 21
    assert agent.counters.get(Count.METRICS_REFUSED) == 50


async def test_a_single_metric_larger_than_the_server_accepts_is_kept_and_the_rest_arrives(sandbox, agent):
    """413 to one metric by itself, beside others that are accepted."""
    await agent.sync.fetch_once()
    sandbox.faults.refuse_metrics(lambda metric: getattr(metric, "sensor_id", "") == "bad", "too large", status=413)
    await agent.add(1)
    await agent.add(1, BAD)
    await agent.add(1)
    assert await agent.courier.deliver_pending() is True
    (refused,) = await agent.buffer.refused()
    assert refused.equipment_id == "e2"
    assert sandbox.store.metric_count == 44


async def test_a_431_is_a_failure_like_any_other(sandbox, agent):
    await agent.add(2)
    sandbox.faults.answer(431, times=2, path=METRICS_PATH)
    assert await agent.courier.deliver_pending(attempts=9) is True
    assert agent.waited_s == [1.0, 2.0]
    assert sandbox.store.metric_count == 44
    assert await agent.buffer.refused() == []
