"""Each fault of the script is what a client then sees, and what the store then holds."""

import asyncio
import ssl

import httpx2
import pytest
import trustme

from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH, SensorReading
from towerops_lab.sandbox.faults import Answer, Faults
from towerops_lab.sandbox.proxy import Proxy
from towerops_lab.sandbox.server import Sandbox

READING = {"type": "sensor_reading", "sensor_id": "s", "value": 41.5, "status": "ok", "timestamp": "2026-01-09T19:22:15.123456Z"}
BATCH = {"metrics": [READING, READING | {"sensor_id": "bad"}]}
AUTHORIZED = {"authorization": "Bearer secret"}
KEY = {"idempotency-key": "k"}


@pytest.fixture
def sandbox():
    return Sandbox({"equipment": []}, token="secret")


def connect(url: str, verify: ssl.SSLContext | bool = False) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, headers=AUTHORIZED, verify=verify, trust_env=False, timeout=None)


@pytest.fixture(params=["http", "https"])
async def client(sandbox, request):
    """Over TLS as well, for a cut connection looks different there."""
    served = trusting = None
    if request.param == "https":
        authority = trustme.CA()
        served, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.configure_trust(trusting)
        authority.issue_cert("127.0.0.1").configure_cert(served)
    async with sandbox.serve(tls=served) as url, connect(url, trusting or False) as client:
        yield client


async def test_a_status_with_retry_after_is_answered_as_often_as_the_script_says(sandbox, client):
    sandbox.faults.answer(503, retry_after=7, body=b"busy", times=1)
    sandbox.faults.answer(429, times=1)
    first, second, third = [await client.post(METRICS_PATH, json=BATCH) for _ in range(3)]
    assert (first.status_code, first.headers["retry-after"], first.text) == (503, "7", "busy")
    assert (second.status_code, third.status_code) == (429, 200)
    assert len(sandbox.store.batches) == 1


async def test_a_redirect_names_its_target(sandbox, client):
    sandbox.faults.redirect("https://elsewhere.example/login", status=302)
    answer = await client.get(CONFIG_PATH)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/login")


async def test_garbage_is_a_200_that_is_not_json(sandbox, client):
    sandbox.faults.garbage(times=1)
    answer = await client.post(METRICS_PATH, json=BATCH)
    assert (answer.status_code, answer.text) == (200, "<html>Please log in</html>")
    assert sandbox.store.metric_count == 0


async def test_the_right_token_can_be_refused(sandbox, client):
    fault = sandbox.faults.refuse_token(status=403)
    assert (await client.get(CONFIG_PATH)).status_code == 403
    fault.clear()
    assert (await client.get(CONFIG_PATH)).status_code == 200


@pytest.mark.parametrize(("max_metrics", "max_body_bytes"), [(1, None), (None, 200)])
async def test_a_tighter_limit_than_the_configuration_s_is_a_413(sandbox, client, max_metrics, max_body_bytes):
    fault = sandbox.faults.limit(max_metrics=max_metrics, max_body_bytes=max_body_bytes)
    assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 413
    assert (await client.post(METRICS_PATH, json={"metrics": [READING]})).status_code == 200
    assert (fault.hits, sandbox.store.metric_count) == (1, 1)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_batch_that_holds_a_bad_metric_is_refused_as_a_whole(sandbox, client, status):
    fault = sandbox.faults.refuse_metrics(
        lambda metric: isinstance(metric, SensorReading) and metric.sensor_id == "bad", "unknown sensor", status=status
    )
    answer = await client.post(METRICS_PATH, json=BATCH)
    assert (answer.status_code, answer.json()) == (status, {"error": "metrics[1]: unknown sensor"})
    assert sandbox.store.metric_count == 0
    assert (await client.post(METRICS_PATH, json={"metrics": [READING]})).status_code == 200
    assert fault.hits == 1


@pytest.mark.parametrize("taken", [False, True])
async def test_a_held_request_is_answered_once_the_fault_is_cleared(sandbox, client, taken):
    fault = sandbox.faults.hold(taken=taken, times=1)
    waiting = asyncio.create_task(client.post(METRICS_PATH, json=BATCH))
    await fault.met()
    assert (await client.get(CONFIG_PATH)).status_code == 200
    assert not waiting.done()
    assert sandbox.store.metric_count == (2 if taken else 0)
    sandbox.faults.clear()
    assert (await waiting).status_code == 200
    assert sandbox.store.metric_count == 2


@pytest.mark.parametrize("taken", [False, True])
async def test_a_held_request_whose_client_gives_up_has_no_later_effect(sandbox, client, taken):
    fault = sandbox.faults.hold(taken=taken)
    waiting = asyncio.create_task(client.post(METRICS_PATH, json=BATCH))
    await fault.met()
    waiting.cancel()
    await sandbox.store.wait_until(lambda store: len(store.exchanges) == 1)
    assert sandbox.store.exchanges[0].status is None
    fault.clear()
    assert sandbox.store.metric_count == (2 if taken else 0)


async def test_a_delayed_request_is_answered(sandbox, client):
    fault = sandbox.faults.delay(0.001, times=1)
    assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200
    assert fault.hits == 1


async def test_a_long_delay_ends_with_its_client(sandbox, client):
    fault = sandbox.faults.delay(3600)
    waiting = asyncio.create_task(client.get(CONFIG_PATH))
    await fault.met()
    waiting.cancel()
    await sandbox.store.wait_until(lambda store: bool(store.exchanges))


@pytest.mark.parametrize("taken", [False, True])
async def test_a_cut_before_or_after_the_batch_is_taken_looks_the_same_to_the_client(sandbox, client, taken):
    sandbox.faults.cut(taken=taken, path=METRICS_PATH, times=1)
    with pytest.raises(httpx2.TransportError):
        await client.post(METRICS_PATH, json=BATCH, headers=KEY)
    assert sandbox.store.metric_count == (2 if taken else 0)
    assert (await client.post(METRICS_PATH, json=BATCH, headers=KEY)).status_code == 200
    assert (sandbox.store.metric_count, sandbox.store.repeats) == (2, int(taken))


async def test_an_error_of_the_handler_s_own_can_be_cut_too(sandbox, client):
    """The connection ends before the refusal is sent."""
    sandbox.faults.cut(taken=True)
    with pytest.raises(httpx2.TransportError):
        await client.post(METRICS_PATH, json={})
    assert sandbox.store.exchanges[0].status is None


async def test_the_proxy_passes_requests_through(sandbox):
    proxy = Proxy()
    async with sandbox.serve() as target, proxy.serve(target) as url, connect(url) as client:
        assert url != target
        assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200
        assert (await client.get(CONFIG_PATH)).status_code == 200
    assert proxy.accepted == 1


async def test_the_proxy_passes_tls_through_untouched(sandbox):
    authority = trustme.CA()
    served, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.configure_trust(trusting)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    async with sandbox.serve(tls=served) as target, Proxy().serve(target) as url, connect(url, trusting) as client:
        assert url.startswith("https://127.0.0.1:")
        assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200


async def test_an_uplink_goes_down_and_comes_back(sandbox):
    proxy = Proxy()
    async with sandbox.serve() as target, proxy.serve(target) as url, connect(url) as client:
        held = sandbox.faults.hold(times=1)
        waiting = asyncio.create_task(client.post(METRICS_PATH, json=BATCH))
        await held.met()
        proxy.go_down()
        with pytest.raises(httpx2.TransportError):
            await waiting
        with pytest.raises(httpx2.TransportError):
            await client.get(CONFIG_PATH)
        proxy.come_up()
        assert (await client.get(CONFIG_PATH)).status_code == 200


async def test_a_stalled_uplink_loses_nothing_that_it_held_back(sandbox):
    proxy = Proxy()
    async with sandbox.serve() as target, proxy.serve(target) as url, connect(url) as client:
        assert (await client.get(CONFIG_PATH)).status_code == 200
        proxy.stall()
        waiting = asyncio.create_task(client.post(METRICS_PATH, json=BATCH))
        async with connect(target) as direct:
            assert (await direct.get(CONFIG_PATH)).status_code == 200
        assert not waiting.done()
        assert sandbox.store.metric_count == 0
        proxy.come_up()
        assert (await waiting).status_code == 200
    assert sandbox.store.metric_count == 2


async def test_a_stalled_uplink_can_be_closed(sandbox):
    proxy = Proxy()
    async with sandbox.serve() as target, connect(target):
        async with proxy.serve(target) as url, connect(url) as client:
            await client.get(CONFIG_PATH)
            proxy.stall()
            waiting = asyncio.create_task(client.get(CONFIG_PATH))
        with pytest.raises((httpx2.TransportError, RuntimeError)):
            await waiting


async def test_an_uplink_to_nowhere_ends_each_connection(sandbox):
    async with sandbox.serve() as target:
        pass
    async with Proxy().serve(target) as url, connect(url) as client:
        with pytest.raises(httpx2.TransportError):
            await client.get(CONFIG_PATH)


@pytest.mark.parametrize(("status", "body"), [(200, b""), (204, b""), (200, b"null"), (200, b"<html>"), (503, b"{}")])
async def test_a_batch_can_be_stored_and_answered_oddly(sandbox, client, status, body):
    """As a server does whose proxy, or whose end, spoils the answer: the next attempt is a repeat."""
    sandbox.faults.answer(status, body=body, taken=True, times=1)
    headers = {"idempotency-key": "k"}
    odd = await client.post(METRICS_PATH, json=BATCH, headers=headers)
    assert (odd.status_code, odd.content) == (status, body)
    assert sandbox.store.metric_count == 2
    assert (await client.post(METRICS_PATH, json=BATCH, headers=headers)).json() == {"status": "accepted", "received": 2}
    assert (sandbox.store.metric_count, sandbox.store.repeats) == (2, 1)


async def test_a_portal_s_page_can_come_after_the_batch_is_stored(sandbox, client):
    sandbox.faults.garbage(taken=True, times=1)
    assert b"<html>" in (await client.post(METRICS_PATH, json=BATCH)).content
    assert sandbox.store.metric_count == 2


def test_what_the_next_request_would_meet_is_known_without_a_hit():
    faults = Faults()
    fault = faults.refuse_token(path=METRICS_PATH)
    assert isinstance(faults.ahead(METRICS_PATH), Answer)
    assert faults.ahead(CONFIG_PATH) is None
    assert fault.hits == 0
