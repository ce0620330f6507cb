"""A series that the server refuses is left out of batches, kept, and asked about once an hour; with the real Buffer."""

import asyncio
import json

import pytest

from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count
from unit.delivery.bench import BUSY

HOUR_S = 3600.0


def refuses_s3(values):
    """The server does not know the fourth sensor of the ten."""
    return Rejected(422, "no such sensor") if any(value % 10 == 3 for value in values) else Accepted()


@pytest.fixture
async def learned(bench):
    """A courier that has learned that s3 is refused."""
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = refuses_s3
    await bench.add(3)
    await bench.run()
    assert len(await bench.buffer.refused()) == 3
    bench.sent.clear()
    return bench


async def polled(bench, polls=1):
    """Some polls more, and their turn."""
    await bench.add(polls)
    await bench.run(pauses=1)


async def test_it_costs_no_further_answer_of_400(learned):
    for _ in range(10):
        await polled(learned)
    assert all(value % 10 != 3 for value in learned.delivered())
    assert len(learned.sent) <= 11
    assert (await learned.buffer.pending()).metrics == 0


async def test_what_is_left_out_is_kept_with_the_servers_reason_and_counted(learned):
    await polled(learned, 3)
    refused = await learned.buffer.refused()
    assert sorted(json.loads(item.metric)["value"] for item in refused) == [3, 13, 23, 33, 43, 53]
    assert {item.reason for item in refused} == {"status 422: no such sensor"}
    assert {item.equipment_id for item in refused} == {"e1"}
    assert learned.counters.get(Count.METRICS_REFUSED) == 6
    assert learned.counters.get(Count.METRICS_DELIVERED) == 54


async def test_it_is_asked_about_once_an_hour_by_itself(learned):
    asked = []
    for _ in range(5 * 60):
        learned.time.now_s += 60.0
        learned.sent.clear()
        await polled(learned)
        asked += [values for _, values in learned.sent if any(value % 10 == 3 for value in values)]
    assert all(len(values) == 1 for values in asked)
    assert 5 <= len(asked) <= 8


async def test_when_it_is_accepted_again_all_that_was_kept_arrives_and_batches_have_it_again(learned):
    await polled(learned, 3)
    learned.answer = lambda values: Accepted()
    learned.time.now_s += HOUR_S
    await polled(learned)
    await polled(learned)
    assert {3, 13, 23, 33, 43, 53} <= set(learned.delivered())
    assert await learned.buffer.refused() == []
    await polled(learned)
    assert len(learned.sent[-1][1]) == 10
    assert learned.counters.get(Count.METRICS_DELIVERED) == 10 * learned.polls


async def test_a_restart_knows_it(learned):
    learned.courier = learned.new_courier()
    await learned.courier.recall()
    await learned.add(1)
    await learned.run(pauses=1)
    assert [len(values) for _, values in learned.sent] == [9]


async def test_a_batch_that_was_sent_with_it_is_sent_with_it_again(bench):
    """The server may have taken it under this key, and the answer was lost: another body would be another batch."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    bench.answer = lambda values: Unavailable("bug", 500) if 0 in values else refuses_s3(values)
    await bench.add(12)
    await bench.run(pauses=30)
    first = [(key, values) for key, values in bench.sent if 0 in values]
    assert len(first) > 1
    assert len({json.dumps(one) for one in first}) == 1
    assert len(first[0][1]) == 10


async def test_a_server_that_is_away_when_it_is_asked_is_asked_again_soon(learned):
    learned.time.now_s += HOUR_S
    learned.answer = lambda values: BUSY if len(values) == 1 else refuses_s3(values)
    await polled(learned)
    learned.answer = lambda values: Accepted()
    for _ in range(3):
        learned.time.now_s += 60.0
        await polled(learned)
    assert await learned.buffer.refused() == []


async def test_a_poll_of_nothing_else_sends_no_request(learned):
    """All of it is left out: it is kept, and there is nothing to send."""
    learned.accepts = Accepts(is_stated=True, max_metrics=1)
    await polled(learned)
    assert all(values for _, values in learned.sent)
    assert (await learned.buffer.pending()).metrics == 0


async def test_a_series_of_which_a_single_value_is_refused_is_left_in(bench):
    """One value out of range says nothing about the next one."""
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = lambda values: Rejected(422, "out of range") if {3, 13} & {*values} else Accepted()
    await bench.add(2)
    await bench.run()
    assert len(await bench.buffer.refused()) == 2
    await polled(bench)
    assert 23 in bench.sent[-1][1]


async def test_an_operator_has_all_that_was_refused_tried_now(bench):
    """Also what is not left out yet; what the server still refuses stays kept, and is not tried over and over."""
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = lambda values: Rejected(422, "no") if any(value % 10 in (3, 7) for value in values) else Accepted()
    await bench.add(2)
    await bench.run()
    assert len(await bench.buffer.refused()) == 4
    bench.answer = lambda values: Rejected(422, "no") if any(value % 10 == 7 for value in values) else Accepted()
    assert await bench.courier.retry_refused() == 2
    bench.sent.clear()
    await polled(bench)
    await polled(bench)
    assert {3, 13} <= set(bench.delivered())
    assert {json.loads(item.metric)["value"] % 10 for item in await bench.buffer.refused()} == {7}
    assert sum(key.startswith("refused-") and values[0] % 10 == 7 for key, values in bench.sent) == 1


async def test_what_the_operator_wants_tried_is_tried_though_nothing_is_pending(learned):
    learned.answer = lambda values: Accepted()
    assert await learned.courier.retry_refused() == 1
    await learned.run()
    assert learned.delivered() == [3, 13, 23]
    assert await learned.buffer.refused() == []


async def test_if_the_api_is_down_it_is_tried_again_until_it_answers(learned):
    learned.answer = lambda values: BUSY if len(learned.sent) <= 2 else Accepted()
    assert await learned.courier.retry_refused() == 1
    began_s = learned.time.now_s
    await learned.run(pauses=20)
    assert [values for _, values in learned.sent] == [[23], [23], [23], [13, 3]]
    assert 120 <= learned.time.now_s - began_s < 200, "a minute after each failure"


@pytest.mark.parametrize("failure", [BUSY, Unavailable("no connection"), Unauthorized(401)])
async def test_if_the_api_goes_down_before_the_rest_the_rest_follows_later(learned, failure):
    """Nothing else would ask for it again: batches have the series by then."""
    answers = iter([Accepted(), failure])
    learned.answer = lambda values: next(answers, Accepted())
    assert await learned.courier.retry_refused() == 1
    await learned.run(pauses=20)
    assert [values for _, values in learned.sent] == [[23], [13, 3], [13], [3]]
    assert await learned.buffer.refused() == []


async def test_after_a_stop_before_the_rest_the_next_run_asks_for_it(learned):
    def stop(values):
        if values == [23, 13, 3]:
            raise asyncio.CancelledError
        return refuses_s3([] if len(values) == 1 else values)

    learned.answer = stop
    learned.time.now_s += HOUR_S
    await learned.add(1)
    with pytest.raises(asyncio.CancelledError):
        await learned.courier.run()
    assert len(await learned.buffer.refused()) == 3
    learned.answer = lambda values: Accepted()
    learned.courier = learned.new_courier()
    await learned.courier.recall()
    learned.time.now_s += HOUR_S
    await polled(learned)
    await polled(learned)
    assert await learned.buffer.refused() == []


@pytest.mark.parametrize("refusal", [TooLarge(), Rejected(422, "one is bad")])
async def test_the_rest_is_sent_in_halves_if_it_is_refused_and_what_is_bad_stays(bench, refusal):
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = refuses_s3
    await bench.add(9)
    await bench.run()
    bench.answer = lambda values: refusal if len(values) > 4 or 43 in values else Accepted()
    assert await bench.courier.retry_refused() == 1
    await bench.run(pauses=3)
    assert [json.loads(item.metric)["value"] for item in await bench.buffer.refused()] == [43]
    assert {3, 13, 23, 33, 53, 63, 73, 83} <= {value for _, values in bench.sent for value in values}


async def test_a_single_one_that_stays_refused_makes_no_request_for_each_of_the_others(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = refuses_s3
    await bench.add(100)
    await bench.run()
    bench.answer = lambda values: Rejected(422, "one is bad") if 983 in values else Accepted()
    bench.sent.clear()
    assert await bench.courier.retry_refused() == 1
    await bench.run(pauses=3)
    assert [json.loads(item.metric)["value"] for item in await bench.buffer.refused()] == [983]
    assert len(bench.sent) < 25


async def test_a_courier_that_waits_for_polls_hears_of_it(learned):
    asked = asyncio.Event()

    def answer(values):
        asked.set()
        return Accepted()

    learned.answer = answer
    task = asyncio.create_task(learned.courier.run())
    try:
        await asyncio.sleep(0)
        await learned.courier.retry_refused()
        await asked.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
