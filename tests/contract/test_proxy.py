"""HTTPS through a proxy of the environment: a real tunnel; a proxy that refuses or is down; no proxy if it is not wanted."""

import ssl
from urllib.parse import urlsplit

import pytest
import trustme

from contract.scripted_server import ScriptedServer, answer
from support.connect_proxy import ConnectProxy
from towerops_agent.api.bearer import TokenSource
from towerops_agent.api.client import ApiClient
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.model import Secret

TOKEN = "t0ken-of-the-test"
HOST = "api.towerops.invalid"
OK = answer(200, {"status": "accepted", "received": 0})


@pytest.fixture
async def site(tmp_path):
    """An API whose certificate is for a name that only the proxy knows, and the proxy."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(tls)
    scripted = ScriptedServer([OK])
    async with scripted.serve(tls) as url:
        port = urlsplit(url).port
        assert port
        yield scripted, ConnectProxy(port)


async def posted(tmp_path, url=f"https://{HOST}"):
    async with ApiClient(url, TokenSource(Secret(TOKEN)), ca_file=tmp_path / "ca.pem") as client:
        return await client.post_metrics(b"{}", "key-1")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_requests_are_tunnelled_and_the_proxy_sees_no_token(monkeypatch, site, tmp_path, variable):
    server, proxy = site
    async with proxy.serve() as address:
        monkeypatch.setenv(variable, f"http://{address}")
        assert await posted(tmp_path) == Accepted(received=0)
    assert [head.splitlines()[0] for head in proxy.heads] == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert TOKEN not in "".join(proxy.heads)
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_proxy_gets_the_password_that_is_for_it(monkeypatch, site, tmp_path):
    server, proxy = site
    async with proxy.serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@{address}")
        assert await posted(tmp_path) == Accepted(received=0)
    assert "proxy-authorization: basic dxnlcjpzm2nyzxq=" in proxy.heads[0].lower()
    assert "proxy-authorization" not in server.asked[0].headers


@pytest.mark.parametrize("refusal", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_named_with_its_reason(monkeypatch, site, tmp_path, refusal):
    server, proxy = site
    proxy.refusal = refusal
    async with proxy.serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@{address}")
        assert await posted(tmp_path) == Unavailable(f"the proxy {address} refused: {refusal}")
    assert server.asked == []


async def test_a_proxy_that_is_down_is_named(monkeypatch, site, tmp_path):
    server, proxy = site
    async with proxy.serve() as address:
        pass
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@{address}")
    assert await posted(tmp_path) == Unavailable(f"no connection to the proxy {address}: Connection refused")
    assert server.asked == []


async def test_a_certificate_is_verified_through_a_proxy_too(monkeypatch, site, tmp_path):
    server, proxy = site
    async with proxy.serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        outcome = await posted(tmp_path, "https://other.towerops.invalid")
    assert isinstance(outcome, Unavailable)
    assert "another host name" in outcome.reason
    assert server.asked == []


async def test_a_server_whose_certificate_was_refused_again_and_again_is_reached_once_it_is_renewed(monkeypatch, tmp_path):
    """Each handshake that fails through a proxy stays in httpcore2's pool, as a connection that is in use for good."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.towerops.invalid").configure_cert(tls)
    async with ScriptedServer([OK]).serve(tls) as url, ConnectProxy(urlsplit(url).port or 0).serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        async with ApiClient(f"https://{HOST}", TokenSource(Secret(TOKEN)), ca_file=tmp_path / "ca.pem") as client:
            for _ in range(12):
                outcome = await client.post_metrics(b"{}", "key-1")
                assert isinstance(outcome, Unavailable)
                assert "another host name" in outcome.reason
            authority.issue_cert(HOST).configure_cert(tls)
            assert await client.post_metrics(b"{}", "key-1") == Accepted(received=0)


async def test_no_proxy_is_used_for_what_no_proxy_names(monkeypatch, site, tmp_path):
    _, proxy = site
    async with proxy.serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        monkeypatch.setenv("NO_PROXY", "example.net,towerops.invalid")
        outcome = await posted(tmp_path)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.startswith("the host name in TOWEROPS_API_URL was not found")
    assert proxy.heads == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_never_used_for_this_machine(monkeypatch, site, tmp_path, scheme):
    """Plain http is accepted for localhost since it leaves the machine nowhere: through a proxy the token would."""
    _, proxy = site
    plain = ScriptedServer([OK])
    async with proxy.serve() as address, plain.serve() as url:
        monkeypatch.setenv("ALL_PROXY", f"http://{address}")
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        assert await posted(tmp_path, url if scheme == "http" else f"https://127.0.0.1:{proxy.target}") == Accepted(received=0)
    assert proxy.heads == []


async def test_requests_over_plain_http_go_through_its_proxy(monkeypatch):
    server = ScriptedServer([OK])
    async with server.serve() as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        async with ApiClient("http://api.invalid", TokenSource(Secret(TOKEN))) as client:
            assert await client.post_metrics(b"{}", "key-1") == Accepted(received=0)
    assert server.asked[0].path == "http://api.invalid/api/v1/agent/metrics"


@pytest.mark.parametrize("said", ["p@ss/word", "p%40ss%2Fword", "dXNlcjpwQHNzL3dvcmQ="])
async def test_a_password_that_a_proxy_sends_back_is_masked(monkeypatch, site, tmp_path, said):
    """As it is, as the variable has it, or as the header had it, which has the user's name too."""
    _, proxy = site
    proxy.refusal = f"407 {said} is wrong"
    async with proxy.serve() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss%2Fword@{address}")
        outcome = await posted(tmp_path)
        assert outcome in [Unavailable(f"the proxy {address} refused: 407 {name}*** is wrong") for name in ("", "dXNlcj")]
