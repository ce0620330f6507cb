"""What a receiver of OTLP has, by opentelemetry-proto: each value once, and those that it rejects are counted in its words."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from support import otlp
from support.remote import SENSORS, Remote
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.counters import Count
from towerops_agent.destinations.wire.answers import PartlyTaken
from towerops_agent.model import Poll


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


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
