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


WANTED = "expected 10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.20 or 10.0.0.10-20"
NOBODYS = "an address that no device can have"
UNLIKELY = "an address that no device is likely to have"
MULTICAST = "a multicast address, which is not a device's"
MAPPED = "an IPv4 address, written as one of IPv6"
SCOPES = "whose addresses have a scope: expected one address with a scope at a time"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.5/24", "'10.0.0.5/24', and 10.0.0.5 is within 10.0.0.0/24: expected 10.0.0.0/24, or 10.0.0.5 only"),
        *(
            (text, f"{text!r}: {WANTED}")
            for text in (
                *("10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0.300", "10.0.0.1-2001:db8::1", "2001:db8::1-5.5.5.5"),
                *("10.0.0.1-300", "2001:db8::1-20", "10.0.0.1-", "-10.0.0.1", "10.0.0.1-5-9", "10.0.0.1-\u0665"),
                *("tower.example", "", "fe80::%eth0/120", "10.0.0.1-x"),
            )
        ),
        ("x" * 99, f"'{'x' * 80}': {WANTED}"),
        ("10.0.0.10-5", f"'10.0.0.10-5', whose end is before its beginning: {WANTED}"),
        ("10.0.0.10-10.0.0.9", f"'10.0.0.10-10.0.0.9', whose end is before its beginning: {WANTED}"),
        *(
            (text, f"{text!r}, in which {address} is {why}: {WANTED}")
            for text, address, why in (
                ("224.0.0.0/24", "224.0.0.0", MULTICAST),
                ("ff02::1", "ff02::1", MULTICAST),
                ("255.255.255.255", "255.255.255.255", NOBODYS),
                ("240.0.0.1-5", "240.0.0.1", UNLIKELY),
                ("223.0.0.1-224.0.0.5", "224.0.0.5", MULTICAST),
                ("0.0.0.0/24", "0.0.0.0", NOBODYS),
                ("0.255.255.255", "0.255.255.255", UNLIKELY),
                ("::", "::", NOBODYS),
                ("::ffff:10.0.0.1", "::ffff:10.0.0.1", MAPPED),
                ("::ffff:10.0.0.0/120", "::ffff:10.0.0.0", MAPPED),
            )
        ),
        *((text, f"{text!r}, {SCOPES}") for text in ("fe80::1%a-fe80::5%a", "fe80::1%a-fe80::5", "fe80::1-fe80::5%a")),
    ],
)
def test_what_is_not_a_range_of_devices_is_said_in_one_sentence(text: str, said: str):
    with pytest.raises(SettingsError) as raised:
        addresses_in([text])
    shown = str(raised.value).replace("::ffff:a00:1", "::ffff:10.0.0.1").replace("::ffff:a00:0", "::ffff:10.0.0.0")
    assert shown == f"the range is {said}", "however this Python writes a mapped address"


def said_of(text: str, *, large: bool) -> str:
    with pytest.raises(SettingsError) as raised:
        addresses_in([text], large=large)
    return str(raised.value)


def test_a_range_over_a_20_is_asked_for():
    more = "expected at most 4,096 (a /20), or --large if it is meant"
    assert said_of("10.0.0.0/19", large=False) == f"the range 10.0.0.0/19 has 8,190 addresses: {more}"
    assert said_of("10.0.0.0-10.0.16.0", large=False) == f"the range 10.0.0.0-10.0.16.0 has 4,097 addresses: {more}"
    assert len(addresses_in(["10.0.0.0/19"], large=True)) == 8190
    assert len(addresses_in(["10.0.0.0-10.0.15.255"])) == 4096


def test_no_range_is_larger_than_any_memory():
    """A prefix of IPv6 is not even counted out; nor is one of IPv4 that would be swept for days, and be in memory."""
    wanted = "expected at most 262,144 (a /14) at a time, as in several runs"
    for large in (False, True):
        said = f"the range 2001:db8::/64 has 18,446,744,073,709,551,616 addresses: {wanted}"
        assert said_of("2001:db8::/64", large=large) == said
        assert said_of("10.0.0.0/8", large=large) == f"the range 10.0.0.0/8 has 16,777,214 addresses: {wanted}"
    assert "has 262,145 addresses" in said_of("10.0.0.0-10.4.0.0", large=True)
    assert len(addresses_in(["10.0.0.0-10.3.255.255"], large=True)) == 1 << 18


def test_nor_are_several_ranges_together():
    with pytest.raises(SettingsError) as raised:
        addresses_in(["10.0.0.0/14", "10.9.0.0/29"], large=True)
    wanted = "expected at most 262,144 (a /14) at a time, as in several runs"
    assert str(raised.value) == f"the ranges have 262,148 addresses together: {wanted}"


def test_prefixes_of_ipv6_have_all_their_addresses_but_the_routers():
    """The first address of a prefix of IPv6 is that of whichever router is there (RFC 4291 §2.6.1)."""
    assert addresses_in(["2001:db8::/126"]) == ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
    assert addresses_in(["2001:db8::4/128", "10.0.0.0/30"]) == ["2001:db8::4", "10.0.0.1", "10.0.0.2"]
    assert addresses_in(["223.255.255.255", "1.0.0.0-0"]) == ["223.255.255.255", "1.0.0.0"]
