"""A URL as a request has it: the host in ASCII, path and query escaped. Source: RFC 3986, RFC 5891, RFC 9110 §7.2."""

from ipaddress import IPv4Address
from typing import Final
from urllib.parse import quote, urlsplit

import httpcore2

from towerops_agent.errors import SettingsError
from towerops_agent.text import address, printable

_AS_IT_IS: Final = "/%:@!$&'()*+,;=~[]|\\^"
"""Beside letters, digits and `-._`: what is sent as it is written. `%` among them, so what is escaped is not escaped again."""


def request_url(url: str) -> httpcore2.URL:
    """`url` as requests have it: ASCII, a host with other letters by IDNA 2008 (RFC 5891). Raises SettingsError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        if not host.isascii():
            import idna  # noqa: PLC0415 -- a megabyte, for few names

            host = idna.encode(host).decode()
        if host.count(".") == 3 and host.replace(".", "").isdecimal():  # the resolver would ask for a name like that
            IPv4Address(host)
    except ValueError as error:  # idna.IDNAError is one
        found = f"the URL {printable(url)} can't be used ({printable(str(error))})"
        raise SettingsError(f"{found}: expected the name of a host in it, or its address") from None
    path, query = quote(parts.path or "/", safe=_AS_IT_IS), quote(parts.query, safe=_AS_IT_IS + "?`{}")
    return httpcore2.URL(scheme=parts.scheme, host=host, port=parts.port, target=f"{path}?{query}" if query else path)


def host_header(url: httpcore2.URL) -> str:
    """The URL's host as the header Host has it (RFC 9110 §7.2)."""
    usual = {b"http": 80, b"https": 443}[url.scheme]
    return address(url.host.decode(), url.port or usual).removesuffix(f":{usual}")
