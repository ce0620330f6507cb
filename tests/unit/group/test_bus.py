"""The engine, by the real server: what is published arrives, and what happens to servers is noticed."""

import asyncio
import ssl
from asyncio import constants
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from support import nats, virtual_time
from support.hang import HANG_S
from support.nats import nats_cluster, nats_server
from towerops_agent.errors import EngineUnreachable
from towerops_agent.group.bus import Bus

pytestmark = pytest.mark.skipif(nats.SERVER is None, reason="nats-server is needed: apt-get install nats-server")

SUBJECT = "towerops.default.here"
USERS = """
authorization { users: [ { user: agent, password: "right", permissions: {
  publish: ["towerops.default.here"], subscribe: ["towerops.default.here"] } } ] }
"""


class Ear:
    """What a bus hears, and when its connection changes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.news = asyncio.Event()

    def hear(self, subject: str, octets: bytes) -> None:
        assert subject == SUBJECT
        self.heard.append(octets)
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    async def within_limit(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(HANG_S):
            await self.until(condition)


def bus(ear: Ear, *urls: str, **options) -> Bus:
    return Bus(urls, [SUBJECT], ear.hear, name="test", changed=ear.news.set, **options)


@asynccontextmanager
async def running(member: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(member.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def trusting(authority: trustme.CA) -> Callable[[], ssl.SSLContext]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda: context


def with_tls(folder: Path) -> tuple[str, Callable[[], ssl.SSLContext]]:
    """What a server's configuration says of TLS, and who trusts it."""
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return f'tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }}', trusting(ca)


async def why(member: Bus, url: str) -> str:
    with pytest.raises(EngineUnreachable) as unreachable:
        async with member.connected(url):
            pass
    assert not member.is_connected
    return str(unreachable.value)


async def test_what_one_publishes_both_hear(tmp_path: Path):
    async with nats_cluster(tmp_path, 2) as (a, b):
        ears = Ear(), Ear()
        one, other = bus(ears[0], a.url), bus(ears[1], b.url)
        async with running(one), running(other):
            for ear, member in zip(ears, (one, other), strict=True):
                await ear.until(lambda member=member: member.is_connected)
            assert one.server == a.url
            while not ears[1].heard:  # until the route knows of the other's subscription
                assert await one.publish(SUBJECT, b"hello")
                assert await one.flush(HANG_S)
                await asyncio.sleep(0.02)
            assert set(ears[0].heard) == {b"hello"}
    assert not one.is_connected
    assert not await one.publish(SUBJECT, b"too late")
    assert not await one.flush(1)


async def test_the_first_server_is_used_and_the_next_one_after_its_loss(tmp_path: Path):
    async with nats_cluster(tmp_path, 2) as (a, b):
        ear = Ear()
        member = bus(ear, a.url, b.url)
        async with running(member):
            await ear.until(lambda: member.server == a.url)
            a.kill()
            await ear.until(lambda: member.server == b.url)
            assert member.failures == {}
            await a.start()
            b.kill()
            await ear.until(lambda: member.server == a.url)
            await member.publish(SUBJECT, b"again")
            await ear.until(lambda: ear.heard == [b"again"])


async def test_a_bug_in_what_hears_messages_is_not_kept_from_the_operator(tmp_path: Path):
    """Whoever runs the bus logs and counts it (loops.py)."""

    def hear(_subject: str, _octets: bytes) -> None:
        raise TypeError("a bug")

    async with nats_server(tmp_path) as server:
        connected = asyncio.Event()
        member = Bus([server.url], [SUBJECT], hear, name="test", changed=connected.set)
        running = asyncio.create_task(member.run())
        await connected.wait()
        assert await member.publish(SUBJECT, b"hello")
        with pytest.raises(TypeError, match="a bug"):
            async with asyncio.timeout(HANG_S):
                await running
        assert not member.is_connected


async def test_a_frozen_server_is_left_for_another_and_its_queue_is_not_used(tmp_path: Path):
    async with nats_cluster(tmp_path, 2) as (a, b):
        ear = Ear()
        member = bus(ear, a.url, b.url)
        async with running(member):
            await ear.until(lambda: member.server == a.url)
            a.freeze()
            await ear.until(lambda: member.server == b.url)
            a.thaw()
            assert member.is_connected


async def test_a_frozen_server_is_left_though_it_never_ends_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """asyncio waits for half a minute for the word with which a peer ends TLS; a server that is frozen, or cut off, says none."""
    monkeypatch.setattr(constants, "SSL_SHUTDOWN_TIMEOUT", 2 * HANG_S)
    config, trusted = with_tls(tmp_path)
    async with nats_server(tmp_path, config, scheme="tls") as a, nats_server(tmp_path, config, scheme="tls") as b:
        ear = Ear()
        member = bus(ear, a.url, b.url, tls=trusted)
        async with running(member):
            await ear.until(lambda: member.server == a.url)
            a.freeze()
            await ear.within_limit(lambda: member.server == b.url)
            assert await member.publish(SUBJECT, b"again")
            await ear.until(lambda: ear.heard == [b"again"])


async def test_a_server_that_reads_no_more_is_left_though_octets_wait_for_it():
    """What waits to be sent is given up with it: a server that is frozen would never read it."""
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576}\r\n')
        pings = 0
        async for line in reader:
            pings += line.startswith(b"PING")
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if pings == 2:  # of the connection, and of its subscriptions
                break
        await asked.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ear = Ear()
        member = bus(ear, url)
        async with member.connected(url) as lost:
            publishing = asyncio.create_task(publish_much(member))
            async with asyncio.timeout(HANG_S):
                await lost.wait()
                await publishing
        asked.set()


async def publish_much(member: Bus) -> None:
    """More than the buffers of a socket hold, as what members learn of 10,000 devices may be."""
    for _ in range(30):
        await member.publish(SUBJECT, bytes(1 << 20))


async def test_it_waits_for_servers_that_are_not_there_yet(tmp_path: Path):
    async with nats_server(tmp_path) as server:
        ear = Ear()
        server.kill()
        member = bus(ear, server.url)
        async with running(member):
            await ear.until(lambda: server.url in member.failures)
            assert server.url in member.reasons
            await server.start()
            await ear.until(lambda: member.is_connected)


async def test_user_and_password_are_those_of_the_login(tmp_path: Path):
    async with nats_server(tmp_path, USERS) as server:
        assert await why(bus(Ear(), server.url), server.url) == "Authorization Violation"
        assert await why(bus(Ear(), server.url, login=lambda: ("agent", "wrong")), server.url) == "Authorization Violation"
        member = bus(Ear(), server.url, login=lambda: ("agent", "right"))
        async with member.connected(server.url):
            assert member.is_connected
            assert member.failures == {}


async def test_a_permission_that_is_missing_is_noticed(tmp_path: Path):
    async with nats_server(tmp_path, USERS) as server:
        ear, other = Ear(), "towerops.other.here"
        member = Bus([server.url], [other], ear.hear, name="test", login=lambda: ("agent", "right"), changed=ear.news.set)
        async with member.connected(server.url):
            await ear.until(lambda: member.refused != "")
            assert "permissions violation" in member.refused
            assert "permissions violation" in member.reasons


async def test_a_permission_that_is_missing_is_news_once_however_often_the_server_says_so(tmp_path: Path):
    """It says so to each message; a member that answers news with a message would never rest."""
    async with nats_server(tmp_path, USERS) as server:
        ear, news = Ear(), []

        def changed() -> None:
            news.append(member.refused)
            ear.news.set()

        member = Bus([server.url], [SUBJECT], ear.hear, name="test", login=lambda: ("agent", "right"), changed=changed)
        async with member.connected(server.url):
            for _ in range(20):
                assert await member.publish("towerops.other.here", b"beat")
                assert await member.flush(HANG_S)
            await member.publish("towerops.other.learned", b"traits")
            await ear.until(lambda: "towerops.other.learned" in member.refused)
            first, *refused = news
            assert first == ""
            assert [text.rpartition(" ")[2] for text in refused] == ['"towerops.other.here"', '"towerops.other.learned"']
            assert await member.publish(SUBJECT, b"hello")
            await ear.until(lambda: ear.heard == [b"hello"])


async def test_over_tls_the_certificate_is_verified(tmp_path: Path):
    config, trusted = with_tls(tmp_path)
    other = trusting(trustme.CA())
    async with nats_server(tmp_path, config, scheme="tls") as server:
        ear = Ear()
        member = bus(ear, server.url, tls=trusted)
        async with member.connected(server.url):
            await member.publish(SUBJECT, b"sealed")
            await ear.until(lambda: ear.heard == [b"sealed"])
        assert "signed by an unknown CA" in await why(bus(Ear(), server.url, tls=other), server.url)


async def test_a_password_is_never_sent_without_tls_if_the_url_says_tls(tmp_path: Path):
    """Whoever answers in the server's place could ask for that."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"auth_required":true}\r\n')
        lines.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        member = bus(Ear(), url, login=lambda: ("agent", "secret"), tls=ssl.create_default_context)
        assert "the server does not use TLS" in await why(member, url)
    assert b"secret" not in b"".join(lines)


@pytest.mark.parametrize("says", [b"", b"220 mail.example ESMTP\r\n", b"INFO nonsense\r\n", b"INFO []\r\n", b"\xff\xff\r\n"])
async def test_what_is_not_a_nats_server_is_a_reason(says: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await why(bus(Ear(), url), url)


@pytest.mark.parametrize("field", ['"max_payload":null', '"max_payload":"1 MB"', '"max_payload":[]', '"connect_urls":5'])
async def test_a_server_that_sends_something_else_in_place_of_numbers_is_not_used(field: str):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,%s}\r\n' % field.encode())
        async for line in reader:
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await why(bus(Ear(), url), url) == "the server does not speak NATS as it should"


@pytest.mark.parametrize(("lasts_s", "most", "least"), [(0.001, 41, 30), (60.0, 3, 2)])
def test_servers_that_end_each_connection_at_once_are_not_asked_without_a_pause(lasts_s, most, least):
    """As one does whose account has too many connections. One that has lasted is left for the next at once. In virtual time."""
    began: list[float] = []

    class Kicked(Bus):
        @asynccontextmanager
        async def connected(self, url: str) -> AsyncIterator[asyncio.Event]:
            began.append(asyncio.get_running_loop().time())
            lost = asyncio.Event()
            asyncio.get_running_loop().call_later(lasts_s, lost.set)
            yield lost

    async def main() -> None:
        ear = Ear()
        member = Kicked(["nats://a", "nats://b"], [SUBJECT], ear.hear, name="test", changed=ear.news.set)
        async with running(member):
            await asyncio.sleep(max(10.0, 2.5 * lasts_s))

    virtual_time.run(main())
    assert least <= len(began) <= most
    assert not any(after - before > lasts_s + 0.01 for before, after in zip(began[::2], began[1::2], strict=False))
