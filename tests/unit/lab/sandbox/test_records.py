"""What arrived is kept in a file, within bounds, and found again by the next sandbox."""

import pytest

from towerops_agent.api.wire.contract import Heartbeat, InterfaceStat, SensorReading
from towerops_lab.sandbox.store import Store

COUNTERS = dict.fromkeys(
    ("if_in_octets", "if_out_octets", "if_in_errors", "if_out_errors", "if_in_discards", "if_out_discards"), 2**64 - 1
)


def reading(number: int, sensor: str = "s") -> SensorReading:
    return SensorReading(sensor_id=sensor, value=number, timestamp=f"2026-01-09T19:22:15.{number:06}Z")


def test_a_later_store_goes_on_with_the_file(tmp_path):
    path = tmp_path / "sandbox.db"
    first = Store({}, "token", path=path, clock_us=lambda: 5)
    first.take(b"1", [reading(1), reading(2)], "k")
    first.hear(Heartbeat(version="0", hostname="h", uptime_seconds=1))
    first.records.close()
    again = Store({}, "token", path=path)
    assert again.metrics == [reading(1), reading(2)]
    assert [(batch.key, batch.size_octets, batch.arrived_us) for batch in again.batches] == [("k", 1, 5)]
    assert (again.heartbeats[0].hostname, again.heard_us) == ("h", 5)
    assert again.take(b"1", [reading(1)], "k")
    assert not again.take(b"2", [reading(1)], "k")
    assert (again.metric_count, again.repeats) == (2, 1)


def test_a_counter_of_64_bits_survives():
    store = Store({}, "token")
    stat = InterfaceStat(interface_id="i", timestamp="2026-01-09T19:22:15.000000Z", **COUNTERS)
    store.take(b"1", [stat], None)
    assert store.stats("i") == (stat,)


def test_the_oldest_metrics_go_first_and_their_keys_stay_known():
    store = Store({}, "token", max_metrics=100)
    for number in range(0, 300, 10):
        store.take(b"%d" % number, [reading(i) for i in range(number, number + 10)], f"k{number}")
    held = store.metrics
    assert 0 < len(held) <= 100
    assert held[-1] == reading(299)
    assert (store.metric_count, len(store.batches)) == (300, 30)
    assert store.take(b"0", [reading(0)], "k0")
    assert store.repeats == 1
    assert store.duplicates() == {}


def test_batches_are_a_sequence():
    store = Store({}, "token")
    for number in range(3):
        store.take(b"x", [reading(number)], f"k{number}")
    batches = store.batches
    assert (batches[-1].key, batches[0].key, [batch.key for batch in batches[1:]]) == ("k2", "k0", ["k1", "k2"])


def test_what_fails_half_way_is_not_stored_at_all():
    store = Store({}, "token")
    with pytest.raises(KeyError):
        store.take(b"x", [reading(1), 7], "k")  # type: ignore[list-item]
    assert (store.metrics, len(store.batches), store.metric_count) == ([], 0, 0)
