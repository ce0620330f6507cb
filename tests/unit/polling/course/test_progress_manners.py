"""What a poll finds out of a device's manners: what it refuses, denies, leaves out or repeats, and what that changes later."""

from dataclasses import replace

import pytest

from support.steps import SENSORS, SILENCE, absent, finish, held, next_poll, refuse, reply, started
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import IF_TABLE_LAST_CHANGE, NARROW_OCTETS, SYS_UP_TIME, WIDE_OCTETS, Watch, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.stepping import MOST_A_POLL
from towerops_agent.polling.course.traits import BY_NAME, GROWTH, NARROW, STARTING_VARBINDS, UNKNOWN, WIDE, Traits
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child
from towerops_agent.snmp.wire.exchange import NoReply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus

# sysUpTime


@pytest.mark.parametrize(
    ("tag", "value", "uptime"),
    [(ber.TIME_TICKS, 4711, 4711), (ber.TIME_TICKS, 0, 0), (ber.INTEGER, 4711, None), (ber.TIME_TICKS, b"x", None)],
)
def test_a_sysuptime_is_known_if_it_is_one(tag, value, uptime):
    progress, _ = started(sensors=1)
    assert progress.uptime is None
    ask = progress.next_ask()
    progress.take(ask, reply(ask.request.names, [value, 7], tags=bytes([tag, ber.GAUGE32])))
    assert progress.uptime == uptime


@pytest.mark.parametrize(
    "answer",
    [lambda names: refuse(names, ErrorStatus.genErr, 1) if SYS_UP_TIME in names else reply(names), lambda _names: SILENCE],
    ids=["refused", "silent"],
)
def test_a_sysuptime_that_was_not_sent_is_not_known(answer):
    progress, _ = started(sensors=1)
    finish(progress, answer)
    assert progress.uptime is None


# Errors


@pytest.mark.parametrize("status", [ErrorStatus.authorizationError, ErrorStatus.noAccess])
@pytest.mark.parametrize("index", [0, -1, 7])
def test_an_error_about_who_asks_is_the_reason_of_all_and_none_is_asked_again(status, index):
    progress, _ = started()
    assert len(finish(progress, lambda names: refuse(names, status, index))) == 1
    assert interpret(progress, 1, 0).missing == dict.fromkeys(range(5), status.name)


@pytest.mark.parametrize("index", [1, 6])
def test_such_an_error_that_names_a_varbind_is_only_that_one_s(index):
    """The first and the last one, too."""
    progress, _ = started()
    bad = progress.plan.columns[index - 1]
    asked = finish(
        progress, lambda names: refuse(names, ErrorStatus.noAccess, 1 + names.index(bad)) if bad in names else reply(names)
    )
    assert asked[1] == [bad]
    assert len(asked) == 3
    assert progress.failures == {index - 1: "noAccess"}


@pytest.mark.parametrize("sensors", [4, 5])
def test_after_an_error_that_names_no_varbind_the_halves_are_asked_in_order(sensors):
    progress, traits = started(sensors)
    ask = progress.next_ask()
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr))
    assert [list(progress.next_ask().columns) for _ in range(2)] == [[0, 1, 2], [3, 4] if sensors == 4 else [3, 4, 5]]
    assert traits.refused_at is None


def test_after_too_big_the_parts_are_asked_before_the_rest_and_in_order():
    progress, traits = started(sensors=29)
    ask = progress.next_ask()
    progress.take(ask, refuse((), ErrorStatus.tooBig))
    assert [list(progress.next_ask().columns) for _ in range(3)] == [list(range(12)), list(range(12, 24)), list(range(24, 30))]
    assert traits.refused_at == 24


def test_one_varbind_that_is_too_big_is_missing_for_that():
    progress, traits = started(sensors=1)
    traits.max_varbinds = 1
    finish(progress, lambda names: refuse((), ErrorStatus.tooBig) if names == (SENSORS[0],) else reply(names))
    assert interpret(progress, 1, 0).missing == {0: "tooBig"}
    assert traits.refused_at is None


def test_a_device_whose_error_index_was_wrong_is_asked_in_halves_from_then_on():
    progress, traits = started(sensors=4)
    ask = progress.next_ask()
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr, 2))
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    assert (list(ask.columns), traits.index_lies) == ([1], True)
    ask = progress.next_ask()
    assert list(ask.columns) == [0, 2, 3, 4]
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr, 1))
    assert [list(progress.next_ask().columns) for _ in range(2)] == [[0, 2], [3, 4]]


def test_an_error_index_is_right_if_the_device_lacks_what_it_names():
    progress, traits = started(sensors=4)
    ask = progress.next_ask()
    progress.take(ask, refuse(ask.request.names, ErrorStatus.genErr, 2))
    progress.take(ask := progress.next_ask(), absent(ask.request.names))
    assert not traits.index_lies


def test_what_is_refused_by_itself_is_remembered_unless_it_is_all_there_is():
    progress, traits = started(sensors=1)
    finish(progress, lambda names: refuse(names, ErrorStatus.genErr, 1) if SYS_UP_TIME in names else reply(names))
    assert traits.refused_names == {SYS_UP_TIME}
    only = PollProgress(make_plan([], (), b"", 24), traits := Traits())
    finish(only, lambda names: refuse(names, ErrorStatus.genErr, 1))
    assert traits.refused_names == frozenset()


@pytest.mark.parametrize("status", [ErrorStatus.genErr, ErrorStatus.tooBig])
def test_a_device_that_refuses_one_of_two_oids_is_not_one_that_takes_one_at_a_time(status):
    """One value by itself shows nothing: its neighbour may be what spoils the request."""
    progress, traits = started(sensors=1)
    finish(progress, lambda names: refuse(names, ErrorStatus.genErr) if SENSORS[0] in names else reply(names))
    assert progress.failures == {1: "genErr"}
    assert (traits.refused_at, traits.max_varbinds) == (None, STARTING_VARBINDS + GROWTH)


def test_a_device_that_gives_two_values_by_themselves_and_never_several_takes_one_at_a_time():
    progress, traits = started(sensors=2)
    finish(progress, lambda names: reply(names) if len(names) == 1 else refuse(names, ErrorStatus.genErr))
    assert (traits.refused_at, traits.max_varbinds) == (2, 1)


# OIDs that spoil a request


def test_oids_that_are_known_to_spoil_a_request_come_behind_all_others_each_kind_in_its_way():
    """By GETNEXT those that are given so, together; one by one what is refused or never answered; suspects in halves."""
    progress, traits = started(sensors=12)
    traits.by_next = frozenset(SENSORS[1:3])
    traits.refused_names = frozenset(SENSORS[3:5])
    traits.mute = frozenset(SENSORS[5:7])
    traits.suspects = frozenset(SENSORS[7:10])
    asks = []
    while (ask := progress.next_ask()) is not None and len(asks) < 8:
        asks.append(ask)
    assert [(list(ask.columns), ask.attempts, ask.by_next) for ask in asks] == [
        ([0, 1, 11, 12], 3, False),
        ([2, 3], 3, True),
        ([4], 3, False),
        ([5], 3, False),
        ([6], 1, False),
        ([7], 1, False),
        ([8, 9], 3, False),
        ([10], 3, False),
    ]


def test_an_oid_of_several_such_kinds_is_asked_once():
    progress, traits = started(sensors=3)
    traits.mute = traits.by_next = frozenset(SENSORS[:1])
    traits.refused_names = traits.suspects = frozenset(SENSORS[:2])
    asks = [progress.next_ask() for _ in range(3)]
    assert [(list(ask.columns), ask.attempts, ask.by_next) for ask in asks] == [
        ([0, 3], 3, False),
        ([1], 1, True),
        ([2], 3, False),
    ]
    assert progress.next_ask() is None


def test_requests_of_nothing_but_such_oids_are_asked_in_their_turn():
    progress, traits = started(sensors=29)
    traits.refused_names = frozenset(SENSORS[23:29])
    asked = finish(progress)
    assert [len(names) for names in asked] == [24, 1, 1, 1, 1, 1, 1]


def test_what_is_answered_is_no_longer_put_apart():
    progress, traits = started(sensors=4)
    traits.mute, traits.refused_names = frozenset(SENSORS[:1]), frozenset(SENSORS[1:2])
    traits.suspects = frozenset(SENSORS[2:3])
    finish(progress)
    assert (traits.mute, traits.refused_names, traits.suspects) == (frozenset(), frozenset(), frozenset())
    assert [len(names) for names in finish(next_poll(progress, traits))] == [5]


def test_what_is_refused_once_more_stays_apart():
    progress, traits = started(sensors=4)
    traits.refused_names = frozenset(SENSORS[:1])
    finish(progress, lambda names: refuse(names, ErrorStatus.genErr, 1) if names == (SENSORS[0],) else reply(names))
    assert traits.refused_names == {SENSORS[0]}
    assert interpret(progress, 1, 0).missing == {0: "genErr"}


# Absence


def first_only(names):
    return absent(names, names[0])


def test_of_a_device_that_gives_the_first_oid_of_a_request_only_the_second_is_asked_by_itself():
    """If it is there all are asked one by one; what was said of the others does not count."""
    progress, traits = started(sensors=4)
    progress.take(ask := progress.next_ask(), first_only(ask.request.names))
    ask = progress.next_ask()
    assert list(ask.columns) == [1]
    progress.take(ask, reply(ask.request.names))
    assert [progress.tags[column] for column in range(5)] == [ber.GAUGE32, ber.GAUGE32, 0, 0, 0]
    assert not traits.absence_holds
    assert finish(progress) == [[name] for name in SENSORS[1:4]]
    assert interpret(progress, 1, 0).missing == {}
    assert (traits.refused_at, traits.max_varbinds, traits.clean_polls) == (2, 1, 0)


def test_if_that_one_is_absent_by_itself_the_device_lacks_what_it_says():
    """And is believed from then on."""
    progress, traits = started(sensors=29)
    progress.take(ask := progress.next_ask(), first_only(ask.request.names))
    progress.take(ask := progress.next_ask(), absent(ask.request.names))
    assert list(ask.columns) == [1]
    assert traits.absence_holds
    assert finish(progress, first_only) == [SENSORS[23:]]
    assert traits.refused_at is None


def test_one_answer_in_doubt_is_enough():
    progress, _ = started(sensors=29)
    traits = Traits(max_varbinds=10)
    progress = PollProgress(progress.plan, traits)
    progress.take(ask := progress.next_ask(), first_only(ask.request.names))
    progress.take(ask := progress.next_ask(), refuse(ask.request.names, ErrorStatus.genErr, 1))
    assert list(ask.columns) == [1]
    progress.take(ask := progress.next_ask(), first_only(ask.request.names))
    assert list(ask.columns) == list(range(10, 20))
    assert list(progress.next_ask().columns) == [11], "what was refused shows nothing, so another one is asked"


# A device that gives its sysUpTime for each OID


def ticks(names, values):
    return reply(names, values, tags=bytes([ber.TIME_TICKS]) * len(names))


@pytest.mark.parametrize(
    ("sensors", "values", "echoes"), [(2, [7, 7, 7], True), (2, [7, 7, 8], False), (1, [7, 7], True), (2, [8, 7, 7], False)]
)
def test_a_device_echoes_its_sysuptime_if_all_of_several_values_are_it(sensors, values, echoes):
    progress, traits = started(sensors)
    ask = progress.next_ask()
    progress.take(ask, ticks(ask.request.names, values))
    asked = finish(progress)
    first = int(sensors == 1)  # the sysUpTime itself may be right
    assert asked == ([[name] for name in progress.plan.columns[first:]] if echoes else [])
    assert traits.max_varbinds == (1 if echoes else STARTING_VARBINDS + GROWTH)
    assert interpret(progress, 1, 0).missing == {}


def test_one_value_that_is_the_sysuptime_by_itself_too_is_that_by_right():
    """As the hrSystemUptime of RouterOS: it is read in each poll, and the device is asked for as much as any other."""
    progress, traits = started(sensors=1)
    for uptime in range(1, 6):
        asked = finish(progress, lambda names, uptime=uptime: ticks(names, [uptime] * len(names)))
        assert asked == [[*progress.plan.columns], [SENSORS[0]]]
        assert interpret(progress, 1, 0).poll.values == (uptime,)
        assert (traits.refused_at, traits.max_varbinds >= STARTING_VARBINDS, traits.stumbles) == (None, True, 0)
        progress = next_poll(progress, traits)


def test_a_sysuptime_that_is_the_time_of_the_interfaces_last_change_too_shows_nothing():
    plan = make_plan([IF_TABLE_LAST_CHANGE], (), b"", STARTING_VARBINDS)
    progress = PollProgress(plan, traits := Traits())
    assert finish(progress, lambda names: ticks(names, [7] * len(names))) == [[SYS_UP_TIME, IF_TABLE_LAST_CHANGE]]
    assert traits.refused_at is None


def test_equal_times_without_the_sysuptime_among_them_are_values():
    progress, _ = started(sensors=29)
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    progress.take(ask := progress.next_ask(), ticks(ask.request.names, [7] * 6))
    assert finish(progress) == []
    assert interpret(progress, 1, 0).poll.values[23:] == (7,) * 6


def test_equal_numbers_are_not_times():
    progress, _ = started(sensors=5)
    progress.take(ask := progress.next_ask(), reply(ask.request.names, [7] * 6))
    assert finish(progress) == []


# Answers in another order, or of another length


def test_none_of_several_names_costs_a_request_of_halves_and_none_of_one_its_value():
    progress, _ = started(sensors=4)
    foreign = child(SENSORS[0], 9)
    progress.take(progress.next_ask(), reply([foreign] * 5))
    assert [list(progress.next_ask().columns) for _ in range(2)] == [[0, 1, 2], [3, 4]]
    only, _ = started(sensors=1)
    finish(only, lambda names: reply([foreign] * len(names)))
    assert only.failures == {0: "omitted", 1: "omitted"}


def test_what_an_answer_left_out_is_asked_first():
    progress, _ = started(sensors=29)
    progress.take(ask := progress.next_ask(), reply(ask.request.names[:-2]))
    assert list(progress.next_ask().columns) == [22, 23]
    assert list(progress.next_ask().columns) == list(range(24, 30))


def test_each_value_has_the_time_of_its_answer():
    progress, _ = started(sensors=29)
    progress.take(ask := progress.next_ask(), reply(ask.request.names[:10], received_us=10))
    progress.take(ask := progress.next_ask(), reply(ask.request.names, received_us=20))
    progress.take(ask := progress.next_ask(), reply(ask.request.names, received_us=30))
    assert list(progress.received_us) == [10] * 10 + [20] * 14 + [30] * 6


def test_a_value_that_was_unreadable_in_a_planned_request_has_its_time_and_its_reason():
    progress, _ = started(sensors=2)
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, UNREADABLE, ber.GAUGE32])
    progress.take(ask, reply(ask.request.names, [1, None, 3], tags=tags, received_us=10))
    assert (progress.failures, progress.received_us) == ({1: "unreadable"}, [10, 10, 10])


@pytest.mark.parametrize("lacking", ["tags", "values"])
def test_an_answer_whose_varbinds_lack_a_part_is_a_bug_and_no_value_is_taken_for_another_s(lacking):
    progress, _ = started(sensors=2)
    ask = progress.next_ask()
    whole = reply(ask.request.names[::-1])
    with pytest.raises(ValueError, match="shorter"):
        progress.take(ask, replace(whole, pdu=replace(whole.pdu, **{lacking: getattr(whole.pdu, lacking)[:-1]})))


# What GETNEXT may give


def test_what_get_did_not_give_is_asked_by_getnext_in_the_order_of_the_values_and_names_last():
    plan = make_plan(SENSORS[:2], [1], bytes([WIDE, WIDE]), 24, watch=Watch(bytes([BY_NAME]), 10))
    progress = PollProgress(plan, Traits(widths=bytes([WIDE, WIDE])))
    progress.take(ask := progress.next_ask(), absent(ask.request.names, *ask.request.names[:2]))
    ask = progress.next_ask()
    assert ask.by_next
    assert list(ask.columns) == [2, *plan.slots[2:], plan.names[0]]


def test_a_device_that_denies_nothing_is_asked_nothing_by_getnext():
    progress, _ = started()
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    assert progress.next_ask() is None


def test_a_device_that_was_not_heard_is_asked_nothing_by_getnext():
    progress, traits = started()
    traits.uptime = 1
    while (ask := progress.next_ask()) is not None:
        assert not ask.by_next
        progress.take(ask, NoReply(Reason.TIMEOUT, 1))


def test_only_so_many_are_tried_in_one_poll():
    progress, _ = started(sensors=29, max_varbinds=48)
    progress.take(ask := progress.next_ask(), absent(ask.request.names))
    tried = []
    while (ask := progress.next_ask()) is not None:
        tried += ask.columns
        progress.take(ask, absent(ask.request.names))
    assert tried == list(range(MOST_A_POLL))


def test_a_value_that_getnext_gives_counts_with_its_time_and_without_the_reason_that_it_had():
    progress, _ = started(sensors=2)
    progress.take(ask := progress.next_ask(), absent(ask.request.names, *ask.request.names[:2]))
    ask = progress.next_ask()
    assert (list(ask.columns), ask.by_next) == ([2], True)
    progress.take(ask, reply([SENSORS[1]], [77], received_us=70))
    assert interpret(progress, 1, 0).poll.values == (held(SENSORS[0]), 77)
    assert progress.received_us[2] == 70
    assert progress.failures == {}


# Narrow counters


def answer_narrow(has_wide):
    """A device whose wide counters are there, at 0, or not at all."""

    def answer(names):
        values = [has_wide if name.startswith(WIDE_OCTETS) else 5 for name in names]
        return reply(names, values, tags=bytes(ber.NO_SUCH_INSTANCE if value is None else ber.GAUGE32 for value in values))

    return answer


@pytest.mark.parametrize(("has_wide", "asks_narrow"), [(7, False), (0, True), (None, True)])
@pytest.mark.parametrize("width", [UNKNOWN, WIDE])
def test_narrow_counters_are_asked_in_one_request_if_wide_ones_do_not_count_and_the_width_is_not_known(
    has_wide, asks_narrow, width
):
    """And behind them the wide ones once more, if they are at 0."""
    traits = Traits(widths=bytes([width] * 4), absence_holds=True)
    progress = PollProgress(make_plan(SENSORS[:1], [1, 2], traits.widths, 24), traits)
    asked = finish(progress, answer_narrow(has_wide))
    narrow = [child(column, index) for index in (1, 2) for column in NARROW_OCTETS]
    again = [[child(column, index) for index in (1, 2) for column in WIDE_OCTETS]] if has_wide == 0 else []
    assert asked[1:] == ([narrow, *again] if asks_narrow and width == UNKNOWN else [])
    learned = NARROW if asks_narrow else WIDE
    assert traits.widths == bytes([learned if width == UNKNOWN else WIDE] * 4)
    octets = [interpret(progress, 1, 0).poll.values[slot] for slot in (1, 2, 7, 8)]
    assert octets == [5 if asks_narrow and width == UNKNOWN else has_wide] * 4


def test_a_poll_that_was_stopped_learns_the_widths_that_it_has_seen():
    traits = Traits(widths=bytes(4), max_varbinds=8)
    progress = PollProgress(make_plan(SENSORS[:1], [1, 2], traits.widths, 8), traits)
    progress.take(ask := progress.next_ask(), reply(ask.request.names))
    progress.stop(Reason.DEADLINE)
    progress.finish()
    assert traits.widths == bytes([WIDE, WIDE, UNKNOWN, UNKNOWN])


def test_a_device_that_was_read_whole_is_asked_for_more_in_the_next_poll():
    progress, traits = started()
    finish(progress)
    assert traits.max_varbinds > STARTING_VARBINDS
