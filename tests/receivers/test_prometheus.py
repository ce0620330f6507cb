"""What a real Prometheus has after the agent has delivered to it: each value once, at its time, whatever happened on the way."""

import math
import time
from pathlib import Path

import msgspec
import pytest

from support import prometheus
from support.configuration import config_of
from support.remote import SENSORS, Remote
from towerops_agent.api.wire.outcomes import Accepted, Unavailable
from towerops_agent.buffer.format.batch import Lane
from towerops_agent.counters import Count
from towerops_agent.destinations.client import DestinationClient
from towerops_agent.destinations.lateness import PROBE
from towerops_agent.destinations.wire.answers import TooLate, WriteOutcome
from towerops_agent.reasons import Loss


def add_series(remote: Remote, devices: int, times_s: list[float]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Polls of all devices at these times; what is to be found, by device and sensor."""
    wanted: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for place, at_s in enumerate(times_s):
        for device in range(devices):
            remote.add(device, at_s + device / 100, 1000.0 * device + place * 10)
            for sensor in range(remote.sensors):
                at_ms = round((at_s + device / 100) * 1e6) // 1000
                wanted.setdefault((f"d{device}", f"s{sensor}"), []).append((at_ms, 1000.0 * device + place * 10 + sensor))
    return wanted


def found(receiver: prometheus.Prometheus, span_s: int = 86_400) -> dict[tuple[str, str], list[tuple[int, float]]]:
    samples = receiver.samples('{__name__="snmp_sensor"}', time.time() + 3600, span_s)
    return {(dict(labels)["device"], dict(labels)["sensor"]): values for labels, values in samples.items()}


class BehindAProxy(DestinationClient):
    """Which ends each request that has a value of this sensor in it."""

    sensor = b"s3"

    async def send(self, body: bytes) -> WriteOutcome:
        plain = bytes(pytest.importorskip("cramjam").snappy.decompress_raw(body))
        if b"\x06sensor\x12\x02" + self.sensor in plain:
            return Unavailable("status 502: bad gateway", 502)
        return await super().send(body)


async def test_what_is_sent_to_show_that_a_receiver_works_makes_nothing_too_late(receiver: prometheus.Prometheus, tmp_path: Path):
    """Of the only device one sensor's values don't get through: each is kept aside, and all others are there."""
    now_s = time.time()
    async with Remote(tmp_path / "agent.db", receiver.write_url, devices=1) as remote:
        assert remote.destination is not None
        remote.client = BehindAProxy(remote.destination)
        wanted = add_series(remote, 1, [now_s - 10 * n for n in range(20, 0, -1)])
        assert await remote.deliver(attempts=20)
        refused = await remote.buffer.refused()
    assert len(refused) == len(wanted.pop(("d0", "s3")))
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert found(receiver) == wanted


async def test_each_value_is_there_once_and_at_its_time(remote: Remote, receiver: prometheus.Prometheus):
    now_s = time.time()
    wanted = add_series(remote, 3, [now_s - 30, now_s - 20, now_s - 10])
    assert await remote.deliver()
    assert found(receiver) == wanted
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 3 * 3 * SENSORS}
    assert all(isinstance(outcome, Accepted) for outcome in remote.outcomes)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_lost_answer_loses_and_doubles_nothing(remote: Remote, receiver: prometheus.Prometheus, restarted: bool):
    """The receiver has it, and refuses it the second time: the latest samples show that it has them all."""
    now_s = time.time()
    wanted = add_series(remote, 3, [now_s - 30, now_s - 20, now_s - 10])
    remote.lose[0] = 1
    assert not await remote.deliver()
    if restarted:
        remote.courier = remote.new_courier()
    assert await remote.deliver()
    assert found(receiver) == wanted
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 3 * 3 * SENSORS}
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}
    assert [type(outcome) for outcome in remote.outcomes[-2:]] == [TooLate, Accepted]


@pytest.mark.parametrize("lost", [1, 2])
async def test_what_it_stored_though_it_timed_out_goes_in_halves_and_none_is_too_late(
    remote: Remote, receiver: prometheus.Prometheus, lost: int
):
    """It refuses the older half, as it has the newer one."""
    now_s = time.time()
    wanted = add_series(remote, 3, [now_s - 10 * n for n in range(40, 0, -1)])
    remote.lose[0], remote.lost = lost, Unavailable("no answer within 30 s", timed_out=True)
    assert await remote.deliver(attempts=lost + 1)
    assert found(receiver) == wanted
    assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 40 * 3 * SENSORS}
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}


async def test_a_batch_that_is_half_too_late_has_its_good_half_stored_and_the_rest_counted(
    tmp_path: Path, receiver: prometheus.Prometheus
):
    """Another agent has delivered later values of half of the devices before."""
    async with Remote(tmp_path / "agent.db", receiver.write_url, devices=16) as remote:
        now_s = time.time()
        for device in range(8):
            remote.add(device, now_s - 10, 7.0)
        assert await remote.deliver()
        remote.outcomes.clear()
        for device in range(16):
            remote.add(device, now_s - 60, 1.0)
        assert await remote.deliver()
    there = found(receiver)
    assert {key: len(values) for key, values in there.items()} == {
        (f"d{n}", f"s{s}"): 1 for n in range(16) for s in range(SENSORS)
    }
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == 8 * SENSORS
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (8 + 8) * SENSORS
    assert len(remote.outcomes) <= 1 + 2 * 8  # one answer at least for each device that is too late


@pytest.mark.parametrize(("devices", "in_doubt"), [(1, False), (4, False), (1, True), (4, True)])
async def test_a_batch_whose_older_half_is_too_late_is_settled_in_a_few_requests(
    tmp_path: Path, receiver: prometheus.Prometheus, devices: int, in_doubt: bool
):
    """Another agent has polled the same devices until some time ago. In doubt: this one was started again with the batch open."""
    polls = 64
    async with Remote(tmp_path / "agent.db", receiver.write_url, devices=devices) as remote:
        now_s = time.time()
        for device in range(devices):
            remote.add(device, now_s - 30 * polls // 2 - 10 + device / 100, 7.0)
        assert await remote.deliver()
        remote.outcomes.clear()
        times_s = [now_s - 30 * (polls - n) for n in range(0, polls, devices)]
        wanted = add_series(remote, devices, times_s)
        if in_doubt:
            await remote.buffer.next_batch(2000, Lane.FRESH, (), "test")
            remote.courier = remote.new_courier()
        assert await remote.deliver()
    there = {key: [one for one in values if one[1] != 7.0 + int(key[1][1:])] for key, values in found(receiver).items()}
    assert there == {key: values[len(values) // 2 :] for key, values in wanted.items()}
    late = polls // 2 * SENSORS
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == late
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (devices * SENSORS) + late
    # But for that which asks for the time, and of a batch in doubt the two that show that it is not there.
    assert len(remote.outcomes) - 1 - 2 * in_doubt <= 2 * math.log2(polls) + 1
    assert receiver.samples(f'{{__name__="{PROBE}"}}', now_s + 60, int(now_s)) == {}  # no question is stored, also in 1971


async def test_a_prometheus_in_agent_mode_accepts_what_was_read_and_no_question(tmp_path: Path):
    """It has no bound: it accepts a sample of 1971 by itself; some versions (2.53) accept samples in any order too."""
    with prometheus.running(tmp_path / "prometheus", is_agent=True) as receiver:
        now_s = time.time()
        async with Remote(tmp_path / "agent.db", receiver.write_url) as remote:
            remote.add(0, now_s - 20, 7.0)
            assert await remote.deliver()
            remote.outcomes.clear()
            for n in range(4):
                remote.add(0, now_s - 30 + n, float(n))
            assert await remote.deliver()
        dropped = remote.counters.by_reason(Count.METRICS_DROPPED).get(Loss.TOO_LATE, 0)
        appended = receiver.appended()
    if not dropped:
        assert appended == (1 + 4) * SENSORS
        assert all(isinstance(outcome, Accepted) for outcome in remote.outcomes)
        return
    assert dropped == 4 * SENSORS
    asked_time, *questions = remote.outcomes
    assert isinstance(asked_time, Accepted)
    assert questions
    assert all(isinstance(outcome, TooLate) for outcome in questions)


@pytest.mark.parametrize("fit", [0, 7, 32])
async def test_what_is_out_of_bounds_is_given_up_in_a_few_requests(tmp_path: Path, receiver: prometheus.Prometheus, fit: int):
    """Prometheus accepts nothing that is more than an hour older than its newest sample, of whatever series."""
    async with Remote(tmp_path / "agent.db", receiver.write_url, devices=20) as remote:
        now_s = time.time()
        remote.add(0, now_s, 1.0)
        assert await remote.deliver()
        remote.outcomes.clear()
        good = add_series(remote, 0, [])
        for n in range(64):  # a batch of polls at different times, the last ones of which are within the hour
            at_s = now_s - (3000 - n if n >= 64 - fit else 7200 - 30 * n)
            remote.add(1 + n % 19, at_s, float(n))
            if n >= 64 - fit:
                good.setdefault((f"d{1 + n % 19}", "s0"), []).append((round(at_s * 1e6) // 1000, float(n)))
        assert await remote.deliver()
    there = {key: values for key, values in found(receiver).items() if key[1] == "s0" and key[0] != "d0"}
    assert there == good
    assert remote.counters.get(Count.METRICS_DROPPED, Loss.TOO_LATE) == (64 - fit) * SENSORS
    assert remote.counters.get(Count.METRICS_DELIVERED, "test") == (1 + fit) * SENSORS
    assert len(remote.outcomes) <= 2 * math.log2(64) + 1


async def test_a_sample_a_day_ahead_is_never_sent_and_costs_no_other(remote: Remote, receiver: prometheus.Prometheus):
    now_s = time.time()
    remote.add(0, now_s - 20, 1.0)
    remote.add(1, now_s + 86_400, 2.0)
    remote.add(1, now_s - 10, 3.0)
    assert await remote.deliver()
    assert {key: [value for _, value in values] for key, values in found(receiver).items() if key[1] == "s0"} == {
        ("d0", "s0"): [1.0],
        ("d1", "s0"): [3.0],
    }
    assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.TIME_AHEAD: SENSORS}


async def test_items_of_the_api_that_are_called_alike_are_series_of_their_own_and_none_is_refused(tmp_path: Path, receiver):
    """Two with the same label once made Prometheus refuse all of a request."""
    sensors = [{"id": f"s{n}", "oid": f"1.3.6.1.4.1.9.{n}", "type": 'temp \u2713 "a\\', "unit": "C"} for n in range(SENSORS)]
    device = {"id": "e", "name": "", "ip_address": "10.0.0.1", "sensors": sensors, "interfaces": [], "labels": {"__name__": 7}}
    remote = Remote(tmp_path / "agent.db", receiver.write_url)
    remote.config = config_of({}, [msgspec.json.encode(device)])
    async with remote:
        now_s = time.time()
        remote.add(0, now_s, 1.0)
        assert await remote.deliver()
        assert all(isinstance(outcome, Accepted) for outcome in remote.outcomes)
    there = receiver.samples('{__name__="snmp_sensor_celsius"}', now_s + 60)
    assert {dict(labels)["index"]: [value for _, value in values] for labels, values in there.items()} == {
        f"1.3.6.1.4.1.9.{n}": [1.0 + n] for n in range(SENSORS)
    }
    assert {dict(labels)["device"] for labels in there} == {"e"}


async def test_with_a_window_a_backlog_behind_later_values_is_accepted(tmp_path: Path):
    with prometheus.running(tmp_path / "prometheus", out_of_order="1d") as receiver:
        async with Remote(tmp_path / "agent.db", receiver.write_url) as remote:
            now_s = time.time()
            remote.add(0, now_s, 9.0)
            assert await remote.deliver()
            for n in range(3):
                remote.add(0, now_s - 3600 + 60 * n, float(n))
            assert await remote.deliver()
        assert [value for _, value in found(receiver)["d0", "s0"]] == [0.0, 1.0, 2.0, 9.0]
        assert remote.counters.by_reason(Count.METRICS_DROPPED) == {}


async def test_without_the_receiver_switched_on_the_operator_reads_so(remote: Remote, receiver: prometheus.Prometheus):
    remote.destination = type(remote.destination)("test", f"{receiver.url}/api/v1/nothing")
    remote.add(0, time.time(), 1.0)
    assert not await remote.deliver()
    assert (
        "does it accept remote write? Prometheus: --web.enable-remote-write-receiver" in remote.courier.availability.last_failure
    )
    assert (await remote.buffer.pending("test")).metrics == SENSORS
