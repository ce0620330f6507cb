"""What the agent learns of a device: how long to wait for it, and how much to ask at once."""

import pytest

from towerops_agent.polling.course.traits import LARGEST_VARBINDS, Traits


def test_a_device_that_never_answered_is_waited_for_one_second_then_twice_and_four_times_that():
    assert Traits().timeouts_s() == (1.0, 2.0, 4.0)
    assert Traits().timeouts_s(1) == (1.0,)


def test_the_wait_follows_the_round_trips_as_rfc_6298_has_it():
    """SRTT is R, RTTVAR R/2; then RTTVAR takes a fourth and SRTT an eighth of what differs. The wait is a number of 1/64 s."""
    traits = Traits()
    traits.observe_rtt(0.4)
    assert (traits.srtt_s, traits.rttvar_s) == (0.4, 0.2)
    assert traits.timeouts_s(1) == (77 / 64,)  # 1.2 s, rounded up
    traits.observe_rtt(0.8)
    assert traits.rttvar_s == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert traits.srtt_s == pytest.approx(0.875 * 0.4 + 0.125 * 0.8)
    assert traits.timeouts_s(1) == (93 / 64,)  # 0.45 s and four times 0.25 s, rounded up


@pytest.mark.parametrize(
    ("rtt_s", "timeouts_s"), [(0.0001, (0.5, 1.0, 2.0)), (30.0, (5.0, 5.0, 5.0)), (0.9, (173 / 64, 5.0, 5.0))]
)
def test_no_wait_is_under_half_a_second_or_over_five(rtt_s, timeouts_s):
    traits = Traits()
    traits.observe_rtt(rtt_s)
    assert traits.timeouts_s() == timeouts_s


def test_what_is_too_big_is_halved_and_never_asked_again():
    traits = Traits()
    traits.refused(24)
    assert (traits.max_varbinds, traits.refused_at) == (12, 24)
    for _ in range(50):
        traits.grow()
    assert traits.max_varbinds == 23


def test_what_was_accepted_is_asked_where_half_would_be_less():
    traits = Traits()
    traits.note_answered(20)
    traits.refused(24)
    assert traits.max_varbinds == 20


def test_a_refusal_of_what_was_accepted_before_is_believed():
    """Answers are larger at times."""
    traits = Traits()
    traits.note_answered(24)
    traits.refused(10)
    assert traits.max_varbinds == traits.most_answered == 9
    traits.refused(2)
    assert traits.max_varbinds == 1
    traits.grow()
    assert traits.max_varbinds == 1


def test_the_size_never_falls_below_one_nor_grows_past_what_a_datagram_holds():
    traits = Traits()
    for varbinds in (3, 1, 1):
        traits.fell_silent(varbinds)
    assert traits.max_varbinds == 1
    for _ in range(100):
        traits.grow()
    assert traits.max_varbinds == LARGEST_VARBINDS


def sizes_of(traits, polls):
    """How much is asked at once, in so many polls that go through."""
    sizes = [traits.max_varbinds]
    for _ in range(polls - 1):
        traits.grow()
        sizes.append(traits.max_varbinds)
    return sizes


def test_a_device_that_answers_all_is_asked_for_one_interface_more_each_poll():
    assert sizes_of(Traits(), 6) == [24, 30, 36, 42, 48, 48]


def test_a_device_that_found_more_too_big_is_asked_for_what_it_accepted_and_no_more():
    """It accepts 33: 36 is refused, and from then on it learns the limit, one by one."""
    traits = Traits()
    traits.note_answered(30)
    traits.refused(36)
    assert sizes_of(traits, 8) == [30, 31, 32, 33, 34, 35, 35, 35]
    traits.note_answered(33)
    traits.refused(34)
    assert sizes_of(traits, 3) == [33, 33, 33]


def test_a_device_that_is_silent_to_more_is_suspected_once_and_then_believed():
    """The first time may have been loss; it comes back to that size one by one, and is asked for less for good."""
    traits = Traits()
    traits.note_answered(24)
    traits.fell_silent(30)
    assert sizes_of(traits, 3) == [15, 16, 17]
    traits.note_answered(29)
    traits.fell_silent(30)
    assert sizes_of(traits, 20)[-6:] == [29] * 6


def test_after_silence_the_size_grows_by_one_a_poll():
    traits = Traits()
    traits.fell_silent(24)
    sizes = [traits.max_varbinds]
    for _ in range(3):
        traits.grow()
        sizes.append(traits.max_varbinds)
    assert sizes == [12, 13, 14, 15]


@pytest.mark.parametrize(("later_s", "restarted"), [(55, False), (-55, False), (65, True), (600, True)])
def test_a_start_that_seems_to_move_by_up_to_a_minute_is_the_clocks_doing(later_s, restarted):
    """An hour after the last look sysUpTime has not fallen; but the device says that it started later than it said before."""
    traits = Traits()
    assert not traits.observe_uptime(360_000, 0)
    assert traits.observe_uptime(720_000, (3600 + later_s) * 1_000_000) is restarted
