"""Address ranges, as an operator writes them -> addresses to ask, each once.

10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.20, 10.0.0.10-20, and the same of IPv6. The network's and the broadcast address of a
prefix are not asked. Pure.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from towerops_agent.errors import SettingsError
from towerops_agent.text import no_devices

MOST_ADDRESSES: Final = 4096
"""Of a range, unless larger ones are asked for: a /20."""

MOST_ADDRESSES_AT_ALL: Final = 1 << 18
"""Of all ranges together: a /14. At 50 addresses a second it takes an hour and a half, and each address takes some memory."""

_WANTED: Final = "expected 10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.20 or 10.0.0.10-20"

Address = IPv4Address | IPv6Address


def addresses_in(texts: Iterable[str], *, large: bool = False) -> list[str]:
    """The addresses of these ranges, in their order, each once. `large`: ranges over /20 too. Raises SettingsError."""
    ranges = [(text, *_range(text.strip())) for text in texts]
    for text, count, _ in ranges:
        if count > MOST_ADDRESSES and not large and count <= MOST_ADDRESSES_AT_ALL:
            wanted = f"expected at most {MOST_ADDRESSES:,} (a /20), or --large if it is meant"
            raise SettingsError(f"the range {text} has {count:,} addresses: {wanted}")
    total = sum(count for _, count, _ in ranges)
    if total > MOST_ADDRESSES_AT_ALL:
        whose = (
            f"the range {ranges[0][0]} has {total:,} addresses"
            if len(ranges) == 1
            else f"the ranges have {total:,} addresses together"
        )
        raise SettingsError(f"{whose}: expected at most {MOST_ADDRESSES_AT_ALL:,} (a /14) at a time, as in several runs")
    return list(dict.fromkeys(str(address) for _, _, addresses in ranges for address in addresses))


def _range(text: str) -> tuple[int, Iterator[Address]]:
    """How many addresses, and which. Raises SettingsError."""
    try:
        if "/" in text:
            return _prefix(text)
        first_text, dash, last_text = text.partition("-")
        first = _usable(ip_address(first_text.strip().strip("[]")), text)
        last = _last(first, last_text.strip()) if dash else first
    except ValueError:
        raise SettingsError(f"the range is {text[:80]!r}: {_WANTED}") from None
    if int(last) < int(first):
        raise SettingsError(f"the range is {text!r}, whose end is before its beginning: {_WANTED}")
    _usable(last, text)
    if not dash:
        return 1, iter((first,))  # with its scope, as in fe80::1%eth0
    if isinstance(first, IPv6Address) and isinstance(last, IPv6Address) and (first.scope_id or last.scope_id):
        raise SettingsError(f"the range is {text!r}, whose addresses have a scope: expected one address with a scope at a time")
    kind = type(first)
    return int(last) - int(first) + 1, (kind(number) for number in range(int(first), int(last) + 1))


def _last(first: Address, text: str) -> Address:
    if text.isascii() and text.isdigit() and isinstance(first, IPv4Address):
        return ip_address(f"{str(first).rpartition('.')[0]}.{int(text)}")
    last = ip_address(text.strip("[]"))
    if type(last) is not type(first):
        raise ValueError(text)
    return last


def _prefix(text: str) -> tuple[int, Iterator[Address]]:
    network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    if "%" in text:
        raise ValueError(text)  # its addresses would lose the scope
    address = text.partition("/")[0]
    if ip_address(address) != network.network_address:
        raise SettingsError(f"the range is {text!r}, and {address} is within {network}: expected {network}, or {address} only")
    _usable(network.network_address, text)
    count = network.num_addresses
    return (count - 2 if isinstance(network, IPv4Network) and count > 2 else count), iter(network.hosts())


def _usable(address: Address, text: str) -> Address:
    """The address. Raises SettingsError if no device can have it."""
    why = no_devices(str(address))
    if isinstance(address, IPv4Address) and not why and (address.is_reserved or int(address) >> 24 == 0):
        why = "an address that no device is likely to have"
    elif isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        why = "an IPv4 address, written as one of IPv6"
    if why:
        raise SettingsError(f"the range is {text!r}, in which {address} is {why}: {_WANTED}")
    return address
