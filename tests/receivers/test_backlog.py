"""A hundred devices whose receiver was away: all of the backlog arrives, without one request in vain.

A day of it at real receivers that accept any order, and meanwhile what comes in is there within a minute. There the agent's clock
goes on by two seconds with each request, as if the receiver were slow: so what is fresh has to go beside the backlog.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import influxdb, prometheus, victoriametrics
from support.remote import SENSORS, Remote
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.counters import Count

DEVICES = 100
DAY_S = 86_000
REQUEST_S = 2.0
FRESH_EACH_S = 10.0
FRESH_WITHIN_S = 60.0
SERIES = '{__name__="snmp_sensor"}'

Samples = dict[tuple[str, str], list[tuple[int, float]]]


def by_sensor(found: dict[tuple[tuple[str, str], ...], list[Any]], unit: int = 1) -> Samples:
    return {
        (dict(labels)["device"], dict(labels)["sensor"]): [(at // unit, float(value)) for at, value in values]
        for labels, values in found.items()
    }


class Receiver:
    """One of three. `samples`: all that it has of the sensors; `latest`: of one sensor, since then."""

    def __init__(self, name: str, folder: Path) -> None:
        self.kind: dict[str, Any] = {}
        self.one: Any
        if name == "influxdb":
            self.kind["kind"] = "influxdb"
            self.one = influxdb.InfluxDB(folder)
        else:
            self.one = prometheus.Prometheus(folder, "1d") if name == "prometheus" else victoriametrics.VictoriaMetrics(folder)
        self._name = name

    def samples(self) -> Samples:
        if self._name == "influxdb":
            return by_sensor(self.one.points("sensor", "value"), 1_000_000)
        if self._name == "prometheus":
            return by_sensor(self.one.samples(SERIES, time.time() + 60, 90_000))
        return by_sensor(self.one.samples(SERIES))

    def latest(self, since_s: float) -> float:
        """The newest value of the first sensor since then; 0 without one."""
        match = '{__name__="snmp_sensor",device="d0",sensor="s0"}'
        unit_s = 1e-9 if self._name == "influxdb" else 1e-3
        if self._name == "influxdb":
            where = f"device = 'd0' AND sensor = 's0' AND time >= {round(since_s * 1e9)}"
            values = [row for series in self.one.ask(f'SELECT "value" FROM "sensor" WHERE {where}') for row in series["values"]]
        elif self._name == "prometheus":
            values = [row for found in self.one.samples(match, time.time() + 60, 3600).values() for row in found]
        else:
            values = [row for found in self.one.samples(match, since_s).values() for row in found]
        return max((value for at, value in values if at * unit_s >= since_s), default=0.0)


@pytest.fixture(params=["prometheus", "victoriametrics", "influxdb"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(request.param, tmp_path / "receiver")
    receiver.one.start()
    yield receiver
    receiver.one.close()


class Course:
    """What is polled while the backlog is delivered: a value of a device is the agent's clock when it was read."""

    def __init__(self, remote: Remote, receiver: Receiver, note: Callable[[int, float, float], None]) -> None:
        self._remote, self._receiver, self._note = remote, receiver, note
        self._began_s = time.time()
        self._due_s = remote.now_s
        self._read_s: list[float] = []
        self.oldest_s = 0.0

    def before_request(self) -> None:
        """Let the agent's clock go on, poll what is due, and see how old the newest value is that the receiver has."""
        remote = self._remote
        remote.now_s += REQUEST_S
        if self._read_s:
            there = self._receiver.latest(self._began_s)
            self.oldest_s = max(self.oldest_s, remote.now_s - max(there, self._read_s[0]))
        if remote.now_s >= self._due_s:
            self._due_s = remote.now_s + FRESH_EACH_S
            self._read_s.append(remote.now_s)
            at_s = time.time()
            for device in range(DEVICES):
                self._note(device, at_s, remote.now_s)


@pytest.mark.parametrize(
    ("each_s", "max_metrics"), [(1800, 200), pytest.param(60, 2000, marks=(pytest.mark.slow, pytest.mark.timeout(3600)))]
)
async def test_a_days_backlog_of_a_hundred_devices_is_complete_and_fresh_values_never_wait_for_it(
    tmp_path: Path, receiver: Receiver, each_s: int, max_metrics: int
):
    wanted: Samples = {}
    url = receiver.one.write_url
    how = {"devices": DEVICES, "max_metrics": max_metrics, "fresh_first": True}
    async with Remote(tmp_path / "agent.db", url, **how, **receiver.kind) as remote:

        def note(device: int, at_s: float, value: float) -> None:
            remote.add(device, at_s, value)
            for sensor in range(SENSORS):
                wanted.setdefault((f"d{device}", f"s{sensor}"), []).append((round(at_s * 1e6) // 1000, value + sensor))

        receiver.one.stop()
        now_s = time.time()
        for n in range(DAY_S // each_s):
            for device in range(DEVICES):
                note(device, now_s - DAY_S + each_s * n, 10.0 * n)
            await remote.buffer.flush()
        assert not await remote.deliver()
        assert isinstance(remote.outcomes[-1], Unavailable)
        receiver.one.start()
        remote.outcomes.clear()
        remote.now_s += 60.0
        course = Course(remote, receiver, note)
        remote.before_each = course.before_request
        assert await remote.deliver()
        assert all(isinstance(outcome, Accepted) for outcome in remote.outcomes)
        assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
        assert len(remote.outcomes) * REQUEST_S > 2 * FRESH_WITHIN_S  # else nothing had to wait
        assert course.oldest_s < FRESH_WITHIN_S
    total = sum(map(len, wanted.values()))
    requests = len(remote.outcomes)
    logging.getLogger(__name__).info("%d values, %d requests, the newest %.0f s old at most", total, requests, course.oldest_s)
    found = receiver.samples()
    while sum(map(len, found.values())) < total:  # VictoriaMetrics shows it a little later
        found = receiver.samples()
    assert found == wanted


@pytest.mark.parametrize("max_metrics", [2000, 1000])
async def test_a_prometheus_as_it_comes_gets_45_minutes_in_order_and_refuses_no_request(tmp_path: Path, max_metrics: int):
    """By its own count of requests: of each 1,000 metrics one at most, and twenty; nothing is answered but with success."""
    wanted: Samples = {}
    with prometheus.running(tmp_path / "prometheus") as receiver:
        async with Remote(tmp_path / "agent.db", receiver.write_url, devices=DEVICES, max_metrics=max_metrics) as remote:
            receiver.stop()
            now_s = time.time()
            for minute in range(45):
                for device in range(DEVICES):
                    at_s = now_s - 60 * (45 - minute) + device / DEVICES
                    remote.add(device, at_s, 10.0 * minute)
                    for sensor in range(SENSORS):
                        series = wanted.setdefault((f"d{device}", f"s{sensor}"), [])
                        series.append((round(at_s * 1e6) // 1000, 10.0 * minute + sensor))
                assert not await remote.deliver()
            receiver.start()
            assert await remote.deliver()
            assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
        writes = receiver.writes()
        found = by_sensor(receiver.samples(SERIES, time.time() + 60, 3600))
    assert found == wanted
    assert list(writes) == ["204"]
    assert writes["204"] <= 45 * DEVICES * SENSORS / 1000 + 20
