"""What a real InfluxDB has after the agent has delivered to it: each value once, with its type, whatever its order."""

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import influxdb
from support.remote import SENSORS, Remote
from towerops_agent.counters import Count
from towerops_agent.destinations.wire.answers import Misconfigured, PartlyTaken
from towerops_agent.model import Poll
from towerops_agent.reasons import Loss


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[influxdb.InfluxDB]:
    with influxdb.running(tmp_path / "influxdb") as one:
        yield one


def to(receiver: influxdb.InfluxDB, path: Path, **more) -> Remote:
    return Remote(path, receiver.write_url, kind="influxdb", fresh_first=True, **more)


def sensors(receiver: influxdb.InfluxDB) -> dict[tuple[str, str], list[tuple[int, int | float]]]:
    found = receiver.points("sensor", "value")
    return {(dict(tags)["device"], dict(tags)["sensor"]): values for tags, values in found.items()}


def ns(at_s: float) -> int:
    return round(at_s * 1e6) * 1000


async def test_each_value_is_there_once_and_at_its_time_although_an_answer_was_lost(tmp_path: Path, receiver):
    now_s = time.time()
    async with to(receiver, tmp_path / "agent.db") as remote:
        for at_s in (now_s - 20, now_s - 10):
            for device in range(3):
                remote.add(device, at_s, 100.5 * device)
        remote.lose[0] = 1
        assert not await remote.deliver()
        assert await remote.deliver()
        assert remote.counters.by_reason(Count.METRICS_DELIVERED) == {"test": 6 * SENSORS}
    wanted = {
        (f"d{device}", f"s{n}"): [(ns(at_s), 100.5 * device + n) for at_s in (now_s - 20, now_s - 10)]
        for device in range(3)
        for n in range(SENSORS)
    }
    assert sensors(receiver) == wanted


async def test_counters_are_integers_and_one_that_influxdb_has_no_integer_for_is_counted(tmp_path: Path, receiver):
    now_s = time.time()
    async with to(receiver, tmp_path / "agent.db", devices=1, sensors=1, interfaces=1) as remote:
        largest = (1 << 63) - 1
        for n, counters in enumerate([(largest, 1 << 63, 0, 0, 0, 0), (5, 6, None, 0, 0, 0)]):
            remote.buffer.add(Poll(remote.layouts[0], ns(now_s + n) // 1000, (1, *counters), ((2, 0),), 2))
        assert await remote.deliver()
        assert remote.counters.by_reason(Count.METRICS_DROPPED) == {Loss.OUT_OF_RANGE: 1}
    (octets,) = receiver.points("interface", "in_octets").items()
    assert (dict(octets[0]), octets[1]) == (
        {"device": "d0", "instance": "10.0.0.0", "ifName": "ether0"},
        [(ns(now_s), largest), (ns(now_s + 1), 5)],
    )
    ((_, out),) = receiver.points("interface", "out_octets").items()
    assert [value for _, value in out if value is not None] == [6]


async def test_lines_that_are_refused_cost_no_others(tmp_path: Path, receiver):
    """Another writer has made a field of the measurement a float before, in the same shard."""
    now_s = time.time()
    async with to(receiver, tmp_path / "agent.db") as remote:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        direct.open(urllib.request.Request(receiver.write_url, data=b"device,device=x up=1.5 %d\n" % ns(now_s), method="POST"))
        states = await remote.register_states()
        for device in range(3):
            remote.add(device, now_s, 1.0)
            remote.buffer.add(Poll(states[device], ns(now_s) // 1000, (0, 0, 2500), ((1, 0),), 1))
        assert await remote.deliver()
        assert isinstance(remote.outcomes[-1], PartlyTaken)
        assert "field type conflict" in remote.outcomes[-1].reason
        assert remote.counters.get(Count.METRICS_REFUSED, "test") == 3
        assert remote.counters.get(Count.METRICS_DELIVERED, "test") == 3 * SENSORS
    assert len(sensors(receiver)) == 3 * SENSORS


async def test_a_database_that_is_not_there_is_said_and_all_is_kept(tmp_path: Path, receiver):
    url = receiver.write_url.replace("db=snmp", "db=other")
    async with Remote(tmp_path / "agent.db", url, kind="influxdb") as remote:
        remote.add(0, time.time(), 1.0)
        assert not await remote.deliver()
        assert isinstance(remote.outcomes[-1], Misconfigured)
        assert 'database not found: \\"other\\"' in remote.courier.availability.last_failure
        assert (await remote.buffer.pending("test")).metrics == SENSORS
