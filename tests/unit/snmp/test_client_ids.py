"""Request-ids are what the system's randomness gives, in the range in which each takes four octets."""

import os

from towerops_agent.snmp import client
from towerops_agent.snmp.wire.message import HIGHEST_ID, LOWEST_ID


def test_each_is_within_its_range_and_hardly_one_comes_twice():
    drawn = [client.random_id() for _ in range(20_000)]
    assert LOWEST_ID <= min(drawn) < LOWEST_ID + (1 << 24)
    assert HIGHEST_ID - (1 << 24) < max(drawn) <= HIGHEST_ID
    assert len(set(drawn)) > 19_900


def test_they_are_the_systems_randomness(monkeypatch):
    """What lies below the range is drawn again; the first bit does not count."""
    octets = [bytes.fromhex("00ffffff 81000000 7fffffff 00000000"), bytes.fromhex("12345678")]
    monkeypatch.setattr(os, "urandom", lambda _count: octets.pop(0))
    while len(octets) == 2:  # until those that were drawn before are used up
        drawn = client.random_id()
    assert [drawn, client.random_id(), client.random_id()] == [0x7FFFFFFF, 0x01000000, 0x12345678]
