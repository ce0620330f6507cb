"""Values and columns of devices that can't answer everything: what is asked next, what is read, and why the rest is not."""

from collections.abc import Callable

import pytest

from support.mib import FewValues
from towerops_agent.discovery.course.asking import (
    FEW,
    IN_VAIN,
    MOST_LOST,
    MOST_NAMES,
    MOST_REQUESTS,
    MOST_ROWS,
    MOST_VARBINDS,
    Asking,
    AskingEnded,
    Questions,
)
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import Oid, child, encode_oid, format_oid, is_within, parse_oid
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Reply
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus, Pdu, PduType, Request, Version

BASE = parse_oid("1.3.6.1.4.1.99999")
SILENCE = NoReply(Reason.TIMEOUT, 3)
EMPTY = Reply(Pdu(PduType.RESPONSE, 1), 0.01, 0)


def oids(*ends: str) -> list[Oid]:
    return [parse_oid(f"{format_oid(BASE)}.{end}") for end in ends]


def device(*ends: str) -> FewValues:
    """A device with the value 7 at each of these."""
    return FewValues({f"{format_oid(BASE)}.{end}": 7 for end in ends})


def error(request: Request, status: int, index: int) -> Reply:
    count = len(request.names)
    return Reply(Pdu(PduType.RESPONSE, 1, status, index, request.names, bytes([ber.NULL]) * count, [None] * count), 0.01, 0)


def reply(*varbinds: tuple[Oid, int, int | None]) -> Reply:
    names, tags, values = ([*column] for column in zip(*varbinds, strict=True))
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, names, bytes(tags), values), 0.01, 0)


def drive(asking: Asking, answer: Callable[[Request], Answer]) -> list[Request]:
    """The requests, each answered so."""
    sent = []
    request = next(asking, None)
    while request is not None:
        sent.append(request)
        try:
            request = asking.send(answer(request))
        except StopIteration:
            break
    return sent


def sizes(requests: list[Request]) -> list[int]:
    return [len(request.names) for request in requests]


def test_a_column_that_is_absent_costs_a_varbind_and_no_column_beside_it_a_request():
    absent, there = oids("1", "2")
    questions = Questions(Version.V2C)
    sent = drive(questions.ask_columns([absent, there]), device("2.1", "2.2").answer)
    assert [(request.names, request.second) for request in sent] == [((absent, there), 3)]
    assert (questions.columns[absent], len(questions.columns[there])) == ({}, 2)
    assert {absent, there} <= questions.read


def test_a_table_that_is_too_big_for_one_answer_is_asked_for_half_as_much():
    (column,) = oids("1")
    many = device(*(f"1.{n}" for n in range(1, 61)))
    questions = Questions(Version.V2C)

    def answer(request: Request) -> Answer:
        return error(request, ErrorStatus.tooBig, 0) if request.second > 30 else many.answer(request)

    sent = drive(questions.ask_columns([column]), answer)
    assert [request.second for request in sent] == [3, 48, 24, 24, 24]
    assert len(questions.columns[column]) == 60


# Values that can't be read


def empty_behind(full: FewValues, most: int) -> Callable[[Request], Answer]:
    """How a device answers that fills an answer of more values than this with empty ones."""

    def answer(request: Request) -> Answer:
        said = full.answer(request)
        if isinstance(said, Reply):
            pdu = said.pdu
            kept = [place < most or tag in ber.ABSENT for place, tag in enumerate(pdu.tags)]
            pdu.tags = bytes(tag if is_ else UNREADABLE for is_, tag in zip(kept, pdu.tags, strict=True))
            pdu.values = [value if is_ else None for is_, value in zip(kept, pdu.values, strict=True)]
        return said

    return answer


@pytest.mark.parametrize("version", [Version.V1, Version.V2C])
@pytest.mark.parametrize("most", [FEW, FEW + 3, 40])
def test_what_could_not_be_read_among_many_values_is_asked_again_with_few(version: Version, most: int):
    """A GETBULK of a PDU's outlets has numbers without octets behind the first ones; asked for four at once, all have theirs."""
    (column,) = oids("20")
    wanted = oids(*(f"{n}.0" for n in range(1, 12)))
    full = device(*(f"{n}.0" for n in range(1, 12)), *(f"20.{n}" for n in range(1, 41)))
    questions = Questions(version)
    drive(questions.ask_values(wanted), empty_behind(full, most))
    drive(questions.ask_columns([column]), empty_behind(full, most))
    assert questions.values == dict.fromkeys(wanted, (ber.INTEGER, 7))
    assert questions.columns[column] == {(n,): (ber.INTEGER, 7) for n in range(1, 41)}


def test_what_can_not_be_read_with_few_either_stays_so_and_is_not_asked_without_end():
    (column,) = oids("9")
    questions = Questions(Version.V2C)
    sent = drive(questions.ask_columns([column]), empty_behind(device(*(f"9.{n}" for n in range(1, 301))), 0))
    assert {tag for tag, _ in questions.columns[column].values()} == {UNREADABLE}
    again = [request for request in sent if request.type is PduType.GET]
    assert sizes(again) == [FEW] * (IN_VAIN // FEW)


# Single values


def test_each_value_is_asked_once_and_what_is_not_there_is_known_to_be_absent():
    there, absent = oids("1.0", "2.0")
    questions = Questions(Version.V2C)
    assert drive(questions.ask_values([there, absent, there]), device("1.0").answer) == [Request((there, absent))]
    assert questions.values == {there: (ber.INTEGER, 7)}
    assert questions.read == {there, absent}
    assert (questions.unread, questions.requests) == ({}, 1)
    assert drive(questions.ask_values([there]), device("1.0").answer) == []


def test_a_device_that_answers_fewer_values_is_asked_for_fewer_at_once():
    """By halves if it says tooBig, by quarters if it says nothing: silence costs attempts."""
    wanted = oids(*(f"{n}.0" for n in range(1, MOST_NAMES + 2)))
    full = device(*(f"{n}.0" for n in range(1, MOST_NAMES + 2)))
    for refusal, expected in [
        (lambda request: error(request, ErrorStatus.tooBig, 0), [32, 16, 8, 8, 8, 8, 1]),
        (lambda _: SILENCE, [32, 8, 8, 8, 8, 1]),
        (lambda _: EMPTY, [32, 16, 8, 8, 8, 8, 1]),
    ]:
        questions = Questions(Version.V2C)
        requests = drive(
            questions.ask_values(wanted),
            lambda request, no=refusal: full.answer(request) if len(request.names) <= 8 else no(request),
        )
        assert sizes(requests) == expected
        assert set(questions.values) == set(wanted)
        assert questions.unread == {}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: SILENCE, "silence"),
        (lambda _: EMPTY, "an empty answer"),
        (lambda request: error(request, ErrorStatus.genErr, 0), "genErr"),
        (lambda request: error(request, ErrorStatus.tooBig, 0), "tooBig"),
    ],
)
def test_a_value_that_is_refused_by_itself_is_unread_and_why(answer: Callable[[Request], Answer], why: str):
    (name,) = oids("1.0")
    questions = Questions(Version.V2C)
    assert len(drive(questions.ask_values([name]), answer)) == 1
    assert (questions.unread, questions.read) == ({name: why}, set())


@pytest.mark.parametrize(
    ("status", "why", "is_known"), [(ErrorStatus.genErr, "genErr", False), (ErrorStatus.noSuchName, "noSuchName", True)]
)
def test_the_value_that_an_error_blames_is_left_out_and_the_rest_asked_again(status: int, why: str, is_known: bool):
    """Of noSuchName it is known that the device lacks it."""
    first, second, third = wanted = oids("1.0", "2.0", "3.0")
    questions = Questions(Version.V2C)
    full = device("1.0", "2.0", "3.0")
    requests = drive(
        questions.ask_values(wanted),
        lambda request: error(request, status, 2) if second in request.names else full.answer(request),
    )
    assert [request.names for request in requests] == [(first, second, third), (first, third)]
    assert questions.unread == {second: why}
    assert questions.read == {first, third, *([second] if is_known else [])}


@pytest.mark.parametrize("index", [0, 4, -1])
def test_an_error_that_blames_nothing_that_was_asked_makes_the_request_smaller(index: int):
    wanted = oids("1.0", "2.0", "3.0")
    questions = Questions(Version.V2C)
    full = device("1.0", "2.0", "3.0")
    requests = drive(
        questions.ask_values(wanted),
        lambda request: error(request, ErrorStatus.genErr, index) if len(request.names) > 1 else full.answer(request),
    )
    assert sizes(requests) == [3, 1, 1, 1]
    assert set(questions.values) == set(wanted)


def test_the_end_of_a_v1_devices_mib_ends_all_that_is_behind_it():
    """It is asked by GETNEXT for what comes right before; noSuchName means that nothing follows (RFC 1157 §4.1.3)."""
    first, second, third = wanted = oids("1.0", "5.0", "7.0")
    questions = Questions(Version.V1)
    known = device("1.0")
    requests = drive(questions.ask_values([third, first, second]), lambda request: known.answer(request, Version.V1))
    assert requests[0].type == PduType.GET_NEXT
    assert [format_oid(name).removeprefix(f"{format_oid(BASE)}.") for name in requests[0].names] == ["7", "1", "5"]
    assert set(questions.values) == {first}
    assert questions.read == set(wanted)
    assert questions.unread == {}


def test_a_v1_device_with_another_error_is_asked_for_the_rest():
    first, second = oids("1.0", "2.0")
    questions = Questions(Version.V1)
    known = device("1.0", "2.0")

    def answer(request: Request) -> Answer:
        return error(request, ErrorStatus.genErr, 1) if len(request.names) > 1 else known.answer(request, Version.V1)

    drive(questions.ask_values([first, second]), answer)
    assert questions.unread == {first: "genErr"}
    assert set(questions.values) == {second}


# Subtrees


def test_a_subtree_is_present_if_anything_is_below_it():
    below, empty, last = oids("1", "2", "9")
    questions = Questions(Version.V2C)
    requests = drive(questions.ask_whether([below, empty, last, below]), device("1.4.0", "3.0").answer)
    assert requests == [Request((below, empty, last), PduType.GET_NEXT)]
    assert questions.present == {below}


def test_a_short_answer_says_nothing_of_the_other_subtrees():
    first, second = oids("1", "2")
    questions = Questions(Version.V2C)
    drive(questions.ask_whether([first, second]), lambda _: reply((child(first, 1), ber.INTEGER, 7)))
    assert questions.present == {first}


# Columns


def rows(questions: Questions, column: Oid) -> list[tuple[int, ...]]:
    return list(questions.columns[column])


def test_columns_are_read_together_a_few_rows_first_and_then_as_many_as_fit():
    first, second = columns = oids("1", "2")
    questions = Questions(Version.V2C)
    full = device(*(f"{column}.{row}" for column in (1, 2) for row in range(1, 31)))
    requests = drive(questions.ask_columns(columns), full.answer)
    assert requests[0] == Request((first, second), PduType.GET_BULK, 0, 3)
    assert requests[1] == Request((child(first, 3), child(second, 3)), PduType.GET_BULK, 0, MOST_VARBINDS // 2)
    assert rows(questions, first) == rows(questions, second) == [(n,) for n in range(1, 31)]
    assert questions.read == {first, second}
    assert drive(questions.ask_columns(columns), full.answer) == []


def test_a_device_without_getbulk_is_read_by_getnext():
    (column,) = oids("1")
    full = device("1.1", "1.2")
    for refusal in (
        lambda _: SILENCE,
        lambda _: EMPTY,
        lambda request: error(request, ErrorStatus.genErr, 1),
        lambda request: error(request, ErrorStatus.noSuchName, 1),
    ):
        questions = Questions(Version.V2C)
        requests = drive(
            questions.ask_columns([column]),
            lambda request, no=refusal: no(request) if request.type == PduType.GET_BULK else full.answer(request),
        )
        assert [request.type for request in requests] == [PduType.GET_BULK, *[PduType.GET_NEXT] * 3]
        assert rows(questions, column) == [(1,), (2,)]
        assert questions.unread == {}


def test_a_getbulk_that_is_too_big_is_asked_for_fewer_rows():
    columns = oids("1", "2")
    full = device(*(f"{column}.{row}" for column in (1, 2) for row in range(1, 20)))
    questions = Questions(Version.V2C)
    requests = drive(
        questions.ask_columns(columns),
        lambda request: error(request, ErrorStatus.tooBig, 0) if request.second > 1 else full.answer(request),
    )
    assert [request.second for request in requests][:3] == [3, 1, 1]
    assert {request.type for request in requests} == {PduType.GET_BULK}
    assert len(rows(questions, columns[0])) == 19


def test_one_row_of_one_column_that_is_refused_is_unread():
    (column,) = oids("1")
    questions = Questions(Version.V2C)
    requests = drive(questions.ask_columns([column]), lambda request: error(request, ErrorStatus.tooBig, 0))
    assert [(request.type, request.second) for request in requests] == [
        *[(PduType.GET_BULK, 3), (PduType.GET_BULK, 1), (PduType.GET_NEXT, 0)]
    ]
    assert questions.unread == {column: "tooBig"}
    assert column not in questions.read


def test_rows_out_of_order_are_read_as_others():
    """Some switches give their interfaces in an order of their own."""
    first, second = oids("1", "2")
    for version in (Version.V1, Version.V2C):
        questions = Questions(version)
        drive(questions.ask_columns([first, second]), in_order([5, 9, 4, 6], first, second))
        assert rows(questions, first) == rows(questions, second) == [(5,), (9,), (4,), (6,)]
        assert (questions.read, questions.unread) == ({first, second}, {})


def in_order(order: list[int], *columns: Oid) -> Callable[[Request], Answer]:
    """A device with these rows in each of these columns, in this order, and something behind them."""
    names = [*(child(column, row) for column in columns for row in order), encode_oid((1, 3, 7))]

    def answer(request: Request) -> Answer:
        found = []
        asked = list(request.names)
        for _ in range(request.second if request.type == PduType.GET_BULK else 1):
            asked = [names[columns.index(name) * len(order)] if name in columns else after(name) for name in asked]
            found += [(name, ber.INTEGER, 7) for name in asked]
        return reply(*found)

    def after(name: Oid) -> Oid:
        return names[min(names.index(name) + 1, len(names) - 1)]

    return answer


def test_a_column_whose_rows_come_again_is_given_up_and_the_others_are_read():
    first, second = oids("1", "2")
    questions = Questions(Version.V1)
    answers = iter(
        [
            reply((child(first, 5), ber.INTEGER, 7), (child(second, 1), ber.INTEGER, 7)),
            reply((child(first, 4), ber.INTEGER, 7), (child(second, 2), ber.INTEGER, 7)),
            reply((child(first, 5), ber.INTEGER, 7), (child(second, 3), ber.INTEGER, 7)),
            reply((encode_oid((1, 3, 7)), ber.INTEGER, 7)),
        ]
    )
    drive(questions.ask_columns([first, second]), lambda _: next(answers))
    assert questions.unread == {first: "its rows come again"}
    assert rows(questions, first) == [(5,), (4,)]
    assert rows(questions, second) == [(1,), (2,), (3,)]
    assert questions.read == {second}


def test_a_row_whose_name_is_not_an_oid_costs_the_rest_of_its_column_only():
    first, second = oids("1", "2")
    questions = Questions(Version.V1)
    answers = iter(
        [
            reply((first + b"\x81", ber.INTEGER, 7), (child(second, 1), ber.INTEGER, 7)),
            reply((encode_oid((1, 3, 7)), ber.INTEGER, 7)),
        ]
    )
    drive(questions.ask_columns([first, second]), lambda _: next(answers))
    assert questions.unread == {first: "a row's name is not an OID"}
    assert (rows(questions, second), questions.read) == ([(1,)], {second})


# Columns that an answer leaves out


def leaving_out(device: FewValues, columns: list[Oid]) -> Callable[[Request], Answer]:
    """The device, but that it leaves out of each answer what is not of the columns that were asked."""

    def answer(request: Request) -> Answer:
        pdu = device.answer(request).pdu
        asked = [next(column for column in columns if is_within(name, column)) for name in request.names]
        kept = [
            (name, tag, value)
            for place, (name, tag, value) in enumerate(zip(pdu.names, pdu.tags, pdu.values, strict=True))
            if is_within(name, asked[place % len(asked)]) and tag not in ber.ABSENT
        ]
        return reply(*kept) if kept else EMPTY

    return answer


@pytest.mark.parametrize("version", [Version.V1, Version.V2C])
@pytest.mark.parametrize("lengths", [(1, 4, 9), (9, 4, 1), (0, 3, 3), (3, 0, 3), (3, 3, 0), (0, 0, 2), (5, 0, 0), (2, 1, 2)])
def test_a_device_that_leaves_out_the_columns_that_have_ended_is_read_to_the_end(version: Version, lengths: tuple[int, ...]):
    """Its rows are not in the places of their columns then. Columns of one table, of two, and with a gap between."""
    for ends in (("1.1", "1.2", "1.3"), ("1.1", "1.2", "4.1"), ("1.1", "1.5", "1.9")):
        columns = oids(*ends)
        there = device(*(f"{end}.{row}" for end, length in zip(ends, lengths, strict=True) for row in range(1, length + 1)))
        questions = Questions(version)
        drive(questions.ask_columns(columns), leaving_out(there, columns))
        assert [len(questions.columns[column]) for column in columns] == list(lengths)
        assert questions.unread == {}


def test_the_row_of_the_next_column_in_the_place_of_one_that_has_ended_moves_nothing():
    """Neighbouring columns: what comes behind the one is the first row of the other."""
    columns = oids("1", "2", "3")
    for lengths in ((1, 2, 3), (0, 2, 5), (3, 0, 1), (2, 2, 2)):
        there = device(*(f"{n}.{row}" for n, length in enumerate(lengths, 1) for row in range(1, length + 1)))
        questions = Questions(Version.V2C)
        requests = drive(questions.ask_columns(columns), there.answer)
        assert sizes(requests)[0] == 3
        assert len(requests) <= 2
        assert [len(questions.columns[column]) for column in columns] == list(lengths)


def test_a_column_without_an_end_is_given_up_and_the_others_are_read():
    first, second = oids("1", "2")
    questions = Questions(Version.V2C)

    def answer(request: Request) -> Answer:
        last = ber.subidentifiers(request.names[0])[-1] if request.names[0] != first else 0
        made = []
        for n in range(request.second):
            made.append((child(first, last + 1 + n), ber.INTEGER, 7))
            if len(request.names) > 1:
                made.append(
                    (child(second, last + 1 + n), ber.INTEGER, 7) if last + n < 5 else (second, ber.END_OF_MIB_VIEW, None)
                )
        return reply(*made)

    drive(questions.ask_columns([first, second]), answer)
    assert questions.unread == {first: f"more than {MOST_ROWS} rows"}
    assert len(rows(questions, first)) == MOST_ROWS
    assert len(rows(questions, second)) == 5
    assert questions.read == {second}


def test_an_answer_with_fewer_columns_than_were_asked_makes_the_requests_smaller():
    columns = oids("1", "2", "3", "4")
    full = device(*(f"{column}.1" for column in (1, 2, 3, 4)))
    questions = Questions(Version.V2C)

    def first_two(request: Request) -> Answer:
        pdu = full.answer(request).pdu
        return reply(*list(zip(pdu.names, pdu.tags, pdu.values, strict=True))[:2])

    requests = drive(questions.ask_columns(columns), first_two)
    assert sizes(requests)[:2] == [4, 2]
    assert [rows(questions, column) for column in columns] == [[(1,)]] * 4
    assert questions.read == set(columns)


# The end


def test_a_device_that_is_silent_so_often_is_given_up_and_asked_another_time():
    wanted = oids(*(f"{n}.0" for n in range(MOST_LOST + 1)))
    questions = Questions(Version.V2C)
    with pytest.raises(AskingEnded, match=r"^it stopped answering: timeout gone$") as ended:
        drive(questions.ask_values(wanted), lambda _: NoReply(Reason.TIMEOUT, 3, "gone"))
    assert ended.value.again
    assert questions.requests == MOST_LOST


def test_a_reply_now_and_then_keeps_it_from_being_given_up():
    questions = Questions(Version.V2C)
    full = device("1.0")
    (there,) = oids("1.0")
    for _ in range(3):
        for subtree in oids(*map(str, range(2, MOST_LOST + 1))):
            drive(questions.ask_whether([subtree]), lambda _: SILENCE)
        drive(questions.ask_whether([there]), full.answer)
    assert questions.requests == 3 * MOST_LOST
    with pytest.raises(AskingEnded):
        drive(questions.ask_whether(oids(*map(str, range(50)))), lambda _: SILENCE)
    assert questions.requests == 4 * MOST_LOST


def test_no_device_is_asked_for_ever():
    (column,) = oids("1")
    questions = Questions(Version.V1)
    full = device(*(f"1.{n}" for n in range(MOST_REQUESTS + 5)))
    with pytest.raises(AskingEnded, match=f"^it was asked {MOST_REQUESTS} times, and there is more$") as ended:
        drive(questions.ask_columns([column]), full.answer)
    assert not ended.value.again
    assert len(rows(questions, column)) == MOST_REQUESTS


def without(request: Request, whole: Reply, is_gone: Callable[[int, int], bool]) -> Reply:
    """The answer without some varbinds, by their place and tag; an error as it is."""
    pdu = whole.pdu
    if pdu.error_status:
        return whole
    kept = [place for place, tag in enumerate(pdu.tags) if not is_gone(place, tag)]
    names, values = [pdu.names[place] for place in kept], [pdu.values[place] for place in kept]
    return Reply(Pdu(PduType.RESPONSE, 1, 0, 0, names, bytes(pdu.tags[place] for place in kept), values), 0.01, 0)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("most", [1, 2, 5])
def test_what_an_answer_that_is_cut_short_lacks_is_asked_again(version: Version, most: int):
    ends = [f"{n}.0" for n in range(1, 8)]
    radio = device(*ends)

    def answer(request: Request) -> Answer:
        return without(request, radio.answer(request, version), lambda place, _: place >= most)

    questions = Questions(version)
    drive(questions.ask_values(oids(*ends)), answer)
    assert [*questions.values] == oids(*ends)
    assert questions.read == {*oids(*ends)}
    drive(questions.ask_whether(oids("3", "9", "1", "7", "5")), answer)
    assert questions.present == {*oids("3", "1", "7", "5")}


def test_values_that_a_device_leaves_out_are_not_there_and_cost_few_requests():
    radio = device("1.0", "3.0")

    def answer(request: Request) -> Answer:
        return without(request, radio.answer(request), lambda _, tag: tag in ber.ABSENT)

    questions = Questions(Version.V2C)
    sent = drive(questions.ask_values(oids(*(f"{n}.0" for n in range(1, 31)))), answer)
    assert [*questions.values] == oids("1.0", "3.0")
    assert questions.read == {*oids(*(f"{n}.0" for n in range(1, 31)))}
    assert questions.unread == {}
    assert len(sent) == 2


def denied(request: Request, radio: FewValues, how: str) -> Answer:
    """What a device answers that denies what it has."""
    if request.type is not PduType.GET:
        return radio.answer(request)
    one_at_a_time = {"first only": ber.NO_SUCH_INSTANCE, "others NULL": ber.NULL}
    if how in one_at_a_time:
        given = [(*request.names,), [*radio.answer(request).pdu.tags], radio.answer(request).pdu.values]
        rows = [row if not place else (row[0], one_at_a_time[how], None) for place, row in enumerate(zip(*given, strict=True))]
        return reply(*rows)
    if how == "error 1" and len(request.names) == 1:
        return radio.answer(request)
    if how == "no GET":
        return reply(*((name, ber.NO_SUCH_OBJECT, None) for name in request.names))
    return error(request, ErrorStatus.genErr, int(how == "error 1"))


@pytest.mark.parametrize("how", ["no GET", "GET fails", "first only", "others NULL", "error 1"])
def test_a_device_that_denies_what_it_has_is_asked_otherwise(how: str):
    """One at a time, or by GETNEXT: as the poller does."""
    radio, wanted = device("1.0", "3.0", "4.5", "6.0"), oids("1.0", "2.0", "3.0", "4.5")
    questions = Questions(Version.V2C)
    drive(questions.ask_values(wanted), lambda request: denied(request, radio, how))
    assert [name for name, (tag, _) in questions.values.items() if tag == ber.INTEGER] != oids("1.0", "3.0", "4.5")
    drive(questions.ask_otherwise(wanted, wanted[2], ber.INTEGER), lambda request: denied(request, radio, how))
    assert sorted(questions.values) == oids("1.0", "3.0", "4.5")
    assert questions.unread == {}
    drive(questions.ask_values(oids("2.0", "6.0")), lambda request: denied(request, radio, how))
    assert questions.values[oids("6.0")[0]] == (ber.INTEGER, 7)


def test_what_a_device_does_not_have_is_not_there_otherwise_and_it_is_asked_as_before():
    radio, (name,) = device("1.0"), oids("2.0")
    questions = Questions(Version.V2C)
    assert len(drive(questions.ask_otherwise([name], name, ber.INTEGER), radio.answer)) == 3
    assert questions.values == {}
    (last,) = drive(questions.ask_values(oids("1.0", "3.0")), radio.answer)
    assert last.type is PduType.GET
    assert drive(Questions(Version.V1).ask_otherwise([name], name, ber.INTEGER), radio.answer) == []


def test_a_device_that_is_silent_is_not_asked_otherwise():
    questions = Questions(Version.V2C)
    drive(questions.ask_values(oids("1.0")), lambda _: SILENCE)
    assert drive(questions.ask_otherwise(oids("1.0"), oids("1.0")[0], ber.INTEGER), lambda _: SILENCE) == []


def test_a_device_that_sends_the_question_back_has_nothing_there():
    questions = Questions(Version.V2C)
    drive(questions.ask_whether(oids("1", "1.3.0")), device("1.3.0").answer)
    assert questions.present == {*oids("1")}, "the value itself is not below itself"
    questions = Questions(Version.V2C)
    drive(questions.ask_whether(oids("1", "1.2")), lambda request: reply(*((name, ber.NULL, None) for name in request.names)))
    assert questions.present == set()
