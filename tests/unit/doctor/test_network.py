"""The way to the API, a layer at a time, against real servers: TCP, TLS with good and bad certificates, proxies."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from contract.scripted_server import ScriptedServer, answer
from contract.test_tls import self_signed
from support.hang import HANG_S
from towerops_agent.api.tls import tls_context
from towerops_agent.doctor import tls
from towerops_agent.doctor.findings.check import Result
from towerops_agent.doctor.network import check_network

NOW = datetime.now(UTC)
DATE = f"{NOW:%a, %d %b %Y %H:%M:%S} GMT"
OK = answer(401, {}, Date=DATE)


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def context(ca, tmp_path):
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return tls_context(file)


def server_side(certificate, client_ca=None):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    if client_ca is not None:
        client_ca.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls


async def look(url, context, now=lambda: NOW, timeout_s=HANG_S):
    """The checks by name, and how far the clock is ahead."""
    network = await asyncio.to_thread(check_network, url, context, now, timeout_s)
    assert len({check.name for check in network.checks}) == len(network.checks)
    return {check.name: check for check in network.checks}, network


def refuse_clients(listener, tls):
    """Take three connections (TCP is tried, then TLS, then TLS again to see the certificate), and refuse each client."""
    for _ in range(3):
        connection, _ = listener.accept()
        with connection, suppress(OSError), tls.wrap_socket(connection, server_side=True):
            pass


async def over_tls(certificate, context, **more):
    server = ScriptedServer([OK])
    async with server.serve(server_side(certificate, **more)) as url:
        checks, network = await look(url, context)
    for asked in server.asked:
        assert asked.method == "HEAD"
        assert "authorization" not in asked.headers
    return checks["TLS"], network


async def test_a_good_way_is_reported_layer_by_layer(ca, context):
    until = NOW + timedelta(days=90)
    certificate = ca.issue_cert("localhost", "127.0.0.1", not_before=NOW - timedelta(days=1), not_after=until)
    server = ScriptedServer([OK])
    async with server.serve(server_side(certificate)) as url:
        checks, network = await look(url, context)
    assert list(checks) == ["name", "TCP", "proxy", "TLS"]
    assert [check.result for check in checks.values() if check.name != "TCP"] == [Result.OK, Result.SKIPPED, Result.OK]
    assert "localhost is " in checks["name"].found
    assert "connects in" in checks["TCP"].found
    assert "TLSv1.3, a certificate for localhost, 127.0.0.1 by trustme" in checks["TLS"].found
    assert f"until {until:%Y-%m-%d} (89 days)" in checks["TLS"].found
    assert network.ahead_s == 0.0
    assert network.works


async def test_a_certificate_of_a_week_is_a_warning_only_in_its_last_quarter(ca, context):
    """Programs renew it with a third, or half, of its life left."""
    for left, result in ((2.0, Result.OK), (1.5, Result.WARNING)):
        until = NOW + timedelta(days=left)
        check, _ = await over_tls(ca.issue_cert("localhost", not_before=until - timedelta(days=7), not_after=until), context)
        assert check.result is result


async def test_a_certificate_that_ends_soon_is_a_warning(ca, context):
    certificate = ca.issue_cert("localhost", not_before=NOW - timedelta(days=80), not_after=NOW + timedelta(days=9))
    check, network = await over_tls(certificate, context)
    assert check.result is Result.WARNING
    assert "renew it" in check.hint
    assert network.works


async def test_an_expired_certificate_is_reported_with_its_end_and_the_servers_time(ca, context):
    """The server's time is known all the same, so that a wrong clock is distinguished from an old certificate."""
    expired = ca.issue_cert("localhost", not_before=NOW - timedelta(days=10), not_after=NOW - timedelta(days=1))
    check, network = await over_tls(expired, context)
    assert check.result is Result.FAILED
    assert "expired" in check.found
    assert f"until {NOW - timedelta(days=1):%Y-%m-%d} (expired)" in check.found
    assert check.hint == "renew it at the server; if it is this machine's clock, have NTP set it"
    assert network.ahead_s == 0.0
    assert not network.works


async def test_a_certificate_that_is_not_valid_yet_is_reported_with_its_begin(ca, context):
    """So that one sees whether it is the clock that is wrong."""
    begin = NOW + timedelta(days=2)
    check, _ = await over_tls(ca.issue_cert("localhost", not_before=begin, not_after=NOW + timedelta(days=90)), context)
    assert f", from {begin:%Y-%m-%d %H:%M} UTC until {NOW + timedelta(days=90):%Y-%m-%d} (" in check.found
    assert check.hint == "is this machine's clock right?"


async def test_a_self_signed_certificate_is_reported(context):
    check, _ = await over_tls(self_signed("localhost"), context)
    assert check.result is Result.FAILED
    assert "self-signed; it is a certificate for localhost by localhost" in check.found
    assert "TOWEROPS_CA_FILE" in check.hint


async def test_a_certificate_of_another_host_is_reported_with_that_host(ca, context):
    check, _ = await over_tls(ca.issue_cert("api.example.net"), context)
    assert "another host name" in check.found
    assert "a certificate for api.example.net by" in check.found
    assert check.hint == "correct the name in TOWEROPS_API_URL, or have the server's certificate made out for that one too"


async def test_a_server_that_wants_a_client_certificate_is_reported(ca, context):
    """With TLS 1.3 it says so only after the handshake; asyncio's servers hang up without saying so."""
    check, _ = await over_tls(ca.issue_cert("localhost"), context, client_ca=ca)
    assert check.result is Result.WARNING
    assert "TOWEROPS_CLIENT_CERT" in check.hint

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"
        outspoken = asyncio.to_thread(refuse_clients, listener, server_side(ca.issue_cert("localhost"), ca))
        (checks, _), _ = await asyncio.gather(look(url, context), outspoken)
    assert checks["TLS"].result is Result.FAILED
    assert "wants a client certificate" in checks["TLS"].found
    assert "TOWEROPS_CLIENT_CERT" in checks["TLS"].hint


async def test_a_server_that_is_silent_has_not_closed_the_connection(ca, context, monkeypatch):
    """It does not want a client certificate, then: it is overloaded, or waits for another."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.01)
        assert tls.ask_date(ours, "localhost", "/") == tls.Word(is_silent=True)
        theirs.close()
        assert tls.ask_date(ours, "localhost", "/") == tls.Word()

    def wait_in_vain(_):
        raise TimeoutError

    monkeypatch.setattr(tls, "read_head", wait_in_vain)
    check, _ = await over_tls(ca.issue_cert("localhost"), context)
    assert (check.result, check.hint) == (Result.WARNING, "see below whether the API answers")
    assert check.found.endswith("; then no answer")


async def test_a_port_without_tls_is_reported(context):
    async with ScriptedServer([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n").serve() as url:
        checks, _ = await look(url.replace("http:", "https:"), context)
    assert checks["TLS"].result is Result.FAILED
    assert "does not use TLS" in checks["TLS"].found


async def test_a_server_that_hangs_up_during_the_handshake_is_reported(context):
    async def hang_up(_, writer):
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        checks, _ = await look(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", context)
    assert checks["TLS"].result is Result.FAILED


async def test_a_server_that_says_nothing_is_given_up(context):
    """It takes the connection, and neither TLS nor HTTP follows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        checks, _ = await look(f"https://127.0.0.1:{port}", context, timeout_s=0.05)
        plain, network = await look(f"http://127.0.0.1:{port}", context, timeout_s=0.05)
    assert checks["TLS"].result is Result.FAILED
    assert plain["TLS"].result is Result.SKIPPED
    assert network.ahead_s is None


async def test_a_clock_that_is_wrong_shows_in_plain_http_too(context):
    async with ScriptedServer([OK]).serve() as url:
        checks, network = await look(url, context, now=lambda: NOW + timedelta(hours=3))
    assert network.ahead_s == pytest.approx(3 * 3600, abs=2)
    assert checks["TLS"].result is Result.SKIPPED
    assert checks["name"].result is Result.SKIPPED


async def test_a_refused_connection_is_reported(context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    checks, network = await look(f"https://127.0.0.1:{port}", context)
    assert list(checks) == ["name", "TCP"]
    assert f"127.0.0.1:{port} Connection refused" in checks["TCP"].found
    assert "port" in checks["TCP"].hint
    assert not network.works


async def test_a_name_that_does_not_exist_is_reported(context):
    checks, _ = await look("https://nowhere.invalid", context)
    assert list(checks) == ["name"]
    assert "nowhere.invalid was not found" in checks["name"].found


async def test_without_certificates_to_trust_tls_is_left_out():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        checks, _ = await look(f"https://127.0.0.1:{listener.getsockname()[1]}", None)
    assert checks["TLS"].result is Result.SKIPPED


# Proxies


@asynccontextmanager
async def tunnelling(target_port, wanted="Basic b3BzOmh1c2gtcHJveHk="):
    """A proxy that asks for a password and passes each CONNECT on to this port, whatever host it names."""
    asked, tasks = [], []

    async def pump(reader, writer):
        with suppress(OSError):  # either side is gone
            while octets := await reader.read(65536):
                writer.write(octets)
        await close(writer)

    async def close(writer):
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def connected(reader, writer):
        tasks.append(asyncio.current_task())
        head = (await reader.read(65536)).decode()
        if not head:  # a try whether anybody is there
            return await close(writer)
        asked.append(head.split("\r\n")[0])
        if f"Proxy-Authorization: {wanted}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return await close(writer)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        beyond = await asyncio.open_connection("127.0.0.1", target_port)
        return await asyncio.gather(pump(reader, beyond[1]), pump(beyond[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
        await asyncio.gather(*tasks)


async def test_tls_is_checked_through_a_proxy(ca, context, monkeypatch):
    """The API's name need not be known to this machine; the proxy's password is in no line."""
    async with (
        ScriptedServer([OK]).serve(server_side(ca.issue_cert("api.example.net"))) as url,
        tunnelling(int(url.rsplit(":", 1)[1])) as (port, asked),
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ops:hush-proxy@127.0.0.1:{port}")
        checks, network = await look("https://api.example.net/base", context)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        refused, _ = await look("https://api.example.net/base", context)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,invalid")
        direct, _ = await look("https://api.invalid", context)
    assert checks["proxy"].found == f"127.0.0.1:{port} forwards the connection"
    assert "a certificate for api.example.net" in checks["TLS"].found
    assert network.ahead_s == 0.0
    assert set(asked) == {"CONNECT api.example.net:443 HTTP/1.1"}
    assert refused["proxy"].result is Result.FAILED
    assert "user and a password" in refused["proxy"].hint
    assert "TLS" not in refused
    assert "api.invalid was not found" in direct["name"].found
    assert "hush" not in str([*checks.values(), *refused.values()])


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (answer(403, b""), "does not allow this host"),
        (answer(502, b""), "can't reach the API"),
        (answer(418, b""), "does not forward this"),
        (b"220 mail.example.net ESMTP\r\n\r\n", "is it an HTTP proxy?"),
        ("cut", ""),
    ],
)
async def test_a_proxy_that_refuses_is_reported(context, monkeypatch, answer, hint):
    async with ScriptedServer([answer]).serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        checks, _ = await look("https://api.example.net", context)
    assert checks["proxy"].result is Result.FAILED
    assert hint in checks["proxy"].hint


async def test_a_proxy_of_another_kind_is_left_to_the_request(context, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{listener.getsockname()[1]}")
        checks, _ = await look("https://api.example.net", context)
    assert checks["proxy"].result is Result.OK
    assert checks["TLS"].result is Result.SKIPPED


@pytest.mark.parametrize("proxy", ["http://ops:hush@proxy:port", "http://", "ftp://ops:hush@127.0.0.1:9"])
async def test_a_proxy_that_cant_be_read_is_reported_without_its_password(context, monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    checks, _ = await look("https://api.example.net", context)
    assert [check.result for check in checks.values()] == [Result.FAILED]
    assert "hush" not in str(checks)


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://api.example", "HTTPS_PROXY"),
        ("https://api.example", "https_proxy"),
        ("https://api.example", "ALL_PROXY"),
        ("http://api.example", "HTTP_PROXY"),
    ],
)
async def test_a_proxy_at_whose_port_nothing_listens_is_to_be_corrected_in_its_variable(context, monkeypatch, url, variable):
    """The port in the API's URL may be right."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    checks, _ = await look(url, context)
    assert checks["TCP"].result is Result.FAILED
    assert checks["TCP"].hint.startswith(f"the host answers, but nothing listens on this port: is the port in {variable} right?")


async def test_a_port_of_this_machine_that_is_closed_may_be_that_of_the_container(context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    checks, _ = await look(f"https://localhost:{port}", context)
    assert checks["TCP"].hint.endswith(
        "in a container this address is the container itself: give that of the machine where the server runs"
    )


async def test_a_proxy_that_wants_a_password_is_to_be_given_it_in_its_variable(context, monkeypatch):
    async with ScriptedServer([answer(407, b"")]).serve() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
        checks, _ = await look("https://api.example.net", context)
    assert checks["proxy"].hint == "it wants a user and a password: http://user:password@host:port in ALL_PROXY"
