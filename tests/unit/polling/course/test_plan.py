"""The plan of one kind of device: which columns, in which requests, and which of them prove others."""

import weakref

import pytest

from support.steps import SENSORS
from towerops_agent.polling.course.plan import (
    IF_DESCR,
    IF_NAME,
    IF_TABLE_LAST_CHANGE,
    LATEST_PLANS,
    RIDING_AT_MOST,
    SYS_UP_TIME,
    WIDE_OCTETS,
    Planner,
    Watch,
    at,
    interface_columns,
    make_plan,
)
from towerops_agent.polling.course.traits import ATTEMPTS, BY_DESCR, BY_NAME, NARROW, UNVERIFIABLE, WIDE
from towerops_agent.snmp.wire.ber import child


def named(count, max_varbinds, watch=None, sensors=0):
    """A plan of so many interfaces, all of which have an ifName."""
    watch = watch or Watch(bytes([BY_NAME]) * count, 10)
    return make_plan(SENSORS[:sensors], range(1, count + 1), bytes([WIDE]) * 2 * count, max_varbinds, watch=watch)


def groups(plan):
    """The columns of each request."""
    return [list(ask.columns) for ask in plan.asks]


def behind(plan):
    """The interfaces whose name is in a request behind one that has a counter of theirs; and whether that request says so."""
    request_of = {column: n for n, ask in enumerate(plan.asks) for column in ask.columns}
    found = []
    for i, name in enumerate(plan.names):
        counters = [plan.slots[slot] for slot in plan.interface_slots(i)]
        before = [column for column in counters if request_of[column] < request_of[name]]
        if before:
            found.append(i)
            assert plan.asks[request_of[name]].proves > max(before)
    return found


def test_a_plan_of_nothing_asks_for_the_sysuptime():
    plan = make_plan([], [], b"", 24)
    assert (plan.columns, list(plan.slots), plan.sensor_count, plan.if_indexes) == ((SYS_UP_TIME,), [], 0, ())
    assert groups(plan) == [[0]]
    assert (plan.names, plan.last_change) == ((), 0)
    (ask,) = plan.asks
    assert (ask.again, ask.attempts, ask.by_next, ask.proves) == (False, ATTEMPTS, False, 0)


def test_sensors_then_interfaces_in_their_order():
    plan = make_plan(SENSORS[:2], [7, 3], bytes([WIDE, WIDE, NARROW, NARROW]), 24)
    wanted = [*SENSORS[:2], *interface_columns(7, WIDE, WIDE), *interface_columns(3, NARROW, NARROW)]
    assert plan.columns == (SYS_UP_TIME, *wanted)
    assert plan.values == wanted
    assert plan.sensors == SENSORS[:2]
    assert (plan.slots, plan.if_indexes) == (range(1, 15), (7, 3))
    assert plan.interface_slots(1) == range(8, 14)


def test_an_oid_that_is_wanted_twice_is_asked_once_and_both_have_its_column():
    counter = interface_columns(3, WIDE, WIDE)[0]
    plan = make_plan([counter, SENSORS[0], counter, SYS_UP_TIME], [3], bytes([WIDE, WIDE]), 24)
    assert list(plan.slots) == [1, 2, 1, 0, 1, 3, 4, 5, 6, 7]
    assert len(plan.columns) == 8
    assert plan.values[:4] == [counter, SENSORS[0], counter, SYS_UP_TIME]


def test_when_rows_came_or_went_is_asked_in_the_first_request():
    plan = make_plan(SENSORS[:1], [], b"", 24, watch=Watch(last_change=True))
    assert plan.columns == (SYS_UP_TIME, IF_TABLE_LAST_CHANGE, SENSORS[0])
    assert plan.last_change == 1
    assert plan.columns[plan.last_change] == IF_TABLE_LAST_CHANGE


def test_the_name_of_each_interface_that_has_one_is_asked_of_its_column():
    watch = Watch(bytes([BY_NAME, 0, BY_DESCR, UNVERIFIABLE]), 10)
    plan = named(4, 48, watch)
    names = [plan.columns[column] if column else None for column in plan.names]
    assert names == [child(IF_NAME, 1), None, child(IF_DESCR, 3), child(IF_DESCR, 4)]
    assert make_plan([], [1], bytes(2), 24, watch=Watch(b"\0", 10)).names == ()


def test_names_share_the_requests_of_their_counters():
    plan = named(3, 7)
    assert [len(columns) for columns in groups(plan)] == [1, 7, 7, 7]
    assert behind(plan) == []
    assert not any(ask.proves for ask in plan.asks)


def test_the_names_of_few_interfaces_do_so_though_it_costs_requests_and_those_of_more_follow_their_counters():
    few, more = named(RIDING_AT_MOST, 12), named(RIDING_AT_MOST + 1, 12)
    assert behind(few) == []
    assert behind(more)
    assert len(more.asks) < len(few.asks)


def test_names_ride_in_any_case_if_that_is_required():
    plan = named(20, 12, Watch(bytes([BY_NAME]) * 20, 10, riding=True))
    assert len(plan.asks) > len(named(20, 12).asks)
    assert behind(plan) == []


@pytest.mark.parametrize(("max_varbinds", "name_octets"), [(4, 10), (24, 1200)], ids=["in a request", "in a datagram"])
def test_an_interface_whose_columns_do_not_fit_is_asked_in_parts_and_its_name_proves_the_counters_before_it(
    max_varbinds, name_octets
):
    plan = named(1, max_varbinds, Watch(bytes([BY_NAME]), name_octets))
    assert len(plan.asks) == 2
    assert behind(plan) == [0]


def test_names_take_the_room_of_the_longest():
    """So that the answer fits a datagram."""
    short, long = (named(40, 48, Watch(bytes([BY_NAME]) * 40, octets)) for octets in (10, 66))
    assert len(long.asks) > len(short.asks)


@pytest.mark.parametrize("columns", [range(1, 4), range(1, 8, 3), (3, 1, 2), [7], range(0), ()])
def test_what_was_read_in_some_columns_is_in_their_order(columns):
    read = list("abcdefgh")
    assert list(at(read, columns)) == [read[column] for column in columns]


def test_the_latest_plans_are_kept_for_the_next_device_of_their_kind_and_older_ones_if_a_device_has_them():
    planner = Planner()

    def plan(n):
        return planner.plan(SENSORS[:n], [], b"", 24)

    first, held = weakref.ref(plan(0)), plan(1)
    for n in range(2, LATEST_PLANS):
        plan(n)
    assert first() is not None
    plan(LATEST_PLANS)
    assert first() is None
    for n in range(LATEST_PLANS + 1, LATEST_PLANS + 4):
        plan(n)
    assert plan(1) is held


def test_a_plan_that_watches_is_another_one():
    planner = Planner()
    watch = Watch(bytes([BY_NAME]), 10)
    wanted = ([], [1], bytes([WIDE, WIDE]), 24)
    assert planner.plan(*wanted, watch) == make_plan(*wanted, watch=watch)
    assert planner.plan(*wanted) == make_plan(*wanted)
    assert planner.plan(*wanted).columns[1] == child(WIDE_OCTETS[0], 1)


def test_names_that_are_the_same_are_one_tuple():
    planner = Planner()
    names = planner.shared(iter(["ether1", "ether2"]))
    assert names == ("ether1", "ether2")
    assert planner.shared(["ether1", "ether2"]) is names
    assert planner.shared(["ether1"]) == ("ether1",)


def test_units_are_kept_once_all_are_known():
    """They become known one by one: each step of 10,000 devices was kept for as long as the agent ran."""
    planner = Planner()
    whole, again = ((*"#V",) for _ in range(2))
    assert planner.shared_units(whole) is whole
    assert planner.shared_units(again) is whole
    part, again = ((*"#", "") for _ in range(2))
    assert planner.shared_units(part) is part
    assert planner.shared_units(again) is again
    assert part is not again
