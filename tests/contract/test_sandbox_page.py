"""The sandbox's page and its switches, over real HTTP, beside the API that they must not disturb."""

import asyncio
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH
from towerops_lab.sandbox.page import Site
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.sandbox.switches import Switch

AUTHORIZED = {"authorization": "Bearer secret"}
CONFIG = {
    "version": "1",
    "equipment": [
        {
            "id": "a/b",
            "name": "Radio",
            "ip_address": "127.0.0.1",
            "sensors": [{"id": "s", "oid": "1.3.6.1", "type": "signal", "unit": "dBm"}],
        }
    ],
}
READING = {"type": "sensor_reading", "sensor_id": "s", "value": -61.5, "status": "ok", "timestamp": "2026-01-09T19:22:15.123456Z"}


@pytest.fixture
def sandbox():
    return Sandbox(CONFIG, token="secret", site=Site("Here", "A site."))


@pytest.fixture
async def client(sandbox):
    async with sandbox.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False, timeout=None) as client:
        yield client


async def test_without_a_site_there_is_no_page():
    sandbox = Sandbox(CONFIG, token="secret")
    async with sandbox.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        for path in ("/", "/docs", "/openapi.json", "/page/state", "/page/app.js"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/page/app.js",
        "/page/chart.js",
        "/page/draw.js",
        "/page/words.js",
        "/page/format.js",
        "/page/theme.js",
        "/page/base.css",
        "/page/site.css",
        "/page/docs.css",
        "/page/icon.svg",
    ],
)
async def test_the_page_s_files_are_served_and_may_ask_nobody_else(client, path):
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/page/none.js", "/page/..%2fstore.py", "/page/schema.sql", "/page/%2e%2e/store.py", "/page/charts/none"]
)
async def test_nothing_else_is_served(client, path):
    assert (await client.get(path)).status_code == 404


async def test_the_state_shows_what_has_arrived(client):
    await client.post(METRICS_PATH, headers=AUTHORIZED, json={"metrics": [READING]})
    await client.post(HEARTBEAT_PATH, headers=AUTHORIZED, json={"version": "0.1.0", "hostname": "poller-1", "uptime_seconds": 60})
    state = (await client.get("/page/state")).json()
    assert (state["title"], state["metrics"], state["batches"], state["heartbeat"]["hostname"]) == ("Here", 1, 1, "poller-1")
    (device,) = state["devices"]
    assert (device["name"], device["state"], device["items"][0]["value"]) == ("Radio", "up", [-61.5])
    charts = (await client.get("/page/charts/a%2Fb")).json()
    assert charts["charts"][0]["label"] == "signal"


async def test_a_page_begins_with_what_arrived_before_it(tmp_path):
    path = tmp_path / "sandbox.db"
    first = Sandbox(CONFIG, token="secret", path=path)
    async with first.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        await client.post(METRICS_PATH, headers=AUTHORIZED, json={"metrics": [READING]})
    first.store.records.close()
    second = Sandbox(CONFIG, token="secret", path=path, site=Site())
    async with second.serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        state = (await client.get("/page/state")).json()
    assert (state["metrics"], state["devices"][0]["items"][0]["value"]) == (1, [-61.5])
    second.store.records.close()


async def test_the_stream_reports_each_change(client):
    async with client.stream("GET", "/page/events") as stream:
        lines = stream.aiter_lines()
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert json.loads((await anext(lines)).removeprefix("data: "))["metrics"] == 0
        await client.post(METRICS_PATH, headers=AUTHORIZED, json={"metrics": [READING]})
        async for line in lines:
            if line and json.loads(line.removeprefix("data: "))["metrics"] == 1:
                break


async def test_stopping_ends_the_streams(sandbox):
    """Whoever watches does not keep the sandbox from stopping."""
    async with httpx2.AsyncClient(trust_env=False, timeout=None) as client:
        async with sandbox.serve() as url:
            watching = asyncio.create_task(watch(client, url, began := asyncio.Event()))
            await began.wait()
        with pytest.raises(httpx2.TransportError):
            await watching


async def watch(client, url: str, began: asyncio.Event) -> None:
    async with client.stream("GET", f"{url}/page/events") as stream:
        async for _ in stream.aiter_lines():
            began.set()


async def turn(client, switch: str, on: bool) -> httpx2.Response:
    return await client.post(f"/page/switches/{switch}", json={"on": on})


async def test_the_api_can_be_refused_and_given_back(client):
    assert (await turn(client, "api-refuse", True)).json() == {"on": True}
    assert (await client.get(CONFIG_PATH, headers=AUTHORIZED)).status_code == 401
    await turn(client, "api-refuse", False)
    assert (await client.get(CONFIG_PATH, headers=AUTHORIZED)).status_code == 200


async def test_the_api_can_be_cut_while_the_page_lives_on(client):
    await turn(client, "api-cut", True)
    with pytest.raises(httpx2.TransportError):
        await client.get(CONFIG_PATH, headers=AUTHORIZED)
    state = (await client.get("/page/state")).json()
    assert {switch["id"]: switch["on"] for switch in state["switches"]}["api-cut"]
    await turn(client, "api-cut", False)
    assert (await client.get(CONFIG_PATH, headers=AUTHORIZED)).status_code == 200


async def test_further_switches_can_be_added(sandbox, client):
    turned = []
    sandbox.page.add([Switch("rain", "site", "Rain", "It rains.", turned.append)])
    await turn(client, "rain", True)
    assert turned == [True]


async def test_a_switch_takes_nothing_but_on_and_off(client):
    assert (await turn(client, "none", True)).status_code == 404
    for body in (b"", b"{}", b'{"on": 1}', b"[]", b"\xff"):
        answer = await client.post("/page/switches/api-cut", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422


async def test_the_body_of_a_switch_is_bounded(client):
    """What is beyond the limit is read, so that the client reads the answer, and not kept."""

    async def much():
        for _ in range(64):
            yield b" " * (1 << 20)

    tracemalloc.start()
    try:
        answer = await client.post("/page/switches/api-cut", content=much(), headers={"content-type": "application/json"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 24 << 20


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://evil.example"},
        {"content-type": "text/plain"},
        {"host": "evil.example"},
    ],
)
async def test_another_site_s_page_may_turn_nothing(client, headers):
    """A browser says which page a request comes from, and by which name it found the page."""
    answer = await client.post("/page/switches/api-cut", json={"on": True}, headers=headers)
    assert answer.status_code == 403
    assert (await client.get(CONFIG_PATH, headers=AUTHORIZED)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/page/state", "/page/events", "/page/charts/a%2Fb", "/page/app.js"]
)
async def test_another_name_that_points_here_reads_nothing_of_the_page(client, path):
    answer = await client.get(path, headers={"host": "evil.example:8700"})
    assert (answer.status_code, answer.json()["error"]) == (
        403,
        "Host is 'evil.example:8700': expected an address, localhost or this machine's name",
    )


async def test_all_handlers_run_on_the_one_loop(client, monkeypatch):
    """On a thread of its own a handler would read what the API is writing at that moment."""

    async def no_thread(*_: object, **__: object) -> None:
        raise AssertionError("a handler runs on a thread")

    monkeypatch.setattr("starlette.routing.run_in_threadpool", no_thread)
    for path in ("/", "/docs", "/openapi.json", "/page/state", "/page/charts/a%2Fb", "/page/app.js"):
        assert (await client.get(path)).status_code == 200
    await turn(client, "api-cut", True)


async def test_readers_of_the_page_cost_no_value(client):
    """500 values arrive while the page is looked at without a pause: each of them is there."""
    delivered = False

    async def look() -> None:
        while not delivered:
            assert (await client.get("/page/state")).status_code == 200
            assert (await client.get("/page/charts/a%2Fb")).status_code == 200

    looking = [asyncio.create_task(look()) for _ in range(4)]
    start = datetime.now(UTC) - timedelta(seconds=500)
    stamps = [(start + timedelta(seconds=second)).isoformat(timespec="microseconds")[:26] + "Z" for second in range(500)]
    for first in range(0, 500, 10):
        metrics = [READING | {"timestamp": stamp} for stamp in stamps[first : first + 10]]
        assert (await client.post(METRICS_PATH, headers=AUTHORIZED, json={"metrics": metrics})).status_code == 200
    delivered = True
    await asyncio.gather(*looking)
    charts = (await client.get("/page/charts/a%2Fb")).json()["charts"]
    assert len(charts[0]["points"]) == 500


async def test_a_method_that_a_path_has_not_is_a_405_that_says_which_it_has(client):
    for method, path, allowed in (
        ("DELETE", CONFIG_PATH, "GET, HEAD"),
        ("GET", METRICS_PATH, "POST"),
        ("PUT", HEARTBEAT_PATH, "POST"),
    ):
        answer = await client.request(method, path, headers=AUTHORIZED)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
