"""Several requests of a poll under way at once: which, and what their answers show of the device."""

from dataclasses import replace

import pytest

from support.steps import SENSORS, SILENCE, absent, finish, held, refuse, reply
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import SYS_UP_TIME, Ask, Watch, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.spacing import Spacing
from towerops_agent.polling.course.traits import (
    BY_NAME,
    CLEAN_POLLS,
    SERIAL_S,
    STUMBLED_FIRST,
    TOGETHER,
    UNKNOWN,
    WIDE,
    Traits,
)
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, Request


def known(size=5, sensors=29, **traits):
    """A poll of a device that is known, in small requests."""
    known = Traits(**{"clean_polls": CLEAN_POLLS, "srtt_s": 0.01} | traits)
    return PollProgress(make_plan(SENSORS[:sensors], (), b"", size), known), known


def answer(progress, asks, *answers):
    """Take the answers to `asks`: these, and honest ones to the rest."""
    honest = [reply(ask.request.names) for ask in asks[len(answers) :]]
    progress.take_together(asks, [*answers, *honest])


def test_as_many_as_may_be_are_under_way_and_then_the_rest():
    progress, traits = known()
    first = progress.next_together()
    assert [list(ask.columns) for ask in first] == [list(range(n, n + 5)) for n in (0, 5, 10, 15)]
    answer(progress, first)
    rest = progress.next_together()
    assert [list(ask.columns) for ask in rest] == [list(range(n, n + 5)) for n in (20, 25)]
    answer(progress, rest)
    assert progress.next_together() == []
    assert finish(progress) == []
    assert interpret(progress, 1, 0).poll.values == tuple(map(held, SENSORS))
    assert (progress.heard, traits.answers, traits.clean_polls) == (True, True, CLEAN_POLLS + 1)
    assert traits.most_answered == 5
    assert set(progress.received_us) == {5}


def test_the_most_that_was_answered_at_once_is_known_whichever_request_it_was():
    progress, traits = known(7)
    for _ in range(2):
        answer(progress, progress.next_together())
    assert traits.most_answered == 7


@pytest.mark.parametrize(
    "traits",
    [
        {"clean_polls": CLEAN_POLLS - 1},
        {"srtt_s": None},
        {"refused_at": 40},
        {"suspect_at": 40},
        {"max_varbinds": 23},
        {"spacing": Spacing(1.0)},
        {"next_only": True},
        {"index_lies": True},
        {"mute": frozenset({SENSORS[0]})},
        {"refused_names": frozenset({SENSORS[0]})},
        {"suspects": frozenset({SENSORS[0]})},
        {"by_next": frozenset({SENSORS[0]})},
    ],
)
def test_a_device_of_which_anything_is_odd_is_asked_one_by_one(traits):
    progress, _ = known(1, **traits)
    assert progress.next_together() == []


def test_a_request_that_is_larger_than_the_device_accepts_now_is_cut_first():
    progress, _ = known(29, max_varbinds=24)
    assert progress.next_together() == []
    assert len(progress.next_ask().columns) == 24


def test_a_device_that_was_silent_is_probed_before_several_requests_are_under_way():
    progress, _ = known()
    progress.take(progress.next_ask(), SILENCE)
    assert progress.next_together() == []
    assert list(progress.next_ask().request.names) == [SYS_UP_TIME]


def test_after_a_request_that_was_lost_the_rest_of_the_poll_is_asked_one_by_one():
    """Also if it has turned out that the silence was not a question of size."""
    progress, traits = known()
    progress.take(progress.next_ask(), SILENCE)
    for _ in range(2):
        progress.take(ask := progress.next_ask(), reply(ask.request.names))
    traits.restore_size()
    assert traits.together == TOGETHER
    assert progress.next_together() == []


def test_after_a_refusal_too():
    progress, traits = known()
    ask = progress.next_ask()
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr, 2))
    for _ in range(2):
        progress.take(ask := progress.next_ask(), reply(ask.request.names))
    traits.index_lies = False
    assert progress.next_together() == []
    assert list(progress.next_ask().columns) == list(range(5, 10))


def test_while_it_is_in_doubt_whether_the_device_gives_more_than_the_first_of_a_request_it_is_asked_one_by_one():
    progress, traits = known()
    ask = progress.next_ask()
    progress.take(ask, absent(ask.request.names, SYS_UP_TIME))
    progress.take(progress.next_ask(), SILENCE)
    progress.take(probe := progress.next_ask(), reply(probe.request.names))
    assert traits.together == TOGETHER
    assert progress.next_together() == []


def test_what_is_asked_once_more_is_under_way_by_itself():
    progress, _ = known(1, sensors=5)
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    progress.take(progress.next_ask(), SILENCE)
    progress.take(probe := progress.next_ask(), reply(probe.request.names))
    asks = progress.next_together()
    assert [list(ask.columns) for ask in asks] == [[2], [3], [4], [5]]
    answer(progress, asks)
    assert progress.next_together() == []
    assert list(progress.next_ask().columns) == [1]


def test_a_name_is_under_way_behind_the_counters_that_it_proves():
    """In a later turn, or in their request: else the device may have answered for the name first."""
    names = Watch(bytes([BY_NAME]) * 40, 10)
    traits = Traits(widths=bytes([WIDE]) * 80, clean_polls=CLEAN_POLLS, srtt_s=0.01)
    plan = make_plan((), range(1, 41), traits.widths, 12, watch=names)
    progress = PollProgress(plan, traits)
    turn_of, request_of, turn = {}, {}, 0
    while asks := progress.next_together():
        for n, ask in enumerate(asks):
            turn_of |= dict.fromkeys(ask.columns, turn)
            request_of |= dict.fromkeys(ask.columns, (turn, n))
        answer(progress, asks)
        turn += 1
    behind = 0
    for i, name in enumerate(plan.names):
        for slot in plan.interface_slots(i):
            column = plan.slots[slot]
            assert turn_of[column] < turn_of[name] or request_of[column] == request_of[name]
            behind += turn_of[column] < turn_of[name]
    assert behind


# Answers


def test_what_was_not_answered_is_asked_first_in_the_order_that_it_had():
    progress, traits = known()
    asks = progress.next_together()
    answer(progress, asks, SILENCE, reply(asks[1].request.names), SILENCE)
    assert [progress.next_ask() for _ in range(2)] == [asks[0], asks[2]]
    assert list(progress.next_ask().columns) == list(range(20, 25))
    assert traits.clean_polls == -STUMBLED_FIRST
    finish(progress)
    assert traits.clean_polls == -STUMBLED_FIRST, "that poll was not clean"


@pytest.mark.parametrize(
    "odd",
    [
        lambda names: refuse(names, ErrorStatus.genErr, 1),
        lambda names: reply(names, status=ErrorStatus.tooBig),
        lambda names: reply(names[::-1]),
        lambda names: reply(names[:-1]),
        lambda names: reply(names, tags=bytes([ber.GAUGE32] * (len(names) - 1) + [UNREADABLE])),
        lambda names: absent(names, names[0]),
    ],
    ids=["an error", "tooBig", "another order", "fewer", "an unreadable one", "the first only"],
)
def test_what_is_odd_about_one_of_several_answers_is_found_out_by_asking_for_it_by_itself(odd):
    """Nothing of that answer counts; all that comes now is asked one at a time."""
    progress, traits = known()
    asks = progress.next_together()
    answer(progress, asks, reply(asks[0].request.names), odd(asks[1].request.names))
    assert progress.next_together() == []
    assert progress.next_ask() is asks[1]
    assert not any(progress.tags[column] for column in asks[1].columns)
    assert traits.clean_polls == -STUMBLED_FIRST
    assert traits.most_answered == 5


def test_an_odd_answer_s_round_trip_counts_as_that_of_an_answer():
    progress, traits = known(sensors=4, srtt_s=0.08)
    asks = progress.next_together()
    answer(progress, asks, replace(refuse(asks[0].request.names, ErrorStatus.genErr, 1), rtt_s=0.16))
    assert progress.heard
    assert traits.srtt_s == pytest.approx(0.08 + 0.08 / 8)


def test_the_last_of_several_round_trips_is_the_one_that_is_waited_for():
    progress, traits = known(srtt_s=0.08)
    asks = progress.next_together()
    answer(
        progress,
        asks,
        *(replace(reply(ask.request.names), rtt_s=rtt_s) for ask, rtt_s in zip(asks, (0.1, 0.16, 0.1, 0.1), strict=True)),
    )
    assert traits.srtt_s == pytest.approx(0.08 + 0.08 / 8)


@pytest.mark.parametrize("lacks", ["all of a request", "one by itself"])
def test_a_device_that_lacks_all_that_one_request_asks_has_several_under_way_all_the_same(lacks):
    """It has not left out anything: only one that gives the first OID of several may take one at a time."""
    progress, traits = known(5, sensors=10)
    asks = progress.next_together()
    lacking = asks[1] if lacks == "all of a request" else asks[2]
    assert len(lacking.columns) == (5 if lacks == "all of a request" else 1)
    answer(progress, asks, *(absent(ask.request.names, *(() if ask is lacking else ask.request.names)) for ask in asks))
    finish(progress)
    missing = [column - 1 for column in lacking.columns]
    assert interpret(progress, 1, 0).missing == dict.fromkeys(missing, "noSuchInstance")
    assert (traits.stumbles, traits.clean_polls) == (0, CLEAN_POLLS + 1)


@pytest.mark.parametrize(
    ("first_s", "last_s", "serial"),
    [
        (0.01, SERIAL_S, False),
        (0.01, SERIAL_S + 0.01, True),
        (0.2, 0.39, False),
        (0.2, 0.41, True),
        (0.13, SERIAL_S, False),
    ],
)
def test_a_device_answers_one_by_one_if_its_last_answer_comes_late_and_much_later_than_its_first(first_s, last_s, serial):
    progress, traits = known()
    asks = progress.next_together()
    answer(
        progress,
        asks,
        *(replace(reply(ask.request.names), rtt_s=at) for ask, at in zip(asks, (last_s, *[first_s] * 3), strict=True)),
    )
    assert (progress.next_together() == []) is serial
    finish(progress)
    assert traits.clean_polls == (0 if serial else CLEAN_POLLS + 1)
    assert traits.stumbles == 0


def in_requests_of(*sizes):
    """A poll of a device that is known, in requests of these sizes."""
    progress, traits = known(sensors=sum(sizes) - 1)
    columns, asks, first = progress.plan.columns, [], 0
    for size in sizes:
        where = slice(first, first + size)
        asks.append(Ask(Request(columns[where]), range(first, first + size), runs=(where,)))
        first += size
    return PollProgress(replace(progress.plan, asks=tuple(asks)), traits), traits


@pytest.mark.parametrize(("size", "one_at_a_time"), [(1, True), (2, False), (3, False)])
def test_a_device_that_answers_several_at_once_is_not_one_that_takes_one_oid_a_request(size, one_at_a_time):
    """Though it refuses another request, and its parts, by an error that names no varbind."""
    progress, traits = in_requests_of(*[size] * 4, 3)
    answer(progress, progress.next_together())
    ask = progress.next_ask()
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr))
    finish(progress, lambda names: reply(names) if len(names) == 1 else refuse(names, ErrorStatus.genErr))
    assert traits.refused_at == (2 if one_at_a_time else None)


def test_answers_that_are_not_as_many_as_the_requests_are_a_bug_and_none_is_taken_for_another():
    progress, _ = known()
    asks = progress.next_together()
    with pytest.raises(ValueError, match="shorter"):
        progress.take_together(asks, [reply(asks[0].request.names)])


def with_names(widths=(WIDE, WIDE)):
    """A poll of twelve interfaces with their names, in small requests."""
    plan = make_plan((), range(1, 13), bytes(widths) * 12, 12, watch=Watch(bytes((BY_NAME,)) * 12, 10))
    return PollProgress(plan, Traits(clean_polls=CLEAN_POLLS, srtt_s=0.01, widths=bytes(widths) * 12))


def test_what_is_answered_whole_in_the_plan_s_order_is_as_planned_whatever_the_clock_does():
    """A clock that is set back meanwhile makes no name older than what it proves."""
    progress = with_names()
    received_us = 1000
    while asks := progress.next_together():
        assert not progress.is_as_planned
        progress.take_together(asks, [reply(ask.request.names, received_us=received_us) for ask in asks])
        received_us -= 100
    assert received_us < 900
    assert progress.is_as_planned


def test_what_had_to_be_asked_again_by_itself_is_not_as_planned():
    progress = with_names()
    answer(progress, progress.next_together(), SILENCE)
    while (ask := progress.next_ask()) is not None:
        progress.take(ask, reply(ask.request.names))
    assert all(progress.tags)
    assert not progress.is_as_planned


def test_counters_that_stand_in_for_others_behind_the_names_are_not_as_planned():
    """The wide ones stand at 0: the narrow ones are asked last, and the names have to be asked again for them."""
    progress = with_names((UNKNOWN, UNKNOWN))
    while asks := progress.next_together():
        progress.take_together(asks, [reply(ask.request.names, [0] * len(ask.columns)) for ask in asks])
    assert progress.is_as_planned
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    assert not progress.is_as_planned
