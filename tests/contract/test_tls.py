"""TLS against a real server: who is trusted, and that a refusal says why."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from contract.scripted_server import ScriptedServer, answer
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.outcomes import Accepted, Unavailable
from towerops_agent.api.tls import tls_context
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret

OK = answer(200, {"status": "accepted", "received": 0})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def ca_file(ca, tmp_path):
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return file


async def posted(certificate: trustme.LeafCert, ca_file=None):
    """What came of one POST to a server with this certificate, and how many requests the server saw."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    server = ScriptedServer([OK])
    async with server.serve(tls) as url, ApiClient(url, TokenSource(Secret("t0ken")), ca_file=ca_file) as client:
        return await client.post_metrics(b"{}", "key-1"), len(server.asked)


async def test_a_ca_file_is_trusted(ca, ca_file):
    assert await posted(ca.issue_cert("localhost"), ca_file) == (Accepted(), 1)


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
        assert await client.post_metrics(b"{}", "key-1") == Unavailable("TLS: the server speaks no TLS on this port")


@pytest.mark.parametrize("content", [None, "not PEM"])
def test_a_ca_file_that_cant_be_used_is_the_operators_to_know(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=str(file)):
        tls_context(file)


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
