"""The sandbox speaks the contract, over real HTTP and HTTPS."""

import asyncio
import gzip
import json
import signal
import ssl
import subprocess
import sys
import tracemalloc
from contextlib import asynccontextmanager

import httpx2
import pytest
import trustme

from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH, Accepts
from towerops_lab.sandbox.server import Sandbox

READING = {"type": "sensor_reading", "sensor_id": "s", "value": 41.5, "status": "ok", "timestamp": "2026-01-09T19:22:15.123456Z"}
CONFIG = {"version": "1", "poll_interval_seconds": 60, "equipment": []}
BATCH = {"metrics": [READING, READING | {"value": 42}]}
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def client_of(url: str, token: str = "secret", verify: ssl.SSLContext | bool = False):
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, verify=verify, trust_env=False, timeout=None) as client:
        yield client


@pytest.fixture
def sandbox():
    return Sandbox(CONFIG, token="secret")


@pytest.fixture
async def client(sandbox):
    async with sandbox.serve() as url, client_of(url) as client:
        yield client


def test_a_store_and_a_script_need_no_event_loop():
    sandbox = Sandbox(CONFIG)
    sandbox.faults.answer(503)
    assert sandbox.store.metric_count == 0


async def test_the_configuration_is_served(client):
    answer = await client.get(CONFIG_PATH)
    assert (answer.status_code, answer.json()) == (200, CONFIG)
    assert answer.headers["content-type"] == "application/json"


async def test_an_unchanged_configuration_is_a_304(sandbox, client):
    etag = (await client.get(CONFIG_PATH)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await client.get(CONFIG_PATH, headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    sandbox.store.set_config(CONFIG | {"version": "2"})
    answer = await client.get(CONFIG_PATH, headers={"if-none-match": etag})
    assert (answer.status_code, answer.json()["version"]) == (200, "2")


async def test_a_configuration_of_any_octets_is_served_as_it_is(sandbox, client):
    sandbox.store.set_config(b"\xff no json")
    assert (await client.get(CONFIG_PATH)).content == b"\xff no json"


async def test_metrics_are_accepted(sandbox, client):
    answer = await client.post(METRICS_PATH, json=BATCH)
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted", "received": 2})
    assert [reading.value for reading in sandbox.store.readings("s")] == [41.5, 42]


async def test_a_batch_sent_again_under_its_key_is_accepted_and_stored_once(sandbox, client):
    for _ in range(2):
        answer = await client.post(METRICS_PATH, json=BATCH, headers={"idempotency-key": "k"})
        assert (answer.status_code, answer.json()["received"]) == (200, 2)
    assert (sandbox.store.metric_count, sandbox.store.repeats) == (2, 1)


async def test_a_key_that_comes_with_another_body_is_a_422(sandbox, client):
    await client.post(METRICS_PATH, json=BATCH, headers={"idempotency-key": "k"})
    answer = await client.post(METRICS_PATH, json={"metrics": [READING]}, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()) == (422, {"error": "Idempotency-Key 'k' came with another body before"})
    assert sandbox.store.metric_count == 2


async def test_a_heartbeat_is_heard(sandbox, client):
    answer = await client.post(HEARTBEAT_PATH, json={"version": "0.1.0", "hostname": "poller-1", "uptime_seconds": 3600})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert sandbox.store.heartbeats[0].hostname == "poller-1"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic secret", "secret"])
async def test_a_request_without_the_token_is_a_401_and_has_no_effect(sandbox, authorization):
    headers = JSON if authorization is None else JSON | {"authorization": authorization}
    async with sandbox.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        for answer in (
            await client.get(CONFIG_PATH, headers=headers),
            await client.post(METRICS_PATH, headers=headers, json=BATCH),
            await client.post(HEARTBEAT_PATH, headers=headers, json={}),
        ):
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert sandbox.store.metric_count == 0


async def test_a_token_can_be_changed(sandbox, client):
    sandbox.store.tokens = {"new"}
    assert (await client.get(CONFIG_PATH)).status_code == 401
    answer = await client.get(CONFIG_PATH, headers={"authorization": "bearer new"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/agent", "/api/v1/agent/metrics/", "/wrong" + CONFIG_PATH])
async def test_any_other_path_is_a_404(client, path):
    assert (await client.get(path)).status_code == 404
    assert (await client.post(path, json=BATCH)).status_code == 404


async def test_bad_json_and_bad_metrics_are_refused_with_the_reason(sandbox, client):
    answer = await client.post(METRICS_PATH, content=b"{", headers=JSON)
    assert (answer.status_code, answer.json()["error"][:20]) == (400, "the body is not JSON")
    answer = await client.post(METRICS_PATH, json={"metrics": [READING, READING | {"timestamp": "now"}]})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("metrics[1]: timestamp is 'now': expected ")
    assert sandbox.store.metric_count == 0


async def test_a_body_that_is_not_declared_json_is_a_415(client):
    answer = await client.post(METRICS_PATH, content=json.dumps(BATCH), headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_gzip_is_accepted_only_if_offered(sandbox, client):
    body, headers = gzip.compress(json.dumps(BATCH).encode()), JSON | {"content-encoding": "gzip"}
    assert (await client.post(METRICS_PATH, content=body, headers=headers)).status_code == 415
    sandbox.store.set_config(CONFIG, Accepts(content_encodings=["gzip"]))
    assert (await client.get(CONFIG_PATH)).json()["accepts"]["content_encodings"] == ["gzip"]
    assert (await client.post(METRICS_PATH, content=body, headers=headers)).status_code == 200
    assert sandbox.store.metric_count == 2


async def test_the_same_body_compressed_otherwise_is_the_same_batch(sandbox, client):
    sandbox.store.set_config(CONFIG, Accepts(content_encodings=["gzip"]))
    body = json.dumps(BATCH).encode()
    headers = JSON | {"idempotency-key": "k"}
    await client.post(METRICS_PATH, content=body, headers=headers)
    await client.post(METRICS_PATH, content=gzip.compress(body), headers=headers | {"content-encoding": "gzip"})
    assert (sandbox.store.metric_count, sandbox.store.repeats) == (2, 1)


async def test_what_is_over_the_limits_is_a_413_and_the_connection_lives_on(sandbox, client):
    sandbox.store.set_config(CONFIG, Accepts(max_metrics=1))
    assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 413
    sandbox.store.set_config(CONFIG, Accepts(max_body_bytes=100))
    assert (await client.post(METRICS_PATH, content=b" " * 1_000_000, headers=JSON)).status_code == 413
    sandbox.store.set_config(CONFIG)
    assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200


async def test_each_request_is_recorded_without_its_token(sandbox, client):
    await client.post(METRICS_PATH, content=b"{}", headers=JSON | {"idempotency-key": "k"})
    await client.get("/elsewhere")
    first, second = sandbox.store.exchanges
    assert (first.method, first.path, first.status, first.size_octets) == ("POST", METRICS_PATH, 422, 2)
    assert first.headers["idempotency-key"] == "k"
    assert "authorization" not in first.headers
    assert (second.path, second.status) == ("/elsewhere", 404)


async def test_it_serves_tls_to_those_who_trust_its_authority(sandbox, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    trusting, served = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(trusting)
    certificate.configure_cert(served)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    for tls in (served, (chain, key)):
        async with sandbox.serve(tls=tls) as url, client_of(url, verify=trusting) as client:
            assert url.startswith("https://127.0.0.1:")
            assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200
            async with client_of(url, verify=ssl.create_default_context()) as stranger:
                with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await stranger.get(CONFIG_PATH)


async def test_it_serves_ipv6(sandbox):
    async with sandbox.serve(host="::1") as url, client_of(url) as client:
        assert url.startswith("http://[::1]:")
        assert (await client.get(CONFIG_PATH)).status_code == 200


async def test_it_can_be_served_again_at_the_same_port_and_has_forgotten_nothing(sandbox):
    async with sandbox.serve() as url, client_of(url) as client:
        await client.post(METRICS_PATH, json=BATCH, headers={"idempotency-key": "k"})
        port = client.base_url.port
    async with client_of(url) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(CONFIG_PATH)
        async with sandbox.serve(port=port) as again:
            assert again == url
            await client.post(METRICS_PATH, json=BATCH, headers={"idempotency-key": "k"})
    assert (sandbox.store.metric_count, sandbox.store.repeats) == (2, 1)


async def test_stopping_cuts_idle_connections_requests_under_way_and_handshakes(sandbox):
    """All end at once: nothing here waits for a timeout."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    held = sandbox.faults.hold(path=METRICS_PATH)
    async with sandbox.serve(tls=context) as tls_url, sandbox.serve() as url, client_of(url) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(tls_url).port)
        writer.write(b"\x16\x03\x01")
        await client.get(CONFIG_PATH)
        waiting = asyncio.create_task(client.post(METRICS_PATH, json=BATCH))
        await held.met()
    with pytest.raises(httpx2.TransportError):
        await waiting
    writer.close()
    assert sandbox.store.metric_count == 0
    assert sandbox.store.exchanges[-1].status is None


async def test_signal_handlers_are_left_alone(sandbox):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with sandbox.serve():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_it_runs_on_its_own_until_sigterm(tmp_path):
    (tmp_path / "config.json").write_text('{"version": "from the file"}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "towerops_agent", "sandbox", "--port", "0", "--token", "secret"),
        *("--config", str(tmp_path / "config.json")),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    word, url = (await process.stdout.readline()).decode().split()
    assert word == "serving"
    async with client_of(url) as client:
        assert (await client.get(CONFIG_PATH)).json()["version"] == "from the file"
        assert (await client.post(METRICS_PATH, json=BATCH)).status_code == 200
    process.terminate()
    output, _ = await process.communicate()
    assert output.decode().splitlines()[-1] == "stopped; 2 metrics in 1 batch"
    assert process.returncode == 0


async def test_a_body_without_measure_costs_no_memory(sandbox, client):
    """It is read to its end, so that the client reads the answer, and not kept."""

    async def much():
        for _ in range(64):
            yield b" " * (1 << 20)

    tracemalloc.start()
    try:
        answer = await client.post(METRICS_PATH, content=much(), headers={"content-type": "application/json"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 24 << 20
