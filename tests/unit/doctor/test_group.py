"""The doctor and a group's servers: real ones, with members that say what is to be found."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import ANY

import pytest

from support import nats
from support.beats import beat
from support.hang import HANG_S
from support.nats import nats_cluster, nats_server
from towerops_agent.api.bearer import TokenSource
from towerops_agent.config.document.text import config_text
from towerops_agent.doctor import group as doctor
from towerops_agent.doctor.findings.check import Check, Result
from towerops_agent.doctor.group import check_group
from towerops_agent.group.bus import Bus
from towerops_agent.group.course.wire import encode_message
from towerops_agent.group.seal import Seal
from towerops_agent.model import Secret
from towerops_agent.settings import Settings

pytestmark = pytest.mark.skipif(nats.SERVER is None, reason="nats-server is needed: apt-get install nats-server")

TOKEN = Secret("the token")
HERE = "towerops.default.here"
USERS = (
    'authorization { users: [ { user: agent, password: "right", permissions: { subscribe: "towerops.>", publish: "other" } } ] }'
)


def settings(*urls: str, **more) -> Settings:
    return Settings(api_url="https://unused.example", token=TOKEN, group_nats_urls=urls, **more)


async def examined(of: Settings, config=None) -> list[tuple[Result, str]]:
    checks: list[Check] = await check_group(of, TokenSource(of.token), config)
    return [(check.result, check.found) for check in checks]


@asynccontextmanager
async def member(url: str, name: str, token: Secret = TOKEN, **fields) -> AsyncIterator[None]:
    """Says all the time that it is there."""
    seal = Seal("default", lambda: [token])
    bus = Bus([url], [], lambda *_: None, name=name)

    async def speak() -> None:
        for sequence in range(100_000):
            said = beat(name, sequence, wall_us=time.time_ns() // 1000, **fields)
            await bus.publish(HERE, seal.seal(HERE, encode_message(said)))
            await asyncio.sleep(0.02)

    async with bus.connected(url):
        speaking = asyncio.create_task(speak())
        try:
            yield
        finally:
            speaking.cancel()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """A short time to listen, in which a busy machine may pass nothing on: so the doctor is asked until it has heard enough."""
    monkeypatch.setattr(doctor, "LISTEN_S", 0.5)


async def finds(wanted: list[tuple[Result, str]], of: Settings, config=None) -> list[tuple[Result, str]]:
    """Examine the group until these are the checks. A text of which only a part is known is ANY: the checks are returned."""
    checks: list[tuple[Result, str]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(HANG_S):
            while checks != wanted:
                checks = await examined(of, config)
    assert checks == wanted
    return checks


async def test_a_group_in_order(tmp_path: Path):
    config = config_text(b'{"equipment": []}')
    digest = doctor.digest_of([])
    async with (
        nats_cluster(tmp_path, 2) as (a, b),
        member(a.url, "box-1", configuration=digest),
        member(b.url, "box-2", configuration=digest),
    ):
        wanted = [
            (Result.OK, f"{a.url} passes messages on"),
            (Result.OK, f"{b.url} passes messages on"),
            (Result.OK, "2 members: box-1 ready, box-2 ready"),
            (Result.OK, "the same for all members"),
            (Result.OK, "members' clocks agree with this one"),
        ]
        await finds(wanted, settings(a.url, b.url), config)


async def test_a_server_that_is_away_and_servers_without_a_route(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with nats_server(tmp_path / "a") as a, nats_server(tmp_path / "b") as b:
        no_member = (Result.WARNING, "no member is heard")
        wanted = [
            (Result.FAILED, f"{a.url} gets no message from {b.url}"),
            (Result.FAILED, f"{b.url} gets no message from {a.url}"),
            no_member,
        ]
        await finds(wanted, settings(a.url, b.url))
        b.kill()
        first, *_ = await examined(settings(a.url, b.url))
        assert first[0] is Result.FAILED
        assert first[1].startswith(f"{b.url}: ")
        await finds([first, (Result.OK, f"{a.url} passes messages on"), no_member], settings(a.url, b.url))


async def test_another_token(tmp_path: Path):
    async with nats_server(tmp_path) as server, member(server.url, "box-1", Secret("another")):
        passes_on, no_member = (Result.OK, f"{server.url} passes messages on"), (Result.WARNING, "no member is heard")
        _, (_, found), _ = await finds([passes_on, (Result.FAILED, ANY), no_member], settings(server.url))
    assert re.fullmatch(r"[1-9]\d* messages? can't be opened with this token", found)


async def test_user_and_permissions(tmp_path: Path):
    login = tmp_path / "login"
    async with nats_server(tmp_path, USERS) as server:
        login.write_text("agent:wrong\n")
        ((mark, found),) = await examined(settings(server.url, group_credentials_file=login))
        assert (mark, found) == (Result.FAILED, f"{server.url}: Authorization Violation")
        login.write_text("agent:right\n")
        first, *_ = await examined(settings(server.url, group_credentials_file=login))
        assert first == (Result.FAILED, f"{server.url} accepts the connection and passes no message on")
        login.write_text("only a user\n")
        ((mark, found),) = await examined(settings(server.url, group_credentials_file=login))
        assert mark is Result.FAILED
        assert "holds something else: expected one line, user:password" in found
        ((mark, found),) = await examined(settings(server.url, group_credentials_file=tmp_path / "none"))
        assert "can't be read: No such file or directory" in found


async def test_a_password_that_would_travel_in_the_clear(tmp_path: Path):
    login = tmp_path / "login"
    login.write_text("agent:right\n")
    *_, (mark, found) = await examined(settings("nats://192.0.2.1:4222", "tls://192.0.2.1:1", group_credentials_file=login))
    assert (mark, found) == (Result.WARNING, "the password travels in the clear to nats://192.0.2.1:4222")
