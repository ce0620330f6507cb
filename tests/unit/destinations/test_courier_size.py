"""How large a destination's requests are: smaller over a slow link; and what becomes of one whose answer did not come."""

import time

import pytest

from support.remote import SENSORS, Remote
from support.strict import Receiver, WriteRequest
from towerops_agent.api.wire.outcomes import TooLarge, Unavailable
from towerops_agent.counters import Count
from towerops_agent.delivery.course.pace import (
    DELIVERED_BEFORE_GROWTH,
    LEAST_FOR_SLOWNESS,
    LEAST_FOR_TIMEOUTS,
    QUICK_BEFORE_GROWTH,
    SLOW_S,
)
from towerops_agent.destinations.wire.answers import WriteOutcome
from towerops_agent.reasons import Loss

NOW_S = time.time()
MOST = 800
TIMED_OUT = Unavailable("no answer within 30 s", timed_out=True)


class Narrow(Receiver):
    """A strict Prometheus behind a link: a request of n samples takes `seconds_of(n)` seconds; from 30 on it times out.

    `stores_late`: whether it gets, and stores, what the agent has given up. `sizes`: samples of each request but questions.
    `gives_up`: after how many seconds, and what there is instead of an answer.
    """

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self.remote = remote
        self.seconds_of = lambda samples: 0.1
        self.most = MOST
        self.stores_late = False
        self.gives_up = 30.0, TIMED_OUT
        self.sizes: list[int] = []

    async def send(self, body: bytes) -> WriteOutcome:
        cramjam = pytest.importorskip("cramjam")
        request = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
        samples = sum(len(one.samples) for one in request.timeseries)
        if samples and not any(label.value == "none" for one in request.timeseries for label in one.labels):
            self.sizes.append(samples)
        if samples > self.most:
            return TooLarge()
        took_s = self.seconds_of(samples)
        most_s, instead = self.gives_up
        self.remote.now_s += min(took_s, most_s)
        if took_s < most_s:
            return await super().send(body)
        if self.stores_late:
            await super().send(body)
        return instead


@pytest.fixture
async def narrow(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=4, max_metrics=MOST) as remote:
        remote.client = Narrow(remote)
        yield remote, remote.client


def add(remote: Remote, polls: int, since_s: float = NOW_S - 3000, each_s: float = 10) -> int:
    """So many polls of each device; how many metrics."""
    for n in range(polls):
        for device in range(4):
            remote.add(device, since_s + each_s * n + device, float(n))
    return polls * 4 * SENSORS


def stored(receiver: Receiver) -> int:
    return sum(map(len, receiver.stored.values()))


async def test_a_batch_that_times_out_goes_in_smaller_ones_until_they_get_through(narrow):
    """At 30 s for 250 samples, no request of 800 would ever be answered."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: samples * 30 / 250
    metrics = add(remote, 50)
    assert await remote.deliver(attempts=4)
    assert stored(receiver) == metrics
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": metrics}
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert receiver.sizes[:3] == [800, 400, 200]
    assert max(receiver.sizes[2:]) <= 200


async def test_what_times_out_however_small_gets_through_in_ever_smaller_batches(narrow):
    """At 30 s for 30 samples, over a bad link, or past a router that drops large packets, no hundred gets through."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: samples * 30 / 30
    metrics = add(remote, 50)
    assert await remote.deliver(attempts=10)
    assert stored(receiver) == metrics
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": metrics}
    assert receiver.sizes[:6] == [800, 400, 200, 100, 50, 25]
    assert max(receiver.sizes[6:]) <= 25


@pytest.mark.parametrize("status", [504, 503, 524])
async def test_what_takes_too_long_for_a_proxy_on_the_way_gets_through_in_smaller_batches(narrow, status):
    """Envoy waits for 15 s, and says so: in batches of the same size the backlog would never be delivered."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: samples * 15 / 250
    receiver.gives_up = 15.0, Unavailable(f"status {status}: upstream request timeout", status)
    metrics = add(remote, 50)
    assert await remote.deliver(attempts=4)
    assert stored(receiver) == metrics
    assert receiver.sizes[:3] == [800, 400, 200]


async def test_a_receiver_that_says_soon_that_it_is_busy_gets_no_smaller_batches(narrow):
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: 15.0
    receiver.gives_up = SLOW_S - 0.1, Unavailable("status 503: busy", 503)
    add(remote, 50)
    assert not await remote.deliver(attempts=4)
    assert receiver.sizes == [800] * 4


async def test_nothing_is_split_any_more_if_even_the_least_times_out_and_it_recovers_soon(narrow):
    """A receiver that accepts connections and says nothing is not a slow link."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: 30.0
    metrics = add(remote, 400, each_s=5)
    assert not await remote.deliver(attempts=20)
    assert set(receiver.sizes[8:]) == {receiver.sizes[-1]}
    assert LEAST_FOR_TIMEOUTS / 2 <= receiver.sizes[-1] <= LEAST_FOR_TIMEOUTS + 1
    receiver.sizes.clear()
    receiver.seconds_of = lambda samples: 0.1
    assert await remote.deliver()
    assert stored(receiver) == metrics
    assert len(receiver.sizes) < 10 * QUICK_BEFORE_GROWTH


async def test_batches_that_take_long_are_followed_by_smaller_ones_and_quick_ones_by_larger_ones(narrow):
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: SLOW_S
    add(remote, 200)
    assert await remote.deliver()
    assert receiver.sizes[:4] == [800, 400, 200, 100]
    assert set(receiver.sizes[4:]) == {LEAST_FOR_SLOWNESS}
    receiver.sizes.clear()
    receiver.seconds_of = lambda samples: 0.1
    add(remote, 400, NOW_S - 900, 2)
    assert await remote.deliver()
    *sizes, _the_rest = receiver.sizes
    assert [sizes.count(size) for size in (100, 200, 400)] == [QUICK_BEFORE_GROWTH] * 3
    assert sizes == sorted(sizes)


async def test_the_size_that_is_not_too_large_is_remembered_for_a_while(narrow):
    remote, receiver = narrow
    receiver.most = 300
    add(remote, 200)
    assert await remote.deliver()
    assert receiver.sizes[:2] == [800, 400]
    assert set(receiver.sizes[2:]) == {200}
    assert len(receiver.sizes) - 2 == 20
    for n in range(DELIVERED_BEFORE_GROWTH):
        add(remote, 1, NOW_S - 900 + n)
        assert await remote.deliver()
    receiver.sizes.clear()
    add(remote, 20, NOW_S - 700)
    assert await remote.deliver()
    assert receiver.sizes == [400, 200, 200]


async def test_a_single_metric_that_is_too_large_makes_the_others_no_smaller(narrow):
    remote, receiver = narrow
    large = b"\x00\x00\x00\x00\x00\x00\x28@"  # 12
    strict = receiver.send

    async def send(body: bytes) -> WriteOutcome:
        cramjam = pytest.importorskip("cramjam")
        return TooLarge() if large in bytes(cramjam.snappy.decompress_raw(body)) else await strict(body)

    receiver.send = send
    remote.add(0, NOW_S - 3000, 8.0)  # its last sensor reads 12
    assert await remote.deliver()
    assert remote.counters.get(Count.METRICS_REFUSED, "test") == 1
    receiver.sizes.clear()
    for n in range(20):
        remote.add(0, NOW_S - 2000 + n, 100.0)
    assert await remote.deliver()
    assert receiver.sizes == [20 * SENSORS]


@pytest.mark.parametrize("slowest", [300, 150])
async def test_what_was_stored_though_it_timed_out_is_delivered_and_not_too_late(narrow, slowest):
    """The receiver has the whole batch: of its older parts it has later samples, from the part behind them."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: 30.0 if samples > slowest else 1.0
    receiver.stores_late = True
    metrics = add(remote, 40)
    assert await remote.deliver(attempts=6)
    assert stored(receiver) == metrics
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": metrics}
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == 0
    assert max(receiver.sizes[3:]) <= slowest


async def test_what_was_stored_though_it_timed_out_is_not_too_late_after_a_restart_between_its_halves(narrow):
    """An agent over a slow link is stopped, or killed, while the receiver has all of a batch and the agent has its halves."""
    remote, receiver = narrow
    receiver.seconds_of = lambda samples: 30.0 if samples > 300 else 1.0
    receiver.stores_late = True
    metrics = add(remote, 40)
    assert not await remote.deliver(attempts=2)  # 800 and 400 time out
    remote.courier = remote.new_courier()
    assert await remote.deliver(attempts=2)
    assert stored(receiver) == metrics
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": metrics}


async def test_a_question_about_what_is_behind_gets_through_too(tmp_path):
    """Of 80 devices, each polled twice in a batch, the part behind has as many series as the part that did not get through."""
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=80, max_metrics=MOST) as remote:
        receiver = remote.client = Narrow(remote)
        receiver.seconds_of = lambda samples: 30.0 if samples > 150 else 1.0
        receiver.stores_late = True
        for n in range(2):
            for device in range(80):
                remote.add(device, NOW_S - 3000 + 60 * n + device / 10, float(n))
        assert await remote.deliver(attempts=8)
        assert stored(receiver) == 160 * SENSORS
        assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 160 * SENSORS}


async def test_what_another_writer_has_made_too_late_is_not_taken_for_stored_because_it_timed_out(narrow):
    """It has later samples than the older half, of half of the devices; the receiver has nothing of the batch."""
    remote, receiver = narrow
    for device in range(2):
        remote.add(device, NOW_S - 3000 + 10 * 20 - 5, 7.0)
    assert await remote.deliver()
    receiver.sizes.clear()
    receiver.seconds_of = lambda samples: 30.0 if samples > 450 else 1.0
    metrics = add(remote, 40)
    assert await remote.deliver(attempts=6)
    late = 20 * 2 * SENSORS
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == late
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 2 * SENSORS + metrics - late
    assert stored(receiver) == 2 * SENSORS + metrics - late


async def test_what_is_open_of_an_earlier_run_is_as_small_as_the_operator_wants_by_now(tmp_path):
    async with Remote(tmp_path / "agent.db", "http://127.0.0.1:9/", devices=4, max_metrics=100) as remote:
        receiver = remote.client = Narrow(remote)
        metrics = add(remote, 40)
        await remote.buffer.flush()
        batch = await remote.buffer.next_batch(MOST, destination="test")
        assert batch is not None
        assert batch.metric_count == MOST
        assert await remote.deliver()
        assert receiver.sizes == [100] * 8
        assert stored(receiver) == metrics
