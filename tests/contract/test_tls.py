"""TLS against a real server: who is trusted, and that a refusal says why."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from contract.scripted_server import ScriptedServer, answer
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.tls import tls_context
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret
from towerops_agent.site.document.destination import Destination

OK = answer(200, {"status": "accepted", "received": 0})


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def ca_file(ca, tmp_path):
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return file


def test_too_little_memory_for_the_systems_authorities_is_not_a_bad_setting(monkeypatch):
    """There is no room for what OpenSSL reads: nobody can correct a variable."""

    def load() -> ssl.SSLContext:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("httpcore2.default_ssl_context", load)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        tls_context()


async def posted(certificate: trustme.LeafCert, ca_file=None, *, asks_for: trustme.CA | None = None, version=None, **files):
    """What came of one POST to a server with this certificate, and how many requests the server saw.

    `asks_for`: the authority of the client certificates that the server insists on; `version`: the TLS version that it speaks.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    if version is not None:
        tls.minimum_version = tls.maximum_version = version
    if asks_for is not None:
        asks_for.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
    server = ScriptedServer([OK])
    async with server.serve(tls) as url, ApiClient(url, TokenSource(Secret("t0ken")), ca_file=ca_file, **files) as client:
        return await client.post_metrics(b"{}", "key-1"), len(server.asked)


def client_files(authority: trustme.CA, folder: Path, name: str = "agent") -> dict[str, Path]:
    """A client certificate of this authority and its key, as files."""
    certificate = authority.issue_cert(f"{name}.example.net")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    return {"client_cert": cert, "client_key": key}


async def test_a_ca_file_is_trusted(ca, ca_file):
    assert await posted(ca.issue_cert("localhost"), ca_file) == (Accepted(received=0), 1)


def test_a_ca_file_adds_to_the_systems_store(ca_file):
    alone = {cert["serialNumber"] for cert in tls_context().get_ca_certs()}
    both = {cert["serialNumber"] for cert in tls_context(ca_file).get_ca_certs()}
    assert alone < both
    assert len(both - alone) == 1


async def test_an_unknown_ca_is_refused(ca):
    outcome, seen = await posted(ca.issue_cert("localhost"))
    assert isinstance(outcome, Unavailable)
    assert "unknown CA" in outcome.reason or "not trusted" in outcome.reason
    assert "TOWEROPS_CA_FILE" in outcome.reason
    assert seen == 0


async def test_a_url_without_tls_of_a_port_that_expects_it_says_so(ca):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    async with (
        ScriptedServer([OK]).serve(tls) as url,
        ApiClient(url.replace("https://", "http://"), TokenSource(Secret("t0ken"))) as client,
    ):
        outcome = await client.post_metrics(b"{}", "key-1")
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.endswith("(RemoteProtocolError): does this port expect https://?")


async def test_a_self_signed_certificate_is_refused(tmp_path):
    outcome, seen = await posted(self_signed("localhost"))
    assert isinstance(outcome, Unavailable)
    assert "self-signed" in outcome.reason
    assert seen == 0


async def test_an_expired_certificate_is_refused(ca, ca_file):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = ca.issue_cert("localhost", not_before=yesterday - timedelta(days=9), not_after=yesterday)
    outcome, seen = await posted(expired, ca_file)
    assert isinstance(outcome, Unavailable)
    assert "expired" in outcome.reason
    assert seen == 0


async def test_a_certificate_of_another_host_is_refused(ca, ca_file):
    outcome, seen = await posted(ca.issue_cert("api.example.net"), ca_file)
    assert isinstance(outcome, Unavailable)
    assert "another host name" in outcome.reason
    assert seen == 0


async def test_a_port_without_tls_says_so():
    server = ScriptedServer([], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n")
    async with server.serve() as url, ApiClient(url.replace("http:", "https:"), TokenSource(Secret("t0ken"))) as client:
        assert await client.post_metrics(b"{}", "key-1") == Unavailable("TLS: the server does not use TLS on this port")


@pytest.mark.parametrize("content", [None, "not PEM"])
def test_a_ca_file_that_cant_be_used_is_the_operators_to_know(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=str(file)):
        tls_context(file)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "can't be read: No such file or directory"), ("not PEM", "holds no certificate: expected PEM")]
)
def test_a_file_in_place_of_the_systems_authorities_that_cant_be_used_is_a_bad_setting(tmp_path, monkeypatch, content, said):
    """As if TOWEROPS_CA_FILE were such a file: no traceback, and no trust in anybody else."""
    file = tmp_path / "system.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=f"SSL_CERT_FILE {file} {said}"):
        tls_context()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_is_shown_to_a_server_that_asks(ca, ca_file, tmp_path, version):
    files = client_files(ca, tmp_path)
    assert await posted(ca.issue_cert("localhost"), ca_file, asks_for=ca, version=version, **files) == (Accepted(received=0), 1)


@asynccontextmanager
async def insisting(certificate: trustme.LeafCert, ca: trustme.CA, version: ssl.TLSVersion) -> AsyncIterator[str]:
    """The URL of a server that insists on a certificate of `ca`, and ends one handshake with an alert.

    By a thread: asyncio's own TLS server hangs up before its alert is sent.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.minimum_version = tls.maximum_version = version

    def serve_once() -> None:
        connection, _ = listener.accept()
        with connection:
            with pytest.raises(ssl.SSLError), tls.wrap_socket(connection.dup(), server_side=True):
                pass
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve_once))
        yield f"https://localhost:{listener.getsockname()[1]}"
        await serving


async def refused(certificate: trustme.LeafCert, ca: trustme.CA, version: ssl.TLSVersion, **files) -> str:
    """What is said of a server that insists on a certificate of `ca`."""
    async with insisting(certificate, ca, version) as url, ApiClient(url, TokenSource(Secret("t0ken")), **files) as client:
        outcome = await client.post_metrics(b"{}", "key-1")
    assert isinstance(outcome, Unavailable)
    return outcome.reason


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_wants_a_client_certificate_is_reported(ca, ca_file, version):
    """In TLS 1.3 the refusal comes after the handshake, with the first answer."""
    reason = await refused(ca.issue_cert("localhost"), ca, version, ca_file=ca_file)
    assert "TOWEROPS_CLIENT_CERT" in reason


async def test_of_a_destination_it_is_reported_by_the_keys_of_a_site_file(ca, ca_file):
    server = insisting(ca.issue_cert("localhost"), ca, ssl.TLSVersion.TLSv1_3)
    async with server as url, DestinationClient(Destination("p", url, ca_file=str(ca_file))) as client:
        outcome = await client.send(b"")
    assert outcome == Unavailable("TLS: the server wants a client certificate: expected client_cert and client_key")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_that_the_server_refuses_is_reported(ca, ca_file, tmp_path, version):
    files = client_files(trustme.CA(), tmp_path)
    reason = await refused(ca.issue_cert("localhost"), ca, version, ca_file=ca_file, **files)
    assert "the certificate in TOWEROPS_CLIENT_CERT" in reason


def test_the_key_of_another_certificate_is_the_operators_to_know(ca, tmp_path):
    files = client_files(ca, tmp_path) | {"client_key": client_files(ca, tmp_path, "other")["client_key"]}
    with pytest.raises(SettingsError, match="is not the key of the certificate"):
        tls_context(**files)


def test_an_encrypted_key_is_refused_without_asking_at_the_terminal(ca, tmp_path):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    files = client_files(ca, tmp_path)
    key = load_pem_private_key(files["client_key"].read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    files["client_key"].write_bytes(encrypted)
    with pytest.raises(SettingsError, match="is encrypted: expected a key without a passphrase"):
        tls_context(**files)


@pytest.mark.parametrize(
    ("which", "content", "message"),
    [
        ("client_cert", None, "TOWEROPS_CLIENT_CERT .* can't be read: No such file"),
        ("client_key", None, "TOWEROPS_CLIENT_KEY .* can't be read: No such file"),
        ("client_cert", "not PEM", "TOWEROPS_CLIENT_CERT .* holds no certificate"),
        ("client_key", "not PEM", "TOWEROPS_CLIENT_KEY .* holds no key"),
    ],
)
def test_a_client_certificate_that_cant_be_used_is_the_operators_to_know(ca, tmp_path, which, content, message):
    files = client_files(ca, tmp_path)
    files[which].unlink()
    if content is not None:
        files[which].write_text(content)
    with pytest.raises(SettingsError, match=message):
        tls_context(**files)


def self_signed(host: str) -> trustme.LeafCert:
    """A certificate that signs itself, for `host`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(private, certificate.public_bytes(Encoding.PEM), [])


async def test_a_certificate_of_hours_is_seen_again_before_it_ends_and_is_said_to_end_only_in_its_last_quarter(ca, ca_file):
    """It is renewed with a third of its life left: it is not to be a warning all the time, nor to be believed to have ended."""
    now = datetime.now(UTC).replace(microsecond=0)
    began, hour = now - timedelta(minutes=20), timedelta(hours=1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", not_before=began, not_after=began + hour).configure_cert(tls)
    server, passed_min = ScriptedServer([OK]), [0]
    async with (
        server.serve(tls) as url,
        ApiClient(
            url, TokenSource(Secret("t0ken")), ca_file=ca_file, now=lambda: now + timedelta(minutes=passed_min[0])
        ) as client,
    ):
        for passed_min[0] in (0, 1, 2):
            await client.post_metrics(b"{}", "key-1")
        (seen,) = client.expiries.of("API")
        assert (seen.until_s, seen.soon_s) == ((began + hour).timestamp(), (began + timedelta(minutes=45)).timestamp())
        ca.issue_cert("localhost", not_before=now, not_after=now + hour).configure_cert(tls)
        for passed_min[0] in range(3, 40):
            await client.post_metrics(b"{}", "key-1")
        assert client.expiries.of("API")[0].until_s == (now + hour).timestamp()


@pytest.mark.parametrize("to_api", [True, False])
async def test_it_is_known_until_when_the_certificates_in_use_are_valid(ca, ca_file, tmp_path, to_api):
    """Another connection is made once an hour: one that is kept open keeps the certificate it began with."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = now + timedelta(days=5)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", not_after=ends).configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    files = client_files(ca, tmp_path)
    own_s = x509.load_pem_x509_certificate(files["client_cert"].read_bytes()).not_valid_after_utc.timestamp()
    server = ScriptedServer([OK])

    async def seen(client, send):
        assert [one.name for one in client.expiries.of("API")] == ["API client"]
        for _ in range(2):
            await send()
        two_weeks_s = 14 * 86_400
        assert client.expiries.of("API") == [
            ("API", is_own, until_s, until_s - two_weeks_s) for is_own, until_s in ((False, ends.timestamp()), (True, own_s))
        ]
        await send()
        ca.issue_cert("localhost", not_after=ends + timedelta(days=90)).configure_cert(tls)  # renewed at the server
        clock[0] += timedelta(hours=1)
        for _ in range(3):
            await send()
        assert client.expiries.of("API")[0].until_s == (ends + timedelta(days=90)).timestamp()
        assert [asked.headers.get("connection") for asked in server.asked] == [
            *("keep-alive", "keep-alive", "keep-alive", "close", "keep-alive", "keep-alive")
        ]

    clock = [now]
    async with server.serve(tls) as url:
        if to_api:
            api = ApiClient(url, TokenSource(Secret("t0ken")), ca_file=ca_file, now=lambda: clock[0], **files)
            async with api as client:
                await seen(client, lambda: client.post_metrics(b"{}", "key-1"))
        else:
            names = {name: str(file) for name, file in files.items()}
            one = Destination("prom", url, ca_file=str(ca_file), **names)
            async with DestinationClient(one, now=lambda: clock[0]) as client:
                await seen(client, lambda: client.send(b""))
