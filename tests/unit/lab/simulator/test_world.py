"""The world is the same at the same second, and what should only rise only rises."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from towerops_lab.simulator.world import DISCHARGE_S, OUTAGE_EVERY_S, OUTAGE_S, RAMP_S, SHOWER_EVERY_S, World, busy

START = 1_800_000_000.0
times = st.floats(START, START + 10 * 86400)


@given(times, times, st.floats(0, 1))
def test_what_a_link_has_carried_never_falls(one, other, seed):
    world = World(START)
    before, after = (world.moment(now_s, START - 1e6).carried(seed) for now_s in sorted((one, other)))
    assert before <= after


@given(times, st.floats(0, 1))
def test_traffic_stays_between_nothing_and_the_peak(now_s, seed):
    assert 0.03 < busy(now_s, seed) < 1.0


def test_the_evening_is_busier_than_the_morning():
    day = START - START % 86400
    evening, morning = (sum(busy(day + hour * 3600 + s, 0.0) for s in range(600)) for hour in (20.5, 8.5))
    assert evening > 1.5 * morning


def test_after_a_reboot_what_was_carried_begins_at_zero():
    assert World(START).moment(START + 5, START + 5, first=False).carried(0.3) == 0.0


def test_it_rains_by_its_timetable_until_it_is_switched():
    world = World(START)
    by_itself = [world.moment(START + s, START).rain for s in range(0, int(SHOWER_EVERY_S), 10)]
    assert max(by_itself) > 0.9
    assert by_itself[0] == 0.0
    world.rain(True, START)
    assert [world.moment(START + s, START).rain for s in (0, RAMP_S / 2, RAMP_S, 9999)] == [0.0, 0.5, 1.0, 1.0]
    world.rain(False, START + 9999)
    assert [world.moment(START + 9999 + s, START).rain for s in (0, RAMP_S / 2, RAMP_S)] == [1.0, 0.5, 0.0]


def test_a_battery_empties_while_the_mains_are_gone_and_fills_again():
    world = World(START)
    assert (world.moment(START, START).outage_s, world.moment(START, START).charge) == (0.0, 1.0)
    world.mains_out(True, START)
    half = world.moment(START + DISCHARGE_S / 2, START)
    assert (half.outage_s, half.charge) == (DISCHARGE_S / 2, 0.5)
    assert 0 < world.moment(START + 2 * DISCHARGE_S, START).charge < 0.1
    world.mains_out(False, START + DISCHARGE_S / 2)
    later = world.moment(START + DISCHARGE_S / 2 + 60, START)
    assert later.outage_s == 0.0
    assert half.charge < later.charge < 1.0


def test_the_mains_fail_by_their_timetable():
    world = World(START)
    outages = [world.moment(START + s, START).outage_s for s in range(0, int(OUTAGE_EVERY_S), 30)]
    assert max(outages) >= OUTAGE_S - 30
    assert min(world.moment(START + s, START).charge for s in range(0, int(OUTAGE_EVERY_S), 30)) < 0.9


def test_a_wave_has_no_jumps():
    world = World(START)
    waves = [world.moment(START + s, START).wobble(60.0) for s in range(600)]
    assert max(abs(b - a) for a, b in pairwise(waves)) < 0.4
    assert max(map(abs, waves)) <= 1.2
