"""The course of a poll, whatever the device does: it ends, it reports the truth, and it reads all that a sane device has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.adversary import Adversary, devices, hold, names_of, replanned, run_poll
from towerops_agent.model import Poll
from towerops_agent.polling.course.interpret import interpret, number
from towerops_agent.polling.course.plan import NARROW_OCTETS, WIDE_OCTETS, Watch, make_plan, turns
from towerops_agent.polling.course.progress import PollProgress
from towerops_agent.polling.course.traits import (
    BY_NAME,
    CLEAN_POLLS,
    LARGEST_VARBINDS,
    NARROW,
    SERIAL_S,
    STARTING_VARBINDS,
    STUMBLED_FIRST,
    TOGETHER,
    UNKNOWN,
    WIDE,
    Traits,
)
from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import child, parse_oid
from towerops_agent.snmp.wire.exchange import NoReply

COUNTERS = (ber.COUNTER32, ber.COUNTER64, ber.GAUGE32, ber.TIME_TICKS, ber.UINTEGER32, ber.INTEGER)
ABSENT = (ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW)
POLLS = 3


def most_asks(plan):
    """Halving n columns down to one takes 2n - 1 requests, and n singles are asked twice; a probe may go with each.

    What is denied is asked by GETNEXT: 2n - 1 again. Of several under way, as many may be asked in vain.
    """
    columns = len(plan.columns) + 2 * len(plan.if_indexes)
    return 8 * columns + 2 + TOGETHER


def polls(drawn):
    """Some polls in a row, each with the traits learned before it."""
    device, plan, traits = drawn
    for _ in range(POLLS):
        device.given.clear()
        device.refused.clear()
        device.unreadable.clear()
        known = traits.widths
        progress, asked = run_poll(device, plan, traits, most_asks(plan))
        yield device, plan, traits, known, progress, asked
        plan = replanned(plan, traits)
        for name in device.passing:
            device.held[name] = hold("noSuchInstance", 0)


def reading(slot, sensor_count, held):
    """What a varbind is worth: a number, or the reason why it is not one. A counter is a number that is not negative."""
    tag, value = held
    if slot < sensor_count or tag in (*ABSENT, ber.NULL):
        return number(tag, value)
    if tag in COUNTERS:
        return value if value >= 0 else Reason.NEGATIVE_COUNTER
    return Reason.NOT_A_COUNTER


@given(devices())
def test_a_poll_ends_and_says_nothing_but_what_the_device_said(drawn):
    """Each value is the one that the device gave under that name; each missing one has a reason that the device gave."""
    for device, plan, _, _, progress, _ in polls(drawn):
        poll, missing = (result := interpret(progress, 1, 0)).poll, result.missing
        assert len(poll.values) == len(plan.slots)
        for slot, value in enumerate(poll.values):
            name = progress.names[progress.slots[slot]]
            assert (value is None) == (slot in missing)
            if name not in device.given:
                assert value is None
                assert missing[slot] in device.refused[name] | device_wide(device)
                continue
            truth = reading(slot, plan.sensor_count, device.given[name] if name in device.denied else device.held[name])
            if value is not None:
                assert value == truth
            elif name in device.unreadable:
                assert missing[slot] in {"unreadable", truth} | device.refused[name] | device_wide(device)
            else:
                assert isinstance(truth, str)


def device_wide(device):
    """What ends a poll before all is asked."""
    return {{"silent": "timeout", "unreachable": "unreachable"}.get(told, "") for told in device.told}


@given(devices())
def test_each_value_is_of_the_oid_that_its_sensor_or_interface_names(drawn):
    for _, plan, _, known, progress, _ in polls(drawn):
        asked = [progress.names[column] for column in progress.slots]
        assert asked[: plan.sensor_count] == plan.sensors
        for i, if_index in enumerate(plan.if_indexes):
            for direction in (0, 1):
                name = asked[plan.interface_slots(i)[direction]]
                wide, narrow = (child(columns[direction], if_index) for columns in (WIDE_OCTETS, NARROW_OCTETS))
                width = known[2 * i + direction]
                assert name in {NARROW: [narrow], WIDE: [wide], UNKNOWN: [wide, narrow]}[width]
            assert [progress.names[progress.slots[slot]] for slot in plan.interface_slots(i)][2:] == [
                child(parse_oid("1.3.6.1.2.1.2.2.1"), column, if_index) for column in (14, 20, 13, 19)
            ]


@given(devices())
def test_a_narrow_counter_stands_in_only_if_a_wide_one_of_its_interface_is_of_no_use(drawn):
    """It can't be read, for whatever reason, or stands at 0 while the narrow one does not."""
    for _, plan, _, known, progress, _ in polls(drawn):
        for i, if_index in enumerate(plan.if_indexes):
            names = [progress.names[progress.slots[slot]] for slot in plan.interface_slots(i)[:2]]
            for direction in (0, 1):
                if names[direction] == child(NARROW_OCTETS[direction], if_index) and known[2 * i + direction] == UNKNOWN:
                    wide = [progress.values[plan.slots[slot]] for slot in plan.interface_slots(i)[:2]]
                    assert any(not isinstance(value, int) or value <= 0 for value in wide)


@given(devices())
def test_a_width_is_learned_from_a_counter_that_was_read_and_then_kept(drawn):
    """An odd answer, such as a NULL, teaches nothing."""
    for device, plan, traits, known, _, _ in polls(drawn):
        for i, (before, after) in enumerate(zip(known, traits.widths, strict=True)):
            if before != UNKNOWN:
                assert after == before
            elif after != UNKNOWN:
                interface, direction = divmod(i, 2)
                column = (WIDE_OCTETS if after == WIDE else NARROW_OCTETS)[direction]
                tag, value = device.given[child(column, plan.if_indexes[interface])]
                assert tag in COUNTERS
                assert value >= 0


class LimitedDevice(Adversary):
    """A sane device that accepts so many varbinds a request, and says of more that they are too big, or nothing, or a part.

    Or it answers, and what is too much for it can't be read.
    """

    def __init__(self, held, limit, manner):
        super().__init__(held, [("honest", 0, 0)])
        self.limit, self.manner = limit, manner

    def answer(self, request):
        fits = len(request.names) <= self.limit
        self._behaviours = iter([("honest", 0, 0) if fits else (self.manner, self.limit, 0)])
        return super().answer(request)


MANNERS = ("too_big", "too_big_with_varbinds", "silent", "cut", "empty", "spoilt")


def limited(limit, manner, sensors=20, interfaces=3):
    """A device of that limit, and the plan that reads all of it."""
    oids = [child(parse_oid("1.3.6.1.4.1.99999.2"), n) for n in range(sensors)]
    indexes = range(1, 1 + interfaces)
    held = {name: hold("counter", n) for n, name in enumerate(names_of(oids, indexes))}
    traits = Traits(widths=bytes(2 * interfaces))
    return LimitedDevice(held, limit, manner), make_plan(oids, list(indexes), traits.widths, traits.max_varbinds), traits


@given(st.integers(1, 30), st.sampled_from(MANNERS))
def test_a_device_is_read_completely_whatever_it_accepts(limit, manner):
    """In the first poll, which learns the limit, and in those after it."""
    device, plan, traits = limited(limit, manner)
    for _ in range(POLLS):
        progress, _ = run_poll(device, plan, traits, most_asks(plan))
        result = interpret(progress, 1, 0)
        assert result.missing == {}
        assert result.poll.metric_count == 23
        plan = replanned(plan, traits)


@pytest.mark.parametrize("limit", range(1, STARTING_VARBINDS + 1))
@pytest.mark.parametrize("manner", ["too_big", "too_big_with_varbinds", "silent", "spoilt"])
def test_the_size_settles_at_the_most_that_the_device_accepts(limit, manner):
    """Whether it says what is too big, is silent then, or gives values without octets: in the end nothing is asked in vain."""
    device, plan, traits = limited(limit, manner, sensors=60, interfaces=0)
    for _ in range(3 * STARTING_VARBINDS):
        run_poll(device, plan, traits, most_asks(plan))
        plan = replanned(plan, traits)
    device.told.clear()
    run_poll(device, plan, traits, most_asks(plan))
    assert set(device.told) == {"honest"}
    assert traits.max_varbinds == limit


def test_a_poll_of_a_dead_device_is_one_request():
    """And two small probes; the next poll is one probe."""
    device, plan, traits = limited(0, "silent")
    for asks in (3, 1, 1):
        progress, asked = run_poll(device, plan, traits, most_asks(plan))
        assert len(asked) == asks
        assert not progress.heard
        result = interpret(progress, 1, 0)
        assert set(result.missing.values()) == {"timeout"}
        assert result.poll == Poll(1, 0, (None,) * len(plan.slots), ((23, 0),), 0)


def test_a_device_that_comes_back_is_read_in_the_same_poll():
    device, plan, traits = limited(0, "silent")
    run_poll(device, plan, traits, most_asks(plan))
    device.limit = 99
    progress, asked = run_poll(device, plan, traits, most_asks(plan))
    assert len(asked[0].names) == 1
    assert interpret(progress, 1, 0).missing == {}


class MoodyDevice(Adversary):
    """A sane device that answers its first requests of several varbinds by these manners, and all others honestly."""

    def __init__(self, held, manners=()):
        super().__init__(held, [])
        self.manners = iter(manners)

    def answer(self, request):
        manner = next(self.manners, "honest") if len(request.names) > 2 else "honest"
        self._behaviours = iter([(manner, 2, 0)])
        return super().answer(request)


def known(manners=(), interfaces=10):
    """A device that is known, with its plan of many small requests."""
    sensors = [child(parse_oid("1.3.6.1.4.1.99999.2"), n) for n in range(30)]
    indexes = range(1, 1 + interfaces)
    held = {name: hold("counter", n) for n, name in enumerate(names_of(sensors, indexes))}
    traits = Traits(widths=bytes(2 * interfaces), clean_polls=CLEAN_POLLS, srtt_s=0.01)
    return MoodyDevice(held, manners), make_plan(sensors, indexes, traits.widths, 7), traits


@given(st.lists(st.sampled_from(("honest", "silent", "too_big", "shuffled", "cut", "empty")), min_size=1, max_size=12))
def test_several_requests_under_way_change_nothing_but_the_time(manners):
    """Whatever happens to some of them, several silences at once too, all is read."""
    device, plan, traits = known(manners)
    progress, _ = run_poll(device, plan, traits, most_asks(plan))
    assert interpret(progress, 1, 0).missing == {}


def test_a_device_that_stumbles_over_several_requests_is_asked_one_by_one_from_then_on():
    device, plan, traits = known()
    assert traits.together == TOGETHER
    progress = PollProgress(plan, traits)
    asks = progress.next_together()
    assert len(asks) == TOGETHER
    lost = [NoReply(Reason.TIMEOUT, 1)] * (TOGETHER - 2)
    progress.take_together(asks, [*(device.answer(ask.request) for ask in asks[:2]), *lost])
    assert traits.together == 1
    assert progress.next_together() == []
    assert [progress.next_ask(), progress.next_ask()] == asks[2:], "and first what was not answered"


@pytest.mark.parametrize("is_down", [True, False])
def test_a_device_that_answers_none_of_its_first_requests_has_stumbled_only_if_it_answers_one_by_itself(is_down):
    device, plan, traits = known()
    progress = PollProgress(plan, traits)
    asks = progress.next_together()
    progress.take_together(asks, [NoReply(Reason.TIMEOUT, 1)] * len(asks))
    assert progress.next_together() == []
    first = progress.next_ask()
    assert first is asks[0]
    progress.take(first, NoReply(Reason.TIMEOUT, 3) if is_down else device.answer(first.request))
    while (ask := progress.next_ask()) is not None:
        progress.take(ask, NoReply(Reason.TIMEOUT, 3) if is_down else device.answer(ask.request))
    progress.finish()
    assert traits.clean_polls == (0 if is_down else -STUMBLED_FIRST)
    assert bool(progress.failures) == is_down


def test_a_device_that_lacks_some_oids_has_several_requests_under_way_all_the_same():
    """Only one that has nothing but the first OID of a request is asked for the others by itself."""
    device, plan, traits = known()
    absent = {ask.columns[-1] for ask in plan.asks}
    for column in absent:
        device.held[plan.columns[column]] = hold("noSuchInstance", 0)
    for _ in range(2):
        progress, _ = run_poll(device, plan, traits, most_asks(plan))
        assert {column for column, tag in enumerate(progress.tags) if tag in ABSENT} >= absent
        assert (traits.together, traits.stumbles) == (TOGETHER, 0)
    asks = (progress := PollProgress(plan, traits)).next_together()
    answers = [device.answer(ask.request) for ask in asks]
    count = len(asks[1].columns)
    only = replace(answers[1].pdu, tags=answers[1].pdu.tags[:1] + bytes([ber.NO_SUCH_OBJECT]) * (count - 1))
    progress.take_together(asks, [answers[0], replace(answers[1], pdu=only), *answers[2:]])
    assert progress.next_ask() is asks[1]


def test_a_device_that_gives_its_uptime_for_each_oid_of_its_first_request_is_found_out_all_the_same():
    device, plan, traits = known()
    progress = PollProgress(plan, traits)
    asks = progress.next_together()
    answers = [device.answer(ask.request) for ask in asks]
    count = len(asks[0].columns)
    echo = replace(answers[0], pdu=replace(answers[0].pdu, tags=bytes([ber.TIME_TICKS]) * count, values=[4711] * count))
    progress.take_together(asks, [echo, *answers[1:]])
    assert not any(progress.tags[column] for column in asks[0].columns)
    ask = progress.next_ask()
    assert ask is asks[0]
    progress.take(ask, echo)
    assert len(progress.next_ask().columns) == 1


def test_answers_that_come_one_after_the_other_are_of_a_device_that_does_one_thing_at_a_time():
    device, plan, traits = known()
    progress = PollProgress(plan, traits)
    asks = progress.next_together()
    answers = [replace(device.answer(ask.request), rtt_s=SERIAL_S * n / 3) for n, ask in enumerate(asks, 1)]
    progress.take_together(asks, answers)
    assert traits.together == 1
    assert progress.next_together() == []
    assert progress.failures == {}
    assert traits.stumbles == 0, "the agent may have been late to read them"


@given(st.integers(0, 40), st.integers(13, 60), st.integers(STARTING_VARBINDS, LARGEST_VARBINDS))
def test_a_name_is_asked_with_its_counters_or_when_they_are_answered(sensors, interfaces, max_varbinds):
    """It is true of the counters that were read before it: so it is never under way with them in another request."""
    oids = [child(parse_oid("1.3.6.1.4.1.99999.2"), n) for n in range(sensors)]
    indexes = range(1, 1 + interfaces)
    plan = make_plan(oids, indexes, bytes(2 * interfaces), max_varbinds, watch=Watch(bytes([BY_NAME]) * interfaces, 10))
    traits = Traits(widths=bytes(2 * interfaces), clean_polls=CLEAN_POLLS, srtt_s=0.01, max_varbinds=max_varbinds)
    progress = PollProgress(plan, traits)
    device = Adversary({name: hold("counter", n) for n, name in enumerate(plan.columns)}, [("honest", 0, 0)])
    asked: dict[int, tuple[int, int]] = {}  # by column, in which turn, and in which of its requests
    taken = 0
    while asks := progress.next_together():
        assert len(asks) <= TOGETHER
        asked |= {column: (taken, n) for n, ask in enumerate(asks) for column in ask.columns}
        progress.take_together(asks, [device.answer(ask.request) for ask in asks])
        taken += 1
    assert len(asked) == len(plan.columns)
    assert taken == turns(plan)
    for i, name in enumerate(plan.names):
        turn, request = asked[name]
        for slot in plan.interface_slots(i):
            of_counter = asked[plan.slots[slot]]
            assert of_counter[0] < turn or of_counter == (turn, request)
