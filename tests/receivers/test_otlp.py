"""What a receiver of OTLP has, by opentelemetry-proto: each value once, and those that it rejects are counted in its words."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from support import otlp, prometheus
from support.remote import SENSORS, Recording, Remote
from support.strict import translated
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.counters import Count
from towerops_agent.destinations.wire.answers import PartlyTaken
from towerops_agent.model import Poll
from towerops_agent.reasons import Loss
from towerops_agent.site.document.destination import Destination


@pytest.fixture
def receiver() -> Iterator[otlp.Receiver]:
    with otlp.receiving() as one:
        yield one
        assert one.bad == []


def to(receiver: otlp.Receiver, path: Path, **more) -> Remote:
    return Remote(path, receiver.url, kind="otlp", fresh_first=True, **more)


async def test_each_value_is_there_once_and_at_its_time(tmp_path: Path, receiver):
    now_s = time.time()
    async with to(receiver, tmp_path / "agent.db", interfaces=1) as remote:
        for n in range(2):
            for device in range(3):
                values = (*(device + k / 10 for k in range(SENSORS)), 1 << 40, 7, None, 0, 1, 2)
                remote.buffer.add(
                    Poll(remote.layouts[device], round((now_s + n) * 1e6), values, ((SENSORS, 5), (1, 9)), SENSORS + 1)
                )
        assert await remote.deliver()
        assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 6 * (SENSORS + 1)}
        assert all(isinstance(outcome, Accepted) for outcome in remote.outcomes)
    assert receiver.received == 6 * (SENSORS + 5)
    for device in range(3):
        of_device = {labels: values for labels, values in receiver.points.items() if dict(labels)["device"] == f"d{device}"}
        for k in range(SENSORS):
            (found,) = [values for labels, values in of_device.items() if dict(labels).get("sensor") == f"s{k}"]
            assert found == {(round((now_s + n) * 1e6) + 5) * 1000: device + k / 10 for n in range(2)}
        (octets,) = [v for labels, v in of_device.items() if dict(labels)["__name__"] == "snmp_interface_in_octets_total"]
        assert octets == {(round((now_s + n) * 1e6) + 9) * 1000: 1 << 40 for n in range(2)}


async def test_points_that_are_rejected_are_counted_in_the_receivers_words_and_cost_no_others(tmp_path: Path, receiver):
    now_s = time.time()
    receiver.refuses.add("snmp_up")
    async with to(receiver, tmp_path / "agent.db") as remote:
        states = await remote.register_states()
        for device in range(3):
            remote.add(device, now_s, 1.0)
            remote.buffer.add(Poll(states[device], round(now_s * 1e6), (2, 1, None), ((1, 0),), 1))
        with structlog.testing.capture_logs() as lines:
            assert await remote.deliver()
        (line,) = [line for line in lines if line["event"] == "destination refused some metrics of a batch"]
        assert (line["metrics"], line["reason"], line["destination"]) == (3, "these names are not welcome", "test")
        assert remote.outcomes[-1] == PartlyTaken(200, "these names are not welcome", 3)
        assert remote.counters.get(Count.METRICS_REFUSED, "test") == 3
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * SENSORS
    assert receiver.received == 3 * SENSORS


async def test_a_failing_receiver_is_waited_for(tmp_path: Path, receiver):
    async with to(receiver, tmp_path / "agent.db") as remote:
        remote.add(0, time.time(), 1.0)
        receiver.status = 503
        assert not await remote.deliver()
        assert isinstance(remote.outcomes[-1], Unavailable)
        receiver.status = 200
        assert await remote.deliver()
    assert receiver.received == SENSORS


class Translating(Recording):
    """Sends to a Prometheus by remote write what its own receiver of OTLP would make of a request, which Debian's lacks."""

    def __init__(self, remote: Remote, url: str) -> None:
        super().__init__(Destination("test", url))
        self.outcomes, self.lose, self.remote = remote.outcomes, remote.lose, remote
        self.order = random.Random(1)

    async def send(self, body: bytes):
        return await super().send(translated(body, self.order))


@pytest.mark.parametrize("refused", [False, True])
async def test_a_prometheus_behind_it_has_each_value_once_though_an_answer_was_lost(tmp_path: Path, refused: bool):
    """`refused`: that answer said that another writer has later values of one device than the older half."""
    now_s = time.time()
    with prometheus.running(tmp_path / "prometheus") as receiver:
        async with Remote(tmp_path / "agent.db", receiver.write_url, devices=4, kind="otlp") as remote:
            remote.client = Translating(remote, receiver.write_url)
            if refused:
                remote.add(0, now_s - 1000 + 10 * 10 - 5, 7.0)
                assert await remote.deliver()
            for n in range(20):
                for device in range(4):
                    remote.add(device, now_s - 1000 + 10 * n + device / 10, float(n))
            remote.lose[0] = 1 if refused else 2  # the batch; before the first one of all an empty request, for the time
            assert await remote.deliver(attempts=3)
            late = 10 * SENSORS * refused
            stored = (refused + 80) * SENSORS - late
            assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": stored}
            assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == late
        found = receiver.samples('{__name__="snmp_sensor"}', now_s + 60)
        assert sum(len(values) for values in found.values()) == stored
