"""Pings in a network namespace of the test's own: against Debian's fping, behind a bad link, with all permissions."""

import math
import shutil
from itertools import pairwise

import pytest

from support.namespace import EVERYBODY_MAY_PING, NOBODY_MAY_PING, run
from towerops_agent.ping.sockets import Kind

V4, V6 = "2", "10"

LOOPBACK = ["::1", *(f"127.1.0.{last}" for last in range(1, 40))]
FAR = ["10.9.0.1", "fd09::1", "10.9.0.2", "fd09::2"]

BUSY_S = 1.0

BAD_LINK = {"loss": 0.2, "delay_ms": (20, 40), "seed": 1}


@pytest.mark.parametrize("ping_group_range", [EVERYBODY_MAY_PING, NOBODY_MAY_PING], ids=["unprivileged", "raw"])
def test_fping_says_the_same_of_hosts_on_the_loopback(ping_group_range):
    """And a reply is timed by the kernel's arrival: it is read later, as this process is busy then for a second."""
    if shutil.which("fping") is None:
        pytest.skip("fping is missing")
    wish = {"hosts": LOOPBACK, "count": 8, "gap_s": 0.02, "wait_s": 1.0, "fping": True, "busy_s": BUSY_S}
    found = run("support.pinging", wish, ping_group_range=ping_group_range)
    assert set(found["fping"]) == set(LOOPBACK)
    for host, theirs in found["fping"].items():
        ours = found["tallies"][host]
        assert (ours["sent"], ours["received"]) == (8, 8)
        assert None not in theirs
        assert ours["rtt_max_us"] < BUSY_S * 1e6
    kind = Kind.UNPRIVILEGED if ping_group_range == EVERYBODY_MAY_PING else Kind.RAW
    assert found["socket"] == {V4: kind, V6: kind}
    assert found["kernel_times"] == {V4: True, V6: True}


def test_fping_loses_the_same_echoes_over_a_bad_link():
    if shutil.which("fping") is None:
        pytest.skip("fping is missing")
    wish = {"hosts": FAR, "count": 40, "gap_s": 0.03, "wait_s": 2.0, "fping": True, "distant": BAD_LINK}
    found = run("support.pinging", wish, before="test -w /dev/net/tun")
    for host in FAR:
        theirs = [trip for trip in found["fping"][host] if trip is not None]
        ours = found["tallies"][host]
        assert (ours["sent"], ours["received"]) == (40, len(theirs))
        assert 0 < ours["received"] < 40


@pytest.mark.parametrize("ping_group_range", [EVERYBODY_MAY_PING, NOBODY_MAY_PING], ids=["unprivileged", "raw"])
def test_loss_and_jitter_are_those_of_the_link(ping_group_range):
    """The far hosts know which echoes they answered and after how long. What the way there adds is never below 0: so the mean is
    at least theirs, and the jitter differs from theirs by twice that at most, on any machine."""
    count = 200
    wish = {"hosts": FAR, "count": count, "gap_s": 0.01, "wait_s": 2.0, "distant": BAD_LINK}
    found = run("support.pinging", wish, before="test -w /dev/net/tun", ping_group_range=ping_group_range)
    for host in FAR:
        ours, trips_us = found["tallies"][host], found["distant"][host]
        came_us = [trip_us for trip_us in trips_us if trip_us is not None]
        assert (ours["sent"], ours["received"]) == (len(trips_us), len(came_us)) == (count, len(came_us))
        assert abs(len(came_us) - 0.8 * count) < 4 * math.sqrt(count * 0.8 * 0.2)
        mean_us = sum(came_us) / len(came_us)
        jitter_us = sum(abs(later - earlier) for earlier, later in pairwise(came_us)) / (len(came_us) - 1)
        added_us = ours["rtt_avg_us"] - mean_us
        assert added_us > -1
        assert ours["rtt_min_us"] >= min(came_us)
        assert abs(ours["jitter_us"] - jitter_us) <= 2 * (added_us + 1) * len(came_us) / (len(came_us) - 1) + 1


@pytest.mark.parametrize("ping_group_range", [EVERYBODY_MAY_PING, NOBODY_MAY_PING], ids=["unprivileged", "raw"])
def test_doubled_foreign_forged_and_cut_replies_count_for_nothing(ping_group_range):
    """The link loses a fifth, and four lies follow each reply: no echo counts that the host has not answered."""
    wish = {"hosts": FAR, "count": 20, "gap_s": 0.01, "wait_s": 2.0, "distant": {**BAD_LINK, "lies": True}}
    found = run("support.pinging", wish, before="test -w /dev/net/tun", ping_group_range=ping_group_range)
    for host in FAR:
        assert found["tallies"][host]["received"] == len([trip for trip in found["distant"][host] if trip is not None])
    came = sum(one["received"] for one in found["tallies"].values())
    assert found["counters"]["pings"] == {"answered": came, "lost": 80 - came}
    discarded = found["counters"]["ping_replies_discarded"]
    assert (discarded["double"], discarded["foreign_peer"], discarded["forged"]) == (came, came, came)


def test_netem_loses_a_fifth_and_delays_by_30_ms_give_or_take_10():
    """The kernel's own bad link. On the loopback it delays the echo, and the reply: both may be lost."""
    count = 300
    wish = {"hosts": ["127.1.0.1", "::1"], "count": count, "gap_s": 0.01, "wait_s": 2.0}
    found = run("support.pinging", wish, before="tc qdisc add dev lo root netem loss 20% delay 30ms 10ms limit 10000")
    for ours in found["tallies"].values():
        expected = 0.8 * 0.8
        assert abs(ours["received"] - expected * count) < 4 * math.sqrt(count * expected * (1 - expected))
        assert ours["rtt_min_us"] >= 40_000
        # Two delays, each even between 20 and 40 ms: two such sums differ by 28/3 ms on average. What a busy machine adds to
        # the mean may change that by twice as much.
        added_us = max(ours["rtt_avg_us"] - 60_000, 0)
        assert ours["jitter_us"] == pytest.approx(28_000 / 3, abs=7_000 / 3 + 2 * added_us)


def test_a_process_that_may_not_ping_has_the_reason_and_no_loss():
    """The kernel's own refusal: neither its group is in ping_group_range, nor has it CAP_NET_RAW."""
    wish = {"hosts": ["127.0.0.1", "::1"], "count": 3, "gap_s": 0.01, "wait_s": 0.1}
    found = run("support.pinging", wish, may_raw=False)
    for host in wish["hosts"]:
        assert found["tallies"][host] == {"reason": "no_permission", "detail": "Operation not permitted"}
    assert found["socket"] == {}
    assert found["counters"] == {"pings": {}, "pings_unsent": {"no_permission": 6}, "ping_replies_discarded": {}}


def test_ping_group_range_is_enough_without_any_capability_for_both_families():
    wish = {"hosts": ["127.0.0.1", "::1"], "count": 3, "gap_s": 0.01, "wait_s": 1.0}
    found = run("support.pinging", wish, may_raw=False, ping_group_range=EVERYBODY_MAY_PING)
    assert found["socket"] == {V4: Kind.UNPRIVILEGED, V6: Kind.UNPRIVILEGED}
    assert {one["received"] for one in found["tallies"].values()} == {3}


def test_a_device_without_a_route_has_that_reason_and_no_loss():
    wish = {"hosts": ["192.0.2.1", "2001:db8::1"], "count": 2, "gap_s": 0.01, "wait_s": 0.1}
    found = run("support.pinging", wish)
    assert {one["reason"] for one in found["tallies"].values()} == {"no_route"}
    assert found["counters"] == {"pings": {}, "pings_unsent": {"no_route": 4}, "ping_replies_discarded": {}}
