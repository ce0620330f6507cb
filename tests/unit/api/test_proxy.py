"""Which proxy a message names: the environment's for that URL, without its password; none for this machine."""

import pytest

from towerops_agent.api.proxy import is_local, named_proxy, proxy_of


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
