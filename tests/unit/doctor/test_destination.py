"""The doctor asks the destination, with a request that holds nothing, and says what to correct."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from towerops_agent.destinations.kinds import KINDS
from towerops_agent.doctor.destination import check_destination
from towerops_agent.doctor.findings.check import Result
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination

TOKEN = "token-of-the-doctor-2b"


@asynccontextmanager
async def receiver(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers each request so; its URL, and what it was asked."""
    asked: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # that of a look whether it connects
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/write", asked


def says(status: str, body: bytes) -> bytes:
    """An answer."""
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_one_that_accepts_is_ok_and_its_clock_is_compared():
    date = b"Date: Thu, 26 Nov 2020 00:00:00 GMT\r\n"
    async with receiver(b"HTTP/1.1 204 No Content\r\n" + date + b"Connection: close\r\n\r\n") as (url, asked):
        (check,), ahead_s = await check_destination(Destination("p", url, bearer=Secret(TOKEN)))
    assert (check.result, check.found.startswith(f"p, {url} accepts remote write, ")) == (Result.OK, True)
    assert ahead_s is not None
    assert ahead_s > 86_400
    assert b"x-prometheus-remote-write-version: 0.1.0" in asked[0].lower()
    assert f"bearer {TOKEN}".encode() in asked[0].lower()


async def test_what_is_to_be_corrected_is_said_and_no_secret():
    async with receiver(says("401 Unauthorized", f"no {TOKEN}".encode())) as (url, _):
        (check,), _ = await check_destination(Destination("p", url, bearer=Secret(TOKEN)))
    assert (check.result, check.found) == (Result.FAILED, f"p, {url}: the credentials are refused (401)")
    assert check.hint == "are they right, and may they write?"


async def test_a_page_in_place_of_the_receiver_is_not_a_receiver_that_accepts():
    async with receiver(says("200 OK", b"<html>Sign in</html>")) as (url, _):
        (check,), _ = await check_destination(Destination("p", url))
    assert (check.result, check.found) == (Result.FAILED, f"p, {url}: status 200 with a web page")
    assert check.hint == "is the URL right, or does a login page or a proxy answer? It says: <html>Sign in</html>"


async def test_one_that_refuses_a_request_without_values_may_accept_others():
    async with receiver(says("400 Bad Request", b"no time series")) as (url, _):
        (check,), _ = await check_destination(Destination("p", url))
        (of_influxdb,), _ = await check_destination(Destination("p", url, kind="influxdb"))
    assert check.result is Result.WARNING
    assert check.found == f"p, {url} refuses a request without values (400: no time series)"
    assert of_influxdb.result is Result.OK


@pytest.mark.parametrize("kind", KINDS)
async def test_a_port_that_expects_tls_accepts_nothing(kind):
    async with receiver(says("400 Bad Request", b"Client sent an HTTP request to an HTTPS server.")) as (url, _):
        (check,), _ = await check_destination(Destination("p", url, kind=kind))
    assert (check.result, check.found) == (Result.FAILED, f"p, {url}: it expects TLS (400)")
    assert check.hint == "is the URL right? It begins with http://"


async def test_nobody_there_and_a_missing_certificate():
    (check,), _ = await check_destination(Destination("p", "http://127.0.0.1:9/write"))
    assert (check.result, check.found) == (Result.FAILED, "p, http://127.0.0.1:9/write: 127.0.0.1:9 Connection refused")
    closed = "the host answers, but nothing listens on this port: is the port in the destination's URL right? And in a container "
    assert check.hint.startswith(f"{closed}this address is the container itself")
    (check,), _ = await check_destination(Destination("p", "https://127.0.0.1:9/write", ca_file="/none.pem"))
    assert (check.result, "ca_file /none.pem can't be read" in check.found) == (Result.FAILED, True)


async def test_a_name_that_is_not_there_is_looked_up_in_the_url_of_the_destination():
    (check,), _ = await check_destination(Destination("p", "https://no-such-host.invalid/write"))
    assert "no-such-host.invalid was not found: " in check.found
    assert check.hint in (
        "is the destination's URL right?",
        "no DNS server answers: check /etc/resolv.conf, and that the firewall allows DNS",
    )


async def test_certificates_that_end_soon_are_said_though_the_receiver_accepts(tmp_path):
    ca, now = trustme.CA(), datetime.now(UTC)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = ca.issue_cert("agent.example.net", not_after=now + timedelta(days=3))
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", not_after=now + timedelta(days=9)).configure_cert(tls)
    files = {
        "ca_file": str(tmp_path / "ca.pem"),
        "client_cert": str(tmp_path / "own.pem"),
        "client_key": str(tmp_path / "own.pem"),
    }
    async with receiver(says("204 No Content", b""), tls) as (url, _):
        (works, server, client), _ = await check_destination(Destination("p", url, **files))
    assert (works.result, server.result, client.result) == (Result.OK, Result.WARNING, Result.WARNING)
    assert server.found.startswith("the certificate of destination p expires in ")
    assert client.found.startswith("the agent's own certificate for destination p expires in ")
    assert (server.hint, client.hint) == ("renew it at the server", "renew it, and send SIGHUP")


async def test_an_expired_certificate_of_a_receiver_has_its_end_and_the_next_step(tmp_path):
    ca, now = trustme.CA(), datetime.now(UTC)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    expired = ca.issue_cert("127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired.configure_cert(tls)
    async with receiver(says("200 OK", b""), tls) as (url, _):
        (check,), _ = await check_destination(Destination("p", url, ca_file=str(tmp_path / "ca.pem")))
    assert f"until {now - timedelta(days=2):%Y-%m-%d} (expired)" in check.found
    assert check.hint == "renew it at the server; if it is this machine's clock, have NTP set it"


async def test_one_that_hangs_up_though_the_way_to_it_works_is_said_with_its_reason(tmp_path):
    async with receiver(b"") as (url, _):
        (check,), _ = await check_destination(Destination("p", url))
    assert check.found.startswith(f"p, {url}: Server disconnected without sending a response")
    assert check.hint == "does this port expect https://?"
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with receiver(b"no answer of HTTP\r\n\r\n", tls) as (url, _):
        (check,), _ = await check_destination(Destination("p", url, ca_file=str(tmp_path / "ca.pem")))
    assert check.found.startswith(f"p, {url}: ")
    assert check.hint == "the way to it works at this moment: its own log may say more"


async def test_an_address_that_is_not_one_is_said():
    (check,), _ = await check_destination(Destination("p", "https://10.0.0.256/write"))
    assert (check.result, "the URL https://10.0.0.256/write can't be used" in check.found) == (Result.FAILED, True)
