"""Wall clocks step; what is stored grows old by the time that passes."""

from towerops_agent.buffer.format.batch import BELIEVED_STOP_US, AgeClock, Pending
from towerops_agent.counters import Count
from unit.buffer.samples import HOUR_US, T0_US, add_hourly, poll

DAY_US = 24 * HOUR_US


def test_it_goes_on_with_the_monotonic_clock():
    clock = AgeClock(None, T0_US, 5)
    assert [clock.age_us(5), clock.age_us(7), clock.age_us(4)] == [0, 2, 0]


def test_over_a_stop_it_goes_on_by_the_wall_clock_never_back_and_not_by_more_than_is_believed():
    kept = (100, T0_US)
    assert AgeClock(kept, T0_US + 50, 0).age_us(1) == 151
    assert AgeClock(kept, T0_US - DAY_US, 0).age_us(1) == 101
    assert AgeClock(kept, 0, 0).age_us(1) == 101
    assert AgeClock(kept, T0_US + 1000 * DAY_US, 0).age_us(1) == 101 + BELIEVED_STOP_US


async def test_a_step_forward_expires_nothing(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 22)
        bench.step(3 * HOUR_US)
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 22
        bench.step(10_000 * DAY_US)
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 22
    assert bench.counters.total(Count.METRICS_EXPIRED) == 0


async def test_a_step_back_keeps_nothing_for_ever(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 3)
        bench.step(-1_000 * DAY_US)
        bench.now_us += 23 * HOUR_US
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 2
        bench.now_us += 2 * HOUR_US
        await buffer.clean_up()
        assert await buffer.pending() == Pending(0, 0, None)


async def test_a_poll_stamped_in_the_future_expires_in_its_turn_and_holds_up_no_other(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 1)
        buffer.add(poll(1, T0_US + 500 * DAY_US))
        await buffer.flush()
        await add_hourly(bench, buffer, 1)
        bench.now_us += DAY_US + HOUR_US
        await buffer.clean_up()
        assert await buffer.pending() == Pending(0, 0, None)
    assert bench.counters.total(Count.METRICS_EXPIRED) == 9


async def test_sent_polls_are_kept_their_day_whatever_the_wall_clock_does(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 1)
        await buffer.acknowledge(await buffer.next_batch(10))
        for step_us in (3 * HOUR_US, -7 * HOUR_US, 400 * DAY_US):
            bench.step(step_us)
            bench.now_us += 7 * HOUR_US
            await buffer.clean_up()
            assert len(bench.rows("SELECT * FROM polls")) == 1
        bench.now_us += 3 * HOUR_US
        await buffer.clean_up()
        assert bench.rows("SELECT * FROM polls") == []


async def test_the_time_of_a_stop_counts(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 1)
    bench.now_us += 10 * HOUR_US
    bench.stepped_us = bench.now_us  # the machine was started again: so is the monotonic clock
    async with bench.buffer() as buffer:
        bench.now_us += 13 * HOUR_US
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 1
        bench.now_us += 2 * HOUR_US
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 0


async def test_a_machine_that_starts_in_1970_loses_nothing(bench):
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 5)
    now_us = bench.now_us
    bench.now_us = bench.stepped_us = 0
    async with bench.buffer() as buffer:
        await buffer.clean_up()
        bench.step(now_us)  # the network's time has come
        await buffer.clean_up()
        assert (await buffer.pending()).polls == 5
    assert bench.counters.total(Count.METRICS_EXPIRED) == 0


async def test_the_clock_is_kept_within_commits(bench):
    """What a kill leaves: the age of the last commit, but for 10 s."""
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 3)
        assert bench.rows("SELECT age_us, wall_us FROM clock") == [(2 * HOUR_US, T0_US + 2 * HOUR_US)]
        bench.now_us += 9_000_000
        buffer.add(poll(1))
        await buffer.flush()
        assert bench.rows("SELECT age_us FROM clock") == [(2 * HOUR_US,)]


async def test_what_a_kill_took_off_the_clock_lets_no_poll_expire_early(bench):
    """The age of the last seconds may come twice: polls stored after a kill can be younger than those before."""
    async with bench.buffer() as buffer:
        await add_hourly(bench, buffer, 3)
        await buffer.ask(lambda store: store.connection.execute("UPDATE polls SET age_s = age_s + 7200 WHERE id = 2").rowcount)
        bench.now_us = T0_US + DAY_US + 2 * HOUR_US + HOUR_US // 2
        await buffer.clean_up()
        assert bench.rows("SELECT id FROM polls") == [(2,), (3,)]
