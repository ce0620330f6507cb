"""How many polls may start, by the load: what is polled is delivered, and a slow server limits nothing."""

from dataclasses import dataclass
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.delivery.course.course import TURN_MAY_LAST
from towerops_agent.scheduling.throttle import BURST_S, GATHER_S, LEAST, Load, Throttle
from towerops_agent.scheduling.timetable import STARTS_A_STEP, Timetable

TOO_MUCH = {"late": True, "behind": True}


def looks(throttle, loads, started=100):
    """The limit after each of these looks, a second apart; `busy`: the part of a core used meanwhile."""
    limits, cpu_s = [], 0.0
    for n, load in enumerate(({}, *loads)):
        cpu_s += load.get("busy", 1.0)
        shown = {"late": False, "behind": False, "lag_s": 0.0} | {name: load[name] for name in load if name != "busy"}
        throttle.look(Load(round(min(started, throttle.rate)), cpu_s=cpu_s, **shown), float(n))
        limits.append(throttle.rate)
    return limits[1:]


def test_without_too_much_to_do_there_is_no_limit():
    assert looks(Throttle(), [{}, {"late": True}, {"behind": True, "busy": 0.8}]) == [inf] * 3


def test_while_delivery_is_behind_and_polls_are_late_the_limit_falls_from_what_has_started():
    limits = looks(Throttle(), [TOO_MUCH] * 3)
    assert limits[0] == 97
    assert all(after < before for before, after in pairwise(limits))


def test_polls_that_start_in_time_and_leave_delivery_too_little_of_the_core_are_limited():
    assert looks(Throttle(), [{"behind": True}] * 2) == [97, 97 * 0.97]
    assert looks(Throttle(), [{"behind": True, "busy": 0.1, "lag_s": 0.05}]) == [97]


def test_a_second_in_which_hardly_a_poll_starts_does_not_stop_polling():
    """The loop stood still in it, as while a configuration is applied: the limit falls as in any other second, more or less."""
    throttle = Throttle()
    for second in range(10):
        throttle.look(Load(170, late=False, behind=False, cpu_s=float(second)), float(second))
    throttle.look(Load(1, late=True, behind=True, cpu_s=10.0), 10.0)
    assert throttle.rate > 140


def test_seconds_in_which_hardly_a_device_was_due_do_not_lower_the_limit_once_many_are():
    """As a member of a group has few devices of its own until another one dies."""
    throttle = Throttle()
    for second in range(10):
        throttle.look(Load(1, late=False, behind=False, cpu_s=float(second)), float(second))
    throttle.look(Load(100, late=True, behind=True, cpu_s=10.0), 10.0)
    assert throttle.rate == 97


def test_some_polls_always_start():
    assert looks(Throttle(), [TOO_MUCH] * 100)[-1] == LEAST


def test_it_rises_once_delivery_keeps_up_and_goes_once_no_poll_is_late():
    limits = looks(Throttle(), [TOO_MUCH] * 20 + [{"late": True}] * 3 + [{}])
    assert limits[19] < limits[20] < limits[21] < limits[22] < limits[23] == inf


def test_an_agent_that_waits_for_a_slow_server_is_not_limited():
    """It has nothing to do: less polling would not speed the server up."""
    assert looks(Throttle(), [{**TOO_MUCH, "busy": 0.1}] * 5) == [inf] * 5


def test_a_limit_rises_if_it_is_the_server_that_is_slow():
    limits = looks(Throttle(), [TOO_MUCH] * 20 + [{**TOO_MUCH, "busy": 0.1}] * 120)
    assert limits[-1] > 100


def test_an_agent_that_gets_little_of_a_core_is_known_by_its_late_timers():
    assert looks(Throttle(), [{**TOO_MUCH, "busy": 0.1, "lag_s": 0.05}])[0] < inf


def test_the_begin_of_a_limit_is_reported_once():
    throttle, loads = Throttle(), [Load(100, late=True, behind=True, cpu_s=float(n)) for n in range(4)]
    assert [throttle.look(load, float(n)) for n, load in enumerate(loads)] == [False, True, False, False]


def starts_of(throttle, seconds, late_s=0.0):
    """How many polls start at each wakeup, if as many as may are always due, and each wakeup comes so late."""
    now_s, bunches = 100.0, [0]
    while now_s < 100.0 + seconds:
        if throttle.opens_at_s <= now_s:
            throttle.started(now_s)
            bunches[-1] += 1
        else:
            now_s = throttle.opens_at_s + late_s
            bunches.append(0)
    return bunches


@pytest.mark.parametrize("late_s", [0.0, 0.05])
def test_polls_start_at_the_rate_and_those_that_were_not_used_are_allowed_for_a_moment(late_s):
    throttle = Throttle()
    looks(throttle, [TOO_MUCH])
    assert 10 * 97 - 97 * GATHER_S - 1 <= sum(starts_of(throttle, 10, late_s)) <= (10 + BURST_S) * 97 + 2


@pytest.mark.parametrize("rate", [100, 250, 1000, 4000])
def test_polls_start_together_as_they_do_without_a_limit(rate):
    """One by one each would cost a wakeup, and each of its answers another one."""
    throttle = Throttle()
    looks(throttle, [TOO_MUCH], started=rate)
    _, _, *bunches = starts_of(throttle, 10)
    assert min(bunches[:-1]) >= min(STARTS_A_STEP - 1, int(GATHER_S * throttle.rate))
    assert max(bunches) <= STARTS_A_STEP + 1


@pytest.mark.parametrize(("devices", "interval_s"), [(50, 60), (100, 60), (590, 60), (50, 10)])
def test_a_small_site_has_each_poll_however_long_its_machine_has_too_much_to_do(devices, interval_s):
    """As while it delivers the backlog of a day."""
    timetable, throttle = Timetable(), Throttle()
    for n in range(devices):
        timetable.add(f"dev-{n}-{devices}", interval_s, 0.0, interval_s)
    timetable.align()
    started = missed = since = 0
    for tick in range(30_000):
        now_s = tick / 100
        if throttle.is_due(now_s):
            throttle.look(Load(since, late=True, behind=True, cpu_s=now_s), now_s)
            since = 0
        while throttle.opens_at_s <= now_s and (due := timetable.take_due(now_s)) is not None:
            missed += due.missed
            if not due.skipped:
                throttle.started(now_s)
                started, since = started + 1, since + 1
    assert throttle.rate < inf
    assert (started, missed) == (pytest.approx(300 * devices / interval_s, abs=devices), 0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 2), st.integers(0, 2000)), max_size=100))
def test_whatever_the_load_some_polls_start(loads):
    throttle, cpu_s = Throttle(), 0.0
    for n, (late, behind, busy, started) in enumerate(loads):
        cpu_s += busy
        throttle.look(Load(started, late=late, behind=behind, cpu_s=cpu_s), float(n))
        assert throttle.rate >= LEAST


@dataclass
class Core:
    """A model of an agent that has `capacity` seconds of CPU a second: polls take what they can, delivery the rest.

    A value polled costs `poll_s`, one delivered `deliver_s`. Unless polls are limited, they leave delivery a tenth.
    """

    capacity: float
    due: float = 0.0
    poll_s: float = 3e-6
    deliver_s: float = 1.5e-6
    polled: float = 0.0
    delivered: float = 0.0
    pending: float = 0.0
    turn: float = 0.0
    turn_of: float = 0.0
    turn_began: float = 0.0

    def second(self, now_s, rate):
        """`rate`: in values."""
        most = self.capacity if self.turn <= 0 else self.capacity * 0.9
        polled = min(self.due, rate, most / self.poll_s)
        delivered = min(self.turn, (self.capacity - polled * self.poll_s) / self.deliver_s)
        self.polled, self.delivered = self.polled + polled, self.delivered + delivered
        self.pending += polled - delivered
        self.turn -= delivered
        if self.turn <= 0 and now_s - self.turn_began >= 30:
            self.turn = self.turn_of = self.pending
            self.turn_began = now_s
        gone_s = now_s - self.turn_began
        behind = self.turn > 0 and gone_s >= 5 and self.turn > self.turn_of * (1 - gone_s / (30 * TURN_MAY_LAST))
        return Load(round(polled), late=polled < self.due * 0.99, behind=behind, cpu_s=(now_s + 1) * self.capacity)


@given(
    st.one_of(
        st.tuples(st.floats(1.5, 20), st.floats(0.5, 1.0)),
        st.tuples(st.floats(1.02, 1.5), st.just(1.0)),  # no poll is late: polling by itself takes less than the core
    )
)
def test_at_any_overload_four_fifths_of_the_most_that_could_be_delivered_is(load):
    """In a model of a core: the most is what polling and delivering as much take together."""
    overload, capacity = load
    core, throttle = Core(capacity), Throttle()
    most = capacity / (core.poll_s + core.deliver_s)
    core.due = overload * most
    for second in range(1200):
        if second == 300:
            core.polled = core.delivered = 0.0
        throttle.look(core.second(float(second), throttle.rate), float(second))
    assert core.delivered / 900 >= 0.8 * most
    assert core.delivered >= 0.9 * core.polled
