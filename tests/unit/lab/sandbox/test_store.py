"""The store knows what arrived, in order, once."""

import asyncio

import msgspec
import pytest

from towerops_agent.api.wire.contract import Accepts, Config, EquipmentStatus, Heartbeat, InterfaceStat, SensorReading
from towerops_lab.sandbox.store import Batch, Exchange, Store

STAMP = "2026-01-09T19:22:15.{:06}Z"


def reading(sensor: str, number: int = 0) -> SensorReading:
    return SensorReading(sensor_id=sensor, value=number, timestamp=STAMP.format(number))


def stat(interface: str) -> InterfaceStat:
    return InterfaceStat(
        interface_id=interface,
        if_in_octets=1,
        if_out_octets=2,
        if_in_errors=None,
        if_out_errors=None,
        if_in_discards=None,
        if_out_discards=None,
        timestamp=STAMP.format(0),
    )


def store() -> Store:
    return Store({"equipment": []}, "token")


def test_metrics_are_found_by_what_was_read_in_order_of_arrival():
    status = EquipmentStatus(equipment_id="e", state="down", reason="timeout", response_time_ms=None, timestamp=STAMP.format(0))
    s = store()
    assert s.take(b"1", [reading("a", 2), stat("i"), reading("b")], "k1")
    assert s.take(b"2", [reading("a", 1), status], None)
    assert s.readings("a") == (reading("a", 2), reading("a", 1))
    assert s.stats("i") == (stat("i"),)
    assert s.statuses("e") == (status,)
    assert (s.readings("none"), s.stats("a"), s.statuses("i")) == ((), (), ())
    assert s.metric_count == 5
    assert [batch.key for batch in s.batches] == ["k1", None]


def test_a_key_seen_again_is_accepted_and_stored_once():
    s = store()
    assert s.take(b"body", [reading("a")], "k")
    assert s.take(b"body", [reading("a")], "k")
    assert (s.metric_count, s.repeats, len(s.batches)) == (1, 1, 1)


def test_a_key_seen_with_another_body_is_refused():
    s = store()
    assert s.take(b"body", [reading("a")], "k")
    assert not s.take(b"other", [reading("b")], "k")
    assert (s.metric_count, s.repeats) == (1, 0)


def test_duplicates_are_metrics_that_were_stored_more_than_once():
    s = store()
    s.take(b"1", [reading("a"), reading("b")], "k1")
    assert s.duplicates() == {}
    s.take(b"2", [reading("a"), reading("a", 1)], "k2")
    assert s.duplicates() == {("sensor_reading", "a", STAMP.format(0)): 2}


def test_a_listener_hears_each_batch_until_it_has_enough():
    s, heard = store(), []
    enough = s.listen(heard.append)
    s.take(b"12", [reading("a")], "k")
    s.take(b"12", [reading("a")], "k")
    assert heard == [Batch("k", (reading("a"),), 2)]
    enough()
    s.take(b"3", [reading("b")], None)
    assert len(heard) == 1


async def test_waiting_ends_with_the_change_that_fulfils_the_condition():
    s = store()
    await s.wait_until(lambda s: s.metric_count == 0)
    waiting = [
        asyncio.create_task(s.wait_until(lambda s: s.metric_count >= 2)),
        asyncio.create_task(s.wait_until(lambda s: bool(s.heartbeats))),
        asyncio.create_task(s.wait_until(lambda s: len(s.exchanges) == 1)),
        asyncio.create_task(s.wait_until(lambda s: s.repeats == 1)),
    ]
    s.take(b"1", [reading("a")], "k")
    s.take(b"2", [reading("b")], None)
    await waiting[0]
    assert not any(task.done() for task in waiting[1:])
    s.hear(Heartbeat(version="0", hostname="h", uptime_seconds=1))
    await waiting[1]
    s.record(Exchange("GET", "/", 404, {}, 0))
    await waiting[2]
    assert not waiting[3].done()
    s.take(b"1", [reading("a")], "k")
    await waiting[3]


def test_the_etag_follows_the_configuration():
    s = store()
    first = s.etag
    s.set_config({"equipment": []})
    assert s.etag == first
    s.set_config({"equipment": [], "version": "2"})
    assert s.etag != first


def test_octets_are_served_as_they_are():
    s = Store(b"no json", "token")
    assert s.config_body == b"no json"
    assert s.accepts == Accepts()


def test_limits_come_from_the_argument_which_the_document_then_states_too():
    limits = Accepts(content_encodings=["gzip"], max_metrics=7)
    s = Store({"version": "1"}, "token", limits)
    assert s.accepts == limits
    assert msgspec.json.decode(s.config_body, type=Config).accepts == limits


def test_limits_come_from_the_document_or_are_the_contract_s():
    assert Store({"accepts": {"max_metrics": 7}}, "token").accepts == Accepts(max_metrics=7)
    assert Store(b'{"accepts": {"max_metrics": 7}}', "token").accepts == Accepts(max_metrics=7)
    assert Store({}, "token").accepts == Accepts()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"equipment": 7}', b'{"accepts": 5}', b'{"accepts": {"max_metrics": "many"}}'])
def test_limits_that_can_t_be_read_are_the_contract_s(body):
    assert Store(body, "token").accepts == Accepts()


def test_one_bad_limit_costs_no_other_one():
    stated = {"content_encodings": ["gzip"], "max_metrics": "many", "max_body_bytes": 5000, "metric_types": None}
    assert Store({"accepts": stated}, "token").accepts == Accepts(content_encodings=["gzip"], max_body_bytes=5000)
