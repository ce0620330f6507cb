"""What a poll does about silence: it probes, finds what the silence was about, and remembers it."""

import pytest

from support.steps import SENSORS, SILENCE, absent, finish, next_poll, refuse, reply, started
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import SYS_UP_TIME, Watch, make_plan
from towerops_agent.polling.course.progress import PATIENT_ATTEMPTS, PROBE_ATTEMPTS, PollProgress
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.stepping import predecessor
from towerops_agent.polling.course.traits import ATTEMPTS, BY_NAME, CLEAN_POLLS, WIDE, Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, PduType

UNREACHABLE = NoReply(Reason.UNREACHABLE, 1)


def uptime(names, hundredths=4711):
    """A sysUpTime in front of numbers."""
    tags = bytes([ber.TIME_TICKS, *[ber.GAUGE32] * (len(names) - 1)])
    return reply(names, [hundredths, *range(1, len(names))], tags=tags)


def asked_of(ask):
    """What is asked, for which columns, and how often it is sent."""
    return list(ask.request.names), list(ask.columns), ask.attempts


def lost(progress, *answers):
    """Take these answers in turn; the last request is met with silence. Return it."""
    for answer in answers:
        progress.take(ask := progress.next_ask(), answer(ask.request.names))
    ask = progress.next_ask()
    progress.take(ask, SILENCE)
    return ask


# Probes


def test_a_device_that_was_silent_is_asked_one_small_question_once_and_is_read_in_full_if_it_answers():
    progress, traits = started()
    traits.answers, traits.uptime = False, 17
    progress = PollProgress(progress.plan, traits)
    probe = progress.next_ask()
    assert asked_of(probe) == ([SYS_UP_TIME], [0], 1)
    assert not probe.by_next
    progress.take(probe, uptime(probe.request.names))
    assert traits.answers
    assert finish(progress) == [list(progress.plan.columns)]
    assert interpret(progress, 1, 0).missing == {}


def test_a_device_that_answers_is_asked_for_all_at_once():
    progress, _ = started()
    assert asked_of(progress.next_ask()) == (list(progress.plan.columns), list(range(6)), ATTEMPTS)


def test_a_device_that_was_never_heard_is_asked_in_three_ways_by_turns():
    """By its sysUpTime, by another OID, and by GETNEXT."""
    progress, traits = started()
    traits.answers = False
    asked = []
    for _ in range(4):
        progress = next_poll(progress, traits)
        ask = progress.next_ask()
        asked.append((ask.request.type, list(ask.request.names), list(ask.columns), ask.attempts, ask.by_next))
        progress.take(ask, SILENCE)
        assert progress.next_ask() is None
        progress.finish()
        assert not traits.answers
    plain = PduType.GET, [SYS_UP_TIME], [0], 1, False
    assert asked == [
        plain,
        (PduType.GET, [SENSORS[0]], [1], 1, False),
        (PduType.GET_NEXT, [predecessor(SYS_UP_TIME)], [0], 1, True),
        plain,
    ]


@pytest.mark.parametrize("heard", [{"uptime": 0}, {"most_answered": 1}], ids=["its sysUpTime", "something"])
def test_a_device_that_was_heard_once_is_always_asked_for_its_sysuptime(heard):
    progress, _ = started()
    traits = Traits(answers=False, **heard)
    for _ in range(3):
        progress = PollProgress(progress.plan, traits)
        assert asked_of(ask := progress.next_ask()) == ([SYS_UP_TIME], [0], 1)
        assert not ask.by_next


def test_a_device_that_does_not_say_its_sysuptime_is_asked_for_its_first_value_instead():
    """Unless that is all there is to ask."""
    traits = Traits(answers=False, uptime=17, mute=frozenset({SYS_UP_TIME}))
    progress = PollProgress(make_plan(SENSORS[:1], (), b"", 24), traits)
    assert asked_of(progress.next_ask()) == ([SENSORS[0]], [1], 1)
    nothing_else = PollProgress(make_plan([], (), b"", 24), traits)
    assert asked_of(nothing_else.next_ask()) == ([SYS_UP_TIME], [0], 1)


def test_a_device_without_values_that_was_never_heard_is_probed_by_its_sysuptime_only():
    """By GET, and each third time by GETNEXT."""
    traits = Traits(answers=False)
    plan = make_plan([], (), b"", 24)
    assert [PollProgress(plan, traits).next_ask().by_next for _ in range(6)] == [False, False, True] * 2
    assert [list(PollProgress(plan, traits).next_ask().columns) for _ in range(3)] == [[0]] * 3


@pytest.mark.parametrize("known", [True, False])
def test_after_a_silence_a_device_that_has_answered_before_is_probed_longer(known):
    """One OID may block it for ten seconds."""
    progress, traits = started()
    traits.most_answered = 6 if known else 0
    lost(progress)
    assert asked_of(progress.next_ask()) == ([SYS_UP_TIME], [0], PATIENT_ATTEMPTS if known else PROBE_ATTEMPTS)


def test_a_device_that_never_said_its_sysuptime_is_asked_for_something_else_after_that_once():
    """It is alive if it answers that, and its sysUpTime is not asked with other OIDs any more."""
    progress, traits = started()
    lost(progress)
    progress.take(progress.next_ask(), SILENCE)
    ask = progress.next_ask()
    assert asked_of(ask) == ([SENSORS[0]], [1], 1)
    progress.take(ask, reply(ask.request.names))
    assert traits.mute == {SYS_UP_TIME}
    finish(progress, lambda names: SILENCE if SYS_UP_TIME in names else reply(names))
    assert interpret(progress, 1, 0).missing == {}
    again = next_poll(progress, traits)
    asked = finish(again, lambda names: SILENCE if SYS_UP_TIME in names else reply(names))
    assert asked[-1] == [SYS_UP_TIME]
    assert interpret(again, 1, 0).missing == {}


def test_a_device_that_said_its_sysuptime_before_is_not_asked_for_anything_else():
    progress, traits = started()
    traits.uptime = 17
    lost(progress)
    progress.take(progress.next_ask(), SILENCE)
    assert progress.next_ask() is None
    assert traits.mute == frozenset()


def test_a_device_of_which_only_the_sysuptime_is_asked_has_nothing_else_to_be_asked_for():
    """And no probe is needed: it would be the same question."""
    progress = PollProgress(make_plan([], (), b"", 24), traits := Traits())
    lost(progress)
    assert progress.next_ask() is None
    progress.finish()
    assert progress.failures == {0: "timeout"}
    assert not traits.answers


def test_a_sysuptime_of_another_type_was_said_all_the_same():
    """So a device that answers only something else after a silence is not one that never says it."""
    progress, traits = started(sensors=29)
    lost(progress, reply)
    progress.take(progress.next_ask(), SILENCE)
    ask = progress.next_ask()
    assert list(ask.columns) == [1]
    progress.take(ask, reply(ask.request.names))
    assert traits.mute == frozenset()


def test_a_device_that_can_not_be_reached_is_not_probed():
    progress, traits = started(sensors=29)
    progress.take(progress.next_ask(), UNREACHABLE)
    assert progress.next_ask() is None
    progress.finish()
    assert set(interpret(progress, 1, 0).missing.values()) == {"unreachable"}
    assert not traits.answers


@pytest.mark.parametrize("answer", [SILENCE, UNREACHABLE])
def test_what_was_read_before_a_device_went_away_stays_and_only_the_rest_is_missing(answer):
    progress, traits = started(sensors=29)
    traits.uptime = 17
    progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    while (ask := progress.next_ask()) is not None:
        progress.take(ask, answer)
    progress.finish()
    assert interpret(progress, 1, 0).missing == dict.fromkeys(range(23, 29), answer.reason)
    assert traits.answers


# What the silence was about


@pytest.mark.parametrize(("sensors", "sizes"), [(1, [1, 1]), (4, [2, 1, 2]), (5, [3, 3]), (22, [11, 1, 11])])
def test_a_request_that_is_lost_is_asked_again_in_halves_of_at_most_half_as_many(sensors, sizes):
    progress, _ = started(sensors)
    lost(progress)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    assert [len(names) for names in finish(progress)] == sizes


def test_a_request_of_one_that_is_lost_is_asked_once_more_and_then_never_among_others():
    progress, traits = started(sensors=1)
    traits.max_varbinds = 1
    lost(progress, uptime)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    again = progress.next_ask()
    assert asked_of(again) == ([SENSORS[0]], [1], ATTEMPTS)
    assert (traits.max_varbinds, traits.mute) == (1, frozenset())
    progress.take(again, SILENCE)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    assert finish(progress) == []
    assert interpret(progress, 1, 0).missing == {0: "timeout"}
    assert traits.mute == {SENSORS[0]}


def test_the_one_oid_during_which_a_device_went_silent_for_good_is_suspected_of_it():
    progress, traits = started(sensors=2)
    traits.max_varbinds, traits.uptime = 1, 17
    lost(progress, uptime, reply)
    progress.take(progress.next_ask(), SILENCE)
    assert progress.next_ask() is None
    assert traits.mute == traits.suspects == {SENSORS[1]}


@pytest.mark.parametrize("how", ["asked twice", "silent for good", "no sysUpTime"])
def test_what_a_device_was_never_heard_to_answer_is_known_beside_what_was_known_before(how):
    progress, traits = started(sensors=1)
    traits.max_varbinds, traits.mute = 1, frozenset({SENSORS[9]})
    traits.uptime = None if how == "no sysUpTime" else 17
    if how == "no sysUpTime":
        traits.max_varbinds = 24
        lost(progress)
        progress.take(progress.next_ask(), SILENCE)
        progress.take(ask := progress.next_ask(), reply(ask.request.names))
        assert traits.mute == {SYS_UP_TIME, SENSORS[9]}
        return
    lost(progress, uptime)
    if how == "asked twice":
        progress.take(probe := progress.next_ask(), uptime(probe.request.names))
        progress.take(progress.next_ask(), SILENCE)
        progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    else:
        progress.take(progress.next_ask(), SILENCE)
    assert traits.mute == {SENSORS[0], SENSORS[9]}


def test_of_several_none_is_given_up_for_that_but_all_are_suspected():
    """In the next poll they come behind the others, in halves."""
    progress, traits = started(sensors=29)
    traits.uptime = 17
    fell_silent = lost(progress, uptime)
    progress.take(progress.next_ask(), SILENCE)
    assert progress.next_ask() is None
    progress.finish()
    assert traits.mute == frozenset()
    assert traits.suspects == set(fell_silent.request.names)
    traits.suspects = frozenset(SENSORS[:5])
    asked = finish(next_poll(progress, traits))
    assert [len(names) for names in asked] == [25, 3, 2]
    assert asked[-2] + asked[-1] == SENSORS[:5]
    assert traits.suspects == frozenset()


def test_a_device_that_was_never_heard_has_no_suspects():
    progress, traits = started(sensors=29)
    while (ask := progress.next_ask()) is not None:
        progress.take(ask, SILENCE)
    assert traits.suspects == frozenset()


def test_of_a_device_that_answered_in_an_earlier_poll_all_that_it_was_silent_to_is_suspected():
    progress, traits = started(sensors=29)
    traits.most_answered, traits.uptime = 24, 17
    fell_silent = lost(progress)
    progress.take(progress.next_ask(), SILENCE)
    assert traits.suspects == set(fell_silent.request.names)


def test_so_it_is_of_one_that_was_only_heard_in_this_poll():
    """Though no request of it was ever answered in order."""
    progress, traits = started(sensors=29)
    traits.uptime = 17
    fell_silent = lost(progress, lambda names: reply(names[::-1]))
    assert traits.most_answered == 0
    progress.take(progress.next_ask(), SILENCE)
    assert traits.suspects == set(fell_silent.request.names)


def test_only_the_last_of_several_silences_is_the_one_that_did_not_end():
    progress, traits = started(sensors=29)
    traits.uptime = 17
    lost(progress)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    last = progress.next_ask()
    progress.take(last, SILENCE)
    progress.take(progress.next_ask(), SILENCE)
    assert traits.suspects == set(last.request.names)


def test_what_was_met_with_silence_is_suspected_if_time_is_over_before_it_was_answered():
    """What has been answered meanwhile is not."""
    progress, traits = started(sensors=4)
    lost(progress)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    progress.take(half := progress.next_ask(), uptime(half.request.names))
    progress.stop(Reason.DEADLINE)
    assert progress.next_ask() is None
    assert traits.suspects == set(SENSORS[1:4])
    assert interpret(progress, 1, 0).missing == dict.fromkeys((1, 2, 3), "deadline")


@pytest.mark.parametrize(
    ("suspects", "reason", "is_paced", "size", "mute"),
    [
        (SENSORS[:1], Reason.DEADLINE, False, 24, SENSORS[:1]),
        (SENSORS[:3], Reason.DEADLINE, False, 24, []),
        ([], Reason.DEADLINE, False, 1, []),
        (SENSORS[:1], Reason.TIMEOUT, False, 24, []),
        (SENSORS[:1], Reason.DEADLINE, True, 24, []),
    ],
    ids=["one", "two of three", "by itself, not suspected", "not for the time", "paced"],
)
def test_one_that_was_suspected_and_takes_up_the_time_of_a_poll_by_itself_is_never_answered(
    suspects, reason, is_paced, size, mute
):
    """So it is asked once in each poll from then on, and what is behind it has its time."""
    progress, traits = started(sensors=5, max_varbinds=size)
    traits.uptime, traits.suspects = 17, frozenset(suspects)
    traits.spacing = Spacing(2.0, is_certain=True) if is_paced else None
    while (ask := progress.next_ask()) is not None and SENSORS[0] not in ask.request.names:
        progress.take(ask, uptime(ask.request.names))
    progress.take(ask, SILENCE)
    progress.stop(reason)
    assert traits.mute == frozenset(mute)


def test_a_device_that_is_asked_at_its_pace_has_no_suspects_and_is_asked_for_the_whole_request_again():
    """What is lost only came too soon; only a second time it may be too large."""
    progress, traits = started(sensors=5)
    traits.spacing = Spacing(2.0, is_certain=True)
    ask = lost(progress)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    assert traits.max_varbinds == 24
    again = progress.next_ask()
    assert asked_of(again) == asked_of(ask)
    progress.take(again, SILENCE)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    assert len(progress.next_ask().columns) == 3
    progress.stop(Reason.DEADLINE)
    assert traits.suspects == frozenset()


@pytest.mark.parametrize("how", ["answered in part", "cut", "blamed", "spoilt"])
def test_all_parts_of_a_request_that_is_asked_again_are_asked_again(how):
    """Each is halved if it is lost once more, and not asked as a whole for a third time."""
    progress, traits = started(sensors=5)
    traits.spacing = Spacing(2.0, is_certain=True)
    lost(progress)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    again = progress.next_ask()
    if how == "answered in part":
        progress.take(again, reply(again.request.names[:2]))
    elif how == "cut":
        progress.take(again, refuse((), ErrorStatus.tooBig))
    elif how == "blamed":
        progress.take(again, refuse(again.request.names, ErrorStatus.genErr, 1))
        progress.take(one := progress.next_ask(), refuse(one.request.names, ErrorStatus.genErr, 1))
    else:
        progress.take(again, SILENCE)
        traits.refused_names = frozenset(SENSORS[:1])
        progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    part = progress.next_ask()
    assert len(part.columns) > 1
    progress.take(part, SILENCE)
    progress.take(probe := progress.next_ask(), uptime(probe.request.names))
    parts = []
    while (ask := progress.next_ask()) is not None:
        parts.append(set(ask.columns))
    assert set(part.columns) not in parts


def test_a_suspect_that_is_silent_by_itself_is_given_up_at_once():
    progress, traits = started(sensors=3)
    traits.suspects = frozenset(SENSORS[:2])
    asked = finish(progress, lambda names: SILENCE if SENSORS[1] in names else uptime(names))
    assert asked == [[SYS_UP_TIME, SENSORS[2]], [SENSORS[0]], [SENSORS[1]], [SYS_UP_TIME]]
    assert interpret(progress, 1, 0).missing == {1: "timeout"}
    assert traits.mute == {SENSORS[1]}


def test_an_oid_that_a_device_never_answers_costs_no_probe():
    """A probe would not show anything: it is silent to that one."""
    progress, traits = started(sensors=3)
    traits.mute = frozenset({SENSORS[0], SENSORS[2]})
    asked = finish(progress, lambda names: SILENCE if names[0] in traits.mute else uptime(names))
    assert asked == [[SYS_UP_TIME, SENSORS[1]], [SENSORS[0]], [SENSORS[2]]]
    assert interpret(progress, 1, 0).missing == {0: "timeout", 2: "timeout"}


def test_a_device_that_is_gone_before_such_an_oid_is_asked_is_gone():
    progress, traits = started(sensors=3)
    traits.mute = frozenset(SENSORS[:2])
    progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    progress.take(progress.next_ask(), UNREACHABLE)
    assert progress.next_ask() is None
    assert interpret(progress, 1, 0).missing == {0: "unreachable", 1: "unreachable"}


def test_a_device_of_which_nothing_is_heard_ends_the_poll_at_the_first_of_such_oids():
    progress, traits = started(sensors=1)
    traits.mute = frozenset({SYS_UP_TIME, SENSORS[0]})
    assert asked_of(lost(progress)) == ([SYS_UP_TIME], [0], 1)
    assert progress.next_ask() is None


# The end of a poll


def test_no_name_is_asked_once_more_after_a_poll_was_stopped():
    plan = make_plan((), [1], bytes([WIDE, WIDE]), 24, watch=Watch(bytes([BY_NAME]), 10))
    for is_stopped in (True, False):
        progress = PollProgress(plan, Traits(widths=bytes([WIDE, WIDE])))
        progress.take(
            ask := progress.next_ask(), reply(ask.request.names[:1:-1], [b"x", *range(5)], tags=b"\4BBBBB", received_us=5)
        )
        progress.take(ask := progress.next_ask(), reply(ask.request.names, received_us=6))
        if is_stopped:
            progress.stop(Reason.DEADLINE)
        ask = progress.next_ask()
        assert (ask if is_stopped else list(ask.columns)) == (None if is_stopped else list(plan.names))


@pytest.mark.parametrize("state", ["begun", "narrow", "by GETNEXT", "probe"])
def test_nothing_is_asked_once_a_poll_was_stopped(state):
    progress, _ = started(sensors=2, interfaces=[1])
    ask = progress.next_ask()
    if state == "narrow":
        progress.take(ask, absent(ask.request.names, SYS_UP_TIME, *SENSORS))
    elif state == "by GETNEXT":
        progress.take(ask, absent(ask.request.names, SYS_UP_TIME, SENSORS[0]))
        while not ask.by_next:
            ask = progress.next_ask()
            progress.take(ask, absent(ask.request.names)) if not ask.by_next else None
        progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr, 1))
    elif state == "probe":
        progress.take(ask, SILENCE)
        progress.take(progress.next_ask(), UNREACHABLE)
    progress.stop(Reason.DEADLINE)
    assert progress.next_ask() is None
    assert progress.next_together() == []


def test_what_failed_for_a_reason_of_its_own_keeps_it_when_time_is_over():
    progress, _ = started(sensors=2)
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, UNREADABLE, UNREADABLE])
    progress.take(ask, reply(ask.request.names, [1, None, None], tags=tags))
    progress.stop(Reason.DEADLINE)
    assert interpret(progress, 1, 0).missing == {0: "unreadable", 1: "unreadable"}


def at_pace(resume=None):
    return Traits(max_varbinds=6, uptime=1, spacing=Spacing(2.0, is_certain=True), resume=resume)


PLAN = make_plan(SENSORS[:23], (), b"", 6)
"""Four requests of six."""


def test_a_poll_begins_with_what_there_was_no_time_for_in_the_one_before():
    """Behind the first request, which has the sysUpTime; and again from the start once all was read."""
    traits = at_pace()
    first, second, third, fourth = ([PLAN.columns[column] for column in ask.columns] for ask in PLAN.asks)
    progress = PollProgress(PLAN, traits)
    for _ in range(2):
        progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    progress.stop(Reason.DEADLINE)
    assert traits.resume == third[0]
    progress = PollProgress(PLAN, traits)
    assert [list(progress.next_ask().request.names) for _ in range(4)] == [first, third, fourth, second]
    progress = PollProgress(PLAN, traits)
    for _ in range(3):
        progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    progress.stop(Reason.DEADLINE)
    assert traits.resume == second[0], "it is next in that poll's order"


@pytest.mark.parametrize(
    "resume",
    [None, SYS_UP_TIME, SENSORS[2], SENSORS[5], SENSORS[28]],
    ids=["unknown", "sysUpTime", "in the first request", "the second request", "not in the plan"],
)
def test_a_poll_whose_start_was_read_or_is_not_known_begins_at_the_start(resume):
    """Also if the configuration lacks that OID now."""
    progress = PollProgress(PLAN, at_pace(resume))
    assert list(progress.next_ask().columns) == list(PLAN.asks[0].columns)
    assert list(progress.next_ask().columns) == list(PLAN.asks[1].columns)


def test_a_poll_that_ended_in_time_after_all_has_no_such_start():
    traits = at_pace(SENSORS[12])
    progress = PollProgress(PLAN, traits)
    for _ in PLAN.asks:
        progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    progress.stop(Reason.DEADLINE)
    assert traits.resume is None


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.UNREACHABLE])
def test_only_a_lack_of_time_changes_where_the_next_poll_begins(reason):
    traits = at_pace(SENSORS[12])
    PollProgress(PLAN, traits).stop(reason)
    assert traits.resume == SENSORS[12]


def test_a_poll_without_a_loss_that_ended_in_time_begins_at_the_start_the_next_time():
    progress, traits = started()
    traits.resume = SENSORS[12]
    finish(progress)
    assert traits.resume is None


@pytest.mark.parametrize(("riding", "first"), [(True, 2), (False, 1)])
def test_names_that_prove_what_was_asked_before_them_stay_behind_it_if_several_requests_are_under_way(riding, first):
    """If each rides with its counters, the requests may be in any order."""
    ports, watch = range(1, 31), Watch(bytes([BY_NAME] * 30), 12, riding=riding)
    plan = make_plan([], ports, bytes([WIDE] * 60), 24, watch=watch)
    assert any(ask.proves for ask in plan.asks) is not riding
    resume = plan.columns[plan.asks[2].columns[0]]
    progress = PollProgress(plan, Traits(clean_polls=CLEAN_POLLS, srtt_s=0.1, resume=resume, standings=bytes([BY_NAME] * 30)))
    assert [ask.columns for ask in progress.next_together()][1] == plan.asks[first].columns


@pytest.mark.parametrize(
    ("before", "lost", "after"),
    [(0, (), 1), (CLEAN_POLLS, (), CLEAN_POLLS), (-8, (), -7), (1, ("timeout",), 0), (-8, ("timeout",), -8)],
)
def test_a_poll_that_lost_nothing_and_was_only_short_of_time_counts_up_to_a_point(before, lost, after):
    traits = at_pace()
    traits.spacing, traits.clean_polls = None, before
    progress = PollProgress(PLAN, traits)
    progress.take(ask := progress.next_ask(), uptime(ask.request.names))
    progress.failures |= dict.fromkeys([7][: len(lost)], Reason.TIMEOUT)
    progress.stop(Reason.DEADLINE)
    progress.finish()
    assert traits.clean_polls == after


@pytest.mark.parametrize(
    ("before", "after"), [(0, 1), (CLEAN_POLLS, CLEAN_POLLS + 1), (-8, -7)], ids=["new", "known", "stumbled"]
)
def test_a_poll_that_lost_nothing_counts(before, after):
    progress, traits = started()
    traits.clean_polls = before
    finish(progress)
    assert traits.clean_polls == after


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (CLEAN_POLLS, 0), (-8, -8)])
@pytest.mark.parametrize("loss", ["an OID that is never answered", "a larger request", "all"])
def test_a_poll_with_a_loss_begins_the_count_again(loss, before, after):
    """One that had stumbled waits as long as before."""
    progress, traits = started()
    traits.clean_polls, traits.uptime = before, 1
    if loss == "an OID that is never answered":
        traits.mute = frozenset({SENSORS[0]})
        finish(progress, lambda names: SILENCE if SENSORS[0] in names else uptime(names))
    elif loss == "a larger request":
        finish(progress, lambda names: SILENCE if len(names) > 3 else uptime(names))
        assert interpret(progress, 1, 0).missing == {}
    else:
        finish(progress, lambda _names: SILENCE)
    assert traits.clean_polls == after


@pytest.mark.parametrize("error", [ErrorStatus.genErr, ErrorStatus.noSuchName])
def test_a_value_that_a_device_refuses_is_not_a_loss(error):
    progress, traits = started()
    finish(progress, lambda names: refuse(names, error, 1 + names.index(SENSORS[1])) if SENSORS[1] in names else uptime(names))
    assert traits.clean_polls == 1
