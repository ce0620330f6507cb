"""A name server that does not answer holds no stop, and one thread for each name."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.hang import HANG_S
from towerops_agent.lookups import ResolvingLoop


class DeadNameServer:
    """In place of the system's resolver, until `answer` is set. `askers`: the threads that wait for it; `asked`: for each one."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.askers: list[threading.Thread] = []
        self.asked = threading.Semaphore(0)
        self.found: Any = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]

    def getaddrinfo(self, *_question: object) -> Any:
        self.askers.append(threading.current_thread())
        self.asked.release()
        if threading.current_thread().daemon:  # else the end of the loop would wait for it, and the test never end
            self.answer.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadNameServer]:
    server = DeadNameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.answer.set()


def run(main: Any) -> None:
    with asyncio.Runner(loop_factory=ResolvingLoop) as runner:
        runner.run(main)


async def resolve(host: str = "api.example") -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)


def test_a_loop_ends_while_the_system_is_asked(server: DeadNameServer):
    async def main() -> None:
        asker = asyncio.create_task(resolve())
        await asyncio.to_thread(server.asked.acquire)
        asker.cancel()

    run(main())
    assert [asker.daemon for asker in server.askers] == [True], "the end of the loop, and of the process, waits for this thread"


def test_a_name_is_asked_for_once_at_a_time_however_often_it_is_wanted(server: DeadNameServer):
    """Who gives up after ten seconds, and tries again, does not add a thread each time."""

    async def main() -> None:
        for _ in range(5):
            asker = asyncio.create_task(resolve())
            await asyncio.sleep(0)
            asker.cancel()
        last, other = asyncio.create_task(resolve()), asyncio.create_task(resolve("other.example"))
        for _ in range(2):
            await asyncio.to_thread(server.asked.acquire)
        server.answer.set()
        assert await last == await other == server.found
        assert len(server.askers) == 2
        assert await resolve() == server.found
        assert len(server.askers) == 3, "an answer is not kept: addresses change"

    run(main())


def test_what_the_system_raises_is_raised(server: DeadNameServer):
    server.found = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    server.answer.set()

    async def main() -> None:
        with pytest.raises(socket.gaierror, match="Temporary failure"):
            await resolve()

    run(main())


def test_a_failure_that_nobody_waits_for_any_more_is_not_logged(server: DeadNameServer, caplog: pytest.LogCaptureFixture):
    server.found = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def main() -> None:
        given_up = asyncio.create_task(resolve())
        await asyncio.to_thread(server.asked.acquire)
        given_up.cancel()
        server.answer.set()
        with pytest.raises(socket.gaierror):
            await resolve()

    run(main())
    assert caplog.records == []


class HalfSilentLoop(ResolvingLoop):
    """Whoever connects to 127.0.0.2 hears nothing, for good."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await super().sock_connect(sock, address)


def test_a_server_is_reached_though_the_first_address_of_its_name_is_silent(server: DeadNameServer):
    """asyncio tries one after the other, each for as long as the system does: the group's client gives up before."""
    reached = []

    async def main() -> None:
        async with asyncio.timeout(HANG_S):
            _, writer = await asyncio.open_connection("nats.example", port)
        reached.append(writer.get_extra_info("peername"))
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listening, asyncio.Runner(loop_factory=HalfSilentLoop) as runner:
        port = listening.getsockname()[1]
        server.found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        server.answer.set()
        runner.run(main())
    assert reached == [("127.0.0.1", port)]
