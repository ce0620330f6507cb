"""Ranges as operators write them."""

import pytest

from towerops_agent.discovery.course.ranges import addresses_in
from towerops_agent.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254", 254),
        ("10.0.0.0/20", "10.0.0.1", "10.0.15.254", 4094),
        ("10.0.0.4/31", "10.0.0.4", "10.0.0.5", 2),
        ("10.0.0.4/32", "10.0.0.4", "10.0.0.4", 1),
        ("10.0.0.4", "10.0.0.4", "10.0.0.4", 1),
        ("10.0.0.250-10.0.1.2", "10.0.0.250", "10.0.1.2", 9),
        ("10.0.0.10-20", "10.0.0.10", "10.0.0.20", 11),
        (" 10.0.0.10 - 20 ", "10.0.0.10", "10.0.0.20", 11),
        ("2001:db8::10-2001:db8::1f", "2001:db8::10", "2001:db8::1f", 16),
        ("[2001:db8::10]", "2001:db8::10", "2001:db8::10", 1),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::1%eth0", 1),  # without its scope it would be another link's device
    ],
)
def test_a_range(text: str, first: str, last: str, count: int):
    """No device has the network's or the broadcast address of a prefix."""
    found = addresses_in([text])
    assert (found[0], found[-1], len(found)) == (first, last, count)


def test_an_address_is_asked_once_however_many_ranges_have_it():
    assert addresses_in(["10.0.0.1-3", "10.0.0.2", "10.0.0.0/30"]) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.5/24", "10.0.0.5 is within 10.0.0.0/24: expected 10.0.0.0/24, or 10.0.0.5 only"),
        ("10.0.0.0/33", "expected 10.0.0.0/24"),
        ("10.0.0.0/255.0.255.0", "expected 10.0.0.0/24"),
        ("10.0.0.300", "expected 10.0.0.0/24"),
        ("10.0.0.10-5", "whose end is before its beginning"),
        ("10.0.0.1-2001:db8::1", "expected 10.0.0.0/24"),
        ("10.0.0.1-300", "expected 10.0.0.0/24"),
        ("tower.example", "expected 10.0.0.0/24"),
        ("", "expected 10.0.0.0/24"),
        ("224.0.0.0/24", "a multicast address"),
        ("255.255.255.255", "an address that no device can have"),
        ("0.0.0.0/24", "an address that no device can have"),
        ("::", "no address"),
        ("ff02::1", "a multicast address"),
        ("fe80::1%eth0-fe80::5%eth0", "expected one address with a scope at a time"),
        ("fe80::%eth0/120", "expected 10.0.0.0/24"),
        ("::ffff:10.0.0.1", "an IPv4 address, written as one of IPv6"),
        ("::ffff:10.0.0.0/120", "an IPv4 address, written as one of IPv6"),
    ],
)
def test_what_is_not_a_range_of_devices(text: str, said: str):
    with pytest.raises(SettingsError, match=r"^the range ") as raised:
        addresses_in([text])
    assert said in str(raised.value)


def test_a_range_over_a_20_is_asked_for():
    with pytest.raises(SettingsError, match=r"8,190 addresses: expected at most 4,096 .a /20., or --large"):
        addresses_in(["10.0.0.0/19"])
    assert len(addresses_in(["10.0.0.0/19"], large=True)) == 8190


def test_no_range_is_larger_than_any_memory():
    """A prefix of IPv6 is not even counted out."""
    with pytest.raises(SettingsError, match=r"addresses: expected at most"):
        addresses_in(["2001:db8::/64"], large=True)
