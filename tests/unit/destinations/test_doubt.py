"""Which batches a receiver may have although it has not said so, and what shows whether it has one."""

import time

import pytest

from support.remote import SENSORS, Remote
from support.strict import OtlpReceiver, Receiver
from towerops_agent.api.wire.outcomes import Accepted, Rejected, TooLarge, Unavailable
from towerops_agent.buffer.format.batch import Batch
from towerops_agent.counters import Count
from towerops_agent.destinations.course.fit import Candidate, fit_of
from towerops_agent.destinations.doubt import Doubt, settle
from towerops_agent.destinations.kinds import KINDS
from towerops_agent.destinations.lateness import Lateness
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken, TooLate
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import OTLP, REMOTE_WRITE

NOW_S = time.time()
KIND = KINDS[REMOTE_WRITE]
LATE = TooLate(400, "out of order sample", by_time=False)
LATE_OF_MIMIR = TooLate(400, "out of order sample (err-mimir-sample-out-of-order)", by_time=False)
GONE = Unavailable("the connection broke")


@pytest.fixture
async def remote(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=1) as remote:
        yield remote


@pytest.fixture
def doubt(remote: Remote) -> Doubt:
    return Doubt(remote.buffer, "test", remote.counters)


async def batch_of(remote: Remote, polls: int, since_s: float = NOW_S - 100) -> Batch:
    """An open batch of so many polls of one device, a second apart."""
    for n in range(polls):
        remote.add(0, since_s + n, 100.0 + n)
    await remote.buffer.flush()
    batch = await remote.buffer.next_batch(2000, destination="test")
    assert batch is not None
    return batch


async def polls_of(remote: Remote, batch: Batch) -> list[Candidate]:
    assert remote.destination is not None
    return fit_of(*await remote.heads.read(batch, remote.destination), round((NOW_S + 300) * 1e6), lambda _: False)[0]


async def behind(doubt: Doubt, batch: Batch, most_metrics: int = 2000) -> list[Batch]:
    return [one async for one in doubt.behind(batch, most_metrics)]


# Which are in doubt.


async def test_what_an_earlier_run_left_open_is_in_doubt_and_what_is_cut_later_is_not(remote, doubt):
    earlier = await batch_of(remote, 2)
    assert await doubt.begin()
    assert not await doubt.begin()
    await remote.buffer.acknowledge(earlier)
    later = await batch_of(remote, 2)
    assert (earlier in doubt, later in doubt) == (True, False)


async def test_of_what_an_earlier_run_left_open_those_that_adjoin_are_behind_each_other(remote, doubt):
    await doubt.begin()
    batch = await batch_of(remote, 8)
    doubt.sends(batch)
    quarter = await doubt.split_unanswered(await doubt.split_unanswered(batch))
    parts = await behind(doubt, quarter)
    later = Doubt(remote.buffer, "test", remote.counters)
    await later.begin()
    assert await behind(later, quarter) == parts
    await remote.buffer.acknowledge(parts[0])
    without = Doubt(remote.buffer, "test", remote.counters)
    await without.begin()
    assert await behind(without, quarter) == []


async def test_what_is_sent_is_in_doubt_until_it_is_answered(remote, doubt):
    await doubt.begin()
    batch = await batch_of(remote, 2)
    assert not doubt.sends(batch)
    assert batch in doubt
    assert doubt.sends(batch)


@pytest.mark.parametrize(
    ("outcome", "first", "again"),
    [
        (GONE, True, True),
        (Unavailable("no answer within 30 s", timed_out=True), True, True),
        (Unavailable("status 504: no", 504), True, True),
        (Unavailable("status 524: a timeout occurred", 524), True, True),
        (Unavailable("status 520: unknown error", 520), True, True),
        (Unavailable("status 521: web server is down", 521), False, True),
        (Unavailable("status 200 with a web page", 200), True, True),
        (Unavailable("status 503: reset before headers", 503, cut_off=True), True, True),
        (Unavailable("status 503: not ready", 503), False, True),
        (Unavailable("connection refused", not_sent=True), False, True),
        (Misconfigured(404, "nothing at this URL"), False, True),
        (Accepted(), False, False),
        (PartlyTaken(200, "some", 1), False, False),
        (LATE, False, False),
        (TooLarge(), False, False),
        (Rejected(400, "no"), False, False),
    ],
)
async def test_whether_it_is_in_doubt_afterwards(remote, doubt, outcome, first, again):
    """`first`: if it was sent for the first time, and the receiver can't have it from before; `again`: if it may."""
    await doubt.begin()
    batch = await batch_of(remote, 2)
    doubt.sends(batch)
    doubt.answered(batch, outcome, before=False)
    assert (batch in doubt) is first
    doubt.sends(batch)
    doubt.answered(batch, outcome, before=True)
    assert (batch in doubt) is again


# Halves.


async def test_the_halves_of_what_was_refused_are_not_in_doubt(remote, doubt):
    batch = await batch_of(remote, 4)
    await doubt.begin()
    older = await doubt.split(batch)
    assert older.metric_count == 2 * SENSORS
    assert older not in doubt
    assert await behind(doubt, older) == []
    assert remote.counters.get(Count.BATCHES, "split") == 1


async def test_the_halves_of_what_was_never_sent_are_not_in_doubt_either(remote, doubt):
    await doubt.begin()
    older = await doubt.split_unanswered(await batch_of(remote, 4))
    assert older not in doubt
    assert await behind(doubt, older) == []


async def test_halves_of_what_is_in_doubt_are_in_doubt_and_know_what_is_behind_them(remote, doubt):
    batch = await batch_of(remote, 8)
    await doubt.begin()
    half = await doubt.split_unanswered(batch)
    quarter = await doubt.split_unanswered(half)
    assert (batch in doubt, half in doubt, quarter in doubt) == (False, False, True)
    parts = await behind(doubt, quarter)
    assert [one.metric_count for one in (quarter, *parts)] == [2 * SENSORS, 2 * SENSORS, 4 * SENSORS]
    assert [one.start for one in parts] == [quarter.stop, half.stop]
    assert all(one in doubt for one in parts)
    doubt.answered(quarter, Accepted(), before=True)
    assert await behind(doubt, quarter) == []
    assert await behind(doubt, parts[0]) == parts[1:]


async def test_what_is_behind_is_made_as_small_as_what_gets_through(remote, doubt):
    batch = await batch_of(remote, 16)
    await doubt.begin()
    half = await doubt.split_unanswered(batch)
    parts = await behind(doubt, half, 2 * SENSORS)
    assert [one.metric_count for one in parts] == [2 * SENSORS] * 4
    assert all(one in doubt for one in parts)
    assert await behind(doubt, half, 2 * SENSORS) == parts

    assert await behind(doubt, half, 2 * SENSORS - 1) == parts, "of halves one may have one metric more"


# Whether the receiver has it.


async def settled(remote: Remote, receiver, doubt: Doubt, batch: Batch, late: TooLate = LATE):
    return await asked(remote, receiver, doubt, batch, Lateness(KIND), late)


async def asked(remote: Remote, receiver, doubt: Doubt, batch: Batch, lateness: Lateness, late: TooLate = LATE):
    parts = [[one.part for one in await polls_of(remote, each)] for each in await behind(doubt, batch)]
    return await settle(receiver.send, KIND, lateness, await polls_of(remote, batch), parts, late)


async def stores(receiver: Receiver, polls: list[Candidate]) -> None:
    assert isinstance(await receiver.send(KIND.pack([one.part for one in polls]).body), Accepted)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_receiver_that_has_the_batch_has_it(remote, doubt, whole):
    receiver = Receiver(whole=whole)
    batch = await batch_of(remote, 4)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    assert isinstance(await settled(remote, receiver, doubt, batch, LATE if whole else LATE_OF_MIMIR), Accepted)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_half_of_what_it_has_is_known_by_the_part_behind(remote, doubt, whole):
    receiver = Receiver(whole=whole)
    batch = await batch_of(remote, 8)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    quarter = await doubt.split_unanswered(await doubt.split_unanswered(batch))
    assert isinstance(await settled(remote, receiver, doubt, quarter, LATE if whole else LATE_OF_MIMIR), Accepted)


async def test_of_a_prometheus_the_last_part_is_asked_about_first_as_it_shows_all_the_others(remote, doubt):
    receiver = Receiver()
    batch = await batch_of(remote, 8)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    quarter = await doubt.split_unanswered(await doubt.split_unanswered(batch))
    receiver.requests = 0
    assert isinstance(await settled(remote, receiver, doubt, quarter), Accepted)
    assert receiver.requests == 3  # whether it can be asked, whether it lacks the last part, and whether it has it


async def test_whether_a_receiver_can_be_asked_is_found_out_for_each_batch(remote, doubt):
    """It was away, and may have been started again with other settings."""
    receiver = Receiver(bounded=False)
    batch = await batch_of(remote, 8)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    older = await doubt.split_unanswered(batch)
    lateness = Lateness(KIND)
    assert await asked(remote, receiver, doubt, older, lateness) == LATE
    receiver.bounded = True
    assert isinstance(await asked(remote, receiver, doubt, older, lateness), Accepted)


@pytest.mark.parametrize("whole", [True, False])
async def test_what_another_writer_has_made_too_late_is_too_late(remote, doubt, whole):
    """It has later values of the series than the older half, and earlier ones than the newer half, which the receiver lacks."""
    receiver = Receiver(whole=whole)
    batch = await batch_of(remote, 8)
    await doubt.begin()
    older = await doubt.split_unanswered(batch)
    (newer,) = await behind(doubt, older)
    await stores(receiver, await polls_of(remote, newer))
    for values in receiver.stored.values():
        values[:] = [(values[0][0] - 500, 7.0)]
    late = LATE if whole else LATE_OF_MIMIR
    assert await settled(remote, receiver, doubt, older, late) == late
    stored = sum(len(values) for values in receiver.stored.values())
    assert stored == SENSORS * (1 if whole else 5)  # Prometheus was only asked; one that stores what it can was offered the next


async def test_of_a_receiver_that_can_not_be_asked_only_the_batch_itself_shows_something(remote, doubt):
    """A Prometheus in agent mode has no bound: a sample of the part behind would make the batch too late if it lacks it."""
    receiver = Receiver(bounded=False)
    batch = await batch_of(remote, 8)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    before = {labels: list(values) for labels, values in receiver.stored.items()}
    assert isinstance(await settled(remote, receiver, doubt, batch), Accepted)
    older = await doubt.split_unanswered(batch)
    assert await settled(remote, receiver, doubt, older) == LATE
    assert receiver.stored == before


@pytest.mark.parametrize("late", [LATE, LATE_OF_MIMIR])
@pytest.mark.parametrize("answered", range(3))
async def test_a_question_without_an_answer_is_the_outcome(remote, doubt, late, answered):
    """However many are answered before."""
    receiver = Receiver(whole=late is LATE)
    batch = await batch_of(remote, 8)
    await doubt.begin()
    await stores(receiver, await polls_of(remote, batch))
    older = await doubt.split_unanswered(batch)
    send, asked = receiver.send, []

    async def breaking(body: bytes):
        asked.append(body)
        return GONE if len(asked) > answered else await send(body)

    receiver.send = breaking
    assert await settled(remote, receiver, doubt, older, late) == GONE
    assert len(asked) == answered + 1


@pytest.mark.parametrize("stored", [True, False])
async def test_of_a_receiver_that_can_not_be_asked_the_first_polls_show_whether_it_lacks_the_batch(tmp_path, stored):
    """Another writer has later values of half of the devices; the answer that said so, or that the batch is stored, was lost."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=4) as remote:
        receiver = remote.client = Receiver(bounded=False)
        others = 0 if stored else 2
        for device in range(others):
            remote.add(device, NOW_S - 1000 + 10 * 10 - 5, 7.0)
        assert await remote.deliver()
        for n in range(20):
            for device in range(4):
                remote.add(device, NOW_S - 1000 + 10 * n + device / 10, float(n))
        losing(receiver, 1)
        assert await remote.deliver(attempts=2)
        late = 10 * others * SENSORS
        assert count(receiver) == (80 + others) * SENSORS - late
        assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": count(receiver)}
        assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == late


# A Prometheus that is sent OTLP.


@pytest.fixture(params=[False, True], ids=["names-one", "names-all"])
def prometheus(request) -> OtlpReceiver:
    """Each looks at what it is sent in an order of its own; a newer one says of each sample what is wrong."""
    receiver = OtlpReceiver()
    receiver.names_all = request.param
    return receiver


@pytest.fixture
async def otlp(tmp_path, prometheus: OtlpReceiver):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=4, kind="otlp") as remote:
        remote.client = prometheus
        yield remote


def losing(receiver: Receiver, answers: int, lost: Unavailable = GONE) -> None:
    """What it says is lost so often; empty requests, which ask for its time, apart."""
    send, left = receiver.send, [answers]
    empty = {one.pack([]).body for one in KINDS.values()}

    async def some(body: bytes):
        outcome = await send(body)
        if body not in empty and left[0]:
            left[0] -= 1
            return lost
        return outcome

    receiver.send = some


def count(receiver: Receiver) -> int:
    return sum(len(values) for values in receiver.stored.values())


@pytest.mark.parametrize("lost", [GONE, Unavailable("no answer within 30 s", timed_out=True)])
async def test_what_a_prometheus_has_by_otlp_is_delivered_though_its_answer_was_lost(otlp, prometheus, lost):
    """If it took too long it is sent again in halves, of which the older ones are refused."""
    for n in range(20):
        for device in range(4):
            otlp.add(device, NOW_S - 1000 + 10 * n + device / 10, float(n))
    losing(prometheus, 1, lost)
    assert await otlp.deliver(attempts=2)
    assert count(prometheus) == 80 * SENSORS
    assert otlp.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 80 * SENSORS}
    assert otlp.counters.by_reason(Count.METRICS_DROPPED) == {}


@pytest.mark.parametrize("others", [1, 4])
@pytest.mark.parametrize("lost", [GONE, Unavailable("no answer within 30 s", timed_out=True)])
async def test_what_a_prometheus_has_refused_by_otlp_is_not_taken_for_stored(otlp, prometheus, others, lost):
    """Another writer has later values of some devices than the older half; the answer that said so was lost."""
    for device in range(others):
        otlp.add(device, NOW_S - 1000 + 10 * 10 - 5, 7.0)
    assert await otlp.deliver()
    for n in range(20):
        for device in range(4):
            otlp.add(device, NOW_S - 1000 + 10 * n + device / 10, float(n))
    losing(prometheus, 1, lost)
    assert await otlp.deliver(attempts=2)
    stored = (others + 80 - 10 * others) * SENSORS
    assert count(prometheus) == stored
    assert otlp.counters.by_reason(Count.METRICS_DELIVERED) == {"test": stored}
    assert otlp.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: 10 * others * SENSORS}


async def test_by_otlp_too_a_batch_of_one_poll_of_each_device_is_settled(otlp, prometheus):
    """Each is the latest of its series: none of them is refused because the receiver has it."""
    otlp.add(0, NOW_S - 500, 7.0)
    assert await otlp.deliver()
    for device in range(4):
        otlp.add(device, NOW_S - 1000, 1.0)
    losing(prometheus, 1)
    assert await otlp.deliver(attempts=2)
    assert count(prometheus) == 4 * SENSORS
    assert otlp.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TOO_LATE: SENSORS}


async def test_by_otlp_too_a_question_without_an_answer_leaves_the_batch_in_doubt(otlp, prometheus):
    for n in range(20):
        for device in range(4):
            otlp.add(device, NOW_S - 1000 + 10 * n + device / 10, float(n))
    send, asked = prometheus.send, []

    async def breaking(body: bytes):
        if body != KINDS[OTLP].pack([]).body:
            asked.append(body)
        outcome = await send(body)
        return GONE if len(asked) in (1, 3, 6) else outcome  # the batch, the first poll of it, the latest of each series

    prometheus.send = breaking
    assert await otlp.deliver(attempts=4)
    assert count(prometheus) == 80 * SENSORS
    assert otlp.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 80 * SENSORS}
    assert len(asked) == 1 + 2 + 3 + 3
