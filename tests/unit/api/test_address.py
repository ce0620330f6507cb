"""A URL as a request has it: a host that a resolver can look up, and a target that is sent as it was written."""

import pytest

from towerops_agent.api.address import host_header, request_url
from towerops_agent.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "host", "header", "target"),
    [
        ("https://api.example.net", "api.example.net", "api.example.net", "/"),
        ("https://API.example.net:443/Base", "api.example.net", "api.example.net", "/Base"),
        ("https://api.example.net:8443/a/b", "api.example.net", "api.example.net:8443", "/a/b"),
        ("http://api.example.net:443", "api.example.net", "api.example.net:443", "/"),
        ("https://[2001:db8::1]/a", "2001:db8::1", "[2001:db8::1]", "/a"),
        ("https://[2001:db8::1]:8443/a", "2001:db8::1", "[2001:db8::1]:8443", "/a"),
        ("https://192.0.2.1", "192.0.2.1", "192.0.2.1", "/"),
        ("https://straße.example", "xn--strae-oqa.example", "xn--strae-oqa.example", "/"),  # IDNA 2003 has strasse: another host
        ("https://host/ü/a%20b/%", "host", "host", "/%C3%BC/a%20b/%"),
        ("https://host/write?db=a b&q={ü}", "host", "host", "/write?db=a%20b&q={%C3%BC}"),
    ],
)
def test_the_host_and_the_target_of_a_url(url, host, header, target):
    address = request_url(url)
    assert (address.host.decode(), host_header(address), address.target.decode()) == (host, header, target)


@pytest.mark.parametrize("host", ["192.0.2.256", "1.2.3.04", "a\u2024b.example"])
def test_what_no_host_can_be_called_is_said_with_the_url(host):
    with pytest.raises(
        SettingsError, match=r"^the URL https://.* can't be used \(.*\): expected the name of a host in it, or its address$"
    ):
        request_url(f"https://{host}/api")
