"""METRICS_LISTEN serves one page to Prometheus: over real sockets, with clients that are slow, rude or too many."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from support.agent import TOKEN, environment, running
from support.hang import HANG_S
from support.site import COMMUNITY, site
from towerops_agent.counters import Count, Counters
from towerops_agent.places import MOST_CLIENTS
from towerops_agent.telemetry.metrics_page import MetricsPage
from towerops_lab.sandbox.server import Sandbox

Lines = asyncio.Queue[tuple[str, dict[str, Any]]]


async def greeting() -> bytes:
    return b"towerops_agent_up 1\n"


@pytest.fixture
def lines() -> Lines:
    """What is logged, as it is logged: (level, fields)."""
    told: Lines = asyncio.Queue()

    def take(_logger, level, event):
        told.put_nowait((level, dict(event)))
        raise structlog.DropEvent

    structlog.configure(processors=[take])
    return told


@asynccontextmanager
async def served(lines: Lines, text=greeting, **more) -> AsyncIterator[tuple[str, int]]:
    """A page in this process, at any free port of loopback; the block gets its address."""
    page = MetricsPage(("127.0.0.1", 0), text, more.pop("counters", Counters()), **{"client_within_s": HANG_S, **more})
    task = asyncio.create_task(page.run())
    level, line = await lines.get()
    assert (level, line["event"]) == ("info", "metrics are served")
    host, _, port = line["address"].rpartition(":")
    try:
        yield host, int(port)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answer_to(address: tuple[str, int], octets: bytes) -> bytes:
    """All that comes back for these octets, to the end of the connection."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(octets)
    try:
        return await reader.read()
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def get(address: tuple[str, int]) -> bytes:
    return await answer_to(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")


def values(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


async def test_a_running_agent_says_what_it_has_polled_and_delivered(tmp_path: Path):
    """As Prometheus fetches it: over HTTP, in its format, with the numbers that the server has seen."""
    async with site(2) as config:
        sandbox = Sandbox(config, TOKEN)
        async with (
            sandbox.serve() as url,
            running(env=environment(url, tmp_path / "agent.db", METRICS_LISTEN="127.0.0.1:0")) as agent,
            httpx2.AsyncClient(trust_env=False) as client,
        ):
            page = f"http://{await agent.metrics_address()}/metrics"
            await sandbox.store.wait_until(lambda store: store.metric_count > 0)
            while True:  # until it has heard the server's answer too
                answer = await client.get(page)
                seen = values(answer.text)
                if seen["towerops_agent_metrics_delivered_total", ""] == sandbox.store.metric_count:
                    break
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert seen["towerops_agent_devices", "up"] == 2
            assert seen["towerops_agent_polls_total", "complete"] >= 2
            assert seen["towerops_agent_api_reachable", "metrics"] == 1
            assert seen["towerops_agent_buffer_answers",] == 1
            assert seen["towerops_agent_database_bytes",] > 0
            assert TOKEN not in answer.text
            assert COMMUNITY not in answer.text
            assert await agent.stop() == 0
    assert "other machines" not in agent.log


async def test_it_is_off_by_default_and_nothing_listens(tmp_path: Path):
    def listeners(pid: int) -> set[str]:
        held = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
        rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}

    sandbox = Sandbox({}, TOKEN)
    async with sandbox.serve() as url:
        async with running(env=environment(url, tmp_path / "agent.db")) as agent:
            await sandbox.store.wait_until(lambda store: bool(store.heartbeats))
            assert listeners(agent.pid) == set()
        async with running("--metrics-listen", "127.0.0.1:0", env=environment(url, tmp_path / "agent.db")) as agent:
            await agent.metrics_address()
            assert len(listeners(agent.pid)) == 1


async def test_a_port_in_use_is_reported_once_and_the_agent_goes_on(tmp_path: Path):
    async with site(1) as config:
        sandbox = Sandbox(config, TOKEN)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            async with sandbox.serve() as url, running(env=environment(url, tmp_path / "a.db", METRICS_LISTEN=listen)) as agent:
                await agent.logged("metrics can't be served, the agent goes on without; will retry")
                await sandbox.store.wait_until(lambda store: store.metric_count > 0)
                assert await agent.stop() == 0
    (line,) = [line for line in agent.lines if "metrics can't be served" in line]
    assert "level=warning" in line
    assert f'address={listen} reason="' in line
    assert "already in use" in line


async def test_a_bad_address_is_reported_in_one_line(tmp_path: Path):
    async with running(env=environment("https://unused.example", tmp_path / "agent.db", METRICS_LISTEN="9464")) as agent:
        assert await agent.ended() == 2
    wanted = "host:port or [IPv6 address]:port, as in 127.0.0.1:9464, with a port from 0 (any free one) to 65535"
    assert agent.lines == [f"towerops-agent: METRICS_LISTEN is '9464': expected {wanted}"]


async def test_an_address_that_is_free_again_is_served_and_a_lasting_failure_is_not_a_flood(lines: Lines):
    """In its own time: each pause is a minute, and the port becomes free in the third."""
    taken = socket.create_server(("127.0.0.1", 0))
    address = taken.getsockname()
    pauses = []

    async def sleep(seconds: float) -> None:
        if len(pauses) == 3:  # it is served
            await asyncio.Event().wait()
        pauses.append(seconds)
        if len(pauses) == 3:
            taken.close()

    task = asyncio.create_task(MetricsPage(address, greeting, Counters(), sleep=sleep).run())
    told = [await lines.get(), await lines.get()]
    assert [line["event"] for _, line in told] == [
        "metrics can't be served, the agent goes on without; will retry",
        "metrics are served",
    ]
    assert pauses == [60, 60, 60]
    assert (await get(address)).endswith(await greeting())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_address_that_others_reach_is_allowed_and_warned_of(lines: Lines):
    task = asyncio.create_task(MetricsPage(("0.0.0.0", 0), greeting, Counters()).run())
    assert [(await lines.get())[0] for _ in range(2)] == ["info", "warning"]
    assert lines.empty()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_get_and_head_of_the_page_are_answered_and_nothing_else(lines: Lines):
    async with served(lines) as address:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{address[1]}", trust_env=False) as client:
            page = await client.get("/metrics?name[]=x")
            head = await client.head("/metrics")
            others = [
                await client.get("/"),
                await client.get("/metrics/"),
                await client.get("/metricsx"),
                await client.get("//metrics"),
                await client.post("/metrics"),
                await client.delete("/metrics"),
                await client.options("/metrics"),
                await client.head("/"),
            ]
        assert (page.status_code, page.content) == (200, await greeting())
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(await greeting())))
        assert {answer.status_code for answer in others} == {404}
        assert (await answer_to(address, b"GET /metrics HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        bytes(range(256)) + b"\r\n\r\n",
    ],
)
async def test_what_is_not_a_request_is_a_bad_one(lines: Lines, octets: bytes):
    async with served(lines) as address:
        assert (await answer_to(address, octets)).startswith(b"HTTP/1.1 400 ")
        assert (await get(address)).startswith(b"HTTP/1.1 200 ")
    assert lines.empty(), "and no line of the log"


async def test_a_head_without_an_end_is_cut_off(lines: Lines):
    """Once it is longer than any that is meant, and without an answer."""
    async with served(lines) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)
        with suppress(ConnectionError):  # as the system likes to tell it
            assert await reader.read() == b""
        writer.close()
        assert (await get(address)).startswith(b"HTTP/1.1 200 ")
    assert lines.empty()


async def test_a_client_that_asks_nothing_is_left_when_its_time_is_over(lines: Lines):
    async with served(lines, client_within_s=0.01) as address:
        assert await answer_to(address, b"GET /metr") == b""
    assert lines.empty()


async def test_a_client_that_does_not_read_is_left_when_its_time_is_over(lines: Lines):
    """A page far larger than what the system buffers; the client finds it cut short when it reads at last."""

    async def endless() -> bytes:
        return b"x" * (64 << 20)

    async with served(lines, endless, client_within_s=0.2) as address:
        reader, writer = await asyncio.open_connection(*address, limit=1)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        writer.transport.pause_reading()
        assert await answer_to(address, b"GET /m") == b"", "it came later, and its time is over too"
        writer.transport.resume_reading()
        got = 0
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 20):
                got += len(chunk)
        assert got < 64 << 20
        writer.close()
    assert lines.empty()


async def test_idle_clients_keep_nobody_out(lines: Lines):
    """With all places taken the one who came first goes, and the next one is served."""
    async with served(lines) as address, AsyncExitStack() as stack:
        idle = []
        for _ in range(MOST_CLIENTS):
            reader, writer = await asyncio.open_connection(*address)
            stack.callback(writer.close)
            idle.append(reader)
        for _ in range(3):
            assert (await get(address)).startswith(b"HTTP/1.1 200 ")
        assert await idle[0].read() == b""
        assert not any(reader.at_eof() for reader in idle[1:])


async def test_a_client_whose_page_is_being_written_is_not_closed_for_others(lines: Lines):
    """Idle ones that connect again and again would else keep the metrics from whoever asks for them."""
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def text() -> bytes:
        begun.set()
        await goes_on.wait()
        return await greeting()

    async with served(lines, text) as address, AsyncExitStack() as stack:
        asked = asyncio.create_task(get(address))
        await begun.wait()
        idle = []
        for _ in range(2 * MOST_CLIENTS):
            reader, writer = await asyncio.open_connection(*address)
            stack.callback(writer.close)
            idle.append(reader)
        assert await idle[MOST_CLIENTS].read() == b"", "by then all have been let in"
        goes_on.set()
        assert (await asked).endswith(await greeting())


async def test_the_stop_ends_all_connections(lines: Lines):
    async with served(lines) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET ")
        await get(address)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_the_text_is_written_once_a_second_however_many_ask(lines: Lines):
    now_s, written = 100.0, 0

    async def text() -> bytes:
        nonlocal written
        written += 1
        return str(written).encode()

    async with served(lines, text, monotonic_s=lambda: now_s) as address:
        answers = await asyncio.gather(*(get(address) for _ in range(10)))
        assert {answer.rpartition(b"\r\n")[2] for answer in answers} == {b"1"}
        now_s += 1
        assert (await get(address)).endswith(b"\r\n2")


async def test_a_bug_in_the_text_is_reported_and_counted_and_the_page_goes_on(lines: Lines):
    texts = [b"fine"]
    counters = Counters()

    async def text() -> bytes:
        if not texts:
            raise ZeroDivisionError("a bug")
        return texts.pop()

    now_s = 0.0
    async with served(lines, text, counters=counters, monotonic_s=lambda: now_s) as address:
        assert (await get(address)).endswith(b"fine")
        now_s += 1
        assert await get(address) == b""
        assert (await lines.get())[1]["event"] == "metrics could not be written because of a bug; please report it"
        assert counters.get(Count.BUGS, "metrics") == 1
        texts.append(b"fine again")
        assert (await get(address)).endswith(b"fine again")


async def test_a_text_without_memory_for_it_is_not_a_bug_and_the_page_goes_on(lines: Lines):
    counters = Counters()
    errors: list[Exception] = [MemoryError()]

    async def text() -> bytes:
        if errors:
            raise errors.pop()
        return b"fine"

    async with served(lines, text, counters=counters) as address:
        assert await get(address) == b""
        assert (await lines.get())[1]["event"] == "no memory to write the metrics, not answered"
        assert (await get(address)).endswith(b"fine")
    assert counters.total(Count.BUGS) == 0


async def test_that_there_is_no_memory_for_the_page_is_said_once_a_minute_with_how_often(lines: Lines):
    now_s = 0.0

    async def text() -> bytes:
        raise MemoryError

    async with served(lines, text, monotonic_s=lambda: now_s) as address:
        for _ in range(3):
            assert await get(address) == b""
        now_s = 61.0
        assert await get(address) == b""
        assert "unlogged" not in (await lines.get())[1]
        assert (await lines.get())[1]["unlogged"] == 2
