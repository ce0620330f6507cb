"""Which ifIndex is which interface, question by question: what is asked, and what follows from each answer."""

import pytest

from towerops_agent.polling.course.identity import (
    IF_LAST_CHANGE,
    IF_OPER_STATUS,
    IF_TABLE_LAST_CHANGE,
    MOST_TWINS,
    Get,
    Identities,
    Interfaces,
    Rows,
    Walk,
    identify,
)
from towerops_agent.polling.course.plan import IF_DESCR, IF_NAME, NARROW_OCTETS, WIDE_OCTETS
from towerops_agent.polling.course.traits import (
    AMBIGUOUS,
    AWAY,
    BY_DESCR,
    BY_NAME,
    DOUBTED,
    NOTHING,
    UNCHECKED,
    UNVERIFIABLE,
)
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, subidentifiers
from towerops_agent.snmp.wire.message import Varbind

ABSENT = (ber.NO_SUCH_INSTANCE, None)


class Device:
    """A device with these columns, and how it answers: what `denied` says it denies by GET; `unheard` never comes.

    `cut`, `silent`: columns whose walk does not come to its end, or ends in silence. `asked`: the questions.
    """

    def __init__(self, columns=None, *, denied=(), unheard=(), cut=(), silent=(), last_change=None):
        self.values = {}
        for column, rows in (columns or {}).items():
            for index, value in rows.items():
                self.values[child(column, index)] = (ber.OCTET_STRING if isinstance(value, bytes) else ber.COUNTER32, value)
        if last_change is not None:
            self.values[IF_TABLE_LAST_CHANGE] = last_change
        self.extra = []
        self.denied, self.unheard, self.cut, self.silent = denied, unheard, cut, silent
        self.asked = []

    def answer(self, question):
        self.asked.append(question)
        if isinstance(question, Get):
            assert question.names
            heard = (name for name in question.names if name not in self.unheard)
            return {name: ABSENT if name in self.denied else self.values.get(name, ABSENT) for name in heard}
        rows = [Varbind(name, tag, value) for name, (tag, value) in self.values.items() if within(name, question.column)]
        rows = sorted(rows + self.extra, key=lambda row: subidentifiers(row.name))
        rows = [row for row in rows if within(row.name, question.column)]
        ends = question.column in self.cut or question.column in self.silent
        return Rows(rows[: len(rows) // 2] if ends else rows, not ends, question.column in self.silent)

    @property
    def walked(self):
        return [question.column for question in self.asked if isinstance(question, Walk)]

    @property
    def got(self):
        return [name for question in self.asked if isinstance(question, Get) for name in question.names]


def within(name, column):
    return name.startswith(column)


def find(device, names, indexes=None, *, places=None, standings=None, samples=None, thorough=True, look=True) -> Identities:
    """The result for interfaces of these names, configured at 1, 2, … if nothing else is said."""
    indexes = list(indexes or range(1, len(names) + 1))
    standings = bytes(len(names)) if standings is None else bytes(standings)
    interfaces = Interfaces(indexes, names, indexes if places is None else places, standings, samples or {})
    course = identify(interfaces, thorough=thorough, look=look)
    answer = None
    while True:
        try:
            question = course.send(answer)
        except StopIteration as end:
            return end.value
        answer = device.answer(question)


def result(found):
    return found.places, list(found.standings)


PORTS = {1: b"ether1", 2: b"ether2", 3: b"wlan1"}
NAMES = ("ether1", "ether2", "wlan1")
UP = {IF_OPER_STATUS: {1: 1, 2: 1, 3: 1}}


def test_names_at_their_places_cost_one_question_and_their_states_one():
    device = Device({IF_NAME: PORTS} | UP)
    found = find(device, NAMES)
    assert result(found) == ((1, 2, 3), [BY_NAME] * 3)
    assert (found.there, found.twins, found.samples, found.settled, found.last_change, found.rows) == ({}, {}, {}, True, None, 0)
    assert device.asked == [
        Get(tuple(child(IF_NAME, n) for n in (1, 2, 3))),
        Get(tuple(child(IF_OPER_STATUS, n) for n in (1, 2, 3))),
        Get((IF_TABLE_LAST_CHANGE,)),
    ]


def test_a_quick_look_asks_for_the_names_only():
    device = Device({IF_NAME: PORTS}, last_change=(ber.TIME_TICKS, 7))
    found = find(device, NAMES, thorough=False)
    assert result(found) == ((1, 2, 3), [BY_NAME] * 3)
    assert found.last_change is None
    assert len(device.asked) == 1


def test_names_that_are_ifdescr_are_found_as_such_also_in_the_column():
    device = Device({IF_DESCR: PORTS} | UP)
    assert result(find(device, NAMES)) == ((1, 2, 3), [BY_DESCR] * 3)
    moved = Device({IF_DESCR: {7: b"ether1"}} | UP)
    assert result(find(moved, ("ether1",))) == ((7,), [BY_DESCR])


def test_an_interface_is_looked_for_at_its_last_and_at_its_configured_index():
    """First at the last one: a device may have its name at both."""
    device = Device({IF_NAME: {1: b"ether1", 9: b"ether1"}, IF_OPER_STATUS: {1: 1, 9: 1}})
    assert result(find(device, ("ether1",), places=[9])) == ((9,), [BY_NAME])
    assert result(find(device, ("ether1",), places=[5])) == ((1,), [BY_NAME])
    assert device.walked == []


def test_a_name_that_has_moved_is_found_in_the_column_and_its_rows_are_counted():
    device = Device({IF_NAME: {4: b"ether1", 5: b"ether2", 6: b"wlan1"}, IF_DESCR: {4: b"x"}} | UP)
    found = find(device, NAMES)
    assert result(found) == ((4, 5, 6), [BY_NAME] * 3)
    assert (found.rows, device.walked) == (3, [IF_NAME])


def test_a_name_that_is_nowhere_is_looked_for_in_both_columns():
    device = Device({IF_NAME: {1: b"other", 2: b"ether2"}, IF_DESCR: {1: b"descr"}} | UP)
    found = find(device, ("ether1", "ether2"))
    assert result(found) == ((1, 2), [AWAY, BY_NAME])
    assert found.there == {0: "other"}
    assert (found.rows, device.walked, found.settled) == (3, [IF_NAME, IF_DESCR], True)


def test_the_name_at_the_configured_index_is_its_ifdescr_if_it_has_no_ifname():
    found = find(Device({IF_NAME: {1: b" "}, IF_DESCR: {1: b"descr "}}), ("ether1",))
    assert found.there == {0: "descr"}


def test_an_interface_that_is_away_has_its_configured_index():
    """Wherever it was read before."""
    device = Device({IF_NAME: {1: b"other", 9: b"another"}})
    assert result(find(device, ("ether1",), places=[9])) == ((1,), [AWAY])


@pytest.mark.parametrize("column", [IF_NAME, IF_DESCR])
@pytest.mark.parametrize(("before", "after"), [(UNCHECKED, UNCHECKED), (BY_NAME, DOUBTED), (AWAY, DOUBTED), (NOTHING, UNCHECKED)])
@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_column_that_was_not_walked_to_its_end_proves_nothing(column, before, after, how):
    device = Device({IF_NAME: PORTS, IF_DESCR: PORTS}, **{how: [column]})
    found = find(device, ("gone",), [7], standings=[before])
    assert result(found) == ((7,), [after])
    assert (found.there, found.settled) == ({}, False)


def test_what_was_found_before_a_device_fell_silent_counts_and_no_other_column_is_walked():
    device = Device({IF_NAME: {1: b"x", 2: b"y", 7: b"ether1", 8: b"z", 9: b"u", 10: b"v"}}, silent=[IF_NAME])
    found = find(device, ("ether1", "gone"), [1, 2])
    assert result(found) == ((7, 2), [BY_NAME, UNCHECKED])
    assert device.walked == [IF_NAME]


@pytest.mark.parametrize(
    "row",
    [
        Varbind(child(IF_NAME, 4, 1), ber.OCTET_STRING, b"a"),
        Varbind(IF_NAME, ber.OCTET_STRING, b"a"),
        Varbind(child(IF_NAME, 4), ber.INTEGER, 4),
    ],
    ids=["two numbers", "no number", "not a text"],
)
def test_a_row_that_is_not_one_of_a_column_of_names_leaves_a_hole(row):
    """What is behind it may be any name."""
    device = Device({IF_NAME: PORTS})
    device.extra = [row]
    assert result(find(device, ("gone",), [3])) == ((3,), [UNCHECKED])


def test_a_row_at_an_index_that_no_oid_may_have_is_not_an_interface_and_not_a_hole():
    device = Device({IF_NAME: {**PORTS, 1 << 32: b"wan", 1 << 70: b"lan"}})
    assert result(find(device, ("wan", "lan", "ether1"), [5, 6, 1])) == ((5, 6, 1), [NOTHING, NOTHING, BY_NAME])
    top = Device({IF_NAME: {(1 << 32) - 1: b"wan"}})
    assert result(find(top, ("wan",), [5])) == (((1 << 32) - 1,), [BY_NAME])


def test_an_empty_name_in_a_column_is_not_a_hole():
    device = Device({IF_NAME: {**PORTS, 4: b""}})
    assert result(find(device, ("gone",), [3])) == ((3,), [AWAY])


@pytest.mark.parametrize("octets", [WIDE_OCTETS[0], NARROW_OCTETS[0]])
def test_of_a_device_without_names_an_interface_is_read_at_its_configured_index_if_it_counts_there(octets):
    device = Device({octets: {1: 100}})
    found = find(device, ("ether1", "ether2"))
    assert result(found) == ((1, 2), [UNVERIFIABLE, NOTHING])
    assert found.settled


def test_of_empty_names_too():
    device = Device({IF_NAME: {1: b""}, IF_DESCR: {1: b""}, NARROW_OCTETS[0]: {1: 100}})
    assert result(find(device, ("ether1",))) == ((1,), [UNVERIFIABLE])


@pytest.mark.parametrize("before", [BY_NAME, BY_DESCR, AWAY, AMBIGUOUS, DOUBTED])
def test_an_interface_that_had_its_name_before_and_lacks_it_now_is_away(before):
    device = Device({NARROW_OCTETS[0]: {1: 100}})
    found = find(device, ("ether1",), standings=[before])
    assert result(found) == ((1,), [AWAY])
    assert found.there == {0: ""}


def test_an_interface_that_is_configured_by_its_name_only_is_found_or_is_nothing():
    device = Device({IF_NAME: PORTS, NARROW_OCTETS[0]: {0: 5}})
    assert result(find(device, ("wlan1", "gone"), [0, 0])) == ((3, 0), [BY_NAME, NOTHING])


def test_a_name_that_a_device_denies_by_get_is_known_from_the_column():
    device = Device({IF_NAME: {1: b"other"}, NARROW_OCTETS[0]: {1: 5}}, denied=[child(IF_NAME, 1)])
    found = find(device, ("ether1",))
    assert result(found) == ((1,), [AWAY])
    assert found.there == {0: "other"}


def test_names_that_were_not_answered_are_not_known_to_be_absent():
    """So the interface is not read: its index may have any name."""
    device = Device({NARROW_OCTETS[0]: {1: 5}}, unheard=[child(IF_DESCR, 1)])
    assert result(find(device, ("ether1",))) == ((1,), [AWAY])


def test_interfaces_without_a_name_are_not_asked_for_and_stay():
    device = Device({IF_NAME: PORTS} | UP)
    found = find(device, ("", " \0", "wlan1"), places=[7, 8, 3])
    assert result(found) == ((7, 8, 3), [0, 0, BY_NAME])
    assert {subidentifiers(name)[-1] for name in device.got if name != IF_TABLE_LAST_CHANGE} == {3}
    bare = Device(last_change=(ber.TIME_TICKS, 7))
    assert find(bare, ("", "")).last_change is None
    assert bare.asked == []


@pytest.mark.parametrize("standing", [AWAY, AMBIGUOUS, NOTHING])
def test_what_is_away_is_looked_for_now_and_then_only(standing):
    device = Device({IF_NAME: {1: b"ether1", 2: b"ether2"}} | UP)
    found = find(device, ("ether1", "ether2"), places=[9, 2], standings=[standing, BY_NAME], look=False)
    assert result(found) == ((9, 2), [standing, BY_NAME])
    assert child(IF_NAME, 1) not in device.got
    assert found.settled
    assert result(find(device, ("ether1", "ether2"), places=[9, 2], standings=[standing, BY_NAME])) == ((1, 2), [BY_NAME] * 2)


@pytest.mark.parametrize("standing", [UNCHECKED, DOUBTED, UNVERIFIABLE, BY_NAME])
def test_all_others_are_looked_for_each_time(standing):
    device = Device({IF_NAME: {1: b"ether1"}} | UP)
    assert result(find(device, ("ether1",), standings=[standing], look=False)) == ((1,), [BY_NAME])


@pytest.mark.parametrize(
    ("answer", "known"),
    [((ber.TIME_TICKS, 7), 7), ((ber.TIME_TICKS, 0), 0), ((ber.COUNTER32, 7), None), ((ber.TIME_TICKS, b"7"), None)],
)
def test_when_rows_came_or_went_last_is_known_from_time_ticks(answer, known):
    assert find(Device({IF_NAME: PORTS} | UP, last_change=answer), NAMES).last_change == known


# Rows with one name


def rows(**columns):
    """Columns by short names."""
    by_name = {
        "name": IF_NAME,
        "descr": IF_DESCR,
        "status": IF_OPER_STATUS,
        "changed": IF_LAST_CHANGE,
        "wide": WIDE_OCTETS[0],
        "narrow": NARROW_OCTETS[0],
    }
    return Device({by_name[name]: values for name, values in columns.items()})


WAN = {1: b"wan", 2: b"wan", 3: b"lan"}


def test_a_row_that_is_not_up_is_suspected_and_left_for_one_of_the_same_name_that_is():
    device = rows(name=WAN, status={1: 2, 2: 1})
    assert result(find(device, ("wan",))) == ((2,), [BY_NAME])


@pytest.mark.parametrize("status", [{1: 1, 2: 1}, {2: 1}, {1: b"up", 2: 1}], ids=["up", "unknown", "a text"])
def test_a_row_that_is_up_or_of_which_that_is_not_known_is_the_interface(status):
    device = rows(name=WAN, status=status)
    assert result(find(device, ("wan",))) == ((1,), [BY_NAME])
    assert device.walked == []


def test_a_row_that_is_not_up_and_the_only_one_of_its_name_stays():
    device = rows(name={1: b"wan", 2: b"lan"}, status={1: 2, 2: 1})
    assert result(find(device, ("wan",))) == ((1,), [BY_NAME])
    assert device.walked == [IF_NAME]


def test_by_ifdescr_it_is_looked_for_in_that_column():
    device = rows(descr=WAN, status={1: 2, 2: 1})
    assert result(find(device, ("wan",))) == ((2,), [BY_DESCR])


def test_of_interfaces_that_are_configured_with_one_name_each_keeps_its_row():
    device = rows(name=WAN, status={1: 2, 2: 1})
    assert result(find(device, ("wan", "wan"))) == ((1, 2), [BY_NAME] * 2)
    assert device.walked == []


def test_a_row_that_another_interface_of_the_name_has_is_not_found_twice():
    device = rows(name={1: b"wan", 9: b"wan"}, status={1: 1, 9: 1})
    assert result(find(device, ("wan", "wan"), [1, 2])) == ((1, 9), [BY_NAME] * 2)


def test_two_interfaces_of_which_one_row_exists_are_not_both_read_there():
    """The one that is configured elsewhere is in doubt for good, with the row that it would have."""
    device = rows(name={1: b"wan"}, status={1: 1})
    found = find(device, ("wan", "wan"), [1, 2], places=[1, 1])
    assert result(found) == ((1, 1), [BY_NAME, AMBIGUOUS])
    assert (found.twins, found.settled) == ({1: (1,)}, False)


def test_one_interface_that_is_configured_twice_is_read_twice():
    device = rows(name={9: b"wan"}, status={9: 1})
    assert result(find(device, ("wan", "wan"), [2, 2], places=[9, 9])) == ((9, 9), [BY_NAME] * 2)


def test_rows_of_one_name_none_of_which_stands_out_are_ambiguous_and_their_counters_are_kept():
    device = rows(name=WAN, status={1: 1, 2: 1}, wide={1: 100}, narrow={1: 7, 2: 200})
    found = find(device, ("wan",), [9])
    assert result(found) == ((9,), [AMBIGUOUS])
    assert (found.twins, found.samples, found.settled) == ({0: (1, 2)}, {1: 100, 2: 200}, False)
    moved = rows(name=WAN, status={1: 1, 2: 1}, wide={1: 101}, narrow={2: 200})
    assert result(find(moved, ("wan",), [9], samples=found.samples)) == ((1,), [BY_NAME])


def test_a_counter_that_is_gone_has_not_moved():
    device = rows(name=WAN, status={1: 1, 2: 1}, wide={1: 100})
    assert result(find(device, ("wan",), [9], samples={1: 100, 2: 200})) == ((9,), [AMBIGUOUS])


def test_a_row_whose_counter_was_not_known_before_has_not_moved():
    device = rows(name=WAN, status={1: 1, 2: 1}, wide={1: 101, 2: 200})
    assert result(find(device, ("wan",), [9], samples={2: 200})) == ((9,), [AMBIGUOUS])


def test_of_many_rows_of_one_name_so_many_are_looked_at():
    many = dict.fromkeys(range(1, MOST_TWINS + 2), b"wan")
    device = rows(name=many, status=dict.fromkeys(many, 1))
    found = find(device, ("wan",), [99])
    assert found.twins == {0: tuple(range(1, MOST_TWINS + 1))}


def test_twins_of_one_column_are_not_looked_for_in_the_other():
    device = rows(name=WAN, descr={7: b"wan"}, status={1: 1, 2: 1})
    assert result(find(device, ("wan",), [9])) == ((9,), [AMBIGUOUS])
    assert device.walked == [IF_NAME]


# Names in another index space than the counters


@pytest.mark.parametrize(
    ("counters", "place", "standing"),
    [
        ({1: 5}, 1, UNVERIFIABLE),  # counters at the configured index, which has no name, and none at the name's row
        ({1: 5, 101: 7}, 101, BY_NAME),
        ({101: 7}, 101, BY_NAME),
        ({}, 101, BY_NAME),
    ],
)
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_a_name_in_another_index_space_is_not_a_place_of_counters(counters, place, standing, width):
    device = rows(name={101: b"ether1"}, status={101: 1}, **{width: counters})
    assert result(find(device, ("ether1",), [1])) == ((place,), [standing])


def test_that_is_not_asked_of_an_interface_whose_index_has_a_name():
    device = rows(name={1: b"other", 101: b"ether1"}, status={101: 1}, wide={1: 5})
    assert result(find(device, ("ether1",), [1])) == ((101,), [BY_NAME])
    assert child(WIDE_OCTETS[0], 1) not in device.got
