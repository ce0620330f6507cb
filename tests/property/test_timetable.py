"""When devices are polled, over any intervals and any course of time: at its phase, at most once an interval, none forgotten."""

import math
import random
from collections import Counter, defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from towerops_agent.scheduling.timetable import (
    LONG_STEP_S,
    LONGEST_STEP_S,
    MAXIMUM_LATENESS_S,
    SHORTEST_STEP_S,
    STARTS_A_LONGEST_STEP,
    STARTS_A_STEP,
    Timetable,
    step,
)

START = 100_000.0
INTERVALS = st.sampled_from((1, 5, 10, 30, 60, 61, 300, 3600))
KEYS = st.text("abcdefgh-0123456789", min_size=1, max_size=12)
FLEETS = st.dictionaries(KEYS, INTERVALS, min_size=1, max_size=15)
STEPS = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 100), st.floats(0, 5000)), min_size=1, max_size=60)


def fill(fleet, now=START, first_within_s=1.0):
    timetable = Timetable()
    for key, interval_s in fleet.items():
        timetable.add(key, interval_s, now, first_within_s)
    timetable.align()
    return timetable


def take_all(timetable, now):
    """All that is due."""
    while (due := timetable.take_due(now)) is not None:
        yield due


def promptly(timetable, until):
    """(when, what) of all that falls due, each taken at its very time."""
    while (at := timetable.next_at()) is not None and at <= until:
        for due in take_all(timetable, at):
            yield at, due


def alike(a, b):
    return math.isclose(a, b, rel_tol=0, abs_tol=1e-6)


@given(FLEETS, st.floats(0, 1e7))
def test_prompt_polls_are_one_interval_apart(fleet, start):
    """After the first one, which comes within its time; the second comes half an interval to one and a half after it."""
    seen = defaultdict(list)
    horizon = start + 4 * max(fleet.values())
    timetable = fill({key: interval for key, interval in fleet.items() if horizon - start <= 1000 * interval}, start, 2.0)
    for at, due in promptly(timetable, horizon):
        assert not due.skipped
        assert due.missed == 0
        assert due.late_s == 0
        seen[due.key].append(at)
    for key, times in seen.items():
        interval = fleet[key]
        assert start <= times[0] <= start + min(2.0, interval)
        gaps = [after - before for before, after in pairwise(times)]
        assert 0.5 * interval - 1e-6 <= gaps[0] <= 1.5 * interval + 1e-6
        assert all(alike(gap, interval) for gap in gaps[1:])
        assert times[-1] > horizon - interval - 1e-6 or len(times) == 1
    assert len(seen) == len(timetable)


@given(FLEETS, STEPS)
def test_each_interval_has_at_most_one_poll_and_each_is_accounted_for(fleet, steps):
    """However time leaps: what is taken is due; polls do not bunch; those that did not run are counted, to the last one."""
    timetable, now = fill(fleet), START
    started, ticks = defaultdict(list), defaultdict(int)
    for leap in steps:
        now += leap
        taken = set()
        for due in take_all(timetable, now):
            assert due.key not in taken, "twice at one moment"
            taken.add(due.key)
            assert due.late_s >= 0
            assert due.skipped == (due.late_s > min(fleet[due.key] / 10, MAXIMUM_LATENESS_S))
            ticks[due.key] += due.missed + (not due.skipped)
            if not due.skipped:
                started[due.key].append(now - due.late_s)
        assert (timetable.next_at() or 0) > now
    for key, interval in fleet.items():
        times = started[key]
        for n, (before, after) in enumerate(pairwise(times)):
            assert after - before > interval * (0.5 if n == 0 else 1) - 1e-6
        assert abs(ticks[key] - (now - START) / interval) <= 2


@given(FLEETS, STEPS)
def test_phases_are_the_same_whenever_the_agent_starts(fleet, starts):
    """From the second poll on, a device's times are those of any other start."""
    phases = {}
    start = START
    for leap in starts[:5]:
        start += leap
        timetable = fill(fleet, start)
        for key, interval in fleet.items():
            alone = fill({key: interval}, start)
            (_, _), (second, due) = [next(promptly(alone, start + 10 * interval)) for _ in range(2)]
            phase = second % interval
            before = phases.setdefault(key, phase)
            assert due.key == key
            assert min(abs(phase - before), interval - abs(phase - before)) < 1e-6
        assert len(timetable) == len(fleet)


@given(FLEETS, st.floats(100, 1e6))
def test_after_a_stall_nothing_bunches(fleet, stall_s):
    """Late polls are skipped and counted; each device is next polled at its own time, once in an interval."""
    timetable = fill(fleet)
    for _ in promptly(timetable, START + 2):
        pass
    now = START + 2 + stall_s
    for due in take_all(timetable, now):
        assert due.missed >= due.skipped
    least = min(fleet.values())
    came = defaultdict(list)
    for at, due in promptly(timetable, now + 1.5 * least + 1e-6):
        came[due.key].append(at)
    for key, times in came.items():
        assert len(times) <= 1.5 * least / fleet[key] + 1
        assert times[0] > now
    assert {key for key, interval in fleet.items() if interval == least} <= came.keys()


@given(FLEETS, st.data())
def test_a_removed_device_never_comes(fleet, data):
    timetable = fill(fleet)
    gone = data.draw(st.sets(st.sampled_from(sorted(fleet))))
    for key in gone:
        timetable.remove(key)
        timetable.remove(key)
        assert key not in timetable
    assert len(timetable) == len(fleet) - len(gone)
    came = {due.key for due in take_all(timetable, START + 100_000)}
    assert came == fleet.keys() - gone


@given(FLEETS, st.integers(20, 60))
def test_a_configuration_put_in_again_and_again_takes_no_more_room(fleet, times):
    """Nor does one that adds a device and takes it away."""
    timetable = fill(fleet)
    for n in range(times):
        for key, interval in fleet.items():
            timetable.add(key, interval + n % 2, START, 1.0)
        timetable.add("passing", 86_400, START, 86_400)
        timetable.remove("passing")
    assert len(timetable) == len(fleet)
    assert timetable.places <= 2 * len(fleet) + 64
    assert sorted(due.key for due in take_all(timetable, START + 10_000)) == sorted(fleet)


def test_starts_are_spread_over_the_interval():
    """Of 2,000 devices, each tenth of a minute has a tenth, give or take a few."""
    rng = random.Random(7)
    timetable = fill({f"{rng.getrandbits(128):032x}": 60 for _ in range(2000)}, first_within_s=60)
    tenths = Counter(int((at - START) // 6) for at, _ in promptly(timetable, START + 59.999))
    assert tenths.total() == 2000
    assert all(140 <= count <= 260 for count in tenths.values())
    assert len(tenths) == 10


@given(st.integers(1, 100), st.floats(0, 100), st.floats(0.01, 20))
def test_first_polls_come_behind_others_within_their_time_and_within_an_interval(interval_s, not_before_s, more_s):
    timetable = Timetable()
    for n in range(200):
        timetable.add(f"device {n}", interval_s, START, not_before_s + more_s, not_before_s)
    first: dict[str, float] = {}
    for at, due in promptly(timetable, START + interval_s):
        first.setdefault(due.key, at - START)
    times = first.values()
    last_s = min(not_before_s + more_s, interval_s)
    first_s = not_before_s if not_before_s < last_s else 0.0
    assert len(times) == 200
    assert first_s - 1e-6 <= min(times) <= max(times) <= last_s + 1e-6
    assert max(times) - min(times) > 0.8 * (last_s - first_s), "they are spread"


def second_times(timetable, count, until):
    """When each is polled the second time: the first at its own phase."""
    times = defaultdict(list)
    for at, due in promptly(timetable, until):
        times[due.key].append(at)
    assert len(times) == count
    return {key: came[1] for key, came in times.items()}


@settings(max_examples=25)
@given(st.integers(1, 3000), st.sampled_from((1, 2, 10, 60)))
def test_devices_start_in_bunches_no_larger_than_a_socket_takes(count, interval_s):
    times = second_times(fill({f"device {n}": interval_s for n in range(count)}), count, START + 3 * interval_s)
    step_s = step(count / interval_s)
    assert all(at % interval_s % step_s == 0 for at in times.values())
    assert SHORTEST_STEP_S <= step_s <= LONGEST_STEP_S
    starts = count / interval_s * step_s
    assert starts <= (STARTS_A_LONGEST_STEP if step_s == LONGEST_STEP_S else STARTS_A_STEP) or step_s == SHORTEST_STEP_S
    assert starts > STARTS_A_STEP / 2 or step_s >= LONG_STEP_S
    assert (step_s == LONGEST_STEP_S) == (count / interval_s * LONGEST_STEP_S <= STARTS_A_LONGEST_STEP)


@settings(max_examples=25)
@given(st.integers(10, 4000), st.integers(10, 12_000))
def test_more_devices_move_the_others_by_less_than_a_step(before, more):
    timetable = fill({f"device {n}": 60 for n in range(before)}, first_within_s=0.0)
    alone = second_times(timetable, before, START + 119)
    for n in range(more):
        timetable.add(f"one more {n}", 60, START + 119, 0.0)
    timetable.align()
    moved = 0
    for key, due_at in ((key, timetable.entry(key).due_at) for key in alone):
        phase_before, phase_now = alone[key] % 60, timetable.entry(key).phase_s
        assert abs(phase_now - phase_before) < LONGEST_STEP_S
        assert due_at > START + 119
        moved += phase_now != phase_before
    assert (moved > 0) == (step(before / 60) != step((before + more) / 60))


@settings(max_examples=50)
@given(FLEETS, st.floats(0, 1e6), st.floats(-2e9, 2e9))
def test_agents_with_a_common_clock_poll_a_device_at_the_same_times(fleet, apart_s, ahead_s):
    """Whichever of them polls it: the other's monotonic clock shows `apart_s` more."""
    starts = sum(1 / interval for interval in fleet.values())
    one, other = fill(fleet), Timetable()
    one.align(ahead_s=ahead_s)
    other.align(starts, ahead_s - apart_s)
    for key, interval in fleet.items():
        other.resume(key, interval, START + apart_s)
    for key, interval in fleet.items():
        tick = other.entry(key).due_at - apart_s
        assert START < tick <= START + interval + 1e-5
        assert alike(one.last_before(key, interval, tick + 1e-5), tick)
        assert abs(one.entry(key).next_after(tick - 1e-5) - tick) < 1e-5
    taken = {due.key for due in take_all(other, START + apart_s + max(fleet.values()) + 1)}
    assert taken == fleet.keys()


@given(FLEETS, st.floats(0, 1e5), st.floats(2, 3))
def test_a_clock_that_is_set_delays_no_poll_by_more_than_a_tenth_of_its_interval(fleet, ahead_s, after):
    """Rather one poll too many. Then each is at the clock's times."""
    timetable, set_at = fill(fleet), START + after * max(fleet.values())
    last = {due.key: at for at, due in promptly(timetable, set_at)}
    timetable.align(ahead_s=ahead_s, now=set_at)
    seen = defaultdict(list)
    for at, due in promptly(timetable, set_at + 4 * max(fleet.values())):
        seen[due.key].append(at)
        assert at > set_at
        assert due.missed == 0
    assert seen.keys() == fleet.keys()
    for key, times in seen.items():
        gaps = [after - before for before, after in pairwise([last[key], *times])]
        assert all(gap <= 1.1 * fleet[key] + 1e-5 for gap in gaps)
        assert min(gaps[1:]) >= 0.1 * fleet[key] - 1e-5
        assert sum(gap < fleet[key] - 1e-5 for gap in gaps) <= 2
        assert all(abs(gap - fleet[key]) < 1e-5 for gap in gaps[2:])


@given(FLEETS, st.floats(-0.05, 0.05), st.floats(0, 1))
def test_a_clock_that_is_hardly_off_polls_nothing_twice(fleet, off_s, after):
    """Members of a group are off by so much again and again."""
    timetable = fill(fleet)
    timetable.align(ahead_s=0.0, now=START)
    set_at = START + 3 * max(fleet.values()) + after
    last = {due.key: at for at, due in promptly(timetable, set_at)}
    timetable.align(ahead_s=off_s, now=set_at)
    for at, due in promptly(timetable, set_at + max(fleet.values())):
        assert at - last[due.key] >= fleet[due.key] - 0.05 - 1e-5
        last[due.key] = at


@settings(max_examples=10)
@given(st.integers(200, 400), st.floats(1.2, 12), st.sampled_from((3, 60)))
def test_if_more_is_due_than_can_start_each_device_has_its_share(count, overload, interval_s):
    """None has less than half of the mean, and nothing of the past stays in memory."""
    timetable = Timetable()
    for n in range(count):
        timetable.add(f"dev-{n}", interval_s, 0.0, interval_s)
    timetable.align()
    takes_s = interval_s / count * overload
    now, started = 0.0, Counter()
    while now < interval_s * overload * 14:
        due = timetable.take_due(now)
        if due is None:
            now = timetable.next_at()
        elif not due.skipped:
            started[due.key] += now > interval_s * overload * 4
            now += takes_s
        assert timetable.places <= 3 * count + 64
    assert min(started[f"dev-{n}"] for n in range(count)) >= started.total() / count / 2
