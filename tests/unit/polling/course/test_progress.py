"""The course of a poll, step by step: what is asked after each kind of answer."""

import pytest

from support.steps import SENSORS, SILENCE, finish, held, next_poll, refuse, reply, started
from towerops_agent.polling.course.interpret import interpret
from towerops_agent.polling.course.plan import NARROW_OCTETS, make_plan
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import Traits
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.message import UNREADABLE, ErrorStatus


def test_requests_are_asked_in_the_plan_s_order_and_cut_ones_too():
    progress, traits = started(sensors=29)
    traits.max_varbinds = 10
    asked = finish(progress)
    assert [len(names) for names in asked] == [10, 10, 4, 6]
    assert [name for names in asked for name in names] == list(progress.plan.columns)


@pytest.mark.parametrize(
    "turn", [slice(None, None, -1), slice(1, None), slice(None, -2)], ids=["reversed", "first lost", "last two lost"]
)
def test_an_answer_out_of_order_is_sorted_and_only_what_it_lacks_is_asked_again(turn):
    progress, _ = started()
    ask = progress.next_ask()
    given = list(ask.request.names)[turn]
    progress.take(ask, reply(given))
    lacking = [name for name in ask.request.names if name not in given]
    assert finish(progress) == ([lacking] if lacking else [])
    assert interpret(progress, 1, 0).poll.values == tuple(map(held, SENSORS[:5]))


def test_of_two_values_for_one_name_the_first_stands():
    progress, _ = started(sensors=1)
    ask = progress.next_ask()
    up_time, sensor = ask.request.names
    progress.take(ask, reply([up_time, sensor, sensor], [1, 2, 3]))
    assert finish(progress) == []
    assert interpret(progress, 1, 0).poll.values == (2,)


@pytest.mark.parametrize("status", [ErrorStatus.noSuchName, ErrorStatus.genErr, ErrorStatus.authorizationError])
def test_a_refused_varbind_is_left_out_asked_once_more_by_itself_and_the_rest_in_one_request(status):
    """In the next poll it is asked by itself, behind the others."""
    progress, traits = started()
    refused = progress.plan.columns[2]

    def answer(names):
        return refuse(names, status, 1 + names.index(refused)) if refused in names else reply(names)

    assert [len(names) for names in finish(progress, answer)] == [6, 1, 5]
    result = interpret(progress, 1, 0)
    assert result.missing == {1: status.name}
    assert result.poll.metric_count == 4
    again = PollProgress(progress.plan, traits)
    assert [len(names) for names in finish(again, answer)] == [5, 1]
    assert interpret(again, 1, 0).missing == {1: status.name}


@pytest.mark.parametrize("index", ["first", "last", "from 0"])
@pytest.mark.parametrize("status", [ErrorStatus.noSuchName, ErrorStatus.genErr])
def test_a_wrong_error_index_costs_requests_and_no_values(status, index):
    """And less so in the next poll."""
    progress, traits = started(sensors=10)
    refused = progress.plan.columns[4]

    def answer(names):
        if refused not in names:
            return reply(names)
        return refuse(names, status, {"first": 1, "last": len(names), "from 0": names.index(refused)}[index])

    first = finish(progress, answer)
    assert interpret(progress, 1, 0).missing == {3: status.name}
    again = PollProgress(progress.plan, traits)
    assert len(finish(again, answer)) == 2 < len(first)
    assert interpret(again, 1, 0).missing == {3: status.name}


def one_at_a_time(manner):
    """How a device that takes one OID a request answers several."""

    def answer(names):
        if len(names) == 1:
            return reply(names)
        match manner:
            case "silent":
                return SILENCE
            case "first only":
                return reply(names[:1])
            case "noSuchName 1":
                return refuse(names, ErrorStatus.noSuchName, 1)
            case "noSuchName 2":
                return refuse(names, ErrorStatus.noSuchName, 2)
            case "genErr 0":
                return refuse(names, ErrorStatus.genErr, 0)
            case "others absent":
                return reply(names, tags=bytes([ber.GAUGE32, *[ber.NO_SUCH_INSTANCE] * (len(names) - 1)]))
            case "others null":
                return reply(names, tags=bytes([ber.GAUGE32, *[ber.NULL] * (len(names) - 1)]))
        return reply(names, [7] * len(names), tags=bytes([ber.TIME_TICKS] * len(names)))

    return answer


@pytest.mark.parametrize(
    "manner", ["silent", "first only", "noSuchName 1", "noSuchName 2", "genErr 0", "others absent", "others null", "echo"]
)
def test_a_device_that_takes_one_oid_a_request_gives_all_values_however_it_says_so(manner):
    """From the second poll on it is asked one at a time, for as long as it is."""
    progress, traits = started()
    finish(progress, one_at_a_time(manner))
    assert interpret(progress, 1, 0).missing == {}
    for _ in range(3):
        progress = PollProgress(progress.plan, traits)
        asked = finish(progress, one_at_a_time(manner))
        assert interpret(progress, 1, 0).missing == {}
    if manner not in ("silent", "first only"):
        assert [len(names) for names in asked] == [1] * 6


@pytest.mark.parametrize("index", [0, -1, 7, 2**31 - 1])
def test_an_error_that_names_no_varbind_costs_only_the_one_that_caused_it(index):
    """Found by halves."""
    progress, _ = started()

    def answer(names):
        return refuse(names, ErrorStatus.genErr, index) if SENSORS[2] in names else reply(names)

    finish(progress, answer)
    assert interpret(progress, 1, 0).missing == {2: "genErr"}


def test_after_too_big_the_size_is_halved_at_once_and_not_grown_by_that_poll():
    progress, traits = started(sensors=23)
    ask = progress.next_ask()
    progress.take(ask, refuse((), ErrorStatus.tooBig))
    assert [len(names) for names in finish(progress)] == [12, 12]
    assert traits.max_varbinds == 12


def test_what_was_lost_is_asked_again_after_all_others_in_halves():
    """A probe distinguishes loss from death; the others come first."""
    progress, traits = started(sensors=29)
    lost = progress.next_ask()
    progress.take(lost, SILENCE)
    asked = finish(progress)
    assert asked[0] == [progress.plan.columns[0]]
    assert [name for names in asked[1:] for name in names] == [*progress.plan.columns[24:], *lost.request.names]
    assert max(map(len, asked)) == 12
    assert interpret(progress, 1, 0).missing == {}
    assert traits.max_varbinds == 12


def test_silence_to_the_probe_too_ends_the_poll():
    """A device that was never heard is asked for something else than its sysUpTime as well."""
    progress, traits = started(sensors=29)
    for _ in range(3):
        progress.take(progress.next_ask(), SILENCE)
    assert progress.next_ask() is None
    progress.finish()
    assert set(interpret(progress, 1, 0).missing.values()) == {"timeout"}
    assert not traits.answers


@pytest.mark.parametrize("answers", [1, 2])
def test_one_oid_that_is_never_answered_costs_only_itself(answers):
    """However the others are spread over the requests."""
    progress, _ = started(sensors=8 * answers)
    finish(progress, lambda names: SILENCE if SENSORS[3] in names else reply(names))
    result = interpret(progress, 1, 0)
    assert result.missing == {3: "timeout"}


def test_an_oid_that_is_never_answered_is_asked_last_and_by_itself_from_then_on_until_it_is_answered():
    first, traits = started(sensors=8)
    finish(first, lambda names: SILENCE if SENSORS[3] in names else reply(names))
    second = next_poll(first, traits)
    asked = finish(second, lambda names: SILENCE if SENSORS[3] in names else reply(names))
    assert [names for names in asked if SENSORS[3] in names] == [[SENSORS[3]]]
    assert interpret(second, 1, 0).missing == {3: "timeout"}
    third = next_poll(second, traits)
    finish(third)
    fourth = next_poll(third, traits)
    assert [names for names in finish(fourth) if names == [SENSORS[3]]] == []
    assert interpret(third, 1, 0).missing == interpret(fourth, 1, 0).missing == {}


@pytest.mark.parametrize("mute", [range(2, 4), range(1, 8), range(29), (2, 3, 4, 6), (0, 9, 28)])
@pytest.mark.parametrize("max_varbinds", [1, 3, 24])
def test_oids_that_are_never_answered_are_asked_behind_all_others(mute, max_varbinds):
    """Wherever they stand in the plan: so all others are read first, in requests that are answered."""
    progress, traits = started(sensors=29, max_varbinds=max_varbinds)
    names = {SENSORS[n] for n in mute}
    traits.mute = frozenset(names)
    asked = finish(progress, lambda wanted: SILENCE if names & set(wanted) else reply(wanted))
    of_mute = [i for i, wanted in enumerate(asked) if names & set(wanted)]
    assert all(len(asked[i]) == 1 for i in of_mute)
    answered = [i for i, wanted in enumerate(asked) if not names & set(wanted) and wanted != [progress.plan.columns[0]]]
    assert not answered or max(answered) < min(of_mute)
    assert interpret(progress, 1, 0).missing == dict.fromkeys(mute, "timeout")


def test_a_value_that_can_not_be_read_is_missing_for_that():
    progress, _ = started()
    ask = progress.next_ask()
    tags = bytes([ber.GAUGE32, UNREADABLE, ber.GAUGE32, ber.NULL, ber.OCTET_STRING, ber.GAUGE32])
    progress.take(ask, reply(ask.request.names, [1, None, 2, None, b"N/A", 3], tags=tags))
    assert interpret(progress, 1, 0).missing == {0: "unreadable", 2: "null", 3: "not_a_number"}


FIBRE_CHANNEL = parse_oid("1.3.6.1.3.94.4.5.1.6")
VENDOR = parse_oid("1.3.6.1.4.1.99999.7")
EIGHT_OCTETS = bytes.fromhex("00093ee3f6d53b60")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(FIBRE_CHANNEL, EIGHT_OCTETS), (FIBRE_CHANNEL, b"12345678")], [0x00093EE3F6D53B60, 0x3132333435363738]),
        ([(FIBRE_CHANNEL, bytes(8)), (FIBRE_CHANNEL, b"123 W")], [0, 123]),
        ([(VENDOR, EIGHT_OCTETS), (VENDOR, b"12345678"), (VENDOR, b"1234567")], ["not_a_number", "ambiguous", 1234567]),
        ([(VENDOR, b"12345678"), (VENDOR, b"12345.6\0"), (VENDOR, bytes(8))], [12345678, 12345.6, "not_a_number"]),
        ([(child(VENDOR, 1), EIGHT_OCTETS), (child(VENDOR, 2), b"12345678")], ["not_a_number", 12345678]),
    ],
)
def test_eight_octets_are_a_counter_if_the_mib_says_so_and_a_text_if_no_sibling_says_otherwise(values, expected):
    names = [child(table, 200 + n) for n, (table, _) in enumerate(values)]
    traits = Traits()
    progress = PollProgress(make_plan(names, (), b"", 24), traits)
    ask = progress.next_ask()
    tags = bytes([ber.TIME_TICKS, *[ber.OCTET_STRING] * len(values)])
    progress.take(ask, reply(ask.request.names, [1, *[octets for _, octets in values]], tags=tags))
    result = interpret(progress, 1, 0)
    assert [result.missing.get(i, value) for i, value in enumerate(result.poll.values)] == expected


def test_an_interface_with_one_counter_of_octets_counts_and_has_that_one_s_time():
    """Without any it makes no metric, whatever else was read of it."""
    progress, _ = started(sensors=1, interfaces=[1, 2], max_varbinds=1)
    in_1, out_1, in_2, out_2 = (progress.plan.columns[progress.plan.slots[slot]] for slot in (1, 2, 7, 8))

    def answer(names):
        if names[0] in (in_1, in_2, out_2) or names[0].startswith(NARROW_OCTETS):
            return refuse(names, ErrorStatus.genErr, 1)
        return reply(names, received_us=70 if names[0] == out_1 else 50)

    finish(progress, answer)
    result = interpret(progress, 1, started_at_us=20)
    assert result.missing == {1: "genErr", 7: "genErr", 8: "genErr"}
    assert result.poll.metric_count == 2
    assert list(result.poll.item_times_us())[:2] == [50, 70]


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (ber.INTEGER, 0xFFFFFC19, 0xFFFFFC19),  # a counter is not negative, so that is what it means
        (ber.OPAQUE, bytes.fromhex("9f760401020304"), 0x01020304),
        (ber.OPAQUE, bytes.fromhex("9f7b09008000000000000000"), 1 << 63),
    ],
)
def test_a_counter_of_another_integer_s_type_counts(tag, value, expected):
    progress, _ = started(sensors=0, interfaces=[1])
    ask = progress.next_ask()
    progress.take(ask, reply(ask.request.names, [value] * 7, tags=bytes([tag]) * 7))
    assert finish(progress) == []
    assert interpret(progress, 1, 0).poll.values == (expected,) * 6


@pytest.mark.parametrize("octets", [7, (1 << 64) - 1])
def test_errors_and_discards_that_were_not_counted_are_missing_whatever_the_octets_are(octets):
    progress, _ = started(sensors=0, interfaces=[1])
    ask = progress.next_ask()
    values = [1, octets, 8, (1 << 64) - 1, 0, (1 << 64) - (1 << 44), 5]
    progress.take(ask, reply(ask.request.names, values, tags=bytes([ber.TIME_TICKS, *[ber.COUNTER64] * 6])))
    finish(progress, lambda names: reply(names, [None] * len(names), tags=bytes([ber.NO_SUCH_INSTANCE]) * len(names)))
    interpretation = interpret(progress, 1, 0)
    assert interpretation.poll.values[1:] == (8, None, 0, None, 5)
    assert interpretation.missing.keys() - {0} == {2, 4}


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        (ber.INTEGER, -1, "negative_counter"),
        (ber.COUNTER64, (1 << 64) - 1, "out_of_range"),
        (ber.COUNTER64, (1 << 64) - (1 << 44), "out_of_range"),
        (ber.OPAQUE, bytes.fromhex("9f7a01ff"), "negative_counter"),
        (ber.OPAQUE, bytes.fromhex("9f7b09010000000000000000"), "out_of_range"),
        (ber.OPAQUE, bytes.fromhex("9f780440200000"), "not_a_counter"),
        (ber.OPAQUE, b"\x01\x02\x03", "not_a_counter"),
        (ber.OCTET_STRING, b"17", "not_a_counter"),
        (ber.NULL, None, "null"),
    ],
)
def test_a_counter_of_another_type_is_not_a_counter(tag, value, reason):
    """And teaches nothing about the counters' width."""
    progress, traits = started(sensors=0, interfaces=[1])
    ask = progress.next_ask()
    progress.take(ask, reply(ask.request.names, [value] * 7, tags=bytes([tag]) * 7))
    narrow = finish(progress, lambda names: reply(names, [value] * len(names), tags=bytes([tag]) * len(names)))
    assert [len(names) for names in narrow] == [2]
    assert interpret(progress, 1, 0).missing == dict.fromkeys(range(6), reason)
    assert traits.widths == bytes(2)
