"""The client of destinations against real servers: TLS, client certificates, credentials, headers, and bad answers."""

import ssl
from pathlib import Path

import pytest
import trustme

from contract.scripted_server import ScriptedServer, answer
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate, WriteOutcome
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination

OK = answer(204)
TOKEN = "token-of-prometheus-71"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return str(file)


async def sent(server: ScriptedServer, tls: ssl.SSLContext | None = None, **more) -> WriteOutcome:
    async with server.serve(tls) as url, DestinationClient(Destination("p", f"{url}/api/v1/write", **more)) as client:
        return await client.send(b"snappy's octets")


def server_side(ca: trustme.CA, *, asks: bool = False, host: str = "localhost") -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(host).configure_cert(tls)
    if asks:
        ca.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls


async def test_a_request_is_what_the_specification_asks_for():
    server = ScriptedServer([OK])
    headers = (("X-Scope-OrgID", "north"),)
    assert await sent(server, bearer=Secret(TOKEN), headers=headers) == Accepted(204)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/v1/write", b"snappy's octets")
    wanted = {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
        "authorization": f"Bearer {TOKEN}",
        "x-scope-orgid": "north",
    }
    assert {name: asked.headers[name] for name in wanted} == wanted
    assert asked.headers["user-agent"].startswith("towerops-agent/")


async def test_a_user_and_a_password_are_basic_authentication():
    server = ScriptedServer([OK])
    await sent(server, user=("poller", Secret("päss")))
    assert server.asked[0].headers["authorization"] == "Basic cG9sbGVyOnDDpHNz"


@pytest.mark.parametrize(
    ("kind", "content_type", "encoding"),
    [("influxdb", "text/plain; charset=utf-8", "gzip"), ("otlp", "application/x-protobuf", "gzip")],
)
async def test_each_kind_says_what_its_bodies_are_and_has_the_same_ways_to_authenticate(kind, content_type, encoding):
    server = ScriptedServer([OK, OK])
    await sent(server, kind=kind, token=Secret(TOKEN))
    await sent(server, kind=kind, secret_headers=(("Authorization", Secret("Key 7")), ("X-API-Key", Secret("k-71"))))
    first, second = (asked.headers for asked in server.asked)
    assert (first["content-type"], first["content-encoding"], first["authorization"]) == (
        content_type,
        encoding,
        f"Token {TOKEN}",
    )
    assert (second["authorization"], second["x-api-key"]) == ("Key 7", "k-71")


async def test_an_otlp_receiver_that_echoes_a_secret_header_in_a_partial_success_shows_it_to_nobody():
    reason = b"no k-71 here\x1b"
    partial = b"\x08\x03\x12" + bytes([len(reason)]) + reason
    server = ScriptedServer([answer(200, b"\x0a" + bytes([len(partial)]) + partial)])
    outcome = await sent(server, kind="otlp", secret_headers=(("X-API-Key", Secret("k-71")),))
    assert outcome == PartlyTaken(200, "no *** here", 3)


async def test_a_private_authority_is_trusted_if_it_is_named_and_else_the_site_files_key_is_said(ca, ca_file):
    assert await sent(ScriptedServer([OK]), server_side(ca), ca_file=ca_file) == Accepted(204)
    server = ScriptedServer([OK])
    outcome = await sent(server, server_side(ca))
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.endswith("if it is yours, name it with ca_file")
    assert server.asked == []


async def test_a_certificate_of_another_host_is_not_one_of_the_apis(ca, ca_file):
    """An agent of site files has no TOWEROPS_API_URL; with an API beside it the operator would look there."""
    outcome = await sent(ScriptedServer([OK]), server_side(ca, host="elsewhere.example"), ca_file=ca_file)
    wrong = "TLS: the server's certificate is for another host name than the one in the destination's URL"
    assert outcome == Unavailable(wrong, not_sent=True)


async def test_a_client_certificate_is_presented(ca, ca_file, tmp_path):
    certificate = ca.issue_cert("agent.example.net")
    cert, key = tmp_path / "agent.pem", tmp_path / "agent.key"
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    files = {"ca_file": ca_file, "client_cert": str(cert), "client_key": str(key)}
    assert await sent(ScriptedServer([OK]), server_side(ca, asks=True), **files) == Accepted(204)
    outcome = await sent(ScriptedServer([OK]), server_side(ca, asks=True), ca_file=ca_file)
    assert isinstance(outcome, Unavailable)


async def test_renewed_certificates_are_presented_from_the_next_request_on_and_bad_ones_never(ca, ca_file, tmp_path):
    """To a server that has come to trust another authority than that of the first certificate."""
    cert, key = tmp_path / "agent.pem", tmp_path / "agent.key"

    def issue(by: trustme.CA) -> None:
        certificate = by.issue_cert("agent.example.net")
        certificate.cert_chain_pems[0].write_to_path(str(cert))
        certificate.private_key_pem.write_to_path(str(key))

    issue(trustme.CA())
    server = ScriptedServer([answer(204, Connection="close")])
    async with server.serve(server_side(ca, asks=True)) as url:
        destination = Destination("p", url, ca_file=ca_file, client_cert=str(cert), client_key=str(key))
        async with DestinationClient(destination) as client:
            assert isinstance(await client.send(b""), Unavailable)
            issue(ca)
            assert isinstance(await client.send(b""), Unavailable)  # not read yet
            client.reread_certificates()
            assert await client.send(b"") == Accepted(204)
            key.write_text("half of a k")
            with pytest.raises(SettingsError, match=r"^client_key .*agent\.key holds no key"):
                client.reread_certificates()
            assert await client.send(b"") == Accepted(204)
    assert len(server.asked) == 2


async def test_a_file_that_is_not_there_is_said_by_the_site_files_key():
    with pytest.raises(SettingsError, match=r"^ca_file /none\.pem can't be read: No such file"):
        await sent(ScriptedServer([OK]), ca_file="/none.pem")


async def test_a_request_that_no_connection_was_made_for_was_not_sent(ca):
    async with ScriptedServer([OK]).serve() as url:
        pass
    async with DestinationClient(Destination("p", url)) as client:
        assert await client.send(b"") == Unavailable("no connection: Connection refused", not_sent=True)
    untrusted = await sent(ScriptedServer([OK]), server_side(ca))
    assert isinstance(untrusted, Unavailable)
    assert untrusted.not_sent
    cut = await sent(ScriptedServer(["cut"]))
    assert isinstance(cut, Unavailable)
    assert not cut.not_sent


async def test_a_redirect_is_not_followed():
    server = ScriptedServer([answer(302, Location="https://elsewhere.example/")])
    outcome = await sent(server, bearer=Secret(TOKEN))
    assert isinstance(outcome, Misconfigured)
    assert "redirected to https://elsewhere.example/" in outcome.reason
    assert len(server.asked) == 1


async def test_a_receiver_that_echoes_the_credentials_shows_them_to_nobody():
    server = ScriptedServer([answer(400, f"out of order sample from Bearer {TOKEN}\r\n\x1b[31m".encode())])
    outcome = await sent(server, bearer=Secret(TOKEN))
    assert outcome == TooLate(400, "out of order sample from Bearer *** [31m", by_time=False)
    server = ScriptedServer([answer(400, f"out of order sample from Bearer {TOKEN.replace('-', '%2D')}".encode())])
    outcome = await sent(server, bearer=Secret(TOKEN))
    assert outcome == TooLate(400, "out of order sample from Bearer ***", by_time=False)


async def test_a_long_answer_is_cut_and_an_answer_that_is_cut_is_not_one():
    outcome = await sent(ScriptedServer([answer(503, b"x" * 1_000_000, Retry_After="7")]))
    assert isinstance(outcome, Unavailable)
    assert (len(outcome.reason) < 400, outcome.status, outcome.retry_after_s) == (True, 503, 7.0)
    outcome = await sent(ScriptedServer(["cut"]))
    assert isinstance(outcome, Unavailable)
    assert outcome.status is None


async def test_what_a_status_says_holds_without_the_whole_of_its_body():
    told = answer(503, b"busy", Retry_After="7").replace(b"Content-Length: 4", b"Content-Length: 9\r\nConnection: close")
    outcome = await sent(ScriptedServer([told]))
    assert isinstance(outcome, Unavailable)
    assert (outcome.status, outcome.retry_after_s) == (503, 7.0)
    assert outcome.reason.endswith("busy")


@pytest.mark.parametrize("end", [b" dropped=7", b""])
async def test_a_partial_write_is_recognized_however_long_its_text_is(end):
    """What is dropped stands at the end, behind the lines that could not be read; the log has the beginning."""
    lines = b"\\n".join(b"unable to parse 'sensor,sensor=%d value=x': invalid number" % n for n in range(9))
    server = ScriptedServer([answer(400, b'{"error":"partial write: ' + lines + end + b'"}')])
    outcome = await sent(server, kind="influxdb")
    assert isinstance(outcome, PartlyTaken)
    assert (outcome.refused, len(outcome.reason), outcome.reason[-1]) == (7 if end else 9, 300, "…")


async def test_the_receivers_clock_is_known_from_its_answer():
    server = ScriptedServer([answer(204, Date="Thu, 26 Nov 2020 00:00:00 GMT"), answer(204)])
    async with server.serve() as url, DestinationClient(Destination("p", url)) as client:
        assert client.ahead_s is None
        await client.send(b"")
        ahead_s = client.ahead_s
        await client.send(b"")
        assert client.ahead_s == ahead_s
    assert ahead_s is not None
    assert ahead_s > 86_400
