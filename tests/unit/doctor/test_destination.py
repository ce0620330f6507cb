"""The doctor asks the destination, with a request that holds nothing, and says what to correct."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from towerops_agent.destinations.kinds import KINDS
from towerops_agent.doctor.destination import check_destination
from towerops_agent.doctor.findings.check import Result
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination

TOKEN = "token-of-the-doctor-2b"


@asynccontextmanager
async def receiver(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers each request so; its URL, and what it was asked."""
    asked: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/write", asked


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
    assert (check.result, check.found) == (Result.FAILED, "p, http://127.0.0.1:9/write: no connection")
    assert check.hint.startswith("Connection refused; in a container this address is the container itself")
    (check,), _ = await check_destination(Destination("p", "https://127.0.0.1:9/write", ca_file="/none.pem"))
    assert (check.result, "ca_file /none.pem can't be read" in check.found) == (Result.FAILED, True)


async def test_an_address_that_is_not_one_is_said():
    (check,), _ = await check_destination(Destination("p", "https://10.0.0.256/write"))
    assert (check.result, "the URL https://10.0.0.256/write can't be used" in check.found) == (Result.FAILED, True)
