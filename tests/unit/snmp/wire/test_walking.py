"""The course of a walk: what it asks next, what it brings, and its three ends."""

import pytest

from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber, walking
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.exchange import NoReply, Reply
from towerops_agent.snmp.wire.message import ErrorStatus, Pdu, PduType, Varbind, Version
from towerops_agent.snmp.wire.walking import MAX_REPETITIONS, WalkCourse, WalkEnd

TABLE = parse_oid("1.3.6.1.2.1.2.2.1.2")
BEFORE = parse_oid("1.3.6.1.2.1.1.1.0")
BEHIND = parse_oid("1.3.6.1.2.1.2.2.1.3.1")
SILENCE = NoReply(Reason.TIMEOUT, 3)


def row(n):
    return child(TABLE, n)


def rows(*names, tag=ber.INTEGER):
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, list(names), bytes([tag]) * len(names), list(range(len(names)))), 0.01, 5)


def error(status):
    return Reply(Pdu(PduType.RESPONSE, 1, status, 1, [TABLE], bytes([ber.NULL]), [None]), 0.01, 5)


def asked(course):
    """How the next request asks, from which OID on, and for how many rows."""
    request = course.next_request()
    assert request.first == 0
    return request.type, request.names, request.second


def test_rows_are_asked_by_getbulk_each_time_from_the_last_one_on():
    course = WalkCourse(TABLE, Version.V2C)
    assert asked(course) == (PduType.GET_BULK, (TABLE,), MAX_REPETITIONS)
    assert course.take(rows(row(1), row(2))) == [Varbind(row(1), ber.INTEGER, 0), Varbind(row(2), ber.INTEGER, 1)]
    assert asked(course) == (PduType.GET_BULK, (row(2),), MAX_REPETITIONS)
    assert course.take(rows(row(7), BEHIND)) == [Varbind(row(7), ber.INTEGER, 0)]
    assert (course.end, course.why, course.silent) == (WalkEnd.COMPLETE, "", False)
    assert course.next_request() is None


@pytest.mark.parametrize("course", [WalkCourse(TABLE, Version.V1), WalkCourse(TABLE, Version.V2C, bulk=False)])
def test_a_device_without_getbulk_is_asked_row_by_row(course):
    assert not course.bulk
    assert asked(course) == (PduType.GET_NEXT, (TABLE,), 0)
    course.take(rows(row(1)))
    assert asked(course) == (PduType.GET_NEXT, (row(1),), 0)


def test_the_mib_ends_as_each_version_says_so():
    course = WalkCourse(TABLE, Version.V2C)
    assert course.take(rows(row(1), tag=ber.END_OF_MIB_VIEW)) == []
    assert course.end is WalkEnd.COMPLETE
    first = WalkCourse(TABLE, Version.V1)
    assert first.take(error(ErrorStatus.noSuchName)) == []
    assert first.end is WalkEnd.COMPLETE
    second = WalkCourse(TABLE, Version.V2C, bulk=False)
    second.take(error(ErrorStatus.noSuchName))
    assert (second.end, second.why) == (WalkEnd.BROKEN, "noSuchName after 1.3.6.1.2.1.2.2.1.2")


@pytest.mark.parametrize(
    "answer",
    [SILENCE, error(ErrorStatus.genErr), rows(), rows(TABLE), rows(b"\x2b\x86")],
    ids=["silence", "error", "empty", "loop", "not an OID"],
)
def test_what_getbulk_does_not_bring_is_asked_by_getnext_from_the_last_row_on(answer):
    course = WalkCourse(TABLE, Version.V2C)
    course.take(rows(row(1), row(2)))
    assert course.take(answer) == []
    assert course.end is None
    assert not course.bulk
    assert asked(course) == (PduType.GET_NEXT, (row(2),), 0)


@pytest.mark.parametrize(
    ("answer", "why", "silent"),
    [
        (SILENCE, "no answer after 1.3.6.1.2.1.2.2.1.2.2: timeout", True),
        (NoReply(Reason.UNREACHABLE, 1, "no route"), "no answer after 1.3.6.1.2.1.2.2.1.2.2: unreachable no route", False),
        (error(ErrorStatus.genErr), "genErr after 1.3.6.1.2.1.2.2.1.2.2", False),
        (error(ErrorStatus.tooBig), "tooBig after 1.3.6.1.2.1.2.2.1.2.2", False),
        (rows(), "an empty answer after 1.3.6.1.2.1.2.2.1.2.2", False),
        (rows(TABLE), "1.3.6.1.2.1.2.2.1.2 after 1.3.6.1.2.1.2.2.1.2.2: the device's MIB does not grow", False),
        (rows(BEFORE), "1.3.6.1.2.1.1.1.0 after 1.3.6.1.2.1.2.2.1.2.2: the device's MIB does not grow", False),
        (rows(row(2)), "1.3.6.1.2.1.2.2.1.2.2 after 1.3.6.1.2.1.2.2.1.2.2: the device's MIB does not grow", False),
    ],
)
def test_what_getnext_does_not_bring_either_breaks_the_walk(answer, why, silent):
    course = WalkCourse(TABLE, Version.V2C, bulk=False)
    course.take(rows(row(2)))
    assert course.take(answer) == []
    assert (course.end, course.why, course.silent) == (WalkEnd.BROKEN, why, silent)
    assert course.next_request() is None


def test_only_silence_is_asked_again_by_getnext():
    course = WalkCourse(TABLE, Version.V2C)
    course.take(NoReply(Reason.UNREACHABLE, 1))
    assert (course.end, course.silent) == (WalkEnd.BROKEN, False)


def test_a_name_that_is_not_an_oid_breaks_the_walk_with_what_is_wrong_about_it():
    course = WalkCourse(TABLE, Version.V2C, bulk=False)
    course.take(rows(b"\x2b\x86"))
    assert course.end is WalkEnd.BROKEN
    assert course.why.startswith("after 1.3.6.1.2.1.2.2.1.2: octets")


def test_fewer_rows_are_asked_for_after_an_answer_that_was_too_big():
    """Half each time; a single row is GETNEXT's."""
    course = WalkCourse(TABLE, Version.V2C)
    counts = []
    while course.bulk:
        counts.append(asked(course)[2])
        course.take(error(ErrorStatus.tooBig))
    assert counts == [20, 10, 5, 2]
    assert asked(course) == (PduType.GET_NEXT, (TABLE,), 0)
    assert course.end is None


def test_good_rows_before_a_bad_one_count():
    course = WalkCourse(TABLE, Version.V2C)
    assert [varbind.name for varbind in course.take(rows(row(1), row(2), row(2), row(3)))] == [row(1), row(2)]
    assert asked(course) == (PduType.GET_NEXT, (row(2),), 0)


def test_a_walk_of_more_rows_than_are_wanted_is_too_long():
    course = WalkCourse(TABLE, Version.V2C, most_rows=3)
    assert len(course.take(rows(row(1), row(2)))) == 2
    assert course.end is None
    assert [varbind.name for varbind in course.take(rows(row(3), row(4)))] == [row(3)]
    assert course.end is WalkEnd.TOO_LONG
    assert course.next_request() is None


def test_just_as_many_rows_as_are_wanted_are_a_complete_walk():
    course = WalkCourse(TABLE, Version.V2C, most_rows=2)
    assert len(course.take(rows(row(1), row(2), BEHIND))) == 2
    assert course.end is WalkEnd.COMPLETE


# Rows in an order of the device's own, as the interfaces of some switches


def unordered(order, version=Version.V2C):
    """A walk of a device with rows in this order, and what lies behind them: its rows, and how it was asked."""
    names = [TABLE, *map(row, order), BEHIND]
    course = WalkCourse(TABLE, version)
    found, sent = [], []
    while (request := course.next_request()) is not None:
        sent.append(request.type)
        at = names.index(request.names[0]) + 1
        found += [each.name for each in course.take(rows(*names[at : at + max(request.second, 1)]))]
    return course, found, sent


@pytest.mark.parametrize("version", [Version.V1, Version.V2C])
def test_rows_out_of_order_are_rows_and_prove_no_absence(version):
    course, found, _ = unordered([7, 9, 3, 1 << 28, 5, 8], version)
    assert found == list(map(row, [7, 9, 3, 1 << 28, 5, 8]))
    assert (course.end, course.why) == (WalkEnd.UNORDERED, "")


def test_an_order_that_getnext_confirms_is_followed_by_getbulk():
    order = [*range(100, 200), *range(1, 100)]
    course, found, sent = unordered(order)
    assert found == list(map(row, order))
    assert sent == [*[PduType.GET_BULK] * 5, PduType.GET_BULK, PduType.GET_NEXT, *[PduType.GET_BULK] * 5]
    assert course.end is WalkEnd.UNORDERED


@pytest.mark.parametrize("again", [7, 9, 3])
def test_a_row_that_comes_again_breaks_a_walk_out_of_order(again):
    course = WalkCourse(TABLE, Version.V2C, bulk=False)
    for name in (7, 9, 3, 4):
        assert len(course.take(rows(row(name)))) == 1
    assert course.take(rows(row(again))) == []
    assert (course.end, course.why) == (
        WalkEnd.BROKEN,
        f"1.3.6.1.2.1.2.2.1.2.{again} after 1.3.6.1.2.1.2.2.1.2.4: the device's MIB does not grow",
    )


def test_what_only_getbulk_has_out_of_order_is_asked_by_getnext_to_the_end():
    course = WalkCourse(TABLE, Version.V2C)
    assert len(course.take(rows(row(5), row(3)))) == 1
    for name in (6, 7):
        assert course.next_request().type == PduType.GET_NEXT
        course.take(rows(row(name)))
    course.take(rows(BEHIND))
    assert course.end is WalkEnd.COMPLETE


def test_rows_out_of_order_are_followed_among_so_many_only(monkeypatch):
    monkeypatch.setattr(walking, "MOST_REMEMBERED", 3)
    course = WalkCourse(TABLE, Version.V2C, bulk=False)
    for name in (6, 7, 8, 9):
        course.take(rows(row(name)))
    course.take(rows(row(5)))
    assert course.end is WalkEnd.BROKEN
