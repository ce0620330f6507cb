"""A round trip while the wall clock is set, and what a reply needs to count."""

import pytest

from towerops_agent.ping.wire.echo import Echo
from towerops_agent.ping.wire.rounds import CLOCK_SLACK_US, Rounds
from towerops_agent.reasons import Stray

PEER = ("192.0.2.1", 0)
WALL_NS = 1_700_000_000 * 10**9


def trip_us(*, read_after_s: float, arrived_after_ms: float | None, set_by_s: float = 0.0) -> int:
    """The round trip of an echo whose reply is read so long after it was sent, with this time of arrival by the wall clock.

    `set_by_s`: by how much the wall clock was set in between.
    """
    rounds = Rounds(lambda: b"8 octets")
    begun = rounds.open(PEER)
    echo = begun.next_echo()
    begun.sent(WALL_NS, 50.0)
    arrived_ns = None if arrived_after_ms is None else WALL_NS + round(arrived_after_ms * 1e6)
    read_ns = WALL_NS + round((read_after_s + set_by_s) * 1e9)
    assert rounds.receive(echo, PEER, arrived_ns, read_ns, 50.0 + read_after_s) is begun
    trip = rounds.close(begun).rtt_min_us
    assert trip is not None
    return trip


def test_a_busy_loop_makes_no_round_trip_longer():
    assert trip_us(read_after_s=0.5, arrived_after_ms=20) == 20_000
    assert repr(trip_us(read_after_s=0.5, arrived_after_ms=20.0009)) == "20000", "whole microseconds"


def test_a_reply_that_is_read_at_once_has_no_round_trip_to_speak_of():
    assert trip_us(read_after_s=0.0, arrived_after_ms=None) == 0


@pytest.mark.parametrize("later_us", [1, CLOCK_SLACK_US])
def test_the_wall_clock_may_seem_a_little_ahead_of_the_other_one(later_us):
    assert trip_us(read_after_s=0.5, arrived_after_ms=500 + later_us / 1000) == 500_000 + later_us


@pytest.mark.parametrize("arrived_after_ms", [None, -1, -3_600_000, 501 + CLOCK_SLACK_US / 1000, 3_600_000])
def test_a_wall_clock_that_was_set_meanwhile_is_not_used(arrived_after_ms):
    assert trip_us(read_after_s=0.5, arrived_after_ms=arrived_after_ms) == pytest.approx(500_000, abs=1)


@pytest.mark.parametrize(("set_by_s", "arrived_after_ms"), [(-0.2, 100), (-0.2, 300), (0.1, 400), (-3600, 300), (3600, 300)])
def test_nor_is_one_that_was_set_by_less_than_the_round_trip(set_by_s, arrived_after_ms):
    """Before the reply or behind it: the time of its arrival may be by either clock."""
    assert trip_us(read_after_s=0.5, arrived_after_ms=arrived_after_ms, set_by_s=set_by_s) == pytest.approx(500_000, abs=1)


def test_rounds_to_one_device_go_on_counting_and_a_number_wraps_around():
    rounds = Rounds(lambda: b"8 octets")
    begun = rounds.open(PEER, 0xFFFF)
    assert begun.next_echo() == Echo(1, b"8 octets", 0xFFFF)
    begun.sent(WALL_NS, 50.0)
    second = begun.next_echo()
    assert second == Echo(1, b"8 octets", 0)
    assert rounds.receive(second, PEER, None, WALL_NS, 50.1) is Stray.FORGED
    begun.sent(WALL_NS, 50.1)
    assert rounds.receive(second, PEER, None, WALL_NS, 50.2) is begun


def test_a_number_that_was_never_used_is_forged():
    rounds = Rounds(lambda: b"8 octets")
    rounds.open(PEER)
    assert rounds.receive(Echo(2, b"8 octets", 0), PEER, None, WALL_NS, 50.0) is Stray.FORGED


def test_a_reply_from_another_address_does_not_count_and_a_port_makes_no_other_address():
    rounds = Rounds(lambda: b"8 octets")
    begun = rounds.open(("192.0.2.1", 161))
    echo = begun.next_echo()
    begun.sent(WALL_NS, 50.0)
    assert rounds.receive(echo, ("192.0.2.9", 0), None, WALL_NS, 50.1) is Stray.FOREIGN_PEER
    assert rounds.receive(echo, ("192.0.2.1", 0), None, WALL_NS, 50.1) is begun


def test_a_number_counts_as_used_for_half_of_all_numbers():
    rounds = Rounds(lambda: b"8 octets")
    number = rounds.open(PEER).number
    for ago, stray in [(1, Stray.LATE), (2**31 - 1, Stray.LATE), (2**31, Stray.FORGED), (2**32 - 1, Stray.FORGED)]:
        assert rounds.receive(Echo((number - ago) % 2**32, b"8 octets", 0), PEER, None, WALL_NS, 50.0) is stray


def test_a_round_begins_with_echo_0_and_knows_when_it_heard_a_reply_last():
    rounds = Rounds(lambda: b"8 octets")
    begun = rounds.open(PEER)
    assert begun.heard_s == float("-inf")
    for sequence in (0, 1):
        echo = begun.next_echo()
        assert echo.sequence == sequence
        begun.sent(WALL_NS, 50.0)
        assert rounds.receive(echo, PEER, None, WALL_NS, 50.5 + sequence) is begun
        assert begun.heard_s == 50.5 + sequence


def test_a_round_may_be_ended_again():
    rounds = Rounds(lambda: b"8 octets")
    begun = rounds.open(PEER)
    begun.sent(WALL_NS, 50.0)
    assert rounds.close(begun) == rounds.close(begun)
    assert len(rounds) == 0
