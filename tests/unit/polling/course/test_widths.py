"""Which octet counters of an interface count: each pair of what a device has at the wide and at the narrow ones."""

import pytest

from towerops_agent.polling.course.plan import NARROW_OCTETS, WIDE_OCTETS, make_plan
from towerops_agent.polling.course.traits import NARROW, UNKNOWN, WIDE
from towerops_agent.polling.course.widths import LARGEST_COUNT, Narrow, learned
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child

U, N, W = UNKNOWN, NARROW, WIDE
ABSENT = None
BOTH = bytes([U, U])


class Text(bytes):
    """An OCTET STRING; other octets are an Opaque."""


def tag_of(value):
    if value is ABSENT:
        return ber.NO_SUCH_INSTANCE
    if isinstance(value, Text):
        return ber.OCTET_STRING
    return ber.OPAQUE if isinstance(value, bytes) else ber.COUNTER64


class Answered:
    """A poll of interfaces 1, 2, …: each with what it has of (wide in, wide out, narrow in, narrow out)."""

    def __init__(self, *interfaces, widths=BOTH, sensors=(), looks_twice=True):
        self.widths = widths if len(widths) == 2 * len(interfaces) else widths * len(interfaces)
        self.has = {
            child(column, i): value
            for i, values in enumerate(interfaces, 1)
            for column, value in zip((*WIDE_OCTETS, *NARROW_OCTETS), values, strict=True)
        }
        self.plan = make_plan(sensors, range(1, len(interfaces) + 1), self.widths, 24)
        self.names = self.plan.columns
        self._read()
        self.narrow = Narrow(self.plan, self.widths, self.names)
        self.narrow.add(self.tags, self.values)
        self.asked = self.narrow.names[len(self.names) :]
        self.names = self.narrow.names
        self._read()
        self.twice = self.narrow.idle_beside_counting(self.tags, self.values)
        self.received_us = [1] * len(self.plan.columns) + [2] * len(self.asked)
        for column in self.twice if looks_twice else ():
            self.received_us[column] = 3
        self.slots = self.narrow.stand_in(self.plan.slots, self.tags, self.values)

    def _read(self):
        values = [self.has.get(name) for name in self.names]
        self.tags = bytearray(map(tag_of, values))
        self.values = values

    @property
    def chosen(self):
        """The column of the in and out octets of each interface: W or N."""
        names = [
            self.names[self.slots[self.plan.interface_slots(i)[d]]] for i in range(len(self.plan.if_indexes)) for d in (0, 1)
        ]
        return [N if name.startswith(NARROW_OCTETS) else W for name in names]

    @property
    def learned(self):
        return list(learned(self.plan, self.widths, self.slots, self.tags, self.values, self.received_us))


OPAQUE_42 = bytes.fromhex("9f760142")  # an Opaque Counter64 of net-snmp: 0x42
OPAQUE_HALF = bytes.fromhex("9f78043f000000")  # an Opaque float: 0.5

CASES = {
    "both count": ((5, 6, 7, 8), False, [W, W], [W, W]),
    "the wide ones are lacking": ((ABSENT, ABSENT, 7, 8), True, [N, N], [N, N]),
    "the wide ones stand at 0 for good": ((0, 0, 7, 8), True, [N, N], [N, N]),
    "one of the wide ones stands at 0 for good": ((0, 6, 7, 8), True, [N, N], [N, N]),
    "one wide counter is lacking": ((5, ABSENT, 7, 8), True, [N, N], [N, N]),
    "nothing has been counted": ((0, 0, 0, 0), True, [W, W], [U, U]),
    "nothing came in, by both": ((0, 6, 0, 8), True, [W, W], [W, W]),
    "nothing went out, by both": ((5, 0, 7, 0), True, [W, W], [W, W]),
    "one is lacking by both": ((ABSENT, 6, ABSENT, 8), True, [W, W], [U, W]),
    "one narrow counter is lacking": ((ABSENT, ABSENT, 7, ABSENT), True, [N, W], [N, U]),
    "a narrow counter at 0 counts": ((0, ABSENT, 0, 8), True, [N, N], [N, N]),
    "the interface is away": ((ABSENT,) * 4, True, [W, W], [U, U]),
    "only wide ones at 0 are there": ((0, 0, ABSENT, ABSENT), True, [W, W], [U, U]),
    "the largest counter": ((LARGEST_COUNT, 1, 7, 8), False, [W, W], [W, W]),
    "all ones, as of firmware without a counter": (((1 << 64) - 1, (1 << 64) - 1, 7, 8), True, [N, N], [N, N]),
    "a negative counter": (((1 << 64) - 1_242_228, 6, 7, 8), True, [N, N], [N, N]),
    "32 bits with their sign": (((1 << 64) - (1 << 31), 6, 7, 8), True, [N, N], [N, N]),
    "larger than a counter": ((1 << 64, 6, 7, 8), True, [N, N], [N, N]),
    "below 0": ((-1, 6, 7, 8), True, [N, N], [N, N]),
    "a counter in an Opaque": ((OPAQUE_42, 6, 7, 8), False, [W, W], [W, W]),
    "a fraction in an Opaque": ((OPAQUE_HALF, 6, 7, 8), True, [N, N], [N, N]),
    "narrow counters in an Opaque": ((ABSENT, ABSENT, OPAQUE_42, OPAQUE_42), True, [N, N], [N, N]),
    "a text that looks as an Opaque counter": ((Text(OPAQUE_42), 6, 7, 8), True, [N, N], [N, N]),
    "octets that are not a number": ((b"", 6, 7, 8), True, [N, N], [N, N]),
}


@pytest.mark.parametrize(("has", "asks", "chosen", "widths"), CASES.values(), ids=CASES)
def test_one_width_counts_for_an_interface(has, asks, chosen, widths):
    poll = Answered(has)
    assert poll.asked == ([child(column, 1) for column in NARROW_OCTETS] if asks else [])
    assert poll.chosen == chosen
    assert poll.learned == widths


@pytest.mark.parametrize(
    ("before", "has", "asks", "chosen", "widths"),
    [
        ([W, W], (ABSENT, 0, 7, 8), False, [W, W], [W, W]),
        ([N, N], (5, 6, ABSENT, 8), False, [N, N], [N, N]),
        ([W, U], (ABSENT, ABSENT, 7, 8), True, [W, N], [W, N]),
        ([U, W], (0, 0, 7, 8), True, [N, W], [N, W]),
    ],
)
def test_a_width_once_learned_is_kept(before, has, asks, chosen, widths):
    poll = Answered(has, widths=bytes(before))
    assert (bool(poll.asked), poll.chosen, poll.learned) == (asks, chosen, widths)


def test_interfaces_that_have_not_counted_are_as_the_others_if_those_are_all_wide():
    idle = (0, 0, 0, 0)
    assert Answered((5, 6, 7, 8), idle).learned == [W, W, W, W]
    assert Answered((ABSENT, ABSENT, 7, 8), idle).learned == [N, N, U, U]
    assert Answered((ABSENT, ABSENT, 7, 8), (5, 6, 7, 8), idle).learned == [N, N, W, W, U, U]
    assert Answered(idle, idle).learned == [U, U, U, U]


def test_each_interface_is_asked_for_its_own_counters():
    poll = Answered((5, 6, 7, 8), (ABSENT, ABSENT, 17, 18), (0, 1, 0, 1))
    assert poll.asked == [child(column, i) for i in (2, 3) for column in NARROW_OCTETS]
    assert poll.chosen == [W, W, N, N, W, W]
    values = [poll.values[poll.slots[poll.plan.interface_slots(1)[direction]]] for direction in (0, 1)]
    assert values == [17, 18]


def test_a_counter_that_is_a_sensor_too_is_asked_once():
    sensor = child(NARROW_OCTETS[1], 1)
    poll = Answered((ABSENT, ABSENT, 7, 8), sensors=[sensor])
    assert poll.asked == [child(NARROW_OCTETS[0], 1)]
    assert poll.chosen == [N, N]
    assert poll.values[poll.slots[poll.plan.interface_slots(0)[1]]] == 8
    assert poll.slots[0] == poll.plan.slots[0], "the sensor has its own place"


def test_slots_that_need_no_change_stay_the_same_object():
    """As a range they are read in one slice."""
    poll = Answered((5, 6, 7, 8))
    assert poll.slots is poll.plan.slots


def test_each_interface_has_its_own_widths():
    """Interfaces 1, 3 and 5 are known, whatever they answer now; 2 needs no narrow counters, and 4 does."""
    silent, idle, lacking = (ABSENT,) * 4, (0, 6, 0, 8), (ABSENT, ABSENT, 17, 18)
    poll = Answered(silent, idle, silent, lacking, silent, widths=bytes([W, W, U, U, N, W, U, U, W, N]))
    assert poll.asked == [child(column, i) for i in (2, 4) for column in NARROW_OCTETS]
    assert poll.chosen == [W, W, W, W, N, W, N, N, W, N]
    assert poll.learned == [W, W, U, W, N, W, N, N, W, N]


@pytest.mark.parametrize(
    ("has", "twice", "widths"),
    [
        ((0, 0, 7, 8), [0, 1], [U, U]),
        ((0, 6, 7, 8), [0], [U, U]),
        ((5, 0, 7, 8), [1], [U, U]),
        ((0, 0, 0, 8), [1], [U, U]),
        ((0, ABSENT, 7, 8), [0], [U, U]),
        ((0, 6, 0, 8), [], [W, W]),
        ((ABSENT, 6, 7, 8), [], [N, N]),
        ((0, 0, 0, 0), [], [U, U]),
    ],
)
def test_a_wide_counter_at_0_is_given_up_only_if_it_was_read_behind_the_narrow_one_that_counts(has, twice, widths):
    poll = Answered(has, looks_twice=False)
    assert poll.twice == [poll.plan.slots[direction] for direction in twice]
    assert poll.learned == widths
