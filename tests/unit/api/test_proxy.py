"""Which proxy a message names: the environment's for that URL, without its password; none for this machine."""

from base64 import b64encode

import pytest

from towerops_agent.api.proxy import find_proxy, is_local, named_proxy, proxy_for, proxy_of
from towerops_agent.errors import SettingsError
from towerops_agent.model import Secret


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "proxy:3128"),
        ({"https_proxy": "http://user:s3cret@proxy:3128"}, "proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.net"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.net, *"}, None),
    ],
)
def test_the_proxy_for_a_url(monkeypatch, variables, proxy):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of("https://api.example.net/x") == proxy


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://other:3128", "https_proxy": "http://proxy:3128"}, "https_proxy"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://proxy:3128"}, "ALL_PROXY"),
        ({"Https_Proxy": "http://proxy:3128"}, "Https_Proxy"),
    ],
)
def test_the_variable_that_names_a_proxy_is_called_as_it_is_in_the_environment(monkeypatch, variables, named):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert named_proxy("https://api.example.net/x") == (named, "http://proxy:3128")


@pytest.mark.parametrize("url", ["http://localhost:80", "http://127.0.0.9", "http://[::1]:8700"])
def test_what_is_for_this_machine_goes_through_no_proxy(monkeypatch, url):
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert is_local(url)
    assert proxy_of(url) is None
    assert not is_local("https://localhost.example.net")


@pytest.mark.parametrize(
    ("url", "entry", "is_exempt"),
    [
        ("https://api.example.net", "api.example.net", True),
        ("https://API.example.net", "Api.Example.NET", True),
        ("https://api.example.net.", "example.net", True),
        ("https://api.example.net", ".example.net", True),
        ("https://api.example.net", "*.example.net", True),
        ("https://api.example.net", "pi.example.net", False),
        ("https://api.example.net", "api.example.net.evil", False),
        ("https://api.example.net", "api.example.net:443", True),
        ("https://api.example.net", "api.example.net:8443", False),
        ("https://api.example.net:8443", "example.net:8443", True),
        ("https://api.example.net", "https://api.example.net", True),
        ("https://api.example.net", "all://example.net", True),
        ("https://api.example.net", "http://api.example.net", False),
        ("https://192.0.2.7", "192.0.2.0/24", True),
        ("https://192.0.2.7", "192.0.2.7/24", True),
        ("https://192.0.2.7", "198.51.100.0/24", False),
        ("https://192.0.2.7:8443", "192.0.2.7:8443", True),
        ("https://192.0.2.7", "92.0.2.7", False),
        ("https://[2001:db8::7]", "2001:db8::/32", True),
        ("https://[2001:db8::7]", "[2001:db8:0::7]", True),
        ("https://[2001:db8::7]:8443", "[2001:db8::7]:8443", True),
        ("https://[2001:db8::7]:8443", "[2001:db8::7]:9000", False),
        ("https://192.0.2.7", "2001:db8::/32", False),
        ("https://api.example.net", "10.0.0.0/8,,/,.,:443,*.,://", False),
    ],
)
def test_what_no_proxy_names_goes_through_no_proxy(monkeypatch, url, entry, is_exempt):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", f"elsewhere.example, {entry} ,10.9.0.0/16")
    assert proxy_of(url) == (None if is_exempt else "proxy:3128")
    assert (proxy_for(url) is None) == is_exempt


@pytest.mark.parametrize(
    "proxy",
    [
        *("ftp://proxy:3128", "http://:3128", "http://proxy:port", "http://user:s3cret@", "socks5://proxy"),
        *("http://user:s3cret@192.0.2.256:3128", "http://user:s3cret@a\u2024b"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY, HTTP_PROXY or ALL_PROXY can't be used: expected http://host:port$"):
        proxy_for("https://api.example.net")


def test_a_user_and_a_password_are_what_the_url_escapes(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "https://us%40r:p%40ss%2F%C3%BC@proxy")
    found = find_proxy("https://api.example.net")
    assert found is not None
    assert (found.port, found.user) == (443, ("us@r", Secret("p@ss/ü")))
    assert found.authorization == Secret("Basic " + b64encode("us@r:p@ss/ü".encode()).decode())
    proxy = proxy_for("https://api.example.net")
    assert proxy is not None
    assert dict(proxy.headers)[b"Proxy-Authorization"].decode() == found.authorization.reveal()


@pytest.mark.parametrize(
    ("named", "host", "port"),
    [
        ("http://bücher.example", "xn--bcher-kva.example", 80),
        ("https://u:p@[2001:db8::1]:3128/", "2001:db8::1", 3128),
        ("proxy:1", "proxy", 1),
    ],
)
def test_a_proxy_is_found_by_its_name_or_address(monkeypatch, named, host, port):
    monkeypatch.setenv("HTTPS_PROXY", named)
    proxy = proxy_for("https://api.example.net")
    assert proxy is not None
    assert (proxy.url.host.decode(), proxy.url.port) == (host, port)
