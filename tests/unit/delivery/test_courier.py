"""What the buffer holds reaches the API once, whatever the API answers; with the real Buffer."""

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from threading import get_ident

import pytest
import structlog

from support.patience import Done
from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unauthorized, Unavailable
from towerops_agent.buffer import recovery
from towerops_agent.buffer.room import Room
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.counters import Count
from towerops_agent.delivery import courier
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.course.parcel import pack
from towerops_agent.errors import BufferFailure, SettingsError
from towerops_agent.model import Layout, LayoutKind, Poll
from unit.buffer.samples import corrupt_error
from unit.delivery.bench import BUSY, LAYOUT, NOW_US


async def test_a_first_delivery_is_made_at_once_and_the_next_after_30_s(bench):
    await bench.add(2)
    await bench.run()
    assert bench.pauses == [30.0]
    assert bench.sent[0][1] == list(range(20))
    assert (await bench.buffer.pending()).metrics == 0
    assert bench.counters.get(Count.METRICS_DELIVERED) == 20
    assert bench.counters.get(Count.BATCHES, "delivered") == 1


async def test_only_the_first_delivery_waits_for_the_polls_that_follow_the_first(bench):
    bench.courier = bench.new_courier(settle_s=1.0)
    await bench.add(1)
    await bench.run(pauses=1)
    assert bench.pauses == [1.0, 30.0]
    assert bench.sent[0][1] == list(range(10))


@pytest.mark.parametrize(
    ("polls", "accepts", "is_beside"),
    [
        (100, Accepts(), False),
        (101, Accepts(), True),
        (100, Accepts(("gzip",), is_stated=True), True),
    ],
)
async def test_a_large_batch_and_one_to_be_compressed_are_packed_beside_the_loop(bench, monkeypatch, polls, accepts, is_beside):
    monkeypatch.setattr("towerops_agent.delivery.courier.METRICS_AT_ONCE", 10 * polls)
    await packed_beside(bench, monkeypatch, polls, accepts, is_beside=is_beside)


@pytest.mark.parametrize(("metrics", "is_beside"), [(100, False), (99, True)])
async def test_a_batch_of_many_metrics_is_packed_beside_the_loop(bench, monkeypatch, metrics, is_beside):
    monkeypatch.setattr("towerops_agent.delivery.courier.METRICS_AT_ONCE", metrics)
    await packed_beside(bench, monkeypatch, 10, Accepts(), is_beside=is_beside)


async def packed_beside(bench, monkeypatch, polls, accepts, *, is_beside):
    threads = []
    monkeypatch.setattr(courier, "pack", lambda *args, **options: threads.append(get_ident()) or pack(*args, **options))
    bench.accepts = replace(accepts, max_metrics=10 * polls)
    await bench.add(polls)
    await bench.run()
    assert bench.delivered() == list(range(10 * polls))
    assert [thread != get_ident() for thread in threads] == [is_beside]


async def test_nothing_is_sent_before_anything_is_pending(bench):
    task = asyncio.create_task(bench.courier.run())
    await bench.buffer.pending()
    assert bench.sent == []
    bench.answer = lambda values: arrived.set() or Accepted()
    arrived = asyncio.Event()
    await bench.add(1)
    await arrived.wait()
    task.cancel()
    with pytest.raises((asyncio.CancelledError, Done)):
        await task
    assert bench.delivered() == list(range(10))


async def test_a_backlog_is_delivered_without_a_pause_in_batches_of_what_the_server_takes(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=7)
    await bench.add(5)
    await bench.run()
    assert bench.pauses == [30.0]
    assert sorted(len(values) for _, values in bench.sent) == [1, 7, 7, 7, 7, 7, 7, 7]
    assert bench.delivered() == list(range(50))
    assert len({key for key, _ in bench.sent}) == len(bench.sent)


async def test_a_failed_batch_is_sent_again_with_the_same_key_and_body_after_growing_pauses(bench):
    await bench.add(1)
    bench.accepts = Accepts(content_encodings=("gzip",))
    outcomes = [BUSY, BUSY, Unavailable("busy", 503, 8.0), Accepted()]
    changes = []
    bench.courier.availability.on_change = lambda *change: changes.append(change)
    bench.answer = lambda values: outcomes.pop(0)
    lines = await bench.run(pauses=3)
    assert bench.pauses == [1.0, 2.0, 8.0]
    assert len(bench.sent) == 4
    assert len({key for key, _ in bench.sent}) == 1
    assert len(set(bench.bodies)) == 1
    assert bench.counters.get(Count.BATCHES, "retried") == 3
    (failure,) = [line for line in lines if line["event"] == "batch not delivered, will retry"]
    assert failure["batch"] == "1-1"
    assert (failure["metrics"], failure["status"], failure["attempt"], failure["retry_in_s"]) == (10, 503, 1, 1.0)
    assert [line["failures_before"] for line in lines if line["event"] == "API accepts metrics"] == [3]
    state = bench.courier.availability
    assert (state.works, state.last_failure, state.last_success_us) == (True, "busy", NOW_US + 11_000_000)
    assert changes == [(False, "busy", NOW_US), (True, "", NOW_US + 11_000_000)]


async def test_a_restart_sends_the_open_batch_with_its_key(bench):
    await bench.add(1)
    bench.answer = lambda values: BUSY
    await bench.run()
    bench.courier = bench.new_courier()
    bench.answer = lambda values: Accepted()
    await bench.run()
    (first, body), (second, body_again) = bench.sent
    assert (first, body) == (second, body_again)


async def test_a_long_outage_is_few_lines(bench):
    await bench.add(1)
    bench.answer = lambda values: BUSY
    lines = await bench.run(pauses=200)
    hours = sum(bench.pauses) / 3600
    assert 200 > hours * 60 >= len(lines) - 1


async def test_a_refused_token_is_said_loudly_and_read_again_before_the_next_attempt(bench):
    await bench.add(1)
    bench.answer = lambda values: Accepted() if bench.rereads == 2 else Unauthorized(401)
    bench.token_error = SettingsError("the token file is gone")
    lines = await bench.run(pauses=2)
    assert bench.pauses == [60.0, 60.0]
    assert [line["log_level"] for line in lines if "not delivered" in line["event"]] == ["error", "error"]
    assert any(line.get("error") == "the token file is gone" for line in lines)
    assert bench.counters.get(Count.METRICS_DELIVERED) == 10


async def test_refused_metrics_stand_alone_in_the_end_and_the_rest_is_delivered(bench):
    await bench.add(4)
    bad = {3, 17, 18, 39}
    bench.answer = lambda values: Rejected(422, f"no sensor {min(bad & set(values))}") if bad & set(values) else Accepted()
    lines = await bench.run()
    assert bench.pauses == [30.0]
    accepted = [value for _, values in bench.sent if not bad & set(values) for value in values]
    assert sorted(accepted) == sorted(set(range(40)) - bad)
    refused = await bench.buffer.refused()
    assert {json.loads(item.metric)["value"]: item.reason for item in refused} == {
        value: f"status 422: no sensor {value}" for value in bad
    }
    assert bench.counters.get(Count.METRICS_REFUSED) == 4
    assert bench.counters.get(Count.METRICS_DELIVERED) == 36
    assert (await bench.buffer.pending()).metrics == 0
    assert sum(line["event"] == "metric refused, kept with the reason" for line in lines) == 1, "one a minute"
    assert sum(line["event"] == "batch refused, sent in halves" for line in lines) == 1


async def test_a_batch_too_large_is_halved_and_the_size_remembered(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=40)
    await bench.add(12)
    bench.answer = lambda values: TooLarge() if len(values) > 10 else Accepted()
    await bench.run()
    sizes = [len(values) for _, values in bench.sent]
    assert sizes.count(40) <= 2, "those that were under way together"
    assert set(sizes) == {40, 20, 10}
    assert set(range(120)) <= set(bench.delivered())
    assert bench.counters.get(Count.METRICS_DELIVERED) == 120


async def test_a_body_larger_than_the_server_takes_is_split_before_it_is_sent(bench):
    bench.accepts = Accepts(max_body_octets=4096)
    await bench.add(10)
    await bench.run()
    assert max(len(body) for body, _ in bench.bodies) <= 4096
    assert bench.delivered() == list(range(100))


async def test_a_single_metric_too_large_is_kept_apart_and_the_size_forgotten(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=40)
    await bench.add(8)
    bench.answer = lambda values: TooLarge() if 5 in values else Accepted()
    await bench.run()
    assert [json.loads(item.metric)["value"] for item in await bench.buffer.refused()] == [5]
    assert bench.counters.get(Count.METRICS_DELIVERED) == 79
    await bench.add(8)
    await bench.run()
    assert len(bench.sent[-1][1]) == 40


async def test_gzip_is_used_where_the_server_takes_it(bench):
    bench.accepts = Accepts(content_encodings=("zstd", "gzip"))
    await bench.add(10)
    await bench.run()
    assert bench.bodies[0][1] == "gzip"
    assert len(bench.bodies[0][0]) < 2000
    assert bench.delivered() == list(range(100))


async def test_what_is_under_way_at_a_stop_is_waited_for_and_not_sent_again(bench):
    """A server that knows no idempotency key would have it twice."""
    await bench.add(1)
    sending, answered = asyncio.Event(), asyncio.Event()

    async def late(values):
        sending.set()
        await answered.wait()
        return Accepted()

    bench.answer = late
    task = asyncio.create_task(bench.courier.run())
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answered.set()
    assert await bench.courier.deliver_pending() is True
    assert len(bench.sent) == 1
    assert (await bench.buffer.pending()).metrics == 0


async def test_a_stop_that_is_cut_short_leaves_the_batch_open(bench):
    await bench.add(1)
    sending = asyncio.Event()

    async def never(values):
        sending.set()
        await asyncio.Event().wait()

    bench.answer = never
    task = asyncio.create_task(bench.courier.deliver_pending())
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.courier.in_flight == 0
    bench.answer = lambda values: Accepted()
    assert await bench.courier.deliver_pending() is True
    assert len({key for key, _ in bench.sent}) == 1
    assert (await bench.buffer.pending()).metrics == 0


async def test_when_all_that_was_pending_has_expired_in_an_outage_new_polls_are_tried(bench):
    await bench.add(1)
    bench.answer = lambda values: BUSY
    await bench.run(pauses=3)
    bench.time.now_s += 25 * 3600
    await bench.buffer.clean_up()
    bench.answer = lambda values: Accepted()
    await bench.run(pauses=3)
    await bench.add(1)
    await bench.run(pauses=3)
    assert bench.delivered()[-1] == 19
    assert bench.counters.get(Count.METRICS_DELIVERED) == 10


async def test_a_single_run_delivers_all_or_says_that_it_did_not(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=8)
    await bench.add(2)
    assert await bench.courier.deliver_pending() is True
    assert bench.delivered() == list(range(20))
    await bench.add(1)
    bench.answer = lambda values: BUSY
    bench.time.left = 9
    assert await bench.courier.deliver_pending(attempts=3) is False
    assert bench.pauses == [1.0, 2.0]
    assert (await bench.buffer.pending()).metrics == 10


async def test_a_batch_that_expires_during_an_outage_is_not_sent_any_more(bench):
    await bench.add(1)
    bench.answer = lambda values: BUSY
    await bench.run(pauses=2)
    bench.time.now_s += 25 * 3600
    await bench.buffer.clean_up()
    before = len(bench.sent)
    assert await bench.courier.deliver_pending() is True
    assert len(bench.sent) == before
    assert bench.counters.get(Count.METRICS_EXPIRED) == 10


def before_noting(bench, patch, does) -> None:
    """Have the buffer await this each time before it notes what the server has, with the next batch or without."""
    acknowledge, take_batch = bench.buffer.acknowledge, bench.buffer.take_batch

    async def acknowledging(batch, left_out=()):
        await does()
        await acknowledge(batch, left_out)

    async def taking(*arguments, sent=()):
        if sent:
            await does()
        return await take_batch(*arguments, sent=sent)

    patch.setattr(bench.buffer, "acknowledge", acknowledging)
    patch.setattr(bench.buffer, "take_batch", taking)


def fail_to_note(bench, monkeypatch, times: int) -> asyncio.Event:
    """Have the buffer fail so often when it is to note what the server has, with the next batch or without; set at the first."""
    left = [BufferFailure("disk full")] * times
    failed = asyncio.Event()

    async def fail_if_any():
        if left:
            failed.set()
            raise left.pop()

    before_noting(bench, monkeypatch, fail_if_any)
    return failed


async def test_a_buffer_that_fails_ends_nothing(bench, monkeypatch):
    await bench.add(1)
    fail_to_note(bench, monkeypatch, 1)
    lines = await bench.run(pauses=1)
    assert bench.pauses == [30.0], "until it is tried again; then nothing is pending"
    assert len({key for key, _ in bench.sent}) == 1
    assert bench.counters.get(Count.METRICS_DELIVERED) == 10
    assert any(line["event"].startswith("buffer") for line in lines)


@pytest.mark.parametrize("failures", [1, 3])
async def test_what_the_server_has_is_not_sent_again_if_the_buffer_could_not_note_it(bench, monkeypatch, failures):
    """Else a server that refuses it by then would have it in halves, under other keys: twice."""
    await bench.add(4)
    bench.accepts = Accepts(is_stated=True, max_metrics=20)
    fail_to_note(bench, monkeypatch, failures)
    seen = set()

    def answer(values):
        """It refuses what it has."""
        if seen & set(values):
            return Rejected(400, "bad deployment")
        seen.update(values)
        return Accepted()

    bench.answer = answer
    await bench.run(pauses=5)
    assert bench.delivered() == list(range(40)), "each once"
    assert bench.counters.get(Count.METRICS_DELIVERED) == 40
    assert bench.counters.get(Count.METRICS_REFUSED) == 0


async def test_requests_under_way_when_the_buffer_fails_are_waited_for(bench, monkeypatch):
    await bench.add(4)
    bench.accepts = Accepts(is_stated=True, max_metrics=20)
    failed = fail_to_note(bench, monkeypatch, 1)

    async def after_the_failure():
        await failed.wait()
        return Accepted()

    bench.answer = lambda values: Accepted() if 0 in values else after_the_failure()
    await bench.run(pauses=1)
    assert bench.delivered() == list(range(40)), "each once"
    assert bench.counters.get(Count.METRICS_DELIVERED) == 40


async def test_what_the_server_has_is_noted_at_the_stop(bench, monkeypatch):
    """The delivery is cut off between the answer and the next batch, with which it would have been noted."""
    bench.accepts = Accepts()
    await bench.add(150)
    await cut_off_after_the_first_answer(bench, monkeypatch)
    assert bench.counters.get(Count.METRICS_DELIVERED) == 1000
    assert (await bench.buffer.pending()).metrics == 500
    assert await bench.new_courier().deliver_pending() is True
    assert bench.delivered() == list(range(1500)), "each once"


async def test_it_is_said_if_what_the_server_has_cannot_be_noted_at_the_stop(bench, monkeypatch):
    await bench.add(150)
    bench.accepts = Accepts()
    fail_to_note(bench, monkeypatch, 1)
    lines = await cut_off_after_the_first_answer(bench, monkeypatch)
    (line,) = [line for line in lines if line["event"] == "delivered batches can't be noted, the API may get them again"]
    assert line["error"] == "disk full"
    assert bench.counters.get(Count.METRICS_DELIVERED) == 0


async def cut_off_after_the_first_answer(bench, monkeypatch):
    """Its log lines."""
    is_answered, take_batch = asyncio.Event(), bench.buffer.take_batch

    async def taking(*arguments, sent=()):
        if sent:
            is_answered.set()
            await asyncio.Event().wait()
        return await take_batch(*arguments, sent=sent)

    with structlog.testing.capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(bench.buffer, "take_batch", taking)
        delivery = asyncio.create_task(bench.courier.deliver_pending())
        await is_answered.wait()
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
    return lines


async def test_a_stop_while_the_buffer_notes_what_the_server_has_ends_as_any_other(bench, monkeypatch):
    """A batch that failed is due again just then: it is under way before a stop can come, which would else wait in vain."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(4)
    others_pass, is_due = asyncio.Event(), asyncio.Event()
    outcomes = [Unavailable("bug", 500), Accepted()]  # to the batch that fails

    async def fails_beside_others():
        await others_pass.wait()
        return outcomes.pop(0)

    async def accepts_beside_it():
        bench.time.now_s += 0.1
        others_pass.set()
        return Accepted()

    async def accepts_until_it_is_due():
        await bench.buffer.pending()  # by then the delivery rests, as it has found nothing more
        bench.time.now_s += 3
        is_due.set()
        return Accepted()

    answers = {10: fails_beside_others, 20: accepts_beside_it, 30: accepts_until_it_is_due}
    bench.answer = lambda values: answers[values[0]]() if values[0] in answers else Accepted()
    hangs = asyncio.Event()

    async def hang_if_due():
        if is_due.is_set():
            hangs.set()
            await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        before_noting(bench, patch, hang_if_due)
        running = asyncio.create_task(bench.courier.run())
        await hangs.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await bench.courier.deliver_pending() is True
    assert outcomes == []
    assert (await bench.buffer.pending()).metrics == 0
    assert bench.counters.get(Count.METRICS_DELIVERED) == 40


async def test_what_is_urgent_while_the_buffer_notes_what_the_server_has_waits_for_no_turn(bench, monkeypatch):
    """A device's state changes just then: five seconds after the turn, and not thirty."""
    await bench.add(1)
    await bench.run()
    acknowledge = bench.buffer.acknowledge

    async def acknowledging(batch, left_out=()):
        await acknowledge(batch, left_out)
        if bench.polls == 2:
            await bench.add(1)
            bench.courier.hurry()

    monkeypatch.setattr(bench.buffer, "acknowledge", acknowledging)
    await bench.add(1)
    await bench.run(pauses=1)
    assert bench.pauses == [30.0, 5.0, 30.0]
    assert bench.delivered() == list(range(30))


async def test_a_single_run_promises_no_attempt_that_it_does_not_make(bench):
    """The last line of a failure says that the batch waits for the next run, and the number of attempts before it."""
    await bench.add(1)
    bench.answer = lambda values: BUSY
    bench.time.left = 9
    with structlog.testing.capture_logs() as lines:
        assert await bench.courier.deliver_pending(attempts=1) is False
    (line,) = [line for line in lines if line["event"].startswith("batch not delivered")]
    assert line["event"] == "batch not delivered, kept for the next run"
    assert "retry_in_s" not in line


async def test_a_single_run_waits_for_no_attempt_that_would_come_too_late(bench):
    """A refused token is tried again after a minute: a run that has half a minute ends at once, and says so."""
    await bench.add(1)
    bench.answer = lambda values: Unauthorized(401)
    bench.time.left = 9
    with structlog.testing.capture_logs() as lines:
        assert await bench.courier.deliver_pending(attempts=3, within_s=30.0) is False
    assert bench.pauses == []
    assert [line["event"] for line in lines] == ["batch not delivered, kept for the next run"]


async def test_a_batch_that_only_fails_beside_others_is_kept_for_the_next_run(bench):
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(8)

    is_sent = asyncio.Event()

    async def answer(values):
        if 30 in values:
            is_sent.set()
            while bench.counters.get(Count.METRICS_DELIVERED) < 40:  # noqa: ASYNC110 -- until one behind it is acknowledged
                await asyncio.sleep(0)
            return Unavailable("bug", 500)
        if values[0] > 30:
            await is_sent.wait()  # it may be packed first
        bench.time.now_s += 0.1
        return Accepted()

    bench.answer = answer
    with structlog.testing.capture_logs() as lines:
        assert await bench.courier.deliver_pending(attempts=1) is False
    events = [line["event"] for line in lines if line["event"].startswith("batch not delivered")]
    assert events == ["batch not delivered, others are; kept for the next run"]
    assert [values[0] for _, values in bench.sent].count(30) == 1
    assert bench.counters.get(Count.METRICS_DELIVERED) == 70


async def test_what_the_server_says_that_it_did_not_receive_is_counted_and_said_once(bench):
    """It has acknowledged the batch, which is not sent again: the operator is to know."""
    bench.accepts = Accepts(is_stated=True, max_metrics=10)
    await bench.add(3)
    bench.answer = lambda values: Accepted(received=len(values) - 2)
    lines = await bench.run()
    (line,) = [line for line in lines if line["event"] == "API received fewer metrics than were sent"]
    assert (line["metrics"], line["received"], line["log_level"]) == (10, 8, "warning")
    assert bench.counters.get(Count.METRICS_UNCONFIRMED) == 6
    assert bench.counters.get(Count.METRICS_DELIVERED) == 30
    assert len(bench.sent) == 3


@pytest.mark.parametrize("received", [None, 10, 99])
async def test_a_server_that_received_all_or_does_not_say_is_not_logged(bench, received):
    await bench.add(1)
    bench.answer = lambda values: Accepted(received=received)
    lines = await bench.run()
    assert not any(line["event"].startswith("API received") for line in lines)
    assert bench.counters.get(Count.METRICS_UNCONFIRMED) == 0


async def test_a_server_that_refuses_everything_gets_few_requests_and_nothing_is_quarantined(bench):
    """A bad deployment answers 400 to all: that is a failing API, and when it is repaired all arrives."""
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = lambda values: Rejected(400, "no such table: metrics")
    await bench.add(400)
    began_s = bench.time.now_s
    lines = await bench.run(pauses=200)
    assert len(bench.sent) < 45 + (bench.time.now_s - began_s) / 30
    assert await bench.buffer.refused() == []
    assert bench.counters.get(Count.METRICS_REFUSED) == 0
    assert bench.courier.availability.works is False
    assert "no such table" in bench.courier.availability.last_failure
    assert len(lines) < 5 + (bench.time.now_s - began_s) / 25
    bench.answer = lambda values: Accepted()
    bench.sent.clear()
    await bench.run(pauses=400)
    assert (await bench.buffer.pending()).metrics == 0
    assert bench.delivered() == list(range(4000))
    assert bench.courier.availability.works is True


async def test_a_server_that_refuses_everything_is_found_out_beside_one_that_was_fine(bench):
    """What it accepted before the bad deployment says nothing of what it refuses after it."""
    bench.accepts = Accepts(is_stated=True, max_metrics=100)
    await bench.add(50)
    await bench.run()
    assert bench.counters.get(Count.METRICS_DELIVERED) == 500
    bench.answer = lambda values: Rejected(422, "bug")
    await bench.add(50)
    await bench.run(pauses=20)
    assert await bench.buffer.refused() == []
    bench.answer = lambda values: Rejected(422, "no such sensor") if 777 in values else Accepted()
    await bench.run(pauses=100)
    assert [json.loads(item.metric)["value"] for item in await bench.buffer.refused()] == [777]
    assert bench.counters.get(Count.METRICS_DELIVERED) == 999


@pytest.mark.parametrize("known", [{9}, {0}, {0, 9}])
async def test_a_device_that_the_server_does_not_know_does_not_keep_the_others_back(bench, known):
    """Most of the first batch is refused, down to single metrics; the search finds the rest that is not."""
    bench.accepts = Accepts(is_stated=True, max_metrics=1000)
    bench.answer = lambda values: Accepted() if {value // 10 for value in values} <= known else Rejected(422, "no such device")
    for poll in range(10):
        await bench.add(1, LAYOUT if poll in known else Layout("e2", tuple((f"t{n}", 1) for n in range(10))))
    await bench.run()
    assert bench.pauses == [30.0], "no failure of the API"
    assert len(await bench.buffer.refused(1000)) == 100 - 10 * len(known)
    assert bench.counters.get(Count.METRICS_DELIVERED) == 10 * len(known)


async def test_a_change_of_state_is_delivered_before_the_next_turn(bench):
    """Else the server would know of a dead device up to half a minute later."""
    resting, arrived = asyncio.Event(), asyncio.Semaphore(0)

    def answer(_values):
        arrived.release()
        return Accepted()

    async def sleep(seconds):
        if seconds < 1:  # what gathers what hurries
            bench.time.now_s += seconds
            return
        if not bench.courier.in_flight:
            resting.set()
        await asyncio.Event().wait()

    bench.answer = answer

    bench.courier = Courier(
        bench.buffer,
        bench,
        bench.counters,
        accepts=lambda: bench.accepts,
        sleep=sleep,
        monotonic_s=bench.time.monotonic_s,
        now_us=lambda: bench.now_us,
    )
    running = asyncio.create_task(bench.courier.run())
    await bench.add(1)
    await arrived.acquire()
    await resting.wait()
    bench.time.now_s += 10
    await bench.add(1)
    bench.courier.hurry()
    await arrived.acquire()
    assert bench.delivered() == list(range(20))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_nothing_is_sent_before_it_is_known_what_the_server_accepts(bench):
    """Else what an earlier run has left would be split, or lose what a server without the extension does not accept."""
    known, arrived, sent = asyncio.Event(), asyncio.Event(), []

    async def post_metrics(body, key, encoding=None):
        sent.extend(json.loads(body)["metrics"])
        arrived.set()
        return Accepted()

    bench.post_metrics = post_metrics
    bench.accepts = Accepts()
    bench.courier = Courier(
        bench.buffer, bench, bench.counters, accepts=lambda: bench.accepts, known=known, for_others=True, sleep=bench.time.sleep
    )
    layout = await bench.buffer.register(Layout("e1", kind=LayoutKind.STATE))
    bench.buffer.add(Poll(layout, NOW_US, (1, 1, None), ((1, 0),), 1))
    assert not await bench.courier.deliver_pending()
    running = asyncio.create_task(bench.courier.run())
    await bench.buffer.flush()
    await bench.buffer.flush()
    assert (await bench.buffer.pending()).metrics == 1
    bench.accepts = Accepts(is_stated=True, metric_types=("sensor_reading", "interface_stat", "equipment_status"))
    known.set()
    waiting = asyncio.create_task(arrived.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (running, waiting):
        task.cancel()
    await asyncio.wait([running, waiting])
    assert [(metric["type"], metric["equipment_id"]) for metric in sent] == [("equipment_status", "e1")]


async def test_each_mark_holds_until_the_next_one(bench):
    """Whatever the server answers: the loop says for how long it waits, and then moves."""
    await bench.add(3)
    outcomes = [BUSY, Unavailable("busy", 503, 600.0), Unauthorized(401), BUSY]
    bench.answer = lambda values: outcomes.pop(0) if outcomes else Accepted()
    await bench.run(pauses=8)
    assert max(bench.pauses) == 60.0
    moves = [*bench.moves, (bench.time.now_s, 0.0)]
    assert all(again - at <= within_s for (at, within_s), (again, _) in pairwise(moves))
    assert max(within_s for _, within_s in moves) == 60.0


async def test_delivery_leaves_no_mark_while_a_request_hangs_however_often_its_loop_turns(bench):
    """A client whose time limit does not work: nothing is delivered any more, and each turn comes in time."""
    asked = asyncio.Event()

    async def hang():
        asked.set()
        await asyncio.Event().wait()

    bench.answer = lambda values: hang()
    bench.time.hurried = True
    bench.time.left = 40
    await bench.add(1)
    with pytest.raises(Done):
        await bench.courier.run()
    assert asked.is_set()
    assert bench.time.now_s - 1000.0 > 600.0
    assert max(at for at, _ in bench.moves) - 1000.0 <= courier.HANGS_AFTER_S
    assert len(bench.moves) > 4


async def test_a_batch_that_is_tried_again_while_a_corrupt_file_is_copied_is_delivered_afterwards(bench, monkeypatch):
    """Its polls are not all there meanwhile, and none at first. That is not taken for a batch that is done with."""
    missing = [1 << 20]
    monkeypatch.setattr(recovery, "AT_ONCE_OCTETS", 0)
    monkeypatch.setattr(recovery, "AGAIN_S", 0.0005)
    monkeypatch.setattr(Room, "missing_on_disk", lambda *_: missing[0] - (2 << 20))
    await bench.add(3)
    accepted = []

    async def fail(_):
        if not bench.buffer.salvaging:
            missing[0] = 4 << 20
            with pytest.raises(BufferFailure):
                await bench.buffer.ask(corrupt_error, sees_polls=False)
        return BUSY

    bench.answer = fail
    await bench.run(pauses=3)
    assert bench.buffer.salvaging
    missing[0] = 0
    while bench.buffer.salvaging:
        await bench.buffer.salvage()
    bench.answer = lambda values: accepted.extend(values) or Accepted()
    await bench.run(pauses=3)
    assert sorted(accepted) == list(range(30))
    assert len({key for key, _ in bench.sent}) == 1
