"""Durations, sizes, counts and addresses, as the operator reads them."""

import ast
import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.source import modules
from towerops_agent.text import (
    MOST_ALIKE,
    address,
    counted,
    duration,
    is_ip_address,
    is_loopback,
    moment,
    printable,
    refused_lines,
    size,
)

SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (-5, "0 s"), (0.4, "0 s"), (40, "40 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (200, "3 min 20 s"),
        (3_599.4, "59 min 59 s"), (3_599.6, "1 h"), (3_629, "1 h"), (3_630, "1 h 1 min"), (4_320, "1 h 12 min"), (7_190, "2 h"),
        (86_369, "23 h 59 min"), (86_390, "1 d"), (97_200, "1 d 3 h"), (86_400 * 2 - 1, "2 d"), (86_400 * 400, "400 d"),
    ],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e9))
@example(59.5)
@example(3_599.5)
@example(86_370.0)
def test_a_duration_is_rounded_to_its_smaller_unit_and_never_says_60_s_60_min_or_24_h(seconds):
    parts = [(int(count), unit) for count, unit in re.findall(r"(\d+) (\w+)", duration(seconds))]
    assert " ".join(f"{count} {unit}" for count, unit in parts) == duration(seconds)
    assert 1 <= len(parts) <= 2
    limits = {"s": 60, "min": 60, "h": 24}
    assert all(count < limits.get(unit, count + 1) for count, unit in parts)
    units = list(SECONDS)
    finest = units[max(units.index(max((unit for _, unit in parts), key=SECONDS.__getitem__)) - 1, 0)]
    said = sum(count * SECONDS[unit] for count, unit in parts)
    assert abs(said - seconds) <= SECONDS[finest] / 2 + 0.5  # and the half second of rounding to whole ones first
    assert said % SECONDS[finest] == 0


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_duration_never_reads_shorter(a, b):
    def said(seconds):
        return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+) (\w+)", duration(seconds)))

    assert said(min(a, b)) <= said(max(a, b))


def test_a_moment_is_in_utc():
    assert moment(1_767_986_535_999_999) == "2026-01-09 19:22:15 UTC"


def test_sizes_are_in_decimal_units():
    assert [size(n) for n in (0, 640, 12_300_000, 4_500_000_000_000)] == ["0 B", "640 B", "12.3 MB", "4,500.0 GB"]
    assert [size(n) for n in (999, 1000, 1001, 999_900, 1_000_000)] == ["999 B", "1.0 kB", "1.0 kB", "999.9 kB", "1.0 MB"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sfp-sfpplus1", "sfp-sfpplus1"),
        ("größe 日本 ✓", "größe 日本 ✓"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\u2028\u202e", "\\u2028\\u202e"),
        ("\udcff", "\\udcff"),
        ("\\n", "\\n"),
        ("", ""),
    ],
)
def test_what_would_control_a_terminal_is_shown_by_its_name(text, shown):
    assert printable(text) == shown


def test_counts_agree_with_their_noun():
    assert [counted(n, "sensor") for n in (0, 1, 2, 1200)] == ["0 sensors", "1 sensor", "2 sensors", "1,200 sensors"]
    assert [counted(n, "batch", "batches") for n in (0, 1, 2)] == ["0 batches", "1 batch", "2 batches"]


@given(st.integers(0, 65_535), st.ip_addresses())
def test_an_address_is_read_back_from_its_text(port, ip):
    host, _, port_text = address(str(ip), port).rpartition(":")
    assert port_text == str(port)
    assert host == (f"[{ip}]" if isinstance(ip, IPv6Address) else str(ip))


def test_a_name_and_a_scope_stand_as_they_are():
    assert address("tower.example.net", 161) == "tower.example.net:161"
    assert address("fe80::1%eth0", 161) == "[fe80::1%eth0]:161"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_this_machine_is_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.net", "127.0.0.1.example.net", "0.0.0.0", "::ffff:10.0.0.1", "[::1]"])
def test_another_host_is_not_loopback(host):
    assert not is_loopback(host)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_loopback_alike_when_mapped_into_ipv6(ip: IPv4Address):
    assert is_loopback(str(ip)) == is_loopback(f"::ffff:{ip}") == ip.is_loopback


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "fe80::1%eth0"])
def test_an_address_is_one(host):
    assert is_ip_address(host)


@pytest.mark.parametrize("host", ["", "localhost", "192.0.2", "192.0.2.1.", "[::1]", "192.0.2.1:161"])
def test_a_name_or_what_has_more_than_an_address_is_not_one(host):
    assert not is_ip_address(host)


def test_nothing_else_in_the_source_writes_an_address_or_asks_for_loopback():
    elsewhere = [
        f"{module}: {ast.unparse(node)}"
        for module, tree in modules().items()
        if module != "text.py"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "is_loopback")
        or (isinstance(node, ast.IfExp) and isinstance(node.body, ast.JoinedStr) and ast.unparse(node.test).startswith("':' in "))
    ]
    assert elsewhere == []


def test_of_many_that_are_refused_for_the_same_the_first_is_shown_and_others_stay_visible():
    alike = [(f"equipment d{n}", f"a b.yaml:{n}:48: credentials is 'c', see a b.yaml:2:31") for n in range(MOST_ALIKE + 1)]
    other = ("sensor d1 s", "a b.yaml:90:7: oid is 'x'")
    first = f"equipment d0: {alike[0][1]} (and 10 more alike)"
    assert list(refused_lines([*alike, other], 20)) == [first, f"sensor d1 s: {other[1]}", "and 8 more refused"]
    assert list(refused_lines(alike[1:], MOST_ALIKE)) == [f"{who}: {why}" for who, why in alike[1:]]
