"""What the agent learns of a device: how long to wait for it, and how much to ask at once."""

import pytest

from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.traits import (
    AMBIGUOUS,
    AWAY,
    BY_DESCR,
    BY_NAME,
    CLEAN_POLLS,
    CLOCK_SLACK_US,
    DOUBTED,
    HURRIED_POLLS,
    LARGEST_VARBINDS,
    MOST_REFUSED,
    NARROW,
    NOTHING,
    STARTING_VARBINDS,
    STEADY_POLLS,
    STUMBLED_FIRST,
    STUMBLED_MOST,
    TOGETHER,
    UNCHECKED,
    UNVERIFIABLE,
    UPTIME_WRAP_US,
    WIDE,
    BootClock,
    Start,
    Traits,
)


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
    assert sizes_of(Traits(), 7) == [24, 30, 36, 42, 48, 54, 54]


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


HOUR_US = 3_600_000_000


def seen(uptime_us, at_us, **known):
    """A device that was seen at `at_us` with this sysUpTime."""
    traits = Traits(**known)
    assert not traits.observe_uptime(uptime_us // 10_000, at_us)
    return traits


def test_a_sysuptime_that_fell_is_a_restart_and_the_device_s_start_is_known_from_then_on():
    traits = seen(5 * HOUR_US, 7 * HOUR_US)
    assert (traits.uptime, traits.booted_at_us) == (5 * HOUR_US // 10_000, 2 * HOUR_US)
    assert traits.observe_uptime(HOUR_US // 10_000, 8 * HOUR_US)
    assert (traits.uptime, traits.booted_at_us) == (HOUR_US // 10_000, 7 * HOUR_US)
    assert not traits.observe_uptime(2 * HOUR_US // 10_000, 9 * HOUR_US)


def test_a_sysuptime_that_fell_by_a_little_is_a_restart_too():
    """Whatever the clocks do: it never goes back."""
    traits = seen(5 * HOUR_US, 7 * HOUR_US)
    assert traits.observe_uptime(5 * HOUR_US // 10_000 - 1, 7 * HOUR_US + 1)


def test_a_start_that_was_missed_is_found_by_a_sysuptime_that_is_too_small_for_the_time_that_has_passed():
    traits = seen(5 * HOUR_US, 7 * HOUR_US)
    assert traits.observe_uptime(6 * HOUR_US // 10_000, 24 * HOUR_US)


def test_a_start_from_before_a_restart_of_the_agent_is_compared_too():
    """No sysUpTime is known of it then."""
    assert not Traits(booted_at_us=2 * HOUR_US).observe_uptime(HOUR_US // 10_000, 3 * HOUR_US)
    assert Traits(booted_at_us=2 * HOUR_US).observe_uptime(HOUR_US // 10_000, 4 * HOUR_US)


def test_a_sysuptime_that_stands_still_says_nothing_of_the_device_s_start():
    traits = seen(5 * HOUR_US, 7 * HOUR_US)
    assert not traits.observe_uptime(5 * HOUR_US // 10_000, 9 * HOUR_US)
    assert traits.booted_at_us == 2 * HOUR_US


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("later_us", "restarted"), [(0, False), (60_000_000, False), (-60_000_000, False), (60_010_000, True)])
def test_a_sysuptime_that_starts_at_0_after_497_days_is_not_a_restart(times, later_us, restarted):
    traits = seen(UPTIME_WRAP_US - HOUR_US, UPTIME_WRAP_US)
    at_us = UPTIME_WRAP_US * times + 2 * HOUR_US
    assert bool(traits.observe_uptime((HOUR_US - later_us) // 10_000, at_us)) is restarted
    assert traits.booted_at_us == UPTIME_WRAP_US * times + HOUR_US + later_us


@pytest.mark.parametrize(
    ("uptime_us", "start"),
    [
        (0, Start.AGAIN),
        (2 * HOUR_US, Start.AGAIN),
        (2 * HOUR_US + CLOCK_SLACK_US - 10_000, Start.AGAIN),
        (2 * HOUR_US + CLOCK_SLACK_US, Start.OTHER),
        (5 * HOUR_US - 10_000, Start.OTHER),
        (5 * HOUR_US + 10_000, Start.OTHER),
        (7 * HOUR_US - CLOCK_SLACK_US - 10_000, Start.OTHER),
        (7 * HOUR_US - CLOCK_SLACK_US, Start.SAME),
        (7 * HOUR_US + CLOCK_SLACK_US, Start.SAME),
        (7 * HOUR_US + CLOCK_SLACK_US + 10_000, Start.OTHER),
    ],
)
def test_a_device_that_was_up_two_hours_ago_has_restarted_since_only_if_it_is_up_for_less(uptime_us, start):
    assert seen(5 * HOUR_US, 7 * HOUR_US).observe_uptime(uptime_us // 10_000, 9 * HOUR_US) is start


@pytest.mark.parametrize("ticks_a_second", [1, 1000])
def test_a_sysuptime_that_counts_seconds_or_milliseconds_is_of_the_same_start(ticks_a_second):
    """By hundredths of a second its device would have started later each time, or earlier."""
    traits = seen(HOUR_US, HOUR_US)
    before = traits.uptime
    for minutes in (5, 10, 15):
        uptime = before + 60 * minutes * ticks_a_second
        assert traits.observe_uptime(uptime, HOUR_US + 60_000_000 * minutes) is Start.SAME


def test_a_moment_is_the_same_in_the_same_boot_and_by_the_wall_clocks_in_another():
    clock = BootClock(b"a", 1_000)
    assert clock.of_another(5, BootClock(b"a", 300)) == 5
    assert clock.of_another(5, BootClock(b"b", 1_300)) == 305
    assert BootClock(b"", 1_000).of_another(5, BootClock(b"", 1_300)) == 305
    assert BootClock().of_another(5, BootClock(b"a", 1_300)) == 1_305


@pytest.mark.parametrize(
    ("known", "under_way"),
    [
        ({}, TOGETHER),
        ({"clean_polls": CLEAN_POLLS + 1}, TOGETHER),
        ({"max_varbinds": STARTING_VARBINDS + 1}, TOGETHER),
        ({"clean_polls": CLEAN_POLLS - 1}, 1),
        ({"answers": False}, 1),
        ({"srtt_s": None}, 1),
        ({"max_varbinds": STARTING_VARBINDS - 1}, 1),
        ({"refused_at": 48}, 1),
        ({"suspect_at": 48}, 1),
        ({"spacing": Spacing(1.0)}, 1),
        ({"next_only": True}, 1),
        ({"index_lies": True}, 1),
        ({"mute": frozenset({b""})}, 1),
        ({"refused_names": frozenset({b""})}, 1),
        ({"suspects": frozenset({b""})}, 1),
        ({"by_next": frozenset({b""})}, 1),
        ({"once_by_next": {b"": 3}, "not_by_next": frozenset({b""}), "absence_holds": True}, TOGETHER),
    ],
)
def test_several_requests_are_under_way_to_a_device_of_which_nothing_is_odd(known, under_way):
    assert Traits(**{"clean_polls": CLEAN_POLLS, "srtt_s": 0.1} | known).together == under_way


def test_names_ride_no_longer_once_polls_are_clean():
    traits = Traits(hurried=True)
    rode = []
    for _ in range(HURRIED_POLLS):
        traits.note_clean_poll()
        rode.append(traits.hurried)
    assert rode == [*[True] * (HURRIED_POLLS - 1), False]


def test_a_device_that_was_only_short_of_time_is_asked_for_several_requests_at_once_and_stays_hurried():
    traits = Traits(hurried=True, srtt_s=0.5)
    under_way = []
    for _ in range(2 * HURRIED_POLLS):
        traits.note_short_poll()
        under_way.append(traits.together)
    assert under_way == [1] * (CLEAN_POLLS - 1) + [TOGETHER] * (2 * HURRIED_POLLS - CLEAN_POLLS + 1)
    for _ in range(CLEAN_POLLS):
        assert traits.hurried
        traits.note_clean_poll()
    assert not traits.hurried


def test_that_a_device_has_stumbled_is_forgotten_after_so_many_clean_polls_and_not_before():
    traits = Traits(clean_polls=STEADY_POLLS - 2, stumbles=2)
    traits.note_clean_poll()
    assert traits.stumbles == 2
    traits.note_clean_poll()
    assert traits.stumbles == 0


def test_a_silence_to_what_is_answered_later_was_loss():
    traits = Traits(suspect_at=12)
    traits.note_answered(11)
    assert (traits.suspect_at, traits.most_answered) == (12, 11)
    traits.note_answered(12)
    assert (traits.suspect_at, traits.most_answered) == (None, 12)
    traits.note_answered(3)
    assert traits.most_answered == 12


def test_the_least_size_that_was_ever_refused_is_remembered():
    traits = Traits()
    traits.refused(20)
    traits.refused(30)
    assert (traits.refused_at, traits.max_varbinds) == (20, 15)
    traits.refused(1)
    assert (traits.refused_at, traits.most_answered, traits.max_varbinds) == (1, 0, 1)


def test_a_second_silence_at_a_size_or_above_is_believed_for_the_smaller_size():
    traits = Traits()
    traits.fell_silent(10)
    assert traits.sizes == (5, 0, None, 10)
    traits.fell_silent(9)
    assert traits.sizes == (4, 0, None, 9)
    traits.fell_silent(12)
    assert traits.sizes == (4, 0, 9, None)


def test_a_second_silence_is_not_believed_while_the_cause_of_another_is_not_known():
    """It may be an OID that is never answered."""
    traits = Traits()
    traits.fell_silent(4)
    traits.fell_silent(6, is_believed=False)
    assert traits.sizes == (2, 0, None, 4)
    traits.fell_silent(4)
    assert traits.sizes == (2, 0, 4, None)


def test_silence_to_one_oid_is_not_a_question_of_size():
    traits = Traits()
    traits.fell_silent(1)
    assert traits == Traits()


def test_silence_never_makes_requests_larger():
    traits = Traits(max_varbinds=3)
    traits.fell_silent(10)
    assert traits.max_varbinds == 3


@pytest.mark.parametrize(
    ("spacing", "gap_s", "is_paced"),
    [
        (None, 0.0, False),
        (Spacing(2.0), 0.0, False),
        (Spacing(2.0, dropped=2), 0.0, True),
        (Spacing(2.0, is_certain=True), 2.0, True),
    ],
)
def test_a_gap_is_kept_once_it_is_certain_and_is_the_likely_cause_of_a_silence_before(spacing, gap_s, is_paced):
    traits = Traits(spacing=spacing)
    assert (traits.gap_s, traits.is_paced) == (gap_s, is_paced)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((3, 2, None, 6), (LARGEST_VARBINDS, 2, None, None)),
        ((3, 2, 10, 6), (9, 2, 10, None)),
        ((9, 9, 2, None), (9, 9, 2, None)),
    ],
)
def test_if_silence_was_not_a_question_of_size_requests_are_as_large_as_can_be(before, after):
    """Below the size that is known to be refused."""
    traits = Traits()
    traits.sizes = before
    traits.restore_size()
    assert traits.sizes == after


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 2, None, 6), (24, 2, None, None)), ((3, 30, None, 6), (30, 30, None, None)), ((3, 2, 10, 6), (9, 2, 10, None))],
)
def test_a_size_that_fell_for_an_oid_that_is_never_answered_is_as_before_or_what_was_answered(before, after):
    traits = Traits()
    traits.sizes = before
    traits.restore_size(STARTING_VARBINDS)
    assert traits.sizes == after


@pytest.mark.parametrize(
    ("known", "after"),
    [
        ({}, 30),
        ({"max_varbinds": 23}, 24),
        ({"max_varbinds": 24, "suspect_at": 40}, 25),
        ({"max_varbinds": 24, "refused_at": 40}, 25),
        ({"max_varbinds": 24, "refused_at": 60}, 25),
        ({"max_varbinds": LARGEST_VARBINDS, "refused_at": 60}, LARGEST_VARBINDS),
        ({"max_varbinds": LARGEST_VARBINDS - 4}, LARGEST_VARBINDS),
        ({"max_varbinds": 39, "refused_at": 40}, 39),
        ({"max_varbinds": 5, "refused_at": 1}, 1),
    ],
)
def test_a_request_grows_by_an_interface_or_by_one_up_to_a_limit(known, after):
    traits = Traits(**known)
    traits.grow()
    assert traits.max_varbinds == after


# OIDs that spoil a request

ONE, TWO = b"\x2b\x01", b"\x2b\x02"


def test_an_oid_that_getnext_gives_twice_is_asked_so_and_is_no_longer_one_that_is_refused_or_never_answered():
    both = frozenset({ONE, TWO})
    traits = Traits(mute=both, refused_names=both)
    traits.stepped(ONE, gave=True)
    assert (traits.once_by_next, traits.by_next, traits.mute) == ({ONE: 0}, frozenset(), both)
    traits.stepped(ONE, gave=True)
    assert (traits.once_by_next, traits.by_next) == ({}, {ONE})
    assert traits.mute == traits.refused_names == {TWO}
    assert traits.not_by_next == frozenset()


def test_an_oid_that_getnext_does_not_give_is_not_tried_again():
    traits = Traits()
    traits.stepped(ONE, gave=False)
    traits.stepped(TWO, gave=False)
    assert (traits.not_by_next, traits.once_by_next, traits.by_next) == ({ONE, TWO}, {}, frozenset())


def test_of_so_many_oids_only_it_is_remembered_that_they_are_refused_or_not_given():
    traits = Traits()
    for n in range(MOST_REFUSED + 1):
        traits.refuse(b"%d" % n, "genErr")
        traits.stepped(b"%d" % n, gave=False)
    assert len(traits.refused_names) == len(traits.not_by_next) == MOST_REFUSED
    assert traits.refused_names == {b"%d" % n for n in range(MOST_REFUSED)}


def test_a_suspect_that_is_answered_is_not_one_any_more_whatever_is_beside_it():
    traits = Traits(suspects=frozenset({ONE, TWO}))
    traits.clear((b"\x2b\x03", ONE), alone=False)
    assert traits.suspects == {TWO}


def test_an_oid_that_was_never_answered_is_answered_only_by_itself():
    """Among others it may be one that they were answered without."""
    traits = Traits(mute=frozenset({ONE, TWO}))
    traits.clear((ONE, b"\x2b\x03"), alone=False)
    assert traits.mute == {ONE, TWO}
    traits.clear((ONE,), alone=False)
    assert traits.mute == {TWO}


def test_an_oid_that_was_refused_is_given_if_it_has_a_value_by_itself():
    traits = Traits(refused_names=frozenset({ONE, TWO}))
    traits.clear((ONE,), alone=False)
    assert traits.refused_names == {ONE, TWO}
    traits.clear((ONE,), alone=True)
    assert traits.refused_names == {TWO}


@pytest.mark.parametrize(("later_s", "restarted"), [(55, False), (-55, False), (65, True), (600, True)])
def test_a_start_that_seems_to_move_by_up_to_a_minute_is_the_clocks_doing(later_s, restarted):
    """An hour after the last look sysUpTime has not fallen; but the device says that it started later than it said before."""
    traits = Traits()
    assert not traits.observe_uptime(360_000, 0)
    assert bool(traits.observe_uptime(720_000, (3600 + later_s) * 1_000_000)) is restarted


def test_a_device_that_has_started_again_is_learned_from_the_start():
    """As one that was never asked, but for its round trips and its address."""
    name = frozenset({b"\x2b\x06\x01"})
    traits = Traits(
        max_varbinds=9,
        most_answered=9,
        refused_at=11,
        suspect_at=7,
        srtt_s=0.1,
        widths=bytes([WIDE, WIDE, NARROW, NARROW]),
        standings=bytes([BY_NAME, AWAY, UNCHECKED]),
        last_change=9,
        check=False,
        mute=name,
        refused_names=name,
        suspects=name,
        index_lies=True,
        absence_holds=True,
        by_next=name,
        once_by_next={b"\x2b\x06\x01": 3},
        not_by_next=name,
        next_only=True,
        any_address=True,
        units=("Mbps",),
        spacing=Spacing(2.0),
    )
    traits.begin_anew(NARROW)
    assert traits == Traits(
        srtt_s=0.1,
        widths=bytes([NARROW] * 4),
        standings=bytes([DOUBTED, DOUBTED, 0]),
        starts=1,
        any_address=True,
        units=("Mbps",),
    )


def test_a_name_that_was_ever_confirmed_is_in_doubt_until_it_is_compared_and_any_other_was_never_looked_at():
    traits = Traits(standings=bytes([BY_NAME, BY_DESCR, AWAY, AMBIGUOUS, DOUBTED, UNCHECKED, UNVERIFIABLE, NOTHING]))
    traits.doubt()
    assert traits.standings == bytes([DOUBTED] * 5 + [UNCHECKED] * 3)


def test_a_device_that_has_started_again_has_one_request_under_way_until_it_is_known():
    """Three polls that are answered whole; one that had stumbled waits as long as before."""
    traits = Traits(clean_polls=CLEAN_POLLS, srtt_s=0.01)
    assert traits.together == TOGETHER
    traits.begin_anew(NARROW)
    assert (traits.together, traits.clean_polls) == (1, 0)
    traits.stumbled()
    traits.begin_anew(NARROW)
    assert traits.clean_polls == -STUMBLED_FIRST


def test_a_device_that_stumbles_again_and_again_is_asked_one_by_one_for_longer_each_time():
    """Until it has been steady for long, which forgives all."""
    traits = Traits(clean_polls=CLEAN_POLLS, srtt_s=0.01)
    waits = []
    for _ in range(5):
        traits.stumbled()
        waits.append(-traits.clean_polls)
        while traits.together == 1:
            traits.note_clean_poll()
    assert waits == [8, 32, 128, 200, STUMBLED_MOST]
    for _ in range(STEADY_POLLS):
        traits.note_clean_poll()
    traits.stumbled()
    assert traits.clean_polls == -STUMBLED_FIRST
