"""A name with several addresses: the next one is tried if one fails, IPv6 first as the resolver has it. Or with another one."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from contract.scripted_server import ScriptedServer, answer
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination

OK = answer(200, {"status": "accepted", "received": 0})
HOST = "api.towerops.invalid"
UNREACHABLE = "2001:db8::1"
"""An address of documentation (RFC 3849), that no network has."""


@pytest.fixture
def resolver(monkeypatch):
    """Gives the names' addresses: those in the list, which a test fills."""
    addresses: list[str] = []
    real = asyncio.base_events.BaseEventLoop.getaddrinfo

    async def getaddrinfo(loop, host, port, **options):
        if host not in (HOST, HOST.encode()):
            return await real(loop, host, port, **options)
        families = {address: socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses}
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for address, family in families.items()]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return addresses


async def posted(url: str, **options):
    async with ApiClient(url.replace("127.0.0.1", HOST), TokenSource(Secret("t0ken")), **options) as client:
        return await client.post_metrics(b"{}", "key-1")


@pytest.mark.parametrize("failing", ["::1", UNREACHABLE])
async def test_ipv6_that_fails_falls_back_to_ipv4(resolver, failing):
    """Nothing listens at ::1, which refuses; the other one is not reached, or never answers."""
    server = ScriptedServer([OK])
    async with server.serve() as url:
        resolver[:] = [failing, "127.0.0.1"]
        assert await posted(url) == Accepted(received=0)
    assert server.connections == 1


@pytest.mark.parametrize("to_api", [True, False])
async def test_a_server_whose_name_has_another_address_is_left_within_an_hour_though_it_answers_still(resolver, to_api):
    """Else for as long as the old one keeps the connection, which is asked each few seconds: for good."""
    before, after = ScriptedServer([OK]), ScriptedServer([OK])
    clock = [datetime.now(UTC)]
    async with before.serve() as first, after.serve(at=("127.0.0.2", urlsplit(first).port or 0)):
        url = first.replace("127.0.0.1", HOST)
        resolver[:] = ["127.0.0.1"]
        api = ApiClient(url, TokenSource(Secret("t0ken")), now=lambda: clock[0])
        async with api if to_api else DestinationClient(Destination("p", url), now=lambda: clock[0]) as client:
            for minutes in range(62):
                await (client.post_metrics(b"{}", "key-1") if isinstance(client, ApiClient) else client.send(b""))
                if minutes == 1:
                    resolver[:] = ["127.0.0.2"]
                clock[0] += timedelta(minutes=1)
    assert (len(before.asked), before.connections) == (61, 1), "until the first request after an hour"
    assert (len(after.asked), after.connections) == (1, 1)


async def test_all_of_several_connections_are_left_within_an_hour(resolver):
    """As delivery has them when much waits: the next request takes whichever is free."""
    before, after = ScriptedServer([OK]), ScriptedServer([OK])
    clock = [datetime.now(UTC)]
    async with before.serve() as first, after.serve(at=("127.0.0.2", urlsplit(first).port or 0)):
        resolver[:] = ["127.0.0.1"]
        url = first.replace("127.0.0.1", HOST)
        async with ApiClient(url, TokenSource(Secret("t0ken")), now=lambda: clock[0]) as client:
            await asyncio.gather(*(client.post_metrics(b"{}", f"key-{number}") for number in range(3)))
            assert before.connections == 3
            resolver[:] = ["127.0.0.2"]
            clock[0] += timedelta(hours=1)
            for _ in range(4):
                await client.post_metrics(b"{}", "key-4")
    assert (len(before.asked), len(after.asked)) == (3 + 1, 3)


async def test_a_name_with_no_address_that_works_says_why(resolver):
    async with ScriptedServer([OK]).serve() as url:
        pass
    resolver[:] = ["::1", "127.0.0.1"]
    outcome = await posted(url)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.startswith("no connection: ")
