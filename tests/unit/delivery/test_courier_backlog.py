"""After an outage fresh values go first, and the backlog follows beside them as fast as the API accepts; with the real Buffer."""

import asyncio

import pytest
import structlog

from towerops_agent.api.wire.outcomes import Accepted, Rejected, Unavailable
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count
from towerops_agent.delivery.course.pace import FIRST_IN_FLIGHT, MOST_IN_FLIGHT
from unit.delivery.bench import BUSY, Bench

POLLS_A_SECOND = 1000 * 68 / 60 / 1000
"""How many batches of 1,000 metrics a site of 1,000 devices with 68 metrics makes, polled each minute."""

ROUND_TRIP_S = 0.1


class RoundTrips:
    """An API at a distance: it answers those requests together that are under way together, and counts how often."""

    def __init__(self, bench: Bench, batches: int) -> None:
        self.count = 0
        self._bench = bench
        self._left = batches
        self._waiting = 0
        self._answered = asyncio.Event()

    async def answer(self, _values):
        self._waiting += 1
        answered = self._answered
        if self._waiting >= min(self._bench.courier.course.most_in_flight, self._left):
            self.count += 1
            self._bench.time.now_s += ROUND_TRIP_S
            self._left -= self._waiting
            self._waiting, self._answered = 0, asyncio.Event()
            answered.set()
        await answered.wait()
        return Accepted()


async def in_an_outage(bench: Bench, polls: int, *, times: int = 2) -> None:
    """So many polls, made before an outage; the API has failed so often since, over more than a minute."""
    bench.answer = lambda values: Unavailable("busy", 503, 60.0)
    await bench.add(polls)
    await bench.run(pauses=times - 1)
    bench.sent.clear()
    bench.pauses.clear()


async def test_a_backlog_is_drained_fifty_times_faster_than_it_grew(bench):
    """Counted in round trips of 100 ms, at 1,000 metrics a request (here: 10), for 1,000 devices."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    batches = 500
    await bench.add(batches)
    trips = RoundTrips(bench, batches)
    bench.answer = trips.answer
    await bench.run()
    assert bench.delivered() == list(range(10 * batches))
    grew_in_s, drained_in_s = batches / POLLS_A_SECOND, trips.count * ROUND_TRIP_S
    assert drained_in_s * 50 <= grew_in_s


async def test_a_fleet_of_ten_thousand_devices_is_kept_up_with(bench):
    """What it polls in 30 s, in requests of 1,000 metrics and round trips of 100 ms, is gone before the next 30 s are over."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    batches = int(30 * 10 * POLLS_A_SECOND)
    trips = RoundTrips(bench, batches)
    bench.answer = trips.answer
    await bench.run()  # nothing is pending at the start, and so nothing is backlog
    await bench.add(batches)
    await bench.courier.deliver_pending()
    assert bench.delivered() == list(range(10 * batches))
    assert trips.count * ROUND_TRIP_S <= 30 / 2


async def test_fresh_values_go_before_the_backlog(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await in_an_outage(bench, 40)
    await bench.add(2)
    bench.answer = lambda values: Accepted()
    take_batch, lanes = bench.buffer.take_batch, []

    async def noted(most_metrics, lane, exclude, sent):
        taken = await take_batch(most_metrics, lane, exclude, sent=sent)
        lanes.extend(() if taken is None else [taken[0].lane])
        return taken

    bench.buffer.take_batch = noted
    await bench.run()
    assert bench.sent[0][1][0] == 0, "the probe is the batch that had failed"
    assert lanes[:3] == [Lane.FRESH, Lane.FRESH, Lane.BACKLOG], "in the order in which they begin; which is sent first is a race"
    assert bench.delivered() == list(range(420))
    assert bench.counters.get(Count.METRICS_DELIVERED) == 420


async def test_fresh_values_are_sent_beside_a_backlog_that_hangs(bench):
    """A request of the backlog that is never answered does not hold up the fresh values' turn."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(4)
    hung, fresh = asyncio.Event(), asyncio.Event()

    async def answer(values):
        if values[0] < 40:
            hung.set()
            await asyncio.Event().wait()
        fresh.set()
        return Accepted()

    bench.answer = answer
    task = asyncio.create_task(bench.courier.run())
    await hung.wait()
    assert [values[0] for _, values in bench.sent] == [0]
    await bench.add(1)
    bench.time.left, bench.time.hurried = None, True  # the time of the next turn comes
    await fresh.wait()
    assert bench.sent[-1][1][0] == 40
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await bench.buffer.pending()).backlog_metrics == 40


async def test_what_gathers_in_an_outage_is_backlog_but_for_the_last_minute(bench):
    await in_an_outage(bench, 5)
    pending = await bench.buffer.pending()
    assert (pending.metrics, pending.backlog_metrics) == (50, 50)
    await bench.add(1)
    pending = await bench.buffer.pending()
    assert (pending.metrics, pending.backlog_metrics) == (60, 50)
    assert str(bench.courier.backlog) == "backlog 2 min, not being delivered"


async def test_a_short_failure_makes_no_backlog(bench):
    bench.answer = lambda values: Accepted()
    await bench.run()
    outcomes = [BUSY, BUSY, Accepted()]
    bench.answer = lambda values: outcomes.pop(0)
    await bench.add(1)
    bench.time.left = None
    with structlog.testing.capture_logs() as lines:
        assert await bench.courier.deliver_pending(attempts=5)
    assert (await bench.buffer.pending()).backlog_metrics == 0
    assert not any(line["event"].startswith("backlog") for line in lines)


async def test_the_log_says_how_far_it_is_and_when_it_is_done(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await in_an_outage(bench, 400, times=61)

    async def answer(values):
        bench.time.now_s += 1.0
        return Accepted()

    bench.answer = answer
    lines = [line for line in await bench.run() if line["event"].startswith("backlog")]
    first, second, *more, last = lines
    assert first["event"] == second["event"] == "backlog being delivered"
    assert first["metrics"] > 3900
    assert 3500 < first["behind_s"] < 3800
    assert first["drained_in_s"] is None
    left_s = second["metrics"] / 10
    assert left_s / 2 <= second["drained_in_s"] <= left_s * 2
    assert 5 <= len(more) <= 8, "one a minute"
    assert (last["event"], last["metrics"]) == ("backlog delivered", 4000)
    assert bench.courier.backlog is None


async def test_the_pace_grows_while_answers_come_quickly_and_shrinks_where_the_server_says_stop(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    assert bench.courier.course.most_in_flight == FIRST_IN_FLIGHT
    await bench.add(200)
    await bench.run()
    assert bench.courier.course.most_in_flight == MOST_IN_FLIGHT
    outcomes = [Unavailable("slow down", 429, 7.0)] * 5
    bench.answer = lambda values: outcomes.pop() if outcomes else Accepted()
    await bench.add(200)
    bench.pauses.clear()
    await bench.run(pauses=20)
    assert bench.courier.course.most_in_flight == MOST_IN_FLIGHT
    assert sum(bench.pauses) >= 7
    assert bench.delivered()[-1] == 3999


async def test_both_lanes_obey_retry_after(bench):
    """Nothing at all is sent while the server wants to be left alone: no fresh value, no batch of the backlog, no probe."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(20)
    moments = []

    def answer(values):
        moments.append(bench.time.now_s)
        return Unavailable("busy", 503, 600.0) if len(moments) == 1 else Accepted()

    bench.answer = answer
    await bench.run(pauses=11)
    assert moments[:2] == [1000.0, 1600.0]
    assert bench.counters.get(Count.METRICS_DELIVERED) == 200


async def test_a_stop_obeys_retry_after_but_does_not_wait_for_its_own_backing_off(bench):
    await bench.add(1)
    bench.answer = lambda values: Unavailable("busy", 503, 60.0)
    await bench.run()
    sent = len(bench.sent)
    bench.time.now_s -= 60.0
    assert await bench.courier.deliver_pending() is False
    assert len(bench.sent) == sent
    bench.time.now_s += 60.0
    bench.answer = lambda values: Unavailable("no connection")
    await bench.run()
    bench.answer = lambda values: Accepted()
    assert await bench.courier.deliver_pending() is True


@pytest.mark.parametrize("failure", [Unavailable("bug", 500), Unavailable("the connection broke")])
async def test_a_batch_that_the_server_stumbles_over_blocks_no_other(bench, failure):
    """The contract has the same batch sent again: so it is, more and more rarely, and the others pass."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    bad = 70
    bench.answer = lambda values: failure if bad in values else Accepted()
    await bench.add(20)
    lines = await bench.run(pauses=30)
    others = [value for value in range(200) if not 70 <= value < 80]
    delivered = [value for _, values in bench.sent if bad not in values for value in values]
    assert sorted(delivered) == others
    attempts = [key for key, values in bench.sent if bad in values]
    assert len(set(attempts)) == 1
    assert 5 <= len(attempts) <= 20
    assert (await bench.buffer.pending()).metrics == 10
    assert any(line["event"] == "batch not delivered, others are; will retry" for line in lines)
    await bench.add(1)
    await bench.run(pauses=1)
    assert 200 in bench.delivered(), "nor those that come later"
    bench.answer = lambda values: Accepted()
    assert await bench.courier.deliver_pending() is True


async def test_a_first_batch_that_the_server_stumbles_over_is_found_out_by_trying_others(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    bench.answer = lambda values: Unavailable("bug", 500) if 0 in values else Accepted()
    await bench.add(5)
    await bench.run(pauses=9)
    assert [values[0] for _, values in bench.sent[:4]] == [0, 0, 0, 10]
    assert bench.counters.get(Count.METRICS_DELIVERED) == 40


async def test_a_bad_metric_in_the_backlog_delays_no_fresh_value(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await in_an_outage(bench, 30)
    await bench.add(1)
    bench.answer = lambda values: Rejected(422, "no such sensor") if 155 in values else Accepted()
    await bench.run()
    assert len(await bench.buffer.refused()) == 1
    assert bench.counters.get(Count.METRICS_DELIVERED) == 309
    assert 300 in [values[0] for _, values in bench.sent[:4]]


async def test_a_server_slower_than_the_polls_gets_the_newest_first(bench):
    """The polls of the last minute are not queued behind all that could not be sent before them."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(1)
    to_come = [10, 1]

    async def answer(values):
        bench.time.now_s += 20.0
        if len(to_come) == 2 or (len(to_come) == 1 and bench.courier.backlog):
            await bench.add(to_come.pop(0))
        return Accepted()

    bench.answer = answer
    await bench.run(pauses=1)
    order = [values[0] for _, values in bench.sent]
    assert to_come == []
    assert sorted(order) == list(range(0, 120, 10))
    assert order.index(110) < order.index(100)


@pytest.mark.parametrize("hours", [0, -6, 6, 30])
async def test_a_wall_clock_that_steps_moves_no_attempt_and_loses_nothing(bench, hours):
    """Attempts are timed only by the monotonic clock; the age that is reported is never negative."""
    bench.answer = lambda values: BUSY
    await bench.add(1)
    await bench.run(pauses=2)
    bench.wall_us += hours * 3_600_000_000
    await bench.buffer.clean_up()
    await bench.run(pauses=3)
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 29.0, 1.0]
    assert bench.courier.backlog is None or bench.courier.backlog.behind_s >= 0
    bench.answer = lambda values: Accepted()
    await bench.run(pauses=2)
    assert bench.counters.get(Count.METRICS_DELIVERED) == 10
    assert bench.counters.total(Count.METRICS_EXPIRED) == 0


@pytest.mark.parametrize("is_stated", [False, True])
async def test_a_server_that_knows_no_idempotency_key_has_one_batch_in_flight(bench, is_stated):
    """So that a kill makes it take one batch twice at most; one that states what it accepts gets more at once."""
    bench.accepts = Accepts(is_stated=is_stated, max_metrics=10)
    await bench.add(400)
    at_once = 0

    async def answer(values):
        nonlocal at_once
        at_once = max(at_once, bench.courier.in_flight)
        await asyncio.sleep(0)
        return Accepted()

    bench.answer = answer
    await bench.run()
    assert bench.delivered() == list(range(4000))
    assert (at_once > 1) == is_stated


async def test_a_server_that_the_polls_outrun_gets_more_at_once_all_the_same(bench):
    """Else a large site would fall behind for good: the second turn comes before the first one is through."""
    bench.accepts = Accepts(is_stated=False, max_metrics=10)
    at_once = 0

    async def answer(values):
        nonlocal at_once
        at_once = max(at_once, bench.courier.in_flight)
        bench.time.now_s += 0.6
        return Accepted()

    await bench.add(1)
    await bench.run()
    await bench.add(100)
    bench.answer = answer
    await bench.run()
    assert at_once > 1
