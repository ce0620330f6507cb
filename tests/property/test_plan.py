"""Plans: each OID asked once, in order, in requests that fit; each value finds its column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import oids
from towerops_agent.model import INTERFACE_COLUMNS
from towerops_agent.polling.course.plan import (
    IF_DESCR,
    IF_NAME,
    MAX_OCTETS,
    SYS_UP_TIME,
    USM_OCTETS,
    Planner,
    Watch,
    interface_columns,
    lay_out,
    make_plan,
    turns,
)
from towerops_agent.polling.course.traits import BY_DESCR, BY_NAME, NARROW, TOGETHER, UNKNOWN, UNVERIFIABLE, WIDE
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, is_within, parse_oid
from towerops_agent.snmp.wire.codec import encode_message
from towerops_agent.snmp.wire.message import Message, Pdu, PduType

LONGEST_COMMUNITY = b"c" * 64
IF_ENTRY = parse_oid("1.3.6.1.2.1.2.2.1")
SENSORS = st.lists(
    st.one_of(oids(), oids(max_size=126), st.sampled_from((SYS_UP_TIME, parse_oid("1.3.6.1.2.1.2.2.1.10.3")))), max_size=40
)
WIDTHS = st.sampled_from((UNKNOWN, NARROW, WIDE))


@st.composite
def wanted(draw):
    """What make_plan is given: sensors, ifIndexes, widths, varbinds a request, octets a message."""
    indexes = draw(st.lists(st.integers(1, 2**32 - 1), max_size=12))
    widths = bytes(draw(st.lists(WIDTHS, min_size=2 * len(indexes), max_size=2 * len(indexes))))
    return draw(SENSORS), indexes, widths, draw(st.integers(1, 60)), draw(st.integers(484, MAX_OCTETS))


def largest_answer(names, narrow=frozenset()):
    """The octets of the answer to these names, if each value has all its octets: those of `narrow` are Counter32, others 64."""
    tags = bytes(ber.COUNTER32 if name in narrow else ber.COUNTER64 for name in names)
    values = [2**32 - 1 if name in narrow else 2**64 - 1 for name in names]
    pdu = Pdu(PduType.RESPONSE, 2**31 - 1, 0, 0, list(names), tags, values)
    return len(encode_message(Message(1, LONGEST_COMMUNITY, pdu)))


@given(wanted())
def test_a_plan_asks_each_oid_once_and_in_order(want):
    """sysUpTime first; and nothing that nobody wanted."""
    sensors, indexes, widths, *_ = want
    plan = make_plan(*want)
    asked = [name for ask in plan.asks for name in ask.request.names]
    assert asked == list(plan.columns)
    assert len(set(asked)) == len(asked)
    assert asked[0] == SYS_UP_TIME
    interfaces = [interface_columns(index, widths[2 * i], widths[2 * i + 1]) for i, index in enumerate(indexes)]
    assert set(asked) == {SYS_UP_TIME, *sensors, *(name for names in interfaces for name in names)}


@given(wanted())
def test_requests_and_their_answers_fit(want):
    """At most so many varbinds and octets, but for one varbind that fits nowhere."""
    _, indexes, widths, max_varbinds, max_octets = want
    interfaces = [interface_columns(index, widths[2 * i], widths[2 * i + 1]) for i, index in enumerate(indexes)]
    narrow = {name for names in interfaces for name in names if is_within(name, IF_ENTRY)}
    at = 0
    for ask in make_plan(*want).asks:
        request, first = ask.request, ask.columns[0]
        assert first == at
        at += len(request.names)
        assert 1 <= len(request.names) <= max_varbinds
        assert largest_answer(request.names, narrow) <= max_octets or len(request.names) == 1


@pytest.mark.parametrize("octets", [*range(484, 520, 3), MAX_OCTETS - 1, MAX_OCTETS])
def test_a_request_is_filled_to_the_last_octet_that_its_answer_has_room_for(octets):
    """Values of the largest size, and a community of 64 octets, or what SNMPv3 takes instead."""
    sensors = [child(SYS_UP_TIME, n) for n in range(100)]
    requests = [ask.request.names for ask in make_plan(sensors, [], b"", 100, octets).asks]
    assert all(largest_answer(names) <= octets for names in requests)
    assert all(largest_answer((*names, SYS_UP_TIME * 5)) > octets - USM_OCTETS for names in requests[:-1])


@pytest.mark.parametrize("octets", [484, 700, MAX_OCTETS])
def test_long_oids_are_asked_one_by_one_if_they_must(octets):
    """Of 112 octets and more the headers grow; of 600 and more one varbind is larger than what is to be kept to."""
    long = [child(SYS_UP_TIME, *[1] * more, n) for more in range(90, 110) for n in range(3)]
    longest = [child(SYS_UP_TIME, *[2**32 - 1] * 118, n) for n in range(3)]
    requests = [ask.request.names for ask in make_plan([*longest, *long, *longest], [], b"", 100, octets).asks]
    assert sum(map(len, requests)) == 1 + len(long) + len(longest)
    for names in requests:
        assert len(names) == 1 or (names and largest_answer(names) <= octets)


@given(wanted())
def test_each_value_finds_the_column_of_its_oid(want):
    """Sensors in their order, then six a time the interfaces' columns."""
    sensors, indexes, widths, *_ = want
    plan = make_plan(*want)
    assert len(plan.slots) == len(sensors) + len(INTERFACE_COLUMNS) * len(indexes)
    assert plan.sensors == sensors
    for i, index in enumerate(indexes):
        names = [plan.columns[plan.slots[slot]] for slot in plan.interface_slots(i)]
        assert names == interface_columns(index, widths[2 * i], widths[2 * i + 1])


@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=12, unique=True), st.integers(6, 60))
def test_an_interface_s_columns_share_a_request_if_they_fit(indexes, max_varbinds):
    plan = make_plan([], indexes, bytes(2 * len(indexes)), max_varbinds)
    request_of = {name: i for i, ask in enumerate(plan.asks) for name in ask.request.names}
    for index in indexes:
        assert len({request_of[name] for name in interface_columns(index, UNKNOWN, UNKNOWN)}) == 1


@given(wanted(), st.integers(1, 60))
def test_devices_of_a_kind_share_one_plan(want, other_varbinds):
    """And one that is asked otherwise has another."""
    sensors, indexes, widths, max_varbinds, _ = want
    planner = Planner()
    plan = planner.plan(sensors, indexes, widths, max_varbinds)
    assert planner.plan(list(sensors), tuple(indexes), bytes(widths), max_varbinds) is plan
    assert plan == make_plan(sensors, indexes, widths, max_varbinds)
    assert (planner.plan(sensors, indexes, widths, other_varbinds) is plan) == (other_varbinds == max_varbinds)


def test_columns_are_those_of_rfc_2863():
    """ifHCInOctets and ifHCOutOctets, or ifInOctets and ifOutOctets; then errors and discards, in and out."""
    if_entry, if_x_entry = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
    others = [f"{if_entry}.{column}.7" for column in (14, 20, 13, 19)]
    wide = [f"{if_x_entry}.6.7", f"{if_x_entry}.10.7", *others]
    narrow = [f"{if_entry}.10.7", f"{if_entry}.16.7", *others]
    assert INTERFACE_COLUMNS == (
        "if_in_octets", "if_out_octets", "if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards",
    )  # fmt: skip
    assert interface_columns(7, UNKNOWN, UNKNOWN) == interface_columns(7, WIDE, WIDE) == [parse_oid(oid) for oid in wide]
    assert interface_columns(7, NARROW, NARROW) == [parse_oid(oid) for oid in narrow]
    assert interface_columns(7, WIDE, NARROW) == [parse_oid(oid) for oid in [wide[0], narrow[1], *others]]


@given(
    st.integers(0, 30),
    st.integers(1, 60),
    st.integers(1, 48),
    st.lists(st.sampled_from([0, BY_NAME, BY_DESCR, UNVERIFIABLE]), min_size=60, max_size=60),
    st.booleans(),
)
def test_each_name_is_asked_once_with_its_counters_or_after_all(sensors, interfaces, max_varbinds, standings, riding):
    """What a name shows is true only of what was read before it, or with it."""
    oids = [parse_oid(f"1.3.6.1.4.1.99999.{n}") for n in range(sensors)]
    watch = Watch(bytes(standings[:interfaces]), 18, riding)
    plan = make_plan(oids, range(1, interfaces + 1), bytes(2 * interfaces), max_varbinds, watch=watch)
    request_of = {column: n for n, ask in enumerate(plan.asks) for column in ask.columns}
    last = max(request_of[column] for column in plan.slots)
    names = list(plan.names) or [0] * interfaces
    assert len(set(names) - {0}) == sum(standing != 0 for standing in standings[:interfaces])
    for i, column in enumerate(names):
        if column:
            own = max(request_of[plan.slots[slot]] for slot in plan.interface_slots(i))
            assert plan.columns[column] == child(IF_NAME if standings[i] == BY_NAME else IF_DESCR, i + 1)
            assert request_of[column] == own or (request_of[column] >= last and not riding) or max_varbinds < 7
            assert request_of[column] >= own


def test_the_names_of_48_interfaces_cost_one_request_and_no_turn():
    """The last turn's interfaces have their names in the requests of their counters; there is room for those of the others."""
    oids = [parse_oid(f"1.3.6.1.4.1.99999.{n}") for n in range(20)]
    plain = make_plan(oids, range(1, 49), bytes(96), 48)
    named = make_plan(oids, range(1, 49), bytes(96), 48, watch=Watch(bytes([BY_NAME]) * 48, 10))
    assert len(named.asks) == len(plain.asks) + 1 == 2 * TOGETHER
    assert turns(named) == turns(plain) == 2
    assert named.slots == plain.slots == range(1, 1 + 20 + 48 * 6), "values are one slice of what was read, in any plan"
    assert named.names == range(1 + 20 + 48 * 6, 1 + 20 + 48 * 7)
    assert [any(column in named.names for column in ask.columns) for ask in named.asks] == [False] * 4 + [True] * 4


@given(st.integers(0, 30), st.integers(13, 60), st.integers(7, 48))
def test_names_never_cost_a_request_more_than_at_the_end_nor_a_turn_more(sensors, interfaces, max_varbinds):
    oids = [parse_oid(f"1.3.6.1.4.1.99999.{n}") for n in range(sensors)]
    want = (
        oids,
        range(1, interfaces + 1),
        bytes(2 * interfaces),
        max_varbinds,
        MAX_OCTETS,
        Watch(bytes([BY_NAME]) * interfaces, 18),
    )
    plan = make_plan(*want)
    for riding_from in (0, interfaces):
        other = lay_out(*want, riding_from)
        assert (len(plan.asks), turns(plan)) <= (len(other.asks), turns(other))


@given(wanted(), st.lists(st.sampled_from([0, BY_NAME, BY_DESCR, UNVERIFIABLE]), min_size=40, max_size=40), st.integers(0, 40))
def test_what_is_asked_of_a_plan_is_in_its_columns(want, standings, riding_from):
    """Each column once, ascending in each request, and as slices too; names behind all else in each, as they stay the same."""
    indexes = want[1]
    plan = lay_out(*want, Watch(bytes(standings[: len(indexes)]), 18), riding_from)
    assert sorted(column for ask in plan.asks for column in ask.columns) == list(range(len(plan.columns)))
    names = {column for column in plan.names if column and column not in plan.slots}
    errors = {plan.slots[i] for n in range(len(indexes)) for i in plan.interface_slots(n)[2:]}
    for ask in plan.asks:
        assert [column for run in ask.runs for column in range(run.start, run.stop)] == sorted(ask.columns) == list(ask.columns)
        assert ask.request.names == tuple(plan.columns[column] for column in ask.columns)
        moving = [column for column in ask.columns if column not in names]
        assert len(moving) == ask.request.steady_from
        idle = {name for run in ask.request.idle for name in ask.request.names[run]}
        assert idle == {plan.columns[column] for column in moving if column in errors}


def test_requests_leave_room_for_the_longest_name():
    """An answer of 48 names of 60 octets is not a datagram of 1,472."""
    named = make_plan([], range(1, 49), bytes(96), 48, watch=Watch(bytes([BY_DESCR]) * 48, 66))
    assert max(sum(column in named.names for column in ask.columns) for ask in named.asks) <= 1472 // (66 + 15)
